package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
)

const testKey = tillroute.Secret("a key that has no less than thirty-two bytes")

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// attempted returns an attempt at the sale that begins with the sum that was recorded then.
func attempted(state pairing.State, outcome tillroute.Outcome, change func(*pairing.Payment, *detail)) pairing.Payment {
	d := detail{Sale: "sale", Page: "first"}
	p := pairing.Payment{
		Request: pairing.Request{ID: "p/1", Kind: pairing.Purchase, Amount: amount("10"), Currency: "NZD"},
		State:   state,
		Result:  pairing.Result{Outcome: outcome},
	}
	if outcome == tillroute.Approved {
		p.Result.Amount = p.Amount
	}
	if change != nil {
		change(&p, &d)
	}
	p.Data = encoded(d)
	return p
}

func TestJudge(t *testing.T) {
	type change = func(*pairing.Payment, *detail)
	mark := func(mark string) change { return func(p *pairing.Payment, _ *detail) { p.Mark = mark } }
	for name, test := range map[string]struct {
		state   pairing.State
		outcome tillroute.Outcome
		change  change
		paid    string
		page    string
		want    verdict
	}{
		"queued":                      {pairing.Queued, tillroute.Unknown, nil, "0", "", resume},
		"being sent":                  {pairing.Sending, tillroute.Unknown, nil, "0", "", resume},
		"sent":                        {pairing.Sent, tillroute.Unknown, nil, "0", "", resume},
		"unknown":                     {pairing.Parked, tillroute.Unknown, nil, "0", "", resume},
		"unknown, and the sum is met": {pairing.Parked, tillroute.Unknown, nil, "10", "", resume},
		"unknown, marked":             {pairing.Parked, tillroute.Unknown, mark(recordedByCashier), "10", "", resume},
		"declined":                    {pairing.Done, tillroute.Declined, nil, "0", "", begin},
		"cancelled":                   {pairing.Done, tillroute.Cancelled, nil, "0", "", begin},
		"failed":                      {pairing.Done, tillroute.Failed, nil, "0", "", begin},
		"declined, of this page":      {pairing.Done, tillroute.Declined, nil, "0", "first", resume},
		"recorded":                    {pairing.Done, tillroute.Approved, mark(recordedBySale), "0", "", begin},
		"recorded, says the cashier":  {pairing.Done, tillroute.Approved, mark(recordedByCashier), "0", "", begin},
		"recorded, of this page":      {pairing.Done, tillroute.Approved, mark(recordedBySale), "10", "first", resume},
		"approved, never told":        {pairing.Done, tillroute.Approved, nil, "0", "", resume},
		"never told, a part recorded": {pairing.Done, tillroute.Approved, nil, "9.99", "", resume},
		"never told, sum recorded":    {pairing.Done, tillroute.Approved, nil, "10", "", doubt},
		"never told, more recorded":   {pairing.Done, tillroute.Approved, nil, "15", "", doubt},
		"never told, less than before": {pairing.Done, tillroute.Approved, func(_ *pairing.Payment, d *detail) {
			d.Paid = amount("10")
		}, "0", "", resume},
		"told, not recorded":               {pairing.Done, tillroute.Approved, mark(toldBy("first", amount("0"))), "0", "", doubt},
		"told, a part recorded":            {pairing.Done, tillroute.Approved, mark(toldBy("first", amount("0"))), "9.99", "", doubt},
		"told, sum recorded":               {pairing.Done, tillroute.Approved, mark(toldBy("first", amount("0"))), "10", "", begin},
		"told, with cash":                  {pairing.Done, tillroute.Approved, mark(toldBy("first", amount("0"))), "15", "", begin},
		"told when cash had been recorded": {pairing.Done, tillroute.Approved, mark(toldBy("first", amount("10"))), "10", "", doubt},
		"undone":                           {pairing.Done, tillroute.Approved, mark(undoneByCashier), "0", "", begin},
		"given back, an operator says":     {pairing.Done, tillroute.Approved, mark("given back: Ana"), "0", "", begin},
		"undone, as it was written before": {pairing.Done, tillroute.Approved, mark("undone: the cashier"), "0", "", begin},
		"told by this page":                {pairing.Done, tillroute.Approved, mark(toldBy("other", amount("0"))), "10", "", resume},
		"told, after others were recorded": {pairing.Done, tillroute.Approved, func(p *pairing.Payment, d *detail) {
			p.Mark, d.Paid = toldBy("first", amount("10")), amount("10")
		}, "20", "", begin},
		"told, and what was before is all there is": {pairing.Done, tillroute.Approved, func(p *pairing.Payment, d *detail) {
			p.Mark, d.Paid = toldBy("first", amount("10")), amount("10")
		}, "10", "", doubt},
		"told, with a surcharge and a tip that the sale doesn't have": {pairing.Done, tillroute.Approved, func(p *pairing.Payment, _ *detail) {
			p.Mark, p.Result.Amount, p.Result.Surcharge, p.Result.Tip = toldBy("first", amount("0")), amount("12"), amount("0.5"), amount("1.5")
		}, "10", "", begin},
		"told, for a part": {pairing.Done, tillroute.Approved, func(p *pairing.Payment, _ *detail) {
			p.Mark, p.Result.Amount = toldBy("first", amount("0")), amount("6")
		}, "6", "", begin},
		"a refund, told and recorded": {pairing.Done, tillroute.Approved, func(p *pairing.Payment, _ *detail) {
			p.Kind, p.Mark = pairing.Refund, toldBy("first", amount("0"))
		}, "-10", "", begin},
		"a refund, told and not recorded": {pairing.Done, tillroute.Approved, func(p *pairing.Payment, _ *detail) {
			p.Kind, p.Mark = pairing.Refund, toldBy("first", amount("0"))
		}, "0", "", doubt},
		"a refund, told, and somebody paid": {pairing.Done, tillroute.Approved, func(p *pairing.Payment, _ *detail) {
			p.Kind, p.Mark = pairing.Refund, toldBy("first", amount("0"))
		}, "10", "", doubt},
		"no sale, told":       {pairing.Done, tillroute.Approved, func(p *pairing.Payment, d *detail) { p.Mark, d.Sale = toldBy("first", amount("0")), "" }, "0", "", begin},
		"no sale, never told": {pairing.Done, tillroute.Approved, func(_ *pairing.Payment, d *detail) { d.Sale = "" }, "0", "", doubt},
		"no detail": {pairing.Done, tillroute.Approved, func(p *pairing.Payment, d *detail) {
			*d = detail{}
			p.Mark = "something else"
		}, "0", "", doubt},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask{Kind: pairing.Purchase, Amount: amount("10"), Page: "other"}
			if test.page != "" {
				a.Page = test.page
			}
			require.Equal(t, test.want, judge(attempted(test.state, test.outcome, test.change), a, amount(test.paid)))
		})
	}
}

