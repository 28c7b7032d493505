package memstore

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// payment is a payment with what only the store knows of it.
type payment struct {
	pairing.Payment

	withdrawn  bool
	owner      string
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
			return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil,
				"payment %q was already accepted and asks for something else", r.ID)
		}
		return p.clone(), nil
	}
	reg := s.pairings[r.Register]
	if reg == nil || !reg.paired {
		return pairing.Payment{}, notPaired(r.Register)
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
		return pairing.Payment{}, noPayment(id)
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
		return 0, noPayment(id)
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
		return pairing.Payment{}, noPayment(id)
	case p.withdrawn:
	case p.State != pairing.Queued:
		return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil,
			"payment %q is %s: only a queued payment can be withdrawn", id, p.State)
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
		return pairing.Payment{}, pairing.Errorf(tillroute.KindInvalid, nil,
			"payment %q cannot be resolved as unknown: say how it ended", id)
	case p == nil:
		return pairing.Payment{}, noPayment(id)
	case p.State != pairing.Parked:
		return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil,
			"payment %q is %s: only one with an unknown outcome can be resolved", id, p.State)
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
		return pairing.Payment{}, noPayment(id)
	case p.Mark == to:
	case p.Mark != from:
		return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil,
			"payment %q is marked %q and not %q: look at what has become of it", id, p.Mark, from)
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

func noPayment(id string) error {
	return pairing.Errorf(tillroute.KindNotFound, nil, "there is no payment %q", id)
}
