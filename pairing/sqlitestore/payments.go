package sqlitestore

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// The conditions of the partial indexes. SQLite uses an index only for queries that repeat its condition.
const (
	isOpen   = "ended_at IS NULL"
	inFlight = "state IN ('sending', 'sent')"
	hasTurn  = "(" + inFlight + " OR not_before IS NOT NULL)"
)

// The columns of a payment: those that each has, those that an open one may have, and those that come with its end.
const (
	requestColumns = "seq, id, system, account, register, kind, amount, currency, reference, data"
	openColumns    = requestColumns +
		", provider, serial, identity, state, note, mark, accepted_at, sent_at," +
		" handle_transaction_id, handle_token, handle_serial"
	paymentColumns = openColumns + ", ended_at, outcome, charged, surcharge, tip," +
		" transaction_id, auth_code, acquirer, card_type, card_number, receipt, reason, resolved_by"
)

func scanRequest(r *row, p *pairing.Payment) {
	p.Seq = r.int()
	p.ID = r.text()
	p.Register.System = r.text()
	p.Register.Account = r.text()
	p.Register.ID = r.text()
	p.Kind = pairing.Kind(r.text())
	p.Amount = r.amount()
	p.Currency = r.text()
	p.Reference = r.text()
	p.Data = r.bytes()
}

func scanOpen(r *row) (p pairing.Payment) {
	scanRequest(r, &p)
	p.Terminal.Provider = r.text()
	p.Terminal.Serial = r.text()
	p.Identity = r.secret()
	p.State = pairing.State(r.text())
	p.Note = r.text()
	p.Mark = r.text()
	p.AcceptedAt = r.time()
	p.SentAt = r.time()
	p.Handle.TransactionID = r.text()
	p.Handle.Token = r.secret()
	p.Handle.Serial = r.text()
	return p
}

func scanPayment(r *row) (p pairing.Payment) {
	p = scanOpen(r)
	p.EndedAt = r.time()
	p.Result.Outcome = tillroute.ParseOutcome(r.text())
	p.Result.Amount = r.amount()
	p.Result.Surcharge = r.amount()
	p.Result.Tip = r.amount()
	p.Result.TransactionID = r.text()
	p.Result.AuthCode = r.text()
	p.Result.Acquirer = r.text()
	p.Result.CardType = r.text()
	p.Result.CardNumber = r.text()
	p.Result.Receipt = r.text()
	p.Result.Reason = r.text()
	p.ResolvedBy = r.text()
	return p
}

const (
	selectPayment = "SELECT " + paymentColumns + " FROM payments WHERE id = ?"

	endPayment = "UPDATE payments SET state = ?, ended_at = ?, lease_until = NULL, not_before = NULL, outcome = ?," +
		" charged = ?, surcharge = ?, tip = ?, transaction_id = ?, auth_code = ?, acquirer = ?, card_type = ?," +
		" card_number = ?, receipt = ?, reason = ?, withdrawn = ?, resolved_by = ? WHERE "
)

// AcceptPayment appends the request to the queue of its register's terminal.
func (s *Store) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	r.Data = bytes.Clone(r.Data)
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Payment, error) {
		p, err := accept(ctx, c, r)
		p.Data = bytes.Clone(p.Data) // the caller owns what it gets, and this may run twice
		return p, err
	})
}

