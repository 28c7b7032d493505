package batch_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/internal/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// requireOutcome makes sure that err matches target and has that outcome.
func requireOutcome(t *testing.T, err, target error, o tillroute.Outcome) {
	t.Helper()
	require.ErrorIs(t, err, target)
	e, ok := errors.AsType[*tillroute.Error](err)
	require.True(t, ok)
	require.Equal(t, o, e.Outcome)
}

func TestWhatComesMeanwhileGoesTogether(t *testing.T) {
	t.Parallel()
	gate, began := make(chan struct{}), make(chan struct{}, 10)
	var sizes []int
	var q *batch.Queue[int]
	q = batch.New[int](1, func(context.Context) {
		members := q.Take(4)
		sizes = append(sizes, len(members)) // one lane
		began <- struct{}{}
		<-gate
		for _, m := range members {
			if m.Write%2 == 1 {
				m.Err = errors.New("odd")
			}
			m.Done()
		}
	})
	var all sync.WaitGroup
	write := func(n int) {
		all.Go(func() {
			err := q.Write(t.Context(), n)
			assert.Equal(t, n%2 == 1, err != nil, "each has its own answer")
		})
	}
	write(0)
	<-began
	for n := range 6 {
		write(n + 1)
	}
	require.Eventually(t, func() bool { return q.Len() == 6 }, time.Minute, time.Millisecond)
	close(gate)
	all.Wait()
	require.True(t, q.Close())
	require.False(t, q.Close())
	require.Equal(t, []int{1, 4, 2}, sizes)
	requireOutcome(t, q.Write(t.Context(), 1), tillroute.ErrUnavailable, tillroute.Failed)
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	gate, taken := make(chan struct{}), make(chan struct{})
	var q *batch.Queue[int]
	var written atomic.Int64
	q = batch.New[int](1, func(ctx context.Context) {
		assert.NoError(t, ctx.Err(), "a group doesn't end with one of its callers") //nolint:testifylint // not the test's goroutine.
		members := q.Take(1)
		if len(members) == 0 {
			return
		}
		written.Add(1)
		taken <- struct{}{}
		<-gate
		members[0].Done()
	})
	first, leaveFirst := context.WithCancel(t.Context())
	second, leaveSecond := context.WithCancel(t.Context())
	results := [2]chan error{make(chan error, 1), make(chan error, 1)}
	go func() { results[0] <- q.Write(first, 1) }()
	<-taken
	go func() { results[1] <- q.Write(second, 2) }()
	require.Eventually(t, func() bool { return q.Len() == 1 }, time.Minute, time.Millisecond)
	leaveSecond()
	requireOutcome(t, <-results[1], context.Canceled, tillroute.Failed)
	leaveFirst()
	requireOutcome(t, <-results[0], context.Canceled, tillroute.Unknown)
	requireOutcome(t, q.Write(first, 3), tillroute.ErrCanceled, tillroute.Failed)
	close(gate)
	q.Close()
	require.EqualValues(t, 1, written.Load(), "who has left is not written")
}

func TestLanes(t *testing.T) {
	t.Parallel()
	const lanes = 3
	var at, most atomic.Int64
	var q *batch.Queue[int]
	gate := make(chan struct{})
	q = batch.New[int](lanes, func(context.Context) {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		members := q.Take(1)
		<-gate
		for _, m := range members {
			m.Done()
		}
		at.Add(-1)
	})
	var all sync.WaitGroup
	for n := range 10 {
		all.Go(func() { assert.NoError(t, q.Write(t.Context(), n)) })
	}
	require.Eventually(t, func() bool { return at.Load() == lanes && q.Len() == 10-lanes }, time.Minute, time.Millisecond)
	close(gate)
	all.Wait()
	q.Close()
	require.LessOrEqual(t, most.Load(), int64(lanes))
}
