package pairingtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func ruleTests() []test {
	return []test{
		{"EndedContextLeavesNoTrace", endedContext},
		{"ContextThatEndsMeanwhile", contextEndsMeanwhile},
		{"CloseTwice", closeTwice},
		{"NothingAfterClose", nothingAfterClose},
		{"NoTimeHasEndedAtOnce", noTime},
		{"NoLimitGivesNothing", noLimit},
		{"Concurrency", concurrency},
		{"WritesSurvive", writesSurvive},
		{"OrderSurvives", orderSurvives},
	}
}

// call is one method with arguments that make it succeed in the scene.
type call struct {
	name string
	do   func(context.Context, pairing.Store) error
}

// scene is a store in which each method has something to do.
type scene struct {
	claims   map[string]pairing.Claim // by terminal: each method that takes one has its own
	delivery [2]pairing.Delivery
	calls    []call
}

func (k *kit) scene() scene {
	k.Helper()
	s := scene{claims: map[string]pairing.Claim{}}
	for _, at := range []string{"renew", "save", "requeue", "release", "finish"} {
		k.accept(register(at), terminal(at))
		k.accept(register(at), terminal(at))
		s.claims[at] = k.claim(terminal(at), long)
	}
	k.accept(register("queued"), terminal("queued"))
	withdraw := k.accept(register("withdraw"), terminal("withdraw")).ID
	resolve := k.parked(pairing.Result{}).ID
	k.pair(register("delete"), terminal("queued"))
	k.pair(register("put"), terminal("queued"))
	k.code("ABCDEFGH", "code", long)
	for i := range s.delivery {
		s.delivery[i] = k.begin("source", fmt.Sprint(i), "hash", long)
	}
	k.ok(k.store.FinishDelivery(k.Context(), k.begin("source", "finished", "hash", long), nil), "finishing a delivery")
	_, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	other := grant("1")
	other.Account = "delete"
	_, err = k.store.PutGrant(k.Context(), other, 0)
	k.ok(err, "storing a grant")
	k.pass(short)

	add := func(name string, do func(context.Context, pairing.Store) error) {
		s.calls = append(s.calls, call{name, do})
	}
	add("Pairing", func(ctx context.Context, s pairing.Store) error {
		_, err := s.Pairing(ctx, register("queued"))
		return err
	})
	add("ListPairings", func(ctx context.Context, s pairing.Store) error {
		_, err := s.ListPairings(ctx, pairing.Register{}, 10)
		return err
	})
	add("Payment", func(ctx context.Context, s pairing.Store) error {
		_, err := s.Payment(ctx, withdraw)
		return err
	})
	add("CountAhead", func(ctx context.Context, s pairing.Store) error {
		_, err := s.CountAhead(ctx, withdraw)
		return err
	})
	add("ListPayments", func(ctx context.Context, s pairing.Store) error {
		_, err := s.ListPayments(ctx, pairing.Filter{}, 10)
		return err
	})
	add("ReadyTerminals", func(ctx context.Context, s pairing.Store) error {
		_, err := s.ReadyTerminals(ctx, []string{"smartconnect"}, 10)
		return err
	})
	add("Grant", func(ctx context.Context, s pairing.Store) error {
		_, err := s.Grant(ctx, "xseries", "acme")
		return err
	})
	add("PutPairing", func(ctx context.Context, s pairing.Store) error {
		_, err := s.PutPairing(ctx, pairing.Pairing{Register: register("put"), Terminal: terminal("other")}, 1)
		return err
	})
	add("DeletePairing", func(ctx context.Context, s pairing.Store) error {
		return s.DeletePairing(ctx, register("delete"), 1)
	})
	add("MoveRegister", func(ctx context.Context, s pairing.Store) error {
		return s.MoveRegister(ctx, register("queued"), terminal("queued"), terminal("moved"))
	})
	add("PutCode", func(ctx context.Context, s pairing.Store) error {
		_, err := s.PutCode(ctx, pairing.Code{Text: "HGFEDCBA", Terminal: terminal("code 2")}, long)
		return err
	})
	add("RedeemCode", func(ctx context.Context, s pairing.Store) error {
		_, err := s.RedeemCode(ctx, "ABCDEFGH", pairing.Pairing{Register: register("code")}, generous())
		return err
	})
	add("AcceptPayment", func(ctx context.Context, s pairing.Store) error {
		_, err := s.AcceptPayment(ctx, request("new", register("withdraw")))
		return err
	})
	add("ClaimPayment", func(ctx context.Context, s pairing.Store) error {
		_, _, err := s.ClaimPayment(ctx, terminal("withdraw"), "worker", long)
		return err
	})
	add("RenewClaim", func(ctx context.Context, store pairing.Store) error {
		return store.RenewClaim(ctx, s.claims["renew"], long, "note")
	})
	add("SavePaymentHandle", func(ctx context.Context, store pairing.Store) error {
		return store.SavePaymentHandle(ctx, s.claims["save"], pairing.Handle{TransactionID: "t"})
	})
	add("RequeuePayment", func(ctx context.Context, store pairing.Store) error {
		return store.RequeuePayment(ctx, s.claims["requeue"], 0, "busy")
	})
	add("ReleaseClaim", func(ctx context.Context, store pairing.Store) error {
		return store.ReleaseClaim(ctx, s.claims["release"])
	})
	add("FinishPayment", func(ctx context.Context, store pairing.Store) error {
		_, _, err := store.FinishPayment(ctx, s.claims["finish"], pairing.Result{Outcome: tillroute.Approved}, long)
		return err
	})
	add("WithdrawPayment", func(ctx context.Context, s pairing.Store) error {
		_, err := s.WithdrawPayment(ctx, "payment-2", "reason")
		return err
	})
	add("ResolvePayment", func(ctx context.Context, s pairing.Store) error {
		_, err := s.ResolvePayment(ctx, resolve, pairing.Resolution{Outcome: tillroute.Declined, By: "a", Reason: "b"})
		return err
	})
	add("MarkPayment", func(ctx context.Context, s pairing.Store) error {
		_, err := s.MarkPayment(ctx, "payment-2", "", "told")
		return err
	})
	add("BeginDelivery", func(ctx context.Context, s pairing.Store) error {
		_, err := s.BeginDelivery(ctx, "source", "new", nil, long)
		return err
	})
	add("FinishDelivery", func(ctx context.Context, store pairing.Store) error {
		return store.FinishDelivery(ctx, s.delivery[0], []byte("answer"))
	})
	add("FailDelivery", func(ctx context.Context, store pairing.Store) error {
		return store.FailDelivery(ctx, s.delivery[1])
	})
	add("PurgeDeliveries", func(ctx context.Context, s pairing.Store) error {
		_, err := s.PurgeDeliveries(ctx, short)
		return err
	})
	add("PutGrant", func(ctx context.Context, s pairing.Store) error {
		_, err := s.PutGrant(ctx, grant("2"), 1)
		return err
	})
	add("DeleteGrant", func(ctx context.Context, s pairing.Store) error {
		return s.DeleteGrant(ctx, "xseries", "delete")
	})
	add("ClaimRefresh", func(ctx context.Context, s pairing.Store) error {
		_, err := s.ClaimRefresh(ctx, "xseries", "acme", "me", long)
		return err
	})
	return s
}

