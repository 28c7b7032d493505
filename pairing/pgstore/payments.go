package pgstore

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/batch"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// The conditions of the partial indexes. A query that repeats one can use the index.
const (
	isOpen  = "ended_at IS NULL"
	hasTurn = "(lease_until IS NOT NULL OR not_before IS NOT NULL)"
	// inFlight says the same as lease_until IS NOT NULL, and doesn't tempt the planner to use payments_turn for a payment
	// whose seq is given.
	inFlight = "state IN ('sending', 'sent')"
)

// moment reads a time in UTC. NULL is the zero time.
type moment time.Time

// ScanTimestamptz implements [pgtype.TimestamptzScanner].
func (m *moment) ScanTimestamptz(v pgtype.Timestamptz) error {
	*m = moment{}
	if v.Valid {
		*m = moment(v.Time.UTC())
	}
	return nil
}

// amountText writes an amount in full, with the decimals that it came with.
func amountText(d decimal.Decimal) string {
	if d.Exponent() < 0 {
		return d.StringFixed(-d.Exponent())
	}
	return d.String()
}

// queueLock is the number of the lock on a terminal's queue, in the statements of this package: whoever appends to the
// queue holds it until the commit, so that the order of seq is that in which payments can be seen. The # is a number that
// each schema has of its own: a database's schemas share its locks.
const queueLock = "hashtextextended(provider || '/' || serial, #)"

const (
	// acceptPayment finds where the payment goes in the statement that accepts it. FOR SHARE waits for whoever is
	// changing the pairing, and lets nobody change it until the payment can be seen.
	acceptPayment = "WITH terminal AS MATERIALIZED (" +
		"SELECT provider, serial, identity FROM @pairings" +
		" WHERE system = $2 AND account = $3 AND register = $4 AND unpaired_at IS NULL FOR SHARE)," +
		" queue AS MATERIALIZED (SELECT provider, serial, identity, pg_advisory_xact_lock(" + queueLock + ") FROM terminal)" +
		" INSERT INTO @payments (id, system, account, register, kind, amount, currency, reference, data," +
		" provider, serial, identity, accepted_at)" +
		" SELECT $1::text, $2::text, $3::text, $4::text, $5::text, $6::numeric, $7::text, $8::text, $9::bytea," +
		" provider, serial, identity, clock_timestamp() FROM queue" +
		" ON CONFLICT (id) DO NOTHING RETURNING " + acceptedColumns

	// acceptPayments does the same for several, of different IDs. It locks their queues in the same order everywhere.
	acceptPayments = "WITH asked AS MATERIALIZED (" +
		"SELECT a.*, provider, serial, identity FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]," +
		" $6::text[], $7::text[], $8::text[], $9::bytea[]) WITH ORDINALITY" +
		" AS a (id, system, account, register, kind, amount, currency, reference, data, place)" +
		" JOIN @pairings p USING (system, account, register) WHERE unpaired_at IS NULL FOR SHARE OF p)," +
		" queues AS MATERIALIZED (SELECT pg_advisory_xact_lock(number) FROM (" +
		"SELECT DISTINCT " + queueLock + " AS number FROM asked ORDER BY 1) AS numbers)" +
		" INSERT INTO @payments (id, system, account, register, kind, amount, currency, reference, data," +
		" provider, serial, identity, accepted_at)" +
		" SELECT id, system, account, register, kind, amount::numeric, currency, reference, data," +
		" provider, serial, identity, clock_timestamp() FROM asked" +
		" WHERE (SELECT count(*) FROM queues) > 0 ORDER BY place" + // no number is given out before the queues are locked
		" ON CONFLICT (id) DO NOTHING RETURNING " + acceptedColumns

	acceptedColumns = "id, seq, provider, serial, identity, accepted_at"

	selectPayment = "SELECT " + paymentColumns + " FROM @payments WHERE id = $1"
)

// acceptArgs are the arguments of acceptPayments.
func acceptArgs(members []*batch.Member[write]) []any {
	columns, data := make([][]string, 8), make([][]byte, 0, len(members))
	for _, m := range members {
		for i := range columns {
			columns[i] = append(columns[i], m.Write.args[i].(string)) //nolint:forcetypeassert // as AcceptPayment made them.
		}
		data = append(data, m.Write.args[8].([]byte)) //nolint:forcetypeassert // as AcceptPayment made them.
	}
	args := make([]any, 0, 9)
	for _, column := range columns {
		args = append(args, column)
	}
	return append(args, data)
}

