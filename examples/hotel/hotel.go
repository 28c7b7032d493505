package main

import (
	"context"
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
	"github.com/tillroute/tillroute/pms"
)

// remembered is how long answers are kept at least.
const remembered = 30 * 24 * time.Hour

// times are how long things take.
type times struct {
	// timeout is how long the hotel may think about a charge.
	timeout time.Duration
	// thinks is how long a hotel system thinks that is slow, until it gives up by itself.
	thinks time.Duration
}

// usual has a short timeout, so that nobody who tries out a slow hotel system waits long.
func usual() times { return times{timeout: 2 * time.Second, thinks: time.Hour} }

// patient is for those who don't watch: the disk may be slow, and only what is meant to comes too late.
func patient() times { return times{timeout: time.Minute, thinks: time.Second} }

// hotel is the hotel, and the simulated world around it.
type hotel struct {
	url    string // of the hotel
	files  string // what the names of its files begin with
	out    io.Writer
	logger *slog.Logger
	world  *testserver.Systems
	times  times

	// The hotel's part, which -once ends and starts again.
	at     string
	store  *sqlitestore.Store
	desk   *desk
	server *http.Server

	group  sync.WaitGroup
	failed chan error
	end    context.CancelFunc
}

func (h *hotel) say(format string, args ...any) { _, _ = fmt.Fprintf(h.out, format+"\n", args...) }

// start opens the databases and starts everything. What runs ends with stop.
func start(ctx context.Context, addr, db string, t times, stdout, stderr io.Writer) (*hotel, error) {
	// The hotel is somewhere else than Lightspeed.
	hotelAt, worldAt, err := program.Listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	h := &hotel{
		url: "http://" + hotelAt.Addr().String(), at: hotelAt.Addr().String(), files: strings.TrimSuffix(db, ".db"), out: stdout, times: t,
		logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), failed: make(chan error, 4), //nolint:mnd // enough for each that runs.
	}
	h.world = testserver.New(testserver.Options{
		PublicURL: "http://" + worldAt.Addr().String(), StateFile: h.files + ".simulated.json", Title: "A restaurant in a hotel",
		Links: []testserver.Link{{Text: "Reception", URL: h.url + "/"}}, PMS: testserver.PMSOptions{Timeout: max(15*time.Second, 2*t.timeout)}, //nolint:mnd // as it waits usually.
	})
	if err := h.world.Load(); err != nil {
		return nil, errors.Join(err, hotelAt.Close(), worldAt.Close())
	}
	if err := h.open(ctx, hotelAt, db); err != nil {
		return nil, errors.Join(err, worldAt.Close())
	}
	serving, end := context.WithCancel(ctx)
	h.end = end
	h.group.Go(func() { h.failed <- h.world.Serve(serving, worldAt) })
	if err := h.register(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the hotel can't be registered with the restaurant: %w", err), h.stop(ctx))
	}
	return h, nil
}

// open starts the hotel's part: what a hotel would run, from the public packages alone.
func (h *hotel) open(ctx context.Context, at net.Listener, db string) (err error) {
	if h.store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: db}); err != nil {
		return errors.Join(err, at.Close())
	}
	kept, err := openBooks(ctx, h.files+".folios.db")
	if err != nil {
		return errors.Join(err, h.store.Close(), at.Close())
	}
	fail := func(err error) error { return errors.Join(err, kept.close(), h.store.Close(), at.Close()) }
	if _, err := h.store.PurgeDeliveries(ctx, remembered); err != nil {
		return fail(err)
	}
	key, err := kept.apiKey(ctx)
	if err != nil {
		return fail(err)
	}
	h.desk = &desk{books: kept, pace: quick, thinks: h.times.thinks}
	handler, err := h.handler(tillroute.Secret(key), h.store)
	if err != nil {
		return fail(err)
	}
	reception := newReception(h.desk, h.world.Describe().Sim.RestaurantURL)
	mux := http.NewServeMux()
	mux.Handle("/pms/", handler)
	mux.Handle("/", reception)
	h.server = program.NewServer(mux)
	h.server.RegisterOnShutdown(reception.close)
	server := h.server
	h.group.Go(func() { h.failed <- server.Serve(at) })
	return nil
}

func (h *hotel) handler(key tillroute.Secret, deliveries pairing.Deliveries) (http.Handler, error) {
	return pms.NewHandler(pms.Config{
		Backend: h.desk, Keys: []pms.Key{{APIKey: key}}, Deliveries: deliveries, Timeout: h.times.timeout, Logger: h.logger,
	})
}

// register tells Lightspeed where the hotel is. It may have been elsewhere the last time.
func (h *hotel) register(ctx context.Context) error {
	at := h.world.Describe().PMS
	client, err := pms.NewClient(pms.ClientConfig{
		Token:   func(context.Context) (tillroute.Secret, error) { return tillroute.Secret(at.AccessToken), nil },
		BaseURL: at.BaseURL, // leave it out for the real one
	})
	if err != nil {
		return err
	}
	key, err := h.desk.books.apiKey(ctx)
	if err != nil {
		return err
	}
	wanted := pms.ProviderRequest{
		Name: "Hotel Tillroute", Endpoint: h.url + "/pms", APIKey: tillroute.Secret(key),
		Features: []pms.Feature{pms.SearchByName, pms.MultiPayments, pms.PartialPayments, pms.EnrichedPayload},
	}
	known, err := client.Providers.List(ctx, at.BusinessLocationID)
	switch {
	case err != nil:
		return err
	case len(known) == 0:
		_, err = client.Providers.Create(ctx, at.BusinessLocationID, wanted)
	default:
		_, err = client.Providers.Update(ctx, known[0].ID, wanted)
	}
	return err
}

// shut ends the hotel's part, the databases last.
func (h *hotel) shut(ctx context.Context) error {
	err := program.Shutdown(ctx, h.server)
	return errors.Join(err, h.desk.books.close(), h.store.Close())
}

// again ends the hotel's part and starts it on the same files.
func (h *hotel) again(ctx context.Context) error {
	if err := h.shut(ctx); err != nil {
		return err
	}
	if err := <-h.failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	var config net.ListenConfig
	at, err := config.Listen(ctx, "tcp", h.at)
	if err != nil {
		return err
	}
	return h.open(ctx, at, h.files+".db")
}

// stop ends everything: the restaurant first, which would else hear nothing from the hotel.
func (h *hotel) stop(ctx context.Context) error {
	h.end()
	err := h.shut(ctx)
	h.group.Wait()
	return err
}
