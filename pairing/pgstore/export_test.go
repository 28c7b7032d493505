package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tillroute/tillroute/pairing"
)

// AcceptAlone accepts a payment with the statement of AcceptPayment, in a transaction of its own.
func AcceptAlone(ctx context.Context, s *Store, pool *pgxpool.Pool, r pairing.Request) error {
	var seq int64
	return pool.QueryRow(ctx, s.sql("WITH one AS ("+acceptPayment+") SELECT seq FROM one"),
		r.ID, r.Register.System, r.Register.Account, r.Register.ID, string(r.Kind), amountText(r.Amount), r.Currency,
		r.Reference, r.Data).Scan(&seq)
}

// BareSelect is the query of Payment.
func BareSelect(s *Store) string { return s.sql(selectPayment) }

// Pending returns how many writes wait.
func Pending(s *Store) int { return s.group.queue.Len() }

// Listeners returns how many listen.
func Listeners(s *Store) int { return int(s.listeners.Load()) }
