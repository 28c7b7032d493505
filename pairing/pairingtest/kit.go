package pairingtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// Leases of the tests. Nobody counts on a short one to last, and nobody waits for a long one to end.
const (
	long  = time.Hour
	short = 5 * time.Millisecond
)

// kit is what a test works with: a store, and short ways to use it and to say what is wrong.
type kit struct {
	*testing.T

	harness Harness
	store   pairing.Store
	ids     int
	workers int
}

func newKit(t *testing.T, h Harness) *kit {
	t.Helper()
	k := &kit{T: t, harness: h, store: h.Open(t)}
	t.Cleanup(func() { _ = k.store.Close() })
	return k
}

// pass lets time pass until leases that end within d have ended.
func (k *kit) pass(d time.Duration) {
	d += 2 * time.Millisecond
	if k.harness.Sleep != nil {
		k.harness.Sleep(k.store, d)
		return
	}
	<-time.After(d)
}

// reopen starts over on the same data, or skips the test if there can be none.
func (k *kit) reopen() {
	k.Helper()
	if k.harness.Reopen == nil {
		k.Skip("this store keeps nothing (Harness.Reopen is nil)")
	}
	k.store = k.harness.Reopen(k.T, k.store)
}

// ok ends the test if err isn't nil. What says what was done, or what makes it succeed.
func (k *kit) ok(err error, what string) {
	k.Helper()
	if err != nil {
		k.Fatalf("broken rule: this succeeds: %s\nseen: error %v", what, err)
	}
}

// rule ends the test if holds is false.
func (k *kit) rule(holds bool, rule, seen string, args ...any) {
	k.Helper()
	if !holds {
		k.Fatalf("broken rule: %s\nseen: %s", rule, fmt.Sprintf(seen, args...))
	}
}

// fails ends the test if err isn't an error of the store that matches target and says that nothing was changed.
func (k *kit) fails(err, target error, rule string) {
	k.Helper()
	k.rule(errors.Is(err, target), rule, "error %q, want one that matches %q", text(err), target)
	k.typed(err)
}

// typed ends the test if err isn't a *tillroute.Error with outcome Failed.
func (k *kit) typed(err error) {
	k.Helper()
	e, ok := errors.AsType[*tillroute.Error](err)
	k.rule(ok, "errors are *tillroute.Error values, possibly wrapped", "%T: %s", err, text(err))
	k.rule(e.Outcome == tillroute.Failed, "an error that changed nothing has the outcome Failed", "outcome %s: %s", e.Outcome, text(err))
}

func text(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// same ends the test if got and want differ.
func (k *kit) same(got, want any, rule string) {
	k.Helper()
	g, w := show(got), show(want)
	k.rule(g == w, rule, "\n got %s\nwant %s", g, w)
}

// utc ends the test if t is not a time that a store may give.
func (k *kit) utc(t time.Time, what string) {
	k.Helper()
	k.rule(!t.IsZero(), what+" is set by the store's clock", "the zero time")
	k.rule(t.Location() == time.UTC, "times are in UTC", "%s is %s", what, t)
}

// show writes a value in full, secrets included, so that two values are the same if their texts are. Amounts are
// the same whatever their zeros, times to the millisecond, and no bytes are the same as nil.
func show(v any) string {
	switch v := v.(type) {
	case pairing.Payment:
		return strings.Join([]string{
			show(v.Request), "seq", fmt.Sprint(v.Seq), show(v.Terminal), fmt.Sprintf("identity %q", v.Identity.Reveal()),
			fmt.Sprintf("%s note %q", v.State, v.Note), show(v.Handle), show(v.Result), fmt.Sprintf("by %q mark %q", v.ResolvedBy, v.Mark),
			"accepted", show(v.AcceptedAt), "sent", show(v.SentAt), "ended", show(v.EndedAt),
		}, " ")
	case []pairing.Payment:
		return showAll(v)
	case pairing.Request:
		return fmt.Sprintf("payment %q of %s: %s %s %q ref %q data %s",
			v.ID, show(v.Register), v.Kind, show(v.Amount), v.Currency, v.Reference, show(v.Data))
	case pairing.Handle:
		return fmt.Sprintf("handle %q %q %q", v.TransactionID, v.Token.Reveal(), v.Serial)
	case pairing.Result:
		return fmt.Sprintf("%s amount %s surcharge %s tip %s transaction %q auth %q %q card %q %q receipt %q reason %q",
			v.Outcome, show(v.Amount), show(v.Surcharge), show(v.Tip), v.TransactionID, v.AuthCode, v.Acquirer,
			v.CardType, v.CardNumber, v.Receipt, v.Reason)
	case pairing.Claim:
		return fmt.Sprintf("claim by %q fresh %t of %s", v.Owner, v.Fresh, show(v.Payment))
	case pairing.Pairing:
		return fmt.Sprintf("%s at %s (%q, %q) identity %q version %d since %s", show(v.Register), show(v.Terminal),
			v.RegisterName, v.TerminalName, v.Identity.Reveal(), v.Version, show(v.PairedAt))
	case []pairing.Pairing:
		return showAll(v)
	case pairing.Code:
		return fmt.Sprintf("code %q of %s (%q) until %s", v.Text, show(v.Terminal), v.TerminalName, show(v.ExpiresAt))
	case pairing.Delivery:
		return fmt.Sprintf("delivery %q %q %s answered %t %s", v.Source, v.Key, show(v.Hash), v.Answered, show(v.Answer))
	case pairing.Grant:
		return fmt.Sprintf("grant %q %q: %q %q %q %q until %s extra %q version %d", v.System, v.Account,
			v.AccessToken.Reveal(), v.RefreshToken.Reveal(), v.TokenType, v.Scope, show(v.Expiry), v.Extra.Reveal(), v.Version)
	case pairing.Register:
		return fmt.Sprintf("%q", v.String())
	case pairing.Terminal:
		return fmt.Sprintf("%q", v.String())
	case []pairing.Terminal:
		return showAll(v)
	case decimal.Decimal:
		return v.String()
	case time.Time:
		if v.IsZero() {
			return "never"
		}
		return v.Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z07:00")
	case []byte:
		if len(v) > 100 {
			return fmt.Sprintf("%q… (%d bytes)", v[:100], len(v))
		}
		return fmt.Sprintf("%q", v)
	default:
		return fmt.Sprintf("%#v", v)
	}
}

func showAll[T any](list []T) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", len(list))
	for _, v := range list {
		b.WriteString("\n  " + show(v))
	}
	return b.String()
}

