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
