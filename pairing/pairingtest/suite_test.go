package pairingtest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pairing/pairingtest"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// timed is a store and its clock.
type timed struct {
	pairing.Store

	clock *clock
}

func open() *timed {
	c := &clock{now: time.Date(2026, 11, 21, 1, 2, 3, 456_789_000, time.FixedZone("", 3600))}
	return &timed{memstore.New(memstore.Config{Now: c.Now}), c}
}

// CountPayments passes on what embedding an interface hides.
func (s *timed) CountPayments(ctx context.Context, limit int) ([]pairing.Backlog, error) {
	return s.Store.(pairing.Counter).CountPayments(ctx, limit)
}

func harness() pairingtest.Harness {
	return pairingtest.Harness{
		Open:  func(*testing.T) pairing.Store { return open() },
		Sleep: func(s pairing.Store, d time.Duration) { s.(*timed).sleep(d) },
	}
}

func TestMemstore(t *testing.T) {
	pairingtest.TestStore(t, harness())
}

// TestTheExamplesStore runs what the example of TestStore shows.
func TestTheExamplesStore(t *testing.T) {
	pairingtest.TestStore(t, myHarness())
}

func FuzzStore(f *testing.F) {
	pairingtest.FuzzStore(f, harness())
}
