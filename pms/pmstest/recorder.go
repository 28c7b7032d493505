package pmstest

import (
	"context"
	"sync"

	"github.com/tillroute/tillroute/pms"
)

// Recorder is a backend that writes down what it is asked for. The zero value posts everything and finds nobody. It posts nothing
// twice, as a backend must. It is safe for concurrent use, except for changing its fields.
type Recorder struct {
	pms.Unimplemented

	// Reservations are what a search finds, whatever the term.
	Reservations []pms.Reservation
	// Before, if set, is called before a charge is posted. Its error is returned, and nothing is posted.
	Before func(context.Context, pms.Charge) error
	// After, if set, is called once a charge is posted. Its error is returned though it was.
	After func(context.Context, pms.Charge) error

	mu       sync.Mutex
	calls    int
	posted   []pms.Charge
	known    map[string]bool
	searches []pms.Search
}

var _ pms.Backend = (*Recorder)(nil)

// Charge posts a charge.
func (r *Recorder) Charge(ctx context.Context, c pms.Charge) error {
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
	if r.Before != nil {
		if err := r.Before(ctx, c); err != nil {
			return err
		}
	}
	r.post(c)
	if r.After != nil {
		return r.After(ctx, c)
	}
	return nil
}

func (r *Recorder) post(c pms.Charge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]bool{}
	}
	key, account := "key "+c.Key, "account "+c.Account()
	if r.known[key] || (c.Account() != "" && r.known[account]) {
		return
	}
	r.known[key], r.known[account] = true, true
	r.posted = append(r.posted, c)
}

// Search finds Reservations.
func (r *Recorder) Search(_ context.Context, s pms.Search) ([]pms.Reservation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.searches = append(r.searches, s)
	return r.Reservations, nil
}

// Posted returns the charges that were posted, in their order.
func (r *Recorder) Posted() []pms.Charge {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]pms.Charge(nil), r.posted...)
}

// Calls returns how often Charge was called, also without posting anything.
func (r *Recorder) Calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// Searches returns what was searched for, in its order.
func (r *Recorder) Searches() []pms.Search {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]pms.Search(nil), r.searches...)
}
