package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// paired opens a store in which registers 0 to 9 are paired.
func paired(t *testing.T, c pgstore.Config) *opened {
	t.Helper()
	s := open(t, c)
	for i := range 10 {
		_, err := s.PutPairing(t.Context(), pairing.Pairing{Register: benchRegister(i), Terminal: benchTerminal(i)}, -1)
		require.NoError(t, err)
	}
	return s
}

// requireError makes sure that err is a typed error of that kind and outcome, and returns its text.
func requireError(t *testing.T, err, kind error, outcome tillroute.Outcome) string {
	t.Helper()
	require.ErrorIs(t, err, kind)
	e, ok := errors.AsType[*tillroute.Error](err)
	require.True(t, ok, "%T", err)
	require.Equal(t, outcome, e.Outcome, "%v", err)
	return e.Error()
}

// other is a connection of another program.
func other(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

func perform(t *testing.T, conn *pgx.Conn, query string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), query)
	require.NoError(t, err)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	url := tillroute.Secret(pgtest.URL(t))
	schema := pgtest.Schema(t)
	conn := other(t)
	perform(t, conn, "CREATE SCHEMA "+schema+"; CREATE TABLE "+schema+".payments (id text)")
	newer := config(t)
	open(t, newer)
	perform(t, conn, "INSERT INTO "+newer.Schema+".migrations VALUES (1000, 'new', now())")
	for name, c := range map[string]struct {
		config pgstore.Config
		kind   error
		text   string
	}{
		"no database":             {pgstore.Config{}, tillroute.ErrInvalid, "where the database is"},
		"what can't be read":      {pgstore.Config{DSN: "postgres://u:s3cret@host:port/x"}, tillroute.ErrInvalid, "neither a URL"},
		"what can't be read, too": {pgstore.Config{DSN: url, ListenDSN: "password=s3cret host"}, tillroute.ErrInvalid, "neither a URL"},
		"a name with @":           {pgstore.Config{DSN: url, Schema: "a@b"}, tillroute.ErrInvalid, "Schema"},
		"a name of PostgreSQL's":  {pgstore.Config{DSN: url, Schema: "pg_x"}, tillroute.ErrInvalid, "pg_"},
		"a long name":             {pgstore.Config{DSN: url, Schema: strings.Repeat("x", 64)}, tillroute.ErrInvalid, "Schema"},
		"no time":                 {pgstore.Config{DSN: url, Timeout: -1}, tillroute.ErrInvalid, "Timeout"},
		"nobody there":            {pgstore.Config{DSN: "postgres://u:s3cret@127.0.0.1:1/x"}, tillroute.ErrUnavailable, "can't be reached"},
		"another program":         {pgstore.Config{DSN: url, Schema: schema}, tillroute.ErrInvalid, "another program"},
		"a newer version":         {newer, tillroute.ErrInvalid, "version 1000"},
		"another isolation": {
			pgstore.Config{DSN: with(url, "default_transaction_isolation=serializable"), Schema: schema}, tillroute.ErrInvalid, "read committed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.config.Timeout == 0 {
				c.config.Timeout = patient
			}
			_, err := pgstore.Open(t.Context(), c.config)
			text := requireError(t, err, c.kind, tillroute.Failed)
			require.IsType(t, &tillroute.Error{}, err, "an error that joins several is not trusted") //nolint:testifylint // it is one, and doesn't only wrap one.
			require.Contains(t, text, c.text)
			require.NotContains(t, fmt.Sprintf("%s %+v", text, err), "s3cret")
		})
	}
}

// with returns a URL with one more setting.
func with(url tillroute.Secret, setting string) tillroute.Secret {
	separator := "?"
	if strings.Contains(url.Reveal(), "?") {
		separator = "&"
	}
	return url + tillroute.Secret(separator+setting)
}

func TestASchemaMayHaveAnyName(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Schema = `Kasse 1 "`
	s := paired(t, c)
	_, err := s.AcceptPayment(t.Context(), benchRequest(0, 1))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	perform(t, other(t), "DROP SCHEMA "+pgx.Identifier{c.Schema}.Sanitize()+" CASCADE")
}

// The database itself forbids two payments in flight.
func TestTwoInFlightAreImpossible(t *testing.T) {
	t.Parallel()
	c := config(t)
	s := paired(t, c)
	for i := range int64(2) {
		_, err := s.AcceptPayment(t.Context(), benchRequest(0, i))
		require.NoError(t, err)
	}
	conn := other(t)
	_, err := conn.Exec(t.Context(), "UPDATE "+c.Schema+".payments SET state = 'sending', lease_until = now()")
	require.ErrorContains(t, err, "payments_turn")
	_, err = conn.Exec(t.Context(), "UPDATE "+c.Schema+".payments SET state = 'sending' WHERE seq = 1")
	require.ErrorContains(t, err, "check constraint", "what is in flight has a lease, and so is in the index")
}

