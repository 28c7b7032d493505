package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// The head of a terminal's queue is the payment that has the turn; if none has, the one that was accepted first.

// readyTerminals finds the terminals with open payments by skipping from one to the next in payments_open, whatever
// the length of their queues, then the head of each, and keeps those whose head can be claimed.
const readyTerminals = "WITH RECURSIVE" +
	" terminals (provider, serial) AS (" +
	"  SELECT asked, (SELECT min(serial) FROM @payments WHERE provider = asked AND " + isOpen + ")" +
	"  FROM (SELECT DISTINCT unnest($1::text[]) COLLATE \"C\" AS asked) AS providers" +
	"  UNION ALL" +
	"  SELECT provider, (SELECT min(serial) FROM @payments p" +
	"   WHERE p.provider = terminals.provider AND p.serial > terminals.serial AND " + isOpen + ")" +
	"  FROM terminals WHERE serial IS NOT NULL)" +
	" SELECT provider, serial FROM terminals CROSS JOIN LATERAL (" + // LIMIT keeps the planner from joining with all payments
	"SELECT p.seq FROM @payments p WHERE p.seq = coalesce(" +
	"(SELECT seq FROM @payments q WHERE q.provider = terminals.provider AND q.serial = terminals.serial AND " + hasTurn + ")," +
	" (SELECT min(seq) FROM @payments q WHERE q.provider = terminals.provider AND q.serial = terminals.serial AND " + isOpen + "))" +
	" AND " + isFree + " LIMIT 1) AS heads" +
	" WHERE serial IS NOT NULL ORDER BY seq LIMIT $2"

// isFree is the condition under which anybody can claim the head p.
const isFree = "coalesce(p.lease_until, p.not_before, '-infinity') <= now()"

// ReadyTerminals returns up to limit terminals of the providers whose head can be claimed now. The one whose head has
// waited longest comes first.
func (s *Store) ReadyTerminals(ctx context.Context, providers []string, limit int) ([]pairing.Terminal, error) {
	return list(ctx, s, func(rows pgx.Rows) (t pairing.Terminal, err error) {
		err = rows.Scan(&t.Provider, &t.Serial)
		return t, err
	}, readyTerminals, append([]string{}, providers...), int64(max(limit, 0)))
}

// The columns of a claim: whether there was a head to claim, and if nobody was quicker the payment as it was claimed.
const claimColumns = "head.seq IS NOT NULL, mine.fence, mine.fresh AND mine.state = 'sending', " + mineColumns

// mineColumns are openColumns, of the head that was claimed.
const mineColumns = "mine.seq, id, system, account, register, kind, amount::text, currency, reference, data," +
	" provider, serial, identity, state, note, mark, accepted_at, sent_at," +
	" handle_transaction_id, handle_token, handle_serial"

// isMine is the condition under which $3 can ask again for the head p.
const isMine = "(p.lease_until IS NOT NULL AND p.owner = $3)"

// claimPayment finds the head and claims it, if it can be had by then.
const claimPayment = "WITH head AS MATERIALIZED (" +
	"SELECT seq FROM @payments p WHERE seq = coalesce(" +
	"(SELECT seq FROM @payments WHERE provider = $1 AND serial = $2 AND " + hasTurn + ")," +
	" (SELECT seq FROM @payments WHERE provider = $1 AND serial = $2 AND " + isOpen + " ORDER BY seq LIMIT 1))" +
	" AND (" + isFree + " OR " + isMine + "))," +
	" mine AS (UPDATE @payments p SET owner = $3, lease_until = now() + $4::bigint * interval '1 microsecond', not_before = NULL," +
	" state = CASE p.state WHEN 'queued' THEN 'sending' ELSE p.state END," +
	" fresh = CASE WHEN " + isMine + " THEN p.fresh ELSE p.state = 'queued' END," +
	" fence = p.fence + CASE WHEN " + isMine + " THEN 0 ELSE 1 END" +
	" WHERE p.seq = (SELECT seq FROM head) AND p.state IN ('queued', 'sending', 'sent') AND p.provider = $1 AND p.serial = $2" +
	" AND (" + isFree + " OR " + isMine + ") RETURNING p.*)" +
	" SELECT " + claimColumns + " FROM head LEFT JOIN mine ON true"

