package kseries_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
)

// approve has the terminal approve what was submitted, while nobody applies it.
func (f *floor) approve() {
	f.t.Helper()
	f.run(time.Second)
}

// marked sets the mark of the payment of a floor.
func (f *floor) marked(mark string) {
	f.t.Helper()
	payment, err := f.router.Payment(f.t.Context(), "pay-1")
	require.NoError(f.t, err)
	_, err = f.router.Mark(f.t.Context(), "pay-1", payment.Mark, mark)
	require.NoError(f.t, err)
}

// TestAnotherInstallationUsesOtherReferences is about a store that was lost: the next one gives the same numbers to payments of the
// same names for the same check.
func TestAnotherInstallationUsesOtherReferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after := newFloor(t), newFloor(t)
		after.pos = before.pos
		first := before.node()
		before.listen(first)
		before.submit(first)
		before.run(time.Minute, first)
		require.Equal(t, kseries.StagePaid, before.status(first).Stage)

		second := after.node()
		after.listen(second)
		after.submit(second)
		after.approve()
		require.NoError(t, second.Notification(t.Context(), kseries.Notification{
			Type: kseries.AboutPayment, Reference: before.status(first).Reference, Status: kseries.Success,
		}))
		require.Equal(t, kseries.StageApplying, after.status(second).Stage, "that was another payment")
		after.run(time.Minute, second)
		require.Equal(t, kseries.StagePaid, after.status(second).Stage)
		require.Equal(t, 2, before.active(), "two cards were charged")
	})
}

// TestAnEarlierTryThatTheCheckHasAfterAll is about one that the point of sale had refused, and the check shows while the next is under
// way.
func TestAnEarlierTryThatTheCheckHasAfterAll(t *testing.T) {
	for name, both := range map[string]bool{"the next may follow": false, "the next is there too": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				p := f.node()
				f.listen(p)
				f.submit(p)
				f.pos.fails = []string{"UPDATE_FAILED"}
				f.pos.after = func(string) error {
					f.pos.deaf = len(f.pos.references) == 1 // The second one gets no answer for now.
					return nil
				}
				f.run(15*time.Second, p)
				require.Len(t, f.pos.references, 2)
				f.pos.after = func(string) error { return nil }
				for i, reference := range f.pos.references {
					if i == 0 || both {
						f.pos.entries = append(f.pos.entries, map[string]any{"externalReference": reference, "amountPaid": 20, "active": true})
					}
				}
				f.run(time.Minute, p)
				s := f.status(p)
				require.Equal(t, kseries.StageUnconfirmed, s.Stage, s.Payment.Mark)
				require.Contains(t, s.Reason, "Look whether the check has it twice")
			})
		})
	}
}

// TestAClockThatWasSetBackKeepsNobodyWaiting is about marks whose times an hour-fast clock has written.
func TestAClockThatWasSetBackKeepsNobodyWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		mark string
		sent bool
	}{
		"a claim":           {"sending 1 SOON LATER another", false},
		"a doubt":           {"resending 1 SOON LATER - no answer", false},
		"a pause":           {"waiting 1 SOON - - no", false},
		"a lost submission": {"submitted 1 LATER SOON -", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				p := f.node()
				f.submit(p)
				f.approve()
				fast := time.Now().Add(time.Hour)
				times := strings.NewReplacer("SOON", fmt.Sprint(fast.Unix()), "LATER", fmt.Sprint(fast.Add(5*time.Minute).Unix()))
				f.marked(times.Replace(c.mark))
				if c.sent {
					f.pos.entries = []map[string]any{{"externalReference": f.status(p).Reference, "amountPaid": 20, "active": true}}
				}
				f.run(2*time.Minute, p)
				require.Equal(t, kseries.StagePaid, f.status(p).Stage)
				require.Equal(t, 1, f.active())
			})
		})
	}
}

// TestAPauseThatTheVendorAsksForIsKept has the vendor ask for a pause.
func TestAPauseThatTheVendorAsksForIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node(func(c *kseries.PaymentsConfig) { c.RetryPause = 10 * time.Minute })
		f.listen(p)
		f.pos.status = only("pay", http.StatusTooManyRequests)
		f.submit(p)
		f.run(9*time.Minute, p)
		f.pos.status = only("pay", http.StatusOK)
		f.run(30*time.Second, p)
		require.Empty(t, f.pos.references)
		f.run(time.Minute, p)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
	})
}

func TestAPartThatWasChargedSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		f.card.result = func(pairing.Payment) pairing.Result {
			return pairing.Result{Outcome: tillroute.Approved, Amount: d("16"), Tip: d("1")}
		}
		p := f.node()
		f.listen(p)
		f.submit(p)
		f.run(time.Minute, p)
		s := f.status(p)
		require.Equal(t, kseries.StagePaid, s.Stage)
		require.Contains(t, s.Reason, "Only 15.00 of the 20.00 EUR")
	})
}

// TestAnEntryThatNoLongerCountsIsNotPaidByOldNews is about a success that comes after the entry was taken off the check.
func TestAnEntryThatNoLongerCountsIsNotPaidByOldNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.submit(p)
		f.approve()
		f.marked("unclear 1 - - INACTIVE")
		s := f.status(p)
		require.NoError(t, p.Notification(t.Context(), kseries.Notification{Reference: s.Reference, Status: kseries.Success}))
		require.Equal(t, kseries.StageUnconfirmed, f.status(p).Stage)
		require.NoError(t, p.Notification(t.Context(), kseries.Notification{Reference: s.Reference, Status: kseries.Failure}))
		require.Equal(t, kseries.StageRefused, f.status(p).Stage)
	})
}

func TestASettlementMayBeRepeated(t *testing.T) {
	for _, mark := range []string{"refused 1 - - OVERPAID", "unclear 1 - - SILENT", "unclear 1 - - TWICE", "unclear 1 - - AFTERWARDS Ann: cash"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFloor(t)
			p := f.node()
			f.submit(p)
			f.approve()
			f.marked(mark)
			for range 2 {
				s, err := p.Resolve(t.Context(), "pay-1", kseries.Settlement{By: "Ann", Reason: "given back in cash"})
				require.NoError(t, err, mark)
				require.Equal(t, kseries.StageGivenBack, s.Stage)
			}
			_, err := p.Resolve(t.Context(), "pay-1", kseries.Settlement{By: "Bob", Reason: "given back in cash"})
			require.ErrorIs(t, err, tillroute.ErrConflict)
		})
	}
}

// TestAmountsThatTheCurrencyHasOnlyTogether is about an amount and a tip of which neither can be applied, and whose sum can be charged.
func TestAmountsThatTheCurrencyHasOnlyTogether(t *testing.T) {
	f := newFloor(t)
	p := f.node()
	_, err := p.Submit(t.Context(), ask(func(r *kseries.PaymentRequest) { r.Amount, r.Tip = d("10.005"), d("0.005") }))
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.ErrorContains(t, err, "decimals")
	_, err = p.Submit(t.Context(), ask(func(r *kseries.PaymentRequest) { r.Amount, r.Tip, r.Currency = d("10.5"), d("0.5"), "JPY" }))
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

// history puts payments into the store that were approved and marked before.
func (f *floor) history(n int, mark string) {
	f.t.Helper()
	register := kseries.RegisterKey(location, "table-12")
	var claim pairing.Claim
	for i := range n {
		_, err := f.store.AcceptPayment(f.t.Context(), pairing.Request{
			ID: fmt.Sprint("old-", i), Register: register, Kind: pairing.Purchase, Amount: d("1"), Currency: "EUR",
			Data: []byte(`{"kseries":{"account":"A1.1","amount":"1"}}`),
		})
		require.NoError(f.t, err)
		if claim, _, err = f.store.ClaimPayment(f.t.Context(), pairing.Terminal{Provider: "card", Serial: "1"}, "test", time.Hour); err == nil {
			_, _, err = f.store.FinishPayment(f.t.Context(), claim, pairing.Result{Outcome: tillroute.Approved, Amount: d("1")}, 0)
		}
		require.NoError(f.t, err)
		_, err = f.store.Store.MarkPayment(f.t.Context(), fmt.Sprint("old-", i), "", mark)
		require.NoError(f.t, err)
	}
}

// TestWhatWasSettledIsHardlyReadAgain counts what is read of the last minutes, and of many payments at the start.
func TestWhatWasSettledIsHardlyReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		const old = 2500 // More than are read at once.
		f.history(old, "applied 1 - - check")
		time.Sleep(10 * time.Second)
		p := f.node()
		f.listen(p)
		f.submit(p)
		f.run(3*time.Minute-time.Second, p)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
		// At the start twice, and once in each of the two minutes after.
		require.Less(t, f.store.listed, 4*old+500)
		f.store.listed = 0
		f.run(time.Minute-time.Second, f.node())
		require.GreaterOrEqual(t, f.store.listed, old, "each reads all when it starts")
	})
}

