// Package clienttest is what the tests of the clients and receivers have in common: a server that answers from a queue, the
// vendors' examples, somebody's browser, and a search for secrets in all that can be seen of a client.
package clienttest

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/tillroute/tillroute/internal/simulated"
)

// Server answers from a queue and remembers what it was asked, as values of R.
type Server[R any] struct {
	*httptest.Server

	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []R
}

// NewServer returns a server that gives one answer after the other, and the last one again and again. What it remembers of a
// request is what remember makes of it.
func NewServer[R any](tb testing.TB, remember func(r *http.Request, body string) R, answers ...http.HandlerFunc) *Server[R] {
	tb.Helper()
	s := &Server[R]{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			tb.Errorf("reading a request: %v", err)
		}
		request := remember(r, string(body))
		s.mu.Lock()
		s.requests = append(s.requests, request)
		answer := s.answers[0]
		if len(s.answers) > 1 {
			s.answers = s.answers[1:]
		}
		s.mu.Unlock()
		answer(w, r)
	}))
	tb.Cleanup(s.Close)
	return s
}

// Requests returns what the server remembers.
func (s *Server[R]) Requests() []R {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Answer answers with JSON.
func Answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Form reads the body of a request that has a form, or none.
func Form(tb testing.TB, body string) url.Values {
	tb.Helper()
	form, err := url.ParseQuery(body)
	if err != nil {
		tb.Errorf("a request is no form: %v", err)
	}
	return form
}

// Fixture returns a file of testdata.
func Fixture(tb testing.TB, name string) string {
	tb.Helper()
	text, err := fs.ReadFile(os.DirFS("testdata"), name)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// Consent is somebody's browser: it goes to the URL, says yes there, and returns the query that it comes back with.
func Consent(tb testing.TB, target string) url.Values {
	tb.Helper()
	query, err := simulated.Consent(tb.Context(), target)
	if err != nil {
		tb.Fatal(err)
	}
	return query
}
