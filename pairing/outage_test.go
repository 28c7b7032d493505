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

// away is a store that can't be reached while it is off.
type away struct {
	pairing.Store

	off *atomic.Bool
	// lose has the answer to the next claim get lost, and the store be off from then on.
	lose atomic.Bool
}

func (s *away) gone() error {
	if s.off.Load() {
		return pairing.Errorf(tillroute.KindUnavailable, nil, "the database can't be reached")
	}
	return nil
}

func (s *away) ReadyTerminals(ctx context.Context, providers []string, limit int) ([]pairing.Terminal, error) {
	if err := s.gone(); err != nil {
		return nil, err
	}
	return s.Store.ReadyTerminals(ctx, providers, limit)
}

func (s *away) ListPayments(ctx context.Context, f pairing.Filter, limit int) ([]pairing.Payment, error) {
	if err := s.gone(); err != nil {
		return nil, err
	}
	return s.Store.ListPayments(ctx, f, limit)
}

func (s *away) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	if err := s.gone(); err != nil {
		return pairing.Payment{}, err
	}
	return s.Store.Payment(ctx, id)
}

func (s *away) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	if err := s.gone(); err != nil {
		return pairing.Claim{}, false, err
	}
	c, ok, err := s.Store.ClaimPayment(ctx, t, owner, lease)
	if ok && s.lose.CompareAndSwap(true, false) {
		s.off.Store(true)
		return pairing.Claim{}, false, lostAnswer()
	}
	return c, ok, err
}

func (s *away) RenewClaim(ctx context.Context, c pairing.Claim, lease time.Duration, note string) error {
	if err := s.gone(); err != nil {
		return err
	}
	return s.Store.RenewClaim(ctx, c, lease, note)
}

func (s *away) RequeuePayment(ctx context.Context, c pairing.Claim, delay time.Duration, note string) error {
	if err := s.gone(); err != nil {
		return err
	}
	return s.Store.RequeuePayment(ctx, c, delay, note)
}

func (s *away) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	if err := s.gone(); err != nil {
		return err
	}
	return s.Store.SavePaymentHandle(ctx, c, h)
}

func (s *away) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	if err := s.gone(); err != nil {
		return pairing.Claim{}, false, err
	}
	return s.Store.FinishPayment(ctx, c, r, lease)
}

// eager has a router look for work so often that it is the first to find what others have left.
func eager(c *pairing.Config) { c.PollInterval = 10 * time.Millisecond }

// leaveAtStart is a Start during which the store goes away.
func (s *away) leaveAtStart(context.Context, pairing.Payment) (pairing.Handle, error) {
	s.off.Store(true)
	return pairing.Handle{}, nil
}

// lazy has it look seldom.
func lazy(c *pairing.Config) { c.PollInterval = 5 * time.Second }

// outage is longer than the leases that end in it.
const outage = time.Minute

func TestAnOutageLosesNoHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &away{Store: newStore(t), off: new(atomic.Bool)}, &park{}
		d.start = store.leaveAtStart
		sending, _ := node(t, store, d, lazy)
		pair(t, sending, "T1")
		_, err := sending.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		node(t, store, d, eager)
		time.Sleep(outage)
		store.off.Store(false)
		p, err := sending.Wait(t.Context(), "a")
		require.NoError(t, err, "the node that has sent it lives, and knows its handle")
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, 1, d.charged("a"))
	})
}

func TestAnOutageLosesNoOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &away{Store: newStore(t), off: new(atomic.Bool)}, &park{}
		d.await = func(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			if store.off.CompareAndSwap(false, true) {
				return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
			}
			return pairing.Result{Reason: "the terminal tells each outcome once"}, nil
		}
		following, _ := node(t, store, d, lazy)
		pair(t, following, "T1")
		_, err := following.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		node(t, store, d, eager)
		time.Sleep(outage)
		store.off.Store(false)
		p, err := following.Wait(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
	})
}

func TestAnOutageParksNothingThatWasNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &away{Store: newStore(t), off: new(atomic.Bool)}, &park{}
		store.lose.Store(true)
		claiming, _ := node(t, store, d, lazy)
		pair(t, claiming, "T1")
		_, err := claiming.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		node(t, store, d, eager)
		time.Sleep(outage)
		store.off.Store(false)
		p, err := claiming.Wait(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, 1, d.charged("a"))
	})
}

// What a node that is dead has left behind is taken over, a lease later; what only waits goes on at once.
func TestAfterAnOutageTheWorkGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &away{Store: newStore(t), off: new(atomic.Bool)}, &park{}
		dead, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{provider: d}})
		require.NoError(t, err)
		pair(t, dead, "T1", "T2")
		for i, id := range []string{"a", "b"} {
			_, err := dead.Submit(t.Context(), request(id, i+1))
			require.NoError(t, err)
		}
		_, ok, err := store.ClaimPayment(t.Context(), pairing.Terminal{Provider: provider, Serial: "T1"}, "dead", 15*time.Second)
		require.NoError(t, err)
		require.True(t, ok)
		store.off.Store(true)
		router, _ := node(t, store, d, nil)
		time.Sleep(outage)
		store.off.Store(false)
		began := time.Now()
		_, err = router.Wait(t.Context(), "b")
		require.NoError(t, err)
		require.Less(t, time.Since(began), 2*time.Second, "nobody has it")
		_, err = router.Wait(t.Context(), "a")
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "the node that had it fell silent")
		require.Greater(t, time.Since(began), 13*time.Second)
		require.Less(t, time.Since(began), 20*time.Second)
		require.Zero(t, d.charged("a"))
	})
}