// claimed is what a claim came to.
type claimed struct {
	claim pairing.Claim
	ok    bool
	// found says that there was a head to claim, which somebody else has changed meanwhile unless ok.
	found bool
}

func readClaim(rows pgx.Rows, owner string) (claimed, error) {
	d := decode(rows)
	got := claimed{claim: pairing.Claim{Owner: owner}, found: d.bool()}
	if got.ok = d.values[1] != nil; got.ok {
		got.claim.Fence, got.claim.Fresh, got.claim.Payment = d.integer(), d.bool(), d.open()
	}
	return got, d.err
}

// ClaimPayment leases the head of the terminal's queue to owner.
func (s *Store) ClaimPayment(
	ctx context.Context, t pairing.Terminal, owner string, lease time.Duration,
) (pairing.Claim, bool, error) {
	w := write{query: claimPayment, order: t.String(), args: []any{t.Provider, t.Serial, owner, micros(lease)}}
	for {
		got, _, err := written(ctx, &s.group, w, func(rows pgx.Rows) (claimed, error) { return readClaim(rows, owner) })
		switch {
		case err != nil:
			return pairing.Claim{}, false, err
		case got.ok:
			s.news.mention(t)
			return got.claim, true, nil
		case !got.found:
			return pairing.Claim{}, false, nil
		}
	}
}

// isHeld is the condition under which a claim may write.
const isHeld = "seq = $1 AND id = $2 AND fence = $3 AND " + inFlight

// held has a statement written that changes the payment of a claim, whose first parameters are those of isHeld. It
// reports false if it changed nothing.
func (s *Store) held(ctx context.Context, c pairing.Claim, set string, args ...any) (bool, error) {
	_, ok, err := written(ctx, &s.group, write{
		query: "UPDATE @payments SET " + set + " RETURNING true",
		order: c.Payment.Terminal.String(),
		args:  append([]any{c.Payment.Seq, c.Payment.ID, c.Fence}, args...),
	}, func(rows pgx.Rows) (ok bool, err error) { return ok, rows.Scan(&ok) })
	if ok && err == nil {
		s.news.mention(c.Payment.Terminal)
	}
	return ok, err
}

// refused returns why a claim that may write could not, or that it may not.
func (s *Store) refused(ctx context.Context, c pairing.Claim, why func(pairing.Payment) error) error {
	p := c.Payment
	ok, err := s.one(ctx, []any{(*string)(&p.State)}, "SELECT state FROM @payments WHERE "+isHeld, p.Seq, p.ID, c.Fence)
	switch {
	case err != nil:
		return err
	case !ok:
		return refusal.Fenced(c)
	default:
		return why(p)
	}
}

// RenewClaim extends the lease and replaces the payment's note.
func (s *Store) RenewClaim(ctx context.Context, c pairing.Claim, lease time.Duration, note string) error {
	ok, err := s.held(ctx, c, "lease_until = now() + $4::bigint * interval '1 microsecond', note = $5 WHERE "+isHeld,
		micros(lease), note)
	if err == nil && !ok {
		err = refusal.Fenced(c)
	}
	return err
}

// SavePaymentHandle writes down the handle of a payment that was being sent.
func (s *Store) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	ok, err := s.held(ctx, c, "state = 'sent', note = CASE state WHEN 'sending' THEN '' ELSE note END,"+
		" sent_at = coalesce(sent_at, now()), handle_transaction_id = $4, handle_token = $5, handle_serial = $6 WHERE "+isHeld+
		" AND (state = 'sending' OR (handle_transaction_id, handle_token, handle_serial) = ($4, $5, $6))",
		h.TransactionID, h.Token.Reveal(), h.Serial)
	if err == nil && !ok {
		err = s.refused(ctx, c, refusal.OtherHandle)
	}
	return err
}