func TestDetailThatCannotBeRead(t *testing.T) {
	for _, data := range []string{"", "null", "[]", `{"sale":1}`, `{"sale":"a","paid":"x"}`, "\xff"} {
		p := attempted(pairing.Done, tillroute.Approved, nil)
		p.Data = []byte(data)
		require.Equal(t, detail{}, readDetail(p), data)
		require.Equal(t, doubt, judge(p, ask{Page: "other"}, amount("0")), "a person is asked")
	}
}

func TestCovers(t *testing.T) {
	for name, test := range map[string]struct {
		asked, charged, surcharge, tip string
		kind                           pairing.Kind
		opened                         string
		want                           bool
	}{
		"exactly":                             {"10", "10", "0", "0", pairing.Purchase, "10.00", true},
		"a refund for a purchase":             {"10", "10", "0", "0", pairing.Refund, "10", false},
		"a part":                              {"10", "8", "0", "0", pairing.Purchase, "10", false},
		"the part is asked for":               {"10", "8", "0", "0", pairing.Purchase, "8", true},
		"a cent less":                         {"10", "9.99", "0", "0", pairing.Purchase, "10", false},
		"surcharge and tip on top":            {"10", "12", "0.5", "1.5", pairing.Purchase, "10", true},
		"a part, with a tip that fills it up": {"10", "10", "0", "2", pairing.Purchase, "10", false},
		"that part is asked for":              {"10", "10", "0", "2", pairing.Purchase, "8", true},
		"more, and nobody says what for":      {"10", "10.30", "0", "0", pairing.Purchase, "10", true},
		"more than another page asks for":     {"10", "10", "0", "0", pairing.Purchase, "5", false},
		"less than another page asks for":     {"10", "10", "0", "0", pairing.Purchase, "20", false},
		"more for what another page asks for": {"10", "10.30", "0", "0", pairing.Purchase, "10.20", false},
		"nothing":                             {"10", "0", "0", "0", pairing.Purchase, "10", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := attempted(pairing.Done, tillroute.Approved, func(p *pairing.Payment, _ *detail) {
				p.Amount = amount(test.asked)
				p.Result.Amount, p.Result.Surcharge, p.Result.Tip = amount(test.charged), amount(test.surcharge), amount(test.tip)
			})
			require.Equal(t, test.want, covers(p, test.kind, amount(test.opened)))
		})
	}
}

