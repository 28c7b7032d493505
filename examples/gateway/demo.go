package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	"github.com/tillroute/tillroute/pairing/metrics"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

const (
	// pollInterval is shorter than the vendor allows: the simulated one is on this machine.
	pollInterval = 300 * time.Millisecond
	// usualLease is short, so that a demo that was killed goes on soon after it is started again.
	usualLease = 4 * time.Second
	// joinTime is how long a gateway may take to say what world it is in.
	joinTime = 30 * time.Second
)

// demo is the gateway, and the simulated world around it.
type demo struct {
	url     string              // of the page with the till and the terminals
	world   *testserver.Systems // nil in one that has joined another's
	gateway *gateway.Handler
	router  *pairing.Router
	counts  *metrics.Collector

	store   pairing.Store
	server  *http.Server
	metrics *http.Server // nil without -metrics
	group   sync.WaitGroup
	failed  chan error
	end     context.CancelFunc
}

// options are what the flags say.
type options struct {
	addr     string
	database database
	metrics  string
	join     string
	lease    time.Duration
}

// start opens the database and starts everything. What runs ends with stop.
func start(ctx context.Context, o options, stderr io.Writer) (*demo, error) {
	// The till is one origin of the web, and the gateway another, as they would be.
	pageAt, gatewayAt, err := program.Listen(ctx, o.addr)
	if err != nil {
		return nil, err
	}
	d := &demo{url: "http://" + pageAt.Addr().String() + "/", failed: make(chan error, 4)} //nolint:mnd // one for each that runs.
	fail := func(err error) (*demo, error) {
		_, _ = pageAt.Close(), gatewayAt.Close()
		return nil, err
	}
	at, err := d.imagine(ctx, o)
	if err != nil {
		return fail(err)
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	if d.store, err = o.database.open(ctx); err != nil {
		return fail(err)
	}
	if err := d.build(at, "http://"+gatewayAt.Addr().String()+"/xseries", o.lease, logger); err != nil {
		_ = d.store.Close()
		return fail(err)
	}
	metricsAt, err := d.listenMetrics(ctx, o.metrics)
	if err != nil {
		_ = d.store.Close()
		return fail(err)
	}
	d.run(ctx, pageAt, gatewayAt)
	d.runMetrics(metricsAt)
	return d, nil
}

// imagine makes the simulated world, or joins another's, and returns what is in it.
func (d *demo) imagine(ctx context.Context, o options) (at testserver.Description, err error) {
	if o.join != "" {
		d.url = strings.TrimRight(o.join, "/") + "/"
		return join(ctx, d.url)
	}
	d.world = testserver.New(testserver.Options{
		PublicURL:    strings.TrimRight(d.url, "/"),
		StateFile:    strings.TrimSuffix(o.database.file, ".db") + ".simulated.json",
		SmartConnect: testserver.SmartConnectOptions{MinPoll: pollInterval / 2}, //nolint:mnd // half is far enough off.
	})
	if err := d.world.Load(); err != nil {
		return at, err
	}
	return d.world.Describe(), nil
}

// join asks the program at a page's address for its simulated world.
func join(ctx context.Context, page string) (at testserver.Description, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page+"_sim", nil)
	if err != nil {
		return at, fmt.Errorf("-join %q is not the address of a page: %w", page, err)
	}
	response, err := new(http.Client).Do(request)
	if err != nil {
		return at, fmt.Errorf("there is no gateway to join at %s: %w", page, err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&at); err != nil || at.SmartConnect.BaseURL == "" {
		return at, fmt.Errorf("there is no gateway to join at %s: it answers %s", page, response.Status)
	}
	return at, nil
}

// build makes what a payment company would run, from the public packages alone.
func (d *demo) build(at testserver.Description, address string, lease time.Duration, logger *slog.Logger) error {
	terminals, err := smartconnect.New(smartconnect.Config{
		BusinessName: "John Doe's Coffee Shop",
		VendorName:   "Tillroute",
		Currency:     at.SmartConnect.Currency,
		BaseURL:      at.SmartConnect.BaseURL, // leave it out for the real one
		PollInterval: pollInterval,
	})
	if err != nil {
		return err
	}
	if err := d.count(); err != nil {
		return err
	}
	d.router, err = pairing.New(pairing.Config{
		Store:     d.store,
		Drivers:   map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)},
		Lease:     lease,
		BusyDelay: time.Second,
		Logger:    logger,
		Observer:  d.counts.Observe,
	})
	if err != nil {
		return err
	}
	d.gateway, err = gateway.New(gateway.Config{
		Router: d.router,
		Tokens: d.store,
		OAuth: xseries.OAuth{
			ClientID:     at.XSeries.ClientID,
			ClientSecret: tillroute.Secret(at.XSeries.ClientSecret),
			AuthorizeURL: at.XSeries.AuthorizeURL, // leave these two out for the real ones
			BaseURL:      at.XSeries.BaseURL,
		},
		URL: address,
		// A key of your own is 32 random bytes that you keep. This one has to be the same after a restart, and guards nothing.
		Key:               key(at.XSeries.ClientSecret),
		Provider:          smartconnect.Provider,
		CashierMayResolve: true,
		Support:           "A demonstration: the store, the terminals and the money are simulated.",
		// The simulated till isn't on the vendor's domain.
		Stores: map[string]string{strings.TrimRight(d.url, "/"): at.XSeries.DomainPrefix},
		Logger: logger,
	})
	if err != nil {
		return err
	}
	if d.world == nil {
		return nil
	}
	d.world.XSeries.SetGatewayURL(d.gateway.GatewayURL())
	d.world.SetLinks("Tillroute: a till and its terminals", testserver.Link{Text: "Pair terminals", URL: d.gateway.PairingURL()})
	return nil
}

func key(seed string) tillroute.Secret {
	sum := sha256.Sum256([]byte("demonstration " + seed))
	return tillroute.Secret(hex.EncodeToString(sum[:]))
}

// run starts what runs.
func (d *demo) run(ctx context.Context, pageAt, gatewayAt net.Listener) {
	ctx, d.end = context.WithCancel(ctx)
	d.server = program.NewServer(d.gateway)
	d.server.RegisterOnShutdown(d.gateway.Close)
	if d.world == nil {
		_ = pageAt.Close()
	} else {
		d.group.Go(func() { d.failed <- d.world.Serve(ctx, pageAt) })
	}
	d.group.Go(func() { d.failed <- d.router.Run(ctx) })
	d.group.Go(func() { d.failed <- d.server.Serve(gatewayAt) })
}

// stop ends everything, the database last.
func (d *demo) stop(ctx context.Context) error {
	err := program.Shutdown(ctx, d.server)
	if d.metrics != nil {
		err = errors.Join(err, d.metrics.Close())
	}
	d.end()
	d.group.Wait()
	return errors.Join(err, d.store.Close())
}
