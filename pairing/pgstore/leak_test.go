package pgstore_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// link is the network between a store and its database.
type link struct {
	listener net.Listener
	dial     func() (net.Conn, error)
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	pass  chan struct{} // closed while it passes on what it gets
}

// newLink returns a link to the tests' database and where the database is behind it.
func newLink(t *testing.T) (*link, *url.URL) {
	t.Helper()
	behind, err := pgx.ParseConfig(pgtest.URL(t))
	require.NoError(t, err)
	network, addr := pgconn.NetworkAddress(behind.Host, behind.Port)
	l := &link{conns: map[net.Conn]struct{}{}, pass: make(chan struct{})}
	close(l.pass)
	l.dial = func() (net.Conn, error) { return (&net.Dialer{}).DialContext(context.Background(), network, addr) }
	l.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.running.Go(l.accept)
	t.Cleanup(func() {
		_ = l.listener.Close()
		l.cut()
		l.running.Wait()
	})
	at := &url.URL{
		Scheme: "postgres", User: url.User(behind.User), Host: l.listener.Addr().String(), Path: "/" + behind.Database,
		RawQuery: "sslmode=disable",
	}
	if behind.Password != "" {
		at.User = url.UserPassword(behind.User, behind.Password)
	}
	return l, at
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		far, err := l.dial()
		if err != nil {
			_ = near.Close()
			continue
		}
		l.mu.Lock()
		l.conns[near], l.conns[far] = struct{}{}, struct{}{}
		l.mu.Unlock()
		l.running.Go(func() { l.copy(far, near) })
		l.running.Go(func() { l.copy(near, far) })
	}
}

func (l *link) copy(to, from net.Conn) {
	_, _ = io.Copy(gate{l, to}, from)
	_ = to.Close()
	_ = from.Close()
}

// gate holds back what is written to it while its link hangs.
type gate struct {
	*link
	net.Conn
}

func (g gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	pass := g.pass
	g.mu.Unlock()
	<-pass
	return g.Conn.Write(b)
}

// hang has the link swallow what it gets, until resume.
func (l *link) hang() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass = make(chan struct{})
}

func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.pass:
	default:
		close(l.pass)
	}
}

// cut ends all connections.
func (l *link) cut() {
	l.resume()
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		_ = conn.Close()
		delete(l.conns, conn)
	}
}

// Whatever happens to the connections, a store has no more than it may have, and none, and no goroutine, when it is
// closed. It doesn't run beside other tests, whose goroutines would count.
func TestNothingIsLeftOfAnOutage(t *testing.T) { //nolint:paralleltest // see above.
	config := config(t)
	link, at := newLink(t)
	query := at.Query()
	query.Set("application_name", config.Schema)
	query.Set("pool_max_conns", "8")
	at.RawQuery = query.Encode()
	config.DSN, config.Timeout = tillroute.Secret(at.String()), time.Second
	look := other(t)
	connections := func() (n int) {
		require.NoError(t, look.QueryRow(t.Context(),
			"SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", config.Schema).Scan(&n))
		return n
	}
	before := goleak.IgnoreCurrent()

	// What is prepared has as long as a busy machine needs.
	preparing := config
	preparing.Timeout = patient
	setup, err := pgstore.Open(t.Context(), preparing)
	require.NoError(t, err)
	for i := range 10 {
		_, err := setup.PutPairing(t.Context(), pairing.Pairing{Register: benchRegister(i), Terminal: benchTerminal(i)}, -1)
		require.NoError(t, err)
	}
	require.NoError(t, setup.Close())
	var store *pgstore.Store
	require.Eventually(t, func() bool {
		store, err = pgstore.Open(t.Context(), config)
		return err == nil
	}, 2*time.Minute, time.Millisecond)
	router, err := pairing.New(pairing.Config{
		Store: store, Drivers: map[string]pairing.Driver{"smartconnect": approver{}},
		Lease: 2 * time.Second, PollInterval: 50 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = router.Run(ctx) })
	var mu sync.Mutex
	done := 0
	for caller := range 10 {
		running.Go(func() {
			for n := int64(0); ctx.Err() == nil; n++ {
				_, err := router.Pay(ctx, benchRequest(caller, int64(caller)*1_000_000+n))
				if err == nil {
					mu.Lock()
					done++
					mu.Unlock()
					continue
				}
				select {
				case <-time.After(10 * time.Millisecond): // as long as nobody is there
				case <-ctx.Done():
				}
			}
		})
	}
	paid := func() int {
		mu.Lock()
		defer mu.Unlock()
		return done
	}
	for _, disaster := range []func(){
		func() {
			_, err := look.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", config.Schema)
			require.NoError(t, err)
		},
		link.cut,
		func() { link.hang(); <-time.After(2 * time.Second); link.resume() },
		func() { link.hang(); <-time.After(2 * time.Second); link.cut() },
	} {
		disaster()
		was := paid()
		require.Eventually(t, func() bool { return paid() > was+20 }, 2*time.Minute, 5*time.Millisecond)
		// A busy server takes its time to let go of those that were given up.
		require.Eventually(t, func() bool { return connections() <= 8+1 }, 2*time.Minute, 5*time.Millisecond, "the pool's, and the one that listens")
	}
	cancel()
	running.Wait()
	require.Eventually(t, func() bool { return pgstore.Acquired(store) == 0 }, 2*time.Minute, time.Millisecond)
	began := time.Now()
	require.NoError(t, store.Close())
	require.Less(t, time.Since(began), 12*time.Second, "the database answers")
	require.Eventually(t, func() bool { return connections() == 0 }, 2*time.Minute, 10*time.Millisecond)
	link.cut()
	// What is left of connections that were given up ends when a busy server answers.
	assert.Eventually(t, func() bool { return goleak.Find(before) == nil }, time.Minute, 10*time.Millisecond)
	assert.NoError(t, goleak.Find(before))
}
