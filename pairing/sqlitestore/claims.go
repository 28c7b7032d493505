package sqlitestore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// The head of a terminal's queue is the payment that has the turn; if none has, the one that was accepted first.

// readyTerminals finds the terminals with open payments by skipping from one to the next in payments_open, whatever
// the length of their queues, then the head of each, and keeps those whose head can be claimed.
const readyTerminals = "WITH RECURSIVE" +
	" providers (provider) AS MATERIALIZED (SELECT DISTINCT value FROM json_each(?))," +
	" terminals (provider, serial) AS (" +
	"  SELECT provider, (SELECT min(serial) FROM payments WHERE provider = providers.provider AND " + isOpen + ")" +
	"  FROM providers" +
	"  UNION ALL" +
	"  SELECT provider, (SELECT min(serial) FROM payments" +
	"   WHERE provider = terminals.provider AND serial > terminals.serial AND " + isOpen + ")" +
	"  FROM terminals WHERE serial IS NOT NULL)," +
	" heads (provider, serial, seq) AS (" +
	"  SELECT provider, serial, coalesce(" +
	"   (SELECT seq FROM payments WHERE provider = terminals.provider AND serial = terminals.serial AND " + hasTurn + ")," +
	"   (SELECT min(seq) FROM payments WHERE provider = terminals.provider AND serial = terminals.serial AND " + isOpen + "))" +
	"  FROM terminals WHERE serial IS NOT NULL)" +
	" SELECT heads.provider, heads.serial FROM heads JOIN payments USING (seq)" +
	" WHERE coalesce(lease_until, not_before, '') <= " + sqlTime +
	" ORDER BY heads.seq LIMIT ?"

// ReadyTerminals returns up to limit terminals of the providers whose head can be claimed now.
func (s *Store) ReadyTerminals(ctx context.Context, providers []string, limit int) (list []pairing.Terminal, err error) {
	names, err := json.Marshal(append([]string{}, providers...))
	if err != nil {
		return nil, failed(err)
	}
	_, err = s.read(ctx, func(r *row) {
		list = append(list, pairing.Terminal{Provider: r.text(), Serial: r.text()})
	}, readyTerminals, string(names), int64(max(limit, 0)))
	return list, err
}

// claimed is what ClaimPayment returns.
type claimed struct {
	claim pairing.Claim
	ok    bool
}

// ClaimPayment leases the head of the terminal's queue to owner.
func (s *Store) ClaimPayment(
	ctx context.Context, t pairing.Terminal, owner string, lease time.Duration,
) (pairing.Claim, bool, error) {
	got, err := write(ctx, s, func(ctx context.Context, c *conn) (claimed, error) {
		got, err := claimNext(ctx, c, t, owner, lease)
		if err != nil || got.ok {
			return got, err
		}
		return takeOver(ctx, c, t, owner, lease)
	})
	return got.claim, got.ok, err
}

// claimQueued claims the head if it is queued. What is in flight is found first, and is not queued.
const claimQueued = "UPDATE payments SET state = 'sending', owner = ?, fence = fence + 1, lease_until = " + sqlLater + "," +
	" not_before = NULL" +
	" WHERE seq = coalesce(" +
	"  (SELECT seq FROM payments WHERE provider = ? AND serial = ? AND " + hasTurn + ")," +
	"  (SELECT min(seq) FROM payments WHERE provider = ? AND serial = ? AND " + isOpen + "))" +
	" AND state = 'queued' AND coalesce(not_before, '') <= " + sqlTime +
	" RETURNING fence, " + paymentColumns

func claimNext(ctx context.Context, c *conn, t pairing.Terminal, owner string, lease time.Duration) (got claimed, err error) {
	got.claim.Owner, got.claim.Fresh = owner, true
	got.ok, err = c.one(ctx, got.scan, claimQueued,
		owner, later(lease), t.Provider, t.Serial, t.Provider, t.Serial)
	return got.orNone(), err
}

// claimInFlight takes over what is in flight if its lease has ended.
const claimInFlight = "UPDATE payments SET owner = ?, fence = fence + 1, lease_until = " + sqlLater +
	" WHERE provider = ? AND serial = ? AND " + inFlight + " AND lease_until <= " + sqlTime +
	" RETURNING fence, " + paymentColumns

func takeOver(ctx context.Context, c *conn, t pairing.Terminal, owner string, lease time.Duration) (got claimed, err error) {
	got.claim.Owner = owner
	got.ok, err = c.one(ctx, got.scan, claimInFlight, owner, later(lease), t.Provider, t.Serial)
	return got.orNone(), err
}

func (got *claimed) scan(r *row) {
	got.claim.Fence = r.int()
	got.claim.Payment = scanPayment(r)
}

func (got *claimed) orNone() claimed {
	if !got.ok {
		return claimed{}
	}
	return *got
}

// held is the condition under which a claim may write. It takes what heldBy returns.
const held = "seq = ? AND id = ? AND fence = ? AND " + inFlight

