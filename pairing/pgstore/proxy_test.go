package pgstore_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing/pairingtest"
)

// proxy starts a PgBouncer that pools transactions, with fewer connections than its clients have, and returns its URL.
func proxy(t *testing.T) tillroute.Secret {
	t.Helper()
	behind, err := pgx.ParseConfig(pgtest.URL(t))
	require.NoError(t, err)
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(program); err != nil {
		pgtest.Skip(t, "there is no pgbouncer: install it")
	}
	port, err := pgtest.FreePort()
	require.NoError(t, err)
	folder, err := os.MkdirTemp("/tmp", "pgtest") //nolint:usetesting // where whoever it runs as may read
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, os.Chmod(folder, 0o755))
	database := fmt.Sprintf("* = host=%s port=%d user=%s", behind.Host, behind.Port, behind.User)
	if behind.Password != "" {
		database += " password=" + behind.Password
	}
	settings := fmt.Sprintf(`[databases]
%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 500
`, database, port)
	file := filepath.Join(folder, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(file, []byte(settings), 0o644))
	cmd := pgtest.Unprivileged(exec.CommandContext(context.WithoutCancel(t.Context()), program, "-q", file))
	cmd.Dir = folder
	log, err := os.Create(filepath.Join(folder, "log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		_ = log.Close()
	})
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 2*time.Minute, 10*time.Millisecond, "pgbouncer takes no connections")
	// Nothing that a connection keeps outlives a transaction: pgx has to do without prepared statements of a name.
	where := url.URL{
		Scheme: "postgres", User: url.User(behind.User), Host: addr, Path: "/" + behind.Database,
		RawQuery: "sslmode=disable&default_query_exec_mode=cache_describe",
	}
	return tillroute.Secret(where.String())
}

func TestStoreBehindAProxyThatPoolsTransactions(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.ListenDSN, c.DSN = c.DSN, proxy(t)
	pairingtest.TestStore(t, harness(t, c))
}

func TestNodesBehindAProxyHearOfEachOther(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.ListenDSN, c.DSN = c.DSN, proxy(t)
	nodesHear(t, c)
}
