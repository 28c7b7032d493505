package smartconnect_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/smartconnect"
)

// node is a process that takes payments: a router with the driver on a store that outlives it.
type node struct {
	router *pairing.Router
	driver *smartconnect.Driver
	stop   func()
}

// startNode starts a process. Its requests go through watch, if that isn't nil.
func startNode(t *testing.T, sys *testserver.Systems, store pairing.Store, watch func(operation string)) node {
	t.Helper()
	config := smartconnect.Config{
		BusinessName: "John Doe's Coffee Shop", VendorName: "Till2Go", Currency: "NZD",
		BaseURL: sys.Describe().SmartConnect.BaseURL, PollInterval: 5 * time.Millisecond,
	}
	if watch != nil {
		config.HTTP.Middleware = []tillroute.Middleware{func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				watch(tillroute.Operation(r.Context()))
				return next.RoundTrip(r)
			})
		}}
	}
	client, err := smartconnect.New(config)
	require.NoError(t, err)
	driver := smartconnect.NewDriver(client)
	router, err := pairing.New(pairing.Config{
		Store: store, Drivers: map[string]pairing.Driver{smartconnect.Provider: driver},
		Lease: time.Minute, PollInterval: 5 * time.Millisecond, BusyDelay: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.ErrorIs(t, router.Run(ctx), context.Canceled) })
	stop := sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return node{router, driver, stop}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (n node) pair(t *testing.T, device *testserver.Device) {
	t.Helper()
	_, err := n.router.Pair(t.Context(), pairing.PairRequest{Register: till(), Provider: smartconnect.Provider, Code: show(t, device), RegisterName: "Till 1"})
	require.NoError(t, err)
}

// reach waits until the payment is in the state.
func (n node) reach(t *testing.T, id string, state pairing.State) pairing.Payment {
	t.Helper()
	for progress, err := range n.router.Watch(t.Context(), id) {
		require.NoError(t, err)
		if progress.Payment.State == state {
			return progress.Payment
		}
	}
	t.Fatalf("payment %s was never %s", id, state)
	return pairing.Payment{}
}

func ask(id string, amount string) pairing.Request {
	return pairing.Request{ID: id, Register: till(), Amount: decimal.RequireFromString(amount), Currency: "NZD"}
}

func TestRecoveryWritesBeforeThePostAndRightAfter(t *testing.T) {
	sys := testserver.Start(t, testserver.Options{SmartConnect: testserver.SmartConnectOptions{MinPoll: -1}})
	device := sys.SmartConnect.Devices()[0]
	device.SetAuto(testserver.AutoApprove, 0)
	store := memstore.New(memstore.Config{})
	var mu sync.Mutex
	seen := map[string][]pairing.State{}
	n := startNode(t, sys, store, func(operation string) {
		p, err := store.Payment(t.Context(), "p1")
		if errors.Is(err, tillroute.ErrNotFound) {
			return
		}
		if err != nil {
			t.Errorf("the store can't be asked: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		seen[operation] = append(seen[operation], p.State)
		if operation == "smartconnect.Poll" {
			assert.NotEmpty(t, p.Handle.TransactionID)
			assert.Contains(t, p.Handle.Token.Reveal(), "merchantAccessToken=")
		}
	})
	n.pair(t, device)
	p, err := n.router.Pay(t.Context(), ask("p1", "12.50"))
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, p.Outcome())
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []pairing.State{pairing.Sending}, seen["smartconnect.Start"], "written down before it was sent")
	require.NotEmpty(t, seen["smartconnect.Poll"])
	for _, state := range seen["smartconnect.Poll"] {
		require.Equal(t, pairing.Sent, state, "the polling URL was written down before it was used")
	}
}

