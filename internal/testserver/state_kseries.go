package testserver

import (
	"errors"
	"fmt"
)

// kseriesState is what a state file holds of K-Series: the credentials and the whole world.
type kseriesState struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	LegacyID     string `json:"legacy_id"`
	LegacySecret string `json:"legacy_secret"`
	World        kWorld `json:"world"`
}

// state is what the file holds. Called with the lock held.
func (k *KSeries) state() kseriesState {
	return kseriesState{
		ClientID: k.opts.ClientID, ClientSecret: k.opts.ClientSecret, LegacyID: k.opts.LegacyID, LegacySecret: k.opts.LegacySecret, World: k.world,
	}
}

// restore puts K-Series into the state that a file holds. Credentials that were given in the options stay.
func (k *KSeries) restore(state kseriesState) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := state.World
	for _, t := range w.Tasks {
		if t.State == TaskApplied && w.check(t.Account) == nil {
			return fmt.Errorf("it is damaged: the task %q is of the account %q, which is not there", t.Reference, t.Account)
		}
		if (t.Kind == "order") != (t.Order != nil) {
			return fmt.Errorf("it is damaged: the task %q has no order, or one that it should not have", t.Reference)
		}
	}
	if w.NextID == 0 || w.POS == "" {
		return errors.New("it is damaged: a part is missing")
	}
	k.opts.ClientID = orDefault(k.given.ClientID, state.ClientID)
	k.opts.ClientSecret = orDefault(k.given.ClientSecret, state.ClientSecret)
	k.opts.LegacyID = orDefault(k.given.LegacyID, state.LegacyID)
	k.opts.LegacySecret = orDefault(k.given.LegacySecret, state.LegacySecret)
	k.world = w
	k.notify()
	return nil
}
