package testserver

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/browsertest"
)

// foreignGateway is a gateway's page that is not ours, in the style of the vendor's example: it speaks to "*", keeps the
// answer to DATA on the page, and has a button for each step.
const foreignGateway = `<!doctype html><html lang="en"><title>Foreign gateway</title>
<style>body{font:16px sans-serif;margin:1rem}button{margin:.2rem;padding:.6rem}pre{white-space:pre-wrap;word-break:break-all;font-size:11px}</style>
<h1>Foreign Pay</h1><p>amount <b id="amount">{{.Get "amount"}}</b></p>
<div id="buttons"></div><pre id="data"></pre>
<script>
const parentWindow = window.opener !== null ? window.opener : window.parent;
const send = (message) => parentWindow.postMessage(typeof message === 'string' ? message : JSON.stringify(message), '*');
window.addEventListener('message', (event) => {
  document.querySelector('#data').textContent = event.origin + ' ' + event.data;
}, false);
const steps = {
  accept: () => send({step: 'ACCEPT', transaction_id: 582170934, receipt_html_extra: '<div style="color:green">ACCEPTED <script>parent.document.title="owned"<\/script></div>'}),
  decline: () => send({step: 'DECLINE', print: true, receipt_html_extra: '<div>DECLINED</div>'}),
  print: () => send({step: 'PRINT', receipt_html_extra: '<div>SIGN HERE ________</div>'}),
  exit: () => send({step: 'EXIT'}),
  show: () => send({step: 'SETUP', setup: {enable_close: true}}),
  hide: () => send({step: 'SETUP', setup: {enable_close: false}}),
  unknown: () => send({step: 'VOID'}),
  nonsense: () => send('hello'),
  object: () => parentWindow.postMessage({step: 'DATA'}, '*'),
  twice: () => { steps.accept(); steps.accept(); },
};
for (const name in steps) {
  const button = document.createElement('button');
  button.id = name; button.textContent = name; button.onclick = steps[name];
  document.querySelector('#buttons').append(button);
}
const inner = document.createElement('iframe');
inner.id = 'inner'; inner.srcdoc = '<button id="wrong" onclick="top.postMessage(JSON.stringify({step:&quot;ACCEPT&quot;}), &quot;*&quot;)">wrong window</button>';
document.body.append(inner);
send({step: 'SETUP', setup: {enable_close: false}});
send({step: 'DATA'});
</script>`

// till is a browser with the till in it, and a foreign gateway entered at the payment type.
type till struct {
	*Systems

	t       *testing.T
	browser *browsertest.Browser
	page    *browsertest.Page
	gateway *httptest.Server

	mu    sync.Mutex
	loads []url.Values // the queries with which the gateway's page was loaded
}

// openTill opens a page of simulated systems of its own in a new tab of the browser.
func openTill(t *testing.T, browser *browsertest.Browser, path string) *till {
	t.Helper()
	w := &till{t: t, Systems: Start(t, Options{Title: "Demo", Links: []Link{{Text: "Pair terminals", URL: "https://gateway.test/pair"}}})}
	screen := template.Must(template.New("gateway").Parse(foreignGateway))
	w.gateway = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/pay" {
			rw.WriteHeader(http.StatusNoContent)
			return
		}
		w.mu.Lock()
		w.loads = append(w.loads, r.URL.Query())
		w.mu.Unlock()
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		assert.NoError(t, screen.Execute(rw, r.URL.Query()))
	}))
	t.Cleanup(w.gateway.Close)
	w.XSeries.SetGatewayURL(w.gateway.URL + "/pay")
	w.browser = browser.For(t)
	w.page = w.browser.Open(w.PublicURL()+path, 1280)
	w.ready()
	return w
}

// judged is what a browser logs when the judge refuses something: a 4xx of the control API.
func judged() []string { return []string{"status of 400", "status of 409"} }

