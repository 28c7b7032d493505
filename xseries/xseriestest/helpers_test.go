package xseriestest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// newReceiver returns the URL of a receiver that takes everything.
func newReceiver(t *testing.T, got chan<- string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.FormValue("payload") }))
	t.Cleanup(server.Close)
	return server.URL
}
