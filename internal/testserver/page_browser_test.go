package testserver

import (
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/browsertest"
)

// openTerminals opens the terminals' page on systems whose clock stands still.
func openTerminals(t *testing.T, path string) (*till, *rig) {
	t.Helper()
	browser := browsertest.Start(t, judged()...)
	r := newRig(t, Options{})
	w := &till{t: t, Systems: r.Systems, page: browser.Open(r.PublicURL()+path, 1280)}
	w.ready()
	return w, r
}

// shows waits until a terminal's screen is in a state and contains the texts.
func (w *till) shows(id, state string, parts ...string) {
	w.t.Helper()
	w.until("document.querySelector(`[data-terminal='" + id + "']`).dataset.state === `" + state + "`")
	for _, part := range parts {
		w.until("document.querySelector(`[data-terminal='" + id + "'] .screen`).innerText.includes(`" + part + "`)")
	}
}

// at presses buttons of a terminal.
func (w *till) at(id string, actions ...string) {
	w.t.Helper()
	for _, action := range actions {
		w.press("[data-terminal='" + id + "'] [data-action=" + action + "]")
	}
}

func TestTerminalsInABrowser(t *testing.T) {
	const one, two = "7070714000", "7070714001"
	w, r := openTerminals(t, "/terminals")
	w.shows(one, "idle", "Ready")
	w.at(one, "code")
	w.shows(one, "code")
	code := r.SmartConnect.Device(one).State().PairingCode
	w.shows(one, "code", code[:4]+" "+code[4:])
	w.at(one, "code")
	w.until("!document.querySelector('.screen').innerText.includes('" + code[:4] + " " + code[4:] + "')")
	r.clock.move(time.Hour)
	w.shows(one, "expired", "Pairing code expired")
	r.pair("r1", one)
	w.until("document.querySelector('[data-part=paired]').innerText.includes('Main Register')")

	r.post("r1", "Card.Purchase", "AmountTotal", "1250")
	w.shows(one, "busy", "Purchase", "NZD 12.50", "Present card")
	w.shows(two, "idle")
	w.at(one, "approve")
	w.shows(one, "idle", "Approved: Purchase 12.50")
	w.until("document.querySelector('#charges').innerText.includes('12.50')")

	for action, verdict := range map[string]string{"decline": "Declined", "cancel": "Cancelled"} {
		r.post("r1", "Card.Refund", "AmountTotal", "300")
		w.shows(one, "busy", "Refund", "NZD 3.00")
		w.at(one, action)
		w.shows(one, "idle", verdict+": Refund 3.00")
	}
	require.Len(t, r.SmartConnect.Charges(), 1)

	r.post("r1", "Card.Purchase", "AmountTotal", "1000")
	w.shows(one, "busy")
	w.press("[data-terminal='" + one + "'] summary")
	w.typeInto("[data-terminal='"+one+"'] [data-part=surcharge]", "0.15")
	w.typeInto("[data-terminal='"+one+"'] [data-part=tip]", "2")
	w.at(one, "extras")
	w.shows(one, "idle", "Approved: Purchase 12.15")
	w.until("document.querySelector('#charges').innerText.includes('asked 10.00')")
	require.Eventually(t, func() bool { return r.SmartConnect.Device(one).State().Settings.TipCents == 0 }, testPatience, time.Millisecond, "for one approval")

	r.post("r1", "Card.Purchase", "AmountTotal", "700")
	w.shows(one, "busy")
	w.at(one, "plug")
	w.shows(one, "busy", "No connection")
	require.False(t, r.SmartConnect.Device(one).State().Plugged)
	w.at(one, "approve")
	w.shows(one, "offline", "No connection", "Approved: Purchase 7.00")
	w.at(one, "plug")
	w.shows(one, "idle")
	require.True(t, r.SmartConnect.Device(one).State().Plugged)

	w.at(one, "decline")
	w.until("document.querySelector('[data-part=note]').innerText.includes('nothing on the screen')")
	w.choose("[data-terminal='"+one+"'] [data-setting=slow]", "15000")
	require.Eventually(t, func() bool { return r.SmartConnect.Device(one).State().Settings.SlowMS == 15000 }, testPatience, time.Millisecond)
	w.press("[data-terminal='" + one + "'] [data-part=registers] button")
	w.until("document.querySelector('[data-part=paired]').innerText.includes('No register is paired')")
}

// A page that is painted again while nothing happens would lose a selection, and be read out again and again.
func TestTerminalsAreNotRedrawnForNothing(t *testing.T) {
	w, _ := openTerminals(t, "/terminals/7070714001")
	w.shows("7070714001", "idle")
	w.do(`const seen = document.documentElement.dataset;
		seen.changes = seen.calls = 0;
		new MutationObserver((list) => { seen.changes = Number(seen.changes) + list.length; })
			.observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
		new PerformanceObserver((list) => { seen.calls = Number(seen.calls) + list.getEntries().length; }).observe({type: "resource"})`)
	w.until("Number(document.documentElement.dataset.calls) >= 6")
	require.Equal(t, "0", w.page.Main().Text("document.documentElement.dataset.changes"))
}

func TestPagesFitTheScreen(t *testing.T) {
	browser := browsertest.Start(t)
	for _, width := range []int64{320, 768, 1280} {
		t.Run(strconv.FormatInt(width, 10), func(t *testing.T) {
			w := openTill(t, browser, "/")
			w.page.Resize(width)
			fits := func(page string) {
				require.True(t, script[bool](w, "document.documentElement.scrollWidth <= window.innerWidth"), page)
				w.page.Screenshot(page + "-" + strconv.FormatInt(width, 10))
			}
			w.sell("10002", "10003", "10003")
			w.at("7070714001", "code")
			w.shows("7070714001", "code")
			fits("start")
			w.pay()
			w.inGateway("print")
			w.until("!document.querySelector('#slip').hidden")
			w.inGateway("show")
			w.until("!document.querySelector('#close').hidden")
			require.True(t, script[bool](w, "document.querySelector('#modal').scrollWidth <= document.querySelector('#modal').clientWidth"))
			fits("modal")
			w.inGateway("accept")
			w.says("The sale is closed.")
			w.press("#messages summary", "#settings summary")
			fits("till-log")
			w.page = w.browser.Open(w.PublicURL()+"/terminals", width)
			w.ready()
			w.press("[data-terminal='7070714000'] summary")
			fits("terminals")
		})
	}
}

// On the start page one person is the cashier and the card holder: the modal must not keep them from the terminals.
func TestTerminalsAreInReachBesideTheModal(t *testing.T) {
	w := openTill(t, browsertest.Start(t), "/")
	w.sell("10003")
	w.pay()
	require.True(t, script[bool](w, "document.querySelector('.till').inert"))
	w.at("7070714000", "plug")
	w.shows("7070714000", "offline")
	w.at("7070714000", "plug")
	w.shows("7070714000", "idle")
	w.inGateway("show")
	w.until("!document.querySelector('#close').hidden")
	w.do("document.querySelector('[data-terminal] button').focus()")
	w.page.Press(kb.Escape)
	w.at("7070714000", "code")
	w.shows("7070714000", "code")
	require.True(t, w.open(), "Escape at a terminal is not meant for the modal")
	w.do("document.querySelector('#close').focus()")
	w.page.Press(kb.Escape)
	w.says("The payment was closed")
	require.False(t, script[bool](w, "document.querySelector('.till').inert"))
}