func TestRecoveryResumesWhileTheTokenLives(t *testing.T) {
	for name, test := range map[string]struct {
		act     func(*testing.T, *testserver.Systems, *testserver.Device)
		outcome tillroute.Outcome
		state   pairing.State
		charges int
	}{
		"approved meanwhile": {func(t *testing.T, _ *testserver.Systems, d *testserver.Device) {
			t.Helper()
			require.NoError(t, d.Approve())
		}, tillroute.Approved, pairing.Done, 1},
		"declined meanwhile": {func(t *testing.T, _ *testserver.Systems, d *testserver.Device) {
			t.Helper()
			require.NoError(t, d.Decline())
		}, tillroute.Declined, pairing.Done, 0},
		"approved, and the token has ended": {func(t *testing.T, sys *testserver.Systems, d *testserver.Device) {
			t.Helper()
			require.NoError(t, d.Approve())
			sys.SmartConnect.ExpireTokens()
		}, tillroute.Unknown, pairing.Parked, 1},
	} {
		t.Run(name, func(t *testing.T) {
			sys := testserver.Start(t, testserver.Options{SmartConnect: testserver.SmartConnectOptions{MinPoll: -1}})
			device := sys.SmartConnect.Devices()[0]
			store := memstore.New(memstore.Config{})
			first := startNode(t, sys, store, nil)
			first.pair(t, device)
			_, err := first.router.Submit(t.Context(), ask("p1", "12.50"))
			require.NoError(t, err)
			sent := first.reach(t, "p1", pairing.Sent)
			first.stop()
			test.act(t, sys, device)

			second := startNode(t, sys, store, nil)
			p, err := second.router.Wait(t.Context(), "p1")
			require.Equal(t, test.outcome == tillroute.Unknown, errors.Is(err, tillroute.ErrOutcomeUnknown), err)
			require.Equal(t, test.state, p.State)
			require.Equal(t, test.outcome, p.Outcome())
			require.Len(t, sys.SmartConnect.Charges(), test.charges)
			require.Len(t, sys.SmartConnect.Transactions(), 2, "the payment, and the question which terminal it is")
			if test.outcome != tillroute.Unknown {
				return
			}
			// All that a person needs to find it.
			require.Equal(t, sent.Handle, p.Handle, "the handle is kept")
			require.Contains(t, p.Result.Reason, "Token expired")
			require.Contains(t, p.Result.Reason, "look at terminal "+device.ID())
			require.Contains(t, p.Result.Reason, "Card.Purchase of 12.50 NZD (transaction "+sent.Handle.TransactionID+")")
			require.NotZero(t, p.SentAt)

			evidence, err := second.driver.Evidence(t.Context(), p)
			require.NoError(t, err)
			require.Equal(t, p.Handle.TransactionID, evidence.Subject)
			require.Equal(t, "12.50", evidence.Amount.StringFixed(2))
			again, err := second.router.Payment(t.Context(), "p1")
			require.NoError(t, err)
			require.Equal(t, pairing.Parked, again.State, "evidence decides nothing")
		})
	}
}

func TestRecoveryNeverSendsAgainWhatWasLost(t *testing.T) {
	sys := testserver.Start(t, testserver.Options{SmartConnect: testserver.SmartConnectOptions{MinPoll: -1}})
	device := sys.SmartConnect.Devices()[0]
	store := memstore.New(memstore.Config{})
	first := startNode(t, sys, store, nil)
	first.pair(t, device)
	device.SetAuto(testserver.AutoApprove, 0)
	sys.Fault(testserver.On("smartconnect", "POST", "/POS/Transaction"), testserver.LoseReply())
	p, err := first.router.Pay(t.Context(), ask("p1", "12.50"))
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Equal(t, pairing.Parked, p.State)
	require.Contains(t, p.Result.Reason, device.ID())
	require.Contains(t, p.Result.Reason, "12.50 NZD")
	first.stop()
	second := startNode(t, sys, store, nil)
	p, err = second.router.Pay(t.Context(), ask("p2", "3.00"))
	require.NoError(t, err, "it doesn't hold the queue")
	require.Equal(t, tillroute.Approved, p.Outcome())
	var cents []int64
	for _, c := range sys.SmartConnect.Charges() {
		cents = append(cents, c.Cents)
	}
	require.Equal(t, []int64{1250, 300}, cents, "each once")
}
