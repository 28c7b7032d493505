package tillroute_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/smartconnect/smartconnecttest"
)

// A register is paired with the terminal that shows a code, and takes a payment on it.
func Example() {
	baseURL, code, path, clean := simulatedTerminal()
	defer clean()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// README: from here
	store := must(sqlitestore.Open(ctx, sqlitestore.Config{Path: path}))
	terminals := must(smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD",
		BaseURL: baseURL, // leave it out for the real one
	}))
	drivers := map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)}
	router := must(pairing.New(pairing.Config{Store: store, Drivers: drivers}))
	go func() { _ = router.Run(ctx) }() // works on the payments until ctx ends

	till := pairing.Register{System: "mypos", Account: "toys", ID: "till-1"}
	must(router.Pair(ctx, pairing.PairRequest{Register: till, Provider: smartconnect.Provider, Code: code}))
	paid, err := router.Pay(ctx, pairing.Request{
		ID: "sale-1001", Register: till, Amount: decimal.RequireFromString("12.50"), Currency: "NZD",
	})
	fmt.Println(paid.Outcome(), paid.Result.Amount, err) // an error of tillroute.ErrOutcomeUnknown: nobody knows yet
	// README: to here

	// Output: approved 12.5 <nil>
}

// must is for short examples.
func must[T any](value T, err error) T {
	if err != nil {
		log.Panic(err)
	}
	return value
}

// simulatedTerminal starts a simulated SmartConnect with a terminal that shows a code and approves what it is asked.
func simulatedTerminal() (baseURL, code, path string, clean func()) {
	server := must(smartconnecttest.Start())
	terminal := server.Terminal()
	terminal.SetAnswer(smartconnecttest.Approves)
	folder := must(os.MkdirTemp("", "tillroute-example-"))
	return server.URL(), must(terminal.ShowCode()), filepath.Join(folder, "tillroute.db"), func() {
		if err := server.Close(); err != nil {
			log.Print(err)
		}
		_ = os.RemoveAll(folder)
	}
}
