package pairingtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func paymentTests() []test {
	return []test{
		{"RoundTrip", acceptRoundTrip},
		{"NotFound", paymentNotFound},
		{"NotPaired", acceptNotPaired},
		{"PairingAtAcceptanceCounts", acceptTakesPairing},
		{"SameAgain", acceptSameAgain},
		{"SameAgainWhateverThePairing", acceptSameUnpaired},
		{"OtherBodyConflicts", acceptConflict},
		{"SameAmount", acceptSameAmount},
		{"OneRowOfMany", acceptRace},
		{"OrderOfAcceptance", acceptOrder},
		{"Copies", paymentCopies},
		{"CountAhead", countAhead},
		{"ListFilters", listFilters},
		{"ListPages", listPaymentsPages},
		{"Withdraw", withdraw},
		{"WithdrawOnlyQueued", withdrawOnlyQueued},
		{"WithdrawOrClaim", withdrawRace},
		{"Resolve", resolve},
		{"ResolveDefaults", resolveDefaults},
		{"ResolveKeepsReason", resolveKeepsReason},
		{"ResolveOnlyParked", resolveOnlyParked},
		{"ResolveOnce", resolveRace},
	}
}

func acceptRoundTrip(k *kit) {
	data := noise(64<<10, 1)
	_, err := k.store.PutPairing(k.Context(), pairing.Pairing{
		Register: register("1"), Terminal: terminal("1"), RegisterName: "not kept", Identity: "idéntity",
	}, 0)
	k.ok(err, "pairing")
	last := int64(0)
	for _, r := range []pairing.Request{
		{
			ID: "Zahlung 1/ü 🧾 ' \" \\ %", Register: register("1"), Kind: pairing.Refund, Amount: dollars("0.01"),
			Currency: "EUR", Reference: "Tisch 4 – отдельно", Data: []byte("{\"a\":\x00\xff}"),
		},
		{ID: "1", Register: register("1"), Kind: pairing.Purchase, Amount: dollars("1"), Currency: "JPY"},
		{
			ID: strings.Repeat("x", 200), Register: register("1"), Kind: "balance-enquiry",
			Amount: dollars("9999999999999999999999999.9999"), Currency: "CLF", Reference: strings.Repeat("é", 200), Data: data,
		},
	} {
		got, err := k.store.AcceptPayment(k.Context(), r)
		k.ok(err, "accepting a payment")
		k.utc(got.AcceptedAt, "AcceptedAt")
		k.rule(got.Seq > last, "Seq orders payments by when they were accepted", "%d after %d", got.Seq, last)
		last = got.Seq
		want := pairing.Payment{
			Request: r, Seq: got.Seq, Terminal: terminal("1"), Identity: "idéntity", State: pairing.Queued, AcceptedAt: got.AcceptedAt,
		}
		k.same(got, want, "AcceptPayment returns the payment as stored")
		got = k.payment(r.ID)
		k.same(got, want, "Payment returns what was accepted")
		k.rule(bytes.Equal(got.Data, r.Data), "Data is kept as it is", "%s, want %s", show(got.Data), show(r.Data))
		k.utc(got.AcceptedAt, "AcceptedAt")
	}
}

func paymentNotFound(k *kit) {
	k.accept(register("1"), terminal("1"))
	for _, id := range []string{"payment-2", "PAYMENT-1", ""} {
		_, err := k.store.Payment(k.Context(), id)
		k.fails(err, tillroute.ErrNotFound, "Payment of an ID that was not accepted is NotFound")
		_, err = k.store.CountAhead(k.Context(), id)
		k.fails(err, tillroute.ErrNotFound, "CountAhead of an ID that was not accepted is NotFound")
		_, err = k.store.WithdrawPayment(k.Context(), id, "reason")
		k.fails(err, tillroute.ErrNotFound, "WithdrawPayment of an ID that was not accepted is NotFound")
		_, err = k.store.ResolvePayment(k.Context(), id, pairing.Resolution{Outcome: tillroute.Declined, By: "a", Reason: "b"})
		k.fails(err, tillroute.ErrNotFound, "ResolvePayment of an ID that was not accepted is NotFound")
	}
}

