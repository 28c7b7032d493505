package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// postgres is a PostgreSQL server of our own, which can be killed and started again.
type postgres struct {
	dir, bin string
	port     int
	who      *syscall.Credential
	cmd      *exec.Cmd
	log      *os.File
}

// newPostgres makes a database cluster in a folder of its own and starts it.
func newPostgres(ctx context.Context) (_ *postgres, err error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chaospg-")
	if err != nil {
		return nil, err
	}
	p := &postgres{dir: dir, bin: bin}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.who, err = unprivileged(); err != nil {
		return nil, err
	}
	if p.who != nil {
		if err := os.Chown(dir, int(p.who.Uid), int(p.who.Gid)); err != nil {
			return nil, err
		}
	}
	if p.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	if p.log, err = os.Create(filepath.Join(filepath.Clean(dir), "log")); err != nil {
		return nil, err
	}
	initdb := p.command(ctx, "initdb", "-D", p.data(), "-U", "chaos", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	return p, p.start(ctx)
}

// postgresBin finds the folder of the server's programs.
func postgresBin() (string, error) {
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if slices.Sort(installed); len(installed) > 0 {
		return filepath.Dir(installed[len(installed)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("PostgreSQL is not installed: initdb is neither below /usr/lib/postgresql nor in PATH")
	}
	return filepath.Dir(path), nil
}

// unprivileged returns whom PostgreSQL is to run as, or nil if that is who we are: it refuses to be root.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else is a good answer.
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL can't run as root, and there is neither a user postgres nor nobody")
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("no port is free")
	}
	return address.Port, nil
}

func (p *postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *postgres) address() string { return "127.0.0.1:" + strconv.Itoa(p.port) }

// dsn returns the database's name, as it is reached at address.
func (p *postgres) dsn(address string) string {
	return "postgres://chaos@" + address + "/postgres?sslmode=disable&connect_timeout=2"
}

func (p *postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...) //nolint:gosec // it is PostgreSQL's.
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	return cmd
}

// upTime is how long the server has to come up.
const upTime = 30 * time.Second

// start starts the server and waits until it lets callers in.
func (p *postgres) start(ctx context.Context) error {
	p.cmd = p.command(context.WithoutCancel(ctx), "postgres", "-D", p.data(), "-p", strconv.Itoa(p.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+p.dir, "-c", "max_connections=200")
	p.cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(upTime); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 20*time.Millisecond) {
		if p.command(ctx, "pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(p.port)).Run() == nil {
			return nil
		}
	}
	return errors.Join(errors.New("PostgreSQL did not come up"), ctx.Err())
}

// kill ends the server as pg_ctl stop -m immediate does: it writes nothing more, and recovers when it is started.
func (p *postgres) kill() error {
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	_ = p.cmd.Wait() // It says that it was killed.
	return nil
}

func (p *postgres) close() {
	if p.cmd != nil && p.cmd.ProcessState == nil {
		_ = p.kill()
	}
	if p.log != nil {
		_ = p.log.Close()
	}
	_ = os.RemoveAll(p.dir)
}

// restarts kills PostgreSQL while payments run, and starts it again.
func restarts(ctx context.Context, r *run) error {
	if r.postgres == nil {
		return errors.New("this needs PostgreSQL of our own: -store postgres")
	}
	for done := 0; done < r.Count && ctx.Err() == nil; done++ {
		pause(ctx, 300*time.Millisecond+time.Duration(r.random.Int64N(int64(2*r.Lease))))
		r.recorder.fault("postgres killed", "", "")
		if err := r.postgres.kill(); err != nil {
			return err
		}
		pause(ctx, time.Duration(r.random.Int64N(int64(r.Lease))))
		if err := r.postgres.start(ctx); err != nil {
			return err
		}
		r.recorder.fault("healed", "", "")
	}
	return ctx.Err()
}
