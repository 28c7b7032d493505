package pgstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// run runs a router, which polls seldom, until the test ends, and returns when it hears of other nodes.
func run(t *testing.T, s pairing.Store, store *opened, d pairing.Driver) *pairing.Router {
	t.Helper()
	router, err := pairing.New(pairing.Config{
		Store: s, Drivers: map[string]pairing.Driver{"smartconnect": d}, PollInterval: time.Hour,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- router.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-ended, context.Canceled)
	})
	require.Eventually(t, func() bool { return pgstore.Listeners(store.Store) == 1 }, 2*time.Minute, time.Millisecond)
	return router
}

// idle is a store whose router never gets anything to do.
type idle struct{ *opened }

func (idle) ClaimPayment(context.Context, pairing.Terminal, string, time.Duration) (pairing.Claim, bool, error) {
	return pairing.Claim{}, false, nil
}

// gated approves when its gate is open.
type gated struct {
	approver

	gate chan struct{}
}

func (g gated) Await(ctx context.Context, p pairing.Payment, report func(string)) (pairing.Result, error) {
	report("present card")
	select {
	case <-g.gate:
	case <-ctx.Done():
		return pairing.Result{}, ctx.Err()
	}
	return g.approver.Await(ctx, p, report)
}

// nodesHear has one node accept a payment, another work on it and a third wait for it, none of which polls.
func nodesHear(t *testing.T, c pgstore.Config) {
	t.Helper()
	d := gated{gate: make(chan struct{})}
	accepting, working, waiting := open(t, c), open(t, c), open(t, c)
	_, err := accepting.PutPairing(t.Context(), pairing.Pairing{Register: benchRegister(1), Terminal: benchTerminal(1)}, 0)
	require.NoError(t, err)
	run(t, working, working, d)
	waiter := run(t, idle{waiting}, waiting, d)
	_, err = accepting.AcceptPayment(t.Context(), benchRequest(1, 1))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var last pairing.Payment
	open := sync.OnceFunc(func() { close(d.gate) })
	for progress, err := range waiter.Watch(ctx, benchRequest(1, 1).ID) {
		require.NoError(t, err, "the node that waits has seen it %s and hears nothing", last.State)
		if last = progress.Payment; last.Note == "present card" {
			open()
		}
	}
	require.Equal(t, tillroute.Approved, last.Outcome())
}

func TestNodesHearOfEachOther(t *testing.T) {
	t.Parallel()
	nodesHear(t, config(t))
}

// A channel's name has less room than a schema's.
func TestNodesOfALongSchemaHearOfEachOther(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Schema = strings.Repeat("x", 52) + "éééé" // where the channel's name would be cut
	nodesHear(t, c)
	perform(t, other(t), "DROP SCHEMA "+c.Schema+" CASCADE")
}

// Of two that pair a register for the first time, one knows that it was not the first.
func TestARegisterIsPairedByACodeMeanwhile(t *testing.T) {
	t.Parallel()
	c := config(t)
	s := open(t, c)
	_, err := s.PutCode(t.Context(), pairing.Code{Text: "CODE", Terminal: benchTerminal(1)}, time.Hour)
	require.NoError(t, err)
	conn, look := other(t), other(t)
	perform(t, conn, "BEGIN; LOCK TABLE "+c.Schema+".pairings IN SHARE MODE") // reading goes on
	redeemed, put := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.RedeemCode(t.Context(), "CODE", pairing.Pairing{Register: benchRegister(0)}, pairing.Tries{Key: "k", Max: 5, Window: time.Hour})
		redeemed <- err
	}()
	waiting(t, look, c.Schema+`".pairings`, 1)
	go func() {
		_, err := s.PutPairing(t.Context(), pairing.Pairing{Register: benchRegister(0), Terminal: benchTerminal(2)}, 0)
		put <- err
	}()
	require.Eventually(t, func() bool {
		var n int
		err := look.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted AND database ="+
			" (SELECT oid FROM pg_database WHERE datname = current_database()) AND (locktype = 'advisory' AND"+
			" ((classid::bigint << 32) | objid::bigint) = hashtextextended('register '||$1, $2) OR"+
			" relation = to_regclass($3)::oid)", benchRegister(0).String(), pgstore.Number(s.Store), c.Schema+".pairings").Scan(&n)
		return err == nil && n == 2
	}, 2*time.Minute, time.Millisecond)
	perform(t, conn, "ROLLBACK")
	require.NoError(t, <-redeemed)
	requireError(t, <-put, tillroute.ErrConflict, tillroute.Failed)
	p, err := s.Pairing(t.Context(), benchRegister(0))
	require.NoError(t, err)
	require.Equal(t, benchTerminal(1), p.Terminal)
}

