package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// A queue holds the open payments of a terminal in the order of their turns. Its first payment is the only one that
// may be in flight; it stays first until it ends, also when it is queued again.

// ReadyTerminals returns up to limit terminals of the providers whose head can be claimed now.
func (s *Store) ReadyTerminals(ctx context.Context, providers []string, limit int) ([]pairing.Terminal, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var heads []*payment
	for t, queue := range s.queues {
		if slices.Contains(providers, t.Provider) && s.claimable(queue[0]) {
			heads = append(heads, queue[0])
		}
	}
	slices.SortFunc(heads, func(a, b *payment) int { return cmp.Compare(a.Seq, b.Seq) })
	var list []pairing.Terminal
	for _, p := range heads[:min(len(heads), max(limit, 0))] {
		list = append(list, p.Terminal)
	}
	return list, nil
}

// claimable reports whether a head can be claimed now.
func (s *Store) claimable(p *payment) bool {
	if p.State == pairing.Queued {
		return s.passed(p.heldUntil)
	}
	return s.passed(p.leaseUntil)
}

// ClaimPayment leases the head of the terminal's queue to owner.
func (s *Store) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Claim{}, false, err
	}
	defer s.mu.Unlock()
	claim, ok := s.claim(t, owner, lease)
	return claim, ok, nil
}

func (s *Store) claim(t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool) {
	queue := s.queues[t]
	if len(queue) == 0 {
		return pairing.Claim{}, false
	}
	p := queue[0]
	if p.State == pairing.Queued || p.released || p.owner != owner {
		if !s.claimable(p) {
			return pairing.Claim{}, false
		}
		p.fresh = p.State == pairing.Queued
		p.owner, p.released, p.heldUntil = owner, false, time.Time{}
		p.fence++
	}
	if p.State == pairing.Queued {
		p.State = pairing.Sending
	}
	p.leaseUntil = s.after(lease)
	return pairing.Claim{Payment: p.clone(), Owner: owner, Fence: p.fence, Fresh: p.fresh && p.State == pairing.Sending}, true
}

// claimed returns the payment of a claim that is still good.
func (s *Store) claimed(c pairing.Claim) (*payment, error) {
	p := s.payments[c.Payment.ID]
	if p == nil || p.fence != c.Fence || (p.State != pairing.Sending && p.State != pairing.Sent) {
		return nil, refusal.Fenced(c)
	}
	return p, nil
}

// RenewClaim extends the lease and replaces the payment's note.
func (s *Store) RenewClaim(ctx context.Context, c pairing.Claim, lease time.Duration, note string) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	p, err := s.claimed(c)
	if err != nil {
		return err
	}
	p.leaseUntil, p.Note = s.after(lease), note
	return nil
}

// SavePaymentHandle writes down the handle of a payment that was being sent.
func (s *Store) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	p, err := s.claimed(c)
	if err != nil {
		return err
	}
	if p.State == pairing.Sent {
		if p.Handle == h {
			return nil
		}
		return refusal.OtherHandle(p.Payment)
	}
	p.State, p.Handle, p.Note, p.SentAt = pairing.Sent, h, "", s.now()
	return nil
}

// RequeuePayment makes a payment that was provably not sent queued again.
func (s *Store) RequeuePayment(ctx context.Context, c pairing.Claim, delay time.Duration, note string) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	p, err := s.claimed(c)
	if err != nil {
		return err
	}
	if p.State != pairing.Sending {
		return refusal.NotSending(p.Payment)
	}
	p.State, p.Note, p.heldUntil = pairing.Queued, note, s.after(delay)
	return nil
}

// ReleaseClaim ends the lease at once.
func (s *Store) ReleaseClaim(ctx context.Context, c pairing.Claim) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	p, err := s.claimed(c)
	if err != nil {
		return err
	}
	p.leaseUntil, p.released = s.now(), true
	return nil
}

// FinishPayment writes the result, and claims the next payment if lease is positive.
func (s *Store) FinishPayment(
	ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration,
) (next pairing.Claim, ok bool, err error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Claim{}, false, err
	}
	defer s.mu.Unlock()
	p, err := s.claimed(c)
	if err != nil {
		return pairing.Claim{}, false, err
	}
	s.end(p, r)
	if lease > 0 {
		next, ok = s.claim(p.Terminal, c.Owner, lease)
	}
	return next, ok, nil
}

// moveQueued moves what the register has queued at from to to, behind what has begun its turn there.
func (s *Store) moveQueued(r pairing.Register, from, to pairing.Terminal) {
	var stay, begun, wait []*payment
	for _, p := range s.queues[from] {
		if p.State != pairing.Queued || p.Register != r {
			stay = append(stay, p)
			continue
		}
		p.Terminal, p.heldUntil = to, time.Time{}
		wait = append(wait, p)
	}
	for _, p := range s.queues[to] {
		if p.State != pairing.Queued || !p.heldUntil.IsZero() {
			begun = append(begun, p)
			continue
		}
		wait = append(wait, p)
	}
	slices.SortFunc(wait, func(a, b *payment) int { return cmp.Compare(a.Seq, b.Seq) })
	for t, queue := range map[pairing.Terminal][]*payment{from: stay, to: append(begun, wait...)} {
		if len(queue) == 0 {
			delete(s.queues, t)
			continue
		}
		s.queues[t] = queue
	}
}
