package pairing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// park is a simulated terminal park. It counts every charge, and it is the judge: what it has seen is the truth.
type park struct {
	mu      sync.Mutex
	charges []string            // payment IDs, in the order in which terminals took them
	busy    map[string]string   // terminal serial → payment that is on it
	overlap []string            // payments that were started on a terminal that was occupied
	served  map[string][]string // terminal serial → payment IDs
	awaited []string

	start func(ctx context.Context, p pairing.Payment) (pairing.Handle, error)
	await func(ctx context.Context, p pairing.Payment, report func(string)) (pairing.Result, error)
}

func (d *park) Start(ctx context.Context, p pairing.Payment) (pairing.Handle, error) {
	if d.start != nil {
		if h, err := d.start(ctx, p); err != nil || h.TransactionID != "" {
			return h, err
		}
	}
	return d.charge(p), nil
}

func (d *park) charge(p pairing.Payment) pairing.Handle {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy == nil {
		d.busy, d.served = map[string]string{}, map[string][]string{}
	}
	if on := d.busy[p.Terminal.Serial]; on != "" {
		d.overlap = append(d.overlap, p.ID+" over "+on)
	}
	d.busy[p.Terminal.Serial] = p.ID
	d.charges = append(d.charges, p.ID)
	d.served[p.Terminal.Serial] = append(d.served[p.Terminal.Serial], p.ID)
	return pairing.Handle{TransactionID: "txn-" + p.ID, Token: "https://poll.test/?token=s3cr3t"}
}

func (d *park) Await(ctx context.Context, p pairing.Payment, report func(string)) (pairing.Result, error) {
	d.mu.Lock()
	d.awaited = append(d.awaited, p.ID)
	d.mu.Unlock()
	result := pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}
	var err error
	if d.await != nil {
		result, err = d.await(ctx, p, report)
	}
	if err == nil {
		d.mu.Lock()
		delete(d.busy, p.Terminal.Serial)
		d.mu.Unlock()
	}
	return result, err
}

func (d *park) charged(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, c := range d.charges {
		if c == id {
			n++
		}
	}
	return n
}

const provider = "park"

func register(n int) pairing.Register {
	return pairing.Register{System: "xseries", Account: "acme", ID: fmt.Sprintf("register-%d", n)}
}

func request(id string, n int) pairing.Request {
	return pairing.Request{ID: id, Register: register(n), Kind: pairing.Purchase, Amount: decimal.RequireFromString("12.50"), Currency: "NZD"}
}

// node starts a router on the store and stops it when the test ends, or when the returned function is called.
func node(t *testing.T, store pairing.Store, driver pairing.Driver, change func(*pairing.Config)) (router *pairing.Router, stop func()) {
	t.Helper()
	config := pairing.Config{Store: store, Drivers: map[string]pairing.Driver{provider: driver}}
	if change != nil {
		change(&config)
	}
	router, err := pairing.New(config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return router, stop
}

// pair pairs registers 1 to n, each with the terminal of that number, or all with one.
func pair(t *testing.T, router *pairing.Router, terminals ...string) {
	t.Helper()
	for i, serial := range terminals {
		_, err := router.PairTerminal(t.Context(), pairing.Pairing{
			Register: register(i + 1), Terminal: pairing.Terminal{Provider: provider, Serial: serial},
		})
		require.NoError(t, err)
	}
}

func newStore(t *testing.T) pairing.Store {
	t.Helper()
	store := memstore.New(memstore.Config{})
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestInvariant1PaymentAndHandleAreWrittenBeforeTheNextStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := newStore(t), &park{}
		d.start = func(ctx context.Context, p pairing.Payment) (pairing.Handle, error) {
			stored, _ := store.Payment(ctx, p.ID)
			assert.Equal(t, pairing.Sending, stored.State, "what is about to be sent must be written down as possibly sent")
			return pairing.Handle{}, nil
		}
		d.await = func(ctx context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			stored, _ := store.Payment(ctx, p.ID)
			assert.Equal(t, pairing.Sent, stored.State, "the handle must be written down before anything else happens")
			assert.Equal(t, "txn-a", stored.Handle.TransactionID)
			return pairing.Result{Outcome: tillroute.Approved}, nil
		}
		router, _ := node(t, store, d, nil)
		pair(t, router, "T1")
		p, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, pairing.Done, p.State)
		require.Equal(t, "12.5", p.Result.Amount.String(), "an approval that names no amount is for what was asked")
		require.Equal(t, "txn-a", p.Result.TransactionID)
		require.Equal(t, 1, d.charged("a"))
	})
}

