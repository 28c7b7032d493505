package pairing

import (
	"context"
	"iter"
	"sync"
	"time"
)

// Progress is a payment on its way, as people see it.
type Progress struct {
	Payment Payment
	// Ahead is how many payments stand before it in its terminal's queue.
	Ahead int
}

// Watch follows a payment: it yields how it stands now, again after every change, and last how it ended, when its
// State is Done or Parked. Then the loop ends. Any number may watch one payment, on any node; a slow one misses
// what lies between, never the end. ErrNotFound if there is no such payment; when ctx ends, its error is yielded,
// and the payment goes on. The first error ends the loop.
func (r *Router) Watch(ctx context.Context, id string) iter.Seq2[Progress, error] {
	return r.watch(ctx, Payment{Request: Request{ID: id}})
}

// watch follows a payment of which the last that is known may be given.
func (r *Router) watch(ctx context.Context, last Payment) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		id, now := last.ID, Progress{Payment: last}
		if last.State == "" {
			var err error
			if now, err = r.progress(ctx, id); err != nil {
				yield(Progress{}, err)
				return
			}
		}
		watcher := r.hub.watch(now.Payment.Terminal)
		defer func() { r.hub.leave(watcher) }()
		tick := time.NewTicker(r.config.PollInterval)
		defer tick.Stop()
		for first := true; ; first = false {
			next, err := r.progress(ctx, id)
			if err != nil {
				yield(Progress{}, err)
				return
			}
			if next.Payment.Terminal != watcher.terminal {
				r.hub.leave(watcher)
				watcher = r.hub.watch(next.Payment.Terminal)
			}
			if first || !sameProgress(now, next) {
				if !yield(next, nil) {
					return
				}
			}
			if now = next; !now.Payment.State.Open() {
				return
			}
			select {
			case <-watcher.signal:
			case <-tick.C:
			case <-ctx.Done():
				yield(Progress{}, Errorf(kindOf(ctx.Err()), ctx.Err(), "payment %q was no longer waited for", id))
				return
			}
		}
	}
}

func (r *Router) progress(ctx context.Context, id string) (Progress, error) {
	p, err := r.store.Payment(ctx, id)
	if err != nil || p.State != Queued {
		return Progress{Payment: p}, err
	}
	ahead, err := r.store.CountAhead(ctx, id)
	return Progress{Payment: p, Ahead: ahead}, err
}

func sameProgress(a, b Progress) bool {
	return a.Ahead == b.Ahead && a.Payment.State == b.Payment.State && a.Payment.Note == b.Payment.Note &&
		a.Payment.Terminal == b.Payment.Terminal && a.Payment.Mark == b.Payment.Mark
}

// hub tells watchers that something changed at their terminal. It carries no data: a watcher reads the store, so
// it can't miss the end and can't hold anybody up.
type hub struct {
	mu       sync.Mutex
	watchers map[Terminal]map[*watcher]struct{}
}

type watcher struct {
	terminal Terminal
	signal   chan struct{}
}

func (h *hub) watch(t Terminal) *watcher {
	w := &watcher{terminal: t, signal: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = map[Terminal]map[*watcher]struct{}{}
	}
	if h.watchers[t] == nil {
		h.watchers[t] = map[*watcher]struct{}{}
	}
	h.watchers[t][w] = struct{}{}
	return w
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers[w.terminal], w)
	if len(h.watchers[w.terminal]) == 0 {
		delete(h.watchers, w.terminal)
	}
}

// changed wakes the watchers of the terminal; those of every terminal for the zero Terminal.
func (h *hub) changed(t Terminal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t == (Terminal{}) {
		for _, watchers := range h.watchers {
			wake(watchers)
		}
		return
	}
	wake(h.watchers[t])
}

func wake(watchers map[*watcher]struct{}) {
	for w := range watchers {
		select {
		case w.signal <- struct{}{}:
		default: // It is awake already.
		}
	}
}