// AcceptPayment appends the request to the queue of its register's terminal.
func (s *Store) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	r.Data = bytes.Clone(r.Data)
	w := write{query: acceptPayment, accept: &r, args: []any{
		r.ID, r.Register.System, r.Register.Account, r.Register.ID, string(r.Kind), amountText(r.Amount), r.Currency,
		r.Reference, append([]byte{}, r.Data...),
	}}
	p, ok, err := written(ctx, &s.group, w, func(rows pgx.Rows) (p pairing.Payment, err error) {
		p = pairing.Payment{Request: r, State: pairing.Queued}
		return p, rows.Scan(nil, &p.Seq, &p.Terminal.Provider, &p.Terminal.Serial, (*string)(&p.Identity), (*moment)(&p.AcceptedAt))
	})
	if err != nil {
		return pairing.Payment{}, err
	}
	if ok {
		if s.alone() {
			s.news.tell(p.Terminal, true)
		} else {
			s.news.mention(p.Terminal)
		}
		return p, nil
	}
	known, err := s.Payment(ctx, r.ID)
	switch {
	case errors.Is(err, tillroute.ErrNotFound):
		return pairing.Payment{}, refusal.NotPaired(r.Register)
	case err != nil:
		return pairing.Payment{}, err
	case !known.Same(r):
		return pairing.Payment{}, refusal.OtherRequest(r.ID)
	default:
		return known, nil
	}
}

// Payment returns the payment of that ID.
func (s *Store) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	p, ok, err := first(ctx, s, readPayment, selectPayment, id)
	if err == nil && !ok {
		err = refusal.NoPayment(id)
	}
	return p, err
}

func readPayment(rows pgx.Rows) (pairing.Payment, error) {
	d := decode(rows)
	return d.payment(), d.err
}

// countAhead counts what stands before the open payment p: who has the turn, and who waits and came earlier.
const countAhead = "SELECT CASE" +
	" WHEN p.ended_at IS NOT NULL OR p.lease_until IS NOT NULL OR p.not_before IS NOT NULL THEN 0" +
	" ELSE (SELECT count(*) FROM @payments" +
	"  WHERE provider = p.provider AND serial = p.serial AND " + hasTurn + ")" +
	"  + (SELECT count(*) FROM @payments" +
	"  WHERE provider = p.provider AND serial = p.serial AND " + isOpen + " AND NOT " + hasTurn + " AND seq < p.seq)" +
	" END FROM @payments p WHERE p.id = $1"

// CountAhead returns how many open payments stand before the open payment of that ID.
func (s *Store) CountAhead(ctx context.Context, id string) (n int, err error) {
	ok, err := s.one(ctx, []any{&n}, countAhead, id)
	if err == nil && !ok {
		err = refusal.NoPayment(id)
	}
	return n, err
}

// ListPayments returns up to limit payments that match the filter.
func (s *Store) ListPayments(ctx context.Context, f pairing.Filter, limit int) ([]pairing.Payment, error) {
	query, args := listPayments(f, limit)
	return list(ctx, s, readPayment, query, args...)
}

func listPayments(f pairing.Filter, limit int) (query string, args []any) {
	var b strings.Builder
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	b.WriteString("SELECT " + paymentColumns + " FROM @payments WHERE seq > " + arg(f.After))
	switch {
	case only(f.States, pairing.State.Open):
		b.WriteString(" AND " + isOpen)
	case only(f.States, func(s pairing.State) bool { return s == pairing.Parked }):
		b.WriteString(" AND outcome = 'unknown' AND ended_at IS NOT NULL")
	}
	for _, among := range []struct {
		column string
		values []string
	}{
		{"state", texts(f.States, func(s pairing.State) string { return string(s) })},
		{"outcome", texts(f.Outcomes, tillroute.Outcome.String)},
		{"mark", f.Marks},
	} {
		if len(among.values) > 0 {
			b.WriteString(" AND " + among.column + " = ANY (" + arg(among.values) + "::text[])")
		}
	}
	if f.Terminal != (pairing.Terminal{}) {
		b.WriteString(" AND provider = " + arg(f.Terminal.Provider) + " AND serial = " + arg(f.Terminal.Serial))
	}
	if f.Register != (pairing.Register{}) {
		b.WriteString(" AND system = " + arg(f.Register.System) + " AND account = " + arg(f.Register.Account) +
			" AND register = " + arg(f.Register.ID))
	}
	b.WriteString(" ORDER BY seq LIMIT " + arg(int64(max(limit, 0))))
	return b.String(), args
}

