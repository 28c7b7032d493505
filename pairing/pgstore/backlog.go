package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute/pairing"
)

// countPayments looks at what the two partial indexes hold, which stays small whatever the history.
const countPayments = "SELECT provider, serial, state, count(*)," +
	" (extract(epoch FROM now() - min(accepted_at)) * 1000000)::bigint FROM (" +
	"(SELECT provider, serial, state, accepted_at FROM @payments WHERE " + isOpen + " LIMIT $1)" +
	" UNION ALL (SELECT provider, serial, state, accepted_at FROM @payments" +
	" WHERE outcome = 'unknown' AND ended_at IS NOT NULL LIMIT $1)" +
	") AS counted GROUP BY provider, serial, state ORDER BY provider, serial, state COLLATE \"C\""

// CountPayments counts the payments that are open or parked, by terminal and state.
func (s *Store) CountPayments(ctx context.Context, limit int) ([]pairing.Backlog, error) {
	type counted struct {
		pairing.Backlog

		micros int64
	}
	rows, err := list(ctx, s, func(rows pgx.Rows) (c counted, err error) {
		err = rows.Scan(&c.Terminal.Provider, &c.Terminal.Serial, (*string)(&c.State), &c.Count, &c.micros)
		return c, err
	}, countPayments, int64(max(limit, 0)))
	if err != nil {
		return nil, err
	}
	var all []pairing.Backlog
	for _, c := range rows {
		c.Age = max(time.Duration(c.micros)*time.Microsecond, 0)
		all = append(all, c.Backlog)
	}
	return all, nil
}
