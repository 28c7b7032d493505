package gateway_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

// screen is what a page is told to show, as it comes.
type screen struct {
	Kind    string   `json:"kind"`
	Title   string   `json:"title"`
	Text    []string `json:"text"`
	Details []string `json:"details"`
	Link    struct {
		URL string `json:"url"`
	} `json:"link"`
	Actions []map[string]any `json:"actions"`
	Close   bool             `json:"close"`
	Tell    string           `json:"tell"`
	Claim   bool             `json:"claim"`
	End     bool             `json:"end"`
	After   int              `json:"after"`
	Retry   int              `json:"retry"`
}

// answer is what the gateway answers a page.
type answer struct {
	Screen screen `json:"screen"`
	Follow string `json:"follow"`
}

func (s screen) all() string {
	return strings.Join(slices.Concat([]string{s.Title}, s.Text, s.Details), "\n")
}

// do returns the action of that label's beginning.
func (s screen) do(t *testing.T, label string) map[string]any {
	t.Helper()
	for _, a := range s.Actions {
		if strings.HasPrefix(a["label"].(string), label) {
			return a
		}
	}
	require.Fail(t, "there is no such button", "%s: %v", label, s.Actions)
	return nil
}

// moody is a store that fails, or loses its answer, where the test says. It knows the calls that the Pay page makes.
type moody struct {
	pairing.Store

	mu sync.Mutex
	// calls counts those of name, or all if there is no name. The one that failAt says fails, counted from 1, and lose says that it
	// is carried out all the same.
	name   string
	calls  int
	failAt int
	lose   bool
	// down has every call fail.
	down bool
}

func (m *moody) plan(name string, failAt int, lose bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.name, m.calls, m.failAt, m.lose = name, 0, failAt, lose
}

// fall has every call fail until it rises again.
func (m *moody) fall(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// failed reports whether the planned call has failed.
func (m *moody) failed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls >= m.failAt
}

func moodily[T any](m *moody, name string, call func() (T, error)) (T, error) {
	var none T
	m.mu.Lock()
	planned := m.name == "" || m.name == name
	if planned {
		m.calls++
	}
	now, lose := m.down || (planned && m.calls == m.failAt), m.lose
	m.mu.Unlock()
	switch {
	case !now:
		return call()
	case !lose:
		return none, pairing.Errorf(tillroute.KindUnavailable, nil, "the database is away")
	}
	if _, err := call(); err != nil {
		return none, err
	}
	e := pairing.Errorf(tillroute.KindUnavailable, nil, "the database didn't answer")
	e.Outcome = tillroute.Unknown
	return none, e
}

func (m *moody) Pairing(ctx context.Context, r pairing.Register) (pairing.Pairing, error) {
	return moodily(m, "Pairing", func() (pairing.Pairing, error) { return m.Store.Pairing(ctx, r) })
}

func (m *moody) Grant(ctx context.Context, system, account string) (pairing.Grant, error) {
	return moodily(m, "Grant", func() (pairing.Grant, error) { return m.Store.Grant(ctx, system, account) })
}

func (m *moody) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	return moodily(m, "AcceptPayment", func() (pairing.Payment, error) { return m.Store.AcceptPayment(ctx, r) })
}

func (m *moody) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	return moodily(m, "Payment", func() (pairing.Payment, error) { return m.Store.Payment(ctx, id) })
}

func (m *moody) CountAhead(ctx context.Context, id string) (int, error) {
	return moodily(m, "CountAhead", func() (int, error) { return m.Store.CountAhead(ctx, id) })
}

func (m *moody) WithdrawPayment(ctx context.Context, id, reason string) (pairing.Payment, error) {
	return moodily(m, "WithdrawPayment", func() (pairing.Payment, error) { return m.Store.WithdrawPayment(ctx, id, reason) })
}

func (m *moody) ResolvePayment(ctx context.Context, id string, r pairing.Resolution) (pairing.Payment, error) {
	return moodily(m, "ResolvePayment", func() (pairing.Payment, error) { return m.Store.ResolvePayment(ctx, id, r) })
}

func (m *moody) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	return moodily(m, "MarkPayment", func() (pairing.Payment, error) { return m.Store.MarkPayment(ctx, id, from, to) })
}

