package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func queueQuestion() question {
	return question{
		"queue", "What does a payment cost from its submission to its completion?",
		"Payments for 64 terminals, submitted by one process with 32 callers, and worked on by 4 processes, with terminals that answer at once. A payment\n" +
			"is complete when that is durable. Ours keeps the order of each terminal, one payment at a time, and can be taken over and fenced; what was\n" +
			"served before one that had been submitted earlier is counted as out of order. SQLite is one process that submits and works.",
		"bursts of 1500 payments on this disk and on a slow one, in 11 and 7 rounds, and 4 s at 300 a second in 7",
		15 * time.Minute,
		queues,
	}
}

const (
	terminals = 64
	nodes     = 4
	// submitters is how many submit at once.
	submitters = 32
)

// queue takes payments, by their numbers. Those of one terminal have the same remainder.
type queue interface {
	// submit returns when the payment is durable.
	submit(ctx context.Context, n int) error
	close() error
}

// ledger is what is known of payments.
type ledger struct {
	// terminals is how many there are; payments are theirs in turns.
	terminals int

	mu   sync.Mutex
	last int
	open int
	paid map[int]*payment
	done chan struct{}
}

// payment is when things happened to one, in nanoseconds since 1970. All processes are on the same machine.
type payment struct{ called, accepted, started, ended int64 }

// begin makes room for so many payments, and returns the number of the first.
func (l *ledger) begin(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.last
	l.last += n
	l.open, l.paid, l.done = n, make(map[int]*payment, n), make(chan struct{})
	for i := range n {
		l.paid[first+i] = &payment{}
	}
	return first
}

func (l *ledger) submitted(n int, called, accepted time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paid[n].called, l.paid[n].accepted = called.UnixNano(), accepted.UnixNano()
}

func (l *ledger) finished(n int, started, ended int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.paid[n]
	if p == nil || p.ended != 0 {
		return // of a slice that was given up, or done twice
	}
	p.started, p.ended = started, ended
	if l.open--; l.open == 0 {
		close(l.done)
	}
}

// patience is how long a slice may take.
const patience = time.Minute

func (l *ledger) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("payments were lost, or took too long"))
	defer cancel()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("%d of %d payments are still open: %w", l.open, len(l.paid), context.Cause(ctx))
	}
}

// wrong counts the payments that were served before one of the same terminal whose submission had returned before theirs began.
func (l *ledger) wrong() int {
	queues := make([][]*payment, l.terminals)
	for n, p := range l.paid {
		queues[n%l.terminals] = append(queues[n%l.terminals], p)
	}
	count := 0
	for _, queue := range queues {
		slices.SortFunc(queue, func(a, b *payment) int { return cmp.Compare(a.started, b.started) })
		earliest := int64(math.MaxInt64) // of the submissions of those that were served later
		for _, p := range slices.Backward(queue) {
			if earliest < p.called {
				count++
			}
			earliest = min(earliest, p.accepted)
		}
	}
	return count
}

