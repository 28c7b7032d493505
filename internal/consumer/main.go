// Consumer is a program outside of the module, written as a user would write one against what is exported. That it compiles says
// that the public API can be used from outside, and that it runs, that a payment is routed.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/metrics"
	"github.com/tillroute/tillroute/pairing/pgstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

// bell is a terminal that approves everything.
type bell struct{}

func (bell) Start(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
	return pairing.Handle{TransactionID: p.ID}, nil
}

func (bell) Await(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
}

// rooms is a hotel that only knows how to search.
type rooms struct{ pms.Unimplemented }

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "consumer-")
	if err != nil {
		log.Fatal(err)
	}
	err = pay(ctx, folder)
	if err := os.RemoveAll(folder); err != nil {
		log.Print(err)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// pay routes a payment, and makes one of everything else.
func pay(ctx context.Context, folder string) error {
	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(folder, "tillroute.db")})
	if err != nil {
		return err
	}
	defer store.Close()
	terminals, err := smartconnect.New(smartconnect.Config{BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD"})
	if err != nil {
		return err
	}
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{
		"bell": bell{}, smartconnect.Provider: smartconnect.NewDriver(terminals),
	}})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = router.Run(running)
	}()
	defer func() { stop(); <-stopped }()

	till := pairing.Register{System: xseries.System, Account: "toys", ID: "till-1"}
	if _, err := router.PairTerminal(ctx, pairing.Pairing{Register: till, Terminal: pairing.Terminal{Provider: "bell", Serial: "1"}}); err != nil {
		return err
	}
	paid, err := router.Pay(ctx, pairing.Request{ID: "sale-1", Register: till, Amount: decimal.RequireFromString("12.50"), Currency: "NZD"})
	if err != nil {
		return err
	}
	fmt.Println(paid.Outcome(), paid.Result.Amount)
	return others(store, router)
}

// others makes the rest of what the module has: with a configuration, or with the error that says what is missing of it.
func others(store pairing.Store, router *pairing.Router) error {
	must := func(what string, err error) error {
		if err == nil || errors.Is(err, tillroute.ErrInvalid) {
			return nil
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	_, x := xseries.New(xseries.Config{DomainPrefix: "toys", Tokens: store})
	_, g := gateway.New(gateway.Config{Router: router, Tokens: store})
	_, k := kseries.New(kseries.Config{Tokens: store, Account: "bistro"})
	_, t := kseries.NewPayments(kseries.PaymentsConfig{Router: router})
	_, u := paysera.New(paysera.Config{})
	_, h := pms.NewHandler(pms.Config{Backend: rooms{}, Deliveries: store})
	_, p := pgstore.Open(context.Background(), pgstore.Config{})
	_, m := metrics.New(metrics.Config{})
	var mux http.ServeMux
	mux.Handle("/", http.NotFoundHandler())
	return errors.Join(must("xseries", x), must("gateway", g), must("kseries", k), must("payments", t), must("paysera", u), must("pms", h),
		must("pgstore", p), must("metrics", m))
}
