package pgstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// Each of these benchmarks that gives a ratio measures both sides in turns, so that what else the machine does meanwhile
// hits both.

// side is one side: do is called by callers at once.
type side struct {
	callers, each int
	do            func(caller, n int)
	took          time.Duration
	calls         int
}

func (s *side) round() {
	began := time.Now()
	var all sync.WaitGroup
	for caller := range s.callers {
		all.Go(func() {
			for n := range s.each {
				s.do(caller, n)
			}
		})
	}
	all.Wait()
	s.took += time.Since(began)
	s.calls += s.callers * s.each
}

func (s *side) perSecond() float64 { return float64(s.calls) / s.took.Seconds() }

// benchConfig is a schema of the benchmark's own.
func benchConfig(b *testing.B) pgstore.Config {
	b.Helper()
	return pgstore.Config{DSN: tillroute.Secret(pgtest.URL(b)), Schema: pgtest.Schema(b)}
}

// benchStore returns a store in which 64 registers are paired with a terminal each.
func benchStore(b *testing.B, c pgstore.Config) *pgstore.Store {
	b.Helper()
	s, err := pgstore.Open(b.Context(), c)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	for i := range 64 {
		_, err := s.PutPairing(b.Context(), pairing.Pairing{Register: benchRegister(i), Terminal: benchTerminal(i)}, -1)
		require.NoError(b, err)
	}
	return s
}

func benchRegister(i int) pairing.Register {
	return pairing.Register{System: "xseries", Account: "acme", ID: fmt.Sprintf("0a6f6e36-8bab-11ea-f3d6-%012d", i)}
}

func benchTerminal(i int) pairing.Terminal {
	return pairing.Terminal{Provider: "smartconnect", Serial: fmt.Sprintf("%08d", i)}
}

func benchRequest(register int, number int64) pairing.Request {
	return pairing.Request{
		ID: fmt.Sprintf("01935a3c-7e1b-7000-8000-%012d", number), Register: benchRegister(register), Kind: pairing.Purchase,
		Amount: decimal.New(1250, -2), Currency: "NZD", Reference: "table 4", Data: []byte(`{"register_sale_id":"1"}`),
	}
}

func noError(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Error(err)
	}
}

// approver is a driver whose terminals approve at once.
type approver struct{}

func (approver) Start(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
	return pairing.Handle{TransactionID: p.ID, Token: "https://poll.test/1"}, nil
}

func (approver) Await(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount, AuthCode: "123456"}, nil
}

const benchNodes = 4

// benchRouters runs 4 nodes, each a router on a store with a pool of its own, until the benchmark ends.
func benchRouters(b *testing.B) (routers []*pairing.Router) {
	b.Helper()
	config := benchConfig(b)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	var running sync.WaitGroup
	for range benchNodes {
		router, err := pairing.New(pairing.Config{
			Store: benchStore(b, config), Drivers: map[string]pairing.Driver{"smartconnect": approver{}},
		})
		require.NoError(b, err)
		routers = append(routers, router)
		running.Go(func() { _ = router.Run(ctx) })
	}
	b.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return routers
}

// BenchmarkPay has 64 callers pay at 64 terminals through 4 nodes.
func BenchmarkPay(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	routers := benchRouters(b)
	var number atomic.Int64
	pay := &side{callers: 64, each: 20, do: func(caller, _ int) {
		benchPay(ctx, b, routers[caller%benchNodes], benchRequest(caller, number.Add(1)))
	}}
	pay.round()
	pay.took, pay.calls = 0, 0
	for b.Loop() {
		pay.round()
	}
	b.ReportMetric(pay.perSecond(), "payments/s")
}

func benchPay(ctx context.Context, b *testing.B, router *pairing.Router, r pairing.Request) {
	b.Helper()
	p, err := router.Pay(ctx, r)
	noError(b, err)
	if p.Outcome() != tillroute.Approved {
		b.Errorf("payment %s is %s", p.ID, p.Outcome())
	}
}

// BenchmarkPayAtARate has 300 payments a second begin at 64 terminals through 4 nodes, however long each takes. It
// tells how long they take from when they should have begun.
func BenchmarkPayAtARate(b *testing.B) {
	const rate, each = 300, 600
	ctx := context.WithoutCancel(b.Context())
	routers := benchRouters(b)
	var number int64
	round := func() []time.Duration {
		took := make([]time.Duration, each)
		var all sync.WaitGroup
		first := time.Now()
		for i := range took {
			due := first.Add(time.Duration(i) * time.Second / rate)
			<-time.After(time.Until(due))
			number++
			request := benchRequest(int(number*37%64), number)
			all.Go(func() {
				benchPay(ctx, b, routers[i%benchNodes], request)
				took[i] = time.Since(due)
			})
		}
		all.Wait()
		return took
	}
	round()
	var took []time.Duration
	for b.Loop() {
		took = append(took, round()...)
	}
	slices.Sort(took)
	for _, percent := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*percent/100].Microseconds())/1000, fmt.Sprintf("ms-p%d", percent))
	}
}

// BenchmarkAccept compares payments accepted by 32 callers with the same statement in a transaction each, by 32
// callers too, on as many connections.
func BenchmarkAccept(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	config := benchConfig(b)
	store := benchStore(b, config)
	pool := benchPool(b, 32)
	var number atomic.Int64
	grouped := &side{callers: 32, each: 50, do: func(caller, _ int) {
		_, err := store.AcceptPayment(ctx, benchRequest(caller, number.Add(1)))
		noError(b, err)
	}}
	single := &side{callers: 32, each: 50, do: func(caller, _ int) {
		r := benchRequest(caller, number.Add(1))
		noError(b, pgstore.AcceptAlone(ctx, store, pool, r))
	}}
	for b.Loop() {
		grouped.round()
		single.round()
	}
	b.ReportMetric(grouped.perSecond(), "accepted/s")
	b.ReportMetric(single.perSecond(), "alone/s")
	b.ReportMetric(grouped.perSecond()/single.perSecond(), "ratio")
}

