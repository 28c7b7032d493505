// Command sqlite is the gateway with SQLite.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tillroute/tillroute/pairing/sqlitestore"

	"github.com/tillroute/tillroute/bench/programs/app"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "sqlite:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: "tillroute.db"})
	if err != nil {
		return err
	}
	return app.Run(ctx, store)
}