const stallKey = "0123456789abcdef-the-key-of-the-stall"

// stall is a simulated world with a gateway, whose pages are played by the test: a window is a page and its sell screen.
type stall struct {
	t       *testing.T
	world   *testserver.Systems
	books   *moody
	router  *pairing.Router
	handler *gateway.Handler
	site    *httptest.Server
	config  gateway.Config

	mu sync.Mutex
	// said is all that the gateway has answered and logged.
	said bytes.Buffer
}

// Write keeps what is logged.
func (s *stall) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(p)
}

func newStall(t *testing.T, changes ...func(*gateway.Config)) *stall {
	t.Helper()
	s := &stall{
		t: t, books: &moody{Store: memstore.New(memstore.Config{})},
		world: testserver.Start(t, testserver.Options{SmartConnect: testserver.SmartConnectOptions{MinPoll: -1}}),
	}
	log := slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	at := s.world.Describe()
	terminals, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Shop", VendorName: "Tillroute", Currency: "NZD", BaseURL: at.SmartConnect.BaseURL, PollInterval: 5 * time.Millisecond,
		HTTP: tillroute.HTTPOptions{Logger: log},
	})
	require.NoError(t, err)
	s.router, err = pairing.New(pairing.Config{
		Store: s.books, Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)}, Logger: log,
		PollInterval: 20 * time.Millisecond, BusyDelay: 20 * time.Millisecond,
	})
	require.NoError(t, err)
	s.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }))
	s.config = gateway.Config{
		Router: s.router, Tokens: s.books, URL: s.site.URL + "/shop", Key: stallKey, Provider: smartconnect.Provider,
		OAuth: xseries.OAuth{
			ClientID: at.XSeries.ClientID, ClientSecret: tillroute.Secret(at.XSeries.ClientSecret),
			AuthorizeURL: at.XSeries.AuthorizeURL, BaseURL: at.XSeries.BaseURL,
		},
		HTTP: tillroute.HTTPOptions{Retries: -1, Logger: log}, Logger: log, Name: "North <pay> & Co",
	}
	for _, change := range changes {
		change(&s.config)
	}
	s.handler, err = gateway.New(s.config)
	require.NoError(t, err)
	s.world.XSeries.SetGatewayURL(s.handler.GatewayURL())
	// An expired token is not renewed here: there is no refresh token.
	_, err = s.books.PutGrant(t.Context(), pairing.Grant{
		System: xseries.System, Account: at.XSeries.DomainPrefix, AccessToken: tillroute.Secret(at.XSeries.PersonalToken), RefreshToken: "sim-refresh-none",
	}, 0)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.router.Run(ctx) }()
	t.Cleanup(func() {
		s.handler.Close()
		s.site.Close()
		cancel()
		<-ended
		s.hides()
	})
	return s
}

// hides checks that no secret was answered or logged.
func (s *stall) hides() {
	s.mu.Lock()
	said := s.said.String()
	s.mu.Unlock()
	at := s.world.Describe().XSeries
	secrets := []string{stallKey, at.ClientSecret, at.PersonalToken, "sim-refresh-none"}
	ctx := context.Background()
	list, err := s.books.ListPairings(ctx, pairing.Register{}, 10)
	require.NoError(s.t, err)
	for _, p := range list {
		secrets = append(secrets, p.Identity.Reveal())
	}
	payments, err := s.books.ListPayments(ctx, pairing.Filter{}, 1000)
	require.NoError(s.t, err)
	for _, p := range payments {
		if token := p.Handle.Token.Reveal(); token != "" {
			secrets = append(secrets, token, token[strings.LastIndexAny(token, "=/")+1:])
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			assert.NotContains(s.t, said, secret)
			assert.NotContains(s.t, said, url.QueryEscape(secret))
		}
	}
}

// pair pairs a register with one of the terminals.
func (s *stall) pair(register string, terminal int) *testserver.Device {
	s.t.Helper()
	device := s.world.SmartConnect.Devices()[terminal]
	code, err := device.ShowCode()
	require.NoError(s.t, err)
	_, err = s.router.Pair(s.t.Context(), pairing.PairRequest{
		Register: s.register(register), RegisterName: "Till", Provider: smartconnect.Provider, Code: code,
	})
	require.NoError(s.t, err)
	return device
}

