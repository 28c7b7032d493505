package pgstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// together has all calls written in one group.
func together(t *testing.T, s *opened, pool *pgxpool.Pool, calls ...func()) {
	t.Helper()
	var taken []*pgxpool.Conn
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		taken = append(taken, conn)
	}
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(call)
		require.Eventually(t, func() bool { return pgstore.Pending(s.Store) == i+1 }, 2*time.Minute, time.Millisecond)
	}
	for _, conn := range taken {
		conn.Release()
	}
	all.Wait()
}

// Payments that are accepted in one statement are accepted or refused each on its own.
func TestPaymentsAcceptedTogether(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	s := paired(t, pgstore.Config{Pool: pool, Schema: pgtest.Schema(t), Timeout: patient})
	known, err := s.AcceptPayment(t.Context(), benchRequest(1, 100))
	require.NoError(t, err)
	type answer struct {
		payment pairing.Payment
		err     error
	}
	other := benchRequest(3, 3)
	other.Amount, other.Data = decimal.New(1, 3), nil
	requests := []pairing.Request{
		benchRequest(0, 0), benchRequest(1, 1), benchRequest(2, 2), other, benchRequest(0, 4), // new ones
		benchRequest(0, 0),   // the first one again
		benchRequest(2, 1),   // the ID of the second one
		benchRequest(1, 100), // known
		benchRequest(2, 100), // the ID of one that is known
		benchRequest(50, 5),  // not paired
	}
	got := make([]answer, len(requests))
	var calls []func()
	for i, r := range requests {
		calls = append(calls, func() { got[i].payment, got[i].err = s.AcceptPayment(t.Context(), r) })
	}
	together(t, s, pool, calls...)
	for i, r := range requests[:5] {
		require.NoError(t, got[i].err, i)
		require.Equal(t, benchTerminal(i%4), got[i].payment.Terminal)
		read, err := s.Payment(t.Context(), r.ID)
		require.NoError(t, err)
		require.True(t, read.Same(r))
		require.Equal(t, read.Seq, got[i].payment.Seq)
		require.Equal(t, read.AcceptedAt, got[i].payment.AcceptedAt)
	}
	require.Less(t, got[0].payment.Seq, got[4].payment.Seq)
	require.NoError(t, got[5].err)
	require.Equal(t, got[0].payment.Seq, got[5].payment.Seq)
	requireError(t, got[6].err, tillroute.ErrConflict, tillroute.Failed)
	require.NoError(t, got[7].err)
	require.Equal(t, known.Seq, got[7].payment.Seq)
	requireError(t, got[8].err, tillroute.ErrConflict, tillroute.Failed)
	requireError(t, got[9].err, pairing.ErrNotPaired, tillroute.Failed)
}

// A register that is paired anew while payments are accepted in one statement gets its own at its new terminal.
func TestPaymentsAcceptedTogetherWhileARegisterMoves(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	c := pgstore.Config{Pool: pool, Schema: pgtest.Schema(t), Timeout: patient}
	s := paired(t, c)
	conn, look := other(t), other(t)
	perform(t, conn, "BEGIN; UPDATE "+c.Schema+".pairings SET serial = '"+benchTerminal(9).Serial+"' WHERE register = '"+benchRegister(1).ID+"'")
	got := make([]pairing.Payment, 3)
	var calls []func()
	for i := range got {
		calls = append(calls, func() {
			var err error
			got[i], err = s.AcceptPayment(t.Context(), benchRequest(i, int64(i)))
			assert.NoError(t, err)
		})
	}
	committed := make(chan error, 1)
	go func() {
		defer close(committed)
		if waits(t, look, c.Schema+`".payments`, 1) {
			_, err := conn.Exec(t.Context(), "COMMIT")
			committed <- err
		}
	}()
	together(t, s, pool, calls...)
	require.NoError(t, <-committed)
	require.Equal(t, benchTerminal(0), got[0].Terminal)
	require.Equal(t, benchTerminal(9), got[1].Terminal)
	require.Equal(t, benchTerminal(2), got[2].Terminal)
}

// A text that the database can't keep is its caller's trouble alone.
func TestOneOfAGroupIsRefused(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	s := paired(t, pgstore.Config{Pool: pool, Schema: pgtest.Schema(t), Timeout: patient})
	var calls []func()
	for i := range 5 {
		calls = append(calls, func() {
			r := benchRequest(i, int64(i))
			if i == 2 {
				r.Reference = "table\x00"
			}
			_, err := s.AcceptPayment(t.Context(), r)
			if i == 2 {
				assert.ErrorIs(t, err, tillroute.ErrInvalid)
			} else {
				assert.NoError(t, err, fmt.Sprint(i))
			}
		})
	}
	together(t, s, pool, calls...)
}
