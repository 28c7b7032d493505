package xseries_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/xseries"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request is one that a server got.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	form         url.Values
	body         string
}

// server remembers what it was asked.
type server struct{ *clienttest.Server[request] }

// newServer returns a server that gives one answer after the other, and the last one again and again.
func newServer(t *testing.T, answers ...http.HandlerFunc) *server {
	t.Helper()
	return &server{clienttest.NewServer(t, func(r *http.Request, body string) request {
		return request{r.Method, r.URL.Path, r.URL.Query(), r.Header.Clone(), clienttest.Form(t, body), body}
	}, answers...)}
}

func (s *server) got() []request { return s.Requests() }

const personalToken = tillroute.Secret("lsxs_pt_personal_token_0001")

// client returns a client of the server with a personal token.
func (s *server) client(t *testing.T, changes ...func(*xseries.Config)) *xseries.Client {
	t.Helper()
	config := xseries.Config{
		DomainPrefix: "acme",
		AccessToken:  personalToken,
		BaseURL:      s.URL + "/base",
		HTTP:         tillroute.HTTPOptions{Transport: s.Client().Transport, Retries: -1},
	}
	for _, change := range changes {
		change(&config)
	}
	client, err := xseries.New(config)
	require.NoError(t, err)
	return client
}

func fixture(tb testing.TB, name string) string {
	tb.Helper()
	return clienttest.Fixture(tb, name)
}

func answer(status int, body string) http.HandlerFunc { return clienttest.Answer(status, body) }

// lost takes the request and gives no answer.
func lost(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
