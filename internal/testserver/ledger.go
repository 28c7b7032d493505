package testserver

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Charge is money that really moved on a terminal. The type tells which way: a refund's cents are positive too. An
// authorisation is listed as well, it holds the money.
type Charge struct {
	Time       time.Time `json:"time"`
	Device     string    `json:"device"`
	RegisterID string    `json:"register_id"`
	Type       string    `json:"type"`
	// Cents is what was charged, surcharge and tip included.
	Cents int64 `json:"cents"`
	// AskedCents is what the point of sale asked for.
	AskedCents    int64  `json:"asked_cents"`
	TransactionID string `json:"transaction_id"`
	Result        string `json:"result"`
}

// Overlap is a transaction that was posted for a terminal which still had another one on its screen.
type Overlap struct {
	Time       time.Time `json:"time"`
	Device     string    `json:"device"`
	RegisterID string    `json:"register_id"` // of the later transaction
	Running    string    `json:"running"`     // the id of the earlier one
	Refused    bool      `json:"refused"`     // with "device is busy"; else it was queued
}

// Charges returns every movement of money, in order. It is the judge of "charged once".
func (s *SmartConnect) Charges() []Charge {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.charges)
}

// Overlaps returns the transactions that were posted for an occupied terminal, in order.
func (s *SmartConnect) Overlaps() []Overlap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.overlaps)
}

// WaitCharges waits until money has moved n times since the start and returns all charges.
func (s *SmartConnect) WaitCharges(ctx context.Context, n int) ([]Charge, error) {
	var charges []Charge
	err := s.wait(ctx, func() bool {
		charges = slices.Clone(s.charges)
		return len(charges) >= n
	})
	if err != nil {
		return charges, fmt.Errorf("testserver: %d charges of %d: %w", len(charges), n, err)
	}
	return charges, nil
}
