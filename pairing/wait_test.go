package pairing_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// counted counts how often payments are looked up.
type counted struct {
	pairing.Store

	looks atomic.Int64
}

func (s *counted) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	s.looks.Add(1)
	return s.Store.Payment(ctx, id)
}

func (s *counted) CountAhead(ctx context.Context, id string) (int, error) {
	s.looks.Add(1)
	return s.Store.CountAhead(ctx, id)
}

// Who waits for the end of a payment looks it up when it has ended, not at each step.
func TestWaitLooksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &counted{Store: memstore.New(memstore.Config{})}
		driver := &park{await: func(_ context.Context, p pairing.Payment, report func(string)) (pairing.Result, error) {
			for _, note := range []string{"present card", "enter PIN", "remove card"} {
				report(note)
				time.Sleep(time.Millisecond)
			}
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
		}}
		router, _ := node(t, store, driver, nil)
		pair(t, router, "1")
		p, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, int64(1), store.looks.Load())
	})
}

// What happens to a payment between its last look-up and the wait, on a node that doesn't tell, is noticed soon.
func TestWaitNoticesWhatItWasNotToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(memstore.Config{})
		router, err := pairing.New(pairing.Config{
			Store: store, Drivers: map[string]pairing.Driver{provider: &park{}}, PollInterval: time.Hour,
		})
		require.NoError(t, err)
		pair(t, router, "1")
		p, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		began := time.Now()
		go func() {
			time.Sleep(10 * time.Millisecond) // when it was looked up once, and is waited for
			_, err := store.WithdrawPayment(t.Context(), p.ID, "")
			assert.NoError(t, err)
		}()
		p, err = router.Wait(t.Context(), p.ID)
		require.NoError(t, err)
		require.Equal(t, tillroute.Cancelled, p.Outcome())
		require.Less(t, time.Since(began), time.Second)
	})
}

// A store that can't be asked doesn't turn a payment that goes on into one that has failed.
func TestWaitWithoutAStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &counted{Store: memstore.New(memstore.Config{})}
		router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{provider: &park{}}})
		require.NoError(t, err)
		pair(t, router, "1")
		go func() {
			time.Sleep(time.Millisecond)
			assert.NoError(t, store.Close())
		}()
		p, err := router.Pay(t.Context(), request("a", 1))
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.ErrorIs(t, err, tillroute.ErrUnavailable)
		require.Equal(t, pairing.Queued, p.State)
		require.Equal(t, "a", p.ID)
		_, err = router.Wait(t.Context(), "b")
		require.NotErrorIs(t, err, tillroute.ErrNotFound, "nobody could look")
	})
}
