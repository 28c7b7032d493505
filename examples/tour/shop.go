package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
)

const (
	// pollInterval is shorter than the vendor allows: the simulated one is on this machine.
	pollInterval = 60 * time.Millisecond
	// lease is short, so that the tour doesn't wait long for a process that was killed.
	lease = 1500 * time.Millisecond
)

// shop is what a payment company would run: the store, the router and the clients. It is built from the public
// packages alone.
type shop struct {
	rail  rail
	oauth xseries.OAuth

	store  pairing.Store
	router *pairing.Router
	stop   func() error

	// client and currency are there once the merchant has connected.
	client   *xseries.Client
	currency map[string]string // by register ID
}

// rail says where the payments go. A process of its own gets it as JSON.
type rail struct {
	Database string `json:"database"`
	URL      string `json:"url"`
	Currency string `json:"currency"`

	watch watch // only in the tour's own process
}

func openShop(ctx context.Context, systems *testserver.Systems, folder string, seen watch) (*shop, error) {
	at := systems.Describe()
	s := &shop{
		rail: rail{
			Database: filepath.Join(folder, "tillroute.db"),
			URL:      at.SmartConnect.BaseURL,
			Currency: at.SmartConnect.Currency,
			watch:    seen,
		},
		oauth: xseries.OAuth{
			ClientID:     at.XSeries.ClientID,
			ClientSecret: tillroute.Secret(at.XSeries.ClientSecret),
			RedirectURL:  "https://gateway.example/callback",
			Scopes:       []string{"registers:read", "outlets:read"},
			AuthorizeURL: at.XSeries.AuthorizeURL,
			BaseURL:      at.XSeries.BaseURL,
			HTTP:         seen.http(),
		},
		currency: map[string]string{},
	}
	var err error
	s.store, s.router, s.stop, err = s.rail.open(ctx)
	return s, err
}

func (s *shop) close() error {
	if s.stop == nil {
		return nil
	}
	stop := s.stop
	s.stop = nil
	return stop()
}

// open opens the store and runs a router on it until stop is called.
func (r rail) open(ctx context.Context) (store pairing.Store, router *pairing.Router, stop func() error, err error) {
	terminals, err := smartconnect.New(smartconnect.Config{
		BusinessName: "John Doe's Coffee Shop",
		VendorName:   "Tillroute",
		Currency:     r.Currency,
		BaseURL:      r.URL,
		PollInterval: pollInterval,
		HTTP:         r.watch.http(),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	r.watch.see(terminals)
	store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: r.Database})
	if err != nil {
		return nil, nil, nil, err
	}
	router, err = pairing.New(pairing.Config{
		Store:        store,
		Drivers:      map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)},
		Lease:        lease,
		PollInterval: 100 * time.Millisecond,
		BusyDelay:    200 * time.Millisecond,
		Logger:       r.watch.logger,
		Observer:     r.watch.events,
	})
	if err != nil {
		return nil, nil, nil, errors.Join(err, store.Close())
	}
	running, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { _ = router.Run(running) })
	return store, router, func() error {
		cancel()
		group.Wait()
		return store.Close()
	}, nil
}

// sellScreen is the window of the point of sale that a payment page talks to. In a browser this is postMessage.
type sellScreen interface {
	Post(message string) (reply string, err error)
}

// takePayment is what a payment page does: it asks the sell screen what is to be paid, has it paid, and answers. A
// sale may be paid in several parts, so the caller numbers the attempts.
func (s *shop) takePayment(ctx context.Context, screen sellScreen, store string, attempt int, note func(string)) (pairing.Payment, error) {
	if _, err := post(screen, xseries.Setup{EnableClose: false}); err != nil {
		return pairing.Payment{}, err
	}
	answer, err := post(screen, xseries.DataRequest{})
	if err != nil {
		return pairing.Payment{}, err
	}
	data, ok := answer.(xseries.Data)
	if !ok {
		return pairing.Payment{}, fmt.Errorf("the sell screen answered %T", answer)
	}
	charge, err := data.Charge()
	if err != nil {
		return pairing.Payment{}, err
	}
	request := pairing.Request{
		ID:        fmt.Sprintf("xseries/%s/%s/%d", store, charge.SaleID, attempt),
		Register:  xseries.RegisterKey(store, charge.RegisterID),
		Kind:      charge.Kind,
		Amount:    charge.Amount,
		Currency:  s.currency[charge.RegisterID],
		Reference: charge.SaleID,
	}
	paid, err := s.follow(ctx, request, note)
	if errors.Is(err, tillroute.ErrOutcomeUnknown) {
		// Nobody knows yet: the window stays open, and the cashier can't leave it.
		return paid, err
	}
	if err != nil {
		return paid, err
	}
	switch paid.Outcome() {
	case tillroute.Approved:
		_, err = post(screen, xseries.Accept{
			TransactionID: paid.Result.TransactionID,
			ReceiptHTML:   xseries.ReceiptHTML(paid.Result.Receipt),
		})
	default: // Declined, Cancelled or Failed: no money moved.
		_, err = post(screen, xseries.Decline{ReceiptHTML: xseries.ReceiptHTML(paid.Result.Receipt)})
	}
	return paid, err
}

// follow submits a payment, says how it comes forward, and returns how it ended.
func (s *shop) follow(ctx context.Context, request pairing.Request, note func(string)) (pairing.Payment, error) {
	if _, err := s.router.Submit(ctx, request); err != nil {
		return pairing.Payment{}, err
	}
	for progress, err := range s.router.Watch(ctx, request.ID) {
		if err != nil {
			break
		}
		p := progress.Payment
		text := string(p.State) + " at " + p.Terminal.Serial
		if p.State == pairing.Queued {
			text = fmt.Sprintf("%s, %d ahead", text, progress.Ahead)
		}
		if p.Note != "" {
			text += ": " + p.Note
		}
		note(text)
	}
	return s.router.Wait(ctx, request.ID)
}

func post(screen sellScreen, m xseries.Message) (xseries.Message, error) {
	text, err := xseries.EncodeMessage(m)
	if err != nil {
		return nil, err
	}
	reply, err := screen.Post(text)
	if err != nil || reply == "" {
		return nil, err
	}
	return xseries.ParseMessage([]byte(reply))
}

func money(text string) decimal.Decimal { return decimal.RequireFromString(text) }
