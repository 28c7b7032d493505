package sqlitestore

import (
	"context"
	"errors"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/internal/batch"
)

// maxGroup bounds how many writes wait for one another.
const maxGroup = 256

// group commits the writes of concurrent callers together: making a transaction durable takes one fsync, however
// many writes are in it.
type group struct {
	queue *batch.Queue[do]
	conn  *conn // used by commit alone
}

// do runs the statements of one caller's write. What it leaves in the variables that it shares with its caller counts
// only if the caller sees no error. It may run twice: the first time is undone then.
//
// An error that isn't of the database is an answer, such as "not found", and what do has written stays.
type do func(context.Context, *conn) error

// write has do written, and returns when that is durable or can't be done.
func (g *group) write(ctx context.Context, do do) error { return g.queue.Write(ctx, do) }

// close refuses new writes and waits for those that are under way.
func (g *group) close() error {
	if !g.queue.Close() {
		return nil
	}
	return g.conn.close()
}

// commit writes what is pending in one transaction.
//
// Writes are taken once the transaction has begun, so that callers can leave while another process holds the
// database, and until none is left, so that those who come meanwhile share the fsync.
func (g *group) commit(ctx context.Context) {
	if err := g.conn.begin(ctx); err != nil {
		answer(g.queue.Take(maxGroup), failed(err))
		return
	}
	var members []*batch.Member[do]
	for len(members) < maxGroup {
		more := g.queue.Take(maxGroup - len(members))
		if len(more) == 0 {
			break
		}
		members = append(members, more...)
		for _, w := range more {
			if w.Err = w.Write(ctx, g.conn); broken(w.Err) {
				g.conn.rollback(ctx)
				g.apart(ctx, members)
				return
			}
		}
	}
	if err := g.end(ctx); err != nil {
		for _, w := range members {
			w.Err = err
		}
	}
	for _, w := range members {
		w.Done()
	}
}

// apart writes each of members in a transaction of its own. It is for a group in which the database failed one, and
// that was therefore undone as a whole: a failed statement takes with it half of its own write, and with some errors
// the whole transaction.
func (g *group) apart(ctx context.Context, members []*batch.Member[do]) {
	for _, w := range members {
		w.Err = g.alone(ctx, w)
		w.Done()
	}
}

func (g *group) alone(ctx context.Context, w *batch.Member[do]) error {
	if err := g.conn.begin(ctx); err != nil {
		return failed(err)
	}
	answered := w.Write(ctx, g.conn)
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

func answer(members []*batch.Member[do], err error) {
	for _, w := range members {
		w.Err = err
		w.Done()
	}
}
