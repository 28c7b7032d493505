package sqlitestore

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// Each of these benchmarks measures both sides of a ratio in turns, so that what else the machine does meanwhile
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

// benchStore returns a store in which 64 registers are paired with a terminal each.
func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), Config{Path: filepath.Join(b.TempDir(), "bench.db")})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	for i := range 64 {
		_, err := s.PutPairing(b.Context(), pairing.Pairing{Register: benchRegister(i), Terminal: benchTerminal(i)}, 0)
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

// BenchmarkAccept compares payments accepted by 32 callers with the same statements in a transaction each.
func BenchmarkAccept(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	store, alone := benchStore(b), benchStore(b)
	var number atomic.Int64
	grouped := &side{callers: 32, each: 50, do: func(caller, _ int) {
		_, err := store.AcceptPayment(ctx, benchRequest(caller, number.Add(1)))
		noError(b, err)
	}}
	var mu sync.Mutex
	single := &side{callers: 32, each: 10, do: func(caller, _ int) {
		r := benchRequest(caller, number.Add(1))
		mu.Lock()
		defer mu.Unlock()
		noError(b, alone.group.conn.begin(ctx))
		_, err := accept(ctx, alone.group.conn, r)
		noError(b, err)
		noError(b, alone.group.conn.commit(ctx))
	}}
	for b.Loop() {
		grouped.round()
		single.round()
	}
	b.ReportMetric(grouped.perSecond(), "accepted/s")
	b.ReportMetric(single.perSecond(), "alone/s")
	b.ReportMetric(grouped.perSecond()/single.perSecond(), "ratio")
}

// BenchmarkCycle compares whole turns of payments at 64 terminals (accept, claim, done) with bare rows inserted in the
// same groups: a key and the bytes of a payment. A router finishes a payment and claims the next of its terminal in one
// write; in three calls it is two.
func BenchmarkCycle(b *testing.B) {
	b.Run("as the router does it", func(b *testing.B) { benchCycle(b, time.Minute) })
	b.Run("in three calls", func(b *testing.B) { benchCycle(b, 0) })
}

func benchCycle(b *testing.B, next time.Duration) {
	b.Helper()
	ctx := context.WithoutCancel(b.Context())
	store, other := benchStore(b), benchStore(b)
	_, err := other.group.conn.exec(ctx, "CREATE TABLE bare (id TEXT NOT NULL PRIMARY KEY, data BLOB NOT NULL) STRICT")
	noError(b, err)
	var number atomic.Int64
	claims := make([]pairing.Claim, 64)
	cycles := &side{callers: 64, each: 20, do: func(caller, _ int) {
		_, err := store.AcceptPayment(ctx, benchRequest(caller, number.Add(1)))
		noError(b, err)
		claim := claims[caller]
		if claim.Fence == 0 {
			claim, _, err = store.ClaimPayment(ctx, benchTerminal(caller), "worker", time.Minute)
			noError(b, err)
		}
		claims[caller], _, err = store.FinishPayment(ctx, claim, pairing.Result{
			Outcome: tillroute.Approved, Amount: decimal.New(1250, -2), TransactionID: "t", AuthCode: "123456",
		}, next)
		noError(b, err)
	}}
	if next > 0 {
		// So that there is always a next one to claim.
		for caller := range claims {
			_, err := store.AcceptPayment(ctx, benchRequest(caller, number.Add(1)))
			noError(b, err)
		}
	}
	row := make([]byte, 300)
	inserts := &side{callers: 64, each: 60, do: func(caller, _ int) {
		id := benchRequest(caller, number.Add(1)).ID
		noError(b, other.group.write(ctx, func(ctx context.Context, c *conn) error {
			_, err := c.exec(ctx, "INSERT INTO bare (id, data) VALUES (?, ?)", id, row)
			return err
		}))
	}}
	for b.Loop() {
		cycles.round()
		inserts.round()
	}
	b.ReportMetric(cycles.perSecond(), "cycles/s")
	b.ReportMetric(inserts.perSecond(), "inserts/s")
	b.ReportMetric(cycles.perSecond()/inserts.perSecond(), "ratio")
}

// BenchmarkPayment looks payments up beside 10 000 others.
func BenchmarkPayment(b *testing.B) {
	ctx := context.WithoutCancel(b.Context())
	store := benchStore(b)
	var number atomic.Int64
	(&side{callers: 50, each: 200, do: func(caller, _ int) {
		_, err := store.AcceptPayment(ctx, benchRequest(caller, number.Add(1)))
		noError(b, err)
	}}).round()
	b.ReportAllocs()
	for b.Loop() {
		_, err := store.Payment(ctx, benchRequest(0, 1+number.Load()%10_000).ID)
		noError(b, err)
		number.Add(7919)
	}
}

func noError(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Error(err)
	}
}
