package gateway_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/browsertest"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

const (
	wide   = 1280
	narrow = 320

	// payFrame is a part of the Pay page's URL.
	payFrame = "/shop/pay?"
)

// mall is a simulated world with a gateway, on loopback addresses of their own, as browsers see them.
type mall struct {
	t       *testing.T
	world   *testserver.Systems
	store   pairing.Store
	router  *pairing.Router
	handler *gateway.Handler
	address string

	mu     sync.Mutex
	server *http.Server
	// started counts the calls that begin a payment.
	started int
	// mute loses the calls by which a page claims the right to say ACCEPT.
	mute bool
	// unhurried leaves a refusal on the page until somebody clicks.
	unhurried bool
}

func openMall(t *testing.T, change func(*gateway.Config)) *mall {
	t.Helper()
	m := &mall{
		t: t, store: memstore.New(memstore.Config{}),
		world: testserver.Start(t, testserver.Options{SmartConnect: testserver.SmartConnectOptions{MinPoll: -1}}),
	}
	at := m.world.Describe()
	terminals, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Shop", VendorName: "Tillroute", Currency: "NZD", BaseURL: at.SmartConnect.BaseURL, PollInterval: 50 * time.Millisecond,
	})
	require.NoError(t, err)
	m.router, err = pairing.New(pairing.Config{
		Store: m.store, Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)},
		PollInterval: 50 * time.Millisecond, BusyDelay: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = m.router.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })

	listener := m.listen("127.0.0.1:0")
	m.address = listener.Addr().String()
	config := gateway.Config{
		Router: m.router, Tokens: m.store, URL: "http://" + m.address + "/shop",
		OAuth: xseries.OAuth{
			ClientID: at.XSeries.ClientID, ClientSecret: tillroute.Secret(at.XSeries.ClientSecret),
			AuthorizeURL: at.XSeries.AuthorizeURL, BaseURL: at.XSeries.BaseURL,
		},
		Key: "0123456789abcdef0123456789abcdef", Provider: smartconnect.Provider, Name: "Northpay",
		Support: "Call 0800 555 111.", Stores: map[string]string{m.world.PublicURL(): at.XSeries.DomainPrefix},
	}
	if change != nil {
		change(&config)
	}
	m.handler, err = gateway.New(config)
	require.NoError(t, err)
	m.world.XSeries.SetGatewayURL(m.handler.GatewayURL())
	m.serve(listener)
	t.Cleanup(m.halt)
	return m
}

func (m *mall) listen(address string) net.Listener {
	m.t.Helper()
	var config net.ListenConfig
	var listener net.Listener
	// Somebody else may have a port for a while that was given back.
	require.Eventually(m.t, func() bool {
		var err error
		listener, err = config.Listen(m.t.Context(), "tcp", address)
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return listener
}

func (m *mall) serve(listener net.Listener) {
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		if r.URL.Path == "/shop/pay/start" {
			m.started++
		}
		lost := m.mute && r.URL.Path == "/shop/pay/told"
		m.mu.Unlock()
		if lost {
			panic(http.ErrAbortHandler)
		}
		m.handler.ServeHTTP(clock{w, m}, r)
	})}
	m.mu.Lock()
	m.server = server
	m.mu.Unlock()
	go func() { _ = server.Serve(listener) }()
}

// hurry has refusals leave the page by themselves, or not.
func (m *mall) hurry(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unhurried = !yes
}

// clock says in the answers of a mall that is not in a hurry that nothing leaves the page by itself.
type clock struct {
	http.ResponseWriter

	mall *mall
}

var leaves = regexp.MustCompile(`"after":\d+`)

func (c clock) Write(p []byte) (int, error) {
	c.mall.mu.Lock()
	unhurried := c.mall.unhurried
	c.mall.mu.Unlock()
	if !unhurried {
		return c.ResponseWriter.Write(p)
	}
	_, err := c.ResponseWriter.Write(leaves.ReplaceAll(p, []byte(`"after":3600000`)))
	return len(p), err
}