// everything writes down all that a store shows.
func (k *kit) everything() string {
	k.Helper()
	payments, err := k.store.ListPayments(k.Context(), pairing.Filter{}, 1000)
	k.ok(err, "listing payments")
	pairings, err := k.store.ListPairings(k.Context(), pairing.Register{}, 1000)
	k.ok(err, "listing pairings")
	text := []string{show(payments), show(pairings), show(k.ready())}
	for _, p := range payments {
		text = append(text, fmt.Sprintf("%s has %d ahead", p.ID, k.ahead(p.ID)))
	}
	for _, account := range []string{"acme", "delete"} {
		g, err := k.store.Grant(k.Context(), "xseries", account)
		text = append(text, fmt.Sprintf("%s: %s, missing %t", account, show(g), errors.Is(err, tillroute.ErrNotFound)))
	}
	return strings.Join(text, "\n")
}

// timed does something and returns how long it took.
func timed(do func() error) (took time.Duration, err error) {
	began := time.Now()
	err = do()
	return time.Since(began), err
}

func endedContext(k *kit) {
	s := k.scene()
	before := k.everything()
	late, cancel := context.WithDeadline(k.Context(), time.Unix(0, 0))
	defer cancel()
	for _, c := range s.calls {
		for _, ctx := range []context.Context{cancelled(k.Context()), late} {
			took, err := timed(func() error { return c.do(ctx, k.store) })
			for range 2 {
				if took >= time.Second { // The machine may have stood still; a store that waits does so each time.
					took, _ = timed(func() error { return c.do(ctx, k.store) })
				}
			}
			k.rule(errors.Is(err, ctx.Err()), "a context that has ended gives an error that matches it",
				"%s: %s, want %s", c.name, text(err), ctx.Err())
			k.typed(err)
			k.rule(took < time.Second, "a context that has ended is noticed within milliseconds", "%s took %s", c.name, took)
		}
	}
	k.rule(k.everything() == before, "a call whose context had ended leaves no trace", "\n%s\nbefore\n%s", k.everything(), before)
	// What can't be seen shows when the same is done once more.
	for _, c := range s.calls {
		k.ok(c.do(k.Context(), k.store), "a call whose context had ended leaves no trace: "+c.name+" afterwards")
	}
}

