package memstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pairing/pairingtest"
)

// timed is a store with a clock that a test moves.
type timed struct {
	*memstore.Store

	mu  sync.Mutex
	now time.Time
}

func open() *timed {
	s := &timed{now: time.Date(2026, 11, 21, 1, 2, 3, 456_789_000, time.FixedZone("", 3600))}
	s.Store = memstore.New(memstore.Config{Now: func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}})
	return s
}

func (s *timed) sleep(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func harness() pairingtest.Harness {
	return pairingtest.Harness{
		Open:  func(*testing.T) pairing.Store { return open() },
		Sleep: func(s pairing.Store, d time.Duration) { s.(*timed).sleep(d) },
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	pairingtest.TestStore(t, harness())
}

func TestStoreOnTheRealClock(t *testing.T) {
	t.Parallel()
	pairingtest.TestStore(t, pairingtest.Harness{
		Open: func(*testing.T) pairing.Store { return memstore.New(memstore.Config{}) },
	})
}

func FuzzStore(f *testing.F) {
	pairingtest.FuzzStore(f, harness())
}

// What takes a day on a real clock.
func TestCodesAreRememberedForADay(t *testing.T) {
	t.Parallel()
	s := open()
	put := func() error {
		_, err := s.PutCode(t.Context(), pairing.Code{Text: "ABCDEFGH", Terminal: pairing.Terminal{Serial: "1"}}, time.Minute)
		return err
	}
	require.NoError(t, put())
	s.sleep(24*time.Hour - time.Millisecond)
	require.Error(t, put())
	s.sleep(time.Millisecond)
	require.NoError(t, put())
}
