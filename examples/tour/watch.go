package main

import (
	"log/slog"
	"net/http"

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

func (w watch) serve(h http.Handler) http.Handler {
	if w.receiver == nil {
		return h
	}
	return w.receiver(h)
}

func (w watch) see(values ...any) {
	if w.values != nil {
		w.values(values...)
	}
}
