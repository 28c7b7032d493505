package pgtest_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Exit(m.Run())) }

func TestSchemasAreDropped(t *testing.T) {
	var name string
	conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	t.Run("a test", func(t *testing.T) {
		name = pgtest.Schema(t)
		require.NotEqual(t, name, pgtest.Schema(t))
		_, err := conn.Exec(t.Context(), "CREATE SCHEMA "+name+"; CREATE TABLE "+name+".t ()")
		require.NoError(t, err)
	})
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname = $1", name).Scan(&n))
	require.Zero(t, n)
}

func TestACrashLosesNothing(t *testing.T) {
	pgtest.URL(t) // or skip
	c, err := pgtest.Start()
	require.NoError(t, err)
	defer c.Remove()
	for i := range 3 {
		conn, err := pgx.Connect(t.Context(), c.TCP(c.Addr()))
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS t (n int); INSERT INTO t VALUES (1)")
		require.NoError(t, err)
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n))
		require.Equal(t, i+1, n)
		require.NoError(t, conn.Close(t.Context()))
		require.NoError(t, c.Stop(syscall.SIGQUIT))
		require.NoError(t, c.Start())
	}
	c.Remove()
	require.NoFileExists(t, filepath.Join(c.Folder(), "log"))
}
