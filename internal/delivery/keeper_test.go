package delivery_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery"
	"github.com/tillroute/tillroute/internal/delivery/deliverytest"
	"github.com/tillroute/tillroute/pairing"
)

// desk is a keeper and how often it has handled something.
type desk struct {
	*delivery.Keeper

	mu    sync.Mutex
	calls int
}

func newDesk(store pairing.Deliveries) *desk {
	return &desk{Keeper: delivery.New(delivery.Config{
		Deliveries: store, Source: "demo", Lease: time.Minute, FinishTime: 10 * time.Second,
	})}
}

// letter is a delivery of some content, which is handled by then, and is answered.
func (k *desk) letter(content string, then func() error, keys ...string) delivery.Delivery {
	return delivery.Delivery{Keys: keys, Hash: sha256.Sum256([]byte(content)), Answer: []byte("answer to " + content), Handle: func(context.Context) error {
		k.mu.Lock()
		k.calls++
		k.mu.Unlock()
		return then()
	}}
}

func handled() error { return nil }

func TestOneKeyThatWasAnsweredAnswersAll(t *testing.T) {
	k := newDesk(deliverytest.NewStore())
	for _, test := range []struct {
		keys   []string
		before string
	}{
		{[]string{"key", "bill"}, ""},
		{[]string{"key", "bill"}, "key"},
		{[]string{"bill"}, "bill"},
		{[]string{"key 2", "bill"}, "bill"},
		{[]string{"key 2"}, "key 2"},
		{[]string{"bill", "key 3"}, "bill"},
		{[]string{"key 3"}, ""},
	} {
		result, err := k.Once(t.Context(), k.letter("x", handled, test.keys...))
		require.NoError(t, err)
		require.Equal(t, delivery.Result{Answer: []byte("answer to x"), Before: test.before}, result, test.keys)
	}
	require.Equal(t, 2, k.calls, "what was answered by its first key leaves the others alone")
}

func TestConflictLeavesNothingBehind(t *testing.T) {
	k := newDesk(deliverytest.NewStore())
	_, err := k.Once(t.Context(), k.letter("x", handled, "key", "bill"))
	require.NoError(t, err)
	for _, key := range []string{"key", "bill"} {
		_, err = k.Once(t.Context(), k.letter("y", handled, "new", key))
		claim, ok := errors.AsType[*delivery.ClaimError](err)
		require.True(t, ok)
		require.Equal(t, key, claim.Key)
		require.ErrorIs(t, err, tillroute.ErrConflict)
	}
	require.Equal(t, 1, k.calls)
	_, err = k.Once(t.Context(), k.letter("z", handled, "new"))
	require.NoError(t, err, "the key before it is free")
	require.Equal(t, 2, k.calls)
}

func TestNewsIsHandledThoughItsKeyIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := deliverytest.NewStore()
		k, proceed := newDesk(store), make(chan struct{})
		news := func(content string, then func() error) delivery.Delivery {
			d := k.letter(content, then, "key")
			d.News = true
			return d
		}
		var first sync.WaitGroup
		first.Go(func() {
			_, err := k.Once(t.Context(), news("x", func() error {
				<-proceed
				return nil
			}))
			assert.NoError(t, err)
		})
		synctest.Wait()
		_, err := k.Once(t.Context(), news("y", handled))
		require.NoError(t, err, "another content, while the first is being handled")
		_, err = k.Once(t.Context(), news("x", handled))
		require.ErrorIs(t, err, tillroute.ErrBusy)
		close(proceed)
		first.Wait()
		for _, content := range []string{"x", "y"} {
			result, err := k.Once(t.Context(), news(content, handled))
			require.NoError(t, err)
			require.Equal(t, delivery.Result{Answer: []byte("answer to " + content), Before: "key"}, result)
		}
		require.Equal(t, 2, k.calls)
		for _, key := range store.Keys {
			require.Regexp(t, "^demo key#[0-9a-f]{16}$", key)
		}
	})
}