func acceptNotPaired(k *kit) {
	_, err := k.store.AcceptPayment(k.Context(), request("1", register("1")))
	k.fails(err, pairing.ErrNotPaired, "a payment for a register without a pairing is ErrNotPaired")
	p := k.pair(register("1"), terminal("1"))
	k.ok(k.store.DeletePairing(k.Context(), register("1"), p.Version), "unpairing")
	_, err = k.store.AcceptPayment(k.Context(), request("1", register("1")))
	k.fails(err, pairing.ErrNotPaired, "a payment for a register that was unpaired is ErrNotPaired")
	_, err = k.store.Payment(k.Context(), "1")
	k.fails(err, tillroute.ErrNotFound, "a payment that was refused is not stored")
	k.pair(register("1"), terminal("1"))
	_, err = k.store.AcceptPayment(k.Context(), request("1", register("1")))
	k.ok(err, "an ID that was refused is free")
}

func acceptTakesPairing(k *kit) {
	put := func(serial string, identity tillroute.Secret) {
		_, err := k.store.PutPairing(k.Context(), pairing.Pairing{Register: register("1"), Terminal: terminal(serial), Identity: identity}, -1)
		k.ok(err, "pairing")
	}
	put("1", "one")
	first := k.accept(register("1"), terminal("1"))
	put("2", "two")
	second := k.accept(register("1"), terminal("2"))
	k.same(k.payment(first.ID), first, "pairing anew changes nothing of what was accepted")
	k.rule(second.Identity == "two", "a payment has the identity of its pairing", "%q", second.Identity.Reveal())
	c := k.claim(terminal("1"), long)
	k.rule(c.Payment.Identity == "one", "a claimed payment has the identity of its pairing when it was accepted", "%q", c.Payment.Identity.Reveal())
	k.same(c.Payment.Request, first.Request, "a claimed payment is what was asked for")
}

func acceptSameAgain(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	again := func(rule string) pairing.Payment {
		got, err := k.store.AcceptPayment(k.Context(), p.Request)
		k.ok(err, rule)
		k.same(got, k.payment(p.ID), rule)
		return got
	}
	k.same(again("the same payment again is answered by the first"), p, "the same payment again is answered by the first")
	c := k.claim(terminal("1"), long)
	k.rule(again("while it is sent").State == pairing.Sending, "the same payment again is answered by the first as it is now",
		"%s", k.payment(p.ID).State)
	k.finish(c, tillroute.Declined)
	k.rule(again("when it is done").Outcome() == tillroute.Declined, "the same payment again is answered by the first as it is now",
		"%s", show(k.payment(p.ID)))
	k.noClaim(terminal("1"), "the same payment again is not queued again")
}

func acceptSameUnpaired(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	now := k.pair(register("1"), terminal("2"))
	got, err := k.store.AcceptPayment(k.Context(), p.Request)
	k.ok(err, "the same payment again after the register was paired anew")
	k.same(got, p, "the same payment again is answered by the first, whatever the pairing is by now")
	k.ok(k.store.DeletePairing(k.Context(), register("1"), now.Version), "unpairing")
	got, err = k.store.AcceptPayment(k.Context(), p.Request)
	k.ok(err, "the same payment again after the register was unpaired")
	k.same(got, p, "the same payment again is answered by the first, whatever the pairing is by now")
	other := p.Request
	other.Reference = "other"
	_, err = k.store.AcceptPayment(k.Context(), other)
	k.fails(err, tillroute.ErrConflict, "the same ID with another request is a Conflict, whatever the pairing is by now")
}

func acceptConflict(k *kit) {
	k.pair(register("1"), terminal("1"))
	k.pair(register("2"), terminal("1"))
	first := request("1", register("1"))
	first.Reference, first.Data = "ref", []byte("data")
	p, err := k.store.AcceptPayment(k.Context(), first)
	k.ok(err, "accepting a payment")
	for name, change := range map[string]func(*pairing.Request){
		"register":  func(r *pairing.Request) { r.Register = register("2") },
		"kind":      func(r *pairing.Request) { r.Kind = pairing.Refund },
		"amount":    func(r *pairing.Request) { r.Amount = dollars("12.51") },
		"currency":  func(r *pairing.Request) { r.Currency = "AUD" },
		"reference": func(r *pairing.Request) { r.Reference = "Ref" },
		"data":      func(r *pairing.Request) { r.Data = []byte("Data") },
		"no data":   func(r *pairing.Request) { r.Data = nil },
	} {
		other := first
		change(&other)
		_, err := k.store.AcceptPayment(k.Context(), other)
		k.fails(err, tillroute.ErrConflict, "the same ID with another "+name+" is a Conflict")
	}
	k.same(k.payment("1"), p, "a refused payment changes nothing")
	k.rule(k.ahead("1") == 0, "a refused payment changes nothing", "%d ahead", k.ahead("1"))
}

