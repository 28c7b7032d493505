package pairingtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func claimTests() []test {
	return []test{
		{"Head", claimHead},
		{"EmptyQueue", claimEmpty},
		{"HeadIsNeverOvertaken", neverOvertaken},
		{"TerminalsAreIndependent", terminalsIndependent},
		{"OneOfMany", claimRace},
		{"OneInFlight", oneInFlight},
		{"TakeOver", takeOver},
		{"TakeOverSent", takeOverSent},
		{"AskAgain", askAgain},
		{"AskAgainForTheNext", askAgainForNext},
		{"AskAgainInVain", askAgainInVain},
		{"StaleClaimIsFenced", staleFenced},
		{"EndedClaimIsFenced", endedFenced},
		{"LateClaimHolds", lateHolds},
		{"Renew", renew},
		{"SaveHandle", saveHandle},
		{"SaveHandleOnce", saveHandleOnce},
		{"Requeue", requeue},
		{"RequeueHoldsBack", requeueHolds},
		{"RequeueOnlySending", requeueOnlySending},
		{"Release", release},
		{"Finish", finish},
		{"FinishUnknownParks", finishParks},
		{"FinishClaimsNext", finishNext},
		{"FinishClaimsNothing", finishNoNext},
		{"Ready", ready},
		{"ReadyLimit", readyLimit},
		{"ReadyInOrder", readyOrder},
		{"WorkersTogether", workersTogether},
	}
}

func claimHead(k *kit) {
	_, err := k.store.PutPairing(k.Context(), pairing.Pairing{Register: register("1"), Terminal: terminal("1"), Identity: "id"}, 0)
	k.ok(err, "pairing")
	r := request("1", register("1"))
	r.Reference, r.Data = "table 4", []byte("data")
	want, err := k.store.AcceptPayment(k.Context(), r)
	k.ok(err, "accepting a payment")
	c, ok, err := k.store.ClaimPayment(k.Context(), terminal("1"), "Wörker", long)
	k.ok(err, "claiming")
	k.rule(ok, "the head of a queue can be claimed", "nothing to claim")
	want.State = pairing.Sending
	k.same(c, pairing.Claim{Payment: want, Owner: "Wörker", Fresh: true}, "a claim holds the payment, who has it and that it is fresh")
	k.same(k.payment("1"), want, "a payment that is claimed becomes Sending in the same write")
	k.utc(c.Payment.AcceptedAt, "AcceptedAt")
}

func claimEmpty(k *kit) {
	k.noClaim(terminal("1"), "there is nothing to claim at a terminal that has no payment")
	k.accept(register("1"), terminal("1"))
	for _, t := range []pairing.Terminal{terminal("2"), {Provider: "other", Serial: "1"}, {}} {
		k.noClaim(t, "there is nothing to claim at another terminal")
	}
	k.finish(k.claim(terminal("1"), long), tillroute.Approved)
	k.noClaim(terminal("1"), "there is nothing to claim when everything is done")
}

func neverOvertaken(k *kit) {
	first := k.accept(register("1"), terminal("1"))
	k.accept(register("2"), terminal("1"))
	c := k.claim(terminal("1"), long)
	k.rule(c.Payment.ID == first.ID, "the head is claimed", "%s", show(c))
	k.noClaim(terminal("1"), "what stands behind a head that is being sent is never claimed")
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "saving a handle")
	k.noClaim(terminal("1"), "what stands behind a head that was sent is never claimed")
	k.ok(k.store.ReleaseClaim(k.Context(), c), "releasing")
	again := k.claim(terminal("1"), long)
	k.rule(again.Payment.ID == first.ID, "what stands behind a head whose lease has ended is never claimed", "%s", show(again))
}

func terminalsIndependent(k *kit) {
	for i := range 3 {
		k.accept(register(fmt.Sprint(i)), terminal(fmt.Sprint(i)))
	}
	for i := range 3 {
		c := k.claim(terminal(fmt.Sprint(i)), long)
		k.rule(c.Payment.Terminal == terminal(fmt.Sprint(i)), "terminals don't wait for each other", "%s", show(c))
	}
}

