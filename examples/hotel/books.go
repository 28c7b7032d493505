package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"
	_ "modernc.org/sqlite" // the driver of the hotel's own database

	"github.com/tillroute/tillroute/pms"
)

// schema is the hotel's own database. That nothing is posted twice hangs on two words in it: a bill's key and its account are
// both UNIQUE, and are written in the transaction that posts.
const schema = `
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rooms (
	reservation TEXT PRIMARY KEY, room TEXT NOT NULL, guest TEXT NOT NULL,
	credit TEXT,                        -- the most that the guest may owe; NULL for any
	blocked INTEGER NOT NULL DEFAULT 0,
	left_at TEXT                        -- when the guest checked out; NULL while in the house
);
CREATE TABLE IF NOT EXISTS bills (
	id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, account TEXT UNIQUE,
	chain TEXT,                         -- the account that it began with
	name TEXT NOT NULL, closed TEXT NOT NULL, total TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS postings (
	id INTEGER PRIMARY KEY, bill INTEGER NOT NULL REFERENCES bills, reservation TEXT NOT NULL REFERENCES rooms,
	amount TEXT NOT NULL, gratuity TEXT NOT NULL,
	takes_back INTEGER UNIQUE REFERENCES postings -- what a reversal belongs to: each posting is taken back once
);`

// books are the hotel's rooms, guests and folios.
type books struct {
	db *sql.DB

	mu      sync.Mutex
	changed chan struct{}
}

