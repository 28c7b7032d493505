package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// watch is for whoever wants to see all that comes out of the tour's programs. The zero value sees nothing.
type watch struct {
	// logger gets what clients, receivers and routers log.
	logger *slog.Logger
	// receiver wraps a receiver of what the vendors post.
	receiver func(http.Handler) http.Handler
	// values gets what a program might print.
	values func(...any)
	// events gets what the routers tell.
	events func(pairing.Event)
}

func (w watch) http() tillroute.HTTPOptions { return tillroute.HTTPOptions{Logger: w.logger} }

// server returns a receiver's server. It doesn't wait for clients for ever: they may be slow on purpose.
func (w watch) server(handler http.Handler) *http.Server {
	if w.receiver != nil {
		handler = w.receiver(handler)
	}
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

func (w watch) see(values ...any) {
	if w.values != nil {
		w.values(values...)
	}
}