// contextEndsMeanwhile gives calls so little time that some are cut off, and looks at what they have done.
func contextEndsMeanwhile(k *kit) {
	k.pair(register("1"), terminal("1"))
	errs := together(64, func(i int) error {
		ctx, cancel := context.WithTimeout(k.Context(), time.Duration(i)*20*time.Microsecond)
		defer cancel()
		_, err := k.store.AcceptPayment(ctx, request(fmt.Sprint(i), register("1")))
		return err
	})
	for i, err := range errs {
		_, found := k.store.Payment(k.Context(), fmt.Sprint(i))
		switch {
		case err == nil:
			k.ok(found, "a write that returned nil is there")
		case errors.Is(err, tillroute.ErrOutcomeUnknown):
			k.rule(errors.Is(err, context.DeadlineExceeded), "a context that has ended gives an error that matches it", "%v", err)
		default:
			k.fails(err, context.DeadlineExceeded, "a context that has ended gives an error that matches it")
			k.fails(found, tillroute.ErrNotFound, "a write that returned an error of outcome Failed left no trace")
		}
	}
	_, err := k.store.AcceptPayment(k.Context(), request("last", register("1")))
	k.ok(err, "a store goes on when contexts have ended")
}

func closeTwice(k *kit) {
	k.ok(k.store.Close(), "closing")
	k.ok(k.store.Close(), "a second Close does nothing")
}

func noTime(k *kit) {
	for _, d := range []time.Duration{0, -time.Hour} {
		at := terminal(d.String())
		k.accept(register(d.String()), at)
		k.claim(at, d)
		c := k.claim(at, long)
		k.rule(!c.Fresh, "a lease that isn't positive has ended at once", "%s", show(c))
		k.ok(k.store.RenewClaim(k.Context(), c, d, ""), "renewing")
		k.ok(k.store.RequeuePayment(k.Context(), k.claim(at, long), d, ""), "requeueing")
		k.claim(at, long)
		k.code("CODE "+d.String(), "1", d)
		_, err := k.redeem("CODE "+d.String(), "1", generous())
		k.fails(err, pairing.ErrCodeExpired, "a time to live that isn't positive has ended at once")
		k.begin("s", d.String(), "h", d)
		k.begin("s", d.String(), "h", d)
	}
	_, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	k.ok(k.refresh("me", -time.Hour), "claiming a refresh")
	k.ok(k.refresh("you", 0), "a lease that isn't positive has ended at once")
	k.ok(k.refresh("me", long), "a lease that isn't positive has ended at once")
}

func noLimit(k *kit) {
	k.accept(register("1"), terminal("1"))
	for _, limit := range []int{0, -1} {
		pairings, err := k.store.ListPairings(k.Context(), pairing.Register{}, limit)
		k.ok(err, "listing pairings")
		payments, err := k.store.ListPayments(k.Context(), pairing.Filter{}, limit)
		k.ok(err, "listing payments")
		terminals, err := k.store.ReadyTerminals(k.Context(), []string{"smartconnect"}, limit)
		k.ok(err, "asking for ready terminals")
		k.rule(len(pairings)+len(payments)+len(terminals) == 0, "a limit that isn't positive gives nothing",
			"%d pairings, %d payments, %d terminals with limit %d", len(pairings), len(payments), len(terminals), limit)
	}
}

func nothingAfterClose(k *kit) {
	s := k.scene()
	k.ok(k.store.Close(), "closing")
	for _, c := range s.calls {
		k.fails(c.do(k.Context(), k.store), tillroute.ErrUnavailable, "after Close "+c.name+" returns an error of kind Unavailable")
	}
	for _, c := range s.calls {
		err := c.do(cancelled(k.Context()), k.store)
		k.rule(err != nil, "after Close "+c.name+" returns an error", "no error")
	}
}