// RequeuePayment makes a payment that was provably not sent queued again.
func (s *Store) RequeuePayment(ctx context.Context, c pairing.Claim, delay time.Duration, note string) error {
	ok, err := s.held(ctx, c, "state = 'queued', lease_until = NULL, note = $5,"+
		" not_before = now() + $4::bigint * interval '1 microsecond' WHERE "+isHeld+" AND state = 'sending'",
		micros(delay), note)
	if err == nil && !ok {
		return s.refused(ctx, c, refusal.NotSending)
	}
	if err == nil {
		s.news.tell(c.Payment.Terminal, s.alone())
	}
	return err
}

// ReleaseClaim ends the lease at once.
func (s *Store) ReleaseClaim(ctx context.Context, c pairing.Claim) error {
	ok, err := s.held(ctx, c, "lease_until = now(), owner = '', fresh = false WHERE "+isHeld)
	if err == nil && !ok {
		return refusal.Fenced(c)
	}
	if err == nil {
		s.news.tell(c.Payment.Terminal, true)
	}
	return err
}

// finishPayment ends a payment and claims the one that is next, which nobody can have claimed meanwhile: it was not
// the head.
const finishPayment = "WITH ended AS (UPDATE @payments SET " + endPayment +
	" WHERE seq = $14 AND id = $15 AND fence = $16 AND " + inFlight + " RETURNING provider, serial)," +
	" head AS MATERIALIZED (SELECT next.seq FROM ended CROSS JOIN LATERAL (SELECT seq FROM @payments p" +
	" WHERE p.provider = ended.provider AND p.serial = ended.serial AND " + isOpen + " AND p.seq <> $14 ORDER BY seq LIMIT 1) AS next" +
	" WHERE $18::bigint > 0)," +
	" mine AS (UPDATE @payments p SET state = 'sending', owner = $17, fresh = true, fence = p.fence + 1," +
	" lease_until = now() + $18::bigint * interval '1 microsecond'" +
	" WHERE p.seq = (SELECT seq FROM head) AND p.state = 'queued' AND (p.provider, p.serial) = (SELECT provider, serial FROM ended)" +
	" RETURNING p.*)" +
	" SELECT " + claimColumns + " FROM (SELECT true FROM ended) AS done LEFT JOIN head ON true LEFT JOIN mine ON true"

// FinishPayment writes the result, and claims the next payment if lease is positive.
func (s *Store) FinishPayment(
	ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration,
) (next pairing.Claim, ok bool, err error) {
	got, ok, err := written(ctx, &s.group, write{
		query: finishPayment,
		order: c.Payment.Terminal.String(),
		args:  append(endArgs(r, ""), c.Payment.Seq, c.Payment.ID, c.Fence, c.Owner, micros(lease)),
	}, func(rows pgx.Rows) (claimed, error) { return readClaim(rows, c.Owner) })
	switch {
	case err != nil:
		return pairing.Claim{}, false, err
	case !ok:
		return pairing.Claim{}, false, refusal.Fenced(c)
	}
	s.news.tell(c.Payment.Terminal, false)
	if got.found && !got.ok {
		// It was withdrawn or moved in between: what comes after it is next. Should that fail, the payment has ended
		// all the same, and whoever asks for ready terminals finds the rest; but who may have a claim is told so.
		next, ok, err = s.ClaimPayment(ctx, c.Payment.Terminal, c.Owner, lease)
		if !errors.Is(err, tillroute.ErrOutcomeUnknown) {
			err = nil
		}
		return next, ok, err
	}
	return got.claim, got.ok, nil
}
