package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

func growthQuestion() question {
	return question{
		"growth", "How does the cost of a payment grow?",
		"Whole turns of payments through the store, as the router makes them: one is accepted, and one is finished while the next is claimed. Up to\n" +
			"64 callers. The left side has more of something than the right one, which has 64 terminals, 10 payments that wait, and no history.",
		growth,
	}
}

// dimensions are how many terminals, payments that wait and payments that are done there are.
type dimensions struct{ terminals, waiting, done int }

// engine makes stores.
type engine struct {
	name string
	// open makes a new store, in which payments are done that are copies of the one that is there.
	open func(ctx context.Context, done int) (pairing.Store, error)
}

func growth(ctx context.Context, b *bench, a *answer) error {
	engines := []engine{{"SQLite", b.fileStore}}
	if cluster, err := b.postgres(ctx); err == nil {
		dsn, err := cluster.database(ctx, "growth")
		if err != nil {
			return err
		}
		engines = append(engines, engine{"PostgreSQL", schemas(dsn)})
	} else {
		a.note("PostgreSQL: left out: %s", err)
	}
	const usualBacklog = 10
	t := a.table(perSecond())
	for _, e := range engines {
		for _, g := range []struct {
			what   string
			levels []int
			// of is the size at a level.
			of   func(level int) dimensions
			goal map[int]float64
		}{
			{
				"terminals", pick(b, []int{1, 16, 256, 1024, 4096}, []int{128}),
				func(level int) dimensions { return dimensions{level, usualBacklog, 0} },
				map[int]float64{4096: 0.8},
			},
			{
				"payments that wait", pick(b, []int{1000, 10_000, 100_000}, []int{100}),
				func(level int) dimensions { return dimensions{terminals, level, 0} }, nil,
			},
			{
				"payments that are done", pick(b, []int{10_000, 100_000, 1_000_000}, []int{100}),
				func(level int) dimensions { return dimensions{terminals, usualBacklog, level} },
				map[int]float64{1_000_000: 0.9},
			},
		} {
			usual, err := e.world(ctx, dimensions{terminals, usualBacklog, 0})
			if err != nil {
				return err
			}
			for _, level := range g.levels {
				more, err := e.world(ctx, g.of(level))
				if err != nil {
					return err
				}
				r := row{what: e.name + ", " + thousands(strconv.Itoa(level)) + " " + g.what, goal: g.goal[level]}
				err = b.add(ctx, t, r, b.few(12), b.slice(300*time.Millisecond), more.turns("more"), usual.turns("as usual"))
				if err := errors.Join(err, more.store.Close()); err != nil {
					return err
				}
			}
			if err := usual.store.Close(); err != nil {
				return err
			}
		}
	}
	a.note("A terminal serves one payment at a time, so that with fewer terminals than callers there is less to do at once, and to write together.")
	return nil
}

// world is a store in which payments are under way.
type world struct {
	store   pairing.Store
	callers int
	// claims are those of each terminal, and at says where each caller is.
	claims []pairing.Claim
	at     []int
	number atomic.Int64
}

// world makes a store of that size.
func (e engine) world(ctx context.Context, size dimensions) (*world, error) {
	store, err := e.open(ctx, size.done)
	if err != nil {
		return nil, err
	}
	callers := min(size.terminals, terminals)
	w := &world{store: store, callers: callers, claims: make([]pairing.Claim, size.terminals), at: make([]int, callers)}
	err = each(ctx, size.terminals, func(ctx context.Context, n int) error {
		_, err := store.PutPairing(ctx, pairing.Pairing{Register: registerOf(n), Terminal: terminalOf(n)}, -1)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, max(size.terminals, size.waiting), func(ctx context.Context, n int) error { return w.accept(ctx, n%size.terminals) })
	if err != nil {
		return nil, err
	}
	return w, each(ctx, size.terminals, func(ctx context.Context, n int) error {
		var ok bool
		var err error
		w.claims[n], ok, err = store.ClaimPayment(ctx, terminalOf(n), "bench", time.Hour)
		if err == nil && !ok {
			err = errors.New("there was nothing to claim")
		}
		return err
	})
}

func (w *world) accept(ctx context.Context, terminal int) error {
	_, err := w.store.AcceptPayment(ctx, requestOf(terminal, strconv.FormatInt(w.number.Add(1), 10)))
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

// template makes a payment that is done, for the others to be copies of.
func template(ctx context.Context, store pairing.Store) error {
	if _, err := store.PutPairing(ctx, pairing.Pairing{Register: registerOf(0), Terminal: terminalOf(0)}, -1); err != nil {
		return err
	}
	if _, err := store.AcceptPayment(ctx, requestOf(0, "template")); err != nil {
		return err
	}
	claim, _, err := store.ClaimPayment(ctx, terminalOf(0), "bench", time.Minute)
	if err != nil {
		return err
	}
	_, _, err = store.FinishPayment(ctx, claim, approved(claim.Payment), 0)
	return err
}

// copies returns a statement that copies the template, which has those columns, to other IDs and all terminals.
func copies(table string, columns []string, id, serial, numbers string) string {
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
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s, %s p WHERE p.id = 'template'",
		table, strings.Join(columns, ", "), strings.Join(values, ", "), numbers, table)
}

// fileStore makes a store in a file.
func (b *bench) fileStore(ctx context.Context, done int) (pairing.Store, error) {
	folder, err := b.temporary("growth")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "bench.db")
	if done > 0 {
		if err := fillFile(ctx, path, done); err != nil {
			return nil, err
		}
	}
	return sqlitestore.Open(ctx, sqlitestore.Config{Path: path})
}

func fillFile(ctx context.Context, path string, done int) error {
	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: path})
	if err != nil {
		return err
	}
	if err := errors.Join(template(ctx, store), store.Close()); err != nil {
		return err
	}
	file, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(off)")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var columns []string
	rows, err := file.QueryContext(ctx, "SELECT name FROM pragma_table_info('payments') WHERE name <> 'seq'")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		columns = append(columns, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = file.ExecContext(ctx, copies("payments", columns, "'done-' || g.n", fmt.Sprintf("printf('%%08d', g.n %% %d)", terminals),
		fmt.Sprintf("(WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < %d) SELECT n FROM g) g", done)))
	return err
}

// schemas makes stores in a database, each in a schema of its own.
func schemas(dsn string) func(context.Context, int) (pairing.Store, error) {
	last := 0
	return func(ctx context.Context, done int) (pairing.Store, error) {
		last++
		schema := "growth_" + strconv.Itoa(last)
		store, err := pgstore.Open(ctx, pgstore.Config{DSN: tillroute.Secret(pooled(dsn)), Schema: schema})
		if err != nil || done == 0 {
			return store, err
		}
		if err := template(ctx, store); err != nil {
			return nil, err
		}
		return store, fillSchema(ctx, dsn, schema, done)
	}
}

func fillSchema(ctx context.Context, dsn, schema string, done int) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx,
		"SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'payments' AND is_identity = 'NO'", schema)
	if err != nil {
		return err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, statement := range []string{
		copies(schema+".payments", columns, "'done-' || g.n", fmt.Sprintf("lpad((g.n %% %d)::text, 8, '0')", terminals),
			fmt.Sprintf("generate_series(1, %d) g (n)", done)),
		"VACUUM ANALYZE " + schema + ".payments",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
