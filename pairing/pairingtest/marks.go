package pairingtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func markTests() []test {
	return []test{
		{"RoundTrip", markRoundTrip},
		{"NotFound", markNotFound},
		{"OnlyIfFrom", markOnlyIfFrom},
		{"ConflictTellsTheMark", markConflictTells},
		{"SameAgain", markSameAgain},
		{"OneOfManyWins", markRace},
		{"EveryState", markEveryState},
		{"DisturbsNoClaim", markDisturbsNoClaim},
		{"DisturbsNoQueue", markDisturbsNoQueue},
		{"Stays", markStays},
		{"ComesWithClaims", markComesWithClaims},
		{"ListFilters", listMarks},
	}
}

// mark marks a payment.
func (k *kit) mark(id, from, to string) pairing.Payment {
	k.Helper()
	p, err := k.store.MarkPayment(k.Context(), id, from, to)
	k.ok(err, "marking a payment")
	return p
}

func markRoundTrip(k *kit) {
	want := k.accept(register("1"), terminal("1"))
	k.rule(want.Mark == "", "a payment has no mark at first", "%q", want.Mark)
	for _, mark := range []string{
		"told", "Told ", "erzählt: Käse/ü 🧾 ' \" \\ %", strings.Repeat("x", 200), strings.Repeat("é", 200), "", "told",
	} {
		got := k.mark(want.ID, want.Mark, mark)
		want.Mark = mark
		k.same(got, want, "MarkPayment returns the payment as stored")
		k.same(k.payment(want.ID), want, "Payment returns the mark as it was set")
	}
}

func markNotFound(k *kit) {
	k.accept(register("1"), terminal("1"))
	for _, id := range []string{"payment-2", "PAYMENT-1", ""} {
		for _, to := range []string{"", "told"} {
			_, err := k.store.MarkPayment(k.Context(), id, "", to)
			k.fails(err, tillroute.ErrNotFound, "MarkPayment of an ID that was not accepted is NotFound")
		}
	}
}

func markOnlyIfFrom(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	refused := func(from string) {
		k.Helper()
		before := k.payment(p.ID)
		_, err := k.store.MarkPayment(k.Context(), p.ID, from, "another")
		k.fails(err, tillroute.ErrConflict, fmt.Sprintf("a mark that is %q is not replaced as if it were %q", before.Mark, from))
		k.same(k.payment(p.ID), before, "a refused MarkPayment changes nothing")
	}
	refused("telling")
	k.mark(p.ID, "", "telling")
	refused("")
	refused("Telling")
	refused("telling ")
	k.mark(p.ID, "telling", "told")
	refused("telling")
	k.mark(p.ID, "told", "")
	refused("told")
}

func markConflictTells(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	k.mark(p.ID, "", "told at noon")
	_, err := k.store.MarkPayment(k.Context(), p.ID, "", "telling")
	k.fails(err, tillroute.ErrConflict, "MarkPayment of a payment that has another mark is a Conflict")
	k.rule(strings.Contains(text(err), "told at noon"), "the Conflict tells the mark", "%s", text(err))
}

func markSameAgain(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	want := k.mark(p.ID, "", "told")
	for _, from := range []string{"", "told", "never was"} {
		got, err := k.store.MarkPayment(k.Context(), p.ID, from, "told")
		k.ok(err, "MarkPayment to the mark that the payment has already, whatever from is")
		k.same(got, want, "a payment whose mark is to already is returned as it is")
		k.same(k.payment(p.ID), want, "a payment whose mark is to already stays as it is")
	}
}

