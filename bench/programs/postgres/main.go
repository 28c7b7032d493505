// Command postgres is the gateway with PostgreSQL.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tillroute/tillroute/pairing/pgstore"

	"github.com/tillroute/tillroute/bench/programs/app"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "postgres:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	store, err := pgstore.Open(ctx, pgstore.Config{DSN: "postgres:///tillroute"})
	if err != nil {
		return err
	}
	return app.Run(ctx, store)
}
