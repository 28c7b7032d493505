package pgstore

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/batch"
)

// maxGroup bounds how many writes wait for one another.
const maxGroup = 128

// group commits the writes of concurrent callers together: they travel in one packet, which is one transaction and
// costs one flush of the disk. No statement waits for the answer of another.
type group struct {
	store *Store
	queue *batch.Queue[write]
	alone sync.WaitGroup // those that are written by themselves
}

// patience is how long a group waits for other transactions: whoever needs longer leaves it, so that a lock that
// somebody holds on one queue does not hold up the others.
const patience = 250 * time.Millisecond

// write is one statement, which returns a row or none.
type write struct {
	query string
	args  []any
	// read reads the row, if there is one, into what the caller shares with it, which counts only if the caller sees no
	// error. It may run twice: the first time is undone then.
	read func(rows pgx.Rows, ok bool) error
	// accept is set by what appends to a queue.
	accept *pairing.Request
	// order is the name of what it locks.
	order string
}

// rank orders the statements of a transaction: two nodes that lock the same things lock them in the same order, or each
// would wait for the other. What appends to queues has its own order, see acceptPayments, and comes first.
func rank(a, b *batch.Member[write]) int {
	switch first, second := a.Write.accept != nil, b.Write.accept != nil; {
	case first && second:
		return 0
	case first:
		return -1
	case second:
		return 1
	default:
		return strings.Compare(a.Write.order, b.Write.order)
	}
}

// do has w written, and returns when that is durable or can't be done.
func (g *group) do(ctx context.Context, w write) error { return g.queue.Write(ctx, w) }

// close refuses new writes and waits for those that are under way.
func (g *group) close() {
	g.queue.Close()
	g.alone.Wait()
}

// commit writes what is pending. Writes are taken once there is a connection, so that callers can leave while there is
// none.
func (g *group) commit(ctx context.Context) {
	wait, cancel := context.WithTimeout(ctx, g.store.timeout)
	defer cancel()
	conn, err := g.store.pool.Acquire(wait)
	members := g.queue.Take(maxGroup)
	if err != nil {
		finish(members, g.store.failed(ctx, err))
		return
	}
	if len(members) == 0 {
		conn.Release()
		return
	}
	slices.SortStableFunc(members, rank)
	err = g.send(ctx, conn, members, min(patience, g.store.timeout/2))
	conn.Release()
	switch {
	case err == nil:
		for _, m := range members {
			m.Done()
		}
	case !undone(err):
		finish(members, g.store.lost(err))
	case len(members) == 1 && !conflicted(err) && code(err) != lockNotAvailable || code(err) == "":
		finish(members, g.store.failed(ctx, err))
	default:
		g.apart(ctx, members)
	}
}

// send writes the members in one transaction, which waits that long for others, and reads their answers. It fails if the
// database failed any of them.
func (g *group) send(ctx context.Context, conn *pgxpool.Conn, members []*batch.Member[write], wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, g.store.timeout)
	defer cancel()
	accepted, others := split(members)
	b := &pgx.Batch{}
	// Without statistics, which a new or quickly grown table doesn't have, PostgreSQL would read tables from end to end.
	b.Queue("SELECT set_config('lock_timeout', $1::text, true), set_config('enable_seqscan', 'off', true)", lockTimeout(wait))
	if len(accepted) > 0 {
		b.Queue(g.store.sql(acceptPayments), acceptArgs(accepted)...)
	}
	for _, m := range others {
		b.Queue(g.store.sql(m.Write.query), m.Write.args...)
	}
	results := conn.SendBatch(ctx, b)
	if err := answers(results, accepted, others); err != nil {
		_ = results.Close() // it says the same
		return err
	}
	return results.Close()
}

// split returns those members that append to queues, if they are several and so can be one statement, and the rest.
func split(members []*batch.Member[write]) (accepted, others []*batch.Member[write]) {
	known := map[string]bool{}
	for _, m := range members {
		if r := m.Write.accept; r != nil && !known[r.ID] {
			known[r.ID] = true
			accepted = append(accepted, m)
		} else {
			others = append(others, m)
		}
	}
	if len(accepted) < 2 {
		return nil, members
	}
	return accepted, others
}

func answers(results pgx.BatchResults, accepted, others []*batch.Member[write]) error {
	if _, err := results.Exec(); err != nil {
		return err
	}
	if len(accepted) > 0 {
		if err := readAccepted(results, accepted); err != nil {
			return err
		}
	}
	for _, m := range others {
		if err := read(results, m.Write); err != nil {
			return err
		}
	}
	return nil
}

// readAccepted reads the answers of acceptPayments, each of which begins with the ID.
func readAccepted(results pgx.BatchResults, members []*batch.Member[write]) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	waiting := make(map[string]write, len(members))
	for _, m := range members {
		waiting[m.Write.accept.ID] = m.Write
	}
	for rows.Next() {
		id := string(rows.RawValues()[0])
		if err := waiting[id].read(rows, true); err != nil {
			return err
		}
		delete(waiting, id)
	}
	for _, w := range waiting {
		if err := w.read(rows, false); err != nil {
			return err
		}
	}
	return rows.Err()
}

func read(results pgx.BatchResults, w write) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	ok := rows.Next()
	if err := rows.Err(); err != nil {
		return err
	}
	if err := w.read(rows, ok); err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

// apart writes each of members in a transaction of its own, and does not wait for them. It is for a group in which the
// database failed one, and that was therefore undone as a whole.
func (g *group) apart(ctx context.Context, members []*batch.Member[write]) {
	for _, m := range members {
		g.alone.Go(func() {
			m.Err = g.writeAlone(ctx, m)
			m.Done()
		})
	}
}

func (g *group) writeAlone(ctx context.Context, m *batch.Member[write]) error {
	for try := 1; ; try++ {
		err := g.tryAlone(ctx, m)
		switch {
		case err == nil || !broken(err):
			return err
		case !undone(err):
			return g.store.lost(err)
		case try == attempts || !conflicted(err):
			return g.store.failed(ctx, err)
		}
	}
}

func (g *group) tryAlone(ctx context.Context, m *batch.Member[write]) error {
	wait, cancel := context.WithTimeout(ctx, g.store.timeout)
	defer cancel()
	conn, err := g.store.pool.Acquire(wait)
	if err != nil {
		return g.store.failed(ctx, err)
	}
	defer conn.Release()
	return g.send(ctx, conn, []*batch.Member[write]{m}, g.store.timeout/2) // which leaves time to say so
}

func finish(members []*batch.Member[write], err error) {
	for _, m := range members {
		m.Err = err
		m.Done()
	}
}

// written has w written and returns what read made of its row, and whether there was one.
func written[T any](ctx context.Context, g *group, w write, read func(pgx.Rows) (T, error)) (T, bool, error) {
	var got, none T
	var found bool
	w.read = func(rows pgx.Rows, ok bool) (err error) {
		if found = ok; ok {
			got, err = read(rows)
		}
		return err
	}
	if err := g.do(ctx, w); err != nil {
		return none, false, err // got may still be written to, if the context has ended
	}
	return got, found, nil
}