func (s *stall) register(id string) pairing.Register {
	return xseries.RegisterKey(s.world.Describe().XSeries.DomainPrefix, id)
}

// cents returns what was charged, refunds below zero.
func (s *stall) cents() []int64 {
	cents := []int64{}
	for _, c := range s.world.SmartConnect.Charges() {
		if c.Type == "Card.Refund" {
			c.Cents = -c.Cents
		}
		cents = append(cents, c.Cents)
	}
	return cents
}

// get reads one of the gateway's pages.
func (s *stall) get(address string) (int, http.Header, string) {
	s.t.Helper()
	return s.do(http.MethodGet, address, nil)
}

func (s *stall) do(method, address string, body io.Reader, header ...string) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, address, body)
	require.NoError(s.t, err)
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	answer, err := s.site.Client().Do(r)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, answer.Body.Close()) }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	_, _ = s.Write(text)
	return answer.StatusCode, answer.Header, string(text)
}

// window is a Pay page in its sell screen's modal.
type window struct {
	*stall

	modal       *testserver.Modal
	token, data string
	follow      string
}

// sale opens a window for a new sale of that sum.
func (s *stall) sale(register, sum string) *window {
	s.t.Helper()
	m, err := s.world.XSeries.OpenModal(register, decimal.RequireFromString(sum))
	require.NoError(s.t, err)
	return s.load(m)
}

// reopen opens a window for ten dollars of a sale.
func (s *stall) reopen(sale string) *window {
	s.t.Helper()
	m, err := s.world.XSeries.OpenModalFor(sale, decimal.RequireFromString("10"))
	require.NoError(s.t, err)
	return s.load(m)
}

var dataset = regexp.MustCompile(`data-([a-z]+)="([^"]*)"`)

// load loads the page into a modal, and asks for the data.
func (s *stall) load(m *testserver.Modal) *window {
	s.t.Helper()
	status, _, text := s.get(m.URL())
	require.Equal(s.t, http.StatusOK, status, text)
	set := map[string]string{}
	for _, found := range dataset.FindAllStringSubmatch(text, -1) {
		set[found[1]] = html.UnescapeString(found[2])
	}
	w := &window{stall: s, modal: m, token: set["token"]}
	require.Equal(s.t, m.Query().Get("origin"), set["origin"])
	require.Equal(s.t, "/shop", set["base"])
	w.post(set["hide"])
	require.False(s.t, m.State().Closable, "it can't be closed from the beginning")
	w.data = w.post(set["ask"])
	require.JSONEq(s.t, `{"step":"SETUP","setup":{"enable_close":true}}`, set["show"])
	return w
}

func (w *window) post(message string) string {
	w.t.Helper()
	reply, err := w.modal.Post(message)
	require.NoError(w.t, err)
	return reply
}

// call posts to the gateway as the page does.
func (w *window) call(path string, body map[string]any) (int, screen) {
	w.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(w.t, err)
	status, _, answered := w.do(http.MethodPost, w.site.URL+"/shop/pay/"+path, bytes.NewReader(text), "Content-Type", "application/json")
	var a answer
	require.NoError(w.t, json.Unmarshal([]byte(answered), &a), answered)
	w.follow = cmp.Or(a.Follow, w.follow)
	return status, a.Screen
}

// start begins, with what the cashier has decided.
func (w *window) start(decided ...map[string]any) screen {
	w.t.Helper()
	body := map[string]any{"token": w.token, "data": w.data}
	for _, a := range decided {
		body["use"], body["settled"], body["mark"] = a["use"], a["settled"], a["mark"]
	}
	status, s := w.call("start", body)
	require.Equal(w.t, http.StatusOK, status)
	return s
}

// now is how the payment stands.
func (w *window) now() screen {
	w.t.Helper()
	status, _, text := w.do(http.MethodGet, w.site.URL+"/shop/pay/progress", nil, "Payment-Token", w.follow)
	require.Equal(w.t, http.StatusOK, status, text)
	var a answer
	require.NoError(w.t, json.Unmarshal([]byte(text), &a))
	return a.Screen
}

