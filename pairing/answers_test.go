package pairing_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// deafened is a store whose answers get lost, each kind as often as it says.
type deafened struct {
	pairing.Store

	claims, finishes, handles atomic.Int64
}

func lostAnswer() error {
	e := pairing.Errorf(tillroute.KindUnavailable, nil, "the answer was lost")
	e.Outcome = tillroute.Unknown
	return e
}

func (s *deafened) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	c, ok, err := s.Store.ClaimPayment(ctx, t, owner, lease)
	if ok && s.claims.Add(-1) >= 0 {
		return pairing.Claim{}, false, lostAnswer()
	}
	return c, ok, err
}

func (s *deafened) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	next, ok, err := s.Store.FinishPayment(ctx, c, r, lease)
	if err == nil && s.finishes.Add(-1) >= 0 {
		return pairing.Claim{}, false, lostAnswer()
	}
	return next, ok, err
}

func (s *deafened) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	if s.handles.Add(-1) >= 0 {
		return pairing.Errorf(tillroute.KindInvalid, nil, "the handle can't be kept")
	}
	return s.Store.SavePaymentHandle(ctx, c, h)
}

func TestALostAnswerToAClaimParksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &deafened{Store: newStore(t)}, &park{}
		store.claims.Store(3)
		router, _ := node(t, store, d, nil)
		pair(t, router, "T1")
		began := time.Now()
		p, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, 1, d.charged("a"))
		require.Less(t, time.Since(began), time.Second, "nobody waits for a lease to end")
	})
}

func TestALostAnswerToAFinishParksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &deafened{Store: newStore(t)}, &park{}
		store.finishes.Store(2)
		other, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{provider: d}})
		require.NoError(t, err)
		pair(t, other, "T1")
		for _, id := range []string{"a", "b", "c"} {
			_, err := other.Submit(t.Context(), request(id, 1))
			require.NoError(t, err)
		}
		began := time.Now()
		router, _ := node(t, store, d, nil)
		for _, id := range []string{"a", "b", "c"} {
			p, err := router.Wait(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, tillroute.Approved, p.Outcome())
			require.Equal(t, 1, d.charged(id))
		}
		require.Less(t, time.Since(began), 5*time.Second, "nobody waits for a lease to end")
	})
}

// The store gives a router its own claim again, as fresh as it was. Only the router knows that it has sent it.
func TestWhatThisRouterHasSentIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &deafened{Store: newStore(t)}, &park{}
		store.handles.Store(1)
		router, _ := node(t, store, d, nil)
		pair(t, router, "T1")
		_, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		_, err = router.Submit(t.Context(), request("b", 1)) // which has the router look at the queue again
		require.NoError(t, err)
		_, err = router.Wait(t.Context(), "a")
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "the terminal took it as txn-a, and its handle could not be written down: pairing: invalid: the handle can't be kept")
		require.Equal(t, 1, d.charged("a"))
		p, err := router.Wait(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
	})
}

// A router that was started again under its old name knows nothing of what the former one has sent.
func TestANameThatIsUsedAgainProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &deafened{Store: newStore(t)}, &park{}
		store.handles.Store(1)
		named := func(c *pairing.Config) { c.Owner = "till-server" }
		first, stop := node(t, store, d, named)
		pair(t, first, "T1")
		_, err := first.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		stop()
		second, _ := node(t, store, d, named)
		_, err = second.Wait(t.Context(), "a")
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.Equal(t, 1, d.charged("a"))
	})
}
