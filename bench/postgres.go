package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
)

// cluster is a PostgreSQL server of our own.
type cluster struct {
	port    int
	version string
	data    string
	command *exec.Cmd
}

// slowSync has what it runs wait a millisecond more for the disk, as a usual one does.
func slowSync() []string {
	return []string{
		"strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_exit=1000",
	}
}

// canSlow says why the disk can't be made slow.
func canSlow(ctx context.Context) error {
	words := append(slowSync(), "true")
	if text, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments.
		return fmt.Errorf("strace can't be used here: %w %s", err, bytes.TrimSpace(text))
	}
	return nil
}

// postgres returns the database, which it starts if need be.
func (b *bench) postgres(ctx context.Context) (_ *cluster, err error) {
	if b.cluster == nil {
		b.cluster, err = startCluster(ctx, b.folder)
	}
	return b.cluster, err
}

// slowPostgres returns one with a slow disk.
func (b *bench) slowPostgres(ctx context.Context) (_ *cluster, err error) {
	if b.slow == nil {
		if err := canSlow(ctx); err != nil {
			return nil, err
		}
		b.slow, err = startCluster(ctx, b.folder, slowSync()...)
	}
	return b.slow, err
}

// settings keep checkpoints out of the figures, of both sides, and are otherwise as they come.
func settings() []string {
	return []string{
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=400", "-c", "shared_buffers=512MB",
		"-c", "max_wal_size=16GB", "-c", "checkpoint_timeout=1h",
	}
}

func startCluster(ctx context.Context, within string, wrap ...string) (*cluster, error) {
	initdb, err := postgresBinary("initdb")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(within, "postgres-")
	if err != nil {
		return nil, err
	}
	c := &cluster{data: filepath.Join(folder, "data")}
	command := pgtest.Unprivileged(exec.CommandContext(ctx, initdb, "--pgdata", c.data, "--username", "postgres", "--auth", "trust", //nolint:gosec // our own arguments.
		"--encoding", "UTF8", "--no-locale", "--no-sync"))
	command.Dir = folder
	if who := command.SysProcAttr; who != nil && who.Credential != nil {
		if err := os.Chown(folder, int(who.Credential.Uid), int(who.Credential.Gid)); err != nil {
			return nil, err
		}
	}
	if text, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(text))
	}
	if c.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	words := append(append(wrap, filepath.Join(filepath.Dir(initdb), "postgres"), "-D", c.data, "-p", strconv.Itoa(c.port)), settings()...)
	c.command = pgtest.Unprivileged(exec.CommandContext(context.WithoutCancel(ctx), words[0], words[1:]...)) //nolint:gosec // our own arguments.
	c.command.Dir = folder
	log, err := os.Create(filepath.Join(within, filepath.Base(folder)+".log")) //nolint:gosec // in our own folder.
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has its own
	c.command.Stdout, c.command.Stderr = log, log
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	if err := c.wait(ctx); err != nil {
		text, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("%w: %s", err, bytes.TrimSpace(text)), c.stop())
	}
	return c, nil
}

// postgresBinary finds a program of PostgreSQL where Debian has it, or in the PATH.
func postgresBinary(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err == nil && len(found) > 0 {
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("PostgreSQL isn't installed")
	}
	return filepath.EvalSymlinks(path)
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

func (c *cluster) dsn(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, database)
}

func (c *cluster) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.dsn("postgres"))
		if err == nil {
			c.version = conn.PgConn().ParameterStatus("server_version") + ": " + strings.ReplaceAll(strings.Join(settings(), " "), "-c ", "") +
				", all else as it comes (fsync and synchronous_commit on), over TCP"
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL takes no connections: %w", err)
		case <-time.After(50 * time.Millisecond): //nolint:mnd // often enough.
		}
	}
}

// database makes a database and returns where it is.
func (c *cluster) database(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, c.dsn("postgres"))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", err
	}
	return c.dsn(name), nil
}

// stop ends the server as a crash would: what it has is thrown away.
func (c *cluster) stop() error {
	text, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	if err != nil {
		return c.command.Process.Kill()
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		return err
	}
	_ = c.command.Wait() // Its status says only that it was told to end.
	return nil
}

// dsnOf returns where a child's database is.
func dsnOf(config childConfig) tillroute.Secret { return tillroute.Secret(config.DSN) }