// until follows the payment until it has come so far.
func (w *window) until(far func(screen) bool) screen {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	var last screen
	for ctx.Err() == nil {
		for s := range w.stream(ctx) {
			if last = s; far(s) {
				return s
			}
		}
	}
	require.Fail(w.t, "it has not come so far", "%+v", last)
	return last
}

// stream yields what one stream of progress says.
func (w *window) stream(ctx context.Context) func(func(screen) bool) {
	return func(yield func(screen) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.site.URL+"/shop/pay/progress", nil)
		require.NoError(w.t, err)
		r.Header.Set("Payment-Token", w.follow)
		r.Header.Set("Accept", "text/event-stream")
		stream, err := w.site.Client().Do(r)
		if err != nil {
			return
		}
		defer func() { _ = stream.Body.Close() }()
		lines := bufio.NewScanner(stream.Body)
		for lines.Scan() {
			_, _ = w.Write(lines.Bytes())
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var a answer
			require.NoError(w.t, json.Unmarshal([]byte(data), &a))
			if !yield(a.Screen) {
				return
			}
		}
	}
}

// told claims the right to tell the sell screen.
func (w *window) told() screen {
	w.t.Helper()
	for range 5 {
		status, s := w.call("told", map[string]any{"token": w.follow})
		if status == http.StatusOK {
			return s
		}
	}
	require.Fail(w.t, "the claim is not answered")
	return screen{}
}

// finish follows the payment to its end, and tells the sell screen. It returns what the page shows at last.
func (w *window) finish() screen {
	w.t.Helper()
	s := w.until(func(s screen) bool { return s.End })
	if s.Claim {
		s = w.told()
	}
	if s.Tell != "" {
		w.post(s.Tell)
	}
	return s
}

func (w *window) step() string { return w.modal.State().Ended }

func ends(s screen) bool { return s.End }

func TestPay(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	w := s.sale(testserver.RegisterMain, "24.30")
	require.NotEmpty(t, w.start().Title)
	following := w.until(func(s screen) bool { return strings.HasPrefix(s.Title, "Present the card") })
	require.False(t, following.Close, "the terminal has it")
	require.Empty(t, following.Actions)
	_, err := device.WaitTransaction(t.Context())
	require.NoError(t, err)
	require.NoError(t, device.Approve())
	require.Equal(t, "Approved", w.finish().Title)
	require.Equal(t, "accepted", w.step())
	require.Equal(t, []int64{2430}, s.cents())
	sale, _ := s.world.XSeries.Sale(w.modal.SaleID())
	require.True(t, sale.Closed)
	require.Equal(t, s.world.SmartConnect.Charges()[0].TransactionID, sale.Payments[0].TransactionID, "it can be found again over REST")
	require.True(t, strings.HasPrefix(sale.Payments[0].Receipt, "<pre>"))

	payments, err := s.router.Payments(t.Context(), pairing.Filter{}, 10)
	require.NoError(t, err)
	require.Len(t, payments, 1)
	require.Equal(t, "xseries/simstore/"+sale.ID+"/1", payments[0].ID)
	require.True(t, strings.HasPrefix(payments[0].Mark, "told "))
}

func TestDeclinedAndCancelled(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	for title, auto := range map[string]testserver.Auto{"Declined": testserver.AutoDecline, "Cancelled": testserver.AutoCancel} {
		device.SetAuto(auto, 0)
		w := s.sale(testserver.RegisterMain, "10")
		w.start()
		last := w.finish()
		require.Equal(t, title, last.Title)
		require.Positive(t, last.After, "the cashier has time to read it")
		require.Equal(t, "declined", w.step())
		require.Contains(t, w.start().Tell, "DECLINE", "the page's request may come again")
		device.SetAuto(testserver.AutoApprove, 0)
		again := s.reopen(w.modal.SaleID())
		again.start()
		again.finish()
		require.Equal(t, "accepted", again.step(), "the cashier may try again")
	}
	require.Equal(t, []int64{1000, 1000}, s.cents())
}

