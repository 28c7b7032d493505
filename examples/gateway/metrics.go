package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/metrics"
	"github.com/tillroute/tillroute/smartconnect"
)

// count begins to count what the router does.
func (d *demo) count() (err error) {
	config := metrics.Config{Providers: []string{smartconnect.Provider}}
	config.Counter, _ = d.store.(pairing.Counter)
	d.counts, err = metrics.New(config)
	return err
}

// listenMetrics opens the port for Prometheus, if there is to be one. It should be one that the world can't reach.
func (d *demo) listenMetrics(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // nothing was asked for.
	}
	var config net.ListenConfig
	at, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: choose another address with -metrics: %w", addr, err)
	}
	return at, nil
}

// runMetrics answers Prometheus until the demo ends.
func (d *demo) runMetrics(at net.Listener) {
	if at == nil {
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(d.counts)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	d.metrics = program.NewServer(mux)
	d.group.Go(func() { d.failed <- d.metrics.Serve(at) })
}
