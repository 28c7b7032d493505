package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/examples/internal/programtest"
	"github.com/tillroute/tillroute/internal/browsertest"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
)

func TestOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	folder := t.TempDir()
	args := []string{"-once", "-db", filepath.Join(folder, "x.db")}
	for range 2 { // The second time on the files of the first.
		out.Reset()
		require.NoError(t, run(t.Context(), args, &out, io.Discard), "%s", &out)
		require.Contains(t, out.String(), "each once")
	}
	programtest.OwnFiles(t, folder)
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	programtest.BadUsage(t, run)
}

func TestStopsWhenAsked(t *testing.T) {
	t.Parallel()
	programtest.Stops(t, run)
}

// process is the program, as a person starts it.
type process struct {
	*programtest.Process

	t   *testing.T
	url string
}

func (p *process) start() {
	p.t.Helper()
	p.Start()
	p.url = p.Line()
}

// sim calls the simulated world, and returns how many things it answered with if it answered a list.
func (p *process) sim(verb, path, body string) int {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), verb, "http://"+p.Next+"/_sim"+path, strings.NewReader(body))
	require.NoError(p.t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(p.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	require.Less(p.t, response.StatusCode, 300, "%s %s: %s", verb, path, text)
	var list []json.RawMessage
	_ = json.Unmarshal(text, &list)
	return len(list)
}

// approve approves the payment that a terminal asks for, as soon as it does.
func (p *process) approve(terminal string) {
	p.t.Helper()
	p.sim(http.MethodGet, "/smartconnect/terminals/"+terminal+"/transaction?wait_ms=60000", "")
	p.sim(http.MethodPost, "/smartconnect/terminals/"+terminal+"/approve", "")
}

// TestBrowserGuestsPay has guests pay at table 2, and kills the program twice: while the card is presented, and while the payment is on
// its way to the check.
func TestBrowserGuestsPay(t *testing.T) {
	p := &process{Process: programtest.NewProcess(t), t: t}
	p.start()
	b := browsertest.Start(t, "net::ERR_", "Failed to fetch", "network error", "status of 422")
	for _, width := range []int64{1280, 320} {
		floor := b.Open(p.url, width)
		floor.Main().Shows("a[href='/table/2']", "37.10 EUR")
		floor.Main().Shows("a[href='/table/1']", "free")
		floor.Main().Until("document.documentElement.scrollWidth <= innerWidth")
		floor.Screenshot("floor-" + strconv.FormatInt(width, 10))
		floor.Close()
	}
	tab := b.Open(p.url+"table/2", 320)
	page := tab.Main()
	page.Until("document.body.dataset.ready && document.documentElement.scrollWidth <= innerWidth")
	page.Shows("#due", "37.10 EUR")
	terminal := page.Text("document.querySelector('#pay p').textContent.match(/[0-9]+/)[0]")

	// What is typed is what is chosen, and what is not chosen is not kept.
	page.Do("document.querySelector('[name=payers]').focus()")
	tab.Press("3")
	page.Until("document.querySelector('[name=pay]:checked').value === 'share'")
	page.Do("document.querySelector('[value=all]').click()")
	page.Until("document.querySelector('[name=payers]').value === ''")

	// By keyboard alone: a part of 10.00.
	page.Do("document.querySelector('[name=amount]').focus()")
	tab.Press("100000\r")
	page.Shows("[role=alert]:not([hidden])", "only 37.10 EUR are left")
	page.Until("document.body.dataset.ready")
	page.Do("document.querySelector('[name=amount]').focus()")
	tab.Press("10\r")
	page.Shows("ol li", "at the terminal")
	page.Shows("#check + table", "of which being paid")
	p.Sent()
	p.Kill()
	page.Shows("#trouble", "The connection is lost")
	p.start()
	page.Until("document.querySelector('#trouble').hidden")
	p.approve(terminal)
	page.Shows("ol li[data-stage=paid]", "10.00 EUR")
	page.Shows("#due", "27.10 EUR")
	tab.Screenshot("table-part")

	// The rest, while the point of sale is away.
	p.sim(http.MethodPost, "/kseries/pos", `{"state":"offline"}`)
	page.Click("#pay button", "Pay by card")
	page.Shows("ol li", "at the terminal")
	p.approve(terminal)
	page.Shows("ol li", "being applied")
	p.Kill()
	p.start()
	page.Until("document.querySelector('#trouble').hidden")
	page.Shows("ol li", "being applied")
	p.sim(http.MethodPost, "/kseries/pos", `{"state":"online"}`)
	page.Shows("ol li:first-child[data-stage=paid]", "27.10 EUR")
	page.Until("document.querySelector('#pay').hidden")
	require.Equal(t, 2, p.sim(http.MethodGet, "/smartconnect/charges", ""))
	require.Equal(t, 2, p.sim(http.MethodGet, "/kseries/applied", ""))

	// What the check can't take waits for a waiter.
	p.sim(http.MethodPost, "/kseries/tasks/fail", `{"count":1,"error_type":"PAYMENT_METHOD_NOT_FOUND","reason":"no such method"}`)
	tab = b.Open(p.url+"table/3", 320)
	page = tab.Main()
	page.Until("document.body.dataset.ready")
	terminal = page.Text("document.querySelector('#pay p').textContent.match(/[0-9]+/)[0]")
	page.Click("#pay button", "Pay by card")
	page.Shows("ol li", "at the terminal")
	p.approve(terminal)
	page.Shows("ol li", "doesn't know the payment method")
	page.Until("document.documentElement.scrollWidth <= innerWidth")
	tab.Screenshot("table-refused")
	page.Click("ol button", "Try again")
	page.Shows("ol li[data-stage=paid]", "12.50 EUR")
	require.Equal(t, 3, p.sim(http.MethodGet, "/smartconnect/charges", ""))
	require.Equal(t, 3, p.sim(http.MethodGet, "/kseries/applied", ""))
	tab.Screenshot("table-paid")
}

// TestTwoGuestsAtOnce has several guests pay all that is left at the same moment, from pages that they loaded before.
func TestTwoGuestsAtOnce(t *testing.T) {
	t.Parallel()
	r, err := start(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "x.db"), io.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.stop(t.Context())) }()
	s := story{r, func(string, ...any) {}}
	var refused atomic.Int32
	var guests sync.WaitGroup
	for i := range 8 {
		guests.Go(func() {
			form := url.Values{"id": {fmt.Sprint("table-2/guest-", i)}, "pay": {"all"}}
			if err := s.post(t.Context(), "/table/2/pay", form); err != nil && strings.Contains(err.Error(), "nothing is left to be paid") {
				refused.Add(1)
			}
		})
	}
	guests.Wait()
	require.EqualValues(t, 7, refused.Load())
	asked, err := r.lines(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, asked, 1)
}