// ready waits until the page can be used.
func (w *till) ready() {
	w.t.Helper()
	w.until("document.body.dataset.ready || !document.querySelector('.till, [data-table]')")
	w.until("document.body.dataset.terminals || !document.querySelector('[data-terminal]')")
}

// press presses buttons of the page, one after the other.
func (w *till) press(selectors ...string) {
	w.t.Helper()
	for _, selector := range selectors {
		w.page.Tap(selector)
	}
}

// doubleClick clicks twice, faster than anything can happen in between.
func (w *till) doubleClick(selector string) {
	w.t.Helper()
	w.do("const it = document.querySelector(`" + selector + "`); it.click(); it.click()")
}

// typeInto replaces what is in a field.
func (w *till) typeInto(selector, text string) {
	w.t.Helper()
	w.do("document.querySelector(`" + selector + "`).select()")
	w.page.Press(kb.Delete + text)
}

// choose picks an option of a list.
func (w *till) choose(selector, value string) {
	w.t.Helper()
	w.do("const it = document.querySelector(`" + selector + "`); it.value = `" + value + "`; it.dispatchEvent(new Event('change', {bubbles: true}))")
}

// do carries out statements in the page.
func (w *till) do(statements string) {
	w.t.Helper()
	w.page.Main().Do(statements)
}

// script is what an expression in the page evaluates to.
func script[T any](w *till, expression string) T {
	w.t.Helper()
	return parse[T](w.t, w.page.Main().Text("JSON.stringify("+expression+")"))
}

// text is what an element of the page says.
func (w *till) text(selector string) string {
	w.t.Helper()
	return w.page.Main().Text("document.querySelector(`" + selector + "`).innerText")
}

// until waits until an expression in the page is true.
func (w *till) until(expression string) {
	w.t.Helper()
	w.page.Main().Until(expression)
}

// says waits until the till's line for the cashier contains a text.
func (w *till) says(part string) {
	w.t.Helper()
	w.page.Main().Shows("#status", part)
}

// logged waits until the log of messages contains a text.
func (w *till) logged(part string) {
	w.t.Helper()
	w.until("document.querySelector('#message-list').textContent.includes(`" + part + "`)")
}

// queries are the queries of the gateway's page loads so far.
func (w *till) queries() []url.Values {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]url.Values{}, w.loads...)
}

// inGateway presses a button of the gateway's page in the modal.
func (w *till) inGateway(button string) {
	w.t.Helper()
	w.frame().Click("#"+button, "")
}

// frame is the gateway's page in the modal.
func (w *till) frame() browsertest.Frame { return w.page.Frame(w.gateway.URL) }

// gatewayGot waits until the gateway's page got an answer from the till, and returns it with the origin before it.
func (w *till) gatewayGot() string {
	w.t.Helper()
	const answer = "document.querySelector('#data').textContent"
	w.frame().Until(answer)
	return w.frame().Text(answer)
}

// sell puts products into the cart.
func (w *till) sell(skus ...string) {
	w.t.Helper()
	for _, sku := range skus {
		w.press("[data-product='" + sku + "']")
	}
}

// pay opens the modal and waits until the gateway's page in it has the sale.
func (w *till) pay() {
	w.t.Helper()
	w.press("#pay")
	w.gatewayGot()
}

// focused is the id of what has the focus.
func (w *till) focused() string {
	w.t.Helper()
	return script[string](w, "document.activeElement.id || document.activeElement.tagName")
}

// modals are the states of all modals that were opened.
func (w *till) modals() []ModalState {
	w.XSeries.mu.Lock()
	list := slices.Clone(w.XSeries.modals)
	w.XSeries.mu.Unlock()
	var states []ModalState
	for _, m := range list {
		states = append(states, m.State())
	}
	return states
}

// open reports whether the modal is on the screen.
func (w *till) open() bool {
	w.t.Helper()
	return script[bool](w, "document.querySelector('#modal').open")
}

// openFunc opens a page of simulated systems of its own.
type openFunc func(path string) *till