func TestInvariant2WhatMayHaveBeenSentIsNeverSentAgain(t *testing.T) {
	t.Run("an error that leaves it open parks the payment", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, failure := range []error{
				errors.New("connection reset"),
				&tillroute.Error{Kind: tillroute.KindTimeout},
				&tillroute.Error{Kind: tillroute.KindBusy},
			} {
				store, d := newStore(t), &park{}
				d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
					d.charge(p)
					return pairing.Handle{}, failure
				}
				router, _ := node(t, store, d, nil)
				pair(t, router, "T1")
				p, err := router.Pay(t.Context(), request("a", 1))
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
				require.Equal(t, pairing.Parked, p.State)
				require.Contains(t, p.Result.Reason, "look on terminal T1 for a purchase of 12.50 NZD")
				_, err = router.Pay(t.Context(), request("a", 1))
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
				time.Sleep(time.Hour)
				require.Equal(t, 1, d.charged("a"))
			}
		})
	})
	t.Run("a driver that panics parks the payment and the queue goes on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &park{}
			d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
				if p.ID == "a" {
					panic("boom")
				}
				return pairing.Handle{}, nil
			}
			router, _ := node(t, newStore(t), d, nil)
			pair(t, router, "T1")
			p, err := router.Pay(t.Context(), request("a", 1))
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.Contains(t, p.Result.Reason, "the driver panicked: boom")
			require.NotContains(t, p.Result.Reason, "goroutine")
			p, err = router.Pay(t.Context(), request("b", 1))
			require.NoError(t, err)
			require.Equal(t, tillroute.Approved, p.Outcome())
		})
	})
	t.Run("a process that died while sending", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store, d := newStore(t), &park{}
			dead, _ := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{provider: d}})
			pair(t, dead, "T1")
			_, err := dead.Submit(t.Context(), request("a", 1))
			require.NoError(t, err)
			_, ok, err := store.ClaimPayment(t.Context(), pairing.Terminal{Provider: provider, Serial: "T1"}, "dead", 15*time.Second)
			require.NoError(t, err)
			require.True(t, ok)

			router, _ := node(t, store, d, nil)
			begin := time.Now()
			_, err = router.Wait(t.Context(), "a")
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.ErrorContains(t, err, "the node that had it fell silent")
			require.LessOrEqual(t, time.Since(begin), 16*time.Second, "recovery takes a lease and a second")
			require.Zero(t, d.charged("a"))
		})
	})
	t.Run("a process that died while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store, d := newStore(t), &park{}
			dead, _ := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{provider: d}})
			pair(t, dead, "T1")
			_, err := dead.Submit(t.Context(), request("a", 1))
			require.NoError(t, err)
			claim, _, err := store.ClaimPayment(t.Context(), pairing.Terminal{Provider: provider, Serial: "T1"}, "dead", 15*time.Second)
			require.NoError(t, err)
			require.NoError(t, store.SavePaymentHandle(t.Context(), claim, d.charge(claim.Payment)))

			router, _ := node(t, store, d, nil)
			p, err := router.Wait(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, tillroute.Approved, p.Outcome())
			require.Equal(t, 1, d.charged("a"), "resumed, not repeated")
		})
	})
}

// finder is a park whose provider can be asked for a payment by its ID.
type finder struct {
	*park

	find func(pairing.Payment) (pairing.Handle, error)
}