// Unwrap is for an [http.ResponseController].
func (c clock) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// halt takes the gateway's server down, as a crash would.
func (m *mall) halt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.server.Close()
}

func (m *mall) starts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.started
}

// connect gives the store's consent, as the merchant would.
func (m *mall) connect() {
	m.t.Helper()
	at := m.world.Describe().XSeries
	oauth := xseries.OAuth{
		ClientID: at.ClientID, ClientSecret: tillroute.Secret(at.ClientSecret), RedirectURL: m.handler.PairingURL() + "callback",
		Scopes: []string{"registers:read", "outlets:read"}, AuthorizeURL: at.AuthorizeURL, BaseURL: at.BaseURL,
	}
	state := xseries.NewState()
	page, err := oauth.AuthCodeURL(state)
	require.NoError(m.t, err)
	visitor := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, page, nil)
	require.NoError(m.t, err)
	response, err := visitor.Do(request)
	require.NoError(m.t, err)
	_ = response.Body.Close()
	back, err := response.Location()
	require.NoError(m.t, err)
	callback, err := oauth.ParseCallback(back.Query(), state)
	require.NoError(m.t, err)
	grant, err := oauth.Exchange(m.t.Context(), callback)
	require.NoError(m.t, err)
	_, err = m.store.PutGrant(m.t.Context(), grant, -1)
	require.NoError(m.t, err)
}

// pair pairs a register with one of the terminals.
func (m *mall) pair(registerID string, terminal int) *testserver.Device {
	m.t.Helper()
	device := m.world.SmartConnect.Devices()[terminal]
	code, err := device.ShowCode()
	require.NoError(m.t, err)
	_, err = m.router.Pair(m.t.Context(), pairing.PairRequest{
		Register:     xseries.RegisterKey(m.world.Describe().XSeries.DomainPrefix, registerID),
		RegisterName: "Till", Provider: smartconnect.Provider, Code: code,
	})
	require.NoError(m.t, err)
	return device
}

// till opens the simulated till.
func (m *mall) till(b *browsertest.Browser, registerID string, query string) *browsertest.Page {
	m.t.Helper()
	page := b.Open(m.world.PublicURL()+"/till?register="+registerID+query, wide)
	page.Main().Until("document.body.dataset.ready === 'till'")
	return page
}

// sell puts a coffee into the cart and presses the payment button.
func sell(page *browsertest.Page) browsertest.Frame {
	page.Main().Click("#products button", "Coffee")
	page.Main().Click("#pay", "Credit Card")
	return page.Frame(payFrame)
}

// reopen takes up the sale that was left, after the till was loaded again.
func reopen(page *browsertest.Page) {
	main := page.Main()
	main.Until("document.body.dataset.ready === 'till'")
	main.Click("#open-list button", "Reopen")
	main.Shows("#status", "is open again")
	main.Click("#pay", "Credit Card")
}

// onScreen waits until a payment is on the terminal's screen.
func (m *mall) onScreen(device *testserver.Device) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	_, err := device.WaitTransaction(ctx)
	require.NoError(m.t, err, "the payment is on the terminal's screen")
}

// charges returns the cents that were charged, in order.
func (m *mall) charges() []int64 {
	var cents []int64
	for _, c := range m.world.SmartConnect.Charges() {
		if c.Type == "Card.Refund" {
			c.Cents = -c.Cents
		}
		cents = append(cents, c.Cents)
	}
	return cents
}

