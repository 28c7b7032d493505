package memstore

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// payment is a payment with what only the store knows of it.
type payment struct {
	pairing.Payment

	withdrawn  bool
	owner      string
	fresh      bool // its owner found it queued
	released   bool
	fence      int64
	leaseUntil time.Time
	heldUntil  time.Time // not zero only while it is queued again after a claim
}

// clone returns the payment as callers may have it.
func (p *payment) clone() pairing.Payment {
	c := p.Payment
	c.Data = bytes.Clone(p.Data)
	return c
}

// AcceptPayment appends the request to the queue of its register's terminal.
func (s *Store) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Payment{}, err
	}
	defer s.mu.Unlock()
	if p := s.payments[r.ID]; p != nil {
		if !p.Same(r) {
			return pairing.Payment{}, refusal.OtherRequest(r.ID)
		}
		return p.clone(), nil
	}
	reg := s.pairings[r.Register]
	if reg == nil || !reg.paired {
		return pairing.Payment{}, refusal.NotPaired(r.Register)
	}
	r.Data = bytes.Clone(r.Data)
	p := &payment{Payment: pairing.Payment{
		Request:    r,
		Seq:        int64(len(s.accepted)) + 1,
		Terminal:   reg.Terminal,
		Identity:   reg.Identity,
		State:      pairing.Queued,
		AcceptedAt: s.now(),
	}}
	s.payments[r.ID] = p
	s.accepted = append(s.accepted, p)
	s.queues[p.Terminal] = append(s.queues[p.Terminal], p)
	return p.clone(), nil
}

// Payment returns the payment of that ID.
func (s *Store) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Payment{}, err
	}
	defer s.mu.Unlock()
	p := s.payments[id]
	if p == nil {
		return pairing.Payment{}, refusal.NoPayment(id)
	}
	return p.clone(), nil
}

// CountAhead returns how many open payments stand before the open payment of that ID.
func (s *Store) CountAhead(ctx context.Context, id string) (int, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	p := s.payments[id]
	if p == nil {
		return 0, refusal.NoPayment(id)
	}
	return max(slices.Index(s.queues[p.Terminal], p), 0), nil
}

// ListPayments returns up to limit payments that match the filter.
func (s *Store) ListPayments(ctx context.Context, f pairing.Filter, limit int) ([]pairing.Payment, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var list []pairing.Payment
	for _, p := range s.accepted {
		if len(list) >= limit {
			break
		}
		if p.Seq > f.After &&
			(len(f.States) == 0 || slices.Contains(f.States, p.State)) &&
			(len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, p.Outcome())) &&
			(f.Terminal == pairing.Terminal{} || f.Terminal == p.Terminal) &&
			(f.Register == pairing.Register{} || f.Register == p.Register) &&
			(len(f.Marks) == 0 || slices.Contains(f.Marks, p.Mark)) {
			list = append(list, p.clone())
		}
	}
	return list, nil
}

// WithdrawPayment ends a queued payment as cancelled.
func (s *Store) WithdrawPayment(ctx context.Context, id, reason string) (pairing.Payment, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Payment{}, err
	}
	defer s.mu.Unlock()
	p := s.payments[id]
	switch {
	case p == nil:
		return pairing.Payment{}, refusal.NoPayment(id)
	case p.withdrawn:
	case p.State != pairing.Queued:
		return pairing.Payment{}, refusal.NotQueued(p.Payment)
	default:
		p.withdrawn = true
		s.end(p, pairing.Result{Outcome: tillroute.Cancelled, Reason: reason})
	}
	return p.clone(), nil
}

// ResolvePayment ends a parked payment as a person decided.
func (s *Store) ResolvePayment(ctx context.Context, id string, r pairing.Resolution) (pairing.Payment, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Payment{}, err
	}
	defer s.mu.Unlock()
	p := s.payments[id]
	switch {
	case r.Outcome == tillroute.Unknown:
		return pairing.Payment{}, refusal.NoOutcome(id)
	case p == nil:
		return pairing.Payment{}, refusal.NoPayment(id)
	case p.State != pairing.Parked:
		return pairing.Payment{}, refusal.NotParked(p.Payment)
	}
	p.ResolvedBy = r.By
	s.end(p, r.Result(p.Payment))
	return p.clone(), nil
}

// MarkPayment replaces the payment's mark if it is from.
func (s *Store) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Payment{}, err
	}
	defer s.mu.Unlock()
	p := s.payments[id]
	switch {
	case p == nil:
		return pairing.Payment{}, refusal.NoPayment(id)
	case p.Mark == to:
	case p.Mark != from:
		return pairing.Payment{}, refusal.OtherMark(p.Payment, from)
	default:
		p.Mark = to
	}
	return p.clone(), nil
}

// end writes a payment's result and takes it out of its queue.
func (s *Store) end(p *payment, r pairing.Result) {
	p.State = pairing.Done
	if r.Outcome == tillroute.Unknown {
		p.State = pairing.Parked
	}
	p.Result, p.EndedAt = r, s.now()
	p.heldUntil = time.Time{}
	queue := slices.DeleteFunc(s.queues[p.Terminal], func(q *payment) bool { return q == p })
	if len(queue) == 0 {
		delete(s.queues, p.Terminal)
		return
	}
	s.queues[p.Terminal] = queue
}
