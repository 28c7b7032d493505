package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
)

// begun returns a window whose payment is on the terminal.
func (s *stall) begun(device *testserver.Device) *window {
	s.t.Helper()
	w := s.sale(testserver.RegisterMain, "10")
	w.start()
	_, err := device.WaitTransaction(s.t.Context())
	require.NoError(s.t, err)
	w.until(func(s screen) bool { return strings.HasPrefix(s.Title, "Present the card") })
	return w
}

// listen opens a stream of progress.
func (w *window) listen(ctx context.Context) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.site.URL+"/shop/pay/progress", nil)
	require.NoError(w.t, err)
	r.Header.Set("Payment-Token", w.follow)
	r.Header.Set("Accept", "text/event-stream")
	answer, err := w.site.Client().Do(r)
	require.NoError(w.t, err)
	return answer
}

// nothingLeft waits until the goroutines have ended that were begun since then, for less than a stream lasts. Connections that are kept for
// the next request may stay.
func nothingLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	var left error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		left = goleak.Find(before, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
		if left == nil {
			return
		}
	}
	require.NoError(t, left)
}

func TestStream(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	w := s.begun(device)
	answer := w.listen(t.Context())
	defer func() { _ = answer.Body.Close() }()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	require.Equal(t, "no", answer.Header.Get("X-Accel-Buffering"))
	require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
	lines := bufio.NewReader(answer.Body)
	first, err := lines.ReadString('\n')
	require.NoError(t, err, "it comes at once")
	require.Contains(t, first, `data: {"screen":{"kind":"wait","title":"Present the card at `)
	empty, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "\n", empty)
	require.NoError(t, device.Approve())
	rest, err := io.ReadAll(lines)
	require.NoError(t, err, "it ends by itself")
	events := strings.Split(strings.TrimSpace(string(rest)), "\n\n")
	require.Contains(t, events[len(events)-1], `"title":"Approved"`)
	require.Contains(t, events[len(events)-1], `"end":true`)
	require.NotContains(t, events[len(events)-1], "\n")
	for i, event := range events {
		require.True(t, strings.HasPrefix(event, "data: {"))
		require.NotContains(t, events[:i], event, "nothing is said twice")
	}
	require.Equal(t, 1, strings.Count(string(rest), `"title":"Approved"`))
	require.Equal(t, "Approved", w.now().Title, "it can be asked for without a stream")
}

func TestStreamOfWhatWaitsForAPerson(t *testing.T) {
	s := newStall(t)
	s.pair(testserver.RegisterMain, 0).SetAuto(testserver.AutoApprove, 0)
	s.world.Fault(testserver.On("smartconnect", http.MethodPost, "/POS/Transaction"), testserver.LoseReply())
	w := s.sale(testserver.RegisterMain, "10")
	w.start()
	w.until(func(s screen) bool { return s.Kind == "doubt" })
	answer := w.listen(t.Context())
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "It is not known")
	parked, err := s.router.Payments(t.Context(), pairing.Filter{States: []pairing.State{pairing.Parked}}, 1)
	require.NoError(t, err)
	_, err = s.router.Resolve(t.Context(), parked[0].ID, pairing.Resolution{Outcome: tillroute.Declined, By: "Ann", Reason: "seen"})
	require.NoError(t, err)
	var rest strings.Builder
	for lines.Scan() {
		rest.WriteString(lines.Text())
	}
	require.Contains(t, rest.String(), `"title":"Declined"`)
}

func TestStreamsEndWhenTheHandlerIsClosed(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	w := s.begun(device)
	answer := w.listen(t.Context())
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewReader(answer.Body)
	_, err := lines.ReadString('\n')
	require.NoError(t, err)
	s.handler.Close()
	_, err = io.ReadAll(lines)
	require.NoError(t, err)

	// New ones say how it stands, and end.
	begun := time.Now()
	again := w.listen(t.Context())
	defer func() { _ = again.Body.Close() }()
	text, err := io.ReadAll(again.Body)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(text), "data: "), string(text))
	require.Contains(t, string(text), "Present the card")
	require.Less(t, time.Since(begun), 20*time.Second)
	require.NoError(t, device.Approve())
	w.finish()
	require.Equal(t, "accepted", w.step(), "the rest goes on")
}

func TestShutdownIsNotHeldUp(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	w := s.begun(device)
	leaks := goleak.IgnoreCurrent()
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Minute}
	server.RegisterOnShutdown(s.handler.Close)
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client := &http.Client{Transport: &http.Transport{}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/shop/pay/progress", nil)
	require.NoError(t, err)
	r.Header.Set("Payment-Token", w.follow)
	r.Header.Set("Accept", "text/event-stream")
	answer, err := client.Do(r)
	require.NoError(t, err)
	lines := bufio.NewReader(answer.Body)
	_, err = lines.ReadString('\n')
	require.NoError(t, err)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, server.Shutdown(ctx))
	require.Less(t, time.Since(begun), 20*time.Second)
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	_, err = io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	client.CloseIdleConnections()
	nothingLeft(t, leaks)
	require.NoError(t, device.Decline())
}

func TestStreamThatIsLeft(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	w := s.begun(device)
	s.site.Client().CloseIdleConnections()
	leaks := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	answer := w.listen(ctx)
	_, err := bufio.NewReader(answer.Body).ReadString('\n')
	require.NoError(t, err)
	cancel()
	_ = answer.Body.Close()
	nothingLeft(t, leaks)
	require.NoError(t, device.Decline())
}

func TestProgressNeedsThePaymentsToken(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	w := s.begun(device)
	for name, token := range map[string]string{"none": "", "another purpose": w.token, "changed": "A" + w.follow, "cut": w.follow[:len(w.follow)-2]} {
		for _, accept := range []string{"text/event-stream", "application/json", ""} {
			status, header, text := s.do(http.MethodGet, s.site.URL+"/shop/pay/progress", nil, "Payment-Token", token, "Accept", accept)
			assert.Equal(t, http.StatusForbidden, status, name)
			assert.Equal(t, "application/json", header.Get("Content-Type"))
			assert.Contains(t, text, "Close it, and press the payment button again")
		}
		for _, path := range []string{"told", "withdraw", "resolve"} {
			status, _ := w.call(path, map[string]any{"token": token, "outcome": "approved"})
			assert.Equal(t, http.StatusForbidden, status, path)
		}
	}
	status, _, _ := s.do(http.MethodGet, s.site.URL+"/shop/pay/progress?token="+w.follow, nil)
	require.Equal(t, http.StatusForbidden, status, "no token is taken from an address")
	require.NoError(t, device.Decline())
}

func TestProgressWithoutAStore(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	w := s.begun(device)
	// A stream that was left may still be asking, so it is not one call that fails.
	s.books.fall(true)
	for _, accept := range []string{"text/event-stream", "application/json"} {
		status, header, text := s.do(http.MethodGet, s.site.URL+"/shop/pay/progress", nil, "Payment-Token", w.follow, "Accept", accept)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, "application/json", header.Get("Content-Type"))
		require.Contains(t, text, "It goes on at the terminal.")
		require.NotContains(t, text, "database")
	}
	s.books.fall(false)
	require.NoError(t, device.Decline())
}
