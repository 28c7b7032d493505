package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/paysera/qr"
	"github.com/tillroute/tillroute/smartconnect"
)

const (
	// The vendors allow less: the simulated ones are on this machine.
	interval     = time.Second
	requests     = 100_000
	pollInterval = 300 * time.Millisecond
	// lease is short, so that the café goes on soon after it was killed and started again.
	lease = 4 * time.Second
	// again is the pause before the café goes on with a payment at the terminal that could not be finished.
	again = 5 * time.Second
)

// cafe is the café, and the simulated world around it.
type cafe struct {
	url   string // of the simulated world
	world *testserver.Systems
	out   *printer
	guest *guest

	till     *till
	client   *paysera.Client
	merchant *paysera.Merchant
	router   *pairing.Router
	store    pairing.Store

	server *http.Server
	group  sync.WaitGroup
	failed chan error
	end    context.CancelFunc
}

// printer prints lines of several goroutines.
type printer struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *printer) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.w, format+"\n", args...)
}

// start opens the database and starts everything. What runs ends with stop.
func start(ctx context.Context, addr, db string, out *printer, stderr io.Writer) (*cafe, error) {
	var config net.ListenConfig
	worldAt, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: choose another address with -addr: %w", addr, err)
	}
	callbacksAt, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, worldAt.Close())
	}
	fail := func(err error) (*cafe, error) {
		_, _ = worldAt.Close(), callbacksAt.Close()
		return nil, err
	}
	c := &cafe{url: "http://" + worldAt.Addr().String(), out: out, failed: make(chan error, 4)} //nolint:mnd // one for each that runs.
	files := strings.TrimSuffix(db, ".db")
	c.world = testserver.New(testserver.Options{
		PublicURL:    c.url,
		StateFile:    files + ".simulated.json",
		SmartConnect: testserver.SmartConnectOptions{MinPoll: pollInterval / 2}, //nolint:mnd // half is far enough off.
		Paysera:      testserver.PayseraOptions{RateLimit: -1, AccountLimit: -1},
	})
	if err := c.world.Load(); err != nil {
		return fail(err)
	}
	kept, err := openBook(files + ".bills.json")
	if err != nil {
		return fail(err)
	}
	if c.store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: db}); err != nil {
		return fail(err)
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	callbacks, err := c.build(kept, logger)
	if err != nil {
		_ = c.store.Close()
		return fail(err)
	}
	c.world.Paysera.SetCallbackURI("http://" + callbacksAt.Addr().String() + "/paysera")
	c.run(ctx, callbacks, worldAt, callbacksAt)
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.stop(ctx))
	}
	return c, nil
}

// build makes what a café would run, from the public packages alone.
func (c *cafe) build(kept *book, logger *slog.Logger) (callbacks http.Handler, err error) {
	at := c.world.Describe()
	c.client, err = paysera.New(paysera.Config{
		ClientID:     at.Paysera.ClientID,
		ClientSecret: tillroute.Secret(at.Paysera.ClientSecret),
		BaseURL:      at.Paysera.BaseURL, // leave it out for the real one
	})
	if err != nil {
		return nil, err
	}
	c.till = &till{book: kept, location: at.Paysera.Locations[0].ID, out: c.out}
	c.merchant, err = paysera.NewMerchant(paysera.MerchantConfig{
		Client: c.client, Till: c.till, Interval: interval, RequestsPerHour: requests, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	terminals, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Café Tillroute",
		VendorName:   "Tillroute",
		Currency:     currency, // what the simulated terminals charge has no currency
		BaseURL:      at.SmartConnect.BaseURL,
		PollInterval: pollInterval,
	})
	if err != nil {
		return nil, err
	}
	c.router, err = pairing.New(pairing.Config{
		Store:     c.store,
		Drivers:   map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)},
		Lease:     lease,
		BusyDelay: time.Second,
		Logger:    logger,
	})
	if err != nil {
		return nil, err
	}
	return paysera.NewCallbackHandler(paysera.CallbackConfig{
		Key:        func(ctx context.Context) (*rsa.PublicKey, error) { return c.client.PublicKey(ctx) },
		Deliveries: c.store,
		Handle:     c.merchant.Callback,
		Logger:     logger,
	})
}

// run starts what runs.
func (c *cafe) run(ctx context.Context, callbacks http.Handler, worldAt, callbacksAt net.Listener) {
	ctx, c.end = context.WithCancel(ctx)
	c.server = program.NewServer(callbacks)
	c.group.Go(func() { c.failed <- c.world.Serve(ctx, worldAt) })
	c.group.Go(func() { c.failed <- c.server.Serve(callbacksAt) })
	c.group.Go(func() { c.failed <- c.router.Run(ctx) })
	c.group.Go(func() { c.failed <- c.merchant.Run(ctx) })
	c.group.Go(func() { c.cards(ctx) })
}

