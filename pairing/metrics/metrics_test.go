package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pairing/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const provider = "park"

// park is a terminal park: a payment ends as its reference says.
type park struct{}

func (park) Start(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
	if p.Reference == "refused" {
		return pairing.Handle{}, pairing.Errorf(tillroute.KindInvalid, nil, "no such amount")
	}
	time.Sleep(2 * time.Second)
	return pairing.Handle{TransactionID: "txn-" + p.ID}, nil
}

func (park) Await(ctx context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	if p.Reference == "slow" {
		<-ctx.Done()
		return pairing.Result{}, ctx.Err()
	}
	time.Sleep(20 * time.Second)
	return pairing.Result{Outcome: tillroute.ParseOutcome(p.Reference), Amount: p.Amount}, nil
}

// open returns a router that runs, with a register for each terminal.
func open(t *testing.T, c metrics.Config, serials ...string) (*pairing.Router, *metrics.Collector) {
	t.Helper()
	store := memstore.New(memstore.Config{})
	if c.Counter == nil {
		c.Counter = store
	}
	counts, err := metrics.New(c)
	require.NoError(t, err)
	router, err := pairing.New(pairing.Config{
		Store: store, Drivers: map[string]pairing.Driver{provider: park{}}, Observer: counts.Observe,
	})
	require.NoError(t, err)
	for _, serial := range serials {
		_, err := router.PairTerminal(t.Context(), pairing.Pairing{
			Register: register(serial), Terminal: pairing.Terminal{Provider: provider, Serial: serial},
		})
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = router.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		_ = store.Close()
	})
	return router, counts
}

func register(serial string) pairing.Register {
	return pairing.Register{System: "xseries", Account: "acme", ID: "beside " + serial}
}

func submit(t *testing.T, router *pairing.Router, id, serial string, kind pairing.Kind, end string) {
	t.Helper()
	_, err := router.Submit(t.Context(), pairing.Request{
		ID: id, Register: register(serial), Kind: kind, Amount: decimal.RequireFromString("12.50"), Currency: "NZD", Reference: end,
	})
	require.NoError(t, err)
}

// values returns what Prometheus gets of the named metrics, without the series that are 0.
func values(t *testing.T, counts prometheus.Collector, names ...string) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(counts))
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	var text strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		for _, name := range names {
			if rest, ok := strings.CutPrefix(line, name); ok && strings.ContainsAny(rest[:1], "{ ") && !strings.HasSuffix(line, " 0\n") {
				text.WriteString(line)
				break
			}
		}
	}
	return text.String()
}

func TestWhatBecomesOfPaymentsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, counts := open(t, metrics.Config{Kinds: []pairing.Kind{"cash-out"}}, "T1", "T2", "T3")
		submit(t, router, "a", "T1", pairing.Purchase, "approved")
		submit(t, router, "b", "T1", pairing.Refund, "declined")
		submit(t, router, "c", "T2", "cash-out", "unknown")
		submit(t, router, "d", "T3", "made up by somebody", "approved")
		submit(t, router, "e", "T3", pairing.Purchase, "approved")
		_, err := router.Withdraw(t.Context(), "e", "the guest left")
		require.NoError(t, err)
		submit(t, router, "f", "T2", pairing.Purchase, "refused") // its terminal never has it
		for _, id := range []string{"a", "b", "c", "d", "f"} {
			_, _ = router.Wait(t.Context(), id)
		}
		_, err = router.Resolve(t.Context(), "c", pairing.Resolution{Outcome: tillroute.Declined, By: "Ana", Reason: "journal"})
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, `tillroute_payments_ended_total{kind="cash-out",outcome="unknown",provider="park"} 1
tillroute_payments_ended_total{kind="other",outcome="approved",provider="park"} 1
tillroute_payments_ended_total{kind="purchase",outcome="approved",provider="park"} 1
tillroute_payments_ended_total{kind="purchase",outcome="failed",provider="park"} 1
tillroute_payments_ended_total{kind="refund",outcome="declined",provider="park"} 1
`, values(t, counts, "tillroute_payments_ended_total"))
		require.Equal(t, `tillroute_payment_steps_total{provider="park",step="handed over"} 4
tillroute_payment_steps_total{provider="park",step="resolved"} 1
tillroute_payment_steps_total{provider="park",step="withdrawn"} 1
`, values(t, counts, "tillroute_payment_steps_total"))
		// Three waited for two seconds, and b for twenty more and another two.
		wait := values(t, counts, "tillroute_payment_wait_seconds_bucket", "tillroute_payment_wait_seconds_sum")
		require.Contains(t, wait, `tillroute_payment_wait_seconds_bucket{provider="park",le="2.5"} 3`)
		require.Contains(t, wait, `tillroute_payment_wait_seconds_sum{provider="park"} 30`)
		served := values(t, counts, "tillroute_payment_terminal_seconds_bucket", "tillroute_payment_terminal_seconds_sum")
		require.Contains(t, served, `tillroute_payment_terminal_seconds_bucket{provider="park",le="20"} 4`)
		require.NotContains(t, served, `le="15"`)
		require.Contains(t, served, `tillroute_payment_terminal_seconds_sum{provider="park"} 80`)
		require.Contains(t, served, `tillroute_payment_terminal_seconds_bucket{provider="park",le="+Inf"} 4`)
	})
}

