package testserver

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDescribeTellsEverythingAClientNeeds(t *testing.T) {
	sys := Start(t, Options{})
	out, err := json.Marshal(sys.Describe())
	require.NoError(t, err)
	got := parse[map[string]map[string]any](t, string(out))
	base := sys.PublicURL()
	require.Equal(t, base+"/xseries", got["xseries"]["base_url"])
	require.Equal(t, base+"/xseries/connect", got["xseries"]["authorize_url"])
	require.Equal(t, base+"/xseries/api/1.0/token", got["xseries"]["token_url"])
	require.Equal(t, "simstore", got["xseries"]["domain_prefix"])
	require.Len(t, got["xseries"]["registers"], 4)
	require.Equal(t, base+"/smartconnect/POS", got["smartconnect"]["base_url"])
	require.Equal(t, map[string]any{"id": "7070714000", "sim_url": base + "/_sim/smartconnect/terminals/7070714000"},
		got["smartconnect"]["terminals"].([]any)[0])
	require.InDelta(t, 2000, got["smartconnect"]["min_poll_ms"], 0)
	require.Equal(t, base+"/_sim", got["sim"]["base_url"])
}

func TestSecretsAreRandomAndPlainlySimulated(t *testing.T) {
	a, b := New(Options{}).Describe().XSeries, New(Options{}).Describe().XSeries
	for _, pair := range [][2]string{{a.ClientID, b.ClientID}, {a.ClientSecret, b.ClientSecret}, {a.PersonalToken, b.PersonalToken}} {
		require.NotEqual(t, pair[0], pair[1])
		require.Contains(t, pair[0], "sim-")
	}
	fixed := New(Options{XSeries: XSeriesOptions{ClientID: "id", ClientSecret: "s", PersonalToken: "p", DomainPrefix: "toys"}})
	got := fixed.Describe().XSeries
	require.Equal(t, []string{"id", "s", "p", "toys", "https://toys.retail.lightspeed.app"},
		[]string{got.ClientID, got.ClientSecret, got.PersonalToken, got.DomainPrefix, got.Origin})
}

func TestHandlerKnowsItsSystems(t *testing.T) {
	sys := New(Options{})
	t.Cleanup(sys.Close)
	for path, status := range map[string]int{
		"/": 200, "/till": 200, "/tillx": 404, "/pos/transaction/1": 404, "/xseriesx/api/2.0/registers": 404, "/_sim/": 200, "/xseries/api/2.0/registers": 401,
		"/smartconnect//POS/../Transaction": 404,
	} {
		rec := httptest.NewRecorder()
		sys.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		require.Equal(t, status, rec.Code, path)
	}
}

func TestServeStopsCleanlyWithAnswersUnderWay(t *testing.T) {
	sys := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ln, err := sys.Listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	require.Equal(t, "http://"+ln.Addr().String(), sys.PublicURL())
	served := make(chan error, 1)
	go func() { served <- sys.Serve(ctx, ln) }()

	sys.Fault(On("", "", ""), Delay(time.Hour))
	failed := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, sys.PublicURL()+"/xseries/api/2.0/registers", http.NoBody)
		if err != nil {
			failed <- err
			return
		}
		resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		failed <- err
	}()
	require.Eventually(t, func() bool { return len(sys.Requests("", "", "")) == 1 }, testPatience, time.Millisecond)
	cancel()
	require.NoError(t, <-served)
	require.Error(t, <-failed, "an answer that is held back ends with the simulation")
}

func TestServeReportsThatItStoppedByItself(t *testing.T) {
	sys := New(Options{})
	ln, err := sys.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.ErrorIs(t, sys.Serve(t.Context(), ln), net.ErrClosed)
}

func TestListenNamesTheAddress(t *testing.T) {
	tb := &fakeTB{}
	sys := Start(tb, Options{})
	_, err := New(Options{}).Listen(t.Context(), sys.PublicURL()[len("http://"):])
	require.ErrorContains(t, err, "testserver: cannot listen on \"127.0.0.1:")
	tb.finish()
	require.Empty(t, tb.errors)
}

func TestReachableAddress(t *testing.T) {
	require.Equal(t, "127.0.0.1:8080", reachable(&net.TCPAddr{IP: net.IPv6unspecified, Port: 8080}))
	require.Equal(t, "192.0.2.7:8080", reachable(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 8080}))
}
