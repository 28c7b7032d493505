package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/examples/internal/programtest"
)

// TestNoSecretShows looks for all secrets of the simulated systems in what the program prints, logs and shows to browsers.
func TestNoSecretShows(t *testing.T) {
	var out, logs bytes.Buffer
	d, err := start(t.Context(), options{addr: "127.0.0.1:0", database: database{file: filepath.Join(t.TempDir(), "x.db")}}, &logs)
	require.NoError(t, err)
	address, err := url.Parse(d.gateway.GatewayURL())
	require.NoError(t, err)
	browsers := &recorder{next: http.DefaultTransport, host: address.Host}
	http.DefaultTransport = browsers // that of the visitors and of the window
	err = d.once(t.Context(), &out)
	http.DefaultTransport = browsers.next
	secrets := d.world.Secrets()
	require.NoError(t, errors.Join(err, d.stop(t.Context())))
	require.Contains(t, browsers.seen.String(), "<html")
	programtest.Hides(t, secrets, out.String(), logs.String(), browsers.seen.String())
}

// recorder keeps the answers of a host, as far as they were read. It is for one request after the other.
type recorder struct {
	next http.RoundTripper
	host string
	seen bytes.Buffer
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := r.next.RoundTrip(request)
	if err == nil && request.URL.Host == r.host {
		_, _ = fmt.Fprintf(&r.seen, "%s %v\n", answer.Status, answer.Header)
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(answer.Body, &r.seen), answer.Body}
	}
	return answer, err
}
