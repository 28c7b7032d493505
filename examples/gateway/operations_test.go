package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/examples/internal/programtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/metrics"
	"github.com/tillroute/tillroute/smartconnect"
)

func operationsPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	return string(page)
}

// block is a piece of code on the page.
type block struct{ language, code string }

func blocks(page string) (list []block) {
	for _, found := range regexp.MustCompile("(?ms)^( *)```([a-z]+)\n(.*?)^ *```$").FindAllStringSubmatch(page, -1) {
		code := found[3]
		if found[1] != "" {
			code = strings.ReplaceAll("\n"+code, "\n"+found[1], "\n")[1:]
		}
		list = append(list, block{found[2], code})
	}
	return list
}

// night is what an operator has before them: a database with payments, and a shell in a folder.
type night struct {
	t      *testing.T
	folder string
	place  database
}

func newNight(t *testing.T) *night {
	t.Helper()
	folder := t.TempDir()
	return &night{t: t, folder: folder, place: database{file: filepath.Join(folder, usualFile)}}
}

func (n *night) store() pairing.Store {
	n.t.Helper()
	store, err := n.place.open(n.t.Context())
	require.NoError(n.t, err)
	return store
}

// sql returns the database as it is for SQL.
func (n *night) sql() *sql.DB {
	n.t.Helper()
	if n.place.dsn == "" {
		db, err := sql.Open("sqlite", n.place.file)
		require.NoError(n.t, err)
		return db
	}
	config, err := pgx.ParseConfig(n.place.dsn)
	require.NoError(n.t, err)
	config.RuntimeParams["search_path"] = n.place.schema
	return stdlib.OpenDB(*config)
}

// payment returns a payment as it is kept.
func (n *night) payment(id string) pairing.Payment {
	n.t.Helper()
	store := n.store()
	defer func() { require.NoError(n.t, store.Close()) }()
	p, err := store.Payment(n.t.Context(), id)
	require.NoError(n.t, err)
	return p
}

// run runs a block, and returns what it printed, or the rows that it changed or found.
func (n *night) run(b block) (output string, rows int64) {
	n.t.Helper()
	switch b.language {
	case "sh":
		cmd := exec.CommandContext(n.t.Context(), "bash", "-euo", "pipefail", "-c", b.code)
		cmd.Dir, cmd.Env = n.folder, append(os.Environ(), "PATH="+n.folder+"/bin:"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		require.NoError(n.t, err, "%s\n%s", b.code, out)
		return string(out), 0
	case "sql":
		db := n.sql()
		defer func() { require.NoError(n.t, db.Close()) }()
		return "", runSQL(n.t, db, b.code)
	default:
		n.t.Fatalf("nobody knows how to run %s:\n%s", b.language, b.code)
		return "", 0
	}
}

// runSQL returns how many rows a statement has found or changed.
func runSQL(t *testing.T, db *sql.DB, statement string) (n int64) {
	t.Helper()
	if !strings.HasPrefix(statement, "SELECT") {
		result, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
		n, err = result.RowsAffected()
		require.NoError(t, err)
		return n
	}
	found, err := db.QueryContext(t.Context(), statement)
	require.NoError(t, err, statement)
	defer func() { _ = found.Close() }()
	for found.Next() {
		n++
	}
	require.NoError(t, found.Err())
	return n
}

// fall fills a store with the payments of the page, each as it says that it is.
func fall(t *testing.T, store pairing.Store) {
	t.Helper()
	for i, p := range []struct {
		id, serial string
		outcome    tillroute.Outcome
		ended      bool
		sent       bool
		mark       string
	}{
		{id: "sale-1001", serial: "1", sent: true, ended: true},
		{id: "sale-1002", serial: "1", sent: true, ended: true},
		{id: "sale-1003", serial: "1", sent: true, ended: true},
		{id: "sale-1006", serial: "1", sent: true, ended: true, outcome: tillroute.Approved},
		{id: "table-7", serial: "3", sent: true, ended: true, outcome: tillroute.Approved, mark: "refused 1 - - closed The check is closed."},
		{id: "table-8", serial: "3", sent: true, ended: true, outcome: tillroute.Approved, mark: "applied 1 - - answered"},
		{id: "sale-1004", serial: "1", sent: true},
		{id: "sale-1005", serial: "1"},
		{id: "sale-1008", serial: "2"},
	} {
		at := pairing.Terminal{Provider: smartconnect.Provider, Serial: p.serial}
		till := pairing.Register{System: "xseries", Account: "toysshop", ID: "till " + p.serial}
		if p.mark != "" {
			till.System = "kseries"
		}
		_, err := store.PutPairing(t.Context(), pairing.Pairing{Register: till, Terminal: at}, -1)
		require.NoError(t, err)
		_, err = store.AcceptPayment(t.Context(), pairing.Request{
			ID: p.id, Register: till, Kind: pairing.Purchase, Amount: decimal.New(1250+int64(i), -2), Currency: "NZD",
		})
		require.NoError(t, err)
		if !p.sent {
			continue
		}
		claim, ok, err := store.ClaimPayment(t.Context(), at, "a node", time.Millisecond)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, store.SavePaymentHandle(t.Context(), claim, pairing.Handle{TransactionID: "t-" + p.id}))
		if p.ended {
			result := pairing.Result{Outcome: p.outcome, Amount: decimal.Decimal{}, Reason: "its handle has expired"}
			_, _, err := store.FinishPayment(t.Context(), claim, result, 0)
			require.NoError(t, err)
			_, err = store.MarkPayment(t.Context(), p.id, "", p.mark)
			require.NoError(t, err)
		}
	}
}

