package sqlitestore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
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
	" WHERE coalesce(lease_until, not_before, '') <= " + sqlNow +
	" ORDER BY heads.seq LIMIT ?"

// ReadyTerminals returns up to limit terminals of the providers whose head can be claimed now. The one whose head has
// waited longest comes first.
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
		return claim(ctx, c, t, owner, lease)
	})
	return got.claim, got.ok, err
}

const (
	selectTurn = "SELECT fence, coalesce(lease_until, not_before), fresh, " + inFlight + " AND owner = ?, " + openColumns +
		" FROM payments WHERE provider = ? AND serial = ? AND " + hasTurn
	// selectNext leaves out what a payment doesn't have before its turn has begun.
	selectNext = "SELECT fence, " + requestColumns + ", identity, note, mark, accepted_at" +
		" FROM payments WHERE provider = ? AND serial = ? AND " + isOpen + " ORDER BY seq LIMIT 1"
)

func claim(ctx context.Context, c *conn, t pairing.Terminal, owner string, lease time.Duration) (claimed, error) {
	got := pairing.Claim{Owner: owner}
	var notBefore time.Time
	var fresh, mine bool
	ok, err := c.one(ctx, func(r *row) {
		got.Fence = r.int()
		notBefore = r.time()
		fresh = r.bool()
		mine = r.bool()
		got.Payment = scanOpen(r)
	}, selectTurn, owner, t.Provider, t.Serial)
	if err == nil && !ok {
		ok, err = c.one(ctx, func(r *row) {
			got.Fence = r.int()
			got.Payment = pairing.Payment{Terminal: t, State: pairing.Queued}
			scanRequest(r, &got.Payment)
			got.Payment.Identity = r.secret()
			got.Payment.Note = r.text()
			got.Payment.Mark = r.text()
			got.Payment.AcceptedAt = r.time()
		}, selectNext, t.Provider, t.Serial)
	}
	if err != nil || !ok || !mine && !c.passed(notBefore) {
		return claimed{}, err
	}
	if !mine {
		got.Fence++
		fresh = got.Payment.State == pairing.Queued
	}
	if got.Payment.State == pairing.Queued {
		got.Payment.State = pairing.Sending
	}
	got.Fresh = fresh && got.Payment.State == pairing.Sending
	_, err = c.exec(ctx, "UPDATE payments SET state = ?, owner = ?, fresh = ?, fence = ?, lease_until = ?, not_before = NULL WHERE seq = ?",
		string(got.Payment.State), owner, fresh, got.Fence, c.timeAfter(lease), got.Payment.Seq)
	return claimed{got, true}, err
}

// isHeld is the condition under which a claim may write. It takes the claim's seq, id and fence.
const isHeld = "seq = ? AND id = ? AND fence = ? AND " + inFlight

const selectHeld = "SELECT state, note, sent_at, handle_transaction_id, handle_token, handle_serial" +
	" FROM payments WHERE " + isHeld

// held returns the payment of a claim that is still good. It reads what may have changed since the claim was given;
// while a payment is claimed nothing else does.
func held(ctx context.Context, c *conn, claim pairing.Claim) (pairing.Payment, error) {
	p := claim.Payment
	ok, err := c.one(ctx, func(r *row) {
		p.State = pairing.State(r.text())
		p.Note = r.text()
		p.SentAt = r.time()
		p.Handle.TransactionID = r.text()
		p.Handle.Token = r.secret()
		p.Handle.Serial = r.text()
	}, selectHeld, p.Seq, p.ID, claim.Fence)
	if err == nil && !ok {
		err = refusal.Fenced(claim)
	}
	return p, err
}

// RenewClaim extends the lease and replaces the payment's note.
func (s *Store) RenewClaim(ctx context.Context, claim pairing.Claim, lease time.Duration, note string) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		n, err := c.exec(ctx, "UPDATE payments SET lease_until = ?, note = ? WHERE "+isHeld,
			c.timeAfter(lease), note, claim.Payment.Seq, claim.Payment.ID, claim.Fence)
		if err == nil && n == 0 {
			err = refusal.Fenced(claim)
		}
		return err
	})
}

// SavePaymentHandle writes down the handle of a payment that was being sent.
func (s *Store) SavePaymentHandle(ctx context.Context, claim pairing.Claim, h pairing.Handle) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		p, err := held(ctx, c, claim)
		if err != nil {
			return err
		}
		if p.State == pairing.Sent {
			if p.Handle == h {
				return nil
			}
			return refusal.OtherHandle(p)
		}
		_, err = c.exec(ctx, "UPDATE payments SET state = 'sent', note = '', sent_at = ?,"+
			" handle_transaction_id = ?, handle_token = ?, handle_serial = ? WHERE seq = ?",
			c.timeNow(), h.TransactionID, h.Token.Reveal(), h.Serial, p.Seq)
		return err
	})
}

// RequeuePayment makes a payment that was provably not sent queued again.
func (s *Store) RequeuePayment(ctx context.Context, claim pairing.Claim, delay time.Duration, note string) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		p, err := held(ctx, c, claim)
		if err != nil {
			return err
		}
		if p.State != pairing.Sending {
			return refusal.NotSending(p)
		}
		_, err = c.exec(ctx, "UPDATE payments SET state = 'queued', lease_until = NULL, not_before = ?, note = ? WHERE seq = ?",
			c.timeAfter(delay), note, p.Seq)
		return err
	})
}

// ReleaseClaim ends the lease at once.
func (s *Store) ReleaseClaim(ctx context.Context, claim pairing.Claim) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		n, err := c.exec(ctx, "UPDATE payments SET lease_until = ?, owner = '', fresh = 0 WHERE "+isHeld,
			c.timeNow(), claim.Payment.Seq, claim.Payment.ID, claim.Fence)
		if err == nil && n == 0 {
			err = refusal.Fenced(claim)
		}
		return err
	})
}

// FinishPayment writes the result, and claims the next payment if lease is positive.
func (s *Store) FinishPayment(
	ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration,
) (next pairing.Claim, ok bool, err error) {
	got, err := write(ctx, s, func(ctx context.Context, conn *conn) (claimed, error) {
		n, err := end(ctx, conn, ending{result: r}, isHeld, c.Payment.Seq, c.Payment.ID, c.Fence)
		switch {
		case err != nil:
			return claimed{}, err
		case n == 0:
			return claimed{}, refusal.Fenced(c)
		case lease <= 0:
			return claimed{}, nil
		default:
			return claim(ctx, conn, c.Payment.Terminal, c.Owner, lease)
		}
	})
	return got.claim, got.ok, err
}

const moveStatement = "UPDATE payments SET provider = ?, serial = ?, not_before = NULL" +
	" WHERE provider = ? AND serial = ? AND " + isOpen + " AND state = 'queued'" +
	" AND system = ? AND account = ? AND register = ?"

// moveQueued moves what the register has queued at from to to.
func moveQueued(ctx context.Context, c *conn, r pairing.Register, from, to pairing.Terminal) error {
	_, err := c.exec(ctx, moveStatement, to.Provider, to.Serial, from.Provider, from.Serial, r.System, r.Account, r.ID)
	return err
}
