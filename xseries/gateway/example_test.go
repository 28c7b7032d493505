package gateway_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
	"github.com/tillroute/tillroute/xseries/xseriestest"
)

func ExampleNew() {
	store := memstore.New(memstore.Config{}) // sqlitestore or pgstore in a program of yours
	terminals, err := smartconnect.New(smartconnect.Config{BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD"})
	if err != nil {
		fmt.Println(err)
		return
	}
	router, err := pairing.New(pairing.Config{
		Store: store, Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	key := make([]byte, 32) // Made once, and kept: here it is gone with the process.
	_, _ = rand.Read(key)
	pages, err := gateway.New(gateway.Config{
		Router: router, Tokens: store, Provider: smartconnect.Provider, Key: tillroute.Secret(key),
		OAuth: xseries.OAuth{ClientID: "the application's", ClientSecret: "the application's secret"},
		URL:   "https://pay.example.com/xseries",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pages.Close()
	mux := http.NewServeMux()
	mux.Handle("/xseries/", pages)
	fmt.Println("merchants begin at", pages.PairingURL())
	fmt.Println("and enter as the gateway", pages.GatewayURL())

	// A page that isn't opened by a sell screen says so.
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, pages.GatewayURL(), nil))
	fmt.Println(answer.Code)
	// Output:
	// merchants begin at https://pay.example.com/xseries/
	// and enter as the gateway https://pay.example.com/xseries/pay
	// 400
}

// newPages returns pages whose payments nobody takes.
func newPages() (*gateway.Handler, error) {
	store := memstore.New(memstore.Config{})
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{"none": noDriver{}}})
	if err != nil {
		return nil, err
	}
	return gateway.New(gateway.Config{
		Router: router, Tokens: store, Key: "32 random bytes at least, and kept", URL: "https://pay.example.com/xseries",
		OAuth: xseries.OAuth{ClientID: "the application's", ClientSecret: "the application's secret"},
	})
}

// Every few minutes, say: do the sales have what was approved for them?
func ExampleHandler_Reconcile() {
	pages, err := newPages()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pages.Close()
	store, err := xseriestest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = store.Close() }()
	config := store.Config()
	client, err := xseries.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	// A sale that another gateway has taken the money for.
	screen, err := store.Pay(store.Registers()[0].ID, decimal.RequireFromString("8.00"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := screen.Post(`{"step":"ACCEPT","transaction_id":"tx-1"}`); err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	stored := int64(0) // what was kept the last time
	for page, err := range client.Sales.Changes(ctx, stored) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, sale := range page.Items {
			missing, err := pages.Reconcile(ctx, config.DomainPrefix, sale)
			if err != nil {
				fmt.Println(err)
				return
			}
			for _, p := range missing {
				fmt.Println("the sale lacks", p.ID, "of", p.EndedAt) // For a person, if that was long ago.
			}
			fmt.Println("approved here and not in the sale:", len(missing))
		}
		stored = page.Next
	}
	fmt.Println("kept for the next time:", stored > 0)
	// Output:
	// approved here and not in the sale: 0
	// kept for the next time: true
}