// TestManyWhoWaitCostLittle counts the reads of payments that wait for a person.
func TestManyWhoWaitCostLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		f.history(2000, "unclear 1 - - SILENT")
		p := f.node()
		f.listen(p)
		f.run(2*time.Minute, p)
		require.Less(t, f.store.read, 2000+120*100+200)
		// Who comes after them isn't held up, and what a person has decided elsewhere is seen in the end.
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = f.router.Run(ctx) })
		group.Go(func() { _ = p.Run(ctx) })
		time.Sleep(time.Second)
		f.submit(p)
		time.Sleep(4 * time.Second)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
		_, err := f.router.Mark(ctx, "old-7", "unclear 1 - - SILENT", "waiting 2 946684800 - -")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		s, err := p.Status(ctx, "old-7")
		require.NoError(t, err)
		require.Equal(t, kseries.StagePaid, s.Stage)
		cancel()
		group.Wait()
	})
}

// TestARefusalAfterALostRequestProvesNothing is about a client that repeats requests by itself: that the second was refused says nothing
// of the first.
func TestARefusalAfterALostRequestProvesNothing(t *testing.T) {
	for name, first := range map[string]func(f *floor) error{
		"no answer": func(*floor) error { return io.ErrUnexpectedEOF },
		"a bad day": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				client, err := kseries.New(kseries.Config{AccessToken: accessToken, HTTP: tillroute.HTTPOptions{Transport: f.pos, Retries: 1}})
				require.NoError(t, err)
				p := f.node(func(c *kseries.PaymentsConfig) { c.Client = client })
				f.submit(p)
				calls := 0
				f.pos.status = func(call string) int {
					if call != "pay" {
						return http.StatusOK
					}
					if calls++; calls == 1 && first == nil {
						return http.StatusBadGateway
					} else if calls == 1 {
						return http.StatusOK
					}
					return http.StatusBadRequest
				}
				f.pos.after = func(call string) error {
					if call == "pay" && calls == 1 && first != nil {
						return first(f)
					}
					return nil
				}
				f.run(time.Minute, p)
				require.Greater(t, calls, 1)
				s := f.status(p)
				require.Equal(t, kseries.StageApplying, s.Stage, s.Payment.Mark)
			})
		})
	}
}

// TestWatchersReadOnlyWhatHasChanged has guests watch their payments while others pay.
func TestWatchersReadOnlyWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		until := time.Now().Add(5 * time.Minute).Unix()
		f.history(20, fmt.Sprintf("submitted 1 %d %d -", until, until))
		p := f.node()
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() { _, _ = p.Wait(ctx, fmt.Sprint("old-", i)) })
		}
		synctest.Wait()
		f.store.read = 0
		for i := range 20 {
			f.submit(p, func(r *kseries.PaymentRequest) { r.ID = fmt.Sprint("pay-", i) })
			synctest.Wait()
		}
		require.Less(t, f.store.read, 20)
		cancel()
		group.Wait()
	})
}

// TestWhoLooksNeedNotWait is about a doubt that a person has resolved at the terminal's side, of which nothing tells Payments.
func TestWhoLooksNeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		f.card.result = func(pairing.Payment) pairing.Result { return pairing.Result{} }
		p := f.node()
		f.listen(p)
		f.submit(p)
		var group sync.WaitGroup
		group.Go(func() { f.run(2*time.Minute, p) })
		time.Sleep(time.Minute + time.Second)
		_, err := f.router.Resolve(t.Context(), "pay-1", pairing.Resolution{Outcome: tillroute.Approved, By: "Ann", Reason: "seen in its journal"})
		require.NoError(t, err)
		began := time.Now()
		s, err := p.Wait(t.Context(), "pay-1")
		require.NoError(t, err)
		require.Equal(t, kseries.StagePaid, s.Stage)
		require.Less(t, time.Since(began), 3*time.Second)
		group.Wait()
	})
}