func TestBrowserPairThenPay(t *testing.T) {
	m := openMall(t, nil)
	b := browsertest.Start(t)
	till := m.till(b, testserver.RegisterMain, "")
	pay := sell(till)

	pay.Shows("h1", "This store is not connected")
	till.Screenshot("pay-not-connected")
	// People take their time: the window has looked more than once before the store is connected.
	require.Eventually(t, func() bool { return m.starts() > 2 }, time.Minute, 50*time.Millisecond, "it looks again and again")
	pairingPage := till.OpenLink(wide, func() { pay.Click("a", "Connect this store") })
	main := pairingPage.Main()
	main.Shows("button", "Connect")
	pairingPage.Screenshot("pairing-start")
	main.Click("button", "Connect")
	main.Until("document.querySelector('[name=code]')")
	assert.Equal(t, testserver.RegisterMain, main.Text("document.querySelector('[name=register]').value"), "the till's register is chosen")
	pairingPage.Screenshot("pairing-form")
	device := m.world.SmartConnect.Devices()[0]
	code, err := device.ShowCode()
	require.NoError(t, err)
	main.Do("document.querySelector('[name=code]').focus()")
	pairingPage.Press(code + "\r")
	main.Shows("h1", "ready to take payments")
	pairingPage.Screenshot("pairing-done")

	// The window in the till goes on by itself.
	m.onScreen(device)
	pay.Shows("h1", "Present the card")
	till.Screenshot("pay-follow")
	require.NoError(t, device.Approve())
	till.Main().Shows("#status", "The sale is closed")
	till.Screenshot("till-paid")
	assert.Equal(t, []int64{550}, m.charges())
}

func TestBrowserDeclineAndCancel(t *testing.T) {
	m := openMall(t, nil)
	m.connect()
	device := m.pair(testserver.RegisterMain, 0)
	till := m.till(browsertest.Start(t), testserver.RegisterMain, "")
	pay := sell(till)
	m.onScreen(device)
	assert.Equal(t, "true", till.Main().Text("document.getElementById('close').hidden"), "the cashier can't leave while the terminal has the payment")
	m.hurry(false)
	require.NoError(t, device.Decline())
	pay.Shows("h1", "Declined")
	till.Screenshot("pay-declined")
	pay.Click("button", "Back to the sale")
	till.Main().Shows("#status", "Declined")

	// The same sale is tried again.
	till.Main().Click("#pay", "Credit Card")
	m.onScreen(device)
	require.NoError(t, device.Cancel())
	pay.Shows("h1", "Cancelled")
	till.Screenshot("pay-cancelled")
	pay.Click("button", "Back to the sale")
	till.Main().Shows("#status", "Declined")

	// Without a click it goes back by itself.
	m.hurry(true)
	till.Main().Click("#pay", "Credit Card")
	m.onScreen(device)
	require.NoError(t, device.Cancel())
	till.Main().Shows("#status", "Declined")

	till.Main().Click("#pay", "Credit Card")
	m.onScreen(device)
	require.NoError(t, device.Approve())
	till.Main().Shows("#status", "The sale is closed")
	assert.Equal(t, []int64{550}, m.charges())
}

func TestBrowserRefundAndSplit(t *testing.T) {
	m := openMall(t, nil)
	m.connect()
	device := m.pair(testserver.RegisterMain, 0)
	till := m.till(browsertest.Start(t), testserver.RegisterMain, "")
	main := till.Main()
	for range 2 {
		main.Click("#products button", "Coffee")
	}
	// Two payments of the same amount for the same sale.
	for range 2 {
		main.Do("document.getElementById('amount').value = '5.50'")
		main.Click("#pay", "Credit Card")
		m.onScreen(device)
		require.NoError(t, device.Approve())
		main.Shows("#status", "paid by credit card")
		main.Until("!document.getElementById('modal').open")
	}
	main.Shows("#status", "The sale is closed")
	assert.Equal(t, []int64{550, 550}, m.charges())

	main.Click("#new-sale", "New sale")
	main.Do("document.getElementById('refund').click()")
	pay := sell(till)
	pay.Shows(".amount", "Refund")
	m.onScreen(device)
	till.Screenshot("pay-refund")
	require.NoError(t, device.Approve())
	main.Shows("#status", "refunded by credit card")
	assert.Equal(t, []int64{550, 550, -550}, m.charges())
}

