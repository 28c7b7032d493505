package testserver

import (
	"errors"
	"fmt"
)

// pmsState is what a state file holds of the restaurant that charges to rooms.
type pmsState struct {
	Token string   `json:"token"`
	World pmsWorld `json:"world"`
}

// state is what the file holds. Called with the lock held.
func (p *PMS) state() pmsState { return pmsState{p.token(), p.world} }

// restore puts the restaurant into the state that a file holds. A token that was given in the options stays.
func (p *PMS) restore(state pmsState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if state.World.Guests == nil || state.World.NextID == 0 {
		return errors.New("it is damaged: a part is missing")
	}
	bills := map[string]bool{}
	for _, b := range state.World.Bills {
		bills[b.Account] = true
	}
	for _, one := range state.World.Postings {
		if !bills[one.Account] {
			return fmt.Errorf("it is damaged: the bill %q was posted, and is not there", one.Account)
		}
	}
	p.opts.Token = orDefault(p.given.Token, state.Token)
	p.world = state.World
	if p.given.Token != "" {
		p.world.Token = ""
	}
	p.notify()
	return nil
}