func TestWhatIsInTheStoreIsCounted(t *testing.T) {
	for name, c := range map[string]struct {
		terminals bool
		want      string
	}{
		"by provider": {false, `tillroute_payments{provider="park",state="queued"} 3
tillroute_payments{provider="park",state="sent"} 2
tillroute_payments{provider="park",state="unknown"} 1
tillroute_payments_oldest_seconds{provider="park",state="queued"} 60
tillroute_payments_oldest_seconds{provider="park",state="sent"} 60
tillroute_payments_oldest_seconds{provider="park",state="unknown"} 90
tillroute_store_up 1
`},
		"by terminal": {true, `tillroute_payments{provider="park",state="queued",terminal="T1"} 2
tillroute_payments{provider="park",state="queued",terminal="T2"} 1
tillroute_payments{provider="park",state="sent",terminal="T1"} 1
tillroute_payments{provider="park",state="sent",terminal="T2"} 1
tillroute_payments{provider="park",state="unknown",terminal="T1"} 1
tillroute_payments_oldest_seconds{provider="park",state="queued",terminal="T1"} 60
tillroute_payments_oldest_seconds{provider="park",state="queued",terminal="T2"} 30
tillroute_payments_oldest_seconds{provider="park",state="sent",terminal="T1"} 60
tillroute_payments_oldest_seconds{provider="park",state="sent",terminal="T2"} 30
tillroute_payments_oldest_seconds{provider="park",state="unknown",terminal="T1"} 90
tillroute_store_up 1
`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				router, counts := open(t, metrics.Config{Terminals: c.terminals}, "T1", "T2")
				submit(t, router, "a", "T1", pairing.Purchase, "unknown")
				time.Sleep(30 * time.Second)
				for _, id := range []string{"b", "c", "d"} {
					submit(t, router, id, "T1", pairing.Purchase, "slow")
				}
				time.Sleep(30 * time.Second)
				for _, id := range []string{"e", "f"} {
					submit(t, router, id, "T2", pairing.Purchase, "slow")
				}
				time.Sleep(30 * time.Second)
				require.Equal(t, c.want, values(t, counts, "tillroute_payments", "tillroute_payments_oldest_seconds", "tillroute_store_up"))
			})
		})
	}
}

// counter is a store that is slow, or in trouble.
type counter struct {
	mu    sync.Mutex
	asked int
	limit int
	err   error
	slow  bool
}

func (c *counter) CountPayments(ctx context.Context, limit int) ([]pairing.Backlog, error) {
	c.mu.Lock()
	c.asked++
	c.limit = limit
	err, slow := c.err, c.slow
	c.mu.Unlock()
	if slow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []pairing.Backlog{{Terminal: pairing.Terminal{Provider: provider, Serial: "T1"}, State: pairing.Queued, Count: 7, Age: time.Minute}}, err
}

