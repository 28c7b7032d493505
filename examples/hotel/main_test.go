package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/examples/internal/programtest"
	"github.com/tillroute/tillroute/internal/browsertest"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

func TestOnce(t *testing.T) {
	t.Parallel()
	var out, logs bytes.Buffer
	folder := t.TempDir()
	args := []string{"-once", "-db", filepath.Join(folder, "x.db")}
	require.NoError(t, run(t.Context(), args, &out, &logs))
	require.Contains(t, out.String(), "each bill once")
	require.NoError(t, run(t.Context(), args, &out, &logs), "on the files of an earlier run")
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

func newBooks(t *testing.T) *books {
	t.Helper()
	b, err := openBooks(t.Context(), filepath.Join(t.TempDir(), "x.folios.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.close()) })
	return b
}

// folio returns what is on the folio of R-101, in lines of bill, amount and tip.
func folio(t *testing.T, b *books) (lines []string, balance string) {
	t.Helper()
	rooms, err := b.rooms(t.Context())
	require.NoError(t, err)
	for _, r := range rooms {
		if r.Reservation == "R-101" {
			for _, p := range r.Postings {
				lines = append(lines, p.Bill+" "+p.Amount.String()+" "+p.Gratuity.String())
			}
			return lines, r.Balance.String()
		}
	}
	t.Fatal("no such reservation")
	return nil, ""
}

func parsed(t *testing.T, c *pmstest.Charge) pms.Charge {
	t.Helper()
	charge, err := pms.ParseCharge(c.Body())
	require.NoError(t, err)
	charge.Key = c.Key
	return charge
}

func TestTheBooksPostOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	bill := pmstest.NewCharge("key").Set("payments.0.reservationId", "R-101")
	other := bill.Clone().Set("fiscId", "A1.1").Set("uuid", nil)
	for _, c := range []*pmstest.Charge{bill, bill, bill.Again(), other} {
		require.NoError(t, b.post(t.Context(), parsed(t, c)))
	}
	lines, balance := folio(t, b)
	require.Len(t, lines, 1)
	require.Equal(t, "12", balance)

	// Neither name is needed, but the key.
	nameless := func() *pmstest.Charge { return bill.Again().Set("fiscId", nil).Set("uuid", nil) }
	for range 2 {
		c := nameless()
		require.NoError(t, b.post(t.Context(), parsed(t, c)))
		require.NoError(t, b.post(t.Context(), parsed(t, c)))
	}
	_, balance = folio(t, b)
	require.Equal(t, "36", balance)
}

func TestAReversalStandsBesideItsOrigin(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	first := pmstest.NewCharge("key").Set("payments.0.reservationId", "R-101")
	second := pmstest.NewCharge("key").Set("payments.0.reservationId", "R-101")
	void := first.Void().Set("payments.0.reservationId", nil) // it may be missing
	for _, c := range []*pmstest.Charge{first, second, void} {
		require.NoError(t, b.post(t.Context(), parsed(t, c)))
	}
	lines, balance := folio(t, b)
	require.Equal(t, []string{parsed(t, first).FiscID + " 11 1", parsed(t, void).FiscID + " -11 -1", parsed(t, second).FiscID + " 11 1"}, lines)
	require.Equal(t, "12", balance)

	refusal, ok := errors.AsType[*pms.Refusal](b.post(t.Context(), parsed(t, first.Void())))
	require.True(t, ok, "it was taken back already")
	require.Contains(t, refusal.Message, "wasn't posted")
	reversal, corrected := second.TipCorrection("3.00")
	require.NoError(t, b.post(t.Context(), parsed(t, reversal)))
	require.NoError(t, b.post(t.Context(), parsed(t, corrected)))
	require.NoError(t, b.post(t.Context(), parsed(t, corrected.Void().Set("initialAccountId", parsed(t, second).FiscID))))
	_, balance = folio(t, b)
	require.Equal(t, "0", balance)
}

func TestAReversalOfANegativeTip(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	bill := pmstest.NewCharge("key").Set("payments.0.reservationId", "R-101")
	less := bill.Clone().Set("payments.0.gratuity", json.Number("-1.00"))
	for _, c := range []*pmstest.Charge{less, less.Void()} {
		require.NoError(t, b.post(t.Context(), parsed(t, c)))
	}
	lines, balance := folio(t, b)
	require.Len(t, lines, 2)
	require.Equal(t, "0", balance)
}

func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	bill := pmstest.NewCharge("key").Set("payments.0.reservationId", "R-101")
	list, ok := bill.Payload["payments"].([]any)
	require.True(t, ok)
	stranger := bill.Clone().Set("payments.0.reservationId", "R-999").Payload["payments"]
	more, ok := stranger.([]any)
	require.True(t, ok)
	bill.Payload["payments"] = append(list, more...)
	require.ErrorContains(t, b.post(t.Context(), parsed(t, bill)), "Nobody has checked in as R-999")
	lines, _ := folio(t, b)
	require.Empty(t, lines)
	bill.Payload["payments"] = list
	require.NoError(t, b.post(t.Context(), parsed(t, bill)), "what was refused may be tried again")
	bill = bill.Again().Set("fiscId", "A2").Set("payments.0.methodCode", "CASH")
	require.NoError(t, b.post(t.Context(), parsed(t, bill)))
	lines, _ = folio(t, b)
	require.Len(t, lines, 1, "cash is no posting")
}

func TestSearch(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	find := func(term string) (names []string) {
		t.Helper()
		found, err := b.search(t.Context(), term)
		require.NoError(t, err)
		for _, r := range found {
			limit := ""
			if r.CreditLimit.Valid {
				limit = " " + r.CreditLimit.Decimal.String()
			}
			names = append(names, r.ClientName+limit)
		}
		return names
	}
	require.Equal(t, []string{"Anna Müller"}, find("MÜL"))
	require.Equal(t, []string{"Zoë O’Neill 40", "Sam O’Neill 40"}, find("103"))
	require.Empty(t, find(" "))
	require.NoError(t, b.change(t.Context(), "R-104", "check-out"))
	require.NoError(t, b.post(t.Context(), parsed(t, pmstest.NewCharge("key").Set("payments.0.reservationId", "R-103"))))
	require.Equal(t, []string{"Zoë O’Neill 28"}, find("neill"), "what is left of the limit")
	require.Error(t, b.change(t.Context(), "R-104", "burn"))
	require.Error(t, b.change(t.Context(), "R-999", "block"))
}

// process is the program, as a person starts it.
type process struct {
	*programtest.Process

	t *testing.T
	// timeout is what -timeout says: longer than a slow machine needs, usually.
	timeout string
	// url is the hotel's, and restaurant that of the waiter's page.
	url, restaurant string
}

func (p *process) start() {
	p.t.Helper()
	p.Args = append(p.Args[:4:4], "-timeout", p.timeout)
	p.Start()
	for _, address := range []*string{&p.url, &p.restaurant} {
		*address = regexp.MustCompile(`http://\S+`).FindString(p.Line())
	}
}

// call calls a page, or the control API of the simulated restaurant.
func (p *process) call(method, target, body string) string {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, target, strings.NewReader(body))
	require.NoError(p.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(p.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	require.Less(p.t, response.StatusCode, 300, "%s", text)
	return string(text)
}

// sim calls the control API.
func (p *process) sim(method, path, body string) string {
	p.t.Helper()
	return p.call(method, strings.TrimSuffix(p.restaurant, "/restaurant")+"/_sim/pms"+path, body)
}

// posted waits until everything is posted or not, and returns the first posting.
func (p *process) posted() (state, message string) {
	p.t.Helper()
	var list []struct {
		State   string `json:"state"`
		Message string `json:"message"`
	}
	require.NoError(p.t, json.Unmarshal([]byte(p.sim("GET", "/postings?settled=1&wait_ms=60000", "")), &list))
	require.Len(p.t, list, 1)
	return list[0].State, list[0].Message
}

// TestKilledBetweenPostingAndRecord kills the program when the hotel has posted and not answered.
func TestKilledBetweenPostingAndRecord(t *testing.T) {
	t.Parallel()
	p := &process{Process: programtest.NewProcess(t), t: t, timeout: "10m"}
	p.start()
	p.call("POST", p.url+"pace/late", "")
	p.sim("POST", "/bills", `{"items":[{"sku":"B01","quantity":1}],"payments":[{"method":"IKPMS","reservation_id":"R-102"}]}`)
	count := func() int { return strings.Count(p.call("GET", p.url, ""), `data-bill="A12345.1"`) }
	require.Eventually(t, func() bool { return count() == 1 }, 2*time.Minute, 10*time.Millisecond)
	p.Kill()
	p.timeout = "5s"
	p.start()
	// The restaurant has had no answer, and sends it once more. The record says that somebody is posting it.
	state, message := p.posted()
	require.Equal(t, "failed", state)
	require.Contains(t, message, "Still being posted")
	require.Equal(t, 1, count())
	// Somebody is given a minute. It is over.
	p.Kill()
	db, err := sql.Open("sqlite", p.Args[3])
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `UPDATE deliveries SET lease_until = 1 WHERE finished_at IS NULL`)
	require.NoError(t, errors.Join(err, db.Close()))
	p.timeout = "10m"
	p.start()
	p.sim("POST", "/bills/A12345.1/post-again", "")
	state, message = p.posted()
	require.Equal(t, "success", state, message)
	require.Equal(t, 1, count())
}

// TestBrowserFirstVisit does what a newcomer does at the reception and in the restaurant.
func TestBrowserFirstVisit(t *testing.T) {
	p := &process{Process: programtest.NewProcess(t), t: t, timeout: "10m"}
	p.start()
	b := browsertest.Start(t, "net::ERR_", "Failed to fetch", "network error")
	reception := b.Open(p.url, 1280)
	hotel := reception.Main()
	hotel.Until("document.body.dataset.ready === 'hotel'")
	restaurant := b.Open(p.restaurant, 1280)
	waiter := restaurant.Main()
	waiter.Until("document.body.dataset.ready === 'restaurant'")
	waiter.Click("#dishes button", "Risotto")
	waiter.Click("#dishes button", "Beer")
	waiter.Do("document.querySelector('#term').focus()")
	restaurant.Press("test")
	waiter.Until("document.querySelector('#guests button')?.textContent.includes('Mike Test, up to 100')")
	restaurant.Press(kb.ArrowDown)
	waiter.Until("document.activeElement.parentElement.parentElement.id === 'guests'")
	restaurant.Press("\r")
	waiter.Until("document.activeElement.id === 'room'")
	waiter.Do("document.querySelector('#tip').value = '2'")
	restaurant.Press("\r")
	waiter.Until("document.querySelector('[data-bill=\"A12345.1\"]').dataset.state === 'success'")
	const balance = "document.querySelector('#room-R-101 [data-part=balance]').textContent"
	hotel.Until(balance + " === '25.90'")

	waiter.Do("document.querySelector('#bills .tip').value = '3'")
	waiter.Click("#bills button", "Correct tip")
	hotel.Until(balance + " === '26.90'")
	hotel.Until("[...document.querySelectorAll('#room-R-101 tbody tr')].map((row) => row.className).join() === 'taken,back,'")
	waiter.Until("document.querySelectorAll('#bills li').length === 3")
	reception.Screenshot("hotel-reception")
	restaurant.Screenshot("hotel-restaurant")

	// With the keyboard, and what has the focus keeps it.
	hotel.Do("document.querySelector('#block-R-101').focus()")
	reception.Press("\r")
	hotel.Until("document.querySelector('#room-R-101 .mark')?.textContent === 'Blocked.' && document.activeElement.id === 'block-R-101' && document.activeElement.textContent === 'Unblock'")
	waiter.Click("#dishes button", "Beer")
	waiter.Do("document.querySelector('#term').focus()")
	restaurant.Press("mike")
	waiter.Until("document.querySelector('#guests button')?.textContent.includes('blocked')")

	p.Kill()
	hotel.Shows("#link", "does not answer")
	p.start()
	hotel.Until("document.querySelector('#link').textContent === ''")
	hotel.Until(balance + " === '26.90'")
	for _, page := range []*browsertest.Page{reception, restaurant} {
		page.Resize(320)
		page.Main().Until("document.documentElement.scrollWidth <= 320")
	}
	reception.Screenshot("hotel-reception-320")
	restaurant.Screenshot("hotel-restaurant-320")
}
