// Command memory is the gateway with a store in memory, and so without a database.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tillroute/tillroute/pairing/memstore"

	"github.com/tillroute/tillroute/bench/programs/app"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	store := memstore.New(memstore.Config{})
	return app.Run(ctx, store)
}
