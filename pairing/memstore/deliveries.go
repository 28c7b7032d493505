package memstore

import (
	"bytes"
	"context"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

type deliveryKey struct{ source, key string }

type delivery struct {
	hash, answer []byte
	fence        int64
	finished     bool
	// until is when the lease ends, or when the delivery was finished.
	until time.Time
}

// BeginDelivery claims the delivery of that key from that source.
func (s *Store) BeginDelivery(
	ctx context.Context, source, key string, hash []byte, lease time.Duration,
) (pairing.Delivery, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Delivery{}, err
	}
	defer s.mu.Unlock()
	at := deliveryKey{source, key}
	d := s.deliveries[at]
	switch {
	case d == nil:
		d = &delivery{hash: bytes.Clone(hash)}
		s.deliveries[at] = d
	case !bytes.Equal(d.hash, hash):
		return pairing.Delivery{}, refusal.OtherContent(source, key)
	case d.finished:
		return pairing.Delivery{
			Source: source, Key: key, Hash: bytes.Clone(hash), Fence: d.fence,
			Answered: true, Answer: bytes.Clone(d.answer),
		}, nil
	case !s.passed(d.until):
		return pairing.Delivery{}, refusal.BeingHandled(source, key)
	}
	s.lastFence++
	d.fence, d.until = s.lastFence, s.after(lease)
	return pairing.Delivery{Source: source, Key: key, Hash: bytes.Clone(hash), Fence: d.fence}, nil
}

// FinishDelivery records the answer.
func (s *Store) FinishDelivery(ctx context.Context, d pairing.Delivery, answer []byte) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	begun, err := s.begun(d)
	if err != nil {
		return err
	}
	begun.finished, begun.answer, begun.until = true, bytes.Clone(answer), s.now()
	return nil
}

// FailDelivery forgets the delivery.
func (s *Store) FailDelivery(ctx context.Context, d pairing.Delivery) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if _, err := s.begun(d); err != nil {
		return err
	}
	delete(s.deliveries, deliveryKey{d.Source, d.Key})
	return nil
}

// begun returns the delivery that d is still the latest attempt of.
func (s *Store) begun(d pairing.Delivery) (*delivery, error) {
	begun := s.deliveries[deliveryKey{d.Source, d.Key}]
	if begun == nil || begun.finished || begun.fence != d.Fence {
		return nil, refusal.BegunAnew(d)
	}
	return begun, nil
}

// PurgeDeliveries forgets the deliveries that were finished, or abandoned, more than age ago.
func (s *Store) PurgeDeliveries(ctx context.Context, age time.Duration) (int, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	purged := 0
	for at, d := range s.deliveries {
		if s.passed(d.until.Add(age)) {
			delete(s.deliveries, at)
			purged++
		}
	}
	return purged, nil
}