// Tests, and programs, may share a database: what is locked in one schema is not locked in another.
func TestSchemasDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	one, two := config(t), config(t)
	first, second := paired(t, one), paired(t, two)
	tx, err := other(t).Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, pgstore.AcceptAlone(t.Context(), second.Store, tx, benchRequest(0, 1)))
	_, err = first.AcceptPayment(t.Context(), benchRequest(0, 1))
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))
}

func TestALostConnectionEndsHearing(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.ListenDSN = with(c.DSN, "application_name="+c.Schema)
	s := open(t, c)
	ended := make(chan error, 1)
	go func() { ended <- s.Notify(t.Context(), func(pairing.Terminal, bool) {}) }()
	require.Eventually(t, func() bool { return pgstore.Listeners(s.Store) == 1 }, 2*time.Minute, time.Millisecond)
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", c.Schema)
	require.NoError(t, err)
	require.ErrorIs(t, <-ended, tillroute.ErrUnavailable)
	require.Zero(t, pgstore.Listeners(s.Store))

	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- s.Notify(ctx, func(pairing.Terminal, bool) {}) }()
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	go func() { ended <- s.Notify(t.Context(), func(pairing.Terminal, bool) {}) }()
	require.Eventually(t, func() bool { return pgstore.Listeners(s.Store) == 1 }, 2*time.Minute, time.Millisecond)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-ended, tillroute.ErrUnavailable, "a store that is closed hears nothing")
}

func TestManyOpenANewSchemaAtOnce(t *testing.T) {
	t.Parallel()
	c := config(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, err := pgstore.Open(t.Context(), c)
			if assert.NoError(t, err) {
				assert.NoError(t, s.Close())
			}
		})
	}
	all.Wait()
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close(t.Context())) }()
	var applied, version int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*), max(version) FROM "+c.Schema+".migrations").Scan(&applied, &version))
	require.Equal(t, version, applied)
}

// Many nodes accept at the same terminals and work on what comes: nothing is done twice, and each terminal keeps its
// order.
func TestNodesWorkTogether(t *testing.T) {
	t.Parallel()
	const nodes, terminals, each = 4, 8, 6
	c := config(t)
	var stores []*opened
	for range nodes {
		stores = append(stores, open(t, c))
	}
	for r := range nodes * terminals {
		_, err := stores[0].PutPairing(t.Context(), pairing.Pairing{Register: benchRegister(r), Terminal: benchTerminal(r % terminals)}, 0)
		require.NoError(t, err)
	}
	var mu sync.Mutex
	served := map[pairing.Terminal][]int64{}
	var all sync.WaitGroup
	for n, s := range stores {
		for at := range terminals {
			all.Go(func() {
				for i := range each {
					r := n*terminals + at
					_, err := s.AcceptPayment(t.Context(), benchRequest(r, int64(r*1000+i)))
					assert.NoError(t, err) //nolint:testifylint // not the test's goroutine.
					claim, ok, err := s.ClaimPayment(t.Context(), benchTerminal(at), fmt.Sprint(n), time.Hour)
					for ok && err == nil {
						mu.Lock()
						served[benchTerminal(at)] = append(served[benchTerminal(at)], claim.Payment.Seq)
						mu.Unlock()
						claim, ok, err = s.FinishPayment(t.Context(), claim, pairing.Result{Outcome: tillroute.Approved}, time.Hour)
					}
					assert.NoError(t, err)
				}
			})
		}
	}
	all.Wait()
	for at := range terminals {
		claim, ok, err := stores[0].ClaimPayment(t.Context(), benchTerminal(at), "last", time.Hour)
		for ok && err == nil {
			served[benchTerminal(at)] = append(served[benchTerminal(at)], claim.Payment.Seq)
			claim, ok, err = stores[0].FinishPayment(t.Context(), claim, pairing.Result{Outcome: tillroute.Approved}, time.Hour)
		}
		require.NoError(t, err)
		require.Len(t, served[benchTerminal(at)], nodes*each)
		require.IsIncreasing(t, served[benchTerminal(at)], "terminal %d serves in the order of acceptance", at)
	}
}

