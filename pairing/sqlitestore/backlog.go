package sqlitestore

import (
	"context"
	"time"

	"github.com/tillroute/tillroute/pairing"
)

// countPayments looks at what the two partial indexes hold, which stays small whatever the history.
const countPayments = "SELECT provider, serial, state, count(*), min(accepted_at), " + sqlNow + " FROM (" +
	"SELECT * FROM (SELECT provider, serial, state, accepted_at FROM payments INDEXED BY payments_open" +
	" WHERE " + isOpen + " LIMIT ?)" +
	" UNION ALL SELECT * FROM (SELECT provider, serial, state, accepted_at FROM payments INDEXED BY payments_unknown" +
	" WHERE state = 'unknown' LIMIT ?)" +
	") GROUP BY provider, serial, state ORDER BY provider, serial, state"

// CountPayments counts the payments that are open or parked, by terminal and state.
func (s *Store) CountPayments(ctx context.Context, limit int) (list []pairing.Backlog, err error) {
	n := int64(max(limit, 0))
	_, err = s.read(ctx, func(r *row) {
		b := pairing.Backlog{Terminal: pairing.Terminal{Provider: r.text(), Serial: r.text()}}
		b.State = pairing.State(r.text())
		b.Count = int(r.int())
		oldest := r.time()
		b.Age = max(r.time().Sub(oldest), time.Duration(0))
		list = append(list, b)
	}, countPayments, n, n)
	return list, err
}