// A write that the database fails takes nothing with it.
func TestAFailedWriteTakesNothingWithIt(t *testing.T) {
	t.Parallel()
	s := paired(t, config(t))
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			r := benchRequest(i%10, int64(i))
			if i%7 == 0 {
				r.Reference = "\x00"
			}
			_, err := s.AcceptPayment(t.Context(), r)
			if i%7 != 0 {
				assert.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, tillroute.ErrInvalid) //nolint:testifylint // not the test's goroutine.
			assert.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		})
	}
	all.Wait()
	list, err := s.ListPayments(t.Context(), pairing.Filter{}, 100)
	require.NoError(t, err)
	require.Len(t, list, 51)
}

// Somebody who holds a lock holds up those who need it, and only for as long as the store waits.
func TestALockOfSomebodyElse(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Timeout = 10 * time.Second // half of it for the lock, and the rest for a busy machine
	s := paired(t, c)
	_, err := s.AcceptPayment(t.Context(), benchRequest(0, 1))
	require.NoError(t, err)
	conn := other(t)
	perform(t, conn, "BEGIN; SELECT FROM "+c.Schema+".payments FOR UPDATE")
	refused := make(chan error, 2)
	for _, do := range []func() error{
		func() error {
			_, _, err := s.ClaimPayment(t.Context(), benchTerminal(0), "me", time.Minute)
			return err
		},
		func() error {
			_, err := s.WithdrawPayment(t.Context(), benchRequest(0, 1).ID, "")
			return err
		},
	} {
		go func() {
			err := do()
			for range 3 { // A machine that stands still for longer hears nothing of the lock.
				if err != nil && !strings.Contains(err.Error(), "holds a lock") {
					err = do()
				}
			}
			refused <- err
		}()
	}
	for range 2 {
		require.Contains(t, requireError(t, <-refused, tillroute.ErrUnavailable, tillroute.Failed), "holds a lock")
	}
	_, err = s.AcceptPayment(t.Context(), benchRequest(1, 2))
	require.NoError(t, err, "what needs no lock goes on")
	perform(t, conn, "ROLLBACK")
	_, ok, err := s.ClaimPayment(t.Context(), benchTerminal(0), "me", time.Minute)
	require.NoError(t, err)
	require.True(t, ok)
}

// Nor does it hold up those who need it not, when they are many and write at the same time.
func TestALockOfSomebodyElseHoldsUpItsTerminalAlone(t *testing.T) {
	t.Parallel()
	c := config(t)
	s := paired(t, c)
	for i := range 2 {
		_, err := s.AcceptPayment(t.Context(), benchRequest(i, int64(i)))
		require.NoError(t, err)
	}
	conn, look := other(t), other(t)
	perform(t, conn, "BEGIN; SELECT FROM "+c.Schema+".payments FOR UPDATE")
	var stuck sync.WaitGroup
	for i := range 2 { // one for each lane
		stuck.Go(func() {
			_, ok, err := s.ClaimPayment(t.Context(), benchTerminal(i), "me", time.Minute)
			assert.NoError(t, err) //nolint:testifylint // not the test's goroutine.
			assert.True(t, ok)
		})
		waiting(t, look, c.Schema+`".payments`, i+1)
	}
	began := time.Now()
	for i := range int64(4) {
		_, err := s.AcceptPayment(t.Context(), benchRequest(2+int(i), 2+i))
		require.NoError(t, err)
	}
	require.Less(t, time.Since(began), patient/4, "what needs no lock waits for those who do, for half of Timeout")
	perform(t, conn, "ROLLBACK")
	stuck.Wait()
}

// expiring is a context whose deadline passes when passed is closed.
type expiring struct {
	context.Context //nolint:containedctx // it is one.

	passed chan struct{}
}

func (e expiring) Done() <-chan struct{} { return e.passed }

func (e expiring) Err() error {
	select {
	case <-e.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestACallerLeavesWhileItIsWritten(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(context.Context, *opened) error{
		"grouped": func(ctx context.Context, s *opened) error {
			_, _, err := s.ClaimPayment(ctx, benchTerminal(0), "me", time.Minute)
			return err
		},
		"alone": func(ctx context.Context, s *opened) error {
			_, err := s.MarkPayment(ctx, benchRequest(0, 1).ID, "", "told")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			s := paired(t, c)
			_, err := s.AcceptPayment(t.Context(), benchRequest(0, 1))
			require.NoError(t, err)
			conn, look := other(t), other(t)
			perform(t, conn, "BEGIN; SELECT FROM "+c.Schema+".payments FOR UPDATE")
			ctx, left := expiring{t.Context(), make(chan struct{})}, make(chan error, 1)
			go func() { left <- do(ctx, s) }()
			waiting(t, look, c.Schema+`".payments`, 1)
			began := time.Now()
			close(ctx.passed)
			err = <-left
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, tillroute.ErrTimeout)
			require.Less(t, time.Since(began), patient/4, "the lock is waited for as long as Timeout allows")
			if name == "grouped" {
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "it may be written yet")
			}
			perform(t, conn, "ROLLBACK")
		})
	}
}