// waiting returns when n transactions wait for a lock in a statement with that text.
func waiting(t *testing.T, conn *pgx.Conn, what string, n int) {
	t.Helper()
	require.True(t, waits(t, conn, what, n), "nobody waits")
}

// waits reports whether n transactions wait for a lock in a statement with that text, soon.
func waits(t *testing.T, conn *pgx.Conn, what string, n int) bool {
	t.Helper()
	return assert.Eventually(t, func() bool {
		var waiting int
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%'||$1||'%'"+
			" AND pid <> pg_backend_pid()", what).Scan(&waiting)
		return err == nil && waiting >= n
	}, 2*time.Minute, time.Millisecond)
}

// While a payment is accepted and can't be seen yet, nobody gets ahead of it at its terminal, and its register stays
// where it is.
func TestTheOrderOfSeqIsThatInWhichPaymentsCanBeSeen(t *testing.T) {
	t.Parallel()
	c := config(t)
	s := paired(t, c)
	_, err := s.PutPairing(t.Context(), pairing.Pairing{Register: benchRegister(1), Terminal: benchTerminal(0)}, -1)
	require.NoError(t, err)
	slow, look := other(t), other(t)
	tx, err := slow.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, pgstore.AcceptAlone(t.Context(), s.Store, tx, benchRequest(0, 1)))
	_, err = s.AcceptPayment(t.Context(), benchRequest(2, 2))
	require.NoError(t, err, "other terminals go on")

	behind, moved := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.AcceptPayment(t.Context(), benchRequest(1, 3))
		behind <- err
	}()
	waiting(t, look, c.Schema+`".payments`, 1)
	go func() { moved <- s.MoveRegister(t.Context(), benchRegister(0), benchTerminal(0), benchTerminal(9)) }()
	waiting(t, look, c.Schema+`".pairings WHERE system = $1`, 1)
	claim, ok, err := s.ClaimPayment(t.Context(), benchTerminal(0), "me", time.Minute)
	require.NoError(t, err)
	require.False(t, ok, "%s got ahead", claim.Payment.ID)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-behind)
	require.NoError(t, <-moved)
	first, err := s.Payment(t.Context(), benchRequest(0, 1).ID)
	require.NoError(t, err)
	second, err := s.Payment(t.Context(), benchRequest(1, 3).ID)
	require.NoError(t, err)
	require.Less(t, first.Seq, second.Seq)
	require.Equal(t, benchTerminal(9), first.Terminal, "a payment that is accepted while its register moves moves too")
}

func TestMessages(t *testing.T) {
	t.Parallel()
	changed := map[pairing.Terminal]bool{}
	for i := range 500 {
		changed[pairing.Terminal{Provider: "smartconnect", Serial: fmt.Sprintf("%0100d<é>", i)}] = i%2 == 0
	}
	got := map[pairing.Terminal]bool{}
	messages := pgstore.Messages(changed)
	require.Greater(t, len(messages), 1)
	for _, m := range messages {
		require.Less(t, len(m), 8000, "PostgreSQL takes no longer ones")
		pgstore.Heard(m, func(at pairing.Terminal, work bool) { got[at] = work })
	}
	require.Equal(t, changed, got)
	for i := range 600 {
		changed[benchTerminal(i)] = true
	}
	for name, texts := range map[string][]string{
		"too many":           pgstore.Messages(changed),
		"too long":           pgstore.Messages(map[pairing.Terminal]bool{{Serial: strings.Repeat("x", 9000)}: true}),
		"of another program": {"7"},
	} {
		require.Len(t, texts, 1, name)
		pgstore.Heard(texts[0], func(at pairing.Terminal, work bool) {
			require.Equal(t, pairing.Terminal{}, at, name)
			require.True(t, work, name)
		})
	}
}