// RenewClaim extends the lease and replaces the payment's note.
func (s *Store) RenewClaim(ctx context.Context, claim pairing.Claim, lease time.Duration, note string) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "UPDATE payments SET lease_until = "+sqlLater+", note = ? WHERE "+held+" RETURNING 1",
			later(lease), note, claim.Payment.Seq, claim.Payment.ID, claim.Fence)
		return orFenced(claim, ok, err)
	})
}

// SavePaymentHandle writes down the handle of a payment that was being sent.
func (s *Store) SavePaymentHandle(ctx context.Context, claim pairing.Claim, h pairing.Handle) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "UPDATE payments SET state = 'sent', note = '', sent_at = "+sqlTime+","+
			" handle_transaction_id = ?, handle_token = ?, handle_serial = ?"+
			" WHERE "+held+" AND state = 'sending' RETURNING 1",
			h.TransactionID, h.Token.Reveal(), h.Serial, claim.Payment.Seq, claim.Payment.ID, claim.Fence)
		if err != nil || ok {
			return err
		}
		p, err := findHeld(ctx, c, claim)
		if err == nil && p.Handle != h {
			err = pairing.Errorf(tillroute.KindConflict, nil, "payment %q already has another handle", p.ID)
		}
		return err
	})
}

// RequeuePayment makes a payment that was provably not sent queued again.
func (s *Store) RequeuePayment(ctx context.Context, claim pairing.Claim, delay time.Duration, note string) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "UPDATE payments SET state = 'queued', lease_until = NULL, not_before = "+sqlLater+", note = ?"+
			" WHERE "+held+" AND state = 'sending' RETURNING 1",
			later(delay), note, claim.Payment.Seq, claim.Payment.ID, claim.Fence)
		if err != nil || ok {
			return err
		}
		p, err := findHeld(ctx, c, claim)
		if err == nil {
			err = pairing.Errorf(tillroute.KindConflict, nil,
				"payment %q is %s: what was sent cannot be queued again", p.ID, p.State)
		}
		return err
	})
}

// ReleaseClaim ends the lease at once.
func (s *Store) ReleaseClaim(ctx context.Context, claim pairing.Claim) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "UPDATE payments SET lease_until = "+sqlTime+" WHERE "+held+" RETURNING 1",
			claim.Payment.Seq, claim.Payment.ID, claim.Fence)
		return orFenced(claim, ok, err)
	})
}

const finishPayment = "UPDATE payments SET state = ?, outcome = ?, charged = ?, surcharge = ?, tip = ?," +
	" transaction_id = ?, auth_code = ?, acquirer = ?, card_type = ?, card_number = ?, receipt = ?, reason = ?," +
	" lease_until = NULL, ended_at = " + sqlTime +
	" WHERE " + held + " RETURNING " + paymentColumns

// FinishPayment writes the result, and claims the next payment if lease is positive.
func (s *Store) FinishPayment(
	ctx context.Context, claim pairing.Claim, r pairing.Result, lease time.Duration,
) (pairing.Payment, pairing.Claim, bool, error) {
	type finished struct {
		done pairing.Payment
		next claimed
	}
	state := pairing.Done
	if r.Outcome == tillroute.Unknown {
		state = pairing.Parked
	}
	got, err := write(ctx, s, func(ctx context.Context, c *conn) (got finished, err error) {
		ok, err := c.one(ctx, func(r *row) { got.done = scanPayment(r) }, finishPayment,
			string(state), r.Outcome.String(), amountText(r.Amount), amountText(r.Surcharge), amountText(r.Tip),
			r.TransactionID, r.AuthCode, r.Acquirer, r.CardType, r.CardNumber, r.Receipt, r.Reason,
			claim.Payment.Seq, claim.Payment.ID, claim.Fence)
		if err := orFenced(claim, ok, err); err != nil {
			return got, err
		}
		if lease > 0 {
			got.next, err = claimNext(ctx, c, got.done.Terminal, claim.Owner, lease)
		}
		return got, err
	})
	return got.done, got.next.claim, got.next.ok, err
}

// moveQueued moves what the register has queued at from to to.
func moveQueued(ctx context.Context, c *conn, r pairing.Register, from, to pairing.Terminal) error {
	return c.exec(ctx, "UPDATE payments SET provider = ?, serial = ?, not_before = NULL"+
		" WHERE provider = ? AND serial = ? AND "+isOpen+" AND state = 'queued'"+
		" AND system = ? AND account = ? AND register = ?",
		to.Provider, to.Serial, from.Provider, from.Serial, r.System, r.Account, r.ID)
}

// findHeld returns the payment of a claim that is still good.
func findHeld(ctx context.Context, c *conn, claim pairing.Claim) (p pairing.Payment, err error) {
	ok, err := c.one(ctx, func(r *row) { p = scanPayment(r) }, "SELECT "+paymentColumns+" FROM payments WHERE "+held,
		claim.Payment.Seq, claim.Payment.ID, claim.Fence)
	return p, orFenced(claim, ok, err)
}

func orFenced(claim pairing.Claim, ok bool, err error) error {
	if err == nil && !ok {
		return pairing.Errorf(tillroute.KindConflict, pairing.ErrFenced, "payment %q", claim.Payment.ID)
	}
	return err
}
