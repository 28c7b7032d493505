package pgstore_test

import (
	"context"
	"fmt"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// It takes a PostgreSQL server, and therefore isn't run.
func ExampleOpen() {
	ctx := context.Background()
	store, err := pgstore.Open(ctx, pgstore.Config{DSN: "postgres://tillroute@db.internal/shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = store.Close() }()
	parked, err := store.ListPayments(ctx, pairing.Filter{States: []pairing.State{pairing.Parked}}, 100)
	fmt.Println(len(parked), "payments wait for a person", err)
}