// A server that stops answering doesn't keep its callers, and what was sent to it is unknown.
func TestAServerThatIsFrozen(t *testing.T) {
	t.Parallel()
	pgtest.URL(t) // or skip
	cluster, err := pgtest.Start()
	require.NoError(t, err)
	t.Cleanup(cluster.Remove)
	at, err := pgxpool.ParseConfig(cluster.TCP(cluster.Addr()))
	require.NoError(t, err)
	at.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // or nothing would be sent to who is frozen
	pool, err := pgxpool.NewWithConfig(t.Context(), at)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	paired(t, pgstore.Config{Pool: pool, Timeout: patient})
	s := open(t, pgstore.Config{Pool: pool, Timeout: time.Second})
	wake := freeze(t, cluster)
	began := time.Now()
	_, err = s.AcceptPayment(t.Context(), benchRequest(0, 1))
	requireError(t, err, tillroute.ErrUnavailable, tillroute.Unknown)
	_, err = s.Payment(t.Context(), benchRequest(0, 1).ID)
	requireError(t, err, tillroute.ErrUnavailable, tillroute.Failed)
	require.Less(t, time.Since(began), 30*time.Second)
	wake()
	require.Eventually(t, func() bool {
		_, err := s.AcceptPayment(t.Context(), benchRequest(0, 1))
		return err == nil
	}, 2*time.Minute, 10*time.Millisecond)
}

// freeze stops the processes of a cluster, until wake is called or the test ends.
func freeze(t *testing.T, cluster *pgtest.Cluster) (wake func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), cluster.URL())
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
	require.NoError(t, err)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	pids = append(pids, cluster.Process().Pid)
	wake = sync.OnceFunc(func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	})
	t.Cleanup(wake)
	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	}
	return wake
}

// A server that crashes again and again loses nothing that it has acknowledged, and the store comes back by itself.
func TestCrashes(t *testing.T) {
	t.Parallel()
	pgtest.URL(t) // or skip
	cluster, err := pgtest.Start()
	require.NoError(t, err)
	t.Cleanup(cluster.Remove)
	c := pgstore.Config{DSN: tillroute.Secret(cluster.TCP(cluster.Addr())), Timeout: patient}
	require.NoError(t, paired(t, c).Close())
	hasty := c
	hasty.Timeout = 2 * time.Second
	s := open(t, hasty)
	stop := make(chan struct{})
	var mu sync.Mutex
	acknowledged, refused := map[string]bool{}, map[string]bool{}
	var all sync.WaitGroup
	for caller := range 8 {
		all.Go(func() {
			for n := int64(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				r := benchRequest(caller, int64(caller)*1_000_000+n)
				_, err := s.AcceptPayment(t.Context(), r)
				mu.Lock()
				switch {
				case err == nil:
					acknowledged[r.ID] = true
				case !errors.Is(err, tillroute.ErrOutcomeUnknown):
					refused[r.ID] = true
					assert.ErrorIs(t, err, tillroute.ErrUnavailable) //nolint:testifylint // not the test's goroutine.
				}
				mu.Unlock()
				if err != nil {
					<-time.After(5 * time.Millisecond) // as long as nobody is there
				}
			}
		})
	}
	for range 4 {
		before := size(&mu, acknowledged)
		require.Eventually(t, func() bool { return size(&mu, acknowledged) > before+50 }, 2*time.Minute, time.Millisecond)
		require.NoError(t, cluster.Stop(syscall.SIGQUIT))
		require.NoError(t, cluster.Start())
	}
	before := size(&mu, acknowledged)
	require.Eventually(t, func() bool { return size(&mu, acknowledged) > before+50 }, 2*time.Minute, time.Millisecond)
	close(stop)
	all.Wait()
	list, err := open(t, c).ListPayments(t.Context(), pairing.Filter{}, 10_000_000)
	require.NoError(t, err)
	known := map[string]bool{}
	for _, p := range list {
		known[p.ID] = true
		require.False(t, refused[p.ID], "payment %s was said to have left no trace", p.ID)
	}
	for id := range acknowledged {
		require.True(t, known[id], "payment %s was acknowledged and is lost", id)
	}
	t.Logf("%d acknowledged, %d refused, %d there", len(acknowledged), len(refused), len(known))
}

func size(mu *sync.Mutex, m map[string]bool) int {
	mu.Lock()
	defer mu.Unlock()
	return len(m)
}
