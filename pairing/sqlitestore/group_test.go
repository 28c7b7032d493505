package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// paired opens a store in which register 0 is paired.
func paired(t *testing.T, c Config) *Store {
	t.Helper()
	if c.Path == "" {
		c.Path = filepath.Join(t.TempDir(), "test.db")
	}
	s, err := Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, err = s.PutPairing(t.Context(), pairing.Pairing{Register: benchRegister(0), Terminal: benchTerminal(0)}, -1)
	require.NoError(t, err)
	return s
}

// other returns a connection such as another process has.
func other(t *testing.T, path string) *conn {
	t.Helper()
	connector, err := connector(Config{Path: path, BusyTimeout: 2 * time.Minute}, "mode=rw")
	require.NoError(t, err)
	c, err := connect(t.Context(), connector)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.close()) })
	return c
}

func run(t *testing.T, c *conn, statement string) {
	t.Helper()
	_, err := c.query(t.Context(), func(*row) {}, statement)
	require.NoError(t, err)
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

func waiters(s *Store) int { return s.group.queue.Len() }

// together has the writes done in one group, and returns their errors. None of them may wait for another.
func together(t *testing.T, s *Store, dos ...func(context.Context, *conn) error) []error {
	t.Helper()
	gate, held, taken := make(chan struct{}), make(chan struct{}), make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open() // Or a failure here would leave Close waiting.
	take := sync.OnceFunc(func() { close(taken) })
	go func() {
		defer close(held)
		_ = s.group.write(t.Context(), func(context.Context, *conn) error {
			take()
			<-gate
			return nil
		})
	}()
	<-taken
	errs := make([]error, len(dos))
	done := make(chan int, len(dos))
	for i, do := range dos {
		go func() {
			errs[i] = s.group.write(t.Context(), do)
			done <- i
		}()
		require.Eventually(t, func() bool { return waiters(s) == i+1 }, time.Minute, time.Millisecond)
	}
	open()
	for range dos {
		<-done
	}
	<-held
	return errs
}

func insertCode(code string) func(context.Context, *conn) error {
	return func(ctx context.Context, c *conn) error {
		return putCode(ctx, c, pairing.Code{Text: code, Terminal: benchTerminal(1)})
	}
}

func codes(t *testing.T, s *Store) (list []string) {
	t.Helper()
	_, err := s.read(t.Context(), func(r *row) { list = append(list, r.text()) }, "SELECT code FROM pairing_codes ORDER BY code")
	require.NoError(t, err)
	return list
}

func TestGroupIsOneTransaction(t *testing.T) {
	t.Parallel()
	s := paired(t, Config{})
	var transactions []time.Time
	note := func(_ context.Context, c *conn) error {
		transactions = append(transactions, c.now)
		return nil
	}
	for _, err := range together(t, s, note, note, note) {
		require.NoError(t, err)
	}
	require.Len(t, transactions, 3)
	require.Equal(t, transactions[0], transactions[2])
}

// A write that the database fails half-way is undone, and nothing else.
func TestFailedWriteTakesNothingWithIt(t *testing.T) {
	t.Parallel()
	s := paired(t, Config{})
	broken := func(ctx context.Context, c *conn) error {
		if err := insertCode("half")(ctx, c); err != nil {
			return err
		}
		_, err := c.exec(ctx, "INSERT INTO pairing_codes (code) VALUES (NULL)")
		return err
	}
	refused := func(context.Context, *conn) error { return refusal.NoPayment("x") }
	errs := together(t, s, insertCode("a"), broken, refused, insertCode("b"))
	require.NoError(t, errs[0])
	requireError(t, errs[1], tillroute.ErrUnavailable, tillroute.Failed)
	_, ok := errors.AsType[*sqlite.Error](errs[1])
	require.True(t, ok, "the driver's error is not to be found in %v", errs[1])
	require.ErrorIs(t, errs[2], tillroute.ErrNotFound)
	require.NoError(t, errs[3])
	require.Equal(t, []string{"a", "b"}, codes(t, s))
}

// Nobody is told that something is written if the commit fails.
func TestFailedCommitFailsAll(t *testing.T) {
	t.Parallel()
	s := paired(t, Config{})
	run(t, s.group.conn, "CREATE TABLE parent (id INTEGER PRIMARY KEY)")
	run(t, s.group.conn, "CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
	unfit := func(ctx context.Context, c *conn) error { // which shows only at the commit
		_, err := c.exec(ctx, "INSERT INTO child VALUES (1)")
		return err
	}
	for _, err := range together(t, s, insertCode("a"), unfit, insertCode("b")) {
		requireError(t, err, tillroute.ErrUnavailable, tillroute.Unknown)
	}
	require.Empty(t, codes(t, s))
	_, err := s.AcceptPayment(t.Context(), benchRequest(0, 1))
	require.NoError(t, err, "the store stays usable")
}

func TestCallerLeavesWhileTheDatabaseIsLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := paired(t, Config{Path: path, BusyTimeout: 2 * time.Minute})
	holder := other(t, path)
	run(t, holder, "BEGIN IMMEDIATE")
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := s.AcceptPayment(ctx, benchRequest(0, 1))
		result <- err
	}()
	require.Eventually(t, func() bool { return waiters(s) == 1 }, time.Minute, time.Millisecond)
	began := time.Now()
	cancel()
	err := <-result
	require.Less(t, time.Since(began), 30*time.Second, "the database stays locked")
	requireError(t, err, context.Canceled, tillroute.Failed)
	_, err = s.Payment(t.Context(), benchRequest(0, 1).ID)
	require.ErrorIs(t, err, tillroute.ErrNotFound, "what is committed can be read while the database is locked")
	run(t, holder, "ROLLBACK")
	_, err = s.AcceptPayment(t.Context(), benchRequest(0, 2))
	require.NoError(t, err)
	_, err = s.Payment(t.Context(), benchRequest(0, 1).ID)
	require.ErrorIs(t, err, tillroute.ErrNotFound)
}