func texts[T any](values []T, text func(T) string) (list []string) {
	for _, v := range values {
		list = append(list, text(v))
	}
	return list
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

// locked returns the payment of that ID, which nobody else changes until the transaction ends.
func locked(ctx context.Context, t *tx, id string) (p pairing.Payment, withdrawn bool, err error) {
	rows, err := t.Query(ctx, t.store.sql("SELECT "+paymentColumns+", withdrawn FROM @payments WHERE id = $1 FOR NO KEY UPDATE"), id)
	if err != nil {
		return p, false, err
	}
	p, ok, err := firstOf(rows, func(rows pgx.Rows) (p pairing.Payment, err error) {
		d := decode(rows)
		p, withdrawn = d.payment(), d.bool()
		return p, d.err
	})
	if err == nil && !ok {
		err = refusal.NoPayment(id)
	}
	return p, withdrawn, err
}

// WithdrawPayment ends a queued payment as cancelled.
func (s *Store) WithdrawPayment(ctx context.Context, id, reason string) (pairing.Payment, error) {
	p, err := transact(ctx, s, func(ctx context.Context, t *tx) (pairing.Payment, error) {
		p, withdrawn, err := locked(ctx, t, id)
		switch {
		case err != nil || withdrawn:
			return p, err
		case p.State != pairing.Queued:
			return p, refusal.NotQueued(p)
		}
		p.Result = pairing.Result{Outcome: tillroute.Cancelled, Reason: reason}
		p.State, p.EndedAt = pairing.Done, t.now
		_, err = t.exec(ctx, "UPDATE @payments SET withdrawn = true, "+endPayment+" WHERE seq = $14",
			append(endArgs(p.Result, ""), p.Seq)...)
		return p, err
	})
	if err == nil {
		s.news.tell(p.Terminal, s.alone())
	}
	return p, err
}

// ResolvePayment ends a parked payment as a person decided.
func (s *Store) ResolvePayment(ctx context.Context, id string, r pairing.Resolution) (pairing.Payment, error) {
	if r.Outcome == tillroute.Unknown {
		return pairing.Payment{}, refusal.NoOutcome(id)
	}
	p, err := transact(ctx, s, func(ctx context.Context, t *tx) (pairing.Payment, error) {
		p, _, err := locked(ctx, t, id)
		switch {
		case err != nil:
			return p, err
		case p.State != pairing.Parked:
			return p, refusal.NotParked(p)
		}
		p.Result, p.ResolvedBy = r.Result(p), r.By
		p.State, p.EndedAt = pairing.Done, t.now
		_, err = t.exec(ctx, "UPDATE @payments SET "+endPayment+" WHERE seq = $14",
			append(endArgs(p.Result, p.ResolvedBy), p.Seq)...)
		return p, err
	})
	if err == nil {
		s.news.tell(p.Terminal, false)
	}
	return p, err
}

// MarkPayment replaces the payment's mark if it is from.
func (s *Store) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	p, err := transact(ctx, s, func(ctx context.Context, t *tx) (pairing.Payment, error) {
		p, _, err := locked(ctx, t, id)
		switch {
		case err != nil || p.Mark == to:
			return p, err
		case p.Mark != from:
			return p, refusal.OtherMark(p, from)
		}
		p.Mark = to
		_, err = t.exec(ctx, "UPDATE @payments SET mark = $1 WHERE seq = $2", to, p.Seq)
		return p, err
	})
	if err == nil {
		s.news.tell(p.Terminal, false)
	}
	return p, err
}

// endPayment is what is written when a payment has ended, with endArgs.
const endPayment = "state = $1, ended_at = now(), lease_until = NULL, not_before = NULL, outcome = $2," +
	" charged = $3::numeric, surcharge = $4::numeric, tip = $5::numeric, transaction_id = $6, auth_code = $7, acquirer = $8," +
	" card_type = $9, card_number = $10, receipt = $11, reason = $12, resolved_by = $13"

func endArgs(r pairing.Result, resolvedBy string) []any {
	state := pairing.Done
	if r.Outcome == tillroute.Unknown {
		state = pairing.Parked
	}
	return []any{
		string(state), r.Outcome.String(), amountText(r.Amount), amountText(r.Surcharge), amountText(r.Tip),
		r.TransactionID, r.AuthCode, r.Acquirer, r.CardType, r.CardNumber, r.Receipt, r.Reason, resolvedBy,
	}
}
