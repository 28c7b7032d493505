package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/examples/internal/programtest"
	"github.com/tillroute/tillroute/internal/clienttest"
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

// TestNoSecretShows takes the tour, which connects, pairs, pays, loses answers and renews tokens at every system, and looks for
// all secrets of the simulated systems in what the programs of the tour log, answer, count and print.
func TestNoSecretShows(t *testing.T) {
	t.Parallel()
	var logs, values, answers, page, shown clienttest.Seen
	counts, err := metrics.New(metrics.Config{Terminals: true})
	require.NoError(t, err)
	tour := &tour{screen: newScreen(&shown), watch: watch{
		logger: logs.Logger(),
		events: counts.Observe,
		values: values.Show,
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
	scraped := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(scraped, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	_, _ = scraped.Body.WriteTo(&page)

	require.Contains(t, logs.String(), `"level":"DEBUG"`)
	require.Contains(t, logs.String(), "payment accepted")
	require.Contains(t, values.String(), "[redacted]")
	require.Contains(t, answers.String(), "200 map[")
	require.Contains(t, page.String(), "tillroute_")
	secrets := tour.systems.Secrets()
	for _, kind := range []string{"sim-client-secret-", "sim-app-secret-", "sim-code-", "sim-access-", "sim-refresh-", "sim-mac-key-", hotelKey} {
		require.Contains(t, strings.Join(secrets, "\n"), kind, "it is among those looked for")
	}
	for place, seen := range map[string]*clienttest.Seen{
		"the logs": &logs, "the values": &values, "the answers": &answers, "the metrics": &page, "the screen": &shown,
	} {
		for _, secret := range secrets {
			require.GreaterOrEqual(t, len(secret), 6)
			if place == "the screen" && programtest.IsPairingCode(secret) {
				continue // The tour shows it before it is used, as the terminal does.
			}
			seen.Hides(t, secret)
		}
	}
}