// hanging is a store that answers only when it is back, and then everything at once.
type hanging struct {
	pairing.Store

	back <-chan struct{}
}

func (s hanging) ReadyTerminals(ctx context.Context, providers []string, limit int) ([]pairing.Terminal, error) {
	select {
	case <-s.back:
		return s.Store.ReadyTerminals(ctx, providers, limit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestAnAnswerThatTookLongerThanALeaseWasAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &away{Store: newStore(t), off: new(atomic.Bool)}, &park{}
		d.start = store.leaveAtStart
		sending, _ := node(t, store, d, lazy)
		pair(t, sending, "T1")
		_, err := sending.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		back := make(chan struct{})
		node(t, hanging{store.Store, back}, d, eager)
		time.Sleep(outage)
		store.off.Store(false)
		close(back)
		p, err := sending.Wait(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
	})
}

// A node that was cut off, and whose payment another one took over and left, has its handle still.
func TestAHandleIsKeptUntilItsNodeHasThePaymentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := &away{Store: newStore(t), off: new(atomic.Bool)}, &park{}
		d.start = store.leaveAtStart
		router, _ := node(t, store, d, nil)
		pair(t, router, "T1")
		_, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		time.Sleep(outage)
		claim, ok, err := store.Store.ClaimPayment(t.Context(), pairing.Terminal{Provider: provider, Serial: "T1"}, "other", 15*time.Second)
		require.NoError(t, err)
		require.True(t, ok)
		require.False(t, claim.Fresh)
		store.off.Store(false) // and the other node dies
		p, err := router.Wait(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, "txn-a", p.Handle.TransactionID)
		require.Equal(t, 1, d.charged("a"))
	})
}

// flawed is a store that fails now and then, or always in one place.
type flawed struct {
	pairing.Store

	polls atomic.Int64
	// each is how often a poll fails, if at all.
	each int64
	// locked is a terminal whose queue can't be changed.
	locked string
}

func (s *flawed) ReadyTerminals(ctx context.Context, providers []string, limit int) ([]pairing.Terminal, error) {
	if s.each > 0 && s.polls.Add(1)%s.each == 0 {
		return nil, pairing.Errorf(tillroute.KindUnavailable, nil, "the database is locked")
	}
	return s.Store.ReadyTerminals(ctx, providers, limit)
}

func (s *flawed) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	if t.Serial == s.locked {
		return pairing.Claim{}, false, pairing.Errorf(tillroute.KindUnavailable, nil, "somebody else holds a lock")
	}
	return s.Store.ClaimPayment(ctx, t, owner, lease)
}

// What a dead node had would never be taken over if each flaw were an outage.
func TestAFlawIsNoOutage(t *testing.T) {
	for name, flaw := range map[string]*flawed{
		"a poll that fails now and then":      {each: 3},
		"a terminal whose queue stays locked": {locked: "T2"},
		"both":                                {each: 3, locked: "T2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				flaw.Store = newStore(t)
				router, _ := node(t, flaw, &park{}, nil)
				pair(t, router, "T1", "T2")
				_, err := flaw.AcceptPayment(t.Context(), request("a", 1))
				require.NoError(t, err)
				_, ok, err := flaw.Store.ClaimPayment(t.Context(), pairing.Terminal{Provider: provider, Serial: "T1"}, "dead", 15*time.Second)
				require.NoError(t, err)
				require.True(t, ok)
				_, err = router.Submit(t.Context(), request("b", 2))
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				_, err = router.Wait(ctx, "a")
				require.ErrorContains(t, err, "the node that had it fell silent")
			})
		})
	}
}

// The node that looks first has heard from the store until a moment before.
func TestAnOutageIsNoticedByWhoRanBeforeIt(t *testing.T) {
	for _, long := range []time.Duration{16 * time.Second, outage} {
		synctest.Test(t, func(t *testing.T) {
			store, d := &away{Store: newStore(t), off: new(atomic.Bool)}, &park{}
			d.start = func(context.Context, pairing.Payment) (pairing.Handle, error) {
				store.off.Store(true)
				return pairing.Handle{}, nil
			}
			node(t, store, d, eager)
			sending, _ := node(t, store, d, lazy)
			pair(t, sending, "T1")
			time.Sleep(time.Minute)
			_, err := sending.Submit(t.Context(), request("a", 1))
			require.NoError(t, err)
			time.Sleep(long)
			store.off.Store(false)
			p, err := sending.Wait(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, tillroute.Approved, p.Outcome())
			require.Equal(t, 1, d.charged("a"))
		})
	}
}
