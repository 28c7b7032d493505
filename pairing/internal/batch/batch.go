// Package batch collects the writes of concurrent callers, so that a store can make many durable at the cost of one.
package batch

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// Queue holds what callers want written. A caller whose write finds too few at work starts a goroutine, which commits
// until nothing is left. Nothing runs while nothing is written. [New] makes one.
type Queue[W any] struct {
	commit func(context.Context)
	lanes  int

	mu      sync.Mutex
	closed  bool
	running int
	pending []*Member[W]
	runs    sync.WaitGroup
}

// New returns a queue whose writes are written by commit, which takes some and answers them; up to lanes calls of it
// run at once. It is called again until nothing is left.
func New[W any](lanes int, commit func(context.Context)) *Queue[W] {
	return &Queue[W]{commit: commit, lanes: lanes}
}

// Member is what one caller wants written.
type Member[W any] struct {
	Write W
	// Err is what the caller is told once the member is done.
	Err error

	turn atomic.Int32
	done chan struct{}
}

// The turn of a member: it waits until either the queue takes it or its caller leaves.
const (
	waiting int32 = iota
	taken
	left
)

// Done has the caller return Err.
func (m *Member[W]) Done() { close(m.done) }

// Write has w written, and returns when it was answered. If ctx ends before, the outcome is Failed if nobody has taken
// it, and Unknown otherwise.
func (q *Queue[W]) Write(ctx context.Context, w W) error {
	if err := ctx.Err(); err != nil {
		return refusal.Ended(err, tillroute.Failed)
	}
	m := &Member[W]{Write: w, done: make(chan struct{})}
	if !q.add(ctx, m) {
		return refusal.Closed()
	}
	select {
	case <-m.done:
		return m.Err
	case <-ctx.Done():
		if m.turn.CompareAndSwap(waiting, left) {
			return refusal.Ended(ctx.Err(), tillroute.Failed)
		}
	}
	select {
	case <-m.done:
		return m.Err
	default:
		return refusal.Ended(ctx.Err(), tillroute.Unknown)
	}
}

func (q *Queue[W]) add(ctx context.Context, m *Member[W]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.pending = append(q.pending, m)
	if q.running < q.lanes {
		q.running++
		ctx := context.WithoutCancel(ctx) // what it writes is not this caller's alone
		q.runs.Go(func() { q.run(ctx) })
	}
	return true
}

// run commits until nothing is left.
func (q *Queue[W]) run(ctx context.Context) {
	for {
		q.mu.Lock()
		if len(q.pending) == 0 {
			q.running--
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.commit(ctx)
	}
}

// Take returns up to n pending writes whose callers are still there.
func (q *Queue[W]) Take(n int) []*Member[W] {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []*Member[W]
	i := 0
	for ; i < len(q.pending) && len(batch) < n; i++ {
		if m := q.pending[i]; m.turn.CompareAndSwap(waiting, taken) {
			batch = append(batch, m)
		}
	}
	q.pending = slices.Delete(q.pending, 0, i)
	return batch
}

// Len returns how many writes wait.
func (q *Queue[W]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending)
}

// Close refuses new writes and waits for those that are under way. It reports whether it is the first call.
func (q *Queue[W]) Close() (first bool) {
	q.mu.Lock()
	first = !q.closed
	q.closed = true
	q.mu.Unlock()
	q.runs.Wait()
	return first
}