// expectation is what a block is to do. Each stands for one that begins so.
type expectation struct {
	begins string
	check  func(output string, rows int64)
}

// expectations returns what the page's blocks are to do, in their order.
func (n *night) expectations() []expectation {
	t := n.t
	all := func(words ...string) func(string, int64) {
		return func(output string, _ int64) {
			for _, word := range words {
				require.Contains(t, output, word)
			}
		}
	}
	ended := func(id string, o tillroute.Outcome) func(string, int64) {
		return func(string, int64) {
			p := n.payment(id)
			require.Equal(t, pairing.Done, p.State)
			require.Equal(t, o, p.Outcome())
			require.Equal(t, "Ana", p.ResolvedBy)
			require.Regexp(t, `^its handle has expired; resolved by Ana: \w`, p.Result.Reason)
			require.Equal(t, "t-"+id, p.Handle.TransactionID)
			if o == tillroute.Approved {
				require.True(t, p.Result.Amount.Equal(p.Amount), p.Result.Amount)
			} else {
				require.True(t, p.Result.Amount.IsZero(), p.Result.Amount)
			}
		}
	}
	rows := func(want int64, then func(string, int64)) func(string, int64) {
		return func(output string, got int64) {
			require.Equal(t, want, got, "rows")
			if then != nil {
				then(output, got)
			}
		}
	}
	return []expectation{
		{"gateway payments list\n", all("sale-1001", "sale-1002", "sale-1003", "transaction t-sale-1001")},
		{"SELECT id, kind", rows(3, nil)},
		{"gateway payments resolve sale-1001", ended("sale-1001", tillroute.Approved)},
		{"-- The money moved", rows(1, ended("sale-1002", tillroute.Approved))},
		{"-- It did not", rows(1, ended("sale-1003", tillroute.Declined))},
		{"gateway payments list open", all("sale-1004", "sale-1005", "sale-1008")},
		{"SELECT provider, serial", rows(3, nil)},
		{"gateway payments withdraw sale-1005", func(string, int64) {
			require.Equal(t, tillroute.Cancelled, n.payment("sale-1005").Outcome())
		}},
		{"gateway payments marks", func(output string, _ int64) {
			require.Contains(t, output, "sale-1006")
			require.Equal(t, "recorded: Ana", n.payment("sale-1006").Mark)
		}},
		{"SELECT seq, id, charged", rows(2, nil)},
		{"SELECT id, register, charged", rows(1, nil)},
		{"sqlite3 tillroute.db", func(output string, _ int64) {
			require.Equal(t, "ok\n", output)
			about, err := os.Stat(filepath.Join(n.folder, "tillroute-backup.db"))
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), about.Mode())
			n.goOn()
		}},
		{"rm -f tillroute.db", func(string, int64) {
			require.Equal(t, pairing.Queued, n.payment("sale-1008").State, "it is in the backup as it was then")
		}},
		{"UPDATE payments\n   SET state = 'unknown'", rows(2, func(string, int64) {
			store := n.store()
			defer func() { require.NoError(t, store.Close()) }()
			ready, err := store.ReadyTerminals(t.Context(), []string{smartconnect.Provider}, 10)
			require.NoError(t, err)
			require.Empty(t, ready, "nothing is sent again")
			for _, serial := range []string{"1", "2"} {
				_, ok, err := store.ClaimPayment(t.Context(), pairing.Terminal{Provider: smartconnect.Provider, Serial: serial}, "a node", time.Minute)
				require.NoError(t, err)
				require.False(t, ok, "nothing is sent again")
			}
			_, err = store.ResolvePayment(t.Context(), "sale-1004", pairing.Resolution{Outcome: tillroute.Declined, By: "Bo", Reason: "seen"})
			require.NoError(t, err)
		})},
		{"gateway payments list\n", all("sale-1008", "restored from a backup")},
		{"SELECT version", rows(int64(n.migrations()), nil)},
	}
}

// goOn lets things happen after the backup was made.
func (n *night) goOn() {
	store := n.store()
	defer func() { require.NoError(n.t, store.Close()) }()
	at := pairing.Terminal{Provider: smartconnect.Provider, Serial: "2"}
	claim, ok, err := store.ClaimPayment(n.t.Context(), at, "a node", time.Minute)
	require.NoError(n.t, err)
	require.True(n.t, ok)
	_, _, err = store.FinishPayment(n.t.Context(), claim, pairing.Result{Outcome: tillroute.Approved, Amount: decimal.New(1, 0)}, 0)
	require.NoError(n.t, err)
}