func (f finder) Find(_ context.Context, p pairing.Payment) (pairing.Handle, error) { return f.find(p) }

func TestInvariant2ADriverThatCanLookUpIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		f := finder{park: d, find: func(p pairing.Payment) (pairing.Handle, error) {
			if d.charged(p.ID) == 0 {
				return pairing.Handle{}, &tillroute.Error{Kind: tillroute.KindNotFound, Outcome: tillroute.Failed}
			}
			return pairing.Handle{TransactionID: "txn-" + p.ID}, nil
		}}
		d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
			if p.ID == "taken" {
				d.charge(p)
			}
			return pairing.Handle{}, errors.New("the reply was lost")
		}
		router, _ := node(t, newStore(t), f, nil)
		pair(t, router, "T1")
		p, err := router.Pay(t.Context(), request("taken", 1))
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, 1, d.charged("taken"))
		p, err = router.Pay(t.Context(), request("not taken", 1))
		require.NoError(t, err)
		require.Equal(t, tillroute.Failed, p.Outcome(), "provably not started")
		require.Zero(t, d.charged("not taken"))
	})
}

func TestInvariant3EachTerminalServesInOrderOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := newStore(t), &park{}
		d.await = func(ctx context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			select {
			case <-time.After(3 * time.Second):
				return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
			case <-ctx.Done():
				return pairing.Result{}, ctx.Err()
			}
		}
		// Three nodes share the store; registers 1 to 3 share terminal T1, 4 and 5 have their own.
		var nodes []*pairing.Router
		for range 3 {
			router, _ := node(t, store, d, nil)
			nodes = append(nodes, router)
		}
		pair(t, nodes[0], "T1", "T1", "T1", "T2", "T3")
		want := map[string][]string{}
		var ids []string
		for i := range 20 {
			n := i%5 + 1
			id := fmt.Sprintf("p%02d", i)
			p, err := nodes[i%3].Submit(t.Context(), request(id, n))
			require.NoError(t, err)
			want[p.Terminal.Serial] = append(want[p.Terminal.Serial], id)
			ids = append(ids, id)
		}
		begin := time.Now()
		var group sync.WaitGroup
		ended := map[string]time.Duration{}
		var mu sync.Mutex
		for i, id := range ids {
			group.Go(func() {
				p, err := nodes[(i+1)%3].Wait(t.Context(), id)
				if err != nil || p.Outcome() != tillroute.Approved {
					t.Errorf("%s: %v %v", id, p.Outcome(), err)
				}
				mu.Lock()
				defer mu.Unlock()
				ended[p.Terminal.Serial] = max(ended[p.Terminal.Serial], time.Since(begin))
			})
		}
		group.Wait()
		require.Empty(t, d.overlap)
		require.Equal(t, want, d.served)
		require.Less(t, ended["T2"], ended["T1"], "terminals do not wait for each other")
		require.Less(t, ended["T2"], 20*time.Second)
	})
}

func TestInvariant3ABusyDeviceHoldsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, refused := &park{}, 0
		d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
			if p.ID == "a" && refused < 3 {
				refused++
				return pairing.Handle{}, &tillroute.Error{Kind: tillroute.KindBusy, Outcome: tillroute.Failed}
			}
			return pairing.Handle{}, nil
		}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1", "T1")
		begin := time.Now()
		for i, id := range []string{"a", "b"} {
			_, err := router.Submit(t.Context(), request(id, i+1))
			require.NoError(t, err)
		}
		_, err := router.Wait(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, d.charges, "b must not overtake a, which found the device busy")
		require.InDelta(t, 6, time.Since(begin).Seconds(), 1, "it is tried again every two seconds")
	})
}

func TestInvariant4TheSameIDReturnsTheFirstOnesState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		first, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		again := request("a", 1)
		again.Kind, again.Amount = "", decimal.RequireFromString("12.5000")
		second, err := router.Pay(t.Context(), again)
		require.NoError(t, err)
		require.Equal(t, first, second)

		other := request("a", 1)
		other.Amount = decimal.RequireFromString("12.51")
		_, err = router.Pay(t.Context(), other)
		require.ErrorIs(t, err, tillroute.ErrConflict)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.Equal(t, []string{"a"}, d.charges)
	})
}

