package pgstore_test

import (
	"context"
	"fmt"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// parkedIn returns how many payments of a store wait for a person.
func parkedIn(ctx context.Context, config pgstore.Config) (int, error) {
	store, err := pgstore.Open(ctx, config)
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }()
	parked, err := store.ListPayments(ctx, pairing.Filter{States: []pairing.State{pairing.Parked}}, 100)
	return len(parked), err
}

// It takes a PostgreSQL server, and therefore isn't run as an example: a test of this package runs the same.
func ExampleOpen() {
	n, err := parkedIn(context.Background(), pgstore.Config{DSN: "postgres://tillroute@db.internal/shop"})
	fmt.Println(n, "payments wait for a person", err)
}
