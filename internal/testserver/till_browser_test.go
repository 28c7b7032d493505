package testserver

import (
	"context"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
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
	tab     context.Context
	gateway *httptest.Server

	mu    sync.Mutex
	loads []url.Values // the queries with which the gateway's page was loaded
}

// openTill opens a page of the simulated systems.
func openTill(t *testing.T, path string) *till {
	t.Helper()
	browsertest.Path(t)
	w := &till{t: t, Systems: Start(t, Options{Title: "Demo", Links: []Link{{Text: "Pair terminals", URL: "https://gateway.test/pair"}}})}
	page := template.Must(template.New("gateway").Parse(foreignGateway))
	w.gateway = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/pay" {
			rw.WriteHeader(http.StatusNoContent)
			return
		}
		w.mu.Lock()
		w.loads = append(w.loads, r.URL.Query())
		w.mu.Unlock()
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(rw, r.URL.Query()); err != nil {
			t.Errorf("gateway: %v", err)
		}
	}))
	t.Cleanup(w.gateway.Close)
	w.XSeries.SetGatewayURL(w.gateway.URL + "/pay")
	// What the judge refuses is a 4xx of the control API, which a browser logs.
	w.tab = browsertest.Open(t, "status of 400", "status of 409")
	w.run(chromedp.Navigate(w.PublicURL()+path), chromedp.WaitReady(`body[data-ready=till], body[data-terminals=ready]`))
	return w
}

// run does something in the browser.
func (w *till) run(actions ...chromedp.Action) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.tab, 20*time.Second)
	defer cancel()
	require.NoError(w.t, chromedp.Run(ctx, actions...))
}

// press presses buttons of the page, one after the other.
func (w *till) press(selectors ...string) {
	w.t.Helper()
	for _, selector := range selectors {
		w.run(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
	}
}

// script runs a script in the page and returns what it evaluates to.
func script[T any](w *till, code string) T {
	w.t.Helper()
	var v T
	w.run(chromedp.Evaluate(code, &v))
	return v
}

// text is what an element of the page says.
func (w *till) text(selector string) string {
	w.t.Helper()
	return script[string](w, `document.querySelector(`+"`"+selector+"`"+`).innerText`)
}

// until waits until a script in the page is true.
func (w *till) until(code string) {
	w.t.Helper()
	var done bool
	ctx, cancel := context.WithTimeout(w.tab, 20*time.Second)
	defer cancel()
	require.NoError(w.t, chromedp.Run(ctx, chromedp.Poll(code, &done)), code)
}

// says waits until the till's line for the cashier contains a text.
func (w *till) says(part string) {
	w.t.Helper()
	w.until("document.querySelector('#status').innerText.includes(`" + part + "`)")
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
	w.run(browsertest.InFrame(w.gateway.URL, `(document.querySelector("#`+button+`").click(), true)`, nil))
}

// gatewayGot waits until the gateway's page got an answer from the till, and returns it with the origin before it.
func (w *till) gatewayGot() string {
	w.t.Helper()
	var got string
	w.run(browsertest.InFrame(w.gateway.URL, `document.querySelector("#data").textContent || null`, &got))
	return got
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

func TestBrowserAccept(t *testing.T) {
	w := openTill(t, "/till")
	w.sell("10002", "10002", "10003")
	require.Equal(t, "29.00", w.text("#total"))
	w.pay()
	frame := script[string](w, "document.querySelector('#frames iframe').src")
	require.Equal(t, w.gateway.URL+"/pay?amount=29.00&origin="+url.QueryEscape(w.PublicURL())+"&register_id="+RegisterMain, frame)
	require.Equal(t, []url.Values{{"amount": {"29.00"}, "origin": {w.PublicURL()}, "register_id": {RegisterMain}}}, w.queries())
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
	require.False(t, script[bool](w, "document.querySelector('#modal').open"))
	require.Zero(t, script[int](w, "document.querySelectorAll('#frames iframe').length"))

	w.press("#receipts summary")
	w.run(browsertest.InFrame(w.PublicURL()+"/till/receipts/", `document.body.innerText.includes("ACCEPTED") || null`, nil))
	require.Equal(t, "Till", script[string](w, "document.title"), "nothing runs in a receipt")
}
