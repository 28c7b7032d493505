package pairing

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// Step names something that a router has done, or noticed, about a payment.
type Step string

const (
	// HandedOver payments were taken by the terminal's side, and their handle is written down. Took is how long that was
	// after they were accepted, by this node's clock from the time by the store's.
	HandedOver Step = "handed over"
	// Requeued payments were provably not sent, and are queued again: the terminal is busy, or this node was late.
	Requeued Step = "requeued"
	// TakenUp payments were being sent, or were sent, when another process left them. They are looked up, or followed from
	// here on.
	TakenUp Step = "taken up"
	// Ended payments have their outcome written down. If that is Unknown they are parked. Took is how long the terminal had
	// them, or 0 if that isn't known; where they were taken up it counts from SentAt, by the store's clock, to this node's.
	Ended Step = "ended"
	// Withdrawn payments were stopped before they were sent. Withdrawing one once more is told again.
	Withdrawn Step = "withdrawn"
	// Resolved payments have an outcome that a person has decided.
	Resolved Step = "resolved"
	// Fenced payments had a write of this node refused by the store, since another node had taken them over. One lease that
	// is lost may be told several times, once for each write.
	Fenced Step = "fenced"
)

// Event is a step of a payment.
type Event struct {
	// Step is what was done or noticed.
	Step Step
	// Payment is the payment as far as this node knows it: what only the store sets, such as EndedAt, may be missing.
	Payment Payment
	// Took is how long it took, for the steps that say so, and 0 for all others. It is never negative.
	Took time.Duration
}

// Backlog is how many payments of one terminal are in one state.
type Backlog struct {
	// Terminal is whose queue they are in, or were in until they were parked.
	Terminal Terminal
	// State is Queued, Sending, Sent or Parked.
	State State
	// Count is at least 1.
	Count int
	// Age is how long ago the one that has waited longest was accepted, by the store's clock.
	Age time.Duration
}

// Counter is implemented by stores that can say how much is open and how much waits for a person.
type Counter interface {
	// CountPayments counts the payments that are open or parked, by terminal and state, in the order of provider, serial
	// and state (by bytes). It looks at no more than limit open ones, and no more than limit parked ones, whatever the
	// history; what lies beyond isn't counted.
	CountPayments(ctx context.Context, limit int) ([]Backlog, error)
}

// observe tells the observer, if there is one. Whatever it does, the payment goes on.
func (r *Router) observe(ctx context.Context, step Step, p Payment, took time.Duration) {
	if r.config.Observer == nil {
		return
	}
	defer func() {
		if cause := recover(); cause != nil {
			r.log.LogAttrs(ctx, slog.LevelError, "the observer panicked",
				append(attrs(p), slog.Any("error", fmt.Errorf("%v\n%s", cause, debug.Stack())))...)
		}
	}()
	r.config.Observer(Event{Step: step, Payment: p, Took: max(took, 0)})
}