func TestChain(t *testing.T) {
	const register, sale = "0af7b240-0c4b-11ec-fe63-3d5a1a1bbc9e", "6c1d7e2e-0000-11ec-fe63-3d5a1a1bbc9e"
	require.Equal(t, "xseries/acme/"+sale+"/", chain("acme", register, sale))
	require.Equal(t, chain("acme", register, sale), chain("acme", "another", sale), "a sale may be taken up at another register")
	require.Equal(t, "xseries/acme/@"+register+"/", chain("acme", register, ""))

	seen := map[string]string{}
	for _, store := range []string{"acme", "acme2"} {
		for _, register := range []string{"", "a", "a/b", "A", "-", "_", strings.Repeat("r", 41), strings.Repeat("r", 100_000), "ü", "\x00", "\xff", "a\n", "a/1"} {
			for _, sale := range []string{"", "s", "b/s", "s/1", "S", strings.Repeat("s", 41), "0", "\"", "_" + strings.Repeat("0", 32)} {
				ids := chain(store, register, sale)
				key := fmt.Sprintf("%q %q", store, sale)
				if sale == "" {
					key = fmt.Sprintf("%q at %q", store, register)
				}
				if seen[ids] != key {
					require.Empty(t, seen[ids], "%s and %s", seen[ids], key)
				}
				seen[ids] = key
				require.Equal(t, 3, strings.Count(ids, "/"), key)
				require.Less(t, len(ids), 190, "with a number it is an ID that the router takes")
				require.NotRegexp(t, `[^a-zA-Z0-9/_@-]`, ids)
			}
		}
	}
}

// books count how often a payment is read.
type books struct {
	pairing.Store

	reads atomic.Int64
}

func (b *books) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	b.reads.Add(1)
	return b.Store.Payment(ctx, id)
}

// bench is a handler on a router whose terminal does what the test says.
type bench struct {
	*Handler

	t       *testing.T
	books   *books
	meddler *meddler
	router  *pairing.Router

	mu     sync.Mutex
	charge map[string]chan pairing.Result
}

const benchStore, benchRegister = "acme", "0af7b240-0c4b-11ec-fe63-3d5a1a1bbc9e"

func newBench(t *testing.T, changes ...func(*Config)) *bench {
	t.Helper()
	m := &meddler{Store: memstore.New(memstore.Config{})}
	b := &bench{t: t, books: &books{Store: m}, meddler: m, charge: map[string]chan pairing.Result{}}
	var err error
	b.router, err = pairing.New(pairing.Config{Store: b.books, Drivers: map[string]pairing.Driver{"bench": (*benchDriver)(b)}})
	require.NoError(t, err)
	config := Config{
		Router: b.router, Tokens: b.books, URL: "https://pay.example.com/x", Key: testKey,
		OAuth: xseries.OAuth{ClientID: "id", ClientSecret: "secret"},
	}
	for _, change := range changes {
		change(&config)
	}
	b.Handler, err = New(config)
	require.NoError(t, err)
	_, err = b.books.PutGrant(t.Context(), pairing.Grant{System: xseries.System, Account: benchStore, AccessToken: "token"}, 0)
	require.NoError(t, err)
	_, err = b.router.PairTerminal(t.Context(), pairing.Pairing{
		Register: xseries.RegisterKey(benchStore, benchRegister), Terminal: pairing.Terminal{Provider: "bench", Serial: "1"}, TerminalName: "the till's terminal",
	})
	require.NoError(t, err)
	s, err := b.store(benchStore)
	require.NoError(t, err)
	s.keep(register{ID: benchRegister, Name: "Main", Currency: "NZD"})

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.router.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return b
}

// benchDriver is the bench's terminal.
type benchDriver bench