func claimRace(k *kit) {
	for range 3 {
		k.accept(register("1"), terminal("1"))
	}
	claims := together(50, func(i int) pairing.Claim {
		c, ok, err := k.store.ClaimPayment(k.Context(), terminal("1"), fmt.Sprint(i), long)
		if err != nil || !ok {
			return pairing.Claim{}
		}
		return c
	})
	won := slices.DeleteFunc(claims, func(c pairing.Claim) bool { return c.Owner == "" })
	k.rule(len(won) == 1, "of many that claim at once, one gets the head", "%d got something", len(won))
}

func oneInFlight(k *kit) {
	for i := range 4 {
		k.accept(register(fmt.Sprint(i)), terminal("1"))
	}
	k.claim(terminal("1"), long)
	for range 3 {
		k.noClaim(terminal("1"), "one payment is in flight at a terminal")
	}
	list, err := k.store.ListPayments(k.Context(), pairing.Filter{States: []pairing.State{pairing.Sending, pairing.Sent}}, 10)
	k.ok(err, "listing payments")
	k.rule(len(list) == 1, "one payment is in flight at a terminal", "%s", show(list))
}

func takeOver(k *kit) {
	k.accept(register("1"), terminal("1"))
	first := k.claim(terminal("1"), short)
	k.rule(first.Fresh, "a payment that was Queued when it was claimed is fresh", "%s", show(first))
	k.pass(short)
	second, ok, err := k.store.ClaimPayment(k.Context(), terminal("1"), "another", long)
	k.ok(err, "claiming")
	k.rule(ok, "a payment whose lease has ended can be taken over", "nothing to claim")
	want := first
	want.Owner, want.Fresh = "another", false
	k.same(second, want, "a payment that is taken over may have been sent, and is not fresh")
	k.rule(second.Fence > first.Fence, "a later claim has a higher fence", "%d after %d", second.Fence, first.Fence)
	k.noClaim(terminal("1"), "a payment that was taken over is leased")
	k.ok(k.store.ReleaseClaim(k.Context(), second), "releasing")
	third := k.claim(terminal("1"), long)
	k.rule(!third.Fresh && third.Fence > second.Fence, "a later claim has a higher fence", "%d after %d", third.Fence, second.Fence)
}

func takeOverSent(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	c := k.claim(terminal("1"), short)
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t", Token: "where to poll", Serial: "real"}), "saving a handle")
	k.ok(k.store.RenewClaim(k.Context(), c, short, "waiting for the card"), "renewing")
	k.pass(short)
	again := k.claim(terminal("1"), long)
	k.same(again.Payment, k.payment(p.ID), "a claim holds the payment as it is")
	k.rule(again.Payment.State == pairing.Sent && !again.Fresh, "a payment that was sent stays so when it is taken over", "%s", show(again))
	k.rule(again.Payment.Handle.Token == "where to poll", "who takes over gets the handle", "%s", show(again.Payment.Handle))
	k.rule(again.Payment.Note == "waiting for the card", "who takes over gets the note", "%q", again.Payment.Note)
}

// again has owner ask once more for what it has.
func (k *kit) again(c pairing.Claim, lease time.Duration, rule string) pairing.Claim {
	k.Helper()
	again, ok, err := k.store.ClaimPayment(k.Context(), c.Payment.Terminal, c.Owner, lease)
	k.ok(err, "claiming")
	k.rule(ok, rule, "nothing to claim")
	k.rule(again.Fence == c.Fence, "a claim that its owner asks for again has the same fence", "%d after %d", again.Fence, c.Fence)
	return again
}

