// Package programtest is what the tests of the programs of this folder have in common.
package programtest

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

// patience is how long a test waits for what should happen: a machine may be slow, or stand still for some seconds.
const patience = 2 * time.Minute

// Run is what a program's main function calls.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// BadUsage tests what a program says to flags that it doesn't know and to addresses that it can't listen on.
func BadUsage(t *testing.T, run Run) {
	t.Helper()
	for _, args := range [][]string{{"-nosuch"}, {"argument"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); !errors.Is(err, program.ErrUsage) {
			t.Errorf("%q is understood: %v", args, err)
		}
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h gives no help: %v", err)
	}
	taken := listen(t, "127.0.0.1:0")
	defer func() { _ = taken.Close() }()
	for addr, want := range map[string]string{"nonsense": "-addr", taken.Addr().String(): "choose another address with -addr"} {
		err := run(t.Context(), []string{"-db", filepath.Join(t.TempDir(), "x.db"), "-addr", addr}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("-addr %s: %v", addr, err)
		}
	}
}

// Stops tests that a program stops when it is asked to.
func Stops(t *testing.T, run Run) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "x.db")}, io.Discard, io.Discard)
	}()
	cancel()
	select {
	case err := <-ended:
		// Stopped before it ran is as good.
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not stop")
	}
}

// OwnFiles tests that what a program has left in the folder is named after its -db, which is x.db.
func OwnFiles(t *testing.T, folder string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no files: %v", err)
	}
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), "x.") {
			t.Errorf("%s is not one of the files that -db names", file.Name())
		}
	}
}

// Hides tests that none of the secrets of the simulated systems is in what a program shows.
func Hides(t *testing.T, secrets []string, shown ...string) {
	t.Helper()
	if len(secrets) == 0 || shown[0] == "" {
		t.Fatal("there is nothing to look for, or nothing to look at")
	}
	for _, secret := range secrets {
		if IsPairingCode(secret) {
			continue
		}
		for _, text := range shown {
			if before, _, shows := strings.Cut(text, secret); shows {
				t.Errorf("%s shows after …%s", secret, before[max(0, len(before)-200):])
			}
		}
	}
}

// IsPairingCode reports whether a secret is one that a terminal shows to everybody who stands before it.
func IsPairingCode(secret string) bool {
	return len(secret) == 8 && strings.Trim(secret, "0123456789") == ""
}

// Build builds the program that is tested, and returns where it is.
func Build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".") //nolint:gosec // path is ours.
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// Process is the program that is tested, as a person starts it.
type Process struct {
	// Args are what it is started with: -addr, the address, -db and the file, to begin with.
	Args []string
	// Addr is the port that -addr names, and Next the one after it.
	Addr, Next string
	// Stdin is what a person types, and Out what they read.
	Stdin io.Writer
	Out   *bufio.Scanner

	t    *testing.T
	path string
	cmd  *exec.Cmd
}

// NewProcess builds the program, and has it killed at the end of the test. Both of its ports are free at this moment.
func NewProcess(t *testing.T) *Process {
	t.Helper()
	p := &Process{t: t, path: Build(t)}
	p.Addr, p.Next = FreePorts(t)
	p.Args = []string{"-addr", p.Addr, "-db", filepath.Join(t.TempDir(), "program.db")}
	t.Cleanup(p.Kill)
	return p
}

// Start starts it.
func (p *Process) Start() {
	p.t.Helper()
	p.cmd = exec.CommandContext(context.WithoutCancel(p.t.Context()), p.path, p.Args...) //nolint:gosec // it was built here.
	p.cmd.Stderr = p.t.Output()
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.Stdin, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.Out = bufio.NewScanner(out)
}

// Line returns the next line that it prints.
func (p *Process) Line() string {
	p.t.Helper()
	if !p.Out.Scan() {
		p.t.Fatalf("it prints nothing: %v", p.Out.Err())
	}
	return p.Out.Text()
}

// Kill ends it as kill -9 does.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
	// Nobody sends anything on a connection to the one that was killed.
	http.DefaultClient.CloseIdleConnections() //nolint:forbidigo // it is what the tests of the programs use.
}

// Sent waits until the program has written down that a payment is at its terminal. One that is killed before doesn't know
// afterwards how the payment ended.
func (p *Process) Sent() {
	p.t.Helper()
	store, err := sqlitestore.Open(p.t.Context(), sqlitestore.Config{Path: p.Args[3], BusyTimeout: patience})
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		sent, err := store.ListPayments(ctx, pairing.Filter{States: []pairing.State{pairing.Sent}}, 1)
		if err != nil {
			p.t.Fatalf("no payment is at its terminal: %v", err)
		}
		if len(sent) > 0 {
			return
		}
		<-tick.C
	}
}

// FreePorts returns a port that nobody listens on at this moment, and the one after it, which is free too. They are not among
// those that systems give to whoever asks for any: nobody else gets them while a program is started, or killed and started again.
func FreePorts(t *testing.T) (first, next string) {
	t.Helper()
	const from, to = 10_000, 32_000
	for range 50 {
		n := from + rand.N(to-from) //nolint:gosec // any will do.
		var found [2]string
		for i := range found {
			var config net.ListenConfig
			at, err := config.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n+i)))
			if err != nil {
				break
			}
			found[i] = at.Addr().String()
			_ = at.Close()
		}
		if found[1] != "" {
			return found[0], found[1]
		}
	}
	t.Fatal("there are no two free ports side by side")
	return "", ""
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	var config net.ListenConfig
	at, err := config.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
