package delivery

import "sync"

// running knows what this process is handling. The store's claims end when a handler takes far too long; this doesn't, so that
// a process never handles one delivery twice at the same time.
type running struct {
	mu    sync.Mutex
	names map[string]chan struct{}
}

// begin takes the names, all or none. It returns what gives them back, or nil, the first name that somebody else has, and what
// is closed when that is given back.
func (r *running) begin(names []string) (done func(), name string, busy <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if taken, ok := r.names[name]; ok {
			return nil, name, taken
		}
	}
	if r.names == nil {
		r.names = map[string]chan struct{}{}
	}
	free := make(chan struct{})
	for _, name := range names {
		r.names[name] = free
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, name := range names {
			delete(r.names, name)
		}
		close(free)
	}, "", nil
}
