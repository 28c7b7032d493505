package pms

import "sync"

// running knows what this process is posting. The store's claims end when a backend takes far too long; this doesn't, so that
// a process never posts one charge twice at the same time.
type running struct {
	mu    sync.Mutex
	names map[string]chan struct{}
}

// begin takes the names that aren't empty, all or none. It returns what gives them back, or nil and what is closed when one that
// somebody else has is given back.
func (r *running) begin(names ...string) (done func(), busy <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if taken, ok := r.names[name]; ok {
			return nil, taken
		}
	}
	if r.names == nil {
		r.names = map[string]chan struct{}{}
	}
	free := make(chan struct{})
	for _, name := range names {
		if name != "" {
			r.names[name] = free
		}
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, name := range names {
			if name != "" {
				delete(r.names, name)
			}
		}
		close(free)
	}, nil
}