func TestBrowserLostReply(t *testing.T) {
	m := openMall(t, func(c *gateway.Config) { c.CashierMayResolve = true })
	m.connect()
	device := m.pair(testserver.RegisterMain, 0)
	b := browsertest.Start(t)
	till := m.till(b, testserver.RegisterMain, "")
	device.SetAuto(testserver.AutoApprove, 0)
	m.world.Fault(testserver.On("smartconnect", http.MethodPost, "/POS/Transaction"), testserver.LoseReply())
	pay := sell(till)
	pay.Shows("h1", "It is not known whether the card was charged")
	till.Screenshot("pay-unknown")
	assert.Equal(t, "true", till.Main().Text("document.getElementById('close').hidden"), "the window stays open")

	// Reopened, it is where it was.
	till.Reload()
	reopen(till)
	pay.Shows("h1", "It is not known whether the card was charged")
	pay.Click("button", "The terminal shows: approved")
	pay.Shows(".sure", "Have you seen at the terminal")
	till.Screenshot("pay-unknown-sure")
	pay.Click("button", "No, go back")
	pay.Click("button", "The terminal shows: approved")
	pay.Click("button", "Yes")
	till.Main().Shows("#status", "The sale is closed")
	assert.Equal(t, []int64{550}, m.charges())
}

func TestBrowserLostReplyIsResolvedByAnOperator(t *testing.T) {
	m := openMall(t, nil)
	m.hurry(false)
	m.connect()
	m.pair(testserver.RegisterMain, 0)
	till := m.till(browsertest.Start(t), testserver.RegisterMain, "")
	m.world.Fault(testserver.On("smartconnect", http.MethodPost, "/POS/Transaction"), testserver.LoseReply())
	pay := sell(till)
	pay.Shows("h1", "It is not known whether the card was charged")
	assert.Equal(t, "0", pay.Text("document.querySelectorAll('button').length"), "the cashier decides nothing")
	parked, err := m.router.Payments(t.Context(), pairing.Filter{States: []pairing.State{pairing.Parked}}, 2)
	require.NoError(t, err)
	require.Len(t, parked, 1)
	_, err = m.router.Resolve(t.Context(), parked[0].ID, pairing.Resolution{Outcome: tillroute.Declined, By: "Ann", Reason: "the journal has nothing"})
	require.NoError(t, err)
	pay.Shows("h1", "Declined")
	pay.Click("button", "Back to the sale")
	till.Main().Shows("#status", "Declined")
	assert.Empty(t, m.charges())
}

func TestBrowserReopenWhilePending(t *testing.T) {
	m := openMall(t, nil)
	m.connect()
	device := m.pair(testserver.RegisterMain, 0)
	till := m.till(browsertest.Start(t), testserver.RegisterMain, "")
	main := till.Main()
	pay := sell(till)
	m.onScreen(device)
	till.Reload()
	reopen(till)
	pay.Shows("h1", "Present the card")
	// While nobody looks, it is approved: the next one to look hands it to the sale.
	till.Reload()
	require.NoError(t, device.Approve())
	require.Eventually(t, func() bool { return len(m.charges()) == 1 }, time.Minute, 10*time.Millisecond)
	reopen(till)
	main.Shows("#status", "The sale is closed")
	assert.Equal(t, []int64{550}, m.charges(), "the card was charged once")
}

func TestBrowserDoubleClick(t *testing.T) {
	m := openMall(t, nil)
	m.connect()
	device := m.pair(testserver.RegisterMain, 0)
	till := m.till(browsertest.Start(t), testserver.RegisterMain, "&sloppy=1")
	main := till.Main()
	main.Click("#products button", "Coffee")
	main.Do("const b = document.getElementById('pay'); b.click(); b.click();")
	main.Until("document.querySelectorAll('#frames iframe').length === 2")
	m.onScreen(device)
	require.NoError(t, device.Approve())
	main.Shows("#status", "The sale is closed")
	assert.Equal(t, []int64{550}, m.charges(), "the card was charged once")
	// The till's books would complain of a second ACCEPT.
}