// TestAWaiterSettlesADoubt has a terminal end a payment in a way that nobody can read.
func TestAWaiterSettlesADoubt(t *testing.T) {
	t.Parallel()
	r, err := start(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "x.db"), io.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.stop(t.Context())) }()
	s := story{r, func(string, ...any) {}}
	for do, stage := range map[string]kseries.Stage{"approved": kseries.StagePaid, "not": kseries.StageNotPaid} {
		_, err = s.seat("20001")
		require.NoError(t, err)
		id, err := s.begin(t.Context(), url.Values{"pay": {"all"}}, func(d *testserver.Device) error { return d.Finish("OK-ODD", "OK", true) })
		require.NoError(t, err)
		require.NoError(t, s.ends(t.Context(), id, kseries.StageInDoubt))
		shown, err := s.load(t.Context(), http.MethodGet, page, nil)
		require.NoError(t, err)
		require.Contains(t, shown, `value="`+do+`"`)
		require.NoError(t, s.post(t.Context(), page+"/settle", url.Values{"id": {id}, "do": {do}}))
		require.NoError(t, s.ends(t.Context(), id, stage))
	}
}

// TestAWaiterSeesWhatIsHeldUp has the merchant take the consent back while a card is presented, and give it again.
func TestAWaiterSeesWhatIsHeldUp(t *testing.T) {
	t.Parallel()
	r, err := start(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "x.db"), io.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.stop(t.Context())) }()
	s := story{r, func(string, ...any) {}}
	check, err := s.seat("20001")
	require.NoError(t, err)
	id, err := s.begin(t.Context(), url.Values{"pay": {"all"}}, func(d *testserver.Device) error {
		r.world.KSeries.RevokeTokens()
		return d.Approve()
	})
	require.NoError(t, err)
	require.NoError(t, s.ends(t.Context(), id, kseries.StageHeldUp))
	shown, err := s.load(t.Context(), http.MethodGet, page, nil)
	require.NoError(t, err)
	for _, part := range []string{"The check can&#39;t be read", "connect it again", `value="retry"`, `value="back"`} {
		require.Contains(t, html.UnescapeString(shown), html.UnescapeString(part))
	}
	require.NotContains(t, shown, "The table is free")
	require.ErrorContains(t, s.post(t.Context(), page+"/pay", url.Values{"id": {"table-6/another"}, "pay": {"all"}}), "422")

	require.NoError(t, r.store.DeleteGrant(t.Context(), kseries.System, account))
	require.NoError(t, r.connect(t.Context()))
	require.NoError(t, s.post(t.Context(), page+"/settle", url.Values{"id": {id}, "do": {"retry"}}))
	require.NoError(t, s.ends(t.Context(), id, kseries.StagePaid))
	require.NoError(t, s.closed(check.Account))
}
