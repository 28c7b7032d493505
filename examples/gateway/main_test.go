package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/browsertest"
)

func TestOnce(t *testing.T) {
	var out, logs bytes.Buffer
	folder := t.TempDir()
	db := filepath.Join(folder, "demo.db")
	require.NoError(t, run(t.Context(), []string{"-once", "-db", db}, &out, &logs))
	assert.Contains(t, out.String(), "the sale is paid: transaction ")
	// On the files of an earlier run, the register is paired already.
	out.Reset()
	require.NoError(t, run(t.Context(), []string{"-once", "-db", db}, &out, &logs))
	assert.Contains(t, out.String(), "the sale is paid: transaction ")
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, file := range files {
		assert.True(t, strings.HasPrefix(file.Name(), "demo."), "%s is one of the files that -db names", file.Name())
	}
}

func TestBadUsage(t *testing.T) {
	for _, args := range [][]string{{"-nosuch"}, {"argument"}} {
		require.ErrorIs(t, run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}), errUsage)
	}
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, &bytes.Buffer{}, &bytes.Buffer{}), flag.ErrHelp)
	err := run(t.Context(), []string{"-addr", "nonsense"}, &bytes.Buffer{}, &bytes.Buffer{})
	require.ErrorContains(t, err, "-addr")
}

func TestPortsInUse(t *testing.T) {
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	err = run(t.Context(), []string{"-db", filepath.Join(t.TempDir(), "x.db"), "-addr", taken.Addr().String()}, &bytes.Buffer{}, &bytes.Buffer{})
	require.ErrorContains(t, err, "choose another address with -addr")
}

func TestStopsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "x.db")}, &out, &bytes.Buffer{})
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

func TestMetrics(t *testing.T) {
	p := newProcess(t)
	at := freePorts(t)
	p.args = append(p.args, "-metrics", at)
	p.start()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+"/metrics", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "tillroute_store_up 1\n")
	require.Contains(t, string(text), `tillroute_payments{provider="smartconnect",state="unknown"} 0`+"\n")
	err = run(t.Context(), []string{"-once", "-metrics", at}, &bytes.Buffer{}, &bytes.Buffer{})
	require.ErrorContains(t, err, "choose another address with -metrics")
}

// process is the program, as a person starts it.
type process struct {
	t    *testing.T
	path string
	args []string
	cmd  *exec.Cmd
	url  string
}

// newProcess builds the program. Both of its ports are free at this moment.
func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, path: build(t)}
	p.args = []string{"-addr", freePorts(t), "-db", filepath.Join(t.TempDir(), "tillroute.db")}
	t.Cleanup(p.kill)
	return p
}

func freePorts(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	for range 50 {
		first, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		address := first.Addr().String()
		_, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		n, err := strconv.Atoi(port)
		require.NoError(t, err)
		second, err := config.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n+1)))
		_ = first.Close()
		if err == nil {
			_ = second.Close()
			return address
		}
	}
	t.Fatal("there are no two free ports side by side")
	return ""
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.CommandContext(context.WithoutCancel(p.t.Context()), p.path, p.args...)
	out, err := p.cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(p.t, err, "it prints its address")
	p.url = strings.TrimSpace(line)
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

// TestBrowserFirstVisit does what a newcomer does, and kills the program in the middle.
func TestBrowserFirstVisit(t *testing.T) {
	const terminal = "7070714000"
	p := newProcess(t)
	p.start()
	b := browsertest.Start(t, "ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY", "Failed to fetch")
	page := b.Open(p.url, 1280)
	main := page.Main()
	main.Until("document.body.dataset.ready === 'till'")
	main.Click("#products button", "Coffee")
	main.Click("#pay", "Credit Card")
	pay := page.Frame("/xseries/pay?")
	pairing := page.OpenLink(1280, func() { pay.Click("a", "Connect this store") })
	pairing.Main().Click("button", "Connect")
	pairing.Main().Until("document.querySelector('[name=code]')")
	main.Do("document.querySelector('[data-terminal=\"" + terminal + "\"] [data-action=code]').click()")
	const code = `document.querySelector('[data-terminal="` + terminal + `"] [data-part=big]').textContent`
	main.Until("/^[0-9 ]{6,}$/.test(" + code + ")")
	pairing.Main().Do("document.querySelector('[name=code]').focus()")
	pairing.Press(strings.ReplaceAll(main.Text(code), " ", "") + "\r")
	pairing.Main().Shows("h1", "ready to take payments")
	pay.Shows("h1", terminal)
	page.Screenshot("demo-paying")

	p.kill()
	pay.Shows("#trouble", "The connection is lost")
	p.start()
	// The terminal stands beside the till, on the same page: its buttons work while the payment's window is open.
	main.Until(`document.elementFromPoint(...(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('[data-terminal="` + terminal + `"] [data-action=approve]').getBoundingClientRect()))?.dataset.action === 'approve'`)
	main.Until(`document.querySelector('[data-terminal="` + terminal + `"] [data-action=approve]').ariaDisabled !== 'true'`)
	main.Do(`document.querySelector('[data-terminal="` + terminal + `"] [data-action=approve]').click()`)
	main.Shows("#status", "The sale is closed")
	page.Screenshot("demo-paid")
}
