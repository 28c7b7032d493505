package memstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/tillroute/tillroute/pairing"
)

// CountPayments counts the payments that are open or parked, by terminal and state.
func (s *Store) CountPayments(ctx context.Context, limit int) ([]pairing.Backlog, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	type key struct {
		terminal pairing.Terminal
		state    pairing.State
	}
	counted := map[key]*pairing.Backlog{}
	open, parked := 0, 0
	for _, p := range s.accepted {
		looked := &parked
		switch {
		case p.State.Open():
			looked = &open
		case p.State != pairing.Parked:
			continue
		}
		if *looked >= limit {
			continue
		}
		*looked++
		k := key{p.Terminal, p.State}
		if counted[k] == nil {
			counted[k] = &pairing.Backlog{Terminal: p.Terminal, State: p.State, Age: max(s.now().Sub(p.AcceptedAt), 0)}
		}
		counted[k].Count++
	}
	var list []pairing.Backlog
	for _, b := range counted {
		list = append(list, *b)
	}
	slices.SortFunc(list, func(a, b pairing.Backlog) int {
		return cmp.Or(
			cmp.Compare(a.Terminal.Provider, b.Terminal.Provider),
			cmp.Compare(a.Terminal.Serial, b.Terminal.Serial),
			cmp.Compare(a.State, b.State),
		)
	})
	return list, nil
}