func askAgain(k *kit) {
	const rule = "an owner gets its own claim again"
	k.accept(register("1"), terminal("1"))
	k.accept(register("1"), terminal("1"))
	c := k.claim(terminal("1"), long)
	k.same(k.again(c, short, rule), c, "a claim that its owner asks for again is fresh as it was")
	k.pass(short)
	k.same(k.again(c, long, rule), c, "a claim whose lease has ended, and that nobody has taken over, is still its owner's")
	k.noClaim(terminal("1"), "a claim that its owner asked for again is leased anew")
	k.ok(k.store.RenewClaim(k.Context(), c, short, "note"), "renewing")
	k.pass(short)
	other := k.claim(terminal("1"), long)
	k.rule(!other.Fresh, "what somebody else may have sent is not fresh", "%s", show(other))
	k.rule(!k.again(other, long, rule).Fresh, "a claim that its owner asks for again is fresh only if it was", "%s", show(other))
	k.fenced(c, "was taken over")
	k.ok(k.store.SavePaymentHandle(k.Context(), other, pairing.Handle{TransactionID: "t"}), "saving a handle")
	sent := k.again(other, long, rule)
	k.same(sent.Payment, k.payment(other.Payment.ID), "a claim holds the payment as it is")
	k.ok(k.store.ReleaseClaim(k.Context(), other), "releasing")
	last, ok, err := k.store.ClaimPayment(k.Context(), terminal("1"), other.Owner, long)
	k.ok(err, "claiming")
	k.rule(ok && last.Fence > other.Fence, "what its owner has released is claimed anew", "%t %s, fence %d after %d", ok, show(last), last.Fence, other.Fence)

	k.accept(register("2"), terminal("2"))
	c = k.claim(terminal("2"), long)
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "saving a handle")
	k.rule(!k.again(c, long, rule).Fresh, "what was sent is not fresh", "")
	k.accept(register("3"), terminal("3"))
	c = k.claim(terminal("3"), long)
	k.ok(k.store.ReleaseClaim(k.Context(), c), "releasing")
	last, ok, err = k.store.ClaimPayment(k.Context(), terminal("3"), c.Owner, long)
	k.ok(err, "claiming")
	k.rule(ok && !last.Fresh, "what was released may have been sent, by its owner too", "%t %s", ok, show(last))
	k.fenced(c, "was released and claimed anew")
}

// askAgainForNext is a worker that never learned that a payment was finished and the next one claimed.
func askAgainForNext(k *kit) {
	k.accept(register("1"), terminal("1"))
	second := k.accept(register("1"), terminal("1"))
	c := k.claim(terminal("1"), long)
	next, ok, err := k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved}, long)
	k.ok(err, "finishing")
	k.rule(ok && next.Payment.ID == second.ID, "FinishPayment claims the next payment of the terminal", "%t %s", ok, show(next))
	k.same(k.again(next, long, "an owner gets the claim that came with FinishPayment again"), next, "a claim that its owner asks for again is fresh as it was")
}

func askAgainInVain(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	c := k.claim(terminal("1"), long)
	k.ok(k.store.RequeuePayment(k.Context(), c, long, "busy"), "requeueing")
	_, ok, err := k.store.ClaimPayment(k.Context(), terminal("1"), c.Owner, long)
	k.ok(err, "claiming")
	k.rule(!ok, "what its owner has given back is held back, for its owner too", "")
	_, err = k.store.WithdrawPayment(k.Context(), p.ID, "")
	k.ok(err, "withdrawing")
	k.accept(register("1"), terminal("1"))
	k.finish(k.claim(terminal("1"), long), tillroute.Approved)
	for _, owner := range []string{c.Owner, "worker 2"} {
		_, ok, err = k.store.ClaimPayment(k.Context(), terminal("1"), owner, long)
		k.ok(err, "claiming")
		k.rule(!ok, "an owner has nothing of what has ended", "")
	}
}

// fenced ends the test unless every method refuses the claim and leaves its payment as it is.
func (k *kit) fenced(stale pairing.Claim, why string) {
	k.Helper()
	before := k.payment(stale.Payment.ID)
	finish := func(lease time.Duration) error {
		next, ok, err := k.store.FinishPayment(k.Context(), stale, pairing.Result{Outcome: tillroute.Declined}, lease)
		k.rule(!ok, "a fenced FinishPayment claims nothing", "%s", show(next))
		return err
	}
	for name, err := range map[string]error{
		"RenewClaim":                   k.store.RenewClaim(k.Context(), stale, long, "stale"),
		"SavePaymentHandle":            k.store.SavePaymentHandle(k.Context(), stale, pairing.Handle{TransactionID: "stale", Token: "stale"}),
		"RequeuePayment":               k.store.RequeuePayment(k.Context(), stale, 0, "stale"),
		"ReleaseClaim":                 k.store.ReleaseClaim(k.Context(), stale),
		"FinishPayment":                finish(0),
		"FinishPayment and claim next": finish(long),
	} {
		k.fails(err, pairing.ErrFenced, name+" with a claim that "+why+" is ErrFenced")
	}
	k.same(k.payment(stale.Payment.ID), before, "a claim that "+why+" changes nothing")
}