func markRace(k *kit) {
	for _, from := range []string{"", "first"} {
		p := k.accept(register("1"), terminal("1"))
		k.mark(p.ID, "", from)
		errs := together(20, func(i int) error {
			got, err := k.store.MarkPayment(k.Context(), p.ID, from, fmt.Sprint("by ", i))
			if err == nil && got.Mark != fmt.Sprint("by ", i) {
				return fmt.Errorf("marked %q", got.Mark)
			}
			return err
		})
		k.oneWins(errs, tillroute.ErrConflict, "of several that replace one mark at once, one succeeds")
		got, want := k.payment(p.ID).Mark, fmt.Sprint("by ", slices.Index(errs, nil))
		k.rule(got == want, "the mark is that of the one who succeeded", "%q, want %q", got, want)
	}
}

func markEveryState(k *kit) {
	var marked []pairing.Payment
	p := k.accept(register("1"), terminal("1"))
	check := func(state pairing.State, what string) {
		k.Helper()
		want := k.payment(p.ID)
		k.rule(want.State == state, "the test has a payment that is "+what, "%s", want.State)
		ready := k.ready()
		got, err := k.store.MarkPayment(k.Context(), p.ID, want.Mark, what)
		k.ok(err, "marking a payment that is "+what)
		want.Mark = what
		k.same(got, want, "MarkPayment changes nothing but the mark, and returns the payment")
		k.same(k.payment(p.ID), want, "MarkPayment changes nothing but the mark")
		k.same(k.ready(), ready, "MarkPayment makes no terminal ready or busy")
		for _, other := range marked {
			k.same(k.payment(other.ID), other, "MarkPayment changes no other payment")
		}
	}
	check(pairing.Queued, "queued")
	k.ok(k.store.RequeuePayment(k.Context(), k.claim(terminal("1"), long), 0, "busy"), "requeueing")
	check(pairing.Queued, "queued again")
	c := k.claim(terminal("1"), long)
	check(pairing.Sending, "being sent")
	k.ok(k.store.RenewClaim(k.Context(), c, long, "note"), "renewing")
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t", Token: "s3cret", Serial: "1"}), "saving a handle")
	check(pairing.Sent, "sent")
	_, _, err := k.store.FinishPayment(k.Context(), c, pairing.Result{Receipt: "receipt", Reason: "no answer"}, 0)
	k.ok(err, "parking a payment")
	check(pairing.Parked, "parked")
	_, err = k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{Outcome: tillroute.Approved, By: "a", Reason: "b"})
	k.ok(err, "resolving")
	check(pairing.Done, "resolved")
	marked = append(marked, k.payment(p.ID))

	p = k.accept(register("1"), terminal("1"))
	_, err = k.store.WithdrawPayment(k.Context(), p.ID, "reason")
	k.ok(err, "withdrawing")
	check(pairing.Done, "withdrawn")
	marked = append(marked, k.payment(p.ID))
	for _, o := range []tillroute.Outcome{tillroute.Approved, tillroute.Declined, tillroute.Failed} {
		p = k.accept(register("1"), terminal("1"))
		k.finish(k.sent(terminal("1")), o)
		check(pairing.Done, o.String())
		marked = append(marked, k.payment(p.ID))
	}
}

func markDisturbsNoClaim(k *kit) {
	at := terminal("1")
	p := k.accept(register("1"), at)
	c := k.claim(at, long)
	k.mark(p.ID, "", "1")
	k.noClaim(at, "MarkPayment does not end a lease")
	k.ok(k.store.RenewClaim(k.Context(), c, long, "note"), "renewing a claim whose payment was marked")
	k.mark(p.ID, "1", "2")
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "saving the handle of a payment that was marked")
	k.mark(p.ID, "2", "3")
	k.noClaim(at, "MarkPayment does not end a lease")
	k.ok(k.store.ReleaseClaim(k.Context(), c), "releasing a claim whose payment was marked")
	again := k.claim(at, short)
	k.mark(p.ID, "3", "4")
	k.fenced(c, "was taken over, and then marked")
	k.pass(short)
	last, ok, err := k.store.ClaimPayment(k.Context(), at, "another", long)
	k.ok(err, "claiming")
	k.rule(ok && last.Fence > again.Fence, "MarkPayment does not make a lease longer", "claimed: %t, %s", ok, show(last))
	k.mark(p.ID, "4", "5")
	k.finish(last, tillroute.Approved)
	k.mark(p.ID, "5", "6")
	k.fenced(last, "has ended, and then marked")
}

