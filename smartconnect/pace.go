package smartconnect

import (
	"sync"
	"time"

	"github.com/tillroute/tillroute"
)

// turns has those who wait for one transaction poll it no faster together than one of them alone may. It knows only the
// transactions that somebody waits for.
type turns struct {
	mu sync.Mutex
	of map[tillroute.Secret]*turn
}

// turn is the pace of one transaction. What it holds is guarded by turns.mu.
type turn struct {
	turns   *turns
	waiting int
	last    time.Time
}

// join returns the pace of a transaction, which is kept until everybody has left.
func (t *turns) join(pollingURL tillroute.Secret) (_ *turn, leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.of[pollingURL]
	if one == nil {
		one = &turn{turns: t}
		t.of[pollingURL] = one
	}
	one.waiting++
	return one, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.waiting--; one.waiting == 0 {
			delete(t.of, pollingURL)
		}
	}
}

// take returns 0 if the caller may poll now, and else how long to wait before asking again.
func (t *turn) take(interval time.Duration) time.Duration {
	t.turns.mu.Lock()
	defer t.turns.mu.Unlock()
	if wait := time.Until(t.last.Add(interval)); !t.last.IsZero() && wait > 0 {
		return wait
	}
	t.last = time.Now()
	return 0
}
