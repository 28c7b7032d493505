// Package app is what the programs whose sizes are compared have in common: a gateway for X-Series on SmartConnect's terminals.
package app

import (
	"context"
	"net/http"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

// Run serves the gateway on a store.
func Run(ctx context.Context, store pairing.Store) error {
	terminals, err := smartconnect.New(smartconnect.Config{BusinessName: "Acme", VendorName: "Tillroute", Currency: "NZD"})
	if err != nil {
		return err
	}
	router, err := pairing.New(pairing.Config{
		Store: store, Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)},
	})
	if err != nil {
		return err
	}
	handler, err := gateway.New(gateway.Config{
		Router: router, Tokens: store, OAuth: xseries.OAuth{ClientID: "id", ClientSecret: "secret"},
		URL: "https://pay.example.com/xseries", Key: "0123456789abcdef0123456789abcdef", Provider: smartconnect.Provider,
	})
	if err != nil {
		return err
	}
	go func() { _ = router.Run(ctx) }()
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}