func TestTillInABrowser(t *testing.T) {
	browser := browsertest.Start(t, judged()...)
	for name, test := range map[string]func(t *testing.T, open openFunc){
		"accept": testAccept, "decline": testDecline, "print": testPrint, "exit": testExit, "what is ignored": testIgnored,
		"close button": testCloseButton, "split": testSplit, "refund": testRefund, "reload": testReload,
		"double click": testDoubleClick, "sloppy double click": testSloppyDoubleClick, "two tills": testTwoTills,
		"accept twice": testAcceptTwice, "settings": testSettings, "park": testPark,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func(path string) *till { return openTill(t, browser, path) })
		})
	}
}

func testAccept(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till?register=" + RegisterThird)
	w.sell("10002", "10002", "10003")
	require.Equal(t, "29.00", w.text("#total"))
	w.pay()
	query := url.Values{"amount": {"29.00"}, "origin": {w.PublicURL()}, "register_id": {RegisterThird}}
	require.Equal(t, w.gateway.URL+"/pay?"+query.Encode(), script[string](w, "document.querySelector('#frames iframe').src"))
	require.Equal(t, []url.Values{query}, w.queries())
	origin, data, _ := strings.Cut(w.gatewayGot(), " ")
	require.Equal(t, w.PublicURL(), origin)
	reply := parse[dataReply](t, data)
	require.Equal(t, "29.00", reply.Payment.Amount)
	require.Len(t, reply.RegisterSale.LineItems, 2)
	require.Equal(t, "IFRAME", w.focused())

	w.inGateway("accept")
	w.says("The sale is closed.")
	require.Equal(t, "new-sale", w.focused())
	sales := w.XSeries.Sales()
	require.Len(t, sales, 1)
	require.True(t, sales[0].Closed)
	require.Equal(t, "582170934", sales[0].Payments[0].TransactionID)
	require.False(t, w.open())
	require.Zero(t, script[int](w, "document.querySelectorAll('#frames iframe').length"))

	w.press("#receipts summary")
	w.until("document.querySelector('#receipts iframe') !== null")
	require.Equal(t, w.PublicURL()+"/till/receipts/"+sales[0].Payments[0].ID, script[string](w, "document.querySelector('#receipts iframe').src"))
	require.True(t, script[bool](w, "document.querySelector('#receipts iframe').getAttribute('sandbox') === ''"))
	require.Equal(t, "Till", script[string](w, "document.title"))
}

func testDecline(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.sell("10003")
	w.typeInto("#amount", "10.00")
	w.pay()
	w.inGateway("decline")
	w.says("Declined: NZD 10.00 was not taken.")
	require.Equal(t, "pay", w.focused())
	require.Equal(t, "10.00", script[string](w, "document.querySelector('#amount').value"), "what the cashier typed")
	require.Contains(t, w.text("#receipts"), "Declined 10.00")
	require.Equal(t, "declined", w.modals()[0].Ended)

	w.pay()
	w.inGateway("accept")
	w.says("NZD 8.00 to go.")
	require.Len(t, w.XSeries.Sales(), 1, "the sale is the same one")
}

func testPrint(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.sell("10003")
	w.pay()
	w.inGateway("print")
	w.until("!document.querySelector('#slip').hidden")
	require.True(t, w.open())
	require.Equal(t, w.PublicURL()+"/till/slips/"+w.modals()[0].ID+"/2", script[string](w, "document.querySelector('#slip iframe').src"))
	w.press("#tear")
	require.True(t, script[bool](w, "document.querySelector('#slip').hidden"))
	require.Equal(t, "IFRAME", w.focused())
	w.inGateway("accept")
	w.says("The sale is closed.")
	require.Contains(t, w.text("#receipts"), "Slip 18.00")
}

func testExit(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.sell("10003")
	w.pay()
	w.inGateway("exit")
	w.says("The gateway left without a result: NZD 18.00 was not recorded.")
	require.False(t, w.open())
	require.Empty(t, w.XSeries.Sales()[0].Payments)
}

