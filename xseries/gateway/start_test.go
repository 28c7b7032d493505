package gateway

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// approve ends a page's payment.
func (b *bench) approve(p *opened, charged string) {
	b.t.Helper()
	b.end(p.payment, pairing.Result{Outcome: tillroute.Approved, Amount: amount(charged), TransactionID: "t-" + p.payment})
}

// purchase opens a page for 10 and begins its payment.
func (b *bench) purchase() *opened {
	b.t.Helper()
	p := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	require.Contains(b.t, []string{"Waiting for the till's terminal", "Present the card at the till's terminal"}, b.start(p, action{}).Title)
	return p
}

func TestWhatIsUnderWayIsResumedWhateverBecameOfTheStore(t *testing.T) {
	for name, lose := range map[string]func(*bench){
		"unpaired": func(b *bench) {
			require.NoError(b.t, b.router.Unpair(b.t.Context(), xseries.RegisterKey(benchStore, benchRegister)))
		},
		"no longer connected": func(b *bench) {
			require.NoError(b.t, b.books.DeleteGrant(b.t.Context(), xseries.System, benchStore))
		},
		"the vendor can't be reached": func(b *bench) {
			b.mu.Lock()
			defer b.mu.Unlock()
			clear(b.stores[benchStore].registers)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(c *Config) {
				c.HTTP = tillroute.HTTPOptions{Retries: -1, Transport: unreachable{}}
			})
			first := b.purchase()
			lose(b)
			second := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
			s := b.start(second, action{})
			require.Equal(t, first.payment, second.payment, s.Title)
			require.False(t, s.Close)
			b.approve(first, "10")
			third := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
			require.Contains(t, b.start(third, action{}).Tell, `"ACCEPT"`)
			require.Contains(t, b.told(third).Tell, `"ACCEPT"`)
			require.Len(t, b.payments(0), 1)

			other := b.open("another sale", pairing.Purchase, amount("10"), decimal.Zero)
			s = b.start(other, action{})
			require.Empty(t, other.payment, "nothing new begins")
			require.True(t, s.Close)
			require.Positive(t, s.Retry)
			require.Len(t, b.payments(0), 1)
		})
	}
}

// unreachable is a network without anybody.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no route to host")
}

func TestCheckRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"for people":           {&tillroute.Error{Kind: tillroute.KindForbidden, Message: "no refunds after six"}, "No refunds after six."},
		"wrapped":              {errors.Join(errors.New("x"), &tillroute.Error{Kind: tillroute.KindInvalid, Message: "too much"}), "Too much."},
		"not for people":       {errors.New("dial tcp 10.0.0.1: password is hunter2"), "It was refused."},
		"like a conflict":      {&tillroute.Error{Kind: tillroute.KindConflict, Message: "somebody else's"}, "Somebody else's."},
		"like a lost pairing":  {pairing.Errorf(tillroute.KindNotFound, pairing.ErrNotPaired, "not here"), "Not here."},
		"like a lost answer":   {&tillroute.Error{Kind: tillroute.KindUnavailable, Outcome: tillroute.Unknown, Message: "ask later"}, "Ask later."},
		"without text":         {&tillroute.Error{Kind: tillroute.KindForbidden}, "It was refused."},
		"with text of a stack": {&tillroute.Error{Message: "<b>no</b>"}, "<b>no</b>."},
	} {
		t.Run(name, func(t *testing.T) {
			var asked pairing.Request
			calls := 0
			b := newBench(t, func(c *Config) {
				c.Check = func(r *http.Request, request pairing.Request) error {
					asked, calls = request, calls+1
					require.Equal(t, "/x/pay/start", r.URL.Path)
					return test.err
				}
			})
			p := b.open("sale", pairing.Refund, amount("10"), decimal.Zero)
			s := b.start(p, action{})
			require.Equal(t, "This payment is not possible", s.Title)
			require.Equal(t, []string{test.want, "Nothing was charged. Close this window, and try again."}, s.Text)
			require.True(t, s.Close)
			require.Zero(t, s.Retry)
			require.Empty(t, s.Tell)
			require.Empty(t, b.payments(0))
			require.Equal(t, 1, calls)
			require.Equal(t, pairing.Refund, asked.Kind)
			require.Equal(t, "10", asked.Amount.String())
			require.Equal(t, "NZD", asked.Currency)
			require.Equal(t, xseries.RegisterKey(benchStore, benchRegister), asked.Register)
		})
	}
}