func TestRefundThenSplit(t *testing.T) {
	s := newStall(t)
	s.pair(testserver.RegisterMain, 0).SetAuto(testserver.AutoApprove, 0)
	refund := s.sale(testserver.RegisterMain, "-11.50")
	refund.start()
	require.Contains(t, refund.finish().Text[0], "11.50 was refunded")
	require.Equal(t, []int64{-1150}, s.cents())

	sale, err := s.world.XSeries.NewSale(testserver.RegisterMain, decimal.RequireFromString("30"))
	require.NoError(t, err)
	for range 3 {
		part := s.reopen(sale.ID)
		require.NotEqual(t, "doubt", part.start().Kind, "nobody is asked anything")
		part.finish()
		require.Equal(t, "accepted", part.step())
	}
	require.Equal(t, []int64{-1150, 1000, 1000, 1000}, s.cents())
	got, _ := s.world.XSeries.Sale(sale.ID)
	require.True(t, got.Closed)
}

func TestReopened(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	first := s.sale(testserver.RegisterMain, "10")
	first.start()
	_, err := device.WaitTransaction(t.Context())
	require.NoError(t, err)
	first.modal.Abandon()

	second := s.reopen(first.modal.SaleID())
	second.start()
	require.Equal(t, "Present the card at terminal "+device.ID(), second.now().Title, "the pending one is resumed")
	require.NoError(t, device.Approve())
	second.until(ends)
	second.modal.Abandon()

	third := s.reopen(first.modal.SaleID())
	require.Equal(t, "Approved", third.start().Title, "what was approved is resumed, too")
	third.finish()
	require.Equal(t, "accepted", third.step())
	require.Equal(t, []int64{1000}, s.cents())
	require.Empty(t, first.told().Tell, "the others don't tell it once more")
	require.Empty(t, second.told().Tell)
}

func TestTwoWindowsAtOnce(t *testing.T) {
	s := newStall(t)
	s.pair(testserver.RegisterMain, 0).SetAuto(testserver.AutoApprove, 0)
	sale, err := s.world.XSeries.NewSale(testserver.RegisterMain, decimal.RequireFromString("10"))
	require.NoError(t, err)
	windows := make([]*window, 6)
	for i := range windows {
		windows[i] = s.reopen(sale.ID)
	}
	each := func(do func(w *window)) {
		var all sync.WaitGroup
		for _, w := range windows {
			all.Go(func() { do(w) })
		}
		all.Wait()
	}
	each(func(w *window) {
		for range 20 {
			if w.start(); w.follow != "" {
				break
			}
		}
	})
	windows[0].until(ends)
	var mu sync.Mutex
	var tellers []*window
	each(func(w *window) {
		if w.told().Tell != "" {
			mu.Lock()
			tellers = append(tellers, w)
			mu.Unlock()
		}
	})
	require.Len(t, tellers, 1)
	require.Equal(t, []int64{1000}, s.cents())
}

func TestUnknownIsFollowedUntilSomebodyKnows(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	device.SetAuto(testserver.AutoApprove, 0)
	for _, test := range []struct {
		outcome tillroute.Outcome
		ended   string
	}{{tillroute.Approved, "accepted"}, {tillroute.Declined, "declined"}} {
		s.world.Fault(testserver.On("smartconnect", http.MethodPost, "/POS/Transaction"), testserver.LoseReply())
		w := s.sale(testserver.RegisterMain, "10")
		w.start()
		unknown := w.until(func(s screen) bool { return s.Kind == "doubt" })
		require.Equal(t, "It is not known whether the card was charged", unknown.Title)
		require.False(t, unknown.Close)
		require.Empty(t, unknown.Tell)
		require.False(t, unknown.End)
		require.Empty(t, unknown.Actions, "the cashier doesn't decide")
		status, _ := w.call("resolve", map[string]any{"token": w.follow, "outcome": "declined"})
		require.Equal(t, http.StatusForbidden, status)
		require.Empty(t, w.told().Tell)

		again := s.reopen(w.modal.SaleID())
		require.Equal(t, unknown.Title, again.start().Title)
		parked, err := s.router.Payments(t.Context(), pairing.Filter{States: []pairing.State{pairing.Parked}}, 10)
		require.NoError(t, err)
		require.Len(t, parked, 1)
		require.Contains(t, unknown.all(), parked[0].ID, "people can talk about it")
		_, err = s.router.Resolve(t.Context(), parked[0].ID, pairing.Resolution{Outcome: test.outcome, By: "Ann", Reason: "the journal says so"})
		require.NoError(t, err)
		w.finish()
		require.Equal(t, test.ended, w.step())
	}
	require.Len(t, s.cents(), 2, "each was charged once")
}

