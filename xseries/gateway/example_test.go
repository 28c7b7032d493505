package gateway_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
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