func staleFenced(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	k.accept(register("1"), terminal("1"))
	stale := k.claim(terminal("1"), short)
	k.pass(short)
	latest := k.claim(terminal("1"), long)
	k.fenced(stale, "was taken over")
	k.noClaim(terminal("1"), "a fenced claim doesn't end the latest one's lease")
	k.ok(k.store.SavePaymentHandle(k.Context(), latest, pairing.Handle{TransactionID: "t"}), "saving a handle")
	k.fenced(stale, "was taken over")
	made := stale
	made.Fence = latest.Fence + 1
	k.fenced(made, "was never given")
	made.Fence, made.Payment.ID = latest.Fence, "payment-2"
	k.fails(k.store.ReleaseClaim(k.Context(), made), pairing.ErrFenced, "a claim is of its own payment only")
	k.finish(latest, tillroute.Approved)
	k.rule(k.payment(p.ID).Outcome() == tillroute.Approved, "the latest claim writes the result", "%s", show(k.payment(p.ID)))
}

func endedFenced(k *kit) {
	for _, o := range []tillroute.Outcome{tillroute.Approved, tillroute.Unknown} {
		k.accept(register("1"), terminal("1"))
		c := k.sent(terminal("1"))
		k.finish(c, o)
		k.fenced(c, "has finished")
	}
	k.accept(register("1"), terminal("1"))
	c := k.claim(terminal("1"), long)
	k.ok(k.store.RequeuePayment(k.Context(), c, 0, "busy"), "requeueing")
	k.fenced(c, "has given its payment back")
	again := k.claim(terminal("1"), long)
	k.rule(again.Fence > c.Fence, "a later claim has a higher fence", "%d after %d", again.Fence, c.Fence)
	k.fenced(c, "has given its payment back")
}

func lateHolds(k *kit) {
	k.accept(register("1"), terminal("1"))
	c := k.claim(terminal("1"), short)
	k.pass(short)
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "a claim that is the latest writes though its lease has ended")
	k.ok(k.store.RenewClaim(k.Context(), c, long, ""), "a claim that is the latest can be renewed though its lease has ended")
	k.noClaim(terminal("1"), "a claim that was renewed late holds")
	k.ok(k.store.RenewClaim(k.Context(), c, short, ""), "renewing")
	k.pass(short)
	k.finish(c, tillroute.Approved)
}

func renew(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	c := k.claim(terminal("1"), 30*time.Millisecond)
	for _, note := range []string{"Karte einstecken…", ""} {
		k.ok(k.store.RenewClaim(k.Context(), c, long, note), "renewing")
		p.State, p.Note = pairing.Sending, note
		k.same(k.payment(p.ID), p, "RenewClaim replaces the note and nothing else")
	}
	k.pass(30 * time.Millisecond)
	k.noClaim(terminal("1"), "RenewClaim extends the lease")
	k.ok(k.store.RenewClaim(k.Context(), c, short, ""), "renewing")
	k.pass(short)
	k.claim(terminal("1"), long)
}

func saveHandle(k *kit) {
	for i, h := range []pairing.Handle{
		{TransactionID: "tränsaction/1", Token: "tökén", Serial: "device ü"},
		{},
	} {
		at := terminal(fmt.Sprint(i))
		want := k.accept(register(fmt.Sprint(i)), at)
		c := k.claim(at, long)
		k.ok(k.store.RenewClaim(k.Context(), c, long, "being sent"), "renewing")
		k.ok(k.store.SavePaymentHandle(k.Context(), c, h), "saving a handle")
		got := k.payment(want.ID)
		k.utc(got.SentAt, "SentAt")
		k.rule(!got.SentAt.Before(got.AcceptedAt), "SentAt is when the handle was written", "%s before %s", got.SentAt, got.AcceptedAt)
		want.State, want.Handle, want.SentAt = pairing.Sent, h, got.SentAt
		k.same(got, want, "SavePaymentHandle writes the handle down, makes the payment Sent and ends the note")
		k.noClaim(at, "a payment that was sent stays leased")
	}
}

func saveHandleOnce(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	c := k.sent(terminal("1"))
	before := k.payment(p.ID)
	k.ok(k.store.SavePaymentHandle(k.Context(), c, before.Handle), "the same handle may be saved again")
	k.fails(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "other"}), tillroute.ErrConflict,
		"the handle of a payment that was sent is never replaced")
	k.same(k.payment(p.ID), before, "a refused handle changes nothing")
}

