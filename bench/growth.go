package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

func growthQuestion() question {
	return question{
		"growth", "How does the cost of a payment grow?",
		"Whole turns of payments through the store, as the router makes them: one is accepted, and of another the handle is saved and the outcome, while\n" +
			"the next is claimed. Up to 64 callers. The left side has more of something than the right one, which has 64 terminals, 10 payments that wait, and\n" +
			"no history. The last rows are whole payments: submitted by one process, and worked on by 4, as in the question before.",
		"builds stores with up to 4096 terminals, 100 000 payments that wait and 1 000 000 that are done, each beside a new one without",
		10 * time.Minute,
		growth,
	}
}

// dimensions are how many terminals, payments that wait and payments that are done there are.
type dimensions struct{ terminals, waiting, done int }

func usualSize() dimensions { return dimensions{terminals: terminals, waiting: 10} } //nolint:mnd // as the text says.

// The rows of growth that have goals.
const (
	mostTerminals = 4096
	mostDone      = 1_000_000
	goalTerminals = 0.8
	goalDone      = 0.9
)

// The sides of the rows of growth.
const (
	more        = "more"
	asUsual     = "as usual"
	nothingMore = "nothing more"
)

const (
	whyTerminals = "the payments under way lie on more pages, and each turn of another terminal changes others than the last ones"
	whyDone      = "IDs are random, as those of sales are: each payment changes another page of the index over all of them"
)

// engine makes stores. Each is at a place of its own.
type engine interface {
	name() string
	place() (string, error)
	open(ctx context.Context, place string) (pairing.Store, error)
	// fill makes copies of the templates, in a place whose store is closed.
	fill(ctx context.Context, place string, size dimensions) error
	// settle has nothing of the filling go on while something is measured.
	settle(ctx context.Context, place string) error
	// inserts returns what a group of bare INSERTs of payments that are done costs, in one transaction.
	inserts(ctx context.Context, place string) (do func(context.Context, int) error, end func(), err error)
}

func growth(ctx context.Context, b *bench, a *answer) error {
	engines := []engine{&files{b}}
	cluster, err := b.postgres(ctx)
	if err != nil {
		a.note("PostgreSQL: left out: %s", err)
	} else {
		dsn, err := cluster.database(ctx, "growth")
		if err != nil {
			return err
		}
		engines = append(engines, &schemas{dsn: dsn})
	}
	a.note("A terminal serves one payment at a time, so that with fewer terminals than callers there is less to do at once, and to write together.")
	a.note("What there is more of is copied within the database, then the table is vacuumed and analyzed (PostgreSQL), all is flushed to the disk, and " +
		"autovacuum is off for both sides' payments while a row is measured. Both sides are new for each row.")
	a.note("The rows of \"as usual\" against itself say how far two stores of the same size lie apart on this machine.")
	a.note("A bare INSERT is of payments that are done, 32 in a transaction: what of the growth is the engine's own.")
	t := a.table(perSecond())
	for _, e := range engines {
		if err := b.growthOf(ctx, t, e); err != nil {
			return err
		}
	}
	if cluster == nil {
		return nil
	}
	return b.wholePayments(ctx, a.table(perSecond()), t, cluster)
}

