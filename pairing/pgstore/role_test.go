package pgstore_test

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pairingtest"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// role makes a role that owns nothing, and returns its name and where the database is for it.
func role(t *testing.T) (name string, dsn tillroute.Secret) {
	t.Helper()
	at, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	name = pgtest.Schema(t)
	perform(t, other(t), "CREATE ROLE "+name+" LOGIN PASSWORD '"+name+"'")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, pgtest.URL(t))
		require.NoError(t, err)
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.Exec(ctx, "DROP OWNED BY "+name+" CASCADE; DROP ROLE "+name)
		require.NoError(t, err)
	})
	at.User = url.UserPassword(name, name)
	return name, tillroute.Secret(at.String())
}

// granted has a role granted what the operations page says that it needs.
func granted(t *testing.T, schema, role string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?ms)^```\n(GRANT .*?)^```$").FindSubmatch(page)
	require.NotNil(t, found, "the page has no grants")
	perform(t, other(t), strings.NewReplacer("tillroute", schema, " till;", " "+role+";").Replace(string(found[1])))
}

// A node needs no more than the operations page says.
func TestARoleThatOwnsNothing(t *testing.T) {
	t.Parallel()
	h := harness(t, config(t))
	direct := h.Open
	name, dsn := role(t)
	h.Open = func(t *testing.T) pairing.Store {
		t.Helper()
		for _, group := range []string{"/Model/", "/Rules/"} {
			if strings.Contains(t.Name(), group) {
				t.Skip("the other groups have every statement")
			}
		}
		owner := direct(t).(*opened)
		granted(t, owner.config.Schema, name)
		c := owner.config
		c.Pool, c.DSN = nil, dsn
		require.NoError(t, owner.Close())
		return open(t, c)
	}
	pairingtest.TestStore(t, h)
}

func TestARoleIsToldWhatItLacks(t *testing.T) {
	t.Parallel()
	name, dsn := role(t)
	c := config(t)
	c.DSN = dsn
	refused := func(text string) {
		t.Helper()
		_, err := pgstore.Open(t.Context(), c)
		require.Contains(t, requireError(t, err, tillroute.ErrUnavailable, tillroute.Failed), text)
	}
	refused("its tables are not there and this user may not make them")
	conn := other(t)
	perform(t, conn, "CREATE SCHEMA "+c.Schema)
	perform(t, conn, "GRANT USAGE ON SCHEMA "+c.Schema+" TO "+name)
	refused("its tables are not there and this user may not make them")
	perform(t, conn, "DROP SCHEMA "+c.Schema)

	owner := c
	owner.DSN = tillroute.Secret(pgtest.URL(t))
	require.NoError(t, open(t, owner).Close())
	refused("permission denied for schema")
	granted(t, c.Schema, name)
	require.NoError(t, open(t, c).Close())
	version, _ := versions(t, conn, c.Schema)

	_, err := pgstore.OpenWith(t.Context(), c, next(t, "ALTER TABLE @payments ADD COLUMN added text"))
	require.Regexp(t, "it has version [0-9]+, this program needs version [0-9]+, and this user may not change it: open it once as the user who owns it",
		requireError(t, err, tillroute.ErrUnavailable, tillroute.Failed))
	now, _ := versions(t, conn, c.Schema)
	require.Equal(t, version, now)
}

// The right to make tables in a schema that is there is enough.
func TestARoleMakesItsTablesInASchemaThatIsThere(t *testing.T) {
	t.Parallel()
	name, dsn := role(t)
	c := config(t)
	c.DSN = dsn
	perform(t, other(t), "CREATE SCHEMA "+c.Schema+"; GRANT USAGE, CREATE ON SCHEMA "+c.Schema+" TO "+name)
	s := paired(t, c)
	_, err := s.AcceptPayment(t.Context(), benchRequest(0, 1))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}