func (d *benchDriver) result(id string) chan pairing.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.charge[id] == nil {
		d.charge[id] = make(chan pairing.Result, 1)
	}
	return d.charge[id]
}

func (d *benchDriver) Start(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
	return pairing.Handle{TransactionID: "t-" + p.ID}, nil
}

func (d *benchDriver) Await(ctx context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	select {
	case r := <-d.result(p.ID):
		return r, nil
	case <-ctx.Done():
		return pairing.Result{}, ctx.Err()
	}
}

// end lets the terminal end a payment, and returns it.
func (b *bench) end(id string, r pairing.Result) pairing.Payment {
	b.t.Helper()
	(*benchDriver)(b).result(id) <- r
	p, err := b.router.Wait(b.t.Context(), id)
	if r.Outcome == tillroute.Unknown {
		require.ErrorIs(b.t, err, tillroute.ErrOutcomeUnknown)
	} else {
		require.NoError(b.t, err)
	}
	return p
}

// post posts to the handler as the page does.
func (b *bench) post(path string, body any) answer {
	b.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(b.t, err)
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "https://pay.example.com/x"+path, bytes.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	require.Equal(b.t, http.StatusOK, w.Code, w.Body.String())
	var a answer
	require.NoError(b.t, json.Unmarshal(w.Body.Bytes(), &a))
	return a
}

// opened is a page on the bench.
type opened struct {
	ask

	token, data string
	// following is the token of the payment that it follows, and payment is its ID.
	following, payment string
}

// open opens a page for a sale, of which so much is recorded.
func (b *bench) open(sale string, kind pairing.Kind, a, paid decimal.Decimal) *opened {
	p := &opened{ask: ask{Store: benchStore, Register: benchRegister, Kind: kind, Amount: a, Page: nonce(), Opened: time.Now().Unix()}}
	p.token = seal(b.keys, forPage, p.ask, pageTTL)
	if kind == pairing.Refund {
		a = a.Neg()
	}
	p.data = fmt.Sprintf(`{"success":true,"step":"DATA","register_sale":{"id":%q,"totals":{"total_paid":%q}},"payment":{"register_id":%q,"amount":%q}}`,
		sale, paid, benchRegister, a)
	return p
}

// start begins the page's payment, with what the cashier decided.
func (b *bench) start(p *opened, decided action) screen {
	b.t.Helper()
	a := b.post("/pay/start", map[string]string{
		"token": p.token, "data": p.data, "use": decided.Use, "settled": decided.Settled, "mark": decided.Mark,
	})
	if a.Follow != "" {
		f, err := open[follow](b.keys, forPayment, a.Follow)
		require.NoError(b.t, err)
		p.following, p.payment = a.Follow, f.ID
	}
	return a.Screen
}

// told claims the right to tell the sell screen.
func (b *bench) told(p *opened) screen {
	b.t.Helper()
	return b.post("/pay/told", map[string]string{"token": p.following}).Screen
}

// payments returns those that were accepted after a Seq.
func (b *bench) payments(after int64) []pairing.Payment {
	b.t.Helper()
	list, err := b.router.Payments(b.t.Context(), pairing.Filter{After: after}, 10_000)
	require.NoError(b.t, err)
	return list
}

