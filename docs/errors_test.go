// Package docs_test checks that what the documents of this folder say is so.
package docs_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { os.Exit(pgtest.Exit(code)) }))
}

var update = flag.Bool("update", false, "write errors.md anew")

// chapter is a table of errors.md.
type chapter struct {
	title    string
	mistakes []mistake
}

// mistake is something that goes wrong in the first days.
type mistake struct {
	what string
	// make makes it, and returns what the one who makes it sees: the text of an error, mostly, or nothing where the mistake
	// can't be made on this machine.
	make func(t *testing.T) string
}

const preface = `# What you see when something is wrong

Every text says what happened, to what, and what to do. The part before the first colons says where: the system, and the
operation. These texts are not an API: ask with ` + "`errors.Is`" + ` and the sentinels, as the package documentation says.

Each of these mistakes is made, on the simulated systems, when the tests run, and the texts are compared. To write the tables
anew: ` + "`go test ./docs -update`" + `.
`

func chapters() []chapter {
	return []chapter{
		{"Setting up", setupMistakes()},
		{"SQLite", storeMistakes()},
		{"PostgreSQL", postgresMistakes()},
		{"Pairing", pairingMistakes()},
		{"Paying", paymentMistakes()},
		{"Any client", clientMistakes()},
		{"X-Series", xseriesMistakes()},
		{"SmartConnect", smartconnectMistakes()},
		{"Paysera", payseraMistakes()},
		{"K-Series and its hotel systems", kseriesMistakes()},
	}
}

func TestErrors(t *testing.T) {
	const path = "errors.md"
	old, err := os.ReadFile(path)
	if !*update {
		require.NoError(t, err)
	}
	// A checkout on Windows may have other line ends.
	documented := strings.ReplaceAll(string(old), "\r\n", "\n")
	var page strings.Builder
	page.WriteString(preface)
	for _, c := range chapters() {
		head := "\n## " + c.title + "\n\n| when | you see |\n|---|---|\n"
		page.WriteString(head)
		_, table, _ := strings.Cut(documented, head)
		table, _, _ = strings.Cut(table, "\n\n")
		for _, m := range c.mistakes {
			t.Run(c.title+"/"+m.what, func(t *testing.T) {
				prefix := "| " + m.what + " | "
				_, was, _ := strings.Cut("\n"+table, "\n"+prefix)
				was, _, _ = strings.Cut(was, " |\n")
				row := strings.TrimSuffix(was, " |")
				// Also if the mistake can't be made here, and the test is skipped.
				defer func() { page.WriteString(prefix + row + " |\n") }()
				seen := m.make(t)
				if seen == "" {
					t.Skip("it can't be made on this machine")
				}
				// What has a quote of its own needs two.
				quote := "`"
				if strings.Contains(seen, quote) {
					quote = "``"
				}
				seen = quote + strings.ReplaceAll(seen, "|", `\|`) + quote
				require.NotContains(t, seen, "\n", "one line")
				require.NotContains(t, seen, "%!", "a format that is wrong")
				if !*update {
					require.Equal(t, row, seen, "if it is better than it was: go test ./docs -update")
				}
				row = seen
			})
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(page.String()), 0o600))
		return
	}
	if !t.Failed() {
		require.Equal(t, page.String(), documented, "it has what nobody made: go test ./docs -update")
	}
}

// sees is what somebody sees who prints an error, and what a log would show of it.
func sees(t *testing.T, err error) string {
	t.Helper()
	require.Error(t, err)
	own, ok := errors.AsType[*tillroute.Error](err)
	require.True(t, ok, "%T", err)
	require.NotEmpty(t, own.System)
	return err.Error()
}

// answered is what a server of ours answers, and what it logs.
func answered(t *testing.T, handler http.Handler, log *bytes.Buffer, r *http.Request) string {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	text := fmt.Sprintf("%d %s", w.Code, strings.TrimSpace(w.Body.String()))
	if logged := strings.TrimSpace(log.String()); logged != "" {
		text += "; logged: " + logged
	}
	return text
}

// logger returns one that writes into log, without times.
func logger(log *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// simulated serves the simulated systems. It doesn't mind what they complain of: that is what mistakes are for.
func simulated(t *testing.T, o testserver.Options) *testserver.Systems {
	t.Helper()
	sys := testserver.New(o)
	server := httptest.NewServer(sys.Handler())
	sys.SetPublicURL(server.URL)
	t.Cleanup(func() {
		sys.Close()
		server.Close()
	})
	return sys
}

// options returns those of a client that is gone with the test, and repeats nothing.
func options(t *testing.T) tillroute.HTTPOptions {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return tillroute.HTTPOptions{Transport: transport, Retries: -1}
}

// shop is a router on a store in memory, and its terminals at SmartConnect.
type shop struct {
	sys    *testserver.Systems
	store  *memstore.Store
	client *smartconnect.Client
	router *pairing.Router
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{
		sys:   simulated(t, testserver.Options{SmartConnect: testserver.SmartConnectOptions{MinPoll: -1}}),
		store: memstore.New(memstore.Config{}),
	}
	var err error
	s.client, err = smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", PollInterval: time.Millisecond,
		BaseURL: s.sys.Describe().SmartConnect.BaseURL, HTTP: options(t),
	})
	require.NoError(t, err)
	s.router, err = pairing.New(pairing.Config{
		Store: s.store, Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(s.client)},
	})
	require.NoError(t, err)
	return s
}

// run runs the router for the rest of the test.
func (s *shop) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.router.Run(ctx) // It ends when it is stopped.
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
}

// pair pairs the till with the first terminal.
func (s *shop) pair(t *testing.T) *shop {
	t.Helper()
	code, err := s.device().ShowCode()
	require.NoError(t, err)
	_, err = s.router.Pair(t.Context(), pairing.PairRequest{Register: till(), Provider: smartconnect.Provider, Code: code})
	require.NoError(t, err)
	return s
}

func (s *shop) device() *testserver.Device { return s.sys.SmartConnect.Device("7070714000") }

func till() pairing.Register { return pairing.Register{System: "mypos", Account: "toys", ID: "till-1"} }

func sale() pairing.Request {
	return pairing.Request{ID: "sale-1001", Register: till(), Amount: decimal.RequireFromString("12.50"), Currency: "NZD"}
}
