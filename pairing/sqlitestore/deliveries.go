package sqlitestore

import (
	"bytes"
	"context"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// BeginDelivery claims the delivery of that key from that source.
func (s *Store) BeginDelivery(
	ctx context.Context, source, key string, hash []byte, lease time.Duration,
) (pairing.Delivery, error) {
	d := pairing.Delivery{Source: source, Key: key, Hash: append([]byte{}, hash...)}
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Delivery, error) {
		begun, err := beginDelivery(ctx, c, d, lease)
		begun.Hash = bytes.Clone(begun.Hash) // the caller owns what it gets, and this may run twice
		return begun, err
	})
}

func beginDelivery(ctx context.Context, c *conn, d pairing.Delivery, lease time.Duration) (pairing.Delivery, error) {
	var known []byte
	var finished, leaseUntil time.Time
	found, err := c.one(ctx, func(r *row) {
		d.Fence = r.int()
		known = r.bytes()
		leaseUntil = r.time()
		finished = r.time()
		d.Answer = r.bytes()
	}, "SELECT fence, hash, lease_until, finished_at, answer FROM deliveries WHERE source = ? AND key = ?", d.Source, d.Key)
	switch {
	case err != nil:
		return d, err
	case found && !bytes.Equal(known, d.Hash):
		return d, refusal.OtherContent(d.Source, d.Key)
	case found && !finished.IsZero():
		d.Answered = true
		return d, nil
	case found && !c.passed(leaseUntil):
		return d, refusal.BeingHandled(d.Source, d.Key)
	}
	// In place of an abandoned one, a new row has a new fence.
	d.Fence, _, err = c.insert(ctx, "INSERT OR REPLACE INTO deliveries (source, key, hash, begun_at, lease_until)"+
		" VALUES (?, ?, ?, ?, ?)", d.Source, d.Key, d.Hash, c.timeNow(), c.timeAfter(lease))
	return d, err
}

// FinishDelivery records the answer.
func (s *Store) FinishDelivery(ctx context.Context, d pairing.Delivery, answer []byte) error {
	answer = append([]byte{}, answer...)
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		n, err := c.exec(ctx, "UPDATE deliveries SET finished_at = ?, answer = ?"+
			" WHERE fence = ? AND source = ? AND key = ? AND finished_at IS NULL",
			c.timeNow(), answer, d.Fence, d.Source, d.Key)
		return orBegunAnew(d, n, err)
	})
}

// FailDelivery forgets the delivery.
func (s *Store) FailDelivery(ctx context.Context, d pairing.Delivery) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		n, err := c.exec(ctx, "DELETE FROM deliveries"+
			" WHERE fence = ? AND source = ? AND key = ? AND finished_at IS NULL", d.Fence, d.Source, d.Key)
		return orBegunAnew(d, n, err)
	})
}

func orBegunAnew(d pairing.Delivery, n int64, err error) error {
	if err == nil && n == 0 {
		return refusal.BegunAnew(d)
	}
	return err
}

// purgeAtOnce bounds how many deliveries are forgotten in one transaction, so that payments needn't wait for all.
const purgeAtOnce = 1000

// PurgeDeliveries forgets the deliveries that were finished, or abandoned, more than age ago. If it fails half-way,
// some are forgotten.
func (s *Store) PurgeDeliveries(ctx context.Context, age time.Duration) (int, error) {
	for total := 0; ; {
		n, err := write(ctx, s, func(ctx context.Context, c *conn) (int64, error) {
			return c.exec(ctx, "DELETE FROM deliveries WHERE fence IN"+
				" (SELECT fence FROM deliveries WHERE coalesce(finished_at, lease_until) <= ? LIMIT ?)",
				c.timeBefore(age), int64(purgeAtOnce))
		})
		total += int(n)
		if err != nil || n < purgeAtOnce {
			return total, err
		}
	}
}
