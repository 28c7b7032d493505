// Package memstore keeps everything in memory. It is for tests and for trying things out: what it holds is gone
// when the process ends.
//
// It follows every other rule of [pairing.Store], starts no goroutine, and runs on a clock that a test can set.
package memstore

import (
	"context"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// Config says how a store works. The zero value is ready to use.
type Config struct {
	// Now is the store's clock: leases, expiry and all times that it records run on it. It is called by all goroutines that use
	// the store. Defaults to time.Now.
	Now func() time.Time
}

// Store is a [pairing.Store] in memory. It is safe for concurrent use. [New] makes one; the zero value is not usable.
type Store struct {
	clock func() time.Time

	mu         sync.Mutex
	closed     bool
	pairings   map[pairing.Register]*registration
	codes      map[string]*code
	tries      map[string]*tries
	payments   map[string]*payment
	accepted   []*payment
	queues     map[pairing.Terminal][]*payment
	deliveries map[deliveryKey]*delivery
	lastFence  int64
	grants     map[grantKey]*grant
}

var (
	_ pairing.Store   = (*Store)(nil)
	_ pairing.Counter = (*Store)(nil)
)

// New returns an empty store.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Store{
		clock:      c.Now,
		pairings:   map[pairing.Register]*registration{},
		codes:      map[string]*code{},
		tries:      map[string]*tries{},
		payments:   map[string]*payment{},
		queues:     map[pairing.Terminal][]*payment{},
		deliveries: map[deliveryKey]*delivery{},
		grants:     map[grantKey]*grant{},
	}
}

// Close makes every other method return an error of kind Unavailable. What the store holds is lost. It returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// begin locks the store for one operation, or says why there can be none.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return refusal.Ended(err, tillroute.Failed)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return refusal.Closed()
	}
	return nil
}

// now returns the time as a database would keep it.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// after returns when d, which may be negative and then counts as nothing, will have passed.
func (s *Store) after(d time.Duration) time.Time { return s.now().Add(max(d, 0)) }

// passed reports whether t is not in the future.
func (s *Store) passed(t time.Time) bool { return !s.now().Before(t) }