// growthOf measures how an engine's stores grow.
func (b *bench) growthOf(ctx context.Context, t *table, e engine) error {
	const slice = 300 * time.Millisecond
	measured := func(what string, size dimensions, goal float64, why string) error {
		sides := [2]*world{}
		defer func() {
			for _, w := range sides {
				if w != nil {
					_ = w.store.Close() // it is thrown away
				}
			}
		}()
		for i, size := range []dimensions{size, usualSize()} {
			err := b.step(e.name()+": a store of "+size.String(), func() (err error) {
				sides[i], err = newWorld(ctx, e, size)
				return err
			})
			if err != nil {
				return err
			}
		}
		for _, w := range sides {
			if err := e.settle(ctx, w.place); err != nil {
				return err
			}
		}
		rounds := b.few(12) //nolint:mnd // enough for quartiles.
		if goal > 0 {
			rounds = b.few(25) //nolint:mnd // a goal is to be judged.
		}
		what = e.name() + ", " + what
		ours, theirs := sides[0].turns(more), sides[1].turns(asUsual)
		if size == usualSize() {
			ours.name = theirs.name
		}
		r := row{What: what, Goal: goal, Why: why}
		if same := t.find(e.name()+", "+nothingMore, asUsual, asUsual); same != nil {
			noise := same.Comparison.ratio(rate)
			r.because("two stores of the same size came between %s and %s of each other (quartiles)", showRatio(noise.low), showRatio(noise.high))
		}
		if err := b.add(ctx, t, r, rounds, b.slice(slice), ours, theirs); err != nil || size.done < mostDone {
			return err
		}
		// The limit.
		var bare [2]side
		for i, w := range sides {
			do, end, err := e.inserts(ctx, w.place)
			if err != nil {
				return err
			}
			defer end()
			bare[i] = calls([2]string{more, asUsual}[i]+", a bare INSERT", 1, do)
		}
		judged := len(t.Rows) - 1
		if err := b.add(ctx, t, row{What: what}, rounds, b.slice(slice), bare[0], bare[1]); err != nil {
			return err
		}
		t.Rows[judged].because("a bare INSERT into the same tables keeps %s", showRatio(t.Rows[judged+1].Comparison.ratio(rate).median))
		return b.save()
	}
	if err := measured(nothingMore, usualSize(), 0, ""); err != nil {
		return err
	}
	for _, level := range pick(b, []int{1, 16, 256, 1024, mostTerminals}, []int{128}) { //nolint:mnd // the smaller one for -short.
		size, goal := usualSize(), 0.0
		if size.terminals = level; level == mostTerminals {
			goal = goalTerminals
		}
		if err := measured(count(level)+" terminals", size, goal, whyTerminals); err != nil {
			return err
		}
	}
	for _, level := range pick(b, []int{1000, 10_000, 100_000}, []int{100}) { //nolint:mnd // the smaller one for -short.
		size := usualSize()
		size.waiting = level
		if err := measured(count(level)+" payments that wait", size, 0, ""); err != nil {
			return err
		}
	}
	for _, level := range pick(b, []int{10_000, 100_000, mostDone}, []int{100}) { //nolint:mnd // the smaller one for -short.
		size, goal := usualSize(), 0.0
		if size.done = level; level == mostDone {
			goal = goalDone
		}
		if err := measured(count(level)+" payments that are done", size, goal, whyDone); err != nil {
			return err
		}
	}
	return nil
}

func count(n int) string { return thousands(strconv.Itoa(n)) }

// copied is how many copies there are to be of a template.
type copied struct {
	template string
	n        int
}

func (d dimensions) templates() []copied {
	all := []copied{{templateDone, d.done}, {templateWaiting, d.waiting}}
	return slices.DeleteFunc(all, func(c copied) bool { return c.n == 0 })
}

// String says how large a store is, in the log.
func (d dimensions) String() string {
	return fmt.Sprintf("%s terminals, %s payments that wait and %s that are done", count(d.terminals), count(d.waiting), count(d.done))
}

// usualSchema is where a store is that wasn't told where to be.
const usualSchema = "tillroute"