func TestAPageHasOnePayment(t *testing.T) {
	b := newBench(t)
	first := b.purchase()
	begun := first.payment
	b.start(first, action{})
	require.Equal(t, begun, first.payment)
	b.end(begun, pairing.Result{Outcome: tillroute.Declined})
	require.Contains(t, b.start(first, action{}).Tell, `"DECLINE"`)
	require.Len(t, b.payments(0), 1)

	// Others begin after it, and the first one's request comes once more.
	second := b.purchase()
	b.end(second.payment, pairing.Result{Outcome: tillroute.Declined})
	third := b.purchase()
	b.end(third.payment, pairing.Result{Outcome: tillroute.Cancelled})
	require.Contains(t, b.start(first, action{}).Tell, `"DECLINE"`)
	require.Equal(t, begun, first.payment)
	require.Contains(t, b.start(second, action{}).Tell, `"DECLINE"`)
	require.Len(t, b.payments(0), 3)

	// Also if there is a payment to decide about.
	fourth := b.purchase()
	b.approve(fourth, "10")
	require.NotEmpty(t, b.told(fourth).Tell)
	require.Contains(t, b.start(first, action{}).Tell, `"DECLINE"`)
	require.Len(t, b.payments(0), 4)
}

func TestOwnPaymentIsNotLookedForBeforeThePageWasOpened(t *testing.T) {
	b := newBench(t)
	for range 8 {
		b.end(b.purchase().payment, pairing.Result{Outcome: tillroute.Declined})
	}
	p := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	p.Opened = time.Now().Add(clockSkew + time.Hour).Unix()
	p.token = seal(b.keys, forPage, p.ask, pageTTL)
	b.books.reads.Store(0)
	b.start(p, action{})
	require.NotEmpty(t, p.payment)
	require.LessOrEqual(t, b.books.reads.Load(), int64(12))
}

// doubted returns a bench on which one ACCEPT was lost.
func doubted(t *testing.T) (b *bench, charged string) {
	t.Helper()
	b = newBench(t)
	first := b.purchase()
	b.approve(first, "10")
	require.Contains(t, b.told(first).Tell, `"ACCEPT"`)
	return b, first.payment
}

func TestDoubtIsDecidedOnce(t *testing.T) {
	b, charged := doubted(t)
	one := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	two := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	asked, alsoAsked := b.start(one, action{}), b.start(two, action{})
	require.Equal(t, "Does the sale have the card payment of NZD\u00a010.00?", asked.Title)
	require.Equal(t, asked, alsoAsked)
	require.Len(t, asked.Actions, 2)
	use := asked.Actions[0]
	require.Equal(t, charged, use.Use)
	require.NotEmpty(t, use.Sure)

	require.Contains(t, b.start(one, use).Tell, `"ACCEPT"`)
	require.Contains(t, b.start(one, use).Tell, `"ACCEPT"`, "the answer may be lost")
	require.Contains(t, b.told(one).Tell, `"ACCEPT"`)
	require.Contains(t, b.told(one).Tell, `"ACCEPT"`, "the answer may be lost")
	require.Contains(t, b.start(one, use).Tell, `"ACCEPT"`, "the request may come twice")

	again := b.start(two, use)
	require.Empty(t, again.Tell, "the other window's answer is good for what it was shown")
	require.Equal(t, asked.Title, again.Title, "it is asked about what has become of it")
	require.Len(t, b.payments(0), 1)
}

func TestTwoWindowsThatUseTheSame(t *testing.T) {
	b, _ := doubted(t)
	one := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	two := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	use := b.start(one, action{}).Actions[0]
	require.Contains(t, b.start(one, use).Tell, `"ACCEPT"`)
	require.Contains(t, b.start(two, use).Tell, `"ACCEPT"`)
	require.Contains(t, b.told(two).Tell, `"ACCEPT"`)
	late := b.told(one)
	require.Empty(t, late.Tell)
	require.Contains(t, strings.Join(late.Text, " "), "Another window")
}

func TestDoubtIsSettled(t *testing.T) {
	b, charged := doubted(t)
	p := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	settled := b.start(p, action{}).Actions[1]
	require.Equal(t, charged, settled.Settled)
	b.start(p, settled)
	require.NotEqual(t, charged, p.payment)
	old, err := b.router.Payment(t.Context(), charged)
	require.NoError(t, err)
	require.Equal(t, recordedByCashier, old.Mark)
	b.start(p, settled)
	require.Len(t, b.payments(0), 2)
}

