package sqlitestore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tillroute/tillroute"
)

// maxGroup bounds how many writes wait for one another.
const maxGroup = 256

// group commits the writes of concurrent callers together: making a transaction durable takes one fsync, however
// many writes are in it.
//
// A caller whose write finds nobody at work starts a goroutine that commits until nothing is left. Nothing runs
// while nothing is written.
type group struct {
	conn *conn // used by run alone

	mu      sync.Mutex
	closed  bool
	running bool
	pending []*member
	runs    sync.WaitGroup
}

// member is what one caller wants written.
type member struct {
	// do runs the statements. What it leaves in the variables that it shares with its caller counts only if the
	// caller sees no error. It may run twice: the first time is undone then.
	//
	// An error that isn't of the database is an answer, such as "not found", and what do has written stays.
	do   func(context.Context, *conn) error
	turn atomic.Int32
	err  error
	done chan struct{}
}

// The turn of a member: it waits until either the group takes it or its caller leaves.
const (
	waiting int32 = iota
	taken
	left
)

// write has do written, and returns when that is durable or can't be done.
func (g *group) write(ctx context.Context, do func(context.Context, *conn) error) error {
	if err := ctx.Err(); err != nil {
		return ended(err, tillroute.Failed)
	}
	w := &member{do: do, done: make(chan struct{})}
	if !g.add(ctx, w) {
		return closed()
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		if w.turn.CompareAndSwap(waiting, left) {
			return ended(ctx.Err(), tillroute.Failed)
		}
	}
	select {
	case <-w.done:
		return w.err
	default:
		return ended(ctx.Err(), tillroute.Unknown)
	}
}

func (g *group) add(ctx context.Context, w *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.pending = append(g.pending, w)
	if !g.running {
		g.running = true
		ctx := context.WithoutCancel(ctx) // what it writes is not this caller's alone
		g.runs.Go(func() { g.run(ctx) })
	}
	return true
}

// close refuses new writes and waits for those that are under way.
func (g *group) close() error {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.runs.Wait()
	if !first {
		return nil
	}
	return g.conn.close()
}

// run commits until nothing is left.
func (g *group) run(ctx context.Context) {
	for {
		g.mu.Lock()
		if len(g.pending) == 0 {
			g.running = false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		g.commit(ctx)
	}
}

// take returns up to n pending writes whose callers are still there.
func (g *group) take(n int) []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	var batch []*member
	i := 0
	for ; i < len(g.pending) && len(batch) < n; i++ {
		if w := g.pending[i]; w.turn.CompareAndSwap(waiting, taken) {
			batch = append(batch, w)
		}
	}
	g.pending = slices.Delete(g.pending, 0, i)
	return batch
}

// commit writes what is pending in one transaction.
//
// Writes are taken once the transaction has begun, so that callers can leave while another process holds the
// database, and until none is left, so that those who come meanwhile share the fsync.
func (g *group) commit(ctx context.Context) {
	if err := g.conn.begin(ctx); err != nil {
		answer(g.take(maxGroup), failed(err))
		return
	}
	var batch []*member
	for len(batch) < maxGroup {
		more := g.take(maxGroup - len(batch))
		if len(more) == 0 {
			break
		}
		batch = append(batch, more...)
		for _, w := range more {
			if w.err = w.do(ctx, g.conn); broken(w.err) {
				g.conn.rollback(ctx)
				g.apart(ctx, batch)
				return
			}
		}
	}
	if err := g.end(ctx); err != nil {
		for _, w := range batch {
			w.err = err
		}
	}
	for _, w := range batch {
		close(w.done)
	}
}

// apart writes each of batch in a transaction of its own. It is for a batch in which the database failed one, and
// that was therefore undone as a whole: a failed statement takes with it half of its own write, and with some errors
// the whole transaction.
func (g *group) apart(ctx context.Context, batch []*member) {
	for _, w := range batch {
		w.err = g.alone(ctx, w)
		close(w.done)
	}
}

func (g *group) alone(ctx context.Context, w *member) error {
	if err := g.conn.begin(ctx); err != nil {
		return failed(err)
	}
	answered := w.do(ctx, g.conn)
	if broken(answered) {
		g.conn.rollback(ctx)
		return failed(answered)
	}
	if err := g.end(ctx); err != nil {
		return err
	}
	return answered
}

// end commits the transaction.
func (g *group) end(ctx context.Context) error {
	err := g.conn.commit(ctx)
	if err == nil {
		return nil
	}
	g.conn.rollback(ctx)
	return failedCommit(err)
}

// broken reports whether err came from the database, as opposed to an answer of the store.
func broken(err error) bool {
	if err == nil {
		return false
	}
	_, ok := errors.AsType[*tillroute.Error](err)
	return !ok
}

func answer(batch []*member, err error) {
	for _, w := range batch {
		w.err = err
		close(w.done)
	}
}
