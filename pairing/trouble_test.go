package pairing_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func TestADriverThatTellsNonsense(t *testing.T) {
	var none *tillroute.Error
	failed := &tillroute.Error{Kind: tillroute.KindInvalid, Outcome: tillroute.Failed}
	for name, startError := range map[string]error{
		"an error that is nil in disguise":        none,
		"an error that contradicts itself":        errors.Join(failed, &tillroute.Error{Kind: tillroute.KindTimeout}),
		"an error that contradicts itself, again": errors.Join(&tillroute.Error{Kind: tillroute.KindTimeout}, failed),
		"an error beside a refusal":               errors.Join(errors.New("the reply was lost"), failed),
		"a refusal whose cause leaves it open":    &tillroute.Error{Outcome: tillroute.Failed, Err: &tillroute.Error{Kind: tillroute.KindTimeout}},
		"an error that says approved":             &tillroute.Error{Outcome: tillroute.Approved},
		"an error that says declined":             &tillroute.Error{Outcome: tillroute.Declined},
		"an error that says nothing known":        &tillroute.Error{Outcome: tillroute.Outcome(99)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &park{}
				d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
					d.charge(p)
					return pairing.Handle{}, startError
				}
				router, _ := node(t, newStore(t), d, nil)
				pair(t, router, "T1")
				p, err := router.Pay(t.Context(), request("a", 1))
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
				require.Equal(t, pairing.Parked, p.State)
				require.Equal(t, 1, d.charged("a"))
			})
		})
	}
	t.Run("an outcome that there isn't", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &park{}
			d.await = func(context.Context, pairing.Payment, func(string)) (pairing.Result, error) {
				return pairing.Result{Outcome: tillroute.Outcome(99)}, nil
			}
			router, _ := node(t, newStore(t), d, nil)
			pair(t, router, "T1")
			p, err := router.Pay(t.Context(), request("a", 1))
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.Equal(t, pairing.Parked, p.State)
			_, err = router.Resolve(t.Context(), "a", pairing.Resolution{Outcome: tillroute.Declined, By: "Ana", Reason: "receipt"})
			require.NoError(t, err)
		})
	})
	t.Run("an amount below zero", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &park{}
			d.await = func(context.Context, pairing.Payment, func(string)) (pairing.Result, error) {
				return pairing.Result{Outcome: tillroute.Approved, Amount: decimal.NewFromInt(-5)}, nil
			}
			router, _ := node(t, newStore(t), d, nil)
			pair(t, router, "T1")
			p, err := router.Pay(t.Context(), request("a", 1))
			require.NoError(t, err)
			require.Equal(t, tillroute.Approved, p.Outcome())
			require.Equal(t, "12.5", p.Result.Amount.String())
		})
	})
}

func TestATerminalThatAsksForADayIsAskedAgainInAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		var refused atomic.Int32
		d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
			if p.ID == "a" {
				refused.Add(1)
				return pairing.Handle{}, &tillroute.Error{Kind: tillroute.KindBusy, Outcome: tillroute.Failed, RetryAfter: 24 * time.Hour}
			}
			return pairing.Handle{}, nil
		}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		for _, id := range []string{"a", "b"} {
			_, err := router.Submit(t.Context(), request(id, 1))
			require.NoError(t, err)
		}
		time.Sleep(2*time.Minute + 10*time.Second)
		require.EqualValues(t, 3, refused.Load())
		// While it waits it can be withdrawn, and what stands behind it goes ahead at once.
		_, err := router.Withdraw(t.Context(), "a", "changed their mind")
		require.NoError(t, err)
		begin := time.Now()
		_, err = router.Wait(t.Context(), "b")
		require.NoError(t, err)
		require.Less(t, time.Since(begin), time.Second)
		require.Zero(t, d.charged("a"))
	})
}

func TestTheNoteOfABusyTerminalIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, refused := &park{}, false
		d.start = func(context.Context, pairing.Payment) (pairing.Handle, error) {
			if !refused {
				refused = true
				return pairing.Handle{}, &tillroute.Error{Kind: tillroute.KindBusy, Outcome: tillroute.Failed}
			}
			return pairing.Handle{}, nil
		}
		d.await = func(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			time.Sleep(time.Minute)
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
		}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		_, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		time.Sleep(time.Second)
		p, err := router.Payment(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, "the terminal is busy", p.Note)
		time.Sleep(30 * time.Second)
		p, err = router.Payment(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, pairing.Sent, p.State)
		require.Empty(t, p.Note, "it was renewed several times since")
	})
}

func TestAPaymentThatANodeMayYetSendHasNotFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := newStore(t), &park{}
		f := finder{park: d, find: func(pairing.Payment) (pairing.Handle, error) {
			return pairing.Handle{}, &tillroute.Error{Kind: tillroute.KindNotFound, Outcome: tillroute.Failed}
		}}
		// The first node freezes within Start, past its lease, and sends when it wakes up.
		d.start = func(context.Context, pairing.Payment) (pairing.Handle, error) {
			time.Sleep(50 * time.Second)
			return pairing.Handle{}, nil
		}
		frozen, _ := node(t, deaf{store}, f, nil)
		pair(t, frozen, "T1")
		_, err := frozen.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		other, _ := node(t, store, f, nil)
		_, err = other.Wait(t.Context(), "a")
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "that the provider has not seen it proves nothing yet")
		time.Sleep(time.Minute)
		require.Equal(t, 1, d.charged("a"))
	})
}

func TestAProviderThatCannotBeReachedIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, finds := &park{}, 0
		f := finder{park: d, find: func(p pairing.Payment) (pairing.Handle, error) {
			if finds++; finds < 5 {
				return pairing.Handle{}, &tillroute.Error{Kind: tillroute.KindUnavailable, Outcome: tillroute.Failed}
			}
			return pairing.Handle{TransactionID: "txn-" + p.ID}, nil
		}}
		d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
			d.charge(p)
			return pairing.Handle{}, errors.New("the reply was lost")
		}
		router, _ := node(t, newStore(t), f, nil)
		pair(t, router, "T1")
		p, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, 1, d.charged("a"))
	})
}

func TestALookUpThatFailsProvesNothing(t *testing.T) {
	for _, findError := range []error{
		&tillroute.Error{Kind: tillroute.KindUnauthorized, Outcome: tillroute.Failed},
		&tillroute.Error{Kind: tillroute.KindNotFound},
		errors.New("no such thing"),
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &park{}
			f := finder{park: d, find: func(pairing.Payment) (pairing.Handle, error) { return pairing.Handle{}, findError }}
			d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
				d.charge(p)
				return pairing.Handle{}, errors.New("the reply was lost")
			}
			router, _ := node(t, newStore(t), f, nil)
			pair(t, router, "T1")
			_, err := router.Pay(t.Context(), request("a", 1))
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		})
	}
}

func TestAStartThatOutlivesItsRouterKeepsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := newStore(t), &park{}
		d.start = func(context.Context, pairing.Payment) (pairing.Handle, error) {
			time.Sleep(50 * time.Second)
			return pairing.Handle{}, nil
		}
		first, stop := node(t, store, d, nil)
		pair(t, first, "T1")
		_, err := first.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		second, _ := node(t, store, d, nil)
		go stop()
		p, err := second.Wait(t.Context(), "a")
		require.NoError(t, err, "nobody may take it for lost while it is being sent")
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, 1, d.charged("a"))
	})
}

// telling is a store that tells of changes, which polling alone would find too late.
type telling struct {
	pairing.Store

	changes chan pairing.Terminal
}

func (s telling) Notify(ctx context.Context, changed func(pairing.Terminal, bool)) error {
	for {
		select {
		case t := <-s.changes:
			changed(t, true)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestAStoreThatTellsIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := newStore(t), &park{}
		other, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{provider: d}})
		require.NoError(t, err)
		pair(t, other, "T1")
		tells := telling{store, make(chan pairing.Terminal)}
		router, _ := node(t, tells, d, func(c *pairing.Config) { c.PollInterval = time.Hour })
		synctest.Wait()
		p, err := other.Submit(t.Context(), request("a", 1)) // Another node, which doesn't run.
		require.NoError(t, err)
		begin := time.Now()
		tells.changes <- p.Terminal
		_, err = router.Wait(t.Context(), "a")
		require.NoError(t, err)
		require.Less(t, time.Since(begin), time.Minute)
	})
}

func TestADriverThatBlocksIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		d.start = func(ctx context.Context, p pairing.Payment) (pairing.Handle, error) {
			d.charge(p)
			<-ctx.Done()
			return pairing.Handle{}, ctx.Err()
		}
		router, stop := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		_, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		begin := time.Now()
		stop()
		require.LessOrEqual(t, time.Since(begin), time.Minute)
		p, err := router.Payment(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, pairing.Parked, p.State)
	})
}

// requeuing is a store in which the terminal answers busy just when the payment is withdrawn.
type requeuing struct {
	pairing.Store

	once bool
}

func (s *requeuing) WithdrawPayment(ctx context.Context, id, reason string) (pairing.Payment, error) {
	if !s.once {
		s.once = true
		return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil, "payment %q is sending", id)
	}
	return s.Store.WithdrawPayment(ctx, id, reason)
}

func TestWithdrawingWhatWasJustRequeued(t *testing.T) {
	router, err := pairing.New(pairing.Config{Store: &requeuing{Store: newStore(t)}, Drivers: map[string]pairing.Driver{provider: &park{}}})
	require.NoError(t, err)
	pair(t, router, "T1")
	_, err = router.Submit(t.Context(), request("a", 1))
	require.NoError(t, err)
	p, err := router.Withdraw(t.Context(), "a", "changed their mind")
	require.NoError(t, err, "it stands in the queue, and was never sent")
	require.Equal(t, tillroute.Cancelled, p.Outcome())
}

func TestWhatWasNeverSeenIsNotSaidToGoOn(t *testing.T) {
	router, err := pairing.New(pairing.Config{Store: newStore(t), Drivers: map[string]pairing.Driver{provider: &park{}}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = router.Wait(ctx, "nope")
	require.ErrorContains(t, err, "was not looked up in time")
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
}

// stuck is a store in which some writes fail.
type stuck struct{ pairing.Store }

func (stuck) PutPairing(context.Context, pairing.Pairing, int64) (pairing.Pairing, error) {
	return pairing.Pairing{}, pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is full")
}

func (stuck) WithdrawPayment(context.Context, string, string) (pairing.Payment, error) {
	return pairing.Payment{}, pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is full")
}

func TestWhatWasHalfDoneIsNotCalledFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		router, err := pairing.New(pairing.Config{Store: stuck{store}, Drivers: map[string]pairing.Driver{provider: &remote{park: &park{}}}})
		require.NoError(t, err)
		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Provider: provider, Code: "1234"})
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "the provider has paired it")
		require.ErrorContains(t, err, "pair it again")

		_, err = store.PutPairing(t.Context(), pairing.Pairing{Register: register(1), Terminal: pairing.Terminal{Provider: "other", Serial: "X"}}, 0)
		require.NoError(t, err)
		_, err = router.Submit(t.Context(), request("a", 1))
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "it was accepted")
	})
}