func markDisturbsNoQueue(k *kit) {
	var ids []string
	for range 4 {
		ids = append(ids, k.accept(register("1"), terminal("1")).ID)
	}
	k.ok(k.store.RequeuePayment(k.Context(), k.claim(terminal("1"), long), short, "busy"), "requeueing")
	k.pass(short)
	k.ok(k.store.RequeuePayment(k.Context(), k.claim(terminal("1"), long), long, "busy"), "requeueing")
	for i := range ids {
		id := ids[len(ids)-1-i]
		k.mark(id, "", "marked")
		k.noClaim(terminal("1"), "MarkPayment of any payment does not end what holds a queue back")
		k.rule(k.ahead(id) == len(ids)-1-i, "MarkPayment leaves a payment's place in its queue", "%d ahead of %s", k.ahead(id), id)
	}
	_, err := k.store.WithdrawPayment(k.Context(), ids[0], "reason")
	k.ok(err, "withdrawing a payment that was marked")
	k.drain(terminal("1"), ids[1:], "marked payments are claimed in the order in which they were accepted")
}

func markStays(k *kit) {
	at := terminal("1")
	p := k.accept(register("1"), at)
	mark := ""
	stays := func(what string) {
		k.Helper()
		got := k.payment(p.ID)
		k.rule(got.Mark == mark, "a mark stays when its payment "+what, "%q, it was %q", got.Mark, mark)
		k.mark(p.ID, mark, what)
		mark = what
	}
	stays("was accepted")
	again, err := k.store.AcceptPayment(k.Context(), p.Request)
	k.ok(err, "accepting the same payment again")
	k.rule(again.Mark == mark, "the same payment again is answered with its mark", "%q, it was %q", again.Mark, mark)
	c := k.claim(at, long)
	stays("is claimed")
	k.ok(k.store.RenewClaim(k.Context(), c, long, "note"), "renewing")
	stays("has its claim renewed")
	k.ok(k.store.RequeuePayment(k.Context(), c, 0, "busy"), "requeueing")
	stays("is queued again")
	k.ok(k.store.MoveRegister(k.Context(), register("1"), at, terminal("2")), "moving")
	at = terminal("2")
	stays("is moved")
	c = k.sent(at)
	stays("is sent")
	k.ok(k.store.ReleaseClaim(k.Context(), c), "releasing")
	stays("is released")
	c = k.claim(at, long)
	stays("is taken over")
	k.finish(c, tillroute.Unknown)
	stays("is parked")
	_, err = k.store.ResolvePayment(k.Context(), p.ID, pairing.Resolution{Outcome: tillroute.Approved, By: "a", Reason: "b"})
	k.ok(err, "resolving")
	stays("is resolved")

	p, mark = k.accept(register("1"), at), ""
	stays("was accepted")
	got, err := k.store.WithdrawPayment(k.Context(), p.ID, "reason")
	k.ok(err, "withdrawing")
	k.rule(got.Mark == mark, "a payment that was withdrawn is returned with its mark", "%q, it was %q", got.Mark, mark)
	stays("is withdrawn")

	p, mark = k.accept(register("1"), at), ""
	c = k.sent(at)
	stays("is sent")
	k.finish(c, tillroute.Approved)
	stays("is done")
}