func acceptSameAmount(k *kit) {
	k.pair(register("1"), terminal("1"))
	r := request("1", register("1"))
	for _, amount := range []string{"8", "8.00", "8.0", "0.8e1", "80e-1"} {
		r.Amount = dollars(amount)
		_, err := k.store.AcceptPayment(k.Context(), r)
		k.ok(err, "8 and "+amount+" are the same amount")
	}
}

func acceptRace(k *kit) {
	k.pair(register("1"), terminal("1"))
	type answer struct {
		p   pairing.Payment
		err error
	}
	for _, a := range together(50, func(int) answer {
		p, err := k.store.AcceptPayment(k.Context(), request("1", register("1")))
		return answer{p, err}
	}) {
		k.ok(a.err, "the same payment from many callers at once")
		k.same(a.p, k.payment("1"), "of many callers with one ID at once, all get the one payment")
	}
	list, err := k.store.ListPayments(k.Context(), pairing.Filter{}, 100)
	k.ok(err, "listing payments")
	k.rule(len(list) == 1, "of many callers with one ID at once, one payment is stored", "%s", show(list))
	k.drain(terminal("1"), []string{"1"}, "of many callers with one ID at once, one payment is queued")
}

// acceptOrder has many callers at once, and then looks at every pair of payments.
func acceptOrder(k *kit) {
	const callers, each = 8, 12
	for i := range callers {
		k.pair(register(fmt.Sprint(i)), terminal(fmt.Sprint(i%2)))
	}
	type call struct {
		began, returned int64
		p               pairing.Payment
		err             error
	}
	var clock atomic.Int64
	var calls []call
	for _, c := range together(callers, func(i int) []call {
		var mine []call
		for n := range each {
			c := call{began: clock.Add(1)}
			c.p, c.err = k.store.AcceptPayment(k.Context(), request(fmt.Sprintf("%d-%d", i, n), register(fmt.Sprint(i))))
			c.returned = clock.Add(1)
			mine = append(mine, c)
		}
		return mine
	}) {
		calls = append(calls, c...)
	}
	for _, a := range calls {
		k.ok(a.err, "accepting payments from many callers at once")
		for _, b := range calls {
			k.rule(a.p.ID == b.p.ID || a.p.Seq != b.p.Seq, "no two payments have one Seq", "%s and %s: %d", a.p.ID, b.p.ID, a.p.Seq)
			k.rule(a.p.Terminal != b.p.Terminal || a.returned > b.began || a.p.Seq < b.p.Seq,
				"of two calls for one terminal, one of which returned before the other began, the first is first in the queue",
				"%s has Seq %d, and %s, which came later, %d", a.p.ID, a.p.Seq, b.p.ID, b.p.Seq)
		}
	}
	slices.SortFunc(calls, func(a, b call) int { return int(a.p.Seq - b.p.Seq) })
	for _, t := range []pairing.Terminal{terminal("0"), terminal("1")} {
		var want []string
		for _, c := range calls {
			if c.p.Terminal == t {
				want = append(want, c.p.ID)
			}
		}
		k.drain(t, want, "payments are claimed in the order in which they were accepted")
	}
}

func paymentCopies(k *kit) {
	k.pair(register("1"), terminal("1"))
	r := request("1", register("1"))
	r.Data = []byte("data")
	accepted, err := k.store.AcceptPayment(k.Context(), r)
	k.ok(err, "accepting a payment")
	spoil := func(p pairing.Payment, from string) {
		k.Helper()
		clear(p.Data)
		got := k.payment("1")
		k.rule(string(got.Data) == "data", "what a store returns is a copy", "changing what "+from+" gave changed the payment: %q", got.Data)
	}
	spoil(pairing.Payment{Request: r}, "the caller of AcceptPayment")
	spoil(accepted, "AcceptPayment")
	spoil(k.payment("1"), "Payment")
	list, err := k.store.ListPayments(k.Context(), pairing.Filter{}, 1)
	k.ok(err, "listing payments")
	spoil(list[0], "ListPayments")
	c := k.claim(terminal("1"), long)
	spoil(c.Payment, "ClaimPayment")
	spoil(k.finish(c, tillroute.Unknown), "FinishPayment")
	p, err := k.store.ResolvePayment(k.Context(), "1", pairing.Resolution{Outcome: tillroute.Declined, By: "a", Reason: "b"})
	k.ok(err, "resolving")
	spoil(p, "ResolvePayment")
	spoil(k.mark("1", "", "told"), "MarkPayment")
	spoil(k.mark("1", "", "told"), "MarkPayment")
}

