package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tillroute/tillroute/pms"
)

// pace is how the hotel system answers.
type pace string

const (
	quick pace = "quick"
	// slow thinks for so long that the answer comes too late, and posts nothing.
	slow pace = "slow"
	// late has posted when it begins to think.
	late pace = "late"
)

func paces() []pace { return []pace{quick, slow, late} }

// desk is the hotel's side: what a pms.Handler asks.
type desk struct {
	pms.Unimplemented

	books  *books
	thinks time.Duration

	mu   sync.Mutex
	pace pace
}

// Charge posts a bill.
func (d *desk) Charge(ctx context.Context, c pms.Charge) error {
	at := d.at()
	if at == slow {
		return d.think(ctx)
	}
	if err := d.books.post(ctx, c); err != nil {
		return err
	}
	if at == late {
		return d.think(ctx)
	}
	return nil
}

// Search finds guests.
func (d *desk) Search(ctx context.Context, s pms.Search) ([]pms.Reservation, error) {
	return d.books.search(ctx, s.Term)
}

func (d *desk) at() pace {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pace
}

func (d *desk) set(p pace) error {
	if !slices.Contains(paces(), p) {
		return fmt.Errorf("the hotel system can't be %q", p)
	}
	d.mu.Lock()
	d.pace = p
	d.mu.Unlock()
	d.books.notify()
	return nil
}

// think takes longer than the handler waits, or gives up by itself, as a hotel system does whose own server doesn't answer.
func (d *desk) think(ctx context.Context) error {
	select {
	case <-time.After(d.thinks):
		return context.DeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}
