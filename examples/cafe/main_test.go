package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/paysera"
)

func TestOnce(t *testing.T) {
	t.Parallel()
	var out, logs bytes.Buffer
	folder := t.TempDir()
	require.NoError(t, run(t.Context(), []string{"-once", "-db", filepath.Join(folder, "x.db")}, nil, &out, &logs))
	require.Contains(t, out.String(), "each once")
	require.Contains(t, out.String(), "████ ▄▄▄▄▄ █", "the codes are printed")
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, file := range files {
		assert.True(t, strings.HasPrefix(file.Name(), "x."), "%s is one of the files that -db names", file.Name())
	}
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-nosuch"}, {"argument"}} {
		require.ErrorIs(t, run(t.Context(), args, nil, io.Discard, io.Discard), errUsage)
	}
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, nil, io.Discard, io.Discard), flag.ErrHelp)
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	err = run(t.Context(), []string{"-db", filepath.Join(t.TempDir(), "x.db"), "-addr", taken.Addr().String()}, nil, io.Discard, io.Discard)
	require.ErrorContains(t, err, "choose another address with -addr")
}

func TestStopsWhenAsked(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	never, _ := io.Pipe()
	defer func() { _ = never.Close() }()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "x.db")}, never, io.Discard, io.Discard)
	}()
	cancel()
	select {
	case err := <-ended:
		// Stopped before it ran is as good.
		assert.True(t, err == nil || errors.Is(err, context.Canceled), "%v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("it does not stop")
	}
}

func TestCommandsThatDoNotWork(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	lines := "pay\nleave\ncard\nsit\nsit 3\nsit 1 tea\nscan nonsense\n\nhelp\nquit\nsit 1\n"
	args := []string{"-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "x.db")}
	require.NoError(t, run(t.Context(), args, strings.NewReader(lines), &out, io.Discard))
	require.Equal(t, 7, strings.Count(out.String(), "that doesn't work"), "%s", &out)
	require.NotContains(t, out.String(), "wants coffee", "nothing is done after quit")
}

// process is the program, as a person starts it.
type process struct {
	t     *testing.T
	path  string
	args  []string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func newProcess(t *testing.T) *process {
	t.Helper()
	folder := t.TempDir()
	p := &process{t: t, path: filepath.Join(folder, "cafe")}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.path, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	var config net.ListenConfig
	free, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, free.Close())
	p.args = []string{"-addr", free.Addr().String(), "-db", filepath.Join(folder, "cafe.db")}
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), time.Minute)
	p.t.Cleanup(cancel)
	p.cmd = exec.CommandContext(ctx, p.path, p.args...)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(p.t, err)
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Start())
	p.lines = bufio.NewScanner(out)
	p.until("The terminal, and all that is simulated")
}

// kill ends it as kill -9 does.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

func (p *process) say(line string) {
	p.t.Helper()
	_, err := io.WriteString(p.stdin, line+"\n")
	require.NoError(p.t, err)
}

// until reads until a line has the text.
func (p *process) until(text string) {
	p.t.Helper()
	var before []string
	for p.lines.Scan() {
		before = append(before, p.lines.Text())
		if strings.Contains(p.lines.Text(), text) {
			return
		}
	}
	p.t.Fatalf("it doesn't say %q, but\n%s", text, strings.Join(before, "\n"))
}

// charges returns how often the simulated system has moved money.
func (p *process) charges(system string) int {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.args[1]+"/_sim/"+system+"/charges", nil)
	require.NoError(p.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(p.t, err)
	defer func() { _ = response.Body.Close() }()
	var charges []json.RawMessage
	require.NoError(p.t, json.NewDecoder(response.Body).Decode(&charges))
	return len(charges)
}

func TestKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.start()
	p.say("sit 1 coffee")
	p.until("Their coffee comes to 2.50 EUR")
	p.kill()
	p.start()
	p.say("sit 1 coffee")
	p.say("pay")
	p.until("2.50 EUR are reserved")
	p.kill()
	p.start()
	p.until("TABLE1 is free again")
	require.Equal(t, 1, p.charges("paysera"))

	p.say("sit 2 cake")
	p.until("Their cake comes to 4.80 EUR")
	p.say("card")
	p.until("waits for the card")
	p.kill()
	p.start()
	p.say("tap")
	p.until("is paid at the terminal: 4.80 EUR")
	require.Equal(t, 1, p.charges("paysera"))
	require.Equal(t, 1, p.charges("smartconnect"))
}

func TestTheBookKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.bills.json")
	b, err := openBook(path)
	require.NoError(t, err)
	v, err := b.seat(table1, 15)
	require.NoError(t, err)
	bill := v.Bill
	bill.TransactionKey = "first"
	require.NoError(t, b.save(bill))
	for name, change := range map[string]func(*paysera.Bill){
		"another transaction": func(b *paysera.Bill) { b.TransactionKey = "second" },
		"another charge":      func(b *paysera.Bill) { b.Charge = price(coffee) },
		"another end":         func(b *paysera.Bill) { b.Status = paysera.BillUnpaid },
	} {
		kept := bill
		kept.Charge, kept.Status = price(cake), paysera.BillPaid
		require.NoError(t, b.save(kept))
		change(&kept)
		require.ErrorIs(t, b.save(kept), tillroute.ErrConflict, name)
		// As a new process reads it.
		b, err = openBook(path)
		require.NoError(t, err)
		visits, _ := b.visits()
		require.Equal(t, paysera.BillPaid, visits[0].Bill.Status)
		require.Equal(t, "first", visits[0].Bill.TransactionKey)
	}
	require.Error(t, b.save(paysera.Bill{Reference: "visit-2"}))
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err = openBook(path)
	require.ErrorContains(t, err, "can't be read")
}