func TestCashierMayResolve(t *testing.T) {
	s := newStall(t, func(c *gateway.Config) { c.CashierMayResolve = true })
	s.pair(testserver.RegisterMain, 0).SetAuto(testserver.AutoApprove, 0)
	for label, ended := range map[string]string{"The terminal shows: approved": "accepted", "The terminal shows: declined": "declined"} {
		s.world.Fault(testserver.On("smartconnect", http.MethodPost, "/POS/Transaction"), testserver.LoseReply())
		w := s.sale(testserver.RegisterMain, "10")
		w.start()
		unknown := w.until(func(s screen) bool { return s.Kind == "doubt" })
		act := unknown.do(t, label)
		require.NotEmpty(t, act["sure"])
		for _, outcome := range []any{"cancelled", "failed", "unknown", "", nil} {
			status, _ := w.call("resolve", map[string]any{"token": w.follow, "outcome": outcome})
			require.NotEqual(t, http.StatusOK, status, outcome)
		}
		require.Equal(t, unknown.Title, w.now().Title)
		status, decided := w.call("resolve", map[string]any{"token": w.follow, "outcome": act["outcome"]})
		require.Equal(t, http.StatusOK, status)
		require.NotEqual(t, unknown.Title, decided.Title)
		status, repeated := w.call("resolve", map[string]any{"token": w.follow, "outcome": "approved"})
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, decided.Title, repeated.Title, "the first one decides")
		w.finish()
		require.Equal(t, ended, w.step())
	}
}

func TestWithdrawnWhileItWaits(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	s.pair(testserver.RegisterThird, 0)
	first := s.sale(testserver.RegisterMain, "10")
	first.start()
	_, err := device.WaitTransaction(t.Context())
	require.NoError(t, err)

	second := s.sale(testserver.RegisterThird, "20")
	waiting := second.start()
	require.Equal(t, "Waiting for terminal "+device.ID(), waiting.Title)
	require.Equal(t, []string{"One payment is before this one."}, waiting.Text)
	require.False(t, waiting.Close)
	require.Equal(t, "withdraw", waiting.do(t, "Cancel this payment")["do"])
	for range 2 {
		status, cancelled := second.call("withdraw", map[string]any{"token": second.follow})
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "Cancelled", cancelled.Title)
	}
	second.finish()
	require.Equal(t, "declined", second.step())

	status, going := first.call("withdraw", map[string]any{"token": first.follow})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "Present the card at terminal "+device.ID(), going.Title, "what the terminal has is cancelled there alone")
	require.NoError(t, device.Approve())
	first.finish()
	require.Equal(t, []int64{1000}, s.cents())
}

func TestNothingBeginsWithoutAStoreAndATerminal(t *testing.T) {
	s := newStall(t)
	w := s.sale(testserver.RegisterMain, "10")
	unpaired := w.start()
	require.Equal(t, "This register has no terminal yet", unpaired.Title)
	require.Equal(t, s.handler.PairingURL()+"?register="+testserver.RegisterMain, unpaired.Link.URL)
	require.True(t, unpaired.Close)
	require.Positive(t, unpaired.Retry)
	device := s.pair(testserver.RegisterMain, 0)
	device.SetAuto(testserver.AutoApprove, 0)
	w.start()
	w.finish()
	require.Equal(t, "accepted", w.step(), "the window goes on by itself")

	// The vendor no longer takes the token, and there is no way to renew it.
	s.world.Fault(testserver.On("xseries", "", "").Nth(1), testserver.ErrorBody(http.StatusUnauthorized, testserver.ErrorText, "Access token is not valid").Always())
	s.pair(testserver.RegisterThird, 1)
	dead := s.sale(testserver.RegisterThird, "10").start()
	require.Equal(t, "This store is not connected", dead.Title)
	require.True(t, dead.Close)
	require.NotEmpty(t, dead.Link.URL)
	s.world.ClearFaults()

	require.NoError(t, s.books.DeleteGrant(t.Context(), xseries.System, "simstore"))
	require.Equal(t, dead.Title, s.sale(testserver.RegisterMain, "10").start().Title)
	require.Equal(t, []int64{1000}, s.cents())
}

