package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a PostgreSQL server of our own. [Start] makes one.
type Cluster struct {
	folder string // of the data, the socket and the log
	port   int
	server string
	args   []string // settings
	cmd    *exec.Cmd
}

// Start makes a cluster and starts it, with settings such as "fsync=off". Whoever starts it calls Remove at the end.
func Start(settings ...string) (_ *Cluster, err error) {
	initdb, err := binary("initdb")
	if err != nil {
		return nil, err
	}
	c := &Cluster{server: filepath.Join(filepath.Dir(initdb), "postgres")}
	for _, setting := range settings {
		c.args = append(c.args, "-c", setting)
	}
	// A socket's path has little room: not in the temporary folder of the test, whose name may be long.
	if c.folder, err = os.MkdirTemp("/tmp", "pgtest"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Remove()
		}
	}()
	if err := giveAway(c.folder); err != nil {
		return nil, err
	}
	if c.port, err = FreePort(); err != nil {
		return nil, err
	}
	cmd := Unprivileged(exec.Command(initdb, "--pgdata", c.data(), "--username", "postgres", "--auth", "trust", //nolint:gosec,noctx // our own arguments; it ends by itself.
		"--encoding", "UTF8", "--no-locale", "--no-sync"))
	cmd.Dir = c.folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	return c, c.Start()
}

// binary finds a program of the newest PostgreSQL that is installed.
func binary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s is neither in the PATH nor in /usr/lib/postgresql/*/bin", name)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
}

// FreePort returns a TCP port of this machine that nobody uses. It is one of those that are given to nobody who asks for any, so
// that it stays free: until the server has been started, and while it is down.
func FreePort() (port int, err error) {
	for range 100 {
		port = 20_000 + rand.IntN(12_000) //nolint:gosec // not a secret.
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil { //nolint:noctx // it doesn't block.
			return port, l.Close()
		}
	}
	return 0, err
}

func (c *Cluster) data() string { return filepath.Join(c.folder, "data") }

// URL returns where the database is, by its socket.
func (c *Cluster) URL() string {
	return "postgres://postgres@/postgres?" + url.Values{"host": {c.folder}, "port": {strconv.Itoa(c.port)}}.Encode()
}

// Addr returns where the database is by TCP, for a proxy.
func (c *Cluster) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) }

// TCP returns the URL of the database if it is reached at addr.
func (c *Cluster) TCP(addr string) string {
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable"
}

// Folder returns where everything of the cluster is: the data, the socket and the log.
func (c *Cluster) Folder() string { return c.folder }

// Start starts the server again after Stop, and returns when it takes connections.
func (c *Cluster) Start() error {
	log, err := os.OpenFile(filepath.Join(c.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own
	args := append([]string{
		"-D", c.data(), "-k", c.folder, "-p", strconv.Itoa(c.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=400", "-c", "max_prepared_transactions=0",
	}, c.args...)
	cmd := Unprivileged(exec.Command(c.server, args...)) //nolint:gosec,noctx // our own arguments; Stop ends it.
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.folder, log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd = cmd
	if err := c.wait(2 * time.Minute); err != nil {
		text, _ := os.ReadFile(log.Name())
		return errors.Join(fmt.Errorf("%w: %s", err, bytes.TrimSpace(text)), c.Stop(syscall.SIGQUIT))
	}
	return nil
}

func (c *Cluster) wait(most time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the server takes no connections: %w", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Stop ends the server with a signal and returns when it has ended: SIGINT shuts it down in order, SIGQUIT ends it as a
// crash would (pg_ctl -m immediate).
func (c *Cluster) Stop(signal os.Signal) error {
	if c.cmd == nil {
		return nil
	}
	err := c.cmd.Process.Signal(signal)
	_ = c.cmd.Wait() // Its status says only that it was told to end.
	c.cmd = nil
	return err
}

// Process returns the server's process, for tests that freeze it.
func (c *Cluster) Process() *os.Process { return c.cmd.Process }

// Remove stops the server and deletes what it had.
func (c *Cluster) Remove() {
	_ = c.Stop(syscall.SIGQUIT)
	_ = os.RemoveAll(c.folder)
}