// accept looks up where the payment goes in the transaction that accepts it, so that nothing can come between.
func accept(ctx context.Context, c *conn, r pairing.Request) (pairing.Payment, error) {
	p := pairing.Payment{Request: r, State: pairing.Queued, AcceptedAt: c.now}
	paired, err := c.one(ctx, func(r *row) {
		p.Terminal.Provider = r.text()
		p.Terminal.Serial = r.text()
		p.Identity = r.secret()
	}, "SELECT provider, serial, identity FROM pairings"+
		" WHERE system = ? AND account = ? AND register = ? AND unpaired_at IS NULL",
		r.Register.System, r.Register.Account, r.Register.ID)
	if err != nil {
		return p, err
	}
	if paired {
		var ok bool
		p.Seq, ok, err = c.insert(ctx, "INSERT INTO payments (id, system, account, register, kind, amount, currency,"+
			" reference, data, provider, serial, identity, accepted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT DO NOTHING",
			r.ID, r.Register.System, r.Register.Account, r.Register.ID, string(r.Kind), amountText(r.Amount), r.Currency,
			r.Reference, append([]byte{}, r.Data...), p.Terminal.Provider, p.Terminal.Serial, p.Identity.Reveal(), c.timeNow())
		if err != nil || ok {
			return p, err
		}
	}
	p, known, err := find(ctx, c, r.ID)
	switch {
	case err != nil:
		return p, err
	case !known:
		return p, refusal.NotPaired(r.Register)
	case !p.Same(r):
		return p, refusal.OtherRequest(r.ID)
	default:
		return p, nil
	}
}

func find(ctx context.Context, c *conn, id string) (p pairing.Payment, ok bool, err error) {
	ok, err = c.one(ctx, func(r *row) { p = scanPayment(r) }, selectPayment, id)
	return p, ok, err
}

// Payment returns the payment of that ID.
func (s *Store) Payment(ctx context.Context, id string) (p pairing.Payment, err error) {
	n, err := s.read(ctx, func(r *row) { p = scanPayment(r) }, selectPayment, id)
	if err == nil && n == 0 {
		err = refusal.NoPayment(id)
	}
	return p, err
}

// countAhead counts what stands before the open payment p: who has the turn, and who waits and came earlier.
const countAhead = "SELECT CASE" +
	" WHEN p.ended_at IS NOT NULL OR p." + inFlight + " OR p.not_before IS NOT NULL THEN 0" +
	" ELSE (SELECT count(*) FROM payments" +
	"  WHERE provider = p.provider AND serial = p.serial AND " + hasTurn + ")" +
	"  + (SELECT count(*) FROM payments" +
	"  WHERE provider = p.provider AND serial = p.serial AND " + isOpen + " AND NOT " + hasTurn + " AND seq < p.seq)" +
	" END FROM payments p WHERE p.id = ?"

// CountAhead returns how many open payments stand before the open payment of that ID.
func (s *Store) CountAhead(ctx context.Context, id string) (count int, err error) {
	n, err := s.read(ctx, func(r *row) { count = int(r.int()) }, countAhead, id)
	if err == nil && n == 0 {
		err = refusal.NoPayment(id)
	}
	return count, err
}

// ListPayments returns up to limit payments that match the filter.
func (s *Store) ListPayments(ctx context.Context, f pairing.Filter, limit int) (list []pairing.Payment, err error) {
	query, args, err := listPayments(f, limit)
	if err != nil {
		return nil, failed(err)
	}
	_, err = s.read(ctx, func(r *row) { list = append(list, scanPayment(r)) }, query, args...)
	return list, err
}

func listPayments(f pairing.Filter, limit int) (query string, args []driver.Value, err error) {
	var b strings.Builder
	b.WriteString("SELECT " + paymentColumns + " FROM payments")
	switch {
	case only(f.States, pairing.State.Open):
		b.WriteString(" INDEXED BY payments_open WHERE " + isOpen + " AND seq > ?")
	case only(f.States, func(s pairing.State) bool { return s == pairing.Parked }):
		b.WriteString(" INDEXED BY payments_unknown WHERE state = 'unknown' AND seq > ?")
	default:
		b.WriteString(" WHERE seq > ?")
	}
	args = append(args, f.After)
	for _, among := range []struct {
		column string
		values any
		some   bool
	}{
		{"state", f.States, len(f.States) > 0},
		{"outcome", f.Outcomes, len(f.Outcomes) > 0},
		{"mark", f.Marks, len(f.Marks) > 0},
	} {
		if !among.some {
			continue
		}
		values, err := json.Marshal(among.values)
		if err != nil {
			return "", nil, err
		}
		b.WriteString(" AND " + among.column + " IN (SELECT value FROM json_each(?))")
		args = append(args, string(values))
	}
	if f.Terminal != (pairing.Terminal{}) {
		b.WriteString(" AND provider = ? AND serial = ?")
		args = append(args, f.Terminal.Provider, f.Terminal.Serial)
	}
	if f.Register != (pairing.Register{}) {
		b.WriteString(" AND system = ? AND account = ? AND register = ?")
		args = append(args, f.Register.System, f.Register.Account, f.Register.ID)
	}
	b.WriteString(" ORDER BY seq LIMIT ?")
	return b.String(), append(args, int64(max(limit, 0))), nil
}

