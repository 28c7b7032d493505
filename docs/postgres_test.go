package docs_test

import (
	"net/url"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

func postgresMistakes() []mistake {
	// opened opens a database that change has made impossible. What a test's own cluster is called is left out.
	opened := func(change func(t *testing.T, at *url.URL, c *pgstore.Config)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			if os.Getenv("TILLROUTE_TEST_DATABASE_URL") != "" {
				return "" // Who may do what there is not for a test to say.
			}
			at, err := url.Parse(pgtest.URL(t))
			require.NoError(t, err)
			config := pgstore.Config{Schema: pgtest.Schema(t)}
			change(t, at, &config)
			config.DSN = tillroute.Secret(at.String())
			_, err = pgstore.Open(t.Context(), config)
			text := regexp.MustCompile(`"?`+regexp.QuoteMeta(config.Schema)+`"?`).ReplaceAllString(sees(t, err), "tillroute")
			text = strings.ReplaceAll(text, at.Query().Get("host"), "/run/postgresql")
			return regexp.MustCompile(`PGSQL\.\d+`).ReplaceAllString(text, "PGSQL.5432")
		}
	}
	refused := func(c pgstore.Config) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			_, err := pgstore.Open(t.Context(), c)
			return sees(t, err)
		}
	}
	return []mistake{
		{"`pgstore.Config` is empty", refused(pgstore.Config{})},
		{"the DSN can't be read", refused(pgstore.Config{DSN: "postgres://till:a secret@host:port/till"})},
		{"nothing listens there", func(t *testing.T) string {
			if runtime.GOOS == "windows" {
				return "" // It says so in other words.
			}
			return refused(pgstore.Config{DSN: "postgres://till:secret@127.0.0.1:1/till?sslmode=disable"})(t)
		}},
		{"the schema has a name of PostgreSQL's own", refused(pgstore.Config{DSN: "postgres://till@127.0.0.1:1/till", Schema: "pg_till"})},
		{"there is no such database", opened(func(_ *testing.T, at *url.URL, _ *pgstore.Config) { at.Path = "/nosuch" })},
		{"there is no such user", opened(func(_ *testing.T, at *url.URL, _ *pgstore.Config) { at.User = url.User("nobody_known") })},
		{"the user may make no schema", opened(func(t *testing.T, at *url.URL, c *pgstore.Config) {
			t.Helper()
			perform(t, at, "CREATE ROLE "+c.Schema+" LOGIN")
			at.User = url.User(c.Schema)
		})},
		{"the schema is another program's", opened(func(t *testing.T, at *url.URL, c *pgstore.Config) {
			t.Helper()
			perform(t, at, "CREATE SCHEMA "+c.Schema+"; CREATE TABLE "+c.Schema+".payments (id text)")
		})},
	}
}

func perform(t *testing.T, at *url.URL, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at.String())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), statements)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}
