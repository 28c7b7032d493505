package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// meddler is a store on which something happens just before a payment is accepted.
type meddler struct {
	pairing.Store

	before func()
	lose   int
}

func (m *meddler) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	if before := m.before; before != nil {
		m.before = nil
		before()
	}
	p, err := m.Store.AcceptPayment(ctx, r)
	if err == nil && m.lose > 0 {
		m.lose--
		e := pairing.Errorf(tillroute.KindUnavailable, nil, "the database didn't answer")
		e.Outcome = tillroute.Unknown
		return pairing.Payment{}, e
	}
	return p, err
}

func TestAnotherPageIsFaster(t *testing.T) {
	b := newBench(t)
	fast := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	slow := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	b.meddler.before = func() { b.start(fast, action{}) }
	b.start(slow, action{})
	require.NotEmpty(t, fast.payment)
	require.Equal(t, fast.payment, slow.payment, "it is resumed at once")
	require.Len(t, b.payments(0), 1)
}

func TestLostAnswerOfTheStore(t *testing.T) {
	b := newBench(t)
	p := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	b.meddler.lose = submitTries - 1
	b.start(p, action{})
	require.NotEmpty(t, p.payment, "it is learned before the page is answered")

	other := b.open("other", pairing.Purchase, amount("10"), decimal.Zero)
	b.meddler.lose = submitTries
	s := b.start(other, action{})
	require.Empty(t, other.payment)
	require.Positive(t, s.Retry)
	require.Empty(t, s.Tell)
	b.start(other, action{})
	require.True(t, strings.HasSuffix(other.payment, "/other/1"))
	require.Len(t, b.payments(0), 2)
}

func TestOnlyWhatCoversCanBeUsed(t *testing.T) {
	b := newBench(t)
	part := b.open("sale", pairing.Purchase, amount("8"), decimal.Zero)
	b.start(part, action{})
	b.end(part.payment, pairing.Result{Outcome: tillroute.Approved, Amount: amount("8")})
	require.NotEmpty(t, b.told(part).Tell)
	p, err := b.router.Payment(t.Context(), part.payment)
	require.NoError(t, err)
	whole := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	asked := b.start(whole, action{})
	require.Len(t, asked.Actions, 1)
	forced := b.start(whole, action{Use: part.payment, Mark: p.Mark})
	require.Equal(t, asked.Title, forced.Title)
	require.Empty(t, whole.following)
}

func TestNobodyClaimsWhatIsNotKnown(t *testing.T) {
	b := newBench(t)
	p := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	b.start(p, action{})
	b.end(p.payment, pairing.Result{Outcome: tillroute.Unknown, Amount: amount("10"), Reason: "lost"})
	require.Empty(t, b.told(p).Tell)
	got, err := b.router.Payment(t.Context(), p.payment)
	require.NoError(t, err)
	require.Empty(t, got.Mark)
}

func TestAStreamEndsWithThePayment(t *testing.T) {
	b := newBench(t)
	p := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	b.start(p, action{})
	b.end(p.payment, pairing.Result{Outcome: tillroute.Declined})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://pay.example.com/x/pay/progress", nil)
	r.Header.Set("Payment-Token", p.following)
	r.Header.Set("Accept", "text/event-stream")
	w := httptest.NewRecorder()
	begun := time.Now()
	b.ServeHTTP(w, r)
	require.Less(t, time.Since(begun), streamTime/2)
	require.Equal(t, 1, strings.Count(w.Body.String(), "data: "), "it is said once")
}

func TestContextsOfRequests(t *testing.T) {
	b := newBench(t, func(c *Config) { c.HTTP = tillroute.HTTPOptions{Retries: -1, Transport: silent{}} })
	clear(b.stores[benchStore].registers)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	s := &start{h: b.Handler, ask: p.ask, sale: "sale"}
	require.Positive(t, s.run(ctx).Screen.Retry)
	require.Empty(t, b.payments(0))
}

// silent is a network that takes everything and says nothing.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
