// Package simulated serves simulated systems for the public packages with which users test their programs.
package simulated

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/tillroute/tillroute/internal/testserver"
)

// Server is the simulated systems on a loopback port.
type Server struct {
	*testserver.Systems

	cancel context.CancelFunc
	served chan error
	once   sync.Once
	err    error
}

// Start serves the systems until Close.
func Start(o testserver.Options) (*Server, error) {
	s := &Server{Systems: testserver.New(o), served: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := s.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		cancel()
		return nil, err
	}
	s.cancel = cancel
	go func() { s.served <- s.Serve(ctx, ln) }()
	return s, nil
}

// Close ends the serving, and returns what was wrong with the requests that came. It returns the same each time.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.cancel()
		problems := []error{<-s.served}
		for _, line := range s.Complaints() {
			problems = append(problems, errors.New(line))
		}
		s.err = errors.Join(problems...)
	})
	return s.err
}

// ForTest starts a server for the time of a test, which fails if the closing does.
func ForTest[S interface{ Close() error }](tb testing.TB, start func() (S, error)) S {
	tb.Helper()
	server, err := start()
	if err != nil {
		tb.Fatalf("the simulation: %v", err)
	}
	tb.Cleanup(func() {
		if err := server.Close(); err != nil {
			tb.Errorf("the simulation: %v", err)
		}
	})
	return server
}

// Consent is the browser of somebody who is sent to a page of the vendor's, says yes there, and returns where it is sent back to.
func Consent(ctx context.Context, target string) (url.Values, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	back, err := response.Location()
	if err != nil {
		return nil, fmt.Errorf("the page that asks for consent answers %d and sends nobody back: look at the URL", response.StatusCode)
	}
	return back.Query(), nil
}