func TestLatest(t *testing.T) {
	b := newBench(t)
	ids := chain(benchStore, benchRegister, "")
	for n := range 70 {
		b.books.reads.Store(0)
		p, got, err := b.latest(t.Context(), ids)
		require.NoError(t, err)
		require.Equal(t, n, got)
		if n > 0 {
			require.Equal(t, ids+strconv.Itoa(n), p.ID)
		}
		require.LessOrEqual(t, b.books.reads.Load(), int64(15), "the reads grow with the number of digits")
		_, err = b.router.Submit(t.Context(), pairing.Request{
			ID: ids + strconv.Itoa(n+1), Register: xseries.RegisterKey(benchStore, benchRegister), Amount: amount("1"), Currency: "NZD",
		})
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := b.latest(ctx, ids)
	require.ErrorIs(t, err, context.Canceled)
}

// TestHistories plays random histories of one sale against a model of the sell screen, the terminal and a truthful cashier.
func TestHistories(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	b := newBench(t)
	for seed := range uint64(400) {
		m := &model{bench: b, random: rand.New(rand.NewPCG(seed, 1)), sale: "sale-" + strconv.FormatUint(seed, 10), kind: pairing.Purchase}
		if seed%5 == 4 {
			m.kind = pairing.Refund
		}
		m.calm = seed%4 == 0
		if all := b.payments(0); len(all) > 0 {
			m.after = all[len(all)-1].Seq
		}
		for range 30 {
			m.step()
			if t.Failed() {
				t.Fatalf("seed %d: %s", seed, strings.Join(m.story, "; "))
			}
		}
		for len(m.pending()) > 0 {
			m.terminal()
		}
	}
}

// model is what really happened to a sale.
type model struct {
	*bench

	random *rand.Rand
	sale   string
	kind   pairing.Kind
	// calm histories lose nothing and remove nothing: nobody must ever be asked anything.
	calm  bool
	pages []*opened
	// recorded are the payments that the sell screen has, by the payment's ID; "" is cash.
	recorded []record
	// charged is what the terminal charged, by ID, and had says which of these the sale has, or had, or that were given back.
	charged map[string]decimal.Decimal
	had     map[string]bool
	// lost are the charges whose ACCEPT was lost, and cashed are the payments since whose beginning cash was recorded: then
	// nobody can tell the one from the other.
	lost   map[string]bool
	cashed map[string]bool
	story  []string
	// after is the Seq of the last payment of other sales.
	after int64
}

type record struct {
	id     string
	amount decimal.Decimal
}

func (m *model) tell(format string, args ...any) {
	m.story = append(m.story, fmt.Sprintf(format, args...))
}

func (m *model) paid() decimal.Decimal {
	sum := decimal.Zero
	for _, r := range m.recorded {
		sum = sum.Add(r.amount)
	}
	if m.kind == pairing.Refund {
		return sum.Neg()
	}
	return sum
}

func (m *model) step() {
	m.t.Helper()
	if m.had == nil {
		m.had, m.lost, m.cashed, m.charged = map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]decimal.Decimal{}
	}
	switch n := m.random.IntN(20); {
	case n < 6:
		// Two pages of one sale may be open at once, on two windows of the register.
		p := m.open(m.sale, m.kind, amount("10"), m.paid())
		m.pages = append(m.pages, p)
		m.tell("open %.4s", p.Page)
		m.begin(p)
	case n < 8 && len(m.pages) > 0 && !m.calm:
		p := m.pages[m.random.IntN(len(m.pages))]
		m.tell("repeat %.4s", p.Page)
		m.begin(p)
	case n < 13:
		m.terminal()
	case n < 16 && len(m.pages) > 0:
		m.look(m.random.IntN(len(m.pages)), m.random.IntN(4))
	case n < 17 && len(m.pages) > 0 && !m.calm:
		i := m.random.IntN(len(m.pages))
		m.tell("lose %.4s", m.pages[i].Page)
		m.pages = slices.Delete(m.pages, i, i+1)
	case n < 18:
		m.tell("cash")
		m.recorded = append(m.recorded, record{"", amount("5")})
		for _, p := range m.payments(m.after) {
			m.cashed[p.ID] = true
		}
	case n < 19 && len(m.recorded) > 0 && !m.calm:
		i := m.random.IntN(len(m.recorded))
		m.tell("remove %s", m.recorded[i].id)
		m.recorded = slices.Delete(m.recorded, i, i+1)
	}
}

// begin lets a page begin, and the cashier answer what it asks.
func (m *model) begin(p *opened) {
	m.t.Helper()
	before := len(m.payments(m.after))
	s := m.start(p, action{})
	if m.random.IntN(3) == 0 {
		s = m.start(p, action{}) // The answer was lost.
	}
	if len(s.Actions) > 0 && s.Actions[0].Do == "start" {
		id := s.Actions[len(s.Actions)-1].Settled
		if m.calm && !m.cashed[id] {
			m.t.Errorf("the cashier is asked about %s, which is confirmed", id)
		}
		choice := s.Actions[len(s.Actions)-1]
		if !m.had[id] && s.Actions[0].Use == id {
			choice = s.Actions[0]
		}
		m.had[id] = m.had[id] || choice.Settled == id
		m.tell("asked about %s: %s", id, choice.Label)
		m.start(p, choice)
	}
	for _, begun := range m.payments(m.after)[before:] {
		m.tell("%.4s begins %s", p.Page, begun.ID)
		for id := range m.charged {
			if m.had[id] || (m.lost[id] && m.cashed[id]) {
				continue
			}
			m.t.Errorf("%s is charged, and nobody knows what became of %s", begun.ID, id)
		}
		if pending := m.pending(); len(pending) > 1 {
			m.t.Errorf("%d payments are under way", len(pending))
		}
		if readDetail(begun).Page != p.Page {
			m.t.Errorf("the payment is another page's")
		}
	}
	own := 0
	for _, one := range m.payments(m.after) {
		if readDetail(one).Page == p.Page {
			own++
		}
	}
	if own > 1 {
		m.t.Errorf("page %.4s has begun %d payments", p.Page, own)
	}
}