// burst submits n payments as quickly as they are taken, and waits until all are complete.
func burst(ctx context.Context, q queue, l *ledger, n int) (sample, error) {
	first := l.begin(n)
	var next atomic.Int64
	began := time.Now()
	err := each(ctx, submitters, func(ctx context.Context, _ int) error {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return nil
			}
			called := time.Now()
			if err := q.submit(ctx, first+i); err != nil {
				return err
			}
			l.submitted(first+i, called, time.Now())
		}
	})
	if err != nil {
		return sample{}, err
	}
	if err := l.wait(ctx); err != nil {
		return sample{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	end := int64(0)
	for _, p := range l.paid {
		end = max(end, p.ended)
	}
	return sample{Rate: float64(n) / (float64(end-began.UnixNano()) / float64(time.Second)), Allocs: -1, Bytes: -1, Wrong: l.wrong()}, nil
}

// openLoop submits at a steady rate for a while, whatever becomes of it, and says how long payments took from when they were due.
func openLoop(ctx context.Context, q queue, l *ledger, perSecond int, d time.Duration) (sample, error) {
	interval := time.Second / time.Duration(perSecond)
	n := max(1, int(d/interval))
	first := l.begin(n)
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for i := range n {
		due := began.Add(time.Duration(i) * interval)
		if err := until(ctx, due); err != nil {
			return sample{}, err
		}
		group.Go(func() {
			called := time.Now()
			if err := q.submit(ctx, first+i); err != nil {
				cancel(err)
				return
			}
			l.submitted(first+i, called, time.Now())
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return sample{}, err
	}
	if err := l.wait(ctx); err != nil {
		return sample{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	took := make([]time.Duration, 0, n)
	for i := range n {
		due := began.Add(time.Duration(i) * interval)
		took = append(took, time.Duration(l.paid[first+i].ended-due.UnixNano()))
	}
	s := sample{Rate: float64(n) / time.Since(began).Seconds(), Allocs: -1, Bytes: -1, Wrong: l.wrong()}
	s.percentiles(took)
	return s, nil
}

func until(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// station is a queue with its nodes.
type station struct {
	name   string
	dsn    string
	queue  queue
	ledger *ledger
	nodes  []*child
	// inside is the process that submits too, if there is one.
	inside *child
	server *child
}

// burst returns a side that submits n payments at once.
func (s *station) burst(n int) side {
	return side{s.name, func(ctx context.Context, _ time.Duration) (sample, error) {
		if s.inside != nil {
			answer, err := s.inside.ask(asked{Side: "burst", Callers: n})
			return answer.Sample, err
		}
		return burst(ctx, s.queue, s.ledger, n)
	}}
}

// steady returns a side that submits at a steady rate.
func (s *station) steady(perSecond int) side {
	return side{s.name, func(ctx context.Context, d time.Duration) (sample, error) {
		if s.inside != nil {
			answer, err := s.inside.ask(asked{Side: "steady", Callers: perSecond, For: d})
			return answer.Sample, err
		}
		return openLoop(ctx, s.queue, s.ledger, perSecond, d)
	}}
}

func (s *station) close() error {
	var errs []error
	if s.queue != nil {
		errs = append(errs, s.queue.close())
	}
	for _, c := range s.nodes {
		errs = append(errs, c.stop())
	}
	for _, c := range []*child{s.inside, s.server} {
		if c != nil {
			errs = append(errs, c.stop())
		}
	}
	return errors.Join(errs...)
}

// listen reads what a node has done, a line for each payment, until it ends.
func (l *ledger) listen(lines *bufio.Scanner) {
	for lines.Scan() {
		var n int
		var started, ended int64
		if _, err := fmt.Sscan(lines.Text(), &n, &started, &ended); err == nil {
			l.finished(n, started, ended)
		}
	}
}

// The kinds of queues.
const (
	kindPostgres = "pgstore"
	kindSQLite   = "sqlitestore"
	kindRiver    = "river"
	kindNATS     = "jetstream"
	kindPlain    = "plain"
	kindInsert   = "insert"
)

// station starts a queue and its nodes. disk is what has the disk be slow, or nothing.
func (b *bench) station(ctx context.Context, name, kind string, tuned bool, c *cluster, disk []string) (_ *station, err error) {
	s := &station{name: name, ledger: &ledger{terminals: terminals}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	config := childConfig{Role: "node", Kind: kind, Tuned: tuned}
	if config.Folder, err = b.temporary(kind); err != nil {
		return nil, err
	}
	switch kind {
	case kindSQLite:
		config.Role = "inside"
		s.inside, _, err = b.start(ctx, b.program, config, disk...)
		return s, err
	case kindNATS:
		config.Role = "nats"
		var first told
		if s.server, first, err = b.start(ctx, b.program, config, disk...); err != nil {
			return nil, err
		}
		config.Role, config.DSN = "node", first.Values["url"]
	default:
		database := fmt.Sprintf("%s_%d", kind, len(b.stations))
		b.stations = append(b.stations, database)
		if config.DSN, err = c.database(ctx, database); err != nil {
			return nil, err
		}
	}
	if kind == kindInsert {
		q, err := newPlainQueue(ctx, config)
		if err != nil {
			return nil, err
		}
		s.queue = insertQueue{q, s.ledger}
		return s, nil
	}
	q, err := openQueue(ctx, config)
	if err != nil {
		return nil, err
	}
	s.queue = q
	if err := b.staff(ctx, s, config); err != nil {
		return nil, err
	}
	return s, nil
}

// staff starts the nodes of a station.
func (b *bench) staff(ctx context.Context, s *station, config childConfig) error {
	for n := range nodes {
		config.Number = n
		node, _, err := b.start(ctx, b.program, config)
		if err != nil {
			return err
		}
		s.nodes = append(s.nodes, node)
		go s.ledger.listen(node.out)
	}
	return nil
}

// The sides of the rows of queues.
const (
	riverTuned  = "River, tuned to 1 ms"
	riverUsual  = "River as it comes"
	withFsync   = "embedded JetStream, sync_interval: always"
	plainTable  = "a plain table, SKIP LOCKED"
	bareInsert  = "a bare INSERT"
	ourPostgres = "PostgreSQL"
	ourSQLite   = "SQLite, one process"
)

// disk is one that queues are measured on.
type disk struct {
	name    string
	cluster *cluster
	// wrap has what is run by it find the disk so.
	wrap   []string
	goal   float64
	rounds int
}

func queues(ctx context.Context, b *bench, a *answer) error {
	fast, err := b.postgres(ctx)
	if err != nil {
		a.note("left out: %s", err)
		return nil
	}
	a.note("The tables of p50 and p99 are of %d payments a second, submitted when they are due whatever becomes of the earlier ones, from when they were due "+
		"to when they are complete.", steadily)
	a.note("River has no order for each terminal without River Pro, and the plain table has none. River tuned has a FetchCooldown of 1 ms on both ends.")
	a.note("The bare INSERT is one durable write of a payment, by the process that submits: what is complete then is durable, and no more.")
	burst := pick(b, 1500, 64) //nolint:mnd // about a second of work.
	err = b.onDisk(ctx, a, disk{"this machine's disk", fast, nil, 1.3, b.few(11)}, burst, true)
	if err != nil {
		return err
	}
	behind, err := b.slowPostgres(ctx)
	if err != nil {
		a.note("The slow disk: left out: %s", err)
		return nil
	}
	a.note("The slow disk is `%s`, around the database's server, JetStream's, and the process with SQLite.", strings.Join(slowSync(), " "))
	return b.onDisk(ctx, a, disk{"a disk that takes 1 ms more to flush", behind, slowSync(), 2, b.few(7)}, burst, false)
}

// onDisk measures how many payments are complete in a second, and, if late, how long they take at a steady rate.
func (b *bench) onDisk(ctx context.Context, a *answer, d disk, payments int, late bool) error {
	t := a.table(perSecond())
	t.Orders = true
	var times [2]*table
	if late {
		times = [2]*table{a.table(middle()), a.table(slowest())}
		times[0].Orders, times[1].Orders = true, true
	}
	postgres, err := b.station(ctx, ourPostgres, kindPostgres, false, d.cluster, nil)
	if err != nil {
		return err
	}
	sqlite, err := b.station(ctx, ourSQLite, kindSQLite, false, nil, d.wrap)
	if err != nil {
		return errors.Join(err, postgres.close())
	}
	against := func(name, kind string) (err error) {
		var theirs *station
		err = b.step(d.name+": starting "+name, func() (err error) {
			theirs, err = b.station(ctx, name, kind, name == riverTuned, d.cluster, d.wrap)
			return err
		})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, theirs.close()) }()
		r := row{What: d.name}
		if name == riverTuned {
			r.Goal = d.goal
		}
		if kind != kindInsert {
			if err := b.add(ctx, t, r, d.rounds, 0, postgres.burst(payments), theirs.burst(payments)); err != nil {
				return err
			}
		}
		r.Goal = 0
		// SQLite is measured against the best alone.
		if name == riverTuned || name == withFsync {
			if err := b.add(ctx, t, r, d.rounds, 0, sqlite.burst(payments), theirs.burst(payments)); err != nil {
				return err
			}
		}
		if !late || name == riverUsual || name == plainTable {
			return nil
		}
		ours := []*station{postgres, sqlite}
		if kind == kindInsert {
			ours = ours[:1]
		}
		return b.latencies(ctx, times, ours, theirs)
	}
	err = func() error {
		for _, rival := range []struct{ name, kind string }{
			{riverTuned, kindRiver}, {riverUsual, kindRiver}, {withFsync, kindNATS}, {plainTable, kindPlain}, {bareInsert, kindInsert},
		} {
			if rival.kind == kindInsert && !late {
				continue
			}
			err := against(rival.name, rival.kind)
			if failed, ok := errors.AsType[*failure](err); ok && failed.theirs && ctx.Err() == nil {
				// What can't keep up is a result, too.
				a.note("On %s, %s could not be measured to the end: %s", d.name, failed.side, failed.err)
				continue
			}
			if err != nil {
				return err
			}
		}
		return nil
	}()
	explain(t, times, d)
	return errors.Join(err, postgres.close(), sqlite.close(), b.save())
}

// explain says of the rows with goals what keeps them away.
func explain(t *table, times [2]*table, d disk) {
	if r := t.find(d.name, ourPostgres, riverTuned); r != nil {
		r.because("a payment is accepted, claimed, has its handle saved and its outcome, in their order; River's jobs are inserted, claimed and completed in any")
		if plain := t.find(d.name, ourPostgres, plainTable); plain != nil {
			r.because("the limit is the plain table, which keeps no order and no handle: it does %s of ours", showRatio(1/plain.Comparison.ratio(rate).median))
		}
	}
	for _, times := range times {
		if times == nil {
			continue
		}
		if r := times.find(steadyRate, ourPostgres, riverTuned); r != nil {
			r.because("four writes are made durable one after the other, and a process has to learn of the payment")
			if bare := times.find(steadyRate, ourPostgres, bareInsert); bare != nil {
				r.because("one write alone takes %s at this rate (%s)", times.Measure.show(median(bare.Comparison.Theirs, times.Measure.figure)), times.Measure.name)
			}
		}
	}
}

const (
	// steadily is how many payments a second are submitted where it is asked how long they take.
	steadily   = 300
	steadyRate = "300 a second"
)

// latencies measures how long payments take, through each of ours.
func (b *bench) latencies(ctx context.Context, late [2]*table, ours []*station, theirs *station) error {
	for _, our := range ours {
		r, slowest := row{What: steadyRate}, 0.0
		if our.name == ourPostgres && theirs.name == riverTuned {
			r.Limit, slowest = 0.002, 0.010
		}
		d := pick(b, 4*time.Second, 100*time.Millisecond)
		if err := b.add(ctx, late[0], r, b.few(7), d, our.steady(steadily), theirs.steady(steadily)); err != nil {
			return err
		}
		// It is the same run, read once more.
		r = late[0].Rows[len(late[0].Rows)-1]
		r.Limit = slowest
		late[1].Rows = append(late[1].Rows, r)
	}
	return b.save()
}

// insideChild is a queue whose node submits too. It is asked for bursts and for steady rates.
func insideChild(ctx context.Context, config childConfig) error {
	l := &ledger{terminals: terminals}
	q, err := openInside(ctx, config, l)
	if err != nil {
		return err
	}
	err = serve(told{}, func(question asked) (told, error) {
		if question.Side == "burst" {
			got, err := burst(ctx, q, l, question.Callers)
			return told{Sample: got}, err
		}
		got, err := openLoop(ctx, q, l, question.Callers, question.For)
		return told{Sample: got}, err
	})
	return errors.Join(err, q.close())
}

// reporter tells the parent what a node has done, some lines at a time.
type reporter struct {
	mu  sync.Mutex
	out *bufio.Writer
}

func (r *reporter) finished(n int, started, ended int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintln(r.out, n, started, ended)
}

// flush sends lines every few milliseconds until ctx ends.
func (r *reporter) flush(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond) //nolint:mnd // soon enough to learn of the end.
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.mu.Lock()
			_ = r.out.Flush()
			r.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// body is what a payment is in a queue that doesn't know what one is.
type body struct {
	N        int    `json:"n"`
	Register string `json:"register"`
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
	Data     string `json:"data"`
}

func bodyOf(n int) body { return body{n, registerOf(n % terminals).ID, "12.50", "NZD", saleData} }

func (b body) encode() ([]byte, error) { return json.Marshal(b) }
