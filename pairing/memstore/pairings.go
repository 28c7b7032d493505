package memstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// registration is what is known of a register. It stays when the register is unpaired, so that no version is used
// twice.
type registration struct {
	pairing.Pairing

	paired bool
}

// Pairing returns the register's pairing.
func (s *Store) Pairing(ctx context.Context, r pairing.Register) (pairing.Pairing, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Pairing{}, err
	}
	defer s.mu.Unlock()
	reg := s.pairings[r]
	if reg == nil || !reg.paired {
		return pairing.Pairing{}, refusal.NotPaired(r)
	}
	return reg.Pairing, nil
}

// PutPairing pairs p.Register with p.Terminal.
func (s *Store) PutPairing(ctx context.Context, p pairing.Pairing, ifVersion int64) (pairing.Pairing, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Pairing{}, err
	}
	defer s.mu.Unlock()
	reg := s.pairings[p.Register]
	var version int64
	if reg != nil && reg.paired {
		version = reg.Version
	}
	if err := refusal.Version(p.Register, version, ifVersion); err != nil {
		return pairing.Pairing{}, err
	}
	return s.pair(p), nil
}

// pair replaces whatever pairing the register has.
func (s *Store) pair(p pairing.Pairing) pairing.Pairing {
	reg := s.pairings[p.Register]
	if reg == nil {
		reg = &registration{}
		s.pairings[p.Register] = reg
	}
	p.Version = reg.Version + 1
	p.PairedAt = s.now()
	reg.Pairing, reg.paired = p, true
	return p
}

// DeletePairing unpairs the register if its pairing has that version.
func (s *Store) DeletePairing(ctx context.Context, r pairing.Register, ifVersion int64) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	reg := s.pairings[r]
	if reg == nil || !reg.paired {
		return refusal.NotPaired(r)
	}
	if ifVersion != reg.Version {
		return refusal.OtherVersion(r, reg.Version, ifVersion)
	}
	reg.paired = false
	return nil
}

// ListPairings returns up to limit pairings whose registers follow after.
func (s *Store) ListPairings(ctx context.Context, after pairing.Register, limit int) ([]pairing.Pairing, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var list []pairing.Pairing
	for r, reg := range s.pairings {
		if reg.paired && compareRegisters(r, after) > 0 {
			list = append(list, reg.Pairing)
		}
	}
	slices.SortFunc(list, func(a, b pairing.Pairing) int { return compareRegisters(a.Register, b.Register) })
	return list[:min(len(list), max(limit, 0))], nil
}

// MoveRegister pairs the register with to and moves its queued payments there, if it is paired with from.
func (s *Store) MoveRegister(ctx context.Context, r pairing.Register, from, to pairing.Terminal) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	reg := s.pairings[r]
	if reg == nil || !reg.paired || reg.Terminal != from || from == to {
		return nil
	}
	reg.Terminal = to
	reg.Version++
	s.moveQueued(r, from, to)
	return nil
}

func compareRegisters(a, b pairing.Register) int {
	return cmp.Or(
		strings.Compare(a.System, b.System),
		strings.Compare(a.Account, b.Account),
		strings.Compare(a.ID, b.ID),
	)
}