func (n *night) migrations() int {
	store := "sqlitestore"
	if n.place.dsn != "" {
		store = "pgstore"
	}
	files, err := filepath.Glob("../../pairing/" + store + "/migrations/*.sql")
	require.NoError(n.t, err)
	return len(files)
}

// All that the page has people type does what it says.
func TestOperationsPage(t *testing.T) {
	needs(t, "sqlite3", "bash")
	n := newNight(t)
	require.NoError(t, os.Mkdir(filepath.Join(n.folder, "bin"), 0o755))
	require.NoError(t, os.Rename(programtest.Build(t), filepath.Join(n.folder, "bin", "gateway")))
	n.pass(blocks(operationsPage(t)), n.expectations())
}

// So it does in PostgreSQL, but for what is said to be for SQLite alone.
func TestOperationsPageOnPostgreSQL(t *testing.T) {
	needs(t, "bash")
	n := newNight(t)
	n.place = shared(t)
	require.NoError(t, os.Mkdir(filepath.Join(n.folder, "bin"), 0o755))
	// Who works on PostgreSQL adds these flags to each command.
	script := fmt.Sprintf("#!/bin/sh\nshift\nexec %s payments -dsn %s -schema %s \"$@\"\n", quote(programtest.Build(t)), quote(n.place.dsn), n.place.schema)
	require.NoError(t, os.WriteFile(filepath.Join(n.folder, "bin", "gateway"), []byte(script), 0o755))
	forFiles := func(text string) bool {
		return strings.HasPrefix(text, "sqlite3 tillroute.db") || strings.HasPrefix(text, "rm -f tillroute.db")
	}
	n.pass(
		slices.DeleteFunc(blocks(operationsPage(t)), func(b block) bool { return forFiles(b.code) }),
		slices.DeleteFunc(n.expectations(), func(e expectation) bool { return forFiles(e.begins) }),
	)
}

// pass runs the blocks of the page, one after the other.
func (n *night) pass(page []block, todo []expectation) {
	t := n.t
	t.Helper()
	store := n.store()
	fall(t, store)
	require.NoError(t, store.Close())
	for _, b := range page {
		require.NotEmpty(t, todo, "nobody knows what this is to do:\n%s", b.code)
		require.True(t, strings.HasPrefix(b.code, todo[0].begins), "here is to be %q:\n%s", todo[0].begins, b.code)
		todo[0].check(n.run(b))
		todo = todo[1:]
	}
	require.Empty(t, todo)
}

// needs skips a test on a laptop without these programs; a machine that is to find everything has them.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// columns returns which columns of which tables the page names.
func columns(page string) map[string][]string {
	tables := map[string][]string{}
	var table string
	_, schema, _ := strings.Cut(page, "## The schema\n")
	for line := range strings.Lines(schema) {
		if found := regexp.MustCompile("^\\*\\*`([a-z_]+)`\\*\\*:").FindStringSubmatch(line); found != nil {
			table = found[1]
			tables[table] = nil
		}
		names, _, found := strings.Cut(line, ": ")
		if !found || !strings.HasPrefix(line, "- `") {
			continue
		}
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(names, -1) {
			tables[table] = append(tables[table], name[1])
		}
	}
	return tables
}

func TestOperationsPageHasTheSchema(t *testing.T) {
	got := columns(operationsPage(t))
	for name, c := range map[string]struct {
		place func(*testing.T) database
		query string
	}{
		"SQLite": {
			func(t *testing.T) database { t.Helper(); return newNight(t).place },
			`SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c
				WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`,
		},
		"PostgreSQL": {shared, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"},
	} {
		t.Run(name, func(t *testing.T) {
			n := &night{t: t, place: c.place(t)}
			require.NoError(t, n.store().Close())
			db := n.sql()
			defer func() { require.NoError(t, db.Close()) }()
			found, err := db.QueryContext(t.Context(), c.query)
			require.NoError(t, err)
			defer func() { _ = found.Close() }()
			want := map[string][]string{}
			for found.Next() {
				var table, column string
				require.NoError(t, found.Scan(&table, &column))
				want[table] = append(want[table], column)
			}
			require.NoError(t, found.Err())
			require.Len(t, got, len(want))
			for table := range want {
				require.ElementsMatch(t, want[table], got[table], table)
			}
		})
	}
}

// The metrics that the page has people look at are there, with these labels.
func TestOperationsPageHasTheMetrics(t *testing.T) {
	store := newNight(t).store()
	defer func() { require.NoError(t, store.Close()) }()
	counts, err := metrics.New(metrics.Config{Counter: store.(pairing.Counter), Providers: []string{smartconnect.Provider}})
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	registry.MustRegister(counts)
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	found := regexp.MustCompile(`(tillroute_[a-z_]+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(operationsPage(t), -1)
	require.Greater(t, len(found), 8)
	for _, metric := range found {
		require.True(t, slices.ContainsFunc(strings.Split(answer.Body.String(), "\n"), func(line string) bool {
			return regexp.MustCompile("^"+metric[1]+"[{ ]").MatchString(line) && strings.Contains(line, metric[2])
		}), metric[0])
	}
}
