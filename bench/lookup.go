package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pairing/pgstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

func lookupQuestion() question {
	return question{
		"lookup", "What does it cost to look up where a payment goes?",
		"A register's pairing among 10 000, and a payment by its ID, through each store, against the least that the same engine can do: a map with a\n" +
			"lock, and a prepared SELECT by primary key of the same columns, with PostgreSQL on the same pool. There is no cache on the way of a payment:\n" +
			"a stale pairing would send money to the wrong terminal.",
		"10 000 pairings and payments in each store, then 18 rows, of slices of 100 ms",
		2 * time.Minute,
		lookup,
	}
}

// The columns that both sides of a lookup read; %[1]s is how amounts are had as texts.
const (
	pairingColumns = "system, account, register, provider, serial, register_name, terminal_name, identity, version, paired_at"
	paymentColumns = "seq, id, system, account, register, kind, amount%[1]s, currency, reference, data, provider, serial, identity, state, note, " +
		"handle_transaction_id, handle_token, handle_serial, outcome, charged%[1]s, surcharge%[1]s, tip%[1]s, transaction_id, auth_code, acquirer, card_type, " +
		"card_number, receipt, reason, mark, accepted_at, sent_at, ended_at"
)

func lookup(ctx context.Context, b *bench, a *answer) error {
	registers := pick(b, 10_000, 100) //nolint:mnd // as the text says.
	t := a.table(perSecond())
	t.Counts = true
	memory := memstore.New(memstore.Config{})
	kept := map[pairing.Register]pairing.Pairing{}
	if err := pair(ctx, memory, registers, kept); err != nil {
		return err
	}
	var mu sync.RWMutex
	mapped := func(_ context.Context, n int) error {
		mu.RLock()
		defer mu.RUnlock()
		if _, ok := kept[registerOf(n)]; !ok {
			return fmt.Errorf("register %d isn't there", n)
		}
		return nil
	}
	sqlite, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(b.folder, "lookup.db")})
	if err != nil {
		return err
	}
	if err := pair(ctx, sqlite, registers, nil); err != nil {
		return err
	}
	file, err := sql.Open("sqlite", "file:"+filepath.Join(b.folder, "lookup.db")+"?mode=ro&_pragma=query_only(1)")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	file.SetMaxIdleConns(4) //nolint:mnd // as many as the store has readers.
	file.SetMaxOpenConns(4)
	type way struct {
		what         string
		ours, theirs func(context.Context, int) error
		rival        string
		goal         float64
	}
	pairingThrough := func(store pairing.Store) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			_, err := store.Pairing(ctx, registerOf(n))
			return err
		}
	}
	paymentThrough := func(store pairing.Store) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			_, err := store.Payment(ctx, paymentOf(n))
			return err
		}
	}
	ways := []way{{"a pairing, in memory", pairingThrough(memory), mapped, "a map with a lock", 0}}
	barePairing, err := file.PrepareContext(ctx, "SELECT "+pairingColumns+" FROM pairings WHERE system = ? AND account = ? AND register = ? AND unpaired_at IS NULL")
	if err != nil {
		return err
	}
	defer func() { _ = barePairing.Close() }()
	barePayment, err := file.PrepareContext(ctx, fmt.Sprintf("SELECT "+paymentColumns+" FROM payments WHERE id = ?", ""))
	if err != nil {
		return err
	}
	defer func() { _ = barePayment.Close() }()
	const goal, rival = 0.95, "a bare prepared SELECT"
	const why = "ours gives the state, the outcome and the times their types, and knows when to give up"
	const again = rival + ", again"
	ways = append(ways,
		way{"a pairing, SQLite", pairingThrough(sqlite), func(ctx context.Context, n int) error {
			r := registerOf(n)
			return scanPairing(barePairing.QueryRowContext(ctx, r.System, r.Account, r.ID))
		}, rival, goal},
		way{"a payment, SQLite", paymentThrough(sqlite), func(ctx context.Context, n int) error {
			return scanPayment(barePayment.QueryRowContext(ctx, paymentOf(n)))
		}, rival, goal},
	)
	if cluster, err := b.postgres(ctx); err == nil {
		dsn, err := cluster.database(ctx, "lookup")
		if err != nil {
			return err
		}
		pool, err := pgxpool.New(ctx, dsn+"&pool_max_conns=16")
		if err != nil {
			return err
		}
		defer pool.Close()
		postgres, err := pgstore.Open(ctx, pgstore.Config{Pool: pool})
		if err != nil {
			return err
		}
		defer func() { _ = postgres.Close() }()
		if err := pair(ctx, postgres, registers, nil); err != nil {
			return err
		}
		// pgx prepares what it sends, once for each connection.
		selectPayment := fmt.Sprintf("SELECT "+paymentColumns+" FROM tillroute.payments WHERE id = $1", "::text")
		ways = append(ways,
			way{"a pairing, PostgreSQL", pairingThrough(postgres), func(ctx context.Context, n int) error {
				r := registerOf(n)
				return scanPairing(pool.QueryRow(ctx, "SELECT "+pairingColumns+
					" FROM tillroute.pairings WHERE system = $1 AND account = $2 AND register = $3 AND unpaired_at IS NULL", r.System, r.Account, r.ID))
			}, rival, goal},
			way{"a payment, PostgreSQL", paymentThrough(postgres), func(ctx context.Context, n int) error {
				return scanPayment(pool.QueryRow(ctx, selectPayment, paymentOf(n)))
			}, rival, goal},
		)
	} else {
		a.note("PostgreSQL: left out: %s", err)
	}
	for _, w := range ways {
		for _, callers := range []int{1, 16} {
			at := make([]int, callers)
			side := func(name string, do func(context.Context, int) error) side {
				return calls(name, callers, func(ctx context.Context, caller int) error {
					at[caller] += 7919 // a prime, so that every register has its turn
					return do(ctx, (at[caller]+caller)%registers)
				})
			}
			r := row{What: fmt.Sprintf("%s, %d callers", w.what, callers), Goal: w.goal, Why: why}
			if callers == 1 {
				r.What = w.what + ", 1 caller"
			}
			if err := b.add(ctx, t, r, b.rounds, b.slice(100*time.Millisecond), side(ours, w.ours), side(w.rival, w.theirs)); err != nil {
				return err
			}
			if w.goal == 0 {
				continue
			}
			// What the machine makes of two sides that are the same.
			judged := len(t.Rows) - 1
			r.Goal, r.Why = 0, ""
			if err := b.add(ctx, t, r, b.rounds, b.slice(100*time.Millisecond), side(again, w.theirs), side(w.rival, w.theirs)); err != nil {
				return err
			}
			noise := t.Rows[judged+1].Comparison.ratio(rate)
			t.Rows[judged].because("the SELECT itself came between %s and %s of itself (quartiles)", showRatio(noise.low), showRatio(noise.high))
		}
	}
	return sqlite.Close()
}

