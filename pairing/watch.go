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
	// Ahead is how many payments stand before it in its terminal's queue: 0 for one that is no longer Queued.
	Ahead int
}

// Watch follows a payment: it yields how it stands now, again after every change, and last how it ended, when its
// State is Done or Parked. Then the loop ends. Any number may watch one payment, on any node; a slow one misses
// what lies between, never the end. ErrNotFound if there is no such payment; when ctx ends, an error that
// matches its own is yielded, and the payment goes on. The first error ends the loop. Leaving the loop early stops nothing else.
func (r *Router) Watch(ctx context.Context, id string) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		now, err := r.progress(ctx, id)
		if err != nil {
			yield(Progress{}, err)
			return
		}
		watcher := r.hub.watch(now.Payment.Terminal, true)
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
				watcher = r.hub.watch(next.Payment.Terminal, true)
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

// firstLook is how long after a waiter came it looks for what happened before.
const firstLook = 25 * time.Millisecond

// end returns the payment when it is no longer open, or as far as it is known with the error that keeps it from
// waiting. The last that is known of it may be given. It doesn't read what lies between: most payments are waited for.
func (r *Router) end(ctx context.Context, last Payment) (Payment, error) {
	watcher := r.hub.watch(last.Terminal, false)
	defer func() { r.hub.leave(watcher) }()
	look := time.NewTimer(firstLook)
	defer look.Stop()
	for known := last.State != ""; ; known = true {
		if known && !last.State.Open() {
			return last, nil
		}
		if known {
			select {
			case <-watcher.signal:
			case <-look.C:
			case <-ctx.Done():
				return last, ctx.Err()
			}
		}
		next, err := r.store.Payment(ctx, last.ID)
		if err != nil {
			return last, err
		}
		look.Reset(r.config.PollInterval)
		if last = next; last.Terminal != watcher.terminal {
			r.hub.leave(watcher)
			watcher = r.hub.watch(last.Terminal, false)
			look.Reset(firstLook)
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
	steps    bool // whether it wants to know of each step, or of ends alone
	signal   chan struct{}
}

func (h *hub) watch(t Terminal, steps bool) *watcher {
	w := &watcher{terminal: t, steps: steps, signal: make(chan struct{}, 1)}
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
			wake(watchers, false)
		}
		return
	}
	wake(h.watchers[t], false)
}

// advanced wakes the watchers of the terminal that want to know of each step, after one that has ended no payment.
func (h *hub) advanced(t Terminal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wake(h.watchers[t], true)
}

func wake(watchers map[*watcher]struct{}, steps bool) {
	for w := range watchers {
		if steps && !w.steps {
			continue
		}
		select {
		case w.signal <- struct{}{}:
		default: // It is awake already.
		}
	}
}