func TestOnlyDoubtIsTheCashiersToDecide(t *testing.T) {
	b := newBench(t)
	first := b.purchase()
	second := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	for _, decided := range []action{{Settled: first.payment}, {Use: first.payment}} {
		b.start(second, decided)
		require.Equal(t, first.payment, second.payment, "it is under way")
	}
	b.end(first.payment, pairing.Result{Outcome: tillroute.Unknown, Reason: "lost"})
	b.start(second, action{Settled: first.payment})
	require.Equal(t, first.payment, second.payment, "it is not known")
	_, err := b.router.Resolve(t.Context(), first.payment, pairing.Resolution{Outcome: tillroute.Approved, By: "Ann", Reason: "seen"})
	require.NoError(t, err)
	require.Contains(t, b.start(second, action{Settled: first.payment}).Tell, `"ACCEPT"`, "it was approved and never told")
	require.Len(t, b.payments(0), 1)
}

func TestAnApprovalOfAPartIsNeverAccepted(t *testing.T) {
	b := newBench(t)
	first := b.purchase()
	b.approve(first, "8")
	s := b.start(first, action{})
	require.Equal(t, "Only NZD\u00a08.00 was charged", s.Title)
	require.True(t, s.Close)
	require.Empty(t, s.Tell)
	require.Empty(t, b.told(first).Tell)
	p, err := b.router.Payment(t.Context(), first.payment)
	require.NoError(t, err)
	require.Empty(t, p.Mark, "it can't be claimed either")

	whole := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	require.Empty(t, b.start(whole, action{Use: first.payment}).Tell)

	part := b.open("sale", pairing.Purchase, amount("8"), decimal.Zero)
	require.Contains(t, b.start(part, action{}).Tell, `"ACCEPT"`)
	require.Contains(t, b.told(part).Tell, `"ACCEPT"`)

	rest := b.open("sale", pairing.Purchase, amount("2"), amount("8"))
	b.start(rest, action{})
	require.NotEqual(t, first.payment, rest.payment)
	require.Len(t, b.payments(0), 2)
}

func TestAnApprovalOfAPartThatWasUndone(t *testing.T) {
	b := newBench(t)
	p := b.purchase()
	b.approve(p, "8")
	seen := b.start(p, action{})
	require.Equal(t, "Only NZD\u00a08.00 was charged", seen.Title)
	require.Len(t, seen.Actions, 1)
	undone := seen.Actions[0]
	require.NotEmpty(t, undone.Sure)

	// Another window uses the part meanwhile: what was decided is good for what was shown.
	other := b.open("sale", pairing.Purchase, amount("8"), decimal.Zero)
	require.Contains(t, b.start(other, action{}).Tell, `"ACCEPT"`)
	require.Contains(t, b.told(other).Tell, `"ACCEPT"`)
	require.NotContains(t, b.start(p, undone).Title, "the till's terminal")
	require.Len(t, b.payments(0), 1)

	// It says so of what is shown now.
	seen = b.start(p, action{})
	require.Len(t, seen.Actions, 1)
	first := p.payment
	require.Contains(t, b.start(p, seen.Actions[0]).Title, "the till's terminal")
	require.NotEqual(t, first, p.payment)
	require.Contains(t, b.start(p, seen.Actions[0]).Title, "the till's terminal", "the request may come twice")
	list := b.payments(0)
	require.Len(t, list, 2)
	require.Equal(t, undoneByCashier, list[0].Mark)
}

func TestASaleIsTakenUpAtAnotherRegister(t *testing.T) {
	b := newBench(t)
	p := b.purchase()
	b.approve(p, "10")
	elsewhere := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	elsewhere.Register = "another"
	elsewhere.token = seal(b.keys, forPage, elsewhere.ask, pageTTL)
	elsewhere.data = strings.ReplaceAll(elsewhere.data, benchRegister, "another")
	require.Contains(t, b.start(elsewhere, action{}).Tell, `"ACCEPT"`, "the card was charged for this sale already")
	require.Equal(t, p.payment, elsewhere.payment)
	require.Len(t, b.payments(0), 1)
}

func TestBehindAProxyThatHidesTheHost(t *testing.T) {
	b := newBench(t)
	for origin, status := range map[string]int{
		"https://pay.example.com":  http.StatusForbidden, // by the token
		"https://evil.example.com": http.StatusForbidden,
		"":                         http.StatusForbidden,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://10.0.0.7:8080/x/pay/start", strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		require.Equal(t, status, w.Code)
		other := "another site"
		if origin == "https://evil.example.com" {
			require.Contains(t, w.Body.String(), other)
		} else {
			require.NotContains(t, w.Body.String(), other, origin)
		}
	}
}
