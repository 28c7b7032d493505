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
}

func (o *outage) noticed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = time.Now()
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
