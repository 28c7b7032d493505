package main

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/examples/internal/programtest"
	"github.com/tillroute/tillroute/internal/browsertest"
)

func TestOnce(t *testing.T) {
	var out, logs bytes.Buffer
	folder := t.TempDir()
	db := filepath.Join(folder, "x.db")
	require.NoError(t, run(t.Context(), []string{"-once", "-db", db}, &out, &logs))
	assert.Contains(t, out.String(), "the sale is paid: transaction ")
	// On the files of an earlier run, the register is paired already.
	out.Reset()
	require.NoError(t, run(t.Context(), []string{"-once", "-db", db}, &out, &logs))
	assert.Contains(t, out.String(), "the sale is paid: transaction ")
	programtest.OwnFiles(t, folder)
}

func TestBadUsage(t *testing.T) { programtest.BadUsage(t, run) }

func TestStopsWhenAsked(t *testing.T) { programtest.Stops(t, run) }

func TestMetrics(t *testing.T) {
	p := programtest.NewProcess(t)
	at, _ := programtest.FreePorts(t)
	p.Args = append(p.Args, "-metrics", at)
	p.Start()
	p.Line()
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

// TestBrowserFirstVisit does what a newcomer does, and kills the program in the middle.
func TestBrowserFirstVisit(t *testing.T) {
	const terminal = "7070714000"
	p := programtest.NewProcess(t)
	p.Start()
	url := p.Line()
	b := browsertest.Start(t, "net::ERR_", "Failed to fetch", "network error")
	page := b.Open(url, 1280)
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

	p.Sent()
	p.Kill()
	pay.Shows("#trouble", "The connection is lost")
	p.Start()
	p.Line() // From then on buttons are heard.
	// The terminal stands beside the till, on the same page: its buttons work while the payment's window is open.
	main.Until(`document.elementFromPoint(...(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('[data-terminal="` + terminal + `"] [data-action=approve]').getBoundingClientRect()))?.dataset.action === 'approve'`)
	main.Until(`document.querySelector('[data-terminal="` + terminal + `"] [data-action=approve]').ariaDisabled !== 'true'`)
	main.Do(`document.querySelector('[data-terminal="` + terminal + `"] [data-action=approve]').click()`)
	main.Shows("#status", "The sale is closed")
	page.Screenshot("demo-paid")
}