func countAhead(k *kit) {
	var ids []string
	for range 5 {
		ids = append(ids, k.accept(register("1"), terminal("1")).ID)
		k.accept(register("2"), terminal("2"))
	}
	check := func(rule string, want ...int) {
		k.Helper()
		for i, id := range ids {
			n := k.ahead(id)
			k.rule(n == want[i], rule, "%d payments ahead of number %d, want %d", n, i+1, want[i])
		}
	}
	check("CountAhead counts the open payments before it in its own terminal's queue", 0, 1, 2, 3, 4)
	c := k.claim(terminal("1"), long)
	check("what is being sent is still in its queue", 0, 1, 2, 3, 4)
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "saving a handle")
	check("what was sent is still in its queue", 0, 1, 2, 3, 4)
	k.finish(c, tillroute.Unknown)
	check("what is parked is not in a queue", 0, 0, 1, 2, 3)
	_, err := k.store.WithdrawPayment(k.Context(), ids[2], "reason")
	k.ok(err, "withdrawing")
	check("what was withdrawn is not in a queue", 0, 0, 0, 1, 2)
	k.ok(k.store.RequeuePayment(k.Context(), k.claim(terminal("1"), long), long, "busy"), "requeueing")
	check("what is queued again is at the head", 0, 0, 0, 1, 2)
}

func listFilters(k *kit) {
	var all []pairing.Payment
	for _, at := range []string{"1", "2", "1", "2", "1", "1", "1", "1"} {
		all = append(all, k.accept(register(at), terminal(at)))
	}
	k.finish(k.claim(terminal("1"), long), tillroute.Approved)
	k.finish(k.claim(terminal("1"), long), tillroute.Unknown)
	k.sent(terminal("1"))
	k.claim(terminal("2"), long)
	for i := range all {
		all[i] = k.payment(all[i].ID)
	}
	for _, f := range []pairing.Filter{
		{},
		{After: all[2].Seq},
		{After: all[7].Seq},
		{States: []pairing.State{pairing.Queued}},
		{States: []pairing.State{pairing.Sending}},
		{States: []pairing.State{pairing.Sent, pairing.Sending, pairing.Queued}},
		{States: []pairing.State{pairing.Parked}},
		{States: []pairing.State{pairing.Done, pairing.Parked}},
		{States: []pairing.State{"nonsense"}},
		{Terminal: terminal("2")},
		{Terminal: terminal("none")},
		{Register: register("1")},
		{Register: register("none")},
		{Register: pairing.Register{System: "xseries"}},
		{Terminal: pairing.Terminal{Provider: "smartconnect"}},
		{States: []pairing.State{pairing.Queued}, Terminal: terminal("1"), Register: register("1"), After: all[5].Seq},
		{States: []pairing.State{pairing.Parked}, Terminal: terminal("1"), After: all[0].Seq},
		{States: []pairing.State{pairing.Done}, Register: register("2")},
	} {
		var want []pairing.Payment
		for _, p := range all {
			if matches(f, p) {
				want = append(want, p)
			}
		}
		got, err := k.store.ListPayments(k.Context(), f, 100)
		k.ok(err, "listing payments")
		k.same(got, want, fmt.Sprintf("ListPayments returns what matches %+v, in the order of Seq", f))
		for limit := range len(want) + 1 {
			got, err := k.store.ListPayments(k.Context(), f, limit)
			k.ok(err, "listing payments")
			k.same(got, want[:limit], fmt.Sprintf("ListPayments returns the first %d of what matches %+v", limit, f))
		}
	}
}