func TestCallerLeavesWhileItIsWritten(t *testing.T) {
	t.Parallel()
	s := paired(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	gate := make(chan struct{})
	result := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		result <- s.group.write(ctx, func(ctx context.Context, c *conn) error {
			close(started)
			<-gate
			return insertCode("a")(ctx, c)
		})
	}()
	<-started
	cancel()
	requireError(t, <-result, context.Canceled, tillroute.Unknown)
	close(gate)
	require.Eventually(t, func() bool { return len(codes(t, s)) == 1 }, time.Minute, time.Millisecond)
}

func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := paired(t, Config{Path: path, BusyTimeout: 20 * time.Millisecond})
	holder := other(t, path)
	run(t, holder, "BEGIN IMMEDIATE")
	_, err := s.AcceptPayment(t.Context(), benchRequest(0, 1))
	require.Contains(t, requireError(t, err, tillroute.ErrUnavailable, tillroute.Failed), "locked")
	run(t, holder, "ROLLBACK")
	_, err = s.AcceptPayment(t.Context(), benchRequest(0, 1))
	require.NoError(t, err)
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := paired(t, Config{})
	p, err := s.AcceptPayment(t.Context(), benchRequest(0, 0))
	require.NoError(t, err)
	var pages int64
	_, err = s.group.conn.one(t.Context(), func(r *row) { pages = r.int() }, "PRAGMA page_count")
	require.NoError(t, err)
	run(t, s.group.conn, fmt.Sprintf("PRAGMA max_page_count = %d", pages+3))
	r := benchRequest(0, 1)
	r.Data = make([]byte, 64<<10)
	_, err = s.AcceptPayment(t.Context(), r)
	require.Contains(t, requireError(t, err, tillroute.ErrUnavailable, tillroute.Failed), "full")
	_, err = s.Payment(t.Context(), r.ID)
	require.ErrorIs(t, err, tillroute.ErrNotFound)

	// What needs no room goes on, also in a group with what does.
	errs := together(t, s, func(ctx context.Context, c *conn) error {
		_, err := accept(ctx, c, r)
		return err
	}, func(ctx context.Context, c *conn) error {
		_, err := claim(ctx, c, p.Terminal, "worker", time.Minute)
		return err
	})
	requireError(t, errs[0], tillroute.ErrUnavailable, tillroute.Failed)
	require.NoError(t, errs[1])
	p, err = s.Payment(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, pairing.Sending, p.State)

	run(t, s.group.conn, "PRAGMA max_page_count = 1000000")
	_, err = s.AcceptPayment(t.Context(), r)
	require.NoError(t, err, "the store stays usable when there is room again")
}

func TestDatabaseThatCanOnlyBeRead(t *testing.T) {
	t.Parallel()
	s := paired(t, Config{})
	run(t, s.group.conn, "PRAGMA query_only = 1")
	_, err := s.AcceptPayment(t.Context(), benchRequest(0, 1))
	require.Contains(t, requireError(t, err, tillroute.ErrUnavailable, tillroute.Failed), "only be read")
	_, err = s.Pairing(t.Context(), benchRegister(0))
	require.NoError(t, err)
}

func TestTwoStoresOnOneFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	c := Config{Path: path, BusyTimeout: 2 * time.Minute} // on a busy machine, too
	stores := []*Store{paired(t, c), paired(t, c)}
	errs := make(chan error)
	for i := range 200 {
		go func() {
			_, err := stores[i%2].AcceptPayment(t.Context(), benchRequest(0, int64(i/2))) // each payment from both
			errs <- err
		}()
	}
	for range 200 {
		require.NoError(t, <-errs)
	}
	list, err := stores[0].ListPayments(t.Context(), pairing.Filter{}, 1000)
	require.NoError(t, err)
	require.Len(t, list, 100)
}

// The database itself forbids two payments in flight.
func TestTwoInFlightAreImpossible(t *testing.T) {
	t.Parallel()
	s := paired(t, Config{})
	for i := range int64(2) {
		_, err := s.AcceptPayment(t.Context(), benchRequest(0, i))
		require.NoError(t, err)
	}
	_, err := s.group.conn.exec(t.Context(), "UPDATE payments SET state = 'sending'")
	require.ErrorContains(t, err, "UNIQUE")
	run(t, s.group.conn, "UPDATE payments SET state = 'sending' WHERE seq = 1")
	_, err = s.group.conn.exec(t.Context(), "UPDATE payments SET state = 'sent' WHERE seq = 2")
	require.ErrorContains(t, err, "UNIQUE")
}
