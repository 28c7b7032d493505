package pgstore

import (
	"bytes"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// beginDelivery begins one that is new, and anew one that was abandoned, which gives it a new fence.
const beginDelivery = "INSERT INTO @deliveries AS old (source, key, hash, begun_at, lease_until)" +
	" VALUES ($1, $2, $3, now(), now() + $4::bigint * interval '1 microsecond')" +
	" ON CONFLICT (source, key) DO UPDATE SET" +
	" fence = excluded.fence, begun_at = excluded.begun_at, lease_until = excluded.lease_until" +
	" WHERE old.finished_at IS NULL AND old.lease_until <= now() AND old.hash = excluded.hash RETURNING fence"

// BeginDelivery claims the delivery of that key from that source.
func (s *Store) BeginDelivery(
	ctx context.Context, source, key string, hash []byte, lease time.Duration,
) (pairing.Delivery, error) {
	d := pairing.Delivery{Source: source, Key: key, Hash: append([]byte{}, hash...)}
	w := write{query: beginDelivery, order: source + "/" + key, args: []any{source, key, bytes.Clone(d.Hash), micros(lease)}}
	for {
		fence, ok, err := written(ctx, &s.group, w, func(rows pgx.Rows) (n int64, err error) { return n, rows.Scan(&n) })
		if err != nil {
			return pairing.Delivery{}, err
		}
		if ok {
			d.Fence = fence
			return d, nil
		}
		var known []byte
		ok, err = s.one(ctx, []any{&d.Fence, &known, &d.Answered, &d.Answer},
			"SELECT fence, hash, finished_at IS NOT NULL, answer FROM @deliveries WHERE source = $1 AND key = $2", source, key)
		switch {
		case err != nil:
			return pairing.Delivery{}, err
		case !ok:
			continue // It was forgotten in between.
		case !bytes.Equal(known, d.Hash):
			return pairing.Delivery{}, refusal.OtherContent(source, key)
		case !d.Answered:
			return pairing.Delivery{}, refusal.BeingHandled(source, key)
		default:
			return d, nil
		}
	}
}

// FinishDelivery records the answer.
func (s *Store) FinishDelivery(ctx context.Context, d pairing.Delivery, answer []byte) error {
	return s.endDelivery(ctx, d, "UPDATE @deliveries SET finished_at = now(), answer = $4"+
		" WHERE source = $1 AND key = $2 AND fence = $3 AND finished_at IS NULL RETURNING true", append([]byte{}, answer...))
}

// FailDelivery forgets the delivery.
func (s *Store) FailDelivery(ctx context.Context, d pairing.Delivery) error {
	return s.endDelivery(ctx, d, "DELETE FROM @deliveries"+
		" WHERE source = $1 AND key = $2 AND fence = $3 AND finished_at IS NULL RETURNING true")
}

func (s *Store) endDelivery(ctx context.Context, d pairing.Delivery, query string, args ...any) error {
	w := write{query: query, order: d.Source + "/" + d.Key, args: append([]any{d.Source, d.Key, d.Fence}, args...)}
	_, ok, err := written(ctx, &s.group, w, func(rows pgx.Rows) (ok bool, err error) { return ok, rows.Scan(&ok) })
	if err == nil && !ok {
		err = refusal.BegunAnew(d)
	}
	return err
}

// purgeAtOnce bounds how many deliveries are forgotten in one transaction, so that nobody waits for all.
const purgeAtOnce = 1000

// PurgeDeliveries forgets the deliveries that were finished, or abandoned, more than age ago. If it fails half-way,
// some are forgotten.
func (s *Store) PurgeDeliveries(ctx context.Context, age time.Duration) (int, error) {
	for total := 0; ; {
		n, err := transact(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
			return t.exec(ctx, "DELETE FROM @deliveries WHERE (source, key) IN"+
				" (SELECT source, key FROM @deliveries WHERE coalesce(finished_at, lease_until) <= $1 LIMIT $2"+
				" FOR UPDATE SKIP LOCKED)", t.now.Add(-age), purgeAtOnce)
		})
		total += int(n)
		if err != nil || n < purgeAtOnce {
			return total, err
		}
	}
}