// wholePayments measures how whole payments through PostgreSQL and four processes grow. turns is what the store alone does.
func (b *bench) wholePayments(ctx context.Context, t, turns *table, c *cluster) error {
	t.Orders = true
	many := dimensions{terminals: pick(b, mostTerminals, 2*terminals)}
	long := dimensions{terminals: terminals, done: pick(b, mostDone, 100)} //nolint:mnd // few for -short.
	const whyMany = "a payment that finds its terminal's queue empty is claimed by a write of its own; among 64 terminals most are claimed in the " +
		"write that finishes the one before"
	for _, g := range []struct {
		what string
		size dimensions
		goal float64
		why  string
	}{
		{count(many.terminals) + " terminals", many, goalTerminals, whyMany},
		{count(long.done) + " payments that are done", long, goalDone, "each write goes through larger indexes"},
	} {
		sides := [2]*station{}
		err := func() (err error) {
			for i, size := range []dimensions{g.size, {terminals: terminals}} {
				err := b.step("4 processes and a store of "+size.String(), func() (err error) {
					sides[i], err = b.grownStation(ctx, [2]string{more, asUsual}[i], c, size)
					return err
				})
				if err != nil {
					return err
				}
			}
			for _, s := range sides {
				if err := (&schemas{dsn: s.dsn}).settle(ctx, usualSchema); err != nil {
					return err
				}
			}
			r := row{What: "PostgreSQL, submission to completion, " + g.what, Goal: g.goal, Why: g.why}
			if alone := turns.find("PostgreSQL, "+g.what, more, asUsual); alone != nil {
				r.because("the store alone keeps %s", showRatio(alone.Comparison.ratio(rate).median))
			}
			n := pick(b, 1500, 64) //nolint:mnd // about a second of work.
			return b.add(ctx, t, r, b.few(15), 0, sides[0].burst(n), sides[1].burst(n))
		}()
		for _, s := range sides {
			if s != nil {
				err = errors.Join(err, s.close())
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// grownStation starts nodes on a database of that size. Nothing waits in it.
func (b *bench) grownStation(ctx context.Context, name string, c *cluster, size dimensions) (_ *station, err error) {
	database := fmt.Sprintf("grown_%d", len(b.stations))
	b.stations = append(b.stations, database)
	dsn, err := c.database(ctx, database)
	if err != nil {
		return nil, err
	}
	e := &schemas{dsn: dsn}
	if size.done > 0 {
		if err := prepare(ctx, e, usualSchema, size); err != nil {
			return nil, err
		}
	}
	store, err := e.open(ctx, usualSchema)
	if err != nil {
		return nil, err
	}
	s := &station{name: name, ledger: &ledger{terminals: size.terminals}, dsn: dsn}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	q, err := newStoreQueue(ctx, store, size.terminals)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.queue = q
	if err := b.staff(ctx, s, childConfig{Role: "node", Kind: kindPostgres, DSN: dsn}); err != nil {
		return nil, err
	}
	return s, nil
}

// world is a store in which payments are under way.
type world struct {
	place   string
	store   pairing.Store
	callers int
	// claims are those of each terminal, and at says where each caller is.
	claims []pairing.Claim
	at     []int
}

// newWorld makes a store of that size.
func newWorld(ctx context.Context, e engine, size dimensions) (_ *world, err error) {
	callers := min(size.terminals, terminals)
	w := &world{callers: callers, claims: make([]pairing.Claim, size.terminals), at: make([]int, callers)}
	if w.place, err = e.place(); err != nil {
		return nil, err
	}
	if err := prepare(ctx, e, w.place, size); err != nil {
		return nil, err
	}
	if w.store, err = e.open(ctx, w.place); err != nil {
		return nil, err
	}
	err = each(ctx, size.terminals, func(ctx context.Context, n int) error {
		if _, err := w.store.PutPairing(ctx, pairing.Pairing{Register: registerOf(n), Terminal: terminalOf(n)}, -1); err != nil {
			return err
		}
		if err := w.accept(ctx, n); err != nil {
			return err
		}
		var ok bool
		var err error
		w.claims[n], ok, err = w.store.ClaimPayment(ctx, terminalOf(n), "bench", time.Hour)
		if err == nil && !ok {
			err = errors.New("there was nothing to claim")
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, w.store.Close())
	}
	return w, nil
}

func (w *world) accept(ctx context.Context, terminal int) error {
	var id [16]byte
	_, _ = rand.Read(id[:])
	_, err := w.store.AcceptPayment(ctx, requestOf(terminal, hex.EncodeToString(id[:])))
	return err
}

// turns returns a side that makes turns.
func (w *world) turns(name string) side {
	return calls(name, w.callers, func(ctx context.Context, caller int) error {
		terminal := (w.at[caller]*w.callers + caller) % len(w.claims)
		w.at[caller]++
		if err := w.accept(ctx, terminal); err != nil {
			return err
		}
		claim := w.claims[terminal]
		if err := w.store.SavePaymentHandle(ctx, claim, pairing.Handle{TransactionID: claim.Payment.ID}); err != nil {
			return err
		}
		next, ok, err := w.store.FinishPayment(ctx, claim, approved(claim.Payment), time.Hour)
		if err == nil && !ok {
			err = errors.New("there was nothing to claim")
		}
		w.claims[terminal] = next
		return err
	})
}

func approved(p pairing.Payment) pairing.Result {
	return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount, TransactionID: "f363c7de-102c-4d80-a902-ed37413ca599", AuthCode: "123456"}
}

// The IDs of the payments that others are copies of.
const (
	templateDone    = "template-done"
	templateWaiting = "template-waiting"
)

// prepare makes a store with payments that are done and payments that wait.
func prepare(ctx context.Context, e engine, place string, size dimensions) error {
	store, err := e.open(ctx, place)
	if err != nil {
		return err
	}
	if err := errors.Join(templates(ctx, store, size.waiting > 0), store.Close()); err != nil {
		return err
	}
	return e.fill(ctx, place, size)
}

// templates makes a payment that is done, and one that waits if there are to be such.
func templates(ctx context.Context, store pairing.Store, waiting bool) error {
	if _, err := store.PutPairing(ctx, pairing.Pairing{Register: registerOf(0), Terminal: terminalOf(0)}, -1); err != nil {
		return err
	}
	if _, err := store.AcceptPayment(ctx, requestOf(0, templateDone)); err != nil {
		return err
	}
	claim, _, err := store.ClaimPayment(ctx, terminalOf(0), "bench", time.Minute)
	if err != nil {
		return err
	}
	if _, _, err := store.FinishPayment(ctx, claim, approved(claim.Payment), 0); err != nil || !waiting {
		return err
	}
	_, err = store.AcceptPayment(ctx, requestOf(0, templateWaiting))
	return err
}

// copies returns a statement that copies a template, which has those columns, to other IDs and all terminals.
func copies(table string, columns []string, template, id, serial, numbers string) string {
	values := make([]string, len(columns))
	for i, column := range columns {
		switch column {
		case "id":
			values[i] = id
		case "serial":
			values[i] = serial
		default:
			values[i] = "p." + column
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s, %s p WHERE p.id = '%s'",
		table, strings.Join(columns, ", "), strings.Join(values, ", "), numbers, table, template)
}

// files are stores in files. Their place is the file.
type files struct{ b *bench }

func (*files) name() string { return "SQLite" }

func (f *files) place() (string, error) {
	folder, err := f.b.temporary("growth")
	return filepath.Join(folder, "bench.db"), err
}

func (*files) open(ctx context.Context, place string) (pairing.Store, error) {
	return sqlitestore.Open(ctx, sqlitestore.Config{Path: place})
}

func (*files) copies(ctx context.Context, file *sql.DB, template string, n, terminals int) (string, error) {
	rows, err := file.QueryContext(ctx, "SELECT name FROM pragma_table_info('payments') WHERE name <> 'seq'")
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var columns []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return "", err
		}
		columns = append(columns, name)
	}
	return copies("payments", columns, template, "lower(hex(randomblob(16)))", fmt.Sprintf("printf('%%08d', g.n %% %d)", terminals),
		fmt.Sprintf("(WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < %d) SELECT n FROM g) g", n)), rows.Err()
}

func (f *files) fill(ctx context.Context, place string, size dimensions) error {
	// A cache of half a GB, so that the index over random IDs is built in memory.
	file, err := sql.Open("sqlite", "file:"+place+"?_pragma=synchronous(off)&_pragma=cache_size(-500000)")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for _, of := range size.templates() {
		statement, err := f.copies(ctx, file, of.template, of.n, size.terminals)
		if err != nil {
			return err
		}
		if _, err := file.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = file.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func (*files) settle(context.Context, string) error {
	syscall.Sync()
	return nil
}

// together is how many INSERTs a bare transaction has.
const together = 32

func (f *files) inserts(ctx context.Context, place string) (func(context.Context, int) error, func(), error) {
	file, err := sql.Open("sqlite", "file:"+place+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, nil, err
	}
	end := func() { _ = file.Close() }
	text, err := f.copies(ctx, file, templateDone, together, terminals)
	if err != nil {
		end()
		return nil, nil, err
	}
	return func(ctx context.Context, _ int) error {
		_, err := file.ExecContext(ctx, text)
		return err
	}, end, nil
}

// schemas are stores in a database. Their place is the schema.
type schemas struct {
	dsn  string
	last int
}

func (*schemas) name() string { return "PostgreSQL" }

func (s *schemas) place() (string, error) {
	s.last++
	return "growth_" + strconv.Itoa(s.last), nil
}

func (s *schemas) open(ctx context.Context, place string) (pairing.Store, error) {
	return pgstore.Open(ctx, pgstore.Config{DSN: tillroute.Secret(pooled(s.dsn)), Schema: place})
}

func (*schemas) copies(ctx context.Context, pool *pgxpool.Pool, place, template string, n, terminals int) (string, error) {
	rows, err := pool.Query(ctx,
		"SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'payments' AND is_identity = 'NO'", place)
	if err != nil {
		return "", err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return copies(place+".payments", columns, template, "replace(gen_random_uuid()::text, '-', '')",
		fmt.Sprintf("lpad((g.n %% %d)::text, 8, '0')", terminals), fmt.Sprintf("generate_series(1, %d) g (n)", n)), err
}

func (s *schemas) fill(ctx context.Context, place string, size dimensions) error {
	pool, err := pgxpool.New(ctx, s.dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	for _, of := range size.templates() {
		statement, err := s.copies(ctx, pool, place, of.template, of.n, size.terminals)
		if err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// settle vacuums, and keeps autovacuum away from then on. It doesn't ask for a checkpoint: after one each page is written whole when it
// is first changed, of which the larger side has more, though in an hour it would have no more of it than the other.
func (s *schemas) settle(ctx context.Context, place string) error {
	conn, err := pgx.Connect(ctx, s.dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, statement := range []string{
		"ALTER TABLE " + place + ".payments SET (autovacuum_enabled = off)",
		"VACUUM ANALYZE " + place + ".payments",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	syscall.Sync()
	return nil
}

func (s *schemas) inserts(ctx context.Context, place string) (func(context.Context, int) error, func(), error) {
	pool, err := pgxpool.New(ctx, s.dsn)
	if err != nil {
		return nil, nil, err
	}
	text, err := s.copies(ctx, pool, place, templateDone, together, terminals)
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return func(ctx context.Context, _ int) error {
		_, err := pool.Exec(ctx, text)
		return err
	}, pool.Close, nil
}