func benchPool(b *testing.B, connections int32) *pgxpool.Pool {
	b.Helper()
	config, err := pgxpool.ParseConfig(pgtest.URL(b))
	require.NoError(b, err)
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	return pool
}

// BenchmarkCycle is the turns of payments at 64 terminals as a router makes them: accept, handle, done and claim next.
func BenchmarkCycle(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	store := benchStore(b, benchConfig(b))
	var number atomic.Int64
	claims := make([]pairing.Claim, 64)
	for caller := range claims {
		_, err := store.AcceptPayment(ctx, benchRequest(caller, number.Add(1)))
		noError(b, err)
		claims[caller], _, err = store.ClaimPayment(ctx, benchTerminal(caller), "worker", time.Minute)
		noError(b, err)
	}
	cycles := &side{callers: 64, each: 20, do: func(caller, _ int) {
		_, err := store.AcceptPayment(ctx, benchRequest(caller, number.Add(1)))
		noError(b, err)
		noError(b, store.SavePaymentHandle(ctx, claims[caller], pairing.Handle{TransactionID: "t", Token: "token"}))
		claims[caller], _, err = store.FinishPayment(ctx, claims[caller], pairing.Result{
			Outcome: tillroute.Approved, Amount: decimal.New(1250, -2), TransactionID: "t", AuthCode: "123456",
		}, time.Minute)
		noError(b, err)
	}}
	for b.Loop() {
		cycles.round()
	}
	b.ReportMetric(cycles.perSecond(), "cycles/s")
}

// BenchmarkPayment compares looking payments up, beside 10 000 others, with a bare SELECT of the same columns on the
// same pool: one whose values nobody reads, and one that pgx scans into a payment.
func BenchmarkPayment(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	config := benchConfig(b)
	pool := benchPool(b, 16)
	config.DSN, config.Pool = "", pool
	store := benchStore(b, config)
	var number atomic.Int64
	(&side{callers: 50, each: 200, do: func(caller, _ int) {
		_, err := store.AcceptPayment(ctx, benchRequest(caller, number.Add(1)))
		noError(b, err)
	}}).round()
	id := func(caller, n int) string { return benchRequest(0, 1+int64(caller*7919+n*104729)%10_000).ID }
	lookup := &side{callers: 16, each: 200, do: func(caller, n int) {
		_, err := store.Payment(ctx, id(caller, n))
		noError(b, err)
	}}
	query := pgstore.BareSelect(store)
	bare := &side{callers: 16, each: 200, do: func(caller, n int) {
		rows, err := pool.Query(ctx, query, id(caller, n))
		noError(b, err)
		for rows.Next() {
			rows.RawValues()
		}
		rows.Close()
		noError(b, rows.Err())
	}}
	scanned := &side{callers: 16, each: 200, do: func(caller, n int) {
		p, err := pgstore.Scanned(pool.QueryRow(ctx, query, id(caller, n)))
		noError(b, err)
		if p.ID == "" {
			b.Error("nothing was read")
		}
	}}
	for b.Loop() {
		lookup.round()
		bare.round()
		scanned.round()
	}
	b.ReportMetric(lookup.perSecond(), "lookups/s")
	b.ReportMetric(bare.perSecond(), "bare/s")
	b.ReportMetric(lookup.perSecond()/bare.perSecond(), "ratio")
	b.ReportMetric(lookup.perSecond()/scanned.perSecond(), "ratio-scanned")
}

// BenchmarkPairing compares looking pairings up with a bare SELECT of the same columns on the same pool, which pgx scans
// into a pairing.
func BenchmarkPairing(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	config := benchConfig(b)
	pool := benchPool(b, 16)
	config.DSN, config.Pool = "", pool
	store := benchStore(b, config)
	lookup := &side{callers: 16, each: 200, do: func(_, n int) {
		_, err := store.Pairing(ctx, benchRegister(n%64))
		noError(b, err)
	}}
	query := pgstore.BareSelectPairing(store)
	bare := &side{callers: 16, each: 200, do: func(_, n int) {
		r := benchRegister(n % 64)
		var p pairing.Pairing
		noError(b, pool.QueryRow(ctx, query, r.System, r.Account, r.ID).Scan(
			&p.Register.System, &p.Register.Account, &p.Register.ID, &p.Terminal.Provider, &p.Terminal.Serial,
			&p.RegisterName, &p.TerminalName, &p.Identity, &p.Version, &p.PairedAt))
	}}
	for b.Loop() {
		lookup.round()
		bare.round()
	}
	b.ReportMetric(lookup.perSecond(), "lookups/s")
	b.ReportMetric(bare.perSecond(), "bare/s")
	b.ReportMetric(lookup.perSecond()/bare.perSecond(), "ratio")
}

// BenchmarkDeliveries is webhooks that are begun and finished by 64 callers.
func BenchmarkDeliveries(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	store := benchStore(b, benchConfig(b))
	var number atomic.Int64
	hash, answer := make([]byte, 32), []byte(`{"status":"ok"}`)
	deliveries := &side{callers: 64, each: 40, do: func(int, int) {
		d, err := store.BeginDelivery(ctx, "kseries", fmt.Sprintf("LS1_%036d", number.Add(1)), hash, time.Minute)
		noError(b, err)
		noError(b, store.FinishDelivery(ctx, d, answer))
	}}
	for b.Loop() {
		deliveries.round()
	}
	b.ReportMetric(deliveries.perSecond(), "deliveries/s")
}