func (c *counter) change(err error, slow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.slow = err, slow
}

func (c *counter) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

func TestAStoreInTroubleIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counter{}
		counts, err := metrics.New(metrics.Config{Counter: store, Timeout: 3 * time.Second, Limit: 5})
		require.NoError(t, err)
		require.Contains(t, values(t, counts, "tillroute_payments"), `tillroute_payments{provider="park",state="queued"} 7`)
		require.Contains(t, values(t, counts, "tillroute_store_up"), "tillroute_store_up 1")
		require.Equal(t, 5, store.limit)

		time.Sleep(time.Second)
		store.change(errors.New("no database"), false)
		require.Empty(t, values(t, counts, "tillroute_payments", "tillroute_payments_oldest_seconds", "tillroute_store_up"),
			"what was true a while ago isn't told")

		time.Sleep(time.Second)
		store.change(nil, true)
		began := time.Now()
		require.Empty(t, values(t, counts, "tillroute_payments", "tillroute_store_up"))
		require.Equal(t, 3*time.Second, time.Since(began))

		time.Sleep(time.Second)
		store.change(nil, false)
		require.Contains(t, values(t, counts, "tillroute_store_up"), "tillroute_store_up 1")
	})
}

func TestTheStoreIsAskedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counter{}
		counts, err := metrics.New(metrics.Config{Counter: store})
		require.NoError(t, err)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { _ = testutil.CollectAndCount(counts) })
		}
		all.Wait()
		require.Equal(t, 1, store.times())
		time.Sleep(time.Second)
		_ = testutil.CollectAndCount(counts)
		require.Equal(t, 2, store.times())
	})
}

func TestProvidersAreThereFromTheBeginning(t *testing.T) {
	counts, err := metrics.New(metrics.Config{Counter: memstore.New(memstore.Config{}), Providers: []string{provider}})
	require.NoError(t, err)
	require.Equal(t, 4, testutil.CollectAndCount(counts, "tillroute_payments"))
	require.Equal(t, 15, testutil.CollectAndCount(counts, "tillroute_payments_ended_total"))
	require.Equal(t, 6, testutil.CollectAndCount(counts, "tillroute_payment_steps_total"))
	require.Equal(t, 1, testutil.CollectAndCount(counts, "tillroute_payment_wait_seconds"))
}

// However many payments, registers, merchants, terminals and kinds there are, there are no more series.
func TestSeriesAreFew(t *testing.T) {
	counts, err := metrics.New(metrics.Config{Providers: []string{provider}})
	require.NoError(t, err)
	before := testutil.CollectAndCount(counts)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 100 {
				id := fmt.Sprint(n, i)
				for _, step := range []pairing.Step{pairing.HandedOver, pairing.Ended, pairing.Fenced} {
					counts.Observe(pairing.Event{Step: step, Took: time.Second, Payment: pairing.Payment{
						Request:  pairing.Request{ID: id, Register: register(id), Kind: pairing.Kind(id), Reference: id},
						Terminal: pairing.Terminal{Provider: provider, Serial: id},
						Result:   pairing.Result{Outcome: tillroute.Outcome(i)},
					}})
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, before, testutil.CollectAndCount(counts))
	require.Contains(t, values(t, counts, "tillroute_payment_steps_total"), `tillroute_payment_steps_total{provider="park",step="fenced"} 800`)
}

func TestNamesFollowTheConventions(t *testing.T) {
	counts, err := metrics.New(metrics.Config{Counter: memstore.New(memstore.Config{}), Providers: []string{provider}})
	require.NoError(t, err)
	problems, err := testutil.CollectAndLint(counts)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestConfigurationIsChecked(t *testing.T) {
	_, err := metrics.New(metrics.Config{Limit: -1, Timeout: -1, Providers: []string{""}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, name := range []string{"Limit", "Timeout", "Providers"} {
		require.ErrorContains(t, err, name)
	}
}
