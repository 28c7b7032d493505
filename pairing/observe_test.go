package pairing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// diary is an observer that keeps what it hears.
type diary struct {
	mu     sync.Mutex
	events []pairing.Event
}

func (d *diary) observe(e pairing.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// of returns the steps of a payment, as text.
func (d *diary) of(id string) (steps []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.Payment.ID == id {
			steps = append(steps, fmt.Sprintf("%s %s %s %s", e.Step, e.Payment.State, e.Payment.Outcome(), e.Took))
		}
	}
	return steps
}

// busyOnce refuses each payment whose ID begins with sale-busy once, and takes a second for every other.
func busyOnce(d *park) func(context.Context, pairing.Payment) (pairing.Handle, error) {
	refused := map[string]bool{}
	return func(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
		switch {
		case strings.HasPrefix(p.ID, "sale-busy") && !refused[p.ID]:
			refused[p.ID] = true
			return pairing.Handle{}, pairing.Errorf(tillroute.KindBusy, nil, "the device is busy")
		case p.ID == "sale-refused":
			return pairing.Handle{}, pairing.Errorf(tillroute.KindInvalid, nil, "no such amount")
		case p.ID == "sale-lost":
			return pairing.Handle{}, errors.New("the reply was lost")
		}
		time.Sleep(time.Second)
		return d.charge(p), nil
	}
}

// awaitByID ends payments by their IDs, after five seconds.
func awaitByID(ctx context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	select {
	case <-time.After(5 * time.Second):
	case <-ctx.Done():
		return pairing.Result{}, ctx.Err()
	}
	switch p.ID {
	case "sale-panics":
		panic("a fault of the driver")
	case "sale-unfollowed":
		return pairing.Result{}, errors.New("the handle has expired")
	}
	return pairing.Result{Outcome: tillroute.ParseOutcome(strings.TrimPrefix(p.ID, "sale-")), Amount: p.Amount, Reason: "told by the terminal"}, nil
}

func TestTheObserverHearsEachStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, heard := &park{await: awaitByID}, &diary{}
		d.start = busyOnce(d)
		router, _ := node(t, newStore(t), d, func(c *pairing.Config) { c.Observer = heard.observe })
		pair(t, router, "T1", "T2", "T3", "T4", "T5", "T6")
		ids := []string{"sale-approved", "sale-declined", "sale-refused", "sale-lost", "sale-busy", "sale-unfollowed"}
		for i, id := range ids {
			_, err := router.Submit(t.Context(), request(id, i+1))
			require.NoError(t, err)
		}
		_, err := router.Submit(t.Context(), request("sale-behind", 1))
		require.NoError(t, err)
		_, err = router.Withdraw(t.Context(), "sale-behind", "the guest left")
		require.NoError(t, err)
		for _, id := range ids {
			_, _ = router.Wait(t.Context(), id)
		}
		_, err = router.Resolve(t.Context(), "sale-lost", pairing.Resolution{Outcome: tillroute.Declined, By: "Ana", Reason: "journal"})
		require.NoError(t, err)
		synctest.Wait()
		for id, want := range map[string][]string{
			"sale-approved": {"handed over sent unknown 1s", "ended done approved 5s"},
			"sale-declined": {"handed over sent unknown 1s", "ended done declined 5s"},
			"sale-refused":  {"ended done failed 0s"},
			"sale-lost":     {"ended unknown unknown 0s", "resolved done declined 0s"},
			// It waits for two seconds, and then takes one.
			"sale-busy":       {"requeued sending unknown 0s", "handed over sent unknown 3s", "ended unknown unknown 5s"},
			"sale-unfollowed": {"handed over sent unknown 1s", "ended unknown unknown 5s"},
			"sale-behind":     {"withdrawn done cancelled 0s"},
		} {
			require.Equal(t, want, heard.of(id), id)
		}
	})
}

func TestTheObserverHearsOfPaymentsThatChangeHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, heard := &park{await: awaitByID}, &diary{}
		store := newStore(t)
		// The first node can't renew its lease, and the second takes over.
		first, stop := node(t, deaf{store}, d, func(c *pairing.Config) { c.Lease, c.Owner = time.Second, "first" })
		pair(t, first, "T1")
		_, err := first.Submit(t.Context(), request("sale-approved", 1))
		require.NoError(t, err)
		synctest.Wait()
		stop()
		second, _ := node(t, store, d, func(c *pairing.Config) { c.Observer = heard.observe })
		_, err = second.Wait(t.Context(), "sale-approved")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []string{"taken up sent unknown 0s", "ended done approved 5s"}, heard.of("sale-approved"))
	})
}

func TestTheObserverHearsOfRefusedWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		d, heard := &park{}, &diary{}
		d.await = func(ctx context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
			// The node stalls past its lease, and another takes over meanwhile.
			time.Sleep(3 * time.Second)
			_, ok, err := store.ClaimPayment(ctx, p.Terminal, "another", time.Minute)
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount, Reason: fmt.Sprint(ok, err)}, nil
		}
		router, stop := node(t, deaf{store}, d, func(c *pairing.Config) { c.Lease, c.Observer = time.Second, heard.observe })
		pair(t, router, "T1")
		_, err := router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		stop()
		require.Equal(t, []string{"handed over sent unknown 0s", "fenced done approved 0s"}, heard.of("a"))
		router, _ = node(t, store, &park{await: awaitByID}, func(c *pairing.Config) { c.Lease, c.Observer = 3*time.Second, heard.observe })
		pair(t, router, "T2")
		_, err = router.Submit(t.Context(), request("b", 1))
		require.NoError(t, err)
		time.Sleep(time.Second)
		steal(t, store, "b")
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"handed over sent unknown 0s", "fenced sending unknown 0s"}, heard.of("b"))
	})
}

func TestAnObserverThatPanicsHarmsNoPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		d := &park{}
		router, stop := node(t, newStore(t), d, func(c *pairing.Config) {
			c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			c.Observer = func(pairing.Event) { panic("a fault of the observer") }
		})
		pair(t, router, "T1")
		p, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
		require.Equal(t, 1, d.charged("a"))
		stop()
		require.Contains(t, logged.String(), "a fault of the observer")
	})
}

// Messages are fixed and keys are the documented ones, whatever becomes of a payment.
func TestLogsHaveTheDocumentedKeys(t *testing.T) {
	documented := []string{
		"time", "level", "msg", "owner",
		"payment", "register", "terminal", "transaction", "outcome", "reason", "by", "error",
	}
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		change := func(c *pairing.Config) { c.Logger, c.Lease = logger, 3*time.Second }
		d := &park{await: awaitByID}
		d.start = busyOnce(d)
		store := newStore(t)
		router, stop := node(t, &flaky{
			Store: store, left: map[string]int{"save": 1, "finish": 1}, cause: pairing.Errorf(tillroute.KindUnavailable, nil, "no database"),
		}, d, change)
		serials := make([]string, 9)
		for i := range serials {
			serials[i] = fmt.Sprintf("T%d", i+1)
		}
		pair(t, router, serials...)
		code, err := router.IssueCode(t.Context(), pairing.Terminal{Provider: provider, Serial: "T1"}, "")
		require.NoError(t, err)
		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Code: code.Text})
		require.NoError(t, err)
		ids := []string{"sale-approved", "sale-declined", "sale-cancelled", "sale-failed", "sale-refused", "sale-lost", "sale-busy", "sale-panics", "sale-unfollowed"}
		for i, id := range ids {
			_, err := router.Submit(t.Context(), request(id, i+1))
			require.NoError(t, err)
		}
		_, err = router.Submit(t.Context(), request("sale-behind", 1))
		require.NoError(t, err)
		_, err = router.Withdraw(t.Context(), "sale-behind", "the guest left")
		require.NoError(t, err)
		for _, id := range ids {
			_, _ = router.Wait(t.Context(), id)
		}
		_, err = router.Resolve(t.Context(), "sale-lost", pairing.Resolution{Outcome: tillroute.Declined, By: "Ana", Reason: "journal"})
		require.NoError(t, err)
		// One is left under way, and another process takes it up.
		_, err = router.Submit(t.Context(), request("sale-left", 1))
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		stop()
		router, stop = node(t, store, d, change)
		_, _ = router.Wait(t.Context(), "sale-left")
		// Another takes one over.
		_, err = router.Submit(t.Context(), request("sale-taken", 1))
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		steal(t, store, "sale-taken")
		time.Sleep(5 * time.Second)
		// And at last the store is gone.
		require.NoError(t, store.Close())
		time.Sleep(5 * time.Second)
		stop()

		messages := map[string]map[string]any{}
		for line := range strings.Lines(logged.String()) {
			var record map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &record))
			for key := range record {
				require.Contains(t, documented, key, line)
			}
			require.NotEmpty(t, record["owner"], line)
			messages[fmt.Sprint(record["msg"])] = record
		}
		for message, keys := range map[string][]string{
			"payment accepted":                            {"payment", "register", "terminal"},
			"payment is being sent":                       {"payment", "register", "terminal"},
			"payment withdrawn":                           {"payment", "register", "terminal", "outcome"},
			"payment resolved":                            {"payment", "register", "terminal", "outcome", "by"},
			"payment ended":                               {"payment", "register", "terminal", "outcome", "reason"},
			"payment taken up again":                      {"payment", "register", "terminal", "transaction"},
			"another node has taken over":                 {"payment", "register", "terminal"},
			"whether a payment was sent is not known":     {"payment", "register", "terminal", "error"},
			"a payment can't be followed":                 {"payment", "register", "terminal", "transaction", "error"},
			"a write to the store failed and is repeated": {"payment", "register", "terminal", "error"},
			"the store can't be asked for work":           {"error"},
			"register paired":                             {"register", "terminal"},
		} {
			require.Contains(t, messages, message)
			for _, key := range keys {
				require.Contains(t, messages[message], key, message)
			}
		}
		for message := range messages {
			require.NotRegexp(t, `sale-|xseries/|park/|[0-9]`, message, "a message is the same for all payments")
		}
	})
}

// steal claims a payment for another node once its lease has ended, which this waits for.
func steal(t *testing.T, store pairing.Store, id string) {
	t.Helper()
	p, err := store.Payment(t.Context(), id)
	require.NoError(t, err)
	claim := pairing.Claim{Payment: p, Fence: 1}
	require.NoError(t, store.RenewClaim(t.Context(), claim, 0, p.Note))
	_, ok, err := store.ClaimPayment(t.Context(), p.Terminal, "another", time.Minute)
	require.NoError(t, err)
	require.True(t, ok)
}