func TestBrowserTwoTills(t *testing.T) {
	m := openMall(t, nil)
	m.connect()
	first, second := m.pair(testserver.RegisterMain, 0), m.pair(testserver.RegisterSydney, 1)
	m.pair(testserver.RegisterSecond, 0)
	b := browsertest.Start(t)
	one, two, three := m.till(b, testserver.RegisterMain, ""), m.till(b, testserver.RegisterSydney, ""), m.till(b, testserver.RegisterSecond, "")
	sell(one)
	m.onScreen(first)
	sell(two)
	m.onScreen(second)
	// The third shares the first one's terminal, and waits.
	waiting := sell(three)
	waiting.Shows("h1", "Waiting for")
	waiting.Shows("p", "One payment is before this one.")
	three.Screenshot("pay-waiting")
	require.NoError(t, second.Approve())
	two.Main().Shows("#status", "The sale is closed")
	waiting.Click("button", "Cancel this payment")
	three.Main().Shows("#status", "Declined")
	require.NoError(t, first.Approve())
	one.Main().Shows("#status", "The sale is closed")
	assert.Equal(t, []int64{550, 550}, m.charges())
	assert.Empty(t, m.world.SmartConnect.Overlaps())
}

func TestBrowserGatewayDies(t *testing.T) {
	m := openMall(t, nil)
	m.connect()
	device := m.pair(testserver.RegisterMain, 0)
	till := m.till(browsertest.Start(t, "net::ERR_"), testserver.RegisterMain, "")
	pay := sell(till)
	m.onScreen(device)
	pay.Shows("h1", "Present the card")
	m.halt()
	require.NoError(t, device.Approve())
	pay.Shows("#trouble", "The connection is lost")
	till.Screenshot("pay-connection-lost")
	assert.Equal(t, "true", till.Main().Text("document.getElementById('modal').open"), "the window waits")
	m.serve(m.listen(m.address))
	till.Main().Shows("#status", "The sale is closed")
	assert.Equal(t, []int64{550}, m.charges())
}

// An approval gets to the sale without the gateway. Then its mark says nothing, and the sale has it all the same.
func TestBrowserApprovalDoesNotWaitForTheGateway(t *testing.T) {
	m := openMall(t, nil)
	m.mu.Lock()
	m.mute = true
	m.mu.Unlock()
	m.connect()
	device := m.pair(testserver.RegisterMain, 0)
	till := m.till(browsertest.Start(t, "net::ERR_"), testserver.RegisterMain, "")
	sell(till)
	m.onScreen(device)
	require.NoError(t, device.Approve())
	till.Main().Shows("#status", "The sale is closed")
	assert.Equal(t, []int64{550}, m.charges())
	payments, err := m.router.Payments(t.Context(), pairing.Filter{}, 10)
	require.NoError(t, err)
	require.Len(t, payments, 1)
	assert.Empty(t, payments[0].Mark)
}