// deaf is a store as a node sees it whose renewals do not get through.
type deaf struct{ pairing.Store }

func (deaf) RenewClaim(ctx context.Context, _ pairing.Claim, _ time.Duration, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestInvariant5ANodeThatStallsPastItsLeaseChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := newStore(t), &park{}
		awaits := 0
		d.await = func(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			awaits++
			if awaits == 1 {
				// The first node freezes for a minute, then tells nonsense.
				time.Sleep(time.Minute)
				return pairing.Result{Outcome: tillroute.Declined}, nil
			}
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
		}
		frozen, _ := node(t, deaf{store}, d, nil)
		pair(t, frozen, "T1")
		_, err := frozen.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		other, _ := node(t, store, d, nil)
		p, err := other.Wait(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		time.Sleep(2 * time.Minute)
		p, err = frozen.Payment(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome(), "the frozen node woke up and overwrote the outcome")
		require.Equal(t, 1, d.charged("a"))
	})
}

// slowClaim delays the answer to the first claim.
type slowClaim struct {
	pairing.Store

	delay  time.Duration
	claims int
}

func (s *slowClaim) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	c, ok, err := s.Store.ClaimPayment(ctx, t, owner, lease)
	if ok {
		s.claims++
		if s.claims == 1 {
			time.Sleep(s.delay)
		}
	}
	return c, ok, err
}

func TestInvariant5NothingIsSentPastHalfOfTheLease(t *testing.T) {
	// The second is late even for the lease itself; nobody else was there to take over.
	for _, delay := range []time.Duration{8 * time.Second, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			store, d := &slowClaim{Store: newStore(t), delay: delay}, &park{}
			d.start = func(context.Context, pairing.Payment) (pairing.Handle, error) {
				assert.Equal(t, 2, store.claims, "sent under a claim that was about to run out")
				return pairing.Handle{}, nil
			}
			router, _ := node(t, store, d, nil)
			pair(t, router, "T1")
			begin := time.Now()
			p, err := router.Pay(t.Context(), request("a", 1))
			require.NoError(t, err)
			require.Equal(t, tillroute.Approved, p.Outcome())
			require.Less(t, time.Since(begin), delay+2*time.Second, "it is put back and claimed anew, not lost")
			require.Equal(t, 1, d.charged("a"))
		})
	}
}

func TestInvariant6AContextThatEndsIsNoOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		d.await = func(ctx context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			select {
			case <-time.After(time.Minute):
				return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
			case <-ctx.Done():
				return pairing.Result{}, ctx.Err()
			}
		}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 5*time.Second)
			},
			"cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(5*time.Second, cancel)
				return ctx, cancel
			},
		} {
			ctx, cancel := end(t.Context())
			begin := time.Now()
			p, err := router.Pay(ctx, request(name, 1))
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.ErrorIs(t, err, ctx.Err())
			require.Equal(t, 5*time.Second, time.Since(begin))
			require.Equal(t, tillroute.Unknown, p.Outcome())
			require.Equal(t, name, p.ID)
			require.Equal(t, "txn-"+name, p.Handle.TransactionID, "the caller gets the handle to go on waiting")
			cancel()
			p, err = router.Wait(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, tillroute.Approved, p.Outcome())
			require.Equal(t, 1, d.charged(name))
		}
		// Also when the context ends before the wait has begun to look.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := router.Wait(ctx, "deadline")
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	})
}

// brokenReads is a store whose database goes away after the payment was accepted.
type brokenReads struct{ pairing.Store }

func (brokenReads) Payment(context.Context, string) (pairing.Payment, error) {
	return pairing.Payment{}, pairing.Errorf(tillroute.KindUnavailable, nil, "the database is gone")
}