func TestForgedRequests(t *testing.T) {
	s := newStall(t)
	s.pair(testserver.RegisterMain, 0)
	ghost := "11111111-2222-3333-4444-555555555555"
	_, err := s.router.PairTerminal(t.Context(), pairing.Pairing{
		Register: s.register(ghost), Terminal: pairing.Terminal{Provider: smartconnect.Provider, Serial: "9"},
	})
	require.NoError(t, err)
	w := s.sale(testserver.RegisterMain, "10")
	data := func(success, register, amount string) string {
		return `{"success":` + success + `,"step":"DATA","register_sale":{"id":"s"},"payment":{"register_id":"` + register + `","amount":"` + amount + `"}}`
	}
	for name, test := range map[string]struct{ query, data, says string }{
		"another amount":         {"10", data("true", testserver.RegisterMain, "1000"), "don't agree"},
		"the sign":               {"10", data("true", testserver.RegisterMain, "-10"), "don't agree"},
		"another register":       {"10", data("true", testserver.RegisterThird, "10"), "don't agree"},
		"no register":            {"10", data("true", "", "10"), "don't agree"},
		"no success":             {"10", data("false", testserver.RegisterMain, "10"), "don't agree"},
		"success is missing":     {"10", `{"step":"DATA","payment":{"register_id":"` + testserver.RegisterMain + `","amount":"10"}}`, "don't agree"},
		"another step":           {"10", `{"step":"ACCEPT"}`, "don't agree"},
		"a request":              {"10", `{"step":"DATA"}`, "don't agree"},
		"no JSON":                {"10", "DATA", "don't agree"},
		"nothing":                {"10", "", "don't agree"},
		"two amounts":            {"10", `{"success":true,"step":"DATA","payment":{"register_id":"` + testserver.RegisterMain + `","amount":"10","amount":"11"}}`, "don't agree"},
		"parts of a cent":        {"10.001", data("true", testserver.RegisterMain, "10.001"), "not possible"},
		"more than can be":       {"1e30", data("true", testserver.RegisterMain, "1e30"), "not possible"},
		"a register not theirs":  {"10&register_id=" + ghost, data("true", ghost, "10"), "not one of the store's"},
		"a register of nobody's": {"10&register_id=x", data("true", "x", "10"), "no terminal"},
		"scripts":                {"10&register_id=" + url.QueryEscape("<script>"), data("true", "<script>", "10"), "no terminal"},
	} {
		t.Run(name, func(t *testing.T) {
			query := "amount=" + test.query
			if !strings.Contains(query, "register_id") {
				query += "&register_id=" + testserver.RegisterMain
			}
			status, _, text := s.get(s.site.URL + "/shop/pay?" + query + "&origin=" + url.QueryEscape(w.modal.Query().Get("origin")))
			require.Equal(t, http.StatusOK, status)
			require.NotContains(t, text, "<script>")
			token := html.UnescapeString(regexp.MustCompile(`data-token="([^"]*)"`).FindStringSubmatch(text)[1])
			forged := &window{stall: s, token: token, data: test.data}
			refused := forged.start()
			require.Contains(t, refused.Title, test.says)
			require.True(t, refused.Close)
			require.Empty(t, forged.follow)
			require.Empty(t, refused.Tell, "nothing was declined")
		})
	}
	for name, origin := range map[string]string{
		"another site":    "https://evil.example.com",
		"looks like it":   "https://simstore.retail.lightspeed.app.evil.example.com",
		"not https":       "http://simstore.retail.lightspeed.app",
		"a path":          "https://simstore.retail.lightspeed.app/",
		"a CSP":           "https://x.retail.lightspeed.app; script-src *",
		"none":            "",
		"the old address": "https://simstore.vendhq.com",
	} {
		status, header, text := s.get(s.site.URL + "/shop/pay?amount=10&origin=" + url.QueryEscape(origin))
		require.Equal(t, http.StatusBadRequest, status, name)
		require.NotContains(t, text, "data-token")
		require.NotContains(t, header.Get("Content-Security-Policy"), "script-src *")
	}
	// Another store's page says nothing about this one's register.
	status, _, text := s.get(s.site.URL + "/shop/pay?amount=10&register_id=" + testserver.RegisterMain + "&origin=" + url.QueryEscape("https://other.retail.lightspeed.app"))
	require.Equal(t, http.StatusOK, status)
	other := &window{stall: s, token: html.UnescapeString(regexp.MustCompile(`data-token="([^"]*)"`).FindStringSubmatch(text)[1]), data: w.data}
	require.Equal(t, "This store is not connected", other.start().Title)

	for _, token := range []string{"", "x", w.token + "x", "x" + w.token, strings.Replace(w.token, ".", "..", 1)} {
		status, _ := w.call("start", map[string]any{"token": token, "data": w.data})
		require.Equal(t, http.StatusForbidden, status, token)
	}
	payments, err := s.router.Payments(t.Context(), pairing.Filter{}, 10)
	require.NoError(t, err)
	require.Empty(t, payments)
}