func TestBrowserOtherOriginsAreIgnored(t *testing.T) {
	// A sell screen that doesn't answer, and beside the Pay page a frame of another site that does.
	const forged = `{"success":true,"step":"DATA","register_sale":{"id":"5a1e"},"payment":{"register_id":"` + testserver.RegisterMain + `","amount":"8.00"}}`
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<script>let n = 0; setInterval(() => { parent.frames[0].postMessage(" + "`" + forged + "`" + ", '*'); document.title = ++n }, 20)</script>"))
	}))
	t.Cleanup(evil.Close)
	var m *mall
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		query := url.Values{"amount": {"8.00"}, "origin": {"http://" + r.Host}, "register_id": {testserver.RegisterMain}}
		_, _ = w.Write([]byte("<ol></ol><script>window.onmessage = e => { const li = document.createElement('li'); li.textContent = e.data; document.querySelector('ol').append(li);" +
			"if (li.textContent.includes('ACCEPT')) setTimeout(() => { document.title = document.querySelector('li:last-child').textContent }, 5000) }</script>" +
			"<iframe src='" + m.handler.GatewayURL() + "?" + query.Encode() + "'></iframe><iframe src='" + evil.URL + "'></iframe>"))
	}))
	t.Cleanup(host.Close)
	m = openMall(t, func(c *gateway.Config) { c.Stores[host.URL] = "simstore" })
	m.connect()
	device := m.pair(testserver.RegisterMain, 0)
	page := browsertest.Start(t).Open(host.URL, wide)
	page.Main().Until("document.querySelectorAll('li').length >= 4")
	page.Frame(evil.URL).Until("Number(document.title) > 20")
	assert.Zero(t, m.starts(), "what the other site says is not heard")
	assert.Regexp(t, "Asking the till|The till doesn't answer", page.Frame(payFrame).Text("document.body.innerText"))
	// The sell screen itself is heard.
	page.Main().Do("frames[0].postMessage(`" + forged + "`, '*')")
	m.onScreen(device)
	assert.Equal(t, 1, m.starts())
	heard := page.Main().Text("[...document.querySelectorAll('li')].slice(0, 2).map(e => e.textContent).join(' ')")
	assert.Equal(t, []string{`{"step":"SETUP","setup":{"enable_close":false}}`, `{"step":"DATA"}`}, strings.Fields(heard))
	require.NoError(t, device.Approve())
	page.Main().Shows("li", "ACCEPT")
	page.Main().Until("document.title")
	assert.Contains(t, page.Main().Text("document.title"), "ACCEPT", "a sell screen that takes its time is told nothing more")
}

func TestBrowserForeignSitesCannotFrameThePage(t *testing.T) {
	m := openMall(t, nil)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		query := url.Values{"amount": {"8.00"}, "origin": {m.world.PublicURL()}}
		_, _ = w.Write([]byte("<title>host</title><iframe src='" + m.handler.GatewayURL() + "?" + query.Encode() + "' onload='document.title = \"loaded\"'></iframe>"))
	}))
	t.Cleanup(host.Close)
	page := browsertest.Start(t, "frame-ancestors").Open(host.URL, wide)
	page.Main().Until("document.title === 'loaded'")
	assert.NotContains(t, page.Main().Text("[...document.querySelectorAll('iframe')].map(f => { try { return f.contentDocument.body.innerText } catch { return 'blocked' } }).join()"), "Card payment")
}

func TestBrowserSmallScreenAndKeyboard(t *testing.T) {
	m := openMall(t, func(c *gateway.Config) { c.CashierMayResolve = true })
	m.connect()
	m.pair(testserver.RegisterMain, 0)
	b := browsertest.Start(t, "400 (Bad Request)")
	till := b.Open(m.world.PublicURL()+"/till?register="+testserver.RegisterMain, narrow)
	till.Main().Until("document.body.dataset.ready === 'till'")
	m.world.Fault(testserver.On("smartconnect", http.MethodPost, "/POS/Transaction"), testserver.LoseReply())
	pay := sell(till)
	pay.Shows("h1", "It is not known whether the card was charged")
	pay.Until("document.documentElement.scrollWidth <= innerWidth")
	till.Screenshot("pay-narrow-unknown")
	// With the keyboard alone: the second button, and then No.
	till.Press("\t\t")
	pay.Until("document.activeElement?.innerText?.includes('declined')")
	till.Press("\r")
	pay.Until("document.activeElement?.innerText === 'No, go back'")
	till.Screenshot("pay-narrow-sure")
	till.Press("\r")
	pay.Shows("button", "The terminal shows: approved")
	for _, path := range []string{"", "pay?amount=1"} {
		page := b.Open(m.handler.PairingURL()+path, narrow)
		page.Main().Until("document.readyState === 'complete' && document.documentElement.scrollWidth <= innerWidth")
		page.Screenshot("narrow-" + map[bool]string{true: "start", false: "problem"}[path == ""])
	}
}