// concurrency does everything at once, for the race detector, and closes the store meanwhile.
func concurrency(k *kit) {
	const workers, each = 8, 12
	for i := range workers {
		k.pair(register(fmt.Sprint(i)), terminal(fmt.Sprint(i%3)))
	}
	work := func(i int) error {
		ctx := k.Context()
		at := terminal(fmt.Sprint(i % 3))
		for n := range each {
			id := fmt.Sprintf("%d-%d", i, n)
			if _, err := k.store.AcceptPayment(ctx, request(id, register(fmt.Sprint(i)))); err != nil {
				return err
			}
			if _, err := k.store.CountAhead(ctx, id); err != nil {
				return err
			}
			c, ok, err := k.store.ClaimPayment(ctx, at, fmt.Sprint(i), long)
			for ok && err == nil {
				if err := k.store.SavePaymentHandle(ctx, c, pairing.Handle{TransactionID: c.Payment.ID}); err != nil {
					return err
				}
				c, ok, err = k.store.FinishPayment(ctx, c, pairing.Result{Outcome: tillroute.Approved}, long)
			}
			if err != nil {
				return err
			}
			d, err := k.store.BeginDelivery(ctx, "s", id, []byte(id), long)
			if err != nil {
				return err
			}
			if err := k.store.FinishDelivery(ctx, d, []byte(id)); err != nil {
				return err
			}
			g := grant(id)
			g.Account = fmt.Sprint(i)
			if _, err := k.store.PutGrant(ctx, g, int64(n)); err != nil {
				return err
			}
			if _, err := k.redeem("WRONG", "nobody", pairing.Tries{Key: id, Max: 1, Window: long}); !errors.Is(err, pairing.ErrWrongCode) {
				return err
			}
			if _, err := k.store.ReadyTerminals(ctx, []string{"smartconnect"}, 10); err != nil {
				return err
			}
			if _, err := k.store.ListPairings(ctx, pairing.Register{}, 10); err != nil {
				return err
			}
		}
		return nil
	}
	for _, err := range together(workers, work) {
		k.ok(err, "working at once")
	}
	for _, t := range k.ready() {
		k.drainAll(t)
	}
	list, err := k.store.ListPayments(k.Context(), pairing.Filter{States: []pairing.State{pairing.Done}}, 1000)
	k.ok(err, "listing payments")
	k.rule(len(list) == workers*each, "every payment that was accepted is served", "%d of %d", len(list), workers*each)

	errs := together(workers, func(i int) error {
		if i == 0 {
			return k.store.Close()
		}
		for n := range 20 {
			if _, err := k.store.AcceptPayment(k.Context(), request(fmt.Sprintf("late %d-%d", i, n), register("1"))); err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range slices.DeleteFunc(errs, func(err error) bool { return err == nil }) {
		k.fails(err, tillroute.ErrUnavailable, "a store that is being closed refuses what comes too late")
	}
}

func (k *kit) drainAll(t pairing.Terminal) {
	k.Helper()
	c, ok, err := k.store.ClaimPayment(k.Context(), t, "worker", long)
	for ok && err == nil {
		c, ok, err = k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved}, long)
	}
	k.ok(err, "serving "+t.String())
}

// writesSurvive starts over before and after everything was done once.
func writesSurvive(k *kit) {
	s := k.scene()
	before := k.everything()
	k.reopen()
	k.rule(k.everything() == before, "a write that returned nil survives", "\n%s\nbefore\n%s", k.everything(), before)
	for _, c := range s.calls {
		k.ok(c.do(k.Context(), k.store), "after a restart things go on where they were: "+c.name)
	}
	before = k.everything()
	k.reopen()
	k.rule(k.everything() == before, "a write that returned nil survives", "\n%s\nbefore\n%s", k.everything(), before)
	k.fails(k.refresh("you", long), tillroute.ErrBusy, "a claimed refresh survives")
	_, err := k.redeem("ABCDEFGH", "again", generous())
	k.fails(err, pairing.ErrCodeUsed, "a code that was used stays used")
	_, err = k.redeem("HGFEDCBA", "again", generous())
	k.ok(err, "a code that was issued survives")
	_, err = k.store.BeginDelivery(k.Context(), "source", "new", nil, long)
	k.fails(err, tillroute.ErrBusy, "a delivery that was begun survives")
	k.rule(!k.begin("source", "1", "other", long).Answered, "a delivery that failed stays forgotten", "")
	p := k.pair(register("delete"), terminal("queued"))
	k.rule(p.Version == 2, "a version is never used twice for a register, also after an unpairing", "version %d after 1", p.Version)
}

func orderSurvives(k *kit) {
	var ids []string
	for range 4 {
		ids = append(ids, k.accept(register("1"), terminal("1")).ID)
	}
	c := k.claim(terminal("1"), long)
	k.reopen()
	k.noClaim(terminal("1"), "a lease survives")
	ids = append(ids, k.accept(register("1"), terminal("1")).ID)
	k.ok(k.store.ReleaseClaim(k.Context(), c), "a claim survives")
	again := k.claim(terminal("1"), long)
	k.rule(!again.Fresh && again.Payment.ID == ids[0] && again.Fence > c.Fence, "what may have been sent is not sent again after a restart", "%s", show(again))
	k.fenced(c, "was taken over")
	k.finish(again, tillroute.Approved)
	k.drain(terminal("1"), ids[1:], "the order of acceptance survives")
}
