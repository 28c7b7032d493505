package sqlitestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

// What was written down is there when the program is started again.
func ExampleOpen() {
	folder, err := os.MkdirTemp("", "tillroute-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	ctx := context.Background()
	till := pairing.Register{System: "mypos", Account: "toys", ID: "till-1"}
	path := filepath.Join(folder, "tillroute.db")

	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: path})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.Pairing(ctx, till)
	fmt.Println("not paired yet:", errors.Is(err, tillroute.ErrNotFound))
	_, err = store.PutPairing(ctx, pairing.Pairing{Register: till, Terminal: pairing.Terminal{Provider: "acquirer", Serial: "0042"}}, 0)
	fmt.Println(err, store.Close())

	store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: path})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = store.Close() }()
	paired, err := store.Pairing(ctx, till)
	fmt.Println(paired.Terminal, err)
	// Output:
	// not paired yet: true
	// <nil> <nil>
	// acquirer/0042 <nil>
}