func testIgnored(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.ExpectViolation(`unknown step "VOID"`)
	w.ExpectViolation("not a JSON object")
	w.sell("10003")
	w.pay()
	w.inGateway("unknown")
	w.logged(`unknown step "VOID"`)
	w.inGateway("nonsense")
	w.logged("not a JSON object")
	require.Len(t, w.modals()[0].Messages, 4)

	w.frame().Do(`document.querySelector("#inner").contentDocument.querySelector("#wrong").click()`)
	w.logged("not from the window of the gateway")
	w.do(`window.postMessage('{"step":"EXIT"}', "*")`)
	w.until(`document.querySelectorAll("#message-list [data-who=ignored]").length === 4`)
	require.Len(t, w.modals()[0].Messages, 4, "neither from a frame in the gateway nor from the till itself")
	require.True(t, w.open())

	w.inGateway("object")
	w.logged("an object: the vendor documents JSON text")
	w.until(`document.querySelectorAll("#message-list [data-who=till]").length === 3`)
	require.Len(t, w.modals()[0].Messages, 5)
	w.inGateway("accept")
	w.says("The sale is closed.")
}

func testCloseButton(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.sell("10003")
	w.pay()
	const hidden = "document.querySelector('#close').hidden"
	w.until(hidden)
	escape := func() {
		w.do("document.querySelector('#modal iframe').blur()")
		w.page.Press(kb.Escape)
	}
	escape()
	escape()
	w.until("document.querySelector('#modal').open") // A browser may close it, and it comes back.
	require.Empty(t, w.modals()[0].Ended, "a modal without a close button can't be left")
	w.inGateway("show")
	w.until("!" + hidden)
	w.inGateway("hide")
	w.until(hidden)
	w.inGateway("show")
	w.until("!" + hidden)
	w.press("#close")
	w.says("The payment was closed: NZD 18.00 was not recorded.")
	require.Equal(t, "closed", w.modals()[0].Ended)

	w.pay()
	w.until(hidden)
	w.inGateway("show")
	w.until("!" + hidden)
	w.do("document.querySelector('#close').focus()")
	w.page.Press(kb.Escape)
	w.until("!document.querySelector('#modal').open")
	require.Equal(t, "closed", w.modals()[1].Ended)
}

func testSplit(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.sell("10001")
	w.typeInto("#amount", "24.31")
	w.press("#cash")
	w.says("NZD 24.30 is left to pay, not 24.31.")
	require.Empty(t, w.XSeries.Sales())
	w.typeInto("#amount", "10")
	w.press("#cash")
	w.says("NZD 10.00 paid in cash. NZD 14.30 to go.")
	w.typeInto("#amount", "7.15")
	w.pay()
	w.inGateway("accept")
	w.says("NZD 7.15 to go.")
	require.Equal(t, "7.15", script[string](w, "document.querySelector('#amount').value"))
	w.pay()
	w.inGateway("accept")
	w.says("The sale is closed.")
	require.Equal(t, []string{"7.15", "7.15"}, []string{w.queries()[0].Get("amount"), w.queries()[1].Get("amount")})
	w.press("#pay")
	w.says("The sale is paid in full")
	payments := w.XSeries.Sales()[0].Payments
	require.Equal(t, []bool{true, false, false}, []bool{payments[0].Cash, payments[1].Cash, payments[2].Cash})
	require.Contains(t, w.text("#payments"), "Cash")
}

func testRefund(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.press("#refund")
	w.sell("10002", "10002")
	require.Equal(t, "-11.00", w.text("#remaining"))
	w.pay()
	require.Equal(t, "-11.00", w.queries()[0].Get("amount"))
	w.inGateway("accept")
	w.says("NZD -11.00 refunded by credit card.")
	sale := w.XSeries.Sales()[0]
	require.True(t, sale.Closed)
	require.Equal(t, "-2", sale.Lines[0].Quantity.String())
}