func TestInvariant6AStoreThatFailsMeanwhileIsNoOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		router, _ := node(t, brokenReads{store}, &park{}, nil)
		pair(t, router, "T1")
		p, err := router.Pay(t.Context(), request("a", 1))
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.ErrorIs(t, err, tillroute.ErrUnavailable)
		require.Equal(t, "a", p.ID)
	})
}

func TestInvariant7OnlyWhatIsQueuedCanBeWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		release := make(chan struct{})
		d.await = func(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			<-release
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
		}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		for _, id := range []string{"a", "b", "c"} {
			_, err := router.Submit(t.Context(), request(id, 1))
			require.NoError(t, err)
		}
		synctest.Wait()
		_, err := router.Withdraw(t.Context(), "a", "changed their mind")
		require.ErrorIs(t, err, tillroute.ErrConflict)
		require.ErrorContains(t, err, "it can be cancelled there alone")
		b, err := router.Withdraw(t.Context(), "b", "changed their mind")
		require.NoError(t, err)
		require.Equal(t, tillroute.Cancelled, b.Outcome())
		require.Equal(t, "changed their mind", b.Result.Reason)
		_, err = router.Withdraw(t.Context(), "nothing", "")
		require.ErrorIs(t, err, tillroute.ErrNotFound)
		close(release)
		_, err = router.Wait(t.Context(), "c")
		require.NoError(t, err)
		_, err = router.Withdraw(t.Context(), "c", "")
		require.ErrorIs(t, err, tillroute.ErrConflict)
		require.Equal(t, []string{"a", "c"}, d.charges)
	})
}

type canceller struct {
	*park

	stop chan struct{}
}

func (c canceller) Cancel(context.Context, pairing.Payment) error {
	close(c.stop)
	return nil
}

func TestInvariant7ADriverThatCanStopItsTerminalIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := canceller{&park{}, make(chan struct{})}
		c.await = func(context.Context, pairing.Payment, func(string)) (pairing.Result, error) {
			<-c.stop
			return pairing.Result{Outcome: tillroute.Cancelled, Reason: "stopped at the terminal"}, nil
		}
		router, _ := node(t, newStore(t), c, nil)
		pair(t, router, "T1")
		_, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		synctest.Wait()
		p, err := router.Withdraw(t.Context(), "a", "")
		require.NoError(t, err)
		require.Equal(t, pairing.Sent, p.State, "asking is not an outcome")
		p, err = router.Wait(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tillroute.Cancelled, p.Outcome())
	})
}

func TestInvariant7AnUnknownIsParkedForAPersonAndHoldsNoQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		d.await = func(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			if p.ID == "a" {
				return pairing.Result{Outcome: tillroute.Unknown, Reason: "the handle has expired"}, nil
			}
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
		}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		a, err := router.Pay(t.Context(), request("a", 1))
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "the handle has expired")
		require.Equal(t, pairing.Parked, a.State)
		require.Equal(t, "txn-a", a.Result.TransactionID)
		_, err = router.Pay(t.Context(), request("b", 1))
		require.NoError(t, err)

		parked, err := router.Payments(t.Context(), pairing.Filter{States: []pairing.State{pairing.Parked}}, 10)
		require.NoError(t, err)
		require.Len(t, parked, 1)

		for _, incomplete := range []pairing.Resolution{
			{By: "Ana", Reason: "receipt"},
			{Outcome: tillroute.Approved, Reason: "receipt"},
			{Outcome: tillroute.Approved, By: "Ana"},
			{Outcome: tillroute.Approved, By: "Ana", Reason: "receipt", Amount: decimal.NewFromInt(-1)},
			{Outcome: tillroute.Outcome(9), By: "Ana", Reason: "receipt"},
			{Outcome: tillroute.Approved, By: "Ana", Reason: "receipt", Amount: decimal.New(1, 400)},
			{Outcome: tillroute.Approved, By: "Ana", Reason: "receipt", Amount: decimal.New(1, -3)},
			{Outcome: tillroute.Declined, By: "Ana", Reason: "receipt", Amount: decimal.New(1, 0)},
			{Outcome: tillroute.Approved, By: "x\x00", Reason: "receipt"},
			{Outcome: tillroute.Approved, By: "Ana", Reason: "\xff"},
		} {
			_, err := router.Resolve(t.Context(), "a", incomplete)
			require.ErrorIs(t, err, tillroute.ErrInvalid)
		}
		a, err = router.Resolve(t.Context(), "a", pairing.Resolution{Outcome: tillroute.Approved, By: "Ana", Reason: "receipt 17"})
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, a.Outcome())
		require.Equal(t, "Ana", a.ResolvedBy)
		require.Equal(t, "12.5", a.Result.Amount.String())
		_, err = router.Resolve(t.Context(), "a", pairing.Resolution{Outcome: tillroute.Declined, By: "Bo", Reason: "no"})
		require.ErrorIs(t, err, tillroute.ErrConflict)
		again, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}

func TestInvariant8WhatTheCardSideSaysIsTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		result := pairing.Result{
			CardType: "VISA\x00\xff",
			Outcome:  tillroute.Approved, Amount: decimal.RequireFromString("14.15"), Surcharge: decimal.RequireFromString("0.15"),
			Tip: decimal.RequireFromString("1.50"), AuthCode: "PIN147", Receipt: "  RECEIPT \n",
		}
		d.await = func(context.Context, pairing.Payment, func(string)) (pairing.Result, error) { return result, nil }
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		p, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Equal(t, "12.5", p.Amount.String())
		require.Equal(t, "14.15", p.Result.Amount.String())
		require.Equal(t, result.Receipt, p.Result.Receipt)
		require.Equal(t, "VISA\uFFFD", p.Result.CardType, "what no database can hold is taken out")
	})
}

func TestInvariant9NoSecretIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		d := &park{}
		d.await = func(context.Context, pairing.Payment, func(string)) (pairing.Result, error) {
			return pairing.Result{}, errors.New("following failed")
		}
		store := newStore(t)
		router, stop := node(t, store, d, func(c *pairing.Config) { c.Logger = logger })
		_, err := router.PairTerminal(t.Context(), pairing.Pairing{
			Register: register(1), Terminal: pairing.Terminal{Provider: provider, Serial: "T1"}, Identity: "identity-s3cr3t",
		})
		require.NoError(t, err)
		p, err := router.Pay(t.Context(), request("a", 1))
		require.Error(t, err)
		require.Equal(t, tillroute.Secret("identity-s3cr3t"), p.Identity)
		require.NotEmpty(t, p.Handle.Token)
		stop()
		require.Contains(t, logged.String(), "payment ended")
		for _, text := range []string{
			logged.String(), err.Error(), fmt.Sprintf("%+v %#v %v", p, p, err), fmt.Sprintf("%+v", &p),
			p.Result.Reason, fmt.Sprintf("%+v", pairing.Grant{AccessToken: "s3cr3t", RefreshToken: "s3cr3t", Extra: "s3cr3t"}),
		} {
			require.NotContains(t, text, "s3cr3t")
		}
	})
}

func TestManyWatchersSeeAPaymentComeForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		d.await = func(_ context.Context, p pairing.Payment, report func(string)) (pairing.Result, error) {
			time.Sleep(3 * time.Second)
			report("taking longer than usual")
			time.Sleep(3 * time.Second)
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
		}
		store := newStore(t)
		router, _ := node(t, store, d, nil)
		other, _ := node(t, store, d, nil)
		pair(t, router, "T1", "T1", "T1")
		for i, id := range []string{"a", "b", "c"} {
			_, err := router.Submit(t.Context(), request(id, i+1))
			require.NoError(t, err)
		}
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() {
				var seen []string
				for progress, err := range []*pairing.Router{router, other}[i%2].Watch(t.Context(), "c") {
					if err != nil {
						t.Error(err)
						return
					}
					seen = append(seen, fmt.Sprintf("%s %d %s", progress.Payment.State, progress.Ahead, progress.Payment.Note))
				}
				// What lies between may be missed; the order and the end may not.
				seen = slices.DeleteFunc(seen, func(s string) bool { return s == "queued 0 " || s == "sending 0 " })
				want := []string{"queued 2 ", "queued 1 ", "sent 0 ", "sent 0 taking longer than usual", "done 0 taking longer than usual"}
				if !slices.Equal(want, seen) {
					t.Errorf("watcher %d saw %q", i, seen)
				}
			})
		}
		group.Wait()
	})
}

func TestAWatcherThatLeavesChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, _ := node(t, newStore(t), &park{}, nil)
		pair(t, router, "T1")
		_, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		for _, err := range router.Watch(t.Context(), "a") {
			require.NoError(t, err)
			break
		}
		for _, err := range router.Watch(t.Context(), "unheard of") {
			require.ErrorIs(t, err, tillroute.ErrNotFound)
		}
		_, err = router.Wait(t.Context(), "unheard of")
		require.ErrorIs(t, err, tillroute.ErrNotFound)
	})
}

func TestStoppingCarriesAStartThroughAndLeavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := newStore(t), &park{}
		starting := make(chan struct{})
		d.start = func(ctx context.Context, _ pairing.Payment) (pairing.Handle, error) {
			close(starting)
			time.Sleep(20 * time.Second) // Longer than the lease, and than the stop.
			return pairing.Handle{}, ctx.Err()
		}
		d.await = func(ctx context.Context, _ pairing.Payment, _ func(string)) (pairing.Result, error) {
			<-ctx.Done()
			return pairing.Result{}, ctx.Err()
		}
		router, stop := node(t, store, d, nil)
		pair(t, router, "T1")
		_, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		<-starting
		stop()
		p, err := store.Payment(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, pairing.Sent, p.State, "the handle was written down before Run returned")

		d.start, d.await = nil, nil
		begin := time.Now()
		next, _ := node(t, store, d, nil)
		p, err = next.Wait(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Less(t, time.Since(begin), 2*time.Second, "the claim was released, so nobody waits for the lease")
		require.Equal(t, 1, d.charged("a"))
	})
}

// flaky fails the first writes of each kind.
type flaky struct {
	pairing.Store

	mu    sync.Mutex
	left  map[string]int
	cause error
}

func (f *flaky) fails(kind string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left[kind]--
	return f.left[kind] >= 0
}

func (f *flaky) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	if f.fails("save") {
		return f.cause
	}
	return f.Store.SavePaymentHandle(ctx, c, h)
}

func (f *flaky) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	if f.fails("finish") {
		return pairing.Claim{}, false, f.cause
	}
	return f.Store.FinishPayment(ctx, c, r, lease)
}

func TestWhatMustBeWrittenIsWrittenWhenTheStoreComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{
			Store: newStore(t), left: map[string]int{"save": 5, "finish": 5},
			cause: pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is full"),
		}
		d := &park{}
		router, _ := node(t, store, d, nil)
		pair(t, router, "T1")
		p, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, "txn-a", p.Handle.TransactionID)
		require.Equal(t, 1, d.charged("a"))
	})
}

func TestALateDeviceTakesOverTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		d.start = func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
			h := d.charge(p)
			h.Serial = "DEVICE"
			return h, nil
		}
		d.await = func(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			time.Sleep(time.Second)
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
		}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "behind register 1", "behind register 2")
		// What is queued when the device becomes known moves along.
		for _, id := range []string{"a", "b"} {
			_, err := router.Submit(t.Context(), request(id, 1))
			require.NoError(t, err)
		}
		_, err := router.Wait(t.Context(), "b")
		require.NoError(t, err)
		_, err = router.Pay(t.Context(), request("c", 2))
		require.NoError(t, err)
		// From now on both registers stand in one queue.
		for i, id := range []string{"d", "e", "f", "g"} {
			_, err := router.Submit(t.Context(), request(id, i%2+1))
			require.NoError(t, err)
		}
		_, err = router.Wait(t.Context(), "g")
		require.NoError(t, err)
		for n := 1; n <= 2; n++ {
			p, err := router.Pairing(t.Context(), register(n))
			require.NoError(t, err)
			require.Equal(t, "DEVICE", p.Terminal.Serial)
		}
		require.Equal(t, []string{"b", "d", "e", "f", "g"}, d.served["DEVICE"])
		require.Empty(t, d.overlap)
	})
}

func TestSubmitRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &park{}
		router, _ := node(t, newStore(t), d, nil)
		pair(t, router, "T1")
		for name, c := range map[string]struct {
			change func(*pairing.Request)
			says   string
		}{
			"no ID":         {func(r *pairing.Request) { r.ID = "" }, "the ID is missing"},
			"long ID":       {func(r *pairing.Request) { r.ID = strings.Repeat("x", 201) }, "longer than 200"},
			"control in ID": {func(r *pairing.Request) { r.ID = "a\x00b" }, "can't be printed"},
			"bad UTF-8":     {func(r *pairing.Request) { r.ID = "a\xffb" }, "not valid UTF-8"},
			"no register":   {func(r *pairing.Request) { r.Register.ID = "" }, "the register's ID is missing"},
			"zero":          {func(r *pairing.Request) { r.Amount = decimal.Zero }, "not above zero"},
			"negative":      {func(r *pairing.Request) { r.Amount = decimal.NewFromInt(-1) }, "a refund is a kind of its own"},
			"1e400":         {func(r *pairing.Request) { r.Amount = decimal.New(1, 400) }, "out of range"},
			"decimals":      {func(r *pairing.Request) { r.Amount = decimal.New(12505, -3) }, "more decimals than NZD has (2)"},
			"currency":      {func(r *pairing.Request) { r.Currency = "NZ$" }, "is not a currency"},
			"no currency":   {func(r *pairing.Request) { r.Currency = "" }, "is not a currency"},
			"data":          {func(r *pairing.Request) { r.Data = make([]byte, 10<<20) }, "larger than 64 KiB"},
			"reference":     {func(r *pairing.Request) { r.Reference = strings.Repeat("x", 10<<20) }, "longer than 200"},
		} {
			r := request("a", 1)
			c.change(&r)
			_, err := router.Submit(t.Context(), r)
			require.ErrorIs(t, err, tillroute.ErrInvalid, name)
			require.ErrorContains(t, err, c.says, name)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, name)
		}
		_, err := router.Submit(t.Context(), request("b", 9))
		require.ErrorIs(t, err, pairing.ErrNotPaired)
		require.ErrorContains(t, err, "xseries/acme/register-9")
		payments, err := router.Payments(t.Context(), pairing.Filter{}, 10)
		require.NoError(t, err)
		require.Empty(t, payments, "nothing was half done")
	})
}

func TestAPaymentThatNoDriverServesIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		router, _ := node(t, store, &park{}, nil)
		_, err := store.PutPairing(t.Context(), pairing.Pairing{
			Register: register(1), Terminal: pairing.Terminal{Provider: "other", Serial: "X"},
		}, 0)
		require.NoError(t, err)
		_, err = router.Pay(t.Context(), request("a", 1))
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorContains(t, err, "add it to Config.Drivers")
	})
}

func TestConfigurationIsChecked(t *testing.T) {
	var none *park
	_, err := pairing.New(pairing.Config{Store: newStore(t), Drivers: map[string]pairing.Driver{provider: none}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = pairing.New(pairing.Config{Lease: time.Millisecond, CodeTries: -1})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, says := range []string{"Store is missing", "Drivers is empty", "Lease must be at least 200ms", "CodeTries"} {
		require.ErrorContains(t, err, says)
	}
}

func TestRunRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, stop := node(t, newStore(t), &park{}, nil)
		synctest.Wait()
		require.ErrorIs(t, router.Run(t.Context()), tillroute.ErrInvalid)
		stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, router.Run(ctx), context.DeadlineExceeded, "after it has ended it may run again")
	})
}