func TestSurchargeAndTip(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	device.SetExtras(15, 100)
	device.SetAuto(testserver.AutoApprove, 0)
	w := s.sale(testserver.RegisterMain, "10")
	w.start()
	last := w.finish()
	require.Equal(t, []string{"NZD\u00a011.15 was charged.", "That is NZD\u00a01.15 more than the sale asks for: a surcharge or a tip."}, last.Text)
	require.Equal(t, "accepted", w.step())
	require.Equal(t, []int64{1115}, s.cents())
}

// TestTheStoreFailsAnywhere lets each call to the store fail once, and lose its answer once, in a payment from its beginning to
// its end. The page goes on as the real one does.
func TestTheStoreFailsAnywhere(t *testing.T) {
	s := newStall(t)
	device := s.pair(testserver.RegisterMain, 0)
	play := func(w *window, decided ...map[string]any) {
		for range 10 {
			if shown := w.start(decided...); w.follow != "" {
				break
			} else if shown.Retry == 0 {
				require.Fail(t, "the page gives up", shown.all())
			}
		}
		w.finish()
	}
	for name, least := range map[string]int{"Grant": 1, "Pairing": 2, "Payment": 4, "AcceptPayment": 1, "MarkPayment": 1} {
		for _, lose := range []bool{false, true} {
			at := 1
			for ; ; at++ {
				before := len(s.cents())
				device.SetAuto(testserver.AutoApprove, 0)
				approved := s.sale(testserver.RegisterMain, "20")
				s.books.plan(name, at, lose)
				play(approved)
				more := s.books.failed()
				require.Equal(t, "accepted", approved.step(), "%s, lost: %t", name, lose)
				require.Len(t, s.cents(), before+1, "%s, lost: %t", name, lose)

				device.SetAuto(testserver.AutoDecline, 0)
				declined := s.sale(testserver.RegisterMain, "20")
				s.books.plan(name, at, lose)
				play(declined)
				require.Equal(t, "declined", declined.step())
				require.Len(t, s.cents(), before+1)

				// A second part, which settles the first one.
				device.SetAuto(testserver.AutoApprove, 0)
				sale, err := s.world.XSeries.NewSale(testserver.RegisterMain, decimal.RequireFromString("20"))
				require.NoError(t, err)
				s.books.plan(name, 0, false)
				play(s.reopen(sale.ID))
				part := s.reopen(sale.ID)
				s.books.plan(name, at, lose)
				play(part)
				got, _ := s.world.XSeries.Sale(sale.ID)
				require.True(t, got.Closed)
				require.Len(t, s.cents(), before+3)
				if !more || at == 8 {
					break
				}
			}
			require.Greater(t, at, least, "%s has failed", name)
		}
	}
}
