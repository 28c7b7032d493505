package sqlitestore

import (
	"bytes"
	"context"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// BeginDelivery claims the delivery of that key from that source.
func (s *Store) BeginDelivery(
	ctx context.Context, source, key string, hash []byte, lease time.Duration,
) (pairing.Delivery, error) {
	d := pairing.Delivery{Source: source, Key: key, Hash: append([]byte{}, hash...)}
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Delivery, error) { return beginDelivery(ctx, c, d, lease) })
}

func beginDelivery(ctx context.Context, c *conn, d pairing.Delivery, lease time.Duration) (pairing.Delivery, error) {
	var known []byte
	var finished, leased bool
	found, err := c.one(ctx, func(r *row) {
		d.Fence = r.int()
		known = r.bytes()
		finished = r.bool()
		leased = r.bool()
		d.Answer = r.bytes()
	}, "SELECT fence, hash, finished_at IS NOT NULL, lease_until > "+sqlTime+", answer FROM deliveries"+
		" WHERE source = ? AND key = ?", d.Source, d.Key)
	switch {
	case err != nil:
		return pairing.Delivery{}, err
	case found && !bytes.Equal(known, d.Hash):
		return pairing.Delivery{}, pairing.Errorf(tillroute.KindConflict, nil,
			"delivery %q from %s came before with other content", d.Key, d.Source)
	case found && finished:
		d.Answered = true
		return d, nil
	case found && leased:
		return pairing.Delivery{}, pairing.Errorf(tillroute.KindBusy, nil,
			"delivery %q from %s is being handled", d.Key, d.Source)
	}
	// A new row in place of an abandoned one, for a new fence.
	_, err = c.one(ctx, func(r *row) { d.Fence = r.int() },
		"INSERT OR REPLACE INTO deliveries (source, key, hash, begun_at, lease_until)"+
			" VALUES (?, ?, ?, "+sqlTime+", "+sqlLater+") RETURNING fence",
		d.Source, d.Key, d.Hash, later(lease))
	return d, err
}

// FinishDelivery records the answer.
func (s *Store) FinishDelivery(ctx context.Context, d pairing.Delivery, answer []byte) error {
	answer = append([]byte{}, answer...)
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "UPDATE deliveries SET finished_at = "+sqlTime+", answer = ?"+
			" WHERE fence = ? AND source = ? AND key = ? AND finished_at IS NULL RETURNING 1",
			answer, d.Fence, d.Source, d.Key)
		return orBegunAnew(d, ok, err)
	})
}

// FailDelivery forgets the delivery.
func (s *Store) FailDelivery(ctx context.Context, d pairing.Delivery) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "DELETE FROM deliveries"+
			" WHERE fence = ? AND source = ? AND key = ? AND finished_at IS NULL RETURNING 1",
			d.Fence, d.Source, d.Key)
		return orBegunAnew(d, ok, err)
	})
}

func orBegunAnew(d pairing.Delivery, ok bool, err error) error {
	if err == nil && !ok {
		return pairing.Errorf(tillroute.KindConflict, pairing.ErrFenced, "delivery %q from %s", d.Key, d.Source)
	}
	return err
}

// purgeAtOnce bounds how many deliveries are forgotten in one transaction, so that payments needn't wait for all.
const purgeAtOnce = 1000

// PurgeDeliveries forgets the deliveries that were finished, or abandoned, more than age ago.
func (s *Store) PurgeDeliveries(ctx context.Context, age time.Duration) (int, error) {
	for total := 0; ; {
		n, err := write(ctx, s, func(ctx context.Context, c *conn) (int, error) {
			return c.query(ctx, nil, "DELETE FROM deliveries WHERE fence IN"+
				" (SELECT fence FROM deliveries WHERE coalesce(finished_at, lease_until) <= "+sqlLater+" LIMIT ?)"+
				" RETURNING 1", shift(-age), int64(purgeAtOnce))
		})
		total += n
		if err != nil || n < purgeAtOnce {
			return total, err
		}
	}
}
