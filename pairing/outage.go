package pairing

import (
	"context"
	"sync"
	"time"
)

// outage remembers when the store was away last, as far as this router has noticed.
type outage struct {
	mu   sync.Mutex
	last time.Time
	// answered is when the store has answered last.
	answered time.Time
}

func (o *outage) noticed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = time.Now()
}

// answer takes in that the store has answered.
func (o *outage) answer() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answered = time.Now()
}

// failed takes in that the store has not answered. That is an outage once it has not for so long that leases of nodes that live
// may end, which are renewed three times a lease: one call that fails now and then, or always for one terminal, must not keep
// what a dead node has left behind from ever being taken over.
func (o *outage) failed(lease time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); now.Sub(o.answered) > lease/4 {
		o.last = now
	}
}

// within reports whether the store was away less than d ago.
func (o *outage) within(d time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.last.IsZero() && time.Since(o.last) < d
}

// spare reports whether the payment in flight at a terminal, if there is one, is left to the node that has it, also if
// its lease has ended. While the store was away no node could renew a lease, nor write down the handle or the outcome
// that it knows: each has a lease's time to do so. What only waits may be claimed.
func (r *Router) spare(ctx context.Context, t Terminal) (bool, error) {
	if !r.outage.within(r.config.Lease + r.config.PollInterval) {
		return false, nil
	}
	inFlight, err := r.store.ListPayments(ctx, Filter{Terminal: t, States: []State{Sending, Sent}}, 1)
	return len(inFlight) > 0, err
}
