package smartconnect_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	registerID = tillroute.Secret("7444ae07-dc63-e49c-33e3-59a7c108cc80")
	pollToken  = "00000000-0000-4000-8000-000000000000"
)

// request is one that a server got.
type request struct {
	method, path, contentType string
	form                      url.Values
}

// server remembers what it was asked.
type server struct{ *clienttest.Server[request] }

// newServer returns a server that gives one answer after the other, and the last one again and again.
func newServer(t *testing.T, answers ...http.HandlerFunc) *server {
	t.Helper()
	return &server{clienttest.NewServer(t, func(r *http.Request, body string) request {
		return request{r.Method, r.URL.Path, r.Header.Get("Content-Type"), clienttest.Form(t, body)}
	}, answers...)}
}

func (s *server) got() []request { return s.Requests() }

// client returns a client of the server that polls fast.
func (s *server) client(t *testing.T, changes ...func(*smartconnect.Config)) *smartconnect.Client {
	t.Helper()
	config := smartconnect.Config{
		BusinessName: "Toys Shop",
		VendorName:   "Till2Go",
		Currency:     "NZD",
		BaseURL:      s.URL + "/POS",
		PollInterval: time.Millisecond,
		HTTP:         tillroute.HTTPOptions{Transport: s.Client().Transport},
	}
	for _, change := range changes {
		change(&config)
	}
	client, err := smartconnect.New(config)
	require.NoError(t, err)
	return client
}

// transaction returns a handle that polls the server.
func (s *server) transaction() smartconnect.Transaction {
	return smartconnect.Transaction{
		ID:         "f363c7de-102c-4d80-a902-ed37413ca599",
		PollingURL: tillroute.Secret(s.URL + "/pos/transaction/f363c7de?merchantAccessToken=" + pollToken),
	}
}

func fixture(tb testing.TB, name string) string {
	tb.Helper()
	return clienttest.Fixture(tb, name)
}

func answer(status int, body string) http.HandlerFunc { return clienttest.Answer(status, body) }

// lost takes the request and gives no answer.
func lost(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// started answers as the fixture does, with a polling URL on the server itself.
func started(t *testing.T) http.HandlerFunc {
	t.Helper()
	body := fixture(t, "transaction_initial_pending_200.json")
	return func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusOK, strings.ReplaceAll(body, "https://api-dev.smart-connect.cloud", "http://"+r.Host))(w, r)
	}
}