func listPaymentsPages(k *kit) {
	for range 11 {
		k.accept(register("1"), terminal("1"))
	}
	var seen []string
	for after := int64(0); ; {
		page, err := k.store.ListPayments(k.Context(), pairing.Filter{After: after}, 3)
		k.ok(err, "listing payments")
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			seen = append(seen, p.ID)
		}
		after = page[len(page)-1].Seq
		if len(seen) == 6 {
			k.accept(register("1"), terminal("1"))
		}
	}
	k.rule(len(seen) == 12 && len(slices.Compact(slices.Sorted(slices.Values(seen)))) == 12,
		"pages together hold every payment once, and those that come meanwhile at their end", "%v", seen)
}

func withdraw(k *kit) {
	first, second := k.accept(register("1"), terminal("1")), k.accept(register("1"), terminal("1"))
	got, err := k.store.WithdrawPayment(k.Context(), first.ID, "the guest paid in cash")
	k.ok(err, "withdrawing")
	k.utc(got.EndedAt, "EndedAt")
	want := first
	want.State, want.EndedAt = pairing.Done, got.EndedAt
	want.Result = pairing.Result{Outcome: tillroute.Cancelled, Reason: "the guest paid in cash"}
	k.same(got, want, "WithdrawPayment ends a queued payment as Cancelled, with that reason, and returns it")
	k.same(k.payment(first.ID), want, "WithdrawPayment ends a queued payment for good")
	got, err = k.store.WithdrawPayment(k.Context(), first.ID, "another reason")
	k.ok(err, "withdrawing once more")
	k.same(got, want, "a payment that was withdrawn already is returned as it is")
	k.drain(terminal("1"), []string{second.ID}, "a payment that was withdrawn is never claimed")

	requeued := k.accept(register("1"), terminal("1"))
	k.ok(k.store.RequeuePayment(k.Context(), k.claim(terminal("1"), long), long, "busy"), "requeueing")
	behind := k.accept(register("1"), terminal("1"))
	_, err = k.store.WithdrawPayment(k.Context(), requeued.ID, "gone")
	k.ok(err, "withdrawing a payment that is queued again")
	k.rule(k.claim(terminal("1"), long).Payment.ID == behind.ID, "a payment that was withdrawn does not hold its queue back", "")
}

func withdrawOnlyQueued(k *kit) {
	for _, end := range []tillroute.Outcome{tillroute.Cancelled, tillroute.Approved, tillroute.Unknown} {
		at := terminal(end.String())
		p := k.accept(register(end.String()), at)
		refused := func() {
			k.Helper()
			before := k.payment(p.ID)
			_, err := k.store.WithdrawPayment(k.Context(), p.ID, "too late")
			k.fails(err, tillroute.ErrConflict, fmt.Sprintf("a payment that is %s, %s, can't be withdrawn", before.State, before.Outcome()))
			k.same(k.payment(p.ID), before, "a refused withdrawal changes nothing")
		}
		c := k.claim(at, short)
		refused()
		k.pass(short)
		refused()
		k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "saving a handle")
		refused()
		k.finish(c, end)
		refused()
	}
}

func withdrawRace(k *kit) {
	for range 20 {
		p := k.accept(register("1"), terminal("1"))
		won := together(2, func(i int) bool {
			if i == 0 {
				_, err := k.store.WithdrawPayment(k.Context(), p.ID, "reason")
				return err == nil
			}
			_, ok, err := k.store.ClaimPayment(k.Context(), terminal("1"), "worker", short)
			return ok && err == nil
		})
		k.rule(won[0] != won[1], "of a withdrawal and a claim at once exactly one wins", "withdrawn: %t, claimed: %t", won[0], won[1])
		if won[1] {
			k.pass(short)
			k.finish(k.claim(terminal("1"), long), tillroute.Approved)
		}
	}
}

// parked accepts a payment and parks it with that result.
func (k *kit) parked(r pairing.Result) pairing.Payment {
	k.Helper()
	k.accept(register("1"), terminal("1"))
	c := k.sent(terminal("1"))
	r.Outcome = tillroute.Unknown
	_, _, err := k.store.FinishPayment(k.Context(), c, r, 0)
	k.ok(err, "parking a payment")
	p := k.payment(c.Payment.ID)
	k.rule(p.State == pairing.Parked, "a payment whose outcome is Unknown is parked", "%s", show(p))
	return p
}