func testReload(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.sell("10003")
	w.pay()
	w.page.Reload()
	w.ready()
	require.Eventually(t, func() bool { return w.modals()[0].Ended == "closed" }, testPatience, time.Millisecond)
	require.Equal(t, "0.00", w.text("#total"))
	w.press("#open-list button")
	w.says("is open again, NZD 18.00 to pay.")
	require.Contains(t, w.text("#cart"), "Scarf")
	w.pay()
	w.inGateway("accept")
	w.says("The sale is closed.")
	require.Len(t, w.XSeries.Sales(), 1)
	require.True(t, script[bool](w, "document.querySelector('#open-sales').hidden"))
}

func testDoubleClick(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.sell("10003")
	w.doubleClick("#pay")
	w.gatewayGot()
	w.inGateway("accept")
	w.says("The sale is closed.")
	require.Len(t, w.modals(), 1)
	require.Len(t, w.queries(), 1)
}

func testSloppyDoubleClick(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till?sloppy=1")
	w.sell("10003")
	w.doubleClick("#pay")
	w.until("document.querySelectorAll('#frames iframe').length === 2")
	require.Eventually(t, func() bool { return len(w.queries()) == 2 }, testPatience, time.Millisecond)
	require.Equal(t, w.queries()[0], w.queries()[1])
	require.Len(t, w.modals(), 1)
	w.inGateway("accept")
	w.says("The sale is closed.")
	require.Len(t, w.XSeries.Sales()[0].Payments, 1)
}

func testTwoTills(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till?register=" + RegisterMain)
	second := &till{t: t, Systems: w.Systems, gateway: w.gateway, page: w.browser.Open(w.PublicURL()+"/till?register="+RegisterSecond, 1280)}
	second.ready()
	for _, one := range []*till{w, second} {
		one.sell("10003")
		one.pay()
	}
	for _, one := range []*till{second, w} {
		one.inGateway("accept")
		one.says("The sale is closed.")
	}
	sales := w.XSeries.Sales()
	require.Len(t, sales, 2)
	require.Equal(t, []string{RegisterMain, RegisterSecond}, []string{sales[0].RegisterID, sales[1].RegisterID})
	for _, sale := range sales {
		require.True(t, sale.Closed)
		require.Len(t, sale.Payments, 1)
	}
}

func testAcceptTwice(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till")
	w.ExpectViolation("step ACCEPT after the modal was accepted")
	w.sell("10003")
	w.pay()
	w.inGateway("twice")
	w.says("The sale is closed.")
	w.logged("step ACCEPT after the modal was accepted")
	require.Len(t, w.XSeries.Sales()[0].Payments, 1)
}

func testSettings(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till?register=nope")
	w.says("There is no register nope.")
	w.press("#settings summary")
	w.typeInto("#gateway", "")
	w.press("#gateway-form button")
	w.until("document.querySelector('#gateway-note').innerText.includes('there is no gateway now')")
	w.press("#pay")
	w.says("The sale is empty: add a product first.")
	w.sell("10003")
	w.press("#pay")
	w.says("The payment type has no gateway")
	require.Equal(t, "closed", w.modals()[0].Ended)
	w.typeInto("#gateway", w.gateway.URL+"/pay?v=2")
	w.press("#gateway-form button")
	w.until("document.querySelector('#gateway-note').innerText === 'Saved.'")
	w.pay()
	require.Equal(t, "2", w.queries()[0].Get("v"))
	w.inGateway("decline")
	w.says("Declined")
}

func testPark(t *testing.T, open openFunc) {
	t.Helper()
	w := open("/till?register=" + RegisterMain)
	w.sell("10002", "10003")
	w.press("button[aria-label='Remove one Coffee']", "#park")
	w.says("Parked.")
	require.Equal(t, "18", w.XSeries.Sales()[0].Total.String())
	w.choose("#register", RegisterSecond)
	w.until("document.querySelector('#open-sales').hidden && location.search.includes('" + RegisterSecond + "')")
}