func requeue(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	k.accept(register("1"), terminal("1"))
	first := k.claim(terminal("1"), long)
	k.ok(k.store.RequeuePayment(k.Context(), first, 0, "the terminal is busy"), "requeueing")
	p.Note = "the terminal is busy"
	k.same(k.payment(p.ID), p, "RequeuePayment makes a payment Queued again, with that note")
	k.rule(len(k.ready()) == 1, "a terminal whose head is queued again is ready", "%v", k.ready())
	second := k.claim(terminal("1"), long)
	k.rule(second.Payment.ID == p.ID, "a payment that is queued again is at the head", "%s", show(second))
	k.rule(second.Fresh, "a payment that is queued again was provably not sent: it is fresh", "%s", show(second))
	k.rule(second.Fence > first.Fence, "a later claim has a higher fence", "%d after %d", second.Fence, first.Fence)
}

func requeueHolds(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	k.accept(register("1"), terminal("1"))
	k.ok(k.store.RequeuePayment(k.Context(), k.claim(terminal("1"), long), long, "busy"), "requeueing")
	k.noClaim(terminal("1"), "RequeuePayment holds the queue back for delay")
	k.rule(len(k.ready()) == 0, "a terminal whose queue is held back is not ready", "%v", k.ready())
	k.accept(register("2"), terminal("1"))
	k.noClaim(terminal("1"), "a queue that is held back stays so when a payment comes")
	k.accept(register("3"), terminal("2"))
	k.claim(terminal("2"), long)

	q := k.accept(register("4"), terminal("3"))
	k.ok(k.store.RequeuePayment(k.Context(), k.claim(terminal("3"), long), short, "busy"), "requeueing")
	k.pass(short)
	k.rule(slices.Contains(k.ready(), terminal("3")), "a queue is held back for delay and no longer", "ready: %v", k.ready())
	k.rule(k.claim(terminal("3"), long).Payment.ID == q.ID, "a queue is held back for delay and no longer", "")
	_, err := k.store.WithdrawPayment(k.Context(), p.ID, "no longer wanted")
	k.ok(err, "a payment that is queued again can be withdrawn")
}

func requeueOnlySending(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	c := k.sent(terminal("1"))
	before := k.payment(p.ID)
	k.fails(k.store.RequeuePayment(k.Context(), c, 0, "busy"), tillroute.ErrConflict, "a payment that was sent is never queued again")
	k.same(k.payment(p.ID), before, "a refused RequeuePayment changes nothing")
	k.noClaim(terminal("1"), "a refused RequeuePayment changes nothing")
}

func release(k *kit) {
	for _, send := range []bool{false, true} {
		at := terminal(fmt.Sprint(send))
		p := k.accept(register(fmt.Sprint(send)), at)
		c := k.claim(at, long)
		if send {
			k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "saving a handle")
		}
		before := k.payment(p.ID)
		k.rule(!slices.Contains(k.ready(), at), "a terminal whose head is leased is not ready", "%v", k.ready())
		k.ok(k.store.ReleaseClaim(k.Context(), c), "releasing")
		k.same(k.payment(p.ID), before, "ReleaseClaim ends the lease and nothing else")
		k.rule(slices.Contains(k.ready(), at), "a terminal whose head was released is ready", "%v", k.ready())
		k.ok(k.store.RenewClaim(k.Context(), c, long, ""), "a claim that was released is still the latest")
		k.ok(k.store.ReleaseClaim(k.Context(), c), "releasing")
		again := k.claim(at, long)
		k.rule(!again.Fresh && again.Payment.ID == p.ID, "what was released is taken over, and not sent again", "%s", show(again))
	}
}

func finish(k *kit) {
	for i, r := range []pairing.Result{
		{
			Outcome: tillroute.Approved, Amount: dollars("13.456"), Surcharge: dollars("0.25"), Tip: dollars("-0.706"),
			TransactionID: "tränsaction", AuthCode: "00A1", Acquirer: "Bänk", CardType: "VISA", CardNumber: "****1234",
			Receipt: "line 1\r\n  line 2\tü 🧾\n", Reason: "none",
		},
		{Outcome: tillroute.Declined, Reason: "kein Geld"},
		{Outcome: tillroute.Cancelled},
		{Outcome: tillroute.Failed, Reason: "the device is unplugged"},
		{Outcome: tillroute.Approved, Amount: dollars("9999999999999999999999999.9999")},
	} {
		for _, send := range []bool{false, true} {
			at := terminal(fmt.Sprint(i, send))
			want := k.accept(register(fmt.Sprint(i, send)), at)
			c := k.claim(at, long)
			if send {
				k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t", Token: "s"}), "saving a handle")
				want = k.payment(want.ID)
			}
			_, ok, err := k.store.FinishPayment(k.Context(), c, r, 0)
			k.ok(err, "finishing")
			got := k.payment(want.ID)
			k.rule(!ok, "nothing is claimed if the lease isn't positive", "something is")
			k.utc(got.EndedAt, "EndedAt")
			want.State, want.Result, want.EndedAt = pairing.Done, r, got.EndedAt
			k.same(got, want, "FinishPayment writes the result")
			k.noClaim(at, "a payment that is done is not in a queue")
			k.rule(!slices.Contains(k.ready(), at), "a terminal without open payments is not ready", "%v", k.ready())
		}
	}
}

