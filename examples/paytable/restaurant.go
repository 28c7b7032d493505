package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/smartconnect"
)

const (
	// pollInterval is shorter than the vendor allows: the simulated one is on this machine.
	pollInterval = 300 * time.Millisecond
	// interval is how often it is looked what was approved.
	interval = 200 * time.Millisecond
	// posDelay is how long the simulated point of sale takes.
	posDelay = 500 * time.Millisecond
	// lease is short, so that a demo that was killed goes on soon after it is started again.
	lease = 4 * time.Second

	account  = "bistro"
	endpoint = "paytable"
	method   = "OOPAYMENT"
	location = testserver.KSeriesLocation
)

// restaurant is what a pay-at-the-table app would run, and the simulated world around it.
type restaurant struct {
	url   string // of the page with the tables
	world *testserver.Systems

	store    pairing.Store
	router   *pairing.Router
	client   *kseries.Client
	oauth    kseries.OAuth
	payments *kseries.Payments
	password tillroute.Secret
	plans    []kseries.FloorPlan
	currency string

	// paying is held while it is found out what is left to be paid, and asked for.
	paying sync.Mutex

	server *http.Server
	group  sync.WaitGroup
	failed chan error
	end    context.CancelFunc
}

// start opens the database and starts everything. What runs ends with stop.
func start(ctx context.Context, addr, db string, stderr io.Writer) (*restaurant, error) {
	pageAt, worldAt, err := program.Listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	r := &restaurant{
		url: "http://" + pageAt.Addr().String() + "/", password: tillroute.Secret(rand.Text()),
		failed: make(chan error, 4), //nolint:mnd // one for each that runs.
	}
	fail := func(err error) (*restaurant, error) {
		_, _ = pageAt.Close(), worldAt.Close()
		return nil, err
	}
	r.world = testserver.New(testserver.Options{
		PublicURL:    "http://" + worldAt.Addr().String(),
		StateFile:    strings.TrimSuffix(db, ".db") + ".simulated.json",
		SmartConnect: testserver.SmartConnectOptions{MinPoll: pollInterval / 2}, //nolint:mnd // half is far enough off.
		KSeries:      testserver.KSeriesOptions{POSDelay: posDelay},
	})
	if err := r.world.Load(); err != nil {
		return fail(err)
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if r.store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: db}); err != nil {
		return fail(err)
	}
	handler, err := r.build(logger)
	if err != nil {
		_ = r.store.Close()
		return fail(err)
	}
	ctx, r.end = context.WithCancel(ctx)
	r.server = program.NewServer(handler)
	r.group.Go(func() { r.failed <- r.world.Serve(ctx, worldAt) })
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, pageAt.Close(), r.stop(ctx))
	}
	r.group.Go(func() { r.failed <- r.server.Serve(pageAt) })
	r.group.Go(func() { r.failed <- r.router.Run(ctx) })
	r.group.Go(func() { r.failed <- r.payments.Run(ctx) })
	return r, nil
}