func markComesWithClaims(k *kit) {
	first, second := k.accept(register("1"), terminal("1")), k.accept(register("1"), terminal("1"))
	k.mark(first.ID, "", "first")
	k.mark(second.ID, "", "second")
	c := k.claim(terminal("1"), short)
	k.rule(c.Payment.Mark == "first", "a claimed payment has its mark", "%q", c.Payment.Mark)
	k.mark(first.ID, "first", "changed")
	k.pass(short)
	c = k.claim(terminal("1"), long)
	k.rule(c.Payment.Mark == "changed", "a payment that is taken over has its mark", "%q", c.Payment.Mark)
	next, ok, err := k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved}, long)
	k.ok(err, "finishing")
	k.rule(ok && next.Payment.Mark == "second", "the next payment that is claimed has its mark", "%q", next.Payment.Mark)
}

func listMarks(k *kit) {
	at := terminal("1")
	var all []pairing.Payment
	for _, o := range []tillroute.Outcome{tillroute.Approved, tillroute.Declined, tillroute.Cancelled, tillroute.Failed, tillroute.Unknown} {
		for _, mark := range []string{"", "told", "telling", "Told", ""} {
			p := k.accept(register("1"), at)
			k.finish(k.claim(at, long), o)
			all = append(all, k.mark(p.ID, "", mark))
		}
	}
	k.sent(k.accept(register("1"), at).Terminal)
	for _, mark := range []string{"", "told"} {
		p := k.accept(register("1"), at)
		all = append(all, k.mark(p.ID, "", mark))
	}
	all = slices.Insert(all, len(all)-2, k.payment(fmt.Sprintf("payment-%d", len(all)-1)))
	done, approved := []pairing.State{pairing.Done}, []tillroute.Outcome{tillroute.Approved}
	for _, f := range []pairing.Filter{
		{Marks: []string{}, Outcomes: []tillroute.Outcome{}},
		{Marks: []string{""}},
		{Marks: []string{"told"}},
		{Marks: []string{"", "telling"}},
		{Marks: []string{"none"}},
		{Marks: []string{"told", "told"}, After: all[7].Seq},
		{Outcomes: approved},
		{Outcomes: []tillroute.Outcome{tillroute.Unknown}},
		{Outcomes: []tillroute.Outcome{tillroute.Declined, tillroute.Failed, tillroute.Cancelled}},
		{Outcomes: []tillroute.Outcome{tillroute.Unknown}, States: done},
		{Outcomes: []tillroute.Outcome{tillroute.Unknown}, States: []pairing.State{pairing.Parked}, Marks: []string{"told"}},
		{Outcomes: []tillroute.Outcome{tillroute.Unknown}, States: []pairing.State{pairing.Queued}, Marks: []string{"told"}},
		{Outcomes: approved, Marks: []string{""}},
		{Outcomes: approved, States: done, Marks: []string{""}},
		{Outcomes: approved, States: done, Marks: []string{""}, After: all[0].Seq},
		{Outcomes: approved, States: done, Marks: []string{""}, Register: register("1"), Terminal: at},
		{Outcomes: approved, States: done, Marks: []string{""}, Register: register("2")},
		{Outcomes: approved, States: done, Marks: []string{"", "telling"}},
	} {
		var want []pairing.Payment
		for _, p := range all {
			if matches(f, p) {
				want = append(want, p)
			}
		}
		for _, limit := range []int{100, 1, 2} {
			got, err := k.store.ListPayments(k.Context(), f, limit)
			k.ok(err, "listing payments")
			k.same(got, want[:min(limit, len(want))],
				fmt.Sprintf("ListPayments returns the first %d of what matches %+v, in the order of Seq", limit, f))
		}
	}
}

// matches reports whether the filter lists the payment.
func matches(f pairing.Filter, p pairing.Payment) bool {
	return p.Seq > f.After &&
		(len(f.States) == 0 || slices.Contains(f.States, p.State)) &&
		(len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, p.Outcome())) &&
		(f.Terminal == pairing.Terminal{} || p.Terminal == f.Terminal) &&
		(f.Register == pairing.Register{} || p.Register == f.Register) &&
		(len(f.Marks) == 0 || slices.Contains(f.Marks, p.Mark))
}
