package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

const (
	// registerTTL is how long what is known of a register counts as fresh.
	registerTTL = 10 * time.Minute
	// registerTime bounds the question what a register is.
	registerTime = 10 * time.Second
)

// store is a merchant's store, and what is known of its registers.
type store struct {
	*xseries.Client

	prefix string

	mu        sync.Mutex
	registers map[string]register
}

// register is what a payment needs to know of a register.
type register struct {
	ID, Name, Outlet string
	// Currency is that of the register's outlet.
	Currency string

	seen time.Time
}

// label is how people tell registers apart: their names repeat from outlet to outlet.
func (r register) label() string {
	name := cmp.Or(r.Name, "Register "+r.ID)
	if r.Outlet == "" {
		return name
	}
	return r.Outlet + " – " + name
}

// store returns the store of that domain prefix, whether it has given its consent or not.
func (h *Handler) store(domainPrefix string) (*store, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.stores[domainPrefix]; s != nil {
		return s, nil
	}
	client, err := h.config.client(domainPrefix)
	if err != nil {
		return nil, err
	}
	s := &store{Client: client, prefix: domainPrefix, registers: map[string]register{}}
	h.stores[domainPrefix] = s
	return s, nil
}

// register returns one of the store's registers, or an error of kind NotFound. What was learned once is used for a while, and
// for longer if the store can't be asked: where a register stands changes less often than a network fails.
func (s *store) register(ctx context.Context, id string) (register, error) {
	s.mu.Lock()
	known, ok := s.registers[id]
	s.mu.Unlock()
	if ok && time.Since(known.seen) < registerTTL {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, registerTime)
	defer cancel()
	fresh, err := s.ask(ctx, id)
	switch {
	case errors.Is(err, tillroute.ErrNotFound):
		s.mu.Lock()
		delete(s.registers, id)
		s.mu.Unlock()
		return register{}, err
	case err != nil && ok:
		return known, nil
	case err != nil:
		return register{}, err
	}
	s.keep(fresh)
	return fresh, nil
}

func (s *store) keep(r register) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.seen = time.Now()
	s.registers[r.ID] = r
}

func (s *store) ask(ctx context.Context, id string) (register, error) {
	r, err := s.Registers.Get(ctx, id)
	if err != nil {
		return register{}, err
	}
	if r.ID != id || !r.DeletedAt.IsZero() {
		return register{}, &tillroute.Error{
			System: xseries.System, Operation: "gateway", Kind: tillroute.KindNotFound, Outcome: tillroute.Failed,
			Message: "the store has no register " + id,
		}
	}
	outlet, err := s.Outlets.Get(ctx, r.OutletID)
	if err != nil {
		return register{}, err
	}
	return register{ID: r.ID, Name: r.Name, Outlet: outlet.Name, Currency: outlet.Currency}, nil
}

// all returns the store's registers that are not deleted, in the order of their labels.
func (s *store) all(ctx context.Context) ([]register, error) {
	outlets := map[string]xseries.Outlet{}
	for outlet, err := range s.Outlets.All(ctx, xseries.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		outlets[outlet.ID] = outlet
	}
	var all []register
	for r, err := range s.Registers.All(ctx, xseries.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		outlet := outlets[r.OutletID]
		one := register{ID: r.ID, Name: r.Name, Outlet: outlet.Name, Currency: outlet.Currency}
		if one.Currency != "" {
			s.keep(one)
		}
		all = append(all, one)
	}
	sortByLabel(all)
	return all, nil
}

func sortByLabel(registers []register) {
	slices.SortFunc(registers, func(a, b register) int {
		return cmp.Or(cmp.Compare(a.label(), b.label()), cmp.Compare(a.ID, b.ID))
	})
}