func (m *model) pending() []pairing.Payment {
	return slices.DeleteFunc(m.payments(m.after), func(p pairing.Payment) bool { return p.State == pairing.Done })
}

// terminal ends the payment that is under way.
func (m *model) terminal() {
	m.t.Helper()
	for _, p := range m.pending() {
		if p.State == pairing.Parked {
			approved := m.random.IntN(2) == 0
			r := pairing.Resolution{Outcome: tillroute.Declined, By: "Ann", Reason: "seen"}
			if approved {
				r.Outcome = tillroute.Approved
				m.charged[p.ID] = p.Amount
			}
			m.tell("resolve %s: %s", p.ID, r.Outcome)
			_, err := m.router.Resolve(m.t.Context(), p.ID, r)
			require.NoError(m.t, err)
			continue
		}
		outcome := []tillroute.Outcome{
			tillroute.Approved, tillroute.Approved, tillroute.Approved, tillroute.Declined, tillroute.Cancelled, tillroute.Failed, tillroute.Unknown,
		}[m.random.IntN(7)]
		r := pairing.Result{Outcome: outcome, TransactionID: "t-" + p.ID}
		if outcome == tillroute.Approved {
			r.Amount = p.Amount
			m.charged[p.ID] = p.Amount
		}
		m.tell("terminal %s: %s", p.ID, outcome)
		m.end(p.ID, r)
	}
}

// look lets a page see how its payment stands, and say so.
func (m *model) look(i, luck int) {
	m.t.Helper()
	p := m.pages[i]
	if p.following == "" {
		return
	}
	payment, err := m.router.Payment(m.t.Context(), p.payment)
	require.NoError(m.t, err)
	f, err := open[follow](m.keys, forPayment, p.following)
	require.NoError(m.t, err)
	s := m.now(m.t.Context(), payment, f)
	isAccept, isDecline := strings.Contains(s.Tell, `"ACCEPT"`), strings.Contains(s.Tell, `"DECLINE"`)
	switch {
	case isAccept != s.Claim:
		m.t.Errorf("an ACCEPT is claimed, nothing else is")
	case isAccept && m.charged[payment.ID].IsZero():
		m.t.Errorf("ACCEPT for %s, which was not charged", payment.ID)
	case isDecline && !m.charged[payment.ID].IsZero():
		m.t.Errorf("DECLINE for %s, which was charged", payment.ID)
	case isDecline && payment.State != pairing.Done:
		m.t.Errorf("DECLINE for %s, which is not over", payment.ID)
	case s.Close && payment.State != pairing.Done:
		m.t.Errorf("the window can be closed, and %s is under way", payment.ID)
	}
	if isDecline {
		m.tell("%.4s DECLINE", p.Page)
		m.pages = slices.Delete(m.pages, i, i+1)
	}
	if !isAccept {
		return
	}
	claimed := m.told(p)
	if claimed.Tell == "" {
		m.t.Logf("%s", claimed.Title)
		m.pages = slices.Delete(m.pages, i, i+1)
		return
	}
	m.pages = slices.Delete(m.pages, i, i+1)
	if luck == 0 && !m.calm {
		m.tell("%.4s loses the ACCEPT of %s", p.Page, payment.ID)
		m.lost[payment.ID] = true
		return
	}
	m.tell("%.4s ACCEPT of %s", p.Page, payment.ID)
	if m.had[payment.ID] {
		m.t.Errorf("%s is recorded twice", payment.ID)
	}
	m.had[payment.ID] = true
	m.recorded = append(m.recorded, record{payment.ID, p.Amount})
}