// scanner is a row of either engine.
type scanner interface {
	Scan(into ...any) error
}

func scanPairing(r scanner) error {
	var p pairing.Pairing
	var identity string
	var at any
	return r.Scan(&p.Register.System, &p.Register.Account, &p.Register.ID, &p.Terminal.Provider, &p.Terminal.Serial, &p.RegisterName, &p.TerminalName,
		&identity, &p.Version, &at)
}

// scanPayment reads texts as texts: what they mean costs extra, and is in ours.
func scanPayment(r scanner) error {
	var seq int64
	var texts [24]string
	var amount, charged, surcharge, tip decimal.Decimal
	var data []byte
	var accepted, sent, ended any
	return r.Scan(&seq, &texts[0], &texts[1], &texts[2], &texts[3], &texts[4], &amount, &texts[5], &texts[6], &data, &texts[7], &texts[8], &texts[9],
		&texts[10], &texts[11], &texts[12], &texts[13], &texts[14], &texts[15], &charged, &surcharge, &tip, &texts[16], &texts[17], &texts[18],
		&texts[19], &texts[20], &texts[21], &texts[22], &texts[23], &accepted, &sent, &ended)
}

// pair pairs so many registers with a terminal each, keeps the pairings in a map if there is one, and accepts a payment for each.
func pair(ctx context.Context, store pairing.Store, registers int, kept map[pairing.Register]pairing.Pairing) error {
	var mu sync.Mutex
	return each(ctx, registers, func(ctx context.Context, n int) error {
		p, err := store.PutPairing(ctx, pairing.Pairing{Register: registerOf(n), Terminal: terminalOf(n), RegisterName: "Main Register"}, -1)
		if err != nil {
			return err
		}
		if kept != nil {
			mu.Lock()
			kept[p.Register] = p
			mu.Unlock()
		}
		_, err = store.AcceptPayment(ctx, requestOf(n, paymentOf(n)))
		return err
	})
}

// each calls do with 0 to n-1, from many goroutines.
func each(ctx context.Context, n int, do func(context.Context, int) error) error {
	const workers = 64
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < n && ctx.Err() == nil; i += workers {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

const provider = "bench"

func registerOf(n int) pairing.Register {
	return pairing.Register{System: "xseries", Account: "acme", ID: fmt.Sprintf("0a6f6e36-8bab-11ea-f3d6-%012d", n)}
}

func terminalOf(n int) pairing.Terminal {
	return pairing.Terminal{Provider: provider, Serial: fmt.Sprintf("%08d", n)}
}

func paymentOf(n int) string { return fmt.Sprintf("01935a3c-7e1b-7000-8000-%012d", n) }

// saleData is what a payment carries along.
const saleData = `{"register_sale_id":"5194354d-9080-8dda-11e6-9660dfac7dce","client_id":"web_register","outlet":"b1e04bd8-f019-11e3-a0f5-b8ca3a64f8f4"}`

func requestOf(register int, id string) pairing.Request {
	return pairing.Request{
		ID: id, Register: registerOf(register), Kind: pairing.Purchase, Amount: decimal.New(1250, -2), Currency: "NZD", Reference: "table 4",
		Data: []byte(saleData),
	}
}

// temporary returns a folder of its own within that of the run.
func (b *bench) temporary(name string) (string, error) { return os.MkdirTemp(b.folder, name+"-") }
