package pairingtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func backlogTests() []test {
	return []test{
		{"ByTerminalAndState", backlogByTerminal},
		{"OnlyWhatIsOpenOrParked", backlogOnlyOpen},
		{"Age", backlogAge},
		{"Limit", backlogLimit},
		{"EndedContext", backlogEndedContext},
		{"AfterClose", backlogAfterClose},
	}
}

// counter returns the store's Counter, or skips the test if it has none.
func (k *kit) counter() pairing.Counter {
	k.Helper()
	counter, ok := k.store.(pairing.Counter)
	if !ok {
		k.Skip("this store doesn't count payments (it is no pairing.Counter)")
	}
	return counter
}

// counted returns what CountPayments does, as text and without ages.
func (k *kit) counted(limit int) string {
	k.Helper()
	list, err := k.counter().CountPayments(k.Context(), limit)
	k.ok(err, "counting payments")
	var text strings.Builder
	for _, b := range list {
		k.rule(b.Age >= 0, "an age is never negative", "%s", b.Age)
		fmt.Fprintf(&text, "%s %s %d\n", b.Terminal, b.State, b.Count)
	}
	return text.String()
}

func backlogByTerminal(k *kit) {
	const rule = "CountPayments counts what is open or parked, by terminal and state, in the order of provider, serial and state"
	k.same(k.counted(100), "", "CountPayments of an empty store gives nothing")
	other := pairing.Terminal{Provider: "Other", Serial: "2"}
	for range 3 {
		k.accept(register("1"), terminal("2"))
	}
	k.accept(register("2"), terminal("10"))
	k.accept(register("3"), other)
	k.same(k.counted(100), "Other/2 queued 1\nsmartconnect/10 queued 1\nsmartconnect/2 queued 3\n", rule)
	k.finish(k.sent(terminal("2")), tillroute.Unknown)
	k.claim(terminal("2"), long)
	k.sent(terminal("10"))
	k.same(k.counted(100), "Other/2 queued 1\nsmartconnect/10 sent 1\n"+
		"smartconnect/2 queued 1\nsmartconnect/2 sending 1\nsmartconnect/2 unknown 1\n", rule)
}

func backlogOnlyOpen(k *kit) {
	const rule = "CountPayments doesn't count what is done"
	withdrawn := k.accept(register("1"), terminal("1"))
	_, err := k.store.WithdrawPayment(k.Context(), withdrawn.ID, "")
	k.ok(err, "withdrawing a payment")
	for _, o := range []tillroute.Outcome{tillroute.Approved, tillroute.Declined, tillroute.Cancelled, tillroute.Failed} {
		k.accept(register("1"), terminal("1"))
		k.finish(k.sent(terminal("1")), o)
	}
	k.same(k.counted(100), "", rule)
	parked := k.accept(register("1"), terminal("1"))
	k.finish(k.sent(terminal("1")), tillroute.Unknown)
	k.same(k.counted(100), "smartconnect/1 unknown 1\n", rule)
	_, err = k.store.ResolvePayment(k.Context(), parked.ID, pairing.Resolution{Outcome: tillroute.Declined, By: "Ana", Reason: "journal"})
	k.ok(err, "resolving a payment")
	k.same(k.counted(100), "", rule)
}

func backlogAge(k *kit) {
	k.accept(register("1"), terminal("1"))
	k.pass(20 * time.Millisecond)
	k.accept(register("1"), terminal("1"))
	list, err := k.counter().CountPayments(k.Context(), 100)
	k.ok(err, "counting payments")
	k.rule(len(list) == 1 && list[0].Count == 2, "payments of one terminal and state are counted together", "%v", list)
	k.rule(list[0].Age >= 20*time.Millisecond && list[0].Age < time.Minute,
		"Age is how long ago the one that has waited longest was accepted", "%s after at least 20 ms", list[0].Age)
}

func backlogLimit(k *kit) {
	for range 3 {
		k.accept(register("1"), terminal("1"))
		k.finish(k.sent(terminal("1")), tillroute.Unknown)
	}
	for range 4 {
		k.accept(register("1"), terminal("1"))
	}
	for limit, want := range map[int]string{
		-1: "", 0: "",
		2:   "smartconnect/1 queued 2\nsmartconnect/1 unknown 2\n",
		3:   "smartconnect/1 queued 3\nsmartconnect/1 unknown 3\n",
		100: "smartconnect/1 queued 4\nsmartconnect/1 unknown 3\n",
	} {
		k.same(k.counted(limit), want, fmt.Sprintf("CountPayments looks at no more than limit (%d) open ones, and as many parked ones", limit))
	}
}

func backlogEndedContext(k *kit) {
	_, err := k.counter().CountPayments(cancelled(k.Context()), 100)
	k.fails(err, tillroute.ErrCanceled, "CountPayments with a context that has ended gives an error that matches it")
}

func backlogAfterClose(k *kit) {
	counter := k.counter()
	k.ok(k.store.Close(), "closing")
	_, err := counter.CountPayments(k.Context(), 100)
	k.fails(err, tillroute.ErrUnavailable, "after Close CountPayments returns an error of kind Unavailable")
}