func finishParks(k *kit) {
	p := k.accept(register("1"), terminal("1"))
	behind := k.accept(register("1"), terminal("1"))
	c := k.sent(terminal("1"))
	want := k.payment(p.ID)
	next, ok, err := k.store.FinishPayment(k.Context(), c, pairing.Result{Reason: "no answer: look at the terminal"}, long)
	k.ok(err, "finishing")
	got := k.payment(p.ID)
	k.utc(got.EndedAt, "EndedAt")
	want.State, want.EndedAt, want.Result.Reason = pairing.Parked, got.EndedAt, "no answer: look at the terminal"
	k.same(got, want, "a payment whose outcome is Unknown is parked")
	k.rule(ok && next.Payment.ID == behind.ID, "a parked payment doesn't hold its terminal's queue", "%t %s", ok, show(next))
	k.finish(next, tillroute.Approved)
	k.noClaim(terminal("1"), "a parked payment is never claimed")
	k.rule(len(k.ready()) == 0, "a parked payment makes no terminal ready", "%v", k.ready())
}

func finishNext(k *kit) {
	var ids []string
	for range 3 {
		ids = append(ids, k.accept(register("1"), terminal("1")).ID)
	}
	c, ok, err := k.store.ClaimPayment(k.Context(), terminal("1"), "Wörker", long)
	k.ok(err, "claiming")
	for i, id := range ids {
		k.rule(ok && c.Payment.ID == id, "FinishPayment claims the next payment of the terminal", "number %d: %t %s", i, ok, show(c))
		k.rule(c.Owner == "Wörker" && c.Fresh, "the next payment is claimed for the same owner, as ClaimPayment would", "%s", show(c))
		k.same(c.Payment, k.payment(id), "a claim holds the payment as it is")
		k.noClaim(terminal("1"), "the next payment is claimed in the same write")
		next, more, err := k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved, Amount: dollars("12.50")}, long)
		k.ok(err, "finishing")
		done := k.payment(id)
		k.rule(done.State == pairing.Done, "FinishPayment ends the payment that it was called for", "%s", show(done))
		c, ok = next, more
	}
	k.rule(!ok, "there is no next payment when everything is done", "%s", show(c))
}

func finishNoNext(k *kit) {
	k.accept(register("1"), terminal("1"))
	second := k.accept(register("1"), terminal("1"))
	k.accept(register("2"), terminal("2"))
	c := k.claim(terminal("1"), long)
	next, ok, err := k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved}, 0)
	k.ok(err, "finishing")
	k.rule(!ok, "nothing is claimed if the lease isn't positive", "%s", show(next))
	k.rule(k.payment(second.ID).State == pairing.Queued, "nothing is claimed if the lease isn't positive", "%s", show(k.payment(second.ID)))
	c = k.claim(terminal("1"), long)
	next, ok, err = k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved}, long)
	k.ok(err, "finishing")
	k.rule(!ok, "only the next payment of the same terminal is claimed", "%s", show(next))
	k.claim(terminal("2"), long)

	k.accept(register("3"), terminal("3"))
	c = k.claim(terminal("3"), long)
	behind := k.accept(register("3"), terminal("3"))
	next, ok, err = k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved}, short)
	k.ok(err, "finishing")
	k.rule(ok && next.Payment.ID == behind.ID, "FinishPayment claims the next payment of the terminal", "%t %s", ok, show(next))
	k.pass(short)
	again := k.claim(terminal("3"), long)
	k.rule(!again.Fresh && again.Payment.ID == behind.ID, "the next payment is leased for lease, as ClaimPayment would", "%s", show(again))
}