// together calls f n times at once and returns what each call returned.
func together[T any](n int, f func(i int) T) []T {
	results := make([]T, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			results[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return results
}

// Names of the tests.

func register(id string) pairing.Register {
	return pairing.Register{System: "xseries", Account: "acme", ID: id}
}

func terminal(serial string) pairing.Terminal {
	return pairing.Terminal{Provider: "smartconnect", Serial: serial}
}

func dollars(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func request(id string, r pairing.Register) pairing.Request {
	return pairing.Request{ID: id, Register: r, Kind: pairing.Purchase, Amount: dollars("12.50"), Currency: "NZD"}
}

// pair pairs the register with the terminal, whatever it was paired with.
func (k *kit) pair(r pairing.Register, t pairing.Terminal) pairing.Pairing {
	k.Helper()
	p, err := k.store.PutPairing(k.Context(), pairing.Pairing{Register: r, Terminal: t}, -1)
	k.ok(err, "pairing "+r.String())
	return p
}

// accept has a payment accepted, and pairs its register first if it isn't.
func (k *kit) accept(r pairing.Register, t pairing.Terminal) pairing.Payment {
	k.Helper()
	if _, err := k.store.Pairing(k.Context(), r); errors.Is(err, tillroute.ErrNotFound) {
		k.pair(r, t)
	}
	k.ids++
	p, err := k.store.AcceptPayment(k.Context(), request(fmt.Sprintf("payment-%d", k.ids), r))
	k.ok(err, "accepting a payment")
	k.rule(p.Terminal == t, "a payment goes to the terminal that its register is paired with",
		"it goes to %s and not to %s", p.Terminal, t)
	return p
}

// claim claims the head of the terminal's queue, each time as somebody else.
func (k *kit) claim(t pairing.Terminal, lease time.Duration) pairing.Claim {
	k.Helper()
	k.workers++
	c, ok, err := k.store.ClaimPayment(k.Context(), t, fmt.Sprintf("worker %d", k.workers), lease)
	k.ok(err, "claiming")
	k.rule(ok, "the head of a queue can be claimed if nobody has it", "nothing to claim at %s", t)
	return c
}

// noClaim ends the test if something can be claimed at the terminal.
func (k *kit) noClaim(t pairing.Terminal, rule string) {
	k.Helper()
	c, ok, err := k.store.ClaimPayment(k.Context(), t, "another worker", long)
	k.ok(err, "claiming")
	k.rule(!ok, rule, "%s", show(c))
}

// payment looks a payment up.
func (k *kit) payment(id string) pairing.Payment {
	k.Helper()
	p, err := k.store.Payment(k.Context(), id)
	k.ok(err, "looking up payment "+id)
	return p
}

// sent claims the head of the terminal's queue and saves a handle.
func (k *kit) sent(t pairing.Terminal) pairing.Claim {
	k.Helper()
	c := k.claim(t, long)
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t-" + c.Payment.ID}), "saving a handle")
	return c
}

// finish ends the claimed payment.
func (k *kit) finish(c pairing.Claim, o tillroute.Outcome) pairing.Payment {
	k.Helper()
	_, _, err := k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: o}, 0)
	k.ok(err, "finishing a payment")
	return k.payment(c.Payment.ID)
}

// ready returns the terminals that are ready.
func (k *kit) ready() []pairing.Terminal {
	k.Helper()
	list, err := k.store.ReadyTerminals(k.Context(), []string{"smartconnect"}, 1000)
	k.ok(err, "asking for ready terminals")
	return list
}

// ahead returns how many payments stand before that of the ID.
func (k *kit) ahead(id string) int {
	k.Helper()
	n, err := k.store.CountAhead(k.Context(), id)
	k.ok(err, "counting what is ahead of "+id)
	return n
}

func cancelled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