func openBooks(ctx context.Context, path string) (*books, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: "_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)&_txlock=immediate"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // One after the other is fast enough for a hotel.
	b := &books{db: db, changed: make(chan struct{})}
	if _, err = db.ExecContext(ctx, schema); err == nil {
		err = b.moveIn(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the hotel's books %s can't be used: %w", path, err), db.Close())
	}
	return b, nil
}

// moveIn has the guests arrive.
func (b *books) moveIn(ctx context.Context) error {
	for _, r := range []struct {
		reservation, room, guest string
		credit                   any
	}{{"R-101", "101", "Mike Test", "100.00"}, {"R-102", "102", "Anna Müller", nil}, {"R-103", "103", "Zoë O’Neill", "40.00"}, {"R-104", "103", "Sam O’Neill", "40.00"}} {
		_, err := b.db.ExecContext(ctx, `INSERT OR IGNORE INTO rooms (reservation, room, guest, credit) VALUES (?, ?, ?, ?)`, r.reservation, r.room, r.guest, r.credit)
		if err != nil {
			return err
		}
	}
	return nil
}

// apiKey returns the key that Lightspeed proves itself with. It is made once.
func (b *books) apiKey(ctx context.Context) (key string, err error) {
	if _, err = b.db.ExecContext(ctx, `INSERT OR IGNORE INTO settings VALUES ('api key', ?)`, rand.Text()+rand.Text()); err == nil {
		err = b.db.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = 'api key'`).Scan(&key)
	}
	return key, err
}

// watch returns a channel that is closed when something changes.
func (b *books) watch() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

func (b *books) notify() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
}

// change changes a room: "block", "unblock", "check-out" or "check-in".
func (b *books) change(ctx context.Context, reservation, what string) error {
	statement, ok := map[string]string{
		"block":     `UPDATE rooms SET blocked = 1 WHERE reservation = ?`,
		"unblock":   `UPDATE rooms SET blocked = 0 WHERE reservation = ?`,
		"check-out": `UPDATE rooms SET left_at = datetime() WHERE reservation = ?`,
		"check-in":  `UPDATE rooms SET left_at = NULL WHERE reservation = ?`,
	}[what]
	if !ok {
		return fmt.Errorf("nobody knows how to %q a room", what)
	}
	result, err := b.db.ExecContext(ctx, statement, reservation)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("there is no reservation %q", reservation))
	}
	b.notify()
	return nil
}

// post writes a bill and its postings down, all or nothing. It does nothing for a bill that it has. A *pms.Refusal is an answer
// for the waiter.
func (b *books) post(ctx context.Context, c pms.Charge) error {
	postings, err := c.Postings()
	if err != nil {
		return err
	}
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // Nothing after a commit.
	var known int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM bills WHERE key = ? OR account = ?`, c.Key, c.Account()).Scan(&known); err != nil || known > 0 {
		return err
	}
	account := sql.NullString{String: c.Account(), Valid: c.Account() != ""}
	chain := c.InitialAccountID
	if chain == "" {
		chain = c.Account()
	}
	result, err := tx.ExecContext(ctx, `INSERT INTO bills (key, account, chain, name, closed, total) VALUES (?, ?, ?, ?, ?, ?)`,
		c.Key, account, chain, c.Name, c.CloseDate.Format(time.RFC3339), c.Totals().Payments.String())
	if err != nil {
		return err
	}
	bill, err := result.LastInsertId()
	if err != nil {
		return err
	}
	for _, p := range postings {
		if p.Debit.IsNegative() {
			err = credit(ctx, tx, bill, chain, p)
		} else {
			err = debit(ctx, tx, bill, p)
		}
		if err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	b.notify()
	return nil
}

// debit charges a room. The credit limit isn't checked: it is the waiter's, and a manager may have gone beyond it.
func debit(ctx context.Context, tx *sql.Tx, bill int64, p pms.Posting) error {
	var room string
	var blocked, left bool
	err := tx.QueryRowContext(ctx, `SELECT room, blocked, left_at IS NOT NULL FROM rooms WHERE reservation = ?`, p.ReservationID).Scan(&room, &blocked, &left)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return pms.Refuse("Nobody has checked in as %.20s", p.ReservationID)
	case err != nil:
		return err
	case left:
		return pms.Refuse("Room %s: the guest has checked out", room)
	case blocked:
		return pms.Refuse("Room %s is blocked: ask for payment", room)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO postings (bill, reservation, amount, gratuity) VALUES (?, ?, ?, ?)`,
		bill, p.ReservationID, p.Amount.String(), p.Gratuity.String())
	return err
}

// credit takes a posting back: the one of the same bill and amount. What was never posted is not given back.
func credit(ctx context.Context, tx *sql.Tx, bill int64, chain string, p pms.Posting) error {
	back, gratuity, err := origin(ctx, tx, chain, p)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO postings (bill, reservation, amount, gratuity, takes_back)
		SELECT ?, reservation, ?, ?, id FROM postings WHERE id = ?`, bill, p.Amount.String(), gratuity.Neg().String(), back)
	return err
}

// origin finds the posting that another one takes back, and its tip.
func origin(ctx context.Context, tx *sql.Tx, chain string, p pms.Posting) (id int64, gratuity decimal.Decimal, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT p.id, p.reservation, p.amount, p.gratuity FROM postings p JOIN bills b ON b.id = p.bill
		WHERE b.chain = ? AND p.takes_back IS NULL AND p.id NOT IN (SELECT takes_back FROM postings WHERE takes_back IS NOT NULL) ORDER BY p.id DESC`, chain)
	if err != nil {
		return 0, gratuity, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var at string
		var amount decimal.Decimal
		if err := rows.Scan(&id, &at, &amount, &gratuity); err != nil {
			return 0, gratuity, err
		}
		// The reservation may be missing, and the sign of the tip is documented nowhere.
		if (p.ReservationID == "" || p.ReservationID == at) && amount.Equal(p.Amount.Neg()) && gratuity.Abs().Equal(p.Gratuity.Abs()) {
			return id, gratuity, nil
		}
	}
	if err := rows.Err(); err != nil {
		return 0, gratuity, err
	}
	return 0, gratuity, pms.Refuse("Not found: what this takes back wasn't posted")
}

// room is a reservation with its folio.
type room struct {
	Reservation, Room, Guest string
	Credit                   decimal.NullDecimal
	Blocked, Left            bool
	Balance                  decimal.Decimal
	Postings                 []posting
}

// Over reports whether the guest owes more than the limit.
func (r room) Over() bool { return r.Credit.Valid && r.Balance.GreaterThan(r.Credit.Decimal) }

// posting is a line of a folio.
type posting struct {
	ID, TakesBack    int64 // 0 for what takes nothing back
	TakenBack        bool
	Bill, Name       string
	Closed           string
	Amount, Gratuity decimal.Decimal
}

// Debit is what the guest owes for it.
func (p posting) Debit() decimal.Decimal { return p.Amount.Add(p.Gratuity) }

// rooms returns all reservations. A posting that takes another one back comes right after it.
func (b *books) rooms(ctx context.Context) ([]room, error) {
	list, err := b.reservations(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := b.folio(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (b *books) reservations(ctx context.Context) ([]room, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT reservation, room, guest, credit, blocked, left_at IS NOT NULL FROM rooms ORDER BY room, reservation`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []room
	for rows.Next() {
		var r room
		if err := rows.Scan(&r.Reservation, &r.Room, &r.Guest, &r.Credit, &r.Blocked, &r.Left); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func (b *books) folio(ctx context.Context, r *room) error {
	rows, err := b.db.QueryContext(ctx, `SELECT p.id, coalesce(p.takes_back, 0), p.id IN (SELECT takes_back FROM postings WHERE takes_back IS NOT NULL), coalesce(b.account, ''), b.name, b.closed, p.amount, p.gratuity
		FROM postings p JOIN bills b ON b.id = p.bill WHERE p.reservation = ? ORDER BY coalesce(p.takes_back, p.id), p.id`, r.Reservation)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p posting
		if err := rows.Scan(&p.ID, &p.TakesBack, &p.TakenBack, &p.Bill, &p.Name, &p.Closed, &p.Amount, &p.Gratuity); err != nil {
			return err
		}
		r.Balance = r.Balance.Add(p.Debit())
		r.Postings = append(r.Postings, p)
	}
	return rows.Err()
}

// search finds the guests in the house by a part of their name or by their room.
func (b *books) search(ctx context.Context, term string) ([]pms.Reservation, error) {
	rooms, err := b.rooms(ctx)
	if err != nil {
		return nil, err
	}
	term = strings.ToLower(strings.TrimSpace(term))
	var found []pms.Reservation
	for _, r := range rooms {
		if r.Left || term == "" || !strings.Contains(strings.ToLower(r.Guest), term) && !strings.HasPrefix(r.Room, term) {
			continue
		}
		one := pms.Reservation{RoomID: r.Room, RoomDescription: "Room " + r.Room, ClientName: r.Guest, ReservationID: r.Reservation, Blocked: r.Blocked}
		if r.Credit.Valid {
			one.CreditLimit = decimal.NewNullDecimal(decimal.Max(decimal.Zero, r.Credit.Decimal.Sub(r.Balance)))
		}
		found = append(found, one)
	}
	return found, nil
}

func (b *books) close() error { return b.db.Close() }
