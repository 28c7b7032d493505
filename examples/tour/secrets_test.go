package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pairing/metrics"
)

// TestMain lets the tour start itself again, as it does with the process that it kills.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-worker" {
		main()
		return
	}
	os.Exit(m.Run())
}

// scroll is what several write on.
type scroll struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *scroll) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *scroll) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestNoSecretShows takes the tour, which connects, pairs, pays, loses answers and renews tokens at every system, and looks for
// all secrets of the simulated systems in what the programs of the tour log, answer, count and print.
func TestNoSecretShows(t *testing.T) {
	t.Parallel()
	var logs, values, answers, shown scroll
	logger := slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	counts, err := metrics.New(metrics.Config{Terminals: true})
	require.NoError(t, err)
	tour := &tour{screen: newScreen(&shown), watch: watch{
		logger: logger,
		events: counts.Observe,
		values: func(all ...any) {
			for _, v := range all {
				_, _ = fmt.Fprintf(&values, "%v\n%+v\n%#v\n%s\n%q\n", v, v, v, v, v)
				if text, err := json.Marshal(v); err == nil {
					_, _ = values.Write(text)
				}
				slog.New(slog.NewTextHandler(&values, nil)).InfoContext(t.Context(), "value", "v", v)
			}
		},
		receiver: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				h.ServeHTTP(answer, r)
				_, _ = fmt.Fprintf(&answers, "%d %v %s\n", answer.Code, answer.Header(), answer.Body)
				maps.Copy(w.Header(), answer.Header())
				w.WriteHeader(answer.Code)
				_, _ = w.Write(answer.Body.Bytes())
			})
		},
	}}
	require.NoError(t, tour.take(t.Context()))
	tour.screen.table(tour.steps)
	require.True(t, tour.report().OK, shown.String())

	registry := prometheus.NewRegistry()
	registry.MustRegister(counts)
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))

	require.Contains(t, logs.String(), `"level":"DEBUG"`)
	require.Contains(t, logs.String(), "payment accepted")
	require.Contains(t, values.String(), "[redacted]")
	require.Contains(t, answers.String(), "200 map[")
	require.Contains(t, page.Body.String(), "tillroute_")
	secrets := tour.systems.Secrets()
	for _, kind := range []string{"sim-client-secret-", "sim-app-secret-", "sim-code-", "sim-access-", "sim-refresh-", "sim-mac-key-", hotelKey} {
		require.Contains(t, strings.Join(secrets, "\n"), kind, "it is among those looked for")
	}
	for place, text := range map[string]string{
		"the logs": logs.String(), "the values": values.String(), "the answers": answers.String(), "the metrics": page.Body.String(),
		"the screen": shown.String(),
	} {
		for _, secret := range secrets {
			require.GreaterOrEqual(t, len(secret), 6)
			if place == "the screen" && isPairingCode(secret) {
				continue // The tour shows it before it is used, as the terminal does.
			}
			require.Empty(t, near(text, secret), place)
		}
	}
}

// isPairingCode reports whether a secret is one that a terminal showed to everybody who stood before it.
func isPairingCode(secret string) bool {
	return len(secret) == 8 && strings.Trim(secret, "0123456789") == ""
}

// near returns what stands before a secret, if it is there.
func near(text, secret string) string {
	i := strings.Index(text, secret)
	if i < 0 {
		return ""
	}
	return text[max(0, i-200) : i+len(secret)]
}