// build makes what the app would run, from the public packages alone.
func (r *restaurant) build(logger *slog.Logger) (http.Handler, error) {
	at := r.world.Describe()
	terminals, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Bistro Tillroute",
		VendorName:   "Tillroute",
		Currency:     at.KSeries.Currency,     // what the simulated terminals charge has no currency
		BaseURL:      at.SmartConnect.BaseURL, // leave it out for the real one
		PollInterval: pollInterval,
	})
	if err != nil {
		return nil, err
	}
	r.router, err = pairing.New(pairing.Config{
		Store:        r.store,
		Drivers:      map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)},
		Lease:        lease,
		PollInterval: pollInterval,
		BusyDelay:    time.Second,
		Logger:       logger,
	})
	if err != nil {
		return nil, err
	}
	r.oauth = kseries.OAuth{
		ClientID:     at.KSeries.ClientID,
		ClientSecret: tillroute.Secret(at.KSeries.ClientSecret),
		RedirectURL:  "https://bistro.example/callback",
		Scopes:       []string{"orders-api", "financial-api", "offline_access"},
		AuthorizeURL: at.KSeries.AuthorizeURL, // leave these two out for the real ones
		TokenURL:     at.KSeries.TokenURL,
	}
	r.client, err = kseries.New(kseries.Config{OAuth: r.oauth, Tokens: r.store, Account: account, BaseURL: at.KSeries.BaseURL})
	if err != nil {
		return nil, err
	}
	r.payments, err = kseries.NewPayments(kseries.PaymentsConfig{
		Client: r.client, Router: r.router, EndpointID: endpoint, Method: method, TTL: time.Minute, Margin: 10 * time.Second, Interval: interval,
		RetryPause: 2 * time.Second, CheckInterval: 10 * time.Second, //nolint:mnd // a demonstration is watched.
		Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	notifications, err := kseries.NewNotificationHandler(kseries.NotificationConfig{
		Credentials: []kseries.Credential{{Username: endpoint, Password: r.password}},
		Deliveries:  r.store, Handle: r.payments.Notification, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	return r.pages(notifications), nil
}

// open gets everything ready that isn't yet: the merchant's consent, the webhook endpoint, terminals at the tables, and guests.
func (r *restaurant) open(ctx context.Context) error {
	_, err := r.store.Grant(ctx, kseries.System, account)
	if errors.Is(err, tillroute.ErrNotFound) {
		err = r.connect(ctx)
	}
	if err != nil {
		return fmt.Errorf("the merchant is not connected: %w", err)
	}
	hook := kseries.Endpoint{ID: endpoint, URL: r.url + "notifications", Username: endpoint, Password: r.password}
	if _, err = r.client.Webhooks.Get(ctx, endpoint); errors.Is(err, tillroute.ErrNotFound) {
		_, err = r.client.Webhooks.Create(ctx, hook)
	} else if err == nil {
		_, err = r.client.Webhooks.Update(ctx, hook)
	}
	if err != nil {
		return fmt.Errorf("nobody would tell what becomes of the payments: %w", err)
	}
	if r.currency, err = r.client.Finance.Currency(ctx, location); err != nil {
		return err
	}
	if r.plans, err = r.client.Tables.FloorPlans(ctx, location); err != nil {
		return err
	}
	devices := r.world.SmartConnect.Devices()
	for i, plan := range r.plans {
		for j, table := range plan.Tables {
			if err := r.pair(ctx, table, devices[(i+j)%len(devices)]); err != nil {
				return fmt.Errorf("table %d has no terminal: %w", table.Number, err)
			}
		}
	}
	if len(r.world.KSeries.Checks()) > 0 {
		return nil
	}
	for _, guests := range []struct {
		table int
		order []string
	}{{2, []string{"20002", "20003", "30001", "30001"}}, {3, []string{"20001", "20004"}}, {5, []string{"20002", "20002", "20002", "30001"}}} {
		if _, err := r.world.KSeries.OpenCheck(guests.table, guests.order...); err != nil {
			return err
		}
	}
	return nil
}

// connect has the merchant allow the app what it needs.
func (r *restaurant) connect(ctx context.Context) error {
	state := kseries.NewState()
	page, err := r.oauth.AuthCodeURL(state)
	if err != nil {
		return err
	}
	// Somebody's browser goes to the page and comes back. The simulated page consents at once.
	back, err := simulated.Consent(ctx, page)
	if err != nil {
		return err
	}
	code, err := r.oauth.ParseCallback(back, state)
	if err != nil {
		return err
	}
	grant, err := r.oauth.Exchange(ctx, account, code)
	if err != nil {
		return err
	}
	_, err = r.store.PutGrant(ctx, grant, 0)
	return err
}

// register is the name of a table among the registers.
func register(table int64) pairing.Register {
	return kseries.RegisterKey(location, "table-"+strconv.FormatInt(table, 10))
}

// pair gives a table its terminal, unless it has one.
func (r *restaurant) pair(ctx context.Context, table kseries.Table, device *testserver.Device) error {
	_, err := r.router.Pairing(ctx, register(table.Number))
	if !errors.Is(err, tillroute.ErrNotFound) {
		return err
	}
	// The waiter reads it off the terminal.
	code, err := device.ShowCode()
	if err != nil {
		return err
	}
	_, err = r.router.Pair(ctx, pairing.PairRequest{
		Register: register(table.Number), RegisterName: fmt.Sprint("Table ", table.Number), Provider: smartconnect.Provider, Code: code,
	})
	return err
}

// stop ends everything, the database last.
func (r *restaurant) stop(ctx context.Context) error {
	err := program.Shutdown(ctx, r.server)
	r.end()
	r.group.Wait()
	return errors.Join(err, r.store.Close())
}
