package xseries_test

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
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

// server answers from a queue and remembers what it was asked.
type server struct {
	*httptest.Server

	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []request
}

// newServer returns a server that gives one answer after the other, and the last one again and again.
func newServer(t *testing.T, answers ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Errorf("a request is no form: %v", err)
		}
		s.mu.Lock()
		s.requests = append(s.requests, request{r.Method, r.URL.Path, r.URL.Query(), r.Header.Clone(), form, string(body)})
		answer := s.answers[0]
		if len(s.answers) > 1 {
			s.answers = s.answers[1:]
		}
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

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
	text, err := fs.ReadFile(os.DirFS("testdata"), name)
	require.NoError(tb, err)
	return string(text)
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// lost takes the request and gives no answer.
func lost(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