func ready(k *kit) {
	k.rule(len(k.ready()) == 0, "an empty store has no ready terminals", "%v", k.ready())
	for _, at := range []string{"queued", "leased", "released", "sent", "done", "parked", "held", "withdrawn"} {
		k.accept(register(at), terminal(at))
	}
	k.accept(register("queued"), terminal("queued"))
	k.pair(register("other"), pairing.Terminal{Provider: "other", Serial: "queued"})
	k.accept(register("other"), pairing.Terminal{Provider: "other", Serial: "queued"})
	k.claim(terminal("leased"), long)
	k.ok(k.store.ReleaseClaim(k.Context(), k.claim(terminal("released"), long)), "releasing")
	k.sent(terminal("sent"))
	k.finish(k.claim(terminal("done"), long), tillroute.Approved)
	k.finish(k.claim(terminal("parked"), long), tillroute.Unknown)
	k.ok(k.store.RequeuePayment(k.Context(), k.claim(terminal("held"), long), long, ""), "requeueing")
	_, err := k.store.WithdrawPayment(k.Context(), "payment-8", "") // the one at "withdrawn"
	k.ok(err, "withdrawing")
	for _, c := range []struct {
		providers []string
		want      []pairing.Terminal
	}{
		{[]string{"smartconnect"}, []pairing.Terminal{terminal("queued"), terminal("released")}},
		{[]string{"other"}, []pairing.Terminal{{Provider: "other", Serial: "queued"}}},
		{[]string{"other", "none", "smartconnect", "other"}, []pairing.Terminal{
			{Provider: "other", Serial: "queued"}, terminal("queued"), terminal("released"),
		}},
		{[]string{"none", ""}, nil},
		{nil, nil},
	} {
		got, err := k.store.ReadyTerminals(k.Context(), c.providers, 100)
		k.ok(err, "asking for ready terminals")
		slices.SortFunc(got, func(a, b pairing.Terminal) int { return strings.Compare(a.String(), b.String()) })
		k.same(got, c.want, fmt.Sprintf("the ready terminals of %q are those whose head can be claimed now", c.providers))
	}
	for _, t := range k.ready() {
		k.claim(t, long)
	}
	k.rule(len(k.ready()) == 0, "terminals whose heads are claimed are not ready", "%v", k.ready())
}

func readyLimit(k *kit) {
	for i := range 5 {
		k.accept(register(fmt.Sprint(i)), terminal(fmt.Sprint(i)))
	}
	for limit := range 7 {
		got, err := k.store.ReadyTerminals(k.Context(), []string{"smartconnect"}, limit)
		k.ok(err, "asking for ready terminals")
		k.rule(len(got) == min(limit, 5), "ReadyTerminals returns up to limit terminals", "%d with limit %d of 5", len(got), limit)
	}
}

func readyOrder(k *kit) {
	for _, at := range []string{"3", "1", "2", "3", "1"} {
		k.accept(register(at), terminal(at))
	}
	want := []pairing.Terminal{terminal("3"), terminal("1"), terminal("2")}
	for limit := range 4 {
		got, err := k.store.ReadyTerminals(k.Context(), []string{"smartconnect"}, limit)
		k.ok(err, "asking for ready terminals")
		k.same(got, want[:limit], "those terminals are first whose head has waited longest")
	}
}

// workersTogether has more workers than terminals work through all queues at once.
func workersTogether(k *kit) {
	const terminals, each = 4, 8
	want := make([][]string, terminals)
	for range each {
		for t := range terminals {
			want[t] = append(want[t], k.accept(register(fmt.Sprint(t)), terminal(fmt.Sprint(t))).ID)
		}
	}
	served := make([][]string, terminals) // each is written to by who has its terminal
	faults := together(3*terminals, func(i int) error {
		for t := range terminals {
			t = (t + i) % terminals
			c, ok, err := k.store.ClaimPayment(k.Context(), terminal(fmt.Sprint(t)), fmt.Sprint(i), long)
			for ok && err == nil {
				served[t] = append(served[t], c.Payment.ID)
				c, ok, err = k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved}, long)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range faults {
		k.ok(err, "working together")
	}
	for t := range terminals {
		k.rule(slices.Equal(served[t], want[t]), "each payment is served once, in the order of acceptance",
			"terminal %d\n got %v\nwant %v", t, served[t], want[t])
	}
}
