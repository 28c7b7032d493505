package testserver

import (
	"errors"
	"fmt"
)

// payseraState is what a state file holds of Paysera: the credentials and the whole world.
type payseraState struct {
	ClientID     string      `json:"client_id"`
	ClientSecret string      `json:"client_secret"`
	AppID        string      `json:"app_id"`
	AppSecret    string      `json:"app_secret"`
	World        walletWorld `json:"world"`
}

// state is what the file holds. Called with the lock held.
func (p *Paysera) state() payseraState {
	return payseraState{
		ClientID: p.opts.ClientID, ClientSecret: p.opts.ClientSecret, AppID: p.opts.AppID, AppSecret: p.opts.AppSecret, World: p.world,
	}
}

// restore puts Paysera into the state that a file holds. Credentials and the address for callbacks that were given in
// the options stay.
func (p *Paysera) restore(state payseraState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := state.World
	for _, s := range w.Spots {
		if w.location(s.Location) == nil {
			return fmt.Errorf("it is damaged: a spot is at the location %d, which is not there", s.Location)
		}
		for _, o := range s.Orders {
			if w.transaction(o.Key) == nil {
				return fmt.Errorf("it is damaged: an order has the transaction %q, which is not there", o.Key)
			}
		}
	}
	for _, t := range w.Transactions {
		if w.project(t.Project) == nil {
			return fmt.Errorf("it is damaged: a transaction is of the project %d, which is not there", t.Project)
		}
		for _, id := range t.Payments {
			if w.payment(id) == nil {
				return fmt.Errorf("it is damaged: a transaction has the payment %d, which is not there", id)
			}
		}
	}
	for _, u := range w.Users {
		if w.purse(u.Wallet) == nil {
			return fmt.Errorf("it is damaged: a user has the wallet %d, which is not there", u.Wallet)
		}
	}
	if len(w.Users) == 0 || w.Nonces == nil || w.Minutes == nil || w.Hours == nil {
		return errors.New("it is damaged: a part is missing")
	}
	p.opts.ClientID = orDefault(p.given.ClientID, state.ClientID)
	p.opts.ClientSecret = orDefault(p.given.ClientSecret, state.ClientSecret)
	p.opts.AppID = orDefault(p.given.AppID, state.AppID)
	p.opts.AppSecret = orDefault(p.given.AppSecret, state.AppSecret)
	p.world = w
	p.world.Sending.URI = orDefault(p.given.CallbackURI, w.Sending.URI)
	p.notify()
	return nil
}