// only reports whether there are states, and each is one that is asked for.
func only(states []pairing.State, is func(pairing.State) bool) bool {
	for _, s := range states {
		if !is(s) {
			return false
		}
	}
	return len(states) > 0
}

// WithdrawPayment ends a queued payment as cancelled.
func (s *Store) WithdrawPayment(ctx context.Context, id, reason string) (pairing.Payment, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (p pairing.Payment, err error) {
		var withdrawn bool
		ok, err := c.one(ctx, func(r *row) {
			withdrawn = r.bool()
			p = scanPayment(r)
		}, "SELECT withdrawn, "+paymentColumns+" FROM payments WHERE id = ?", id)
		switch {
		case err != nil:
			return p, err
		case !ok:
			return p, refusal.NoPayment(id)
		case withdrawn:
			return p, nil
		case p.State != pairing.Queued:
			return p, refusal.NotQueued(p)
		}
		p.Result = pairing.Result{Outcome: tillroute.Cancelled, Reason: reason}
		p.State, p.EndedAt = pairing.Done, c.now
		_, err = end(ctx, c, ending{result: p.Result, withdrawn: true}, "seq = ?", p.Seq)
		return p, err
	})
}

// ResolvePayment ends a parked payment as a person decided.
func (s *Store) ResolvePayment(ctx context.Context, id string, r pairing.Resolution) (pairing.Payment, error) {
	if r.Outcome == tillroute.Unknown {
		return pairing.Payment{}, refusal.NoOutcome(id)
	}
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Payment, error) {
		p, ok, err := find(ctx, c, id)
		switch {
		case err != nil:
			return p, err
		case !ok:
			return p, refusal.NoPayment(id)
		case p.State != pairing.Parked:
			return p, refusal.NotParked(p)
		}
		p.Result, p.ResolvedBy = r.Result(p), r.By
		p.State, p.EndedAt = pairing.Done, c.now
		_, err = end(ctx, c, ending{result: p.Result, resolvedBy: p.ResolvedBy}, "seq = ?", p.Seq)
		return p, err
	})
}

// MarkPayment replaces the payment's mark if it is from.
func (s *Store) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Payment, error) {
		p, ok, err := find(ctx, c, id)
		switch {
		case err != nil:
			return p, err
		case !ok:
			return p, refusal.NoPayment(id)
		case p.Mark == to:
			return p, nil
		case p.Mark != from:
			return p, refusal.OtherMark(p, from)
		}
		p.Mark = to
		_, err = c.exec(ctx, "UPDATE payments SET mark = ? WHERE seq = ?", to, p.Seq)
		return p, err
	})
}

// ending is what is written when a payment has ended: what the terminal's side says of it, and what isn't for it to say.
type ending struct {
	result     pairing.Result
	withdrawn  bool
	resolvedBy string
}

// end ends the payment that the condition is true of, which takes it out of its queue. It returns how many there were.
func end(ctx context.Context, c *conn, e ending, where string, args ...driver.Value) (int64, error) {
	state := pairing.Done
	if e.result.Outcome == tillroute.Unknown {
		state = pairing.Parked
	}
	r := e.result
	return c.exec(ctx, endPayment+where, append([]driver.Value{
		string(state), c.timeNow(), r.Outcome.String(), amountText(r.Amount), amountText(r.Surcharge), amountText(r.Tip),
		r.TransactionID, r.AuthCode, r.Acquirer, r.CardType, r.CardNumber, r.Receipt, r.Reason, e.withdrawn, e.resolvedBy,
	}, args...)...)
}
