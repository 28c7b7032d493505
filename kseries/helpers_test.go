package kseries_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/kseries"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	accessToken  = tillroute.Secret("access-token-0001")
	clientSecret = tillroute.Secret("client-secret-0001&=")
	// location is the business location of the vendor's examples.
	location = 45454565682155
)

// request is one that a server got.
type request struct {
	method, path, query string
	header              http.Header
	body                string
}

// server remembers what it was asked.
type server struct{ *clienttest.Server[request] }

// newServer returns a server that gives one answer after the other, and the last one again and again.
func newServer(t *testing.T, answers ...http.HandlerFunc) *server {
	t.Helper()
	return &server{clienttest.NewServer(t, func(r *http.Request, body string) request {
		return request{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), body}
	}, answers...)}
}

func (s *server) got() []request { return s.Requests() }

// client returns a client of the server that repeats nothing.
func (s *server) client(t *testing.T, changes ...func(*kseries.Config)) *kseries.Client {
	t.Helper()
	config := kseries.Config{
		AccessToken: accessToken, BaseURL: s.URL + "/base",
		HTTP: tillroute.HTTPOptions{Transport: s.Client().Transport, Retries: -1},
	}
	for _, change := range changes {
		change(&config)
	}
	client, err := kseries.New(config)
	require.NoError(t, err)
	return client
}

func persistent(c *kseries.Config) { c.HTTP.Retries = 2 }

// only requires that there was one request, with exactly that method, path, query and body.
func (s *server) only(t *testing.T, method, path string, query url.Values, body string) {
	t.Helper()
	got := s.got()
	require.Len(t, got, 1)
	r := got[0]
	require.Equal(t, method+" /base"+path, r.method+" "+r.path)
	require.Equal(t, query.Encode(), r.query)
	require.Equal(t, "Bearer "+accessToken.Reveal(), r.header.Get("Authorization"))
	require.Empty(t, r.header.Values("Idempotency-Key"), "the API has none")
	if body == "" {
		require.Empty(t, r.body)
		require.Empty(t, r.header.Get("Content-Type"))
		return
	}
	require.Equal(t, "application/json", r.header.Get("Content-Type"))
	require.JSONEq(t, body, r.body)
}

func fixture(tb testing.TB, name string) string {
	tb.Helper()
	return clienttest.Fixture(tb, name)
}

// fixtures returns all of them by name.
func fixtures(tb testing.TB, pattern string) map[string]string {
	tb.Helper()
	names, err := fs.Glob(os.DirFS("testdata"), pattern)
	require.NoError(tb, err)
	require.NotEmpty(tb, names)
	texts := map[string]string{}
	for _, name := range names {
		texts[name] = fixture(tb, name)
	}
	return texts
}

func answer(status int, body string) http.HandlerFunc { return clienttest.Answer(status, body) }

// lost takes the request and gives no answer.
func lost(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func d(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func valid(text string) decimal.NullDecimal { return decimal.NewNullDecimal(d(text)) }

// same requires that two values are the same with amounts compared by what they are worth.
func same(t *testing.T, want, got any) {
	t.Helper()
	a, err := json.MarshalIndent(want, "", " ")
	require.NoError(t, err)
	b, err := json.MarshalIndent(got, "", " ")
	require.NoError(t, err)
	require.Equal(t, string(a), string(b))
}

func readCloser(data []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(data)) }