func resolve(k *kit) {
	parked := k.parked(pairing.Result{AuthCode: "a1", Receipt: "receipt", Reason: "no answer", TransactionID: "old"})
	got, err := k.store.ResolvePayment(k.Context(), parked.ID, pairing.Resolution{
		Outcome: tillroute.Approved, Amount: dollars("13.75"), TransactionID: "found", By: "Zoë", Reason: "on the bank statement",
	})
	k.ok(err, "resolving")
	k.rule(!got.EndedAt.Before(parked.EndedAt), "EndedAt is when the payment was done", "%s before %s", got.EndedAt, parked.EndedAt)
	want := parked
	want.State, want.ResolvedBy, want.EndedAt = pairing.Done, "Zoë", got.EndedAt
	want.Result.Outcome, want.Result.Amount = tillroute.Approved, dollars("13.75")
	want.Result.TransactionID, want.Result.Reason = "found", "no answer; resolved by Zoë: on the bank statement"
	k.same(got, want, "ResolvePayment ends a parked payment as a person decided, and returns it")
	k.same(k.payment(parked.ID), want, "ResolvePayment ends a parked payment for good")
	for _, o := range []tillroute.Outcome{tillroute.Declined, tillroute.Cancelled, tillroute.Failed} {
		p := k.parked(pairing.Result{})
		got, err := k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{Outcome: o, By: "a", Reason: "b"})
		k.ok(err, "resolving")
		k.rule(got.State == pairing.Done && got.Outcome() == o && got.Result.Amount.IsZero(),
			"ResolvePayment ends a parked payment as a person decided", "%s", show(got))
	}
}

func resolveDefaults(k *kit) {
	p := k.parked(pairing.Result{TransactionID: "from the result"})
	got, err := k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{Outcome: tillroute.Approved, By: "a", Reason: "b"})
	k.ok(err, "resolving")
	k.rule(got.Result.Amount.Equal(p.Amount), "the amount of a resolution defaults to what was asked for if it is Approved", "%s", got.Result.Amount)
	k.rule(got.Result.TransactionID == "from the result", "the transaction of a resolution defaults to what is known", "%q", got.Result.TransactionID)
	p = k.parked(pairing.Result{})
	got, err = k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{Outcome: tillroute.Declined, By: "a", Reason: "b"})
	k.ok(err, "resolving")
	k.rule(got.Result.TransactionID == p.Handle.TransactionID, "the transaction of a resolution defaults to what is known", "%q", got.Result.TransactionID)
}

func resolveKeepsReason(k *kit) {
	for before, want := range map[string]string{
		"the poll token has died": "the poll token has died; resolved by Ann: seen on the terminal's journal",
		"":                        "resolved by Ann: seen on the terminal's journal",
	} {
		p := k.parked(pairing.Result{Reason: before})
		got, err := k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{
			Outcome: tillroute.Declined, By: "Ann", Reason: "seen on the terminal's journal",
		})
		k.ok(err, "resolving")
		k.rule(got.Result.Reason == want, "a resolution keeps the reason that the payment was parked for", "%q, want %q", got.Result.Reason, want)
	}
}

func resolveOnlyParked(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	refused := func() {
		k.Helper()
		before := k.payment(p.ID)
		_, err := k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{Outcome: tillroute.Declined, By: "a", Reason: "b"})
		k.fails(err, tillroute.ErrConflict, fmt.Sprintf("a payment that is %s can't be resolved", before.State))
		k.same(k.payment(p.ID), before, "a refused resolution changes nothing")
	}
	refused()
	c := k.claim(terminal("1"), long)
	refused()
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "saving a handle")
	refused()
	k.finish(c, tillroute.Approved)
	refused()
	p = k.parked(pairing.Result{})
	_, err := k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{By: "a", Reason: "b"})
	k.fails(err, tillroute.ErrInvalid, "a payment can't be resolved as Unknown")
	k.same(k.payment(p.ID), p, "a refused resolution changes nothing")
	_, err = k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{Outcome: tillroute.Approved, By: "a", Reason: "b"})
	k.ok(err, "resolving")
	refused()
}

func resolveRace(k *kit) {
	p := k.parked(pairing.Result{})
	errs := together(10, func(i int) error {
		o := tillroute.Approved
		if i%2 == 1 {
			o = tillroute.Declined
		}
		got, err := k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{Outcome: o, By: fmt.Sprint(i), Reason: "b"})
		if err == nil && (got.Outcome() != o || got.ResolvedBy != fmt.Sprint(i)) {
			return errors.New("resolved as somebody else decided")
		}
		return err
	})
	k.oneWins(errs, tillroute.ErrConflict, "of several resolutions at once one wins")
}
