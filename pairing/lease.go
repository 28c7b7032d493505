package pairing

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// leaseKeeper renews a claim while its payment is under way, and carries what the driver reports to the store.
type leaseKeeper struct {
	// ctx ends when the claim is lost or the router stops.
	ctx   context.Context //nolint:containedctx // it is made with the keeper and ends with it.
	lost  context.CancelFunc
	quit  context.CancelFunc
	claim Claim
	noted chan struct{}
	ended chan struct{}

	mu   sync.Mutex
	note string
}

// keepLease begins to renew the claim. It goes on until stop, even when the router was told to stop, since a Start
// that is under way then is carried through.
func (r *Router) keepLease(ctx context.Context, claim Claim) *leaseKeeper {
	l := &leaseKeeper{
		claim: claim,
		ended: make(chan struct{}),
		noted: make(chan struct{}, 1),
	}
	if !claim.Fresh {
		l.note = claim.Payment.Note
	}
	l.ctx, l.lost = context.WithCancel(ctx)
	kept, quit := context.WithCancel(context.WithoutCancel(ctx))
	l.quit = quit
	go l.run(kept, r)
	return l
}

func (l *leaseKeeper) run(ctx context.Context, r *Router) {
	defer close(l.ended)
	tick := time.NewTicker(r.config.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-l.noted:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		note := l.note
		l.mu.Unlock()
		switch err := r.store.RenewClaim(ctx, l.claim, r.config.Lease, note); {
		case errors.Is(err, ErrFenced):
			r.log.LogAttrs(ctx, slog.LevelWarn, "another node has taken over", attrs(l.claim.Payment)...)
			r.observe(ctx, Fenced, l.claim.Payment, 0)
			l.lost()
			return
		case err != nil:
			r.complain(ctx, "a lease can't be renewed", err, attrs(l.claim.Payment)...)
		default:
			r.hub.advanced(l.claim.Payment.Terminal)
		}
	}
}

// report passes on what the driver says, at once.
func (l *leaseKeeper) report(note string) {
	note = cleanText(note, maxText)
	l.mu.Lock()
	defer l.mu.Unlock()
	if note == l.note {
		return
	}
	l.note = note
	select {
	case l.noted <- struct{}{}:
	default: // The latest note is taken anyway.
	}
}

// stop ends the renewing, and returns when no renewal is under way any more. It may be called again.
func (l *leaseKeeper) stop() {
	l.quit()
	l.lost()
	<-l.ended
}
