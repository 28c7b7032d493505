package pgstore

import (
	"context"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute/pairing"
)

// AcceptAlone accepts a payment with the statement of AcceptPayment, in a transaction of its own.
func AcceptAlone(ctx context.Context, s *Store, on interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}, r pairing.Request,
) error {
	var seq int64
	return on.QueryRow(ctx, s.sql(acceptPayment),
		r.ID, r.Register.System, r.Register.Account, r.Register.ID, string(r.Kind), amountText(r.Amount), r.Currency,
		r.Reference, r.Data).Scan(nil, &seq, nil, nil, nil, nil)
}

// BareSelect is the query of Payment.
func BareSelect(s *Store) string { return s.sql(selectPayment) }

// BareSelectPairing is the query of Pairing.
func BareSelectPairing(s *Store) string { return s.sql(selectPairing) }

// Scanned reads a row of BareSelect as one would with pgx.
func Scanned(row pgx.Row) (p pairing.Payment, err error) {
	var ended, sent *time.Time
	var outcome string
	err = row.Scan(
		&p.Seq, &p.ID, &p.Register.System, &p.Register.Account, &p.Register.ID, &p.Kind, &p.Amount, &p.Currency, &p.Reference,
		&p.Data, &p.Terminal.Provider, &p.Terminal.Serial, &p.Identity, &p.State, &p.Note, &p.Mark, &p.AcceptedAt, &sent,
		&p.Handle.TransactionID, &p.Handle.Token, &p.Handle.Serial, &ended, &outcome, &p.Result.Amount, &p.Result.Surcharge,
		&p.Result.Tip, &p.Result.TransactionID, &p.Result.AuthCode, &p.Result.Acquirer, &p.Result.CardType,
		&p.Result.CardNumber, &p.Result.Receipt, &p.Result.Reason, &p.ResolvedBy)
	return p, err
}

// Number is what tells the locks of a store's schema from those of others.
func Number(s *Store) int64 { return s.number }

// Pending returns how many writes wait.
func Pending(s *Store) int { return s.group.queue.Len() }

// Listeners returns how many listen.
func Listeners(s *Store) int { return int(s.listeners.Load()) }

// Messages returns what a store tells.
func Messages(changed map[pairing.Terminal]bool) []string { return messages("somebody", changed) }

// Heard calls changed for what a message of another store says.
func Heard(text string, changed func(pairing.Terminal, bool)) {
	(&Store{id: "me"}).heard(text, changed)
}

// Migrations are those of this package.
func Migrations() fs.FS { return migrations }

// OpenWith opens a store as a program with those migrations does.
func OpenWith(ctx context.Context, c Config, migrations fs.FS) (*Store, error) {
	return open(ctx, c, migrations)
}

// Acquired returns how many of the pool's connections are in use.
func Acquired(s *Store) int { return int(s.pool.Stat().AcquiredConns()) }