// open gets everything ready that isn't yet: the terminal at the second table, and the guest's phone.
func (c *cafe) open(ctx context.Context) error {
	register := paysera.RegisterKey(c.till.location, table2)
	_, err := c.router.Pairing(ctx, register)
	if errors.Is(err, tillroute.ErrNotFound) {
		var code string
		// The waiter reads it off the terminal.
		if code, err = c.terminal().ShowCode(); err == nil {
			_, err = c.router.Pair(ctx, pairing.PairRequest{Register: register, RegisterName: table2, Provider: smartconnect.Provider, Code: code})
		}
	}
	if err != nil {
		return fmt.Errorf("%s has no terminal: %w", table2, err)
	}
	at := c.world.Describe().Paysera
	c.guest, err = newGuest(ctx, paysera.OAuth{
		ClientID:     at.AppID,
		ClientSecret: tillroute.Secret(at.AppSecret),
		RedirectURL:  "https://phone.example/callback",
		AuthorizeURL: at.AuthURL + "/oauth", // leave these two out for the real ones
		BaseURL:      at.BaseURL,
	}, c.store)
	return err
}

func (c *cafe) terminal() *testserver.Device { return c.world.SmartConnect.Devices()[0] }

// code is what the QR code of a table says.
func (c *cafe) code(identifier string) (paysera.SpotCode, error) {
	return paysera.NewSpotCode(c.till.location, identifier)
}

// showCodes prints the QR codes that stand on the tables.
func (c *cafe) showCodes(ground qr.Ground) error {
	for _, table := range tables() {
		code, err := c.code(table)
		if err != nil {
			return err
		}
		drawn, err := qr.New(code)
		if err != nil {
			return err
		}
		c.out.say("%s\n%s", code, drawn.Text(ground))
	}
	return nil
}

// cards sees to the visits that are paid at a terminal, also to those that an earlier process has begun.
func (c *cafe) cards(ctx context.Context) {
	for {
		visits, changed := c.till.book.visits()
		var failed <-chan time.Time
		for _, v := range visits {
			if !v.Card || v.Settled {
				continue
			}
			if err := c.card(ctx, v); err != nil && ctx.Err() == nil {
				c.out.say("café: %s: %v", v.Bill.Reference, err)
				failed = time.After(again)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-failed:
		}
	}
}

// card has a visit paid at the terminal of its table. It may be called again whenever it didn't come to its end.
func (c *cafe) card(ctx context.Context, v visit) error {
	bill := v.Bill
	if bill.Status == "" {
		var err error
		// Only what can't be paid in the wallet any more may be paid elsewhere.
		if bill, err = c.merchant.Withdraw(ctx, bill); err != nil {
			return err
		}
	}
	if bill.Status == paysera.BillPaid {
		return c.settle(ctx, v)
	}
	paid, err := c.payAt(ctx, pairing.Request{
		// Of the same ID there is one payment, however often it is asked for.
		ID: "cafe/" + bill.Reference, Register: paysera.RegisterKey(c.till.location, v.Table),
		Amount: bill.Amount, Currency: bill.Currency, Reference: bill.Reference,
	})
	switch {
	case errors.Is(err, tillroute.ErrOutcomeUnknown):
		return fmt.Errorf("look at the terminal, and resolve the payment: %w", err)
	case err != nil:
		return err
	case paid.Outcome() == tillroute.Approved:
		c.out.say("café: %s is paid at the terminal: %s %s", bill.Reference, paid.Result.Amount.StringFixed(2), bill.Currency)
	default:
		c.out.say("café: %s is not paid at the terminal, it was %s", bill.Reference, paid.Outcome())
	}
	return c.settle(ctx, v)
}

// payAt has a payment made at the terminal, and says when the card can be presented.
func (c *cafe) payAt(ctx context.Context, request pairing.Request) (pairing.Payment, error) {
	if paid, err := c.router.Submit(ctx, request); err != nil {
		return paid, err
	}
	for progress, err := range c.router.Watch(ctx, request.ID) {
		if err != nil {
			break
		}
		if progress.Payment.State == pairing.Sent {
			c.out.say("café: %s is at terminal %s, which waits for the card", request.Reference, progress.Payment.Terminal.Serial)
			break
		}
	}
	return c.router.Wait(ctx, request.ID)
}

// settle ends a visit: its guests have paid, or have to check in again to pay in another way.
func (c *cafe) settle(ctx context.Context, v visit) error {
	if _, err := c.client.Spots.Close(ctx, v.Bill.SpotID); err != nil {
		return err
	}
	return c.till.book.update(v.Bill.Reference, func(v *visit) error { v.Settled = true; return nil })
}

// stop ends everything, the database last.
func (c *cafe) stop(ctx context.Context) error {
	err := program.Shutdown(ctx, c.server)
	c.end()
	c.group.Wait()
	return errors.Join(err, c.store.Close())
}