// TestNewsIsHandledOnceThoughTheOtherFails has two contents of one key come at once, and the one that was first fail.
func TestNewsIsHandledOnceThoughTheOtherFails(t *testing.T) {
	for name, other := range map[string]bool{"here": false, "on another node": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := deliverytest.NewStore()
				k, proceed := newDesk(store), make(chan struct{})
				second := k
				if other {
					second = newDesk(store)
				}
				calls := map[string]int{}
				news := func(content string, then func() error) delivery.Delivery {
					d := k.letter(content, func() error {
						calls[content]++
						return then()
					}, "key")
					d.News = true
					return d
				}
				var first sync.WaitGroup
				first.Go(func() {
					_, err := k.Once(t.Context(), news("x", func() error {
						<-proceed
						return errors.New("not now")
					}))
					assert.EqualError(t, err, "not now")
				})
				synctest.Wait()
				_, err := second.Once(t.Context(), news("y", handled))
				require.NoError(t, err)
				close(proceed)
				first.Wait()
				// Both come again: the one because it was not handled, the other for no reason.
				for range 2 {
					for _, content := range []string{"y", "x"} {
						result, err := second.Once(t.Context(), news(content, handled))
						require.NoError(t, err)
						require.Equal(t, "answer to "+content, string(result.Answer))
					}
				}
				require.Equal(t, map[string]int{"x": 2, "y": 1}, calls, "what was handled isn't handled again")
			})
		})
	}
}

func TestWithoutAKeyItIsHandledEachTime(t *testing.T) {
	k := newDesk(nil)
	for range 2 {
		result, err := k.Once(t.Context(), k.letter("x", handled))
		require.NoError(t, err)
		require.Equal(t, delivery.Result{Answer: []byte("answer to x")}, result)
	}
	_, err := k.Once(t.Context(), k.letter("x", func() error { return errors.New("not now") }))
	require.EqualError(t, err, "not now")
	require.Equal(t, 3, k.calls)
}

func TestWait(t *testing.T) {
	for name, other := range map[string]bool{"here": false, "on another node": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := deliverytest.NewStore()
				k := newDesk(store)
				second := k
				if other {
					second = newDesk(store)
				}
				start := time.Now()
				var first sync.WaitGroup
				first.Go(func() {
					_, err := k.Once(t.Context(), k.letter("x", func() error {
						time.Sleep(10 * time.Second) // whatever its context says
						return nil
					}, "key"))
					assert.NoError(t, err)
				})
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := second.Wait(ctx, nil, second.letter("x", handled, "key"))
				require.ErrorIs(t, err, tillroute.ErrBusy)
				require.Equal(t, time.Second, time.Since(start), "ctx ended")
				gone, hangUp := context.WithTimeout(t.Context(), time.Second)
				defer hangUp()
				_, err = second.Wait(t.Context(), gone.Done(), second.letter("x", handled, "key"))
				require.ErrorIs(t, err, tillroute.ErrBusy)
				require.Equal(t, 2*time.Second, time.Since(start), "nobody waits any more")
				result, err := second.Wait(t.Context(), nil, second.letter("x", handled, "key"))
				require.NoError(t, err)
				require.Equal(t, "key", result.Before)
				require.Less(t, time.Since(start), 10*time.Second+251*time.Millisecond)
				first.Wait()
				require.Equal(t, 1, k.calls)
			})
		})
	}
}

func TestHandlerThatSaysBusyIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDesk(deliverytest.NewStore())
		var claim error
		for _, busy := range []func() error{
			func() error { return tillroute.ErrBusy },
			// A handler may have a keeper of its own.
			func() error { return errors.Join(claim) },
		} {
			claim = &delivery.ClaimError{Key: "another", Err: pairing.Errorf(tillroute.KindBusy, nil, "busy")}
			k.calls = 0
			start := time.Now()
			_, err := k.Wait(t.Context(), nil, k.letter("x", busy, "key"))
			require.ErrorIs(t, err, tillroute.ErrBusy)
			require.Zero(t, time.Since(start))
			require.Equal(t, 1, k.calls)
		}
	})
}

func TestUnwrittenIsKeptWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := deliverytest.NewStore()
		k := newDesk(store)
		bill, err := store.BeginDelivery(t.Context(), "demo", "bill", make([]byte, sha256.Size), time.Hour)
		require.NoError(t, err)
		require.False(t, bill.Answered)
		store.Fail = func(context.Context, pairing.Delivery) error { return deliverytest.Down() }
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		d := k.letter("", handled, "key", "bill")
		d.Hash = [sha256.Size]byte{}
		result, err := k.Wait(ctx, nil, d)
		require.ErrorIs(t, err, tillroute.ErrBusy)
		require.Len(t, result.Unwritten, 1, "the first look claimed the key, and could not give it back")
	})
}

func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := deliverytest.NewStore()
		slow, quick := newDesk(store), newDesk(store)
		d := slow.letter("x", func() error {
			time.Sleep(10 * time.Minute)
			return nil
		}, "key")
		var first sync.WaitGroup
		first.Go(func() {
			result, err := slow.Once(t.Context(), d)
			if assert.NoError(t, err) && assert.Len(t, result.Unwritten, 1) {
				assert.ErrorIs(t, result.Unwritten[0], pairing.ErrFenced)
			}
		})
		time.Sleep(5 * time.Minute)
		_, err := quick.Once(t.Context(), quick.letter("x", handled, "key"))
		require.NoError(t, err)
		first.Wait()
		require.Len(t, store.Keys, 2, "what is certain isn't looked up")
	})
}

// TestOvertakenAfterAFault has the first attempt to finish fail, and another node take over before the second one.
func TestOvertakenAfterAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := deliverytest.NewStore()
		slow, quick := newDesk(store), newDesk(store.Store)
		attempts := 0
		store.Finish = func(ctx context.Context, d pairing.Delivery, answer []byte) error {
			if attempts++; attempts > 1 {
				return store.Store.FinishDelivery(ctx, d, answer)
			}
			time.Sleep(1500 * time.Millisecond)
			if _, err := quick.Once(ctx, quick.letter("x", handled, "key")); err != nil {
				t.Error(err)
			}
			return deliverytest.Down()
		}
		result, err := slow.Once(t.Context(), slow.letter("x", func() error {
			time.Sleep(59 * time.Second)
			return nil
		}, "key"))
		require.NoError(t, err)
		require.Equal(t, 2, attempts)
		require.Equal(t, 1, quick.calls)
		require.Len(t, result.Unwritten, 1)
		require.ErrorIs(t, result.Unwritten[0], pairing.ErrFenced, "another's record isn't this one's")
	})
}

// unaware is a context that has ended without knowing it yet, as that of a process that was frozen.
type unaware struct{ context.Context } //nolint:containedctx // it is one.

func (unaware) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestLateByTheClock(t *testing.T) {
	k := newDesk(deliverytest.NewStore())
	_, err := k.Once(unaware{t.Context()}, k.letter("x", handled, "key"))
	require.ErrorIs(t, err, delivery.ErrLate)
	require.Zero(t, k.calls)
	_, err = k.Once(t.Context(), k.letter("x", handled, "key"))
	require.NoError(t, err, "nothing is left behind")
}

func TestGuard(t *testing.T) {
	err := delivery.Guard("it", func() error { panic(tillroute.ErrBusy) })
	require.NotErrorIs(t, err, tillroute.ErrBusy, "who panics with an error has not returned it")
	require.ErrorContains(t, err, "it panicked: ")
	require.ErrorContains(t, err, "keeper_test.go")
	require.NoError(t, delivery.Guard("it", handled))
}
