package pgstore_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pairingtest"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(patiently{m}, goleak.Cleanup(func(code int) { os.Exit(pgtest.Exit(code)) }))
}

// patiently runs tests and waits for what a busy database lets end late.
type patiently struct{ *testing.M }

func (m patiently) Run() int {
	code := m.M.Run()
	for end := time.Now().Add(time.Minute); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
		<-time.After(10 * time.Millisecond)
	}
	return code
}

// opened is a store and where it is.
type opened struct {
	*pgstore.Store

	config pgstore.Config
}

func open(t *testing.T, c pgstore.Config) *opened {
	t.Helper()
	s, err := pgstore.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &opened{s, c}
}

func config(tb testing.TB) pgstore.Config {
	tb.Helper()
	return pgstore.Config{DSN: tillroute.Secret(pgtest.URL(tb)), Schema: pgtest.Schema(tb), Timeout: patient}
}

// patient is a Timeout for tests that aren't about it: no machine is so busy that its database takes longer.
const patient = 2 * time.Minute

// schemas are stores for one test after the other: they share a pool, and a schema is used again when its test is over.
// To make one for each of some hundred tests takes longer than all that they do.
type schemas struct {
	pool *pgxpool.Pool
	end  testing.TB // they are dropped when it ends

	mu   sync.Mutex
	free []string
}

// harness opens stores on the database of c, in the free schemas and others, which are dropped when tb ends.
func harness(tb testing.TB, c pgstore.Config, free ...string) pairingtest.Harness {
	tb.Helper()
	pool, err := pgxpool.New(tb.Context(), c.DSN.Reveal())
	require.NoError(tb, err)
	tb.Cleanup(pool.Close)
	all := &schemas{pool: pool, end: tb, free: free}
	return pairingtest.Harness{
		Open: func(t *testing.T) pairing.Store {
			t.Helper()
			return open(t, pgstore.Config{
				Pool: pool, ListenDSN: c.ListenDSN, Schema: all.take(t), Timeout: patient,
			})
		},
		Reopen: reopen,
	}
}

func reopen(t *testing.T, s pairing.Store) pairing.Store {
	t.Helper()
	require.NoError(t, s.Close())
	return open(t, s.(*opened).config)
}

// take returns a schema without a row, until t ends.
func (s *schemas) take(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var name string
	if n := len(s.free); n == 0 {
		name = pgtest.Schema(s.end)
	} else {
		name, s.free = s.free[n-1], s.free[:n-1]
		for _, table := range []string{"pairings", "pairing_codes", "code_tries", "payments", "deliveries", "grants"} {
			_, err := s.pool.Exec(t.Context(), "DELETE FROM "+name+"."+table)
			require.NoError(t, err)
		}
	}
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free = append(s.free, name)
	})
	return name
}

func TestStore(t *testing.T) {
	t.Parallel()
	pairingtest.TestStore(t, harness(t, config(t)))
}

func FuzzStore(f *testing.F) {
	c := config(f)
	s, err := pgstore.Open(f.Context(), c)
	require.NoError(f, err)
	require.NoError(f, s.Close())
	pairingtest.FuzzStore(f, harness(f, c, c.Schema))
}

// TestTheExamplesStore runs what the example of Open shows.
func TestTheExamplesStore(t *testing.T) {
	n, err := parkedIn(t.Context(), config(t))
	require.NoError(t, err)
	require.Zero(t, n)
}
