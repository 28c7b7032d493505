package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute/pairing"
)

// AcceptAlone accepts a payment with the statement of AcceptPayment, in a transaction of its own.
func AcceptAlone(ctx context.Context, s *Store, on interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}, r pairing.Request,
) error {
	var seq int64
	return on.QueryRow(ctx, s.sql(acceptPayment),
		r.ID, r.Register.System, r.Register.Account, r.Register.ID, string(r.Kind), amountText(r.Amount), r.Currency,
		r.Reference, r.Data).Scan(&seq, nil, nil, nil, nil)
}

// BareSelect is the query of Payment.
func BareSelect(s *Store) string { return s.sql(selectPayment) }

// Number is what tells the locks of a store's schema from those of others.
func Number(s *Store) int64 { return s.number }

// Pending returns how many writes wait.
func Pending(s *Store) int { return s.group.queue.Len() }

// Listeners returns how many listen.
func Listeners(s *Store) int { return int(s.listeners.Load()) }

// Messages returns what a store tells.
func Messages(changed map[pairing.Terminal]bool) []string { return messages("somebody", changed) }

// Heard calls changed for what a message of another store says.
func Heard(text string, changed func(pairing.Terminal, bool)) {
	(&Store{id: "me"}).heard(text, changed)
}
