package testserver

import (
	"fmt"
	"time"
)

// smartconnectState is what a state file holds of SmartConnect. Transactions and terminals refer to each other by id.
type smartconnectState struct {
	MerchantID   string                  `json:"merchant_id"`
	Lean         bool                    `json:"lean"`
	MinPoll      time.Duration           `json:"min_poll"`
	Devices      []savedDevice           `json:"devices"`
	Pairings     map[string]savedPairing `json:"pairings"`
	Transactions []savedTransaction      `json:"transactions"`
	Charges      []Charge                `json:"charges"`
	Overlaps     []Overlap               `json:"overlaps"`
	Receipts     int                     `json:"receipts"`
}

type savedPairing struct {
	RegisterID   string `json:"register_id"`
	Business     string `json:"business"`
	Vendor       string `json:"vendor"`
	RegisterName string `json:"register_name"`
	Device       string `json:"device"`
}

type savedTransaction struct {
	ID           string           `json:"id"`
	Token        string           `json:"token"`
	Register     savedPairing     `json:"register"`
	Type         string           `json:"type"`
	Cents        int64            `json:"cents"`
	Cash         int64            `json:"cash"`
	Reference    string           `json:"reference"`
	Device       string           `json:"device"`
	State        TransactionState `json:"state"`
	Posted       time.Time        `json:"posted"`
	Finished     time.Time        `json:"finished"`
	TokenExpires time.Time        `json:"token_expires"`
	Visible      time.Time        `json:"visible"`
	Held         bool             `json:"held"`
	Delayed      bool             `json:"delayed"`
	Polled       time.Time        `json:"polled"`
	Result       txData           `json:"result"`
}

type savedDevice struct {
	ID          string           `json:"id"`
	Plugged     bool             `json:"plugged"`
	Code        string           `json:"code"`
	CodeExpires time.Time        `json:"code_expires"`
	Current     string           `json:"current"` // the id of a transaction, "" for none
	Queue       []string         `json:"queue"`
	Held        []string         `json:"held"`
	Served      []string         `json:"served"`
	Last        string           `json:"last"`
	Auths       map[string]int64 `json:"auths"`
	Batch       int64            `json:"batch"`
	Cutovers    int              `json:"cutovers"`
	Auto        Auto             `json:"auto"`
	AutoDelay   time.Duration    `json:"auto_delay"`
	AutoDue     time.Time        `json:"auto_due"`
	Slow        time.Duration    `json:"slow"`
	Surcharge   int64            `json:"surcharge"`
	Tip         int64            `json:"tip"`
	Busy        Busy             `json:"busy"`
	Refresh     bool             `json:"refresh"`
}

// state is what the file holds. Called with the lock held.
func (s *SmartConnect) state() smartconnectState {
	state := smartconnectState{
		MerchantID: s.merchantID, Lean: s.lean, MinPoll: s.minPoll, Pairings: map[string]savedPairing{},
		Charges: s.charges, Overlaps: s.overlaps, Receipts: s.receipts,
	}
	for id, p := range s.pairings {
		state.Pairings[id] = p.saved()
	}
	for _, t := range s.transactions {
		state.Transactions = append(state.Transactions, savedTransaction{
			ID: t.id, Token: t.token, Register: t.register.saved(), Type: t.typ, Cents: t.cents, Cash: t.cash,
			Reference: t.reference, Device: t.device.id, State: t.state, Posted: t.posted, Finished: t.finished,
			TokenExpires: t.tokenExpires, Visible: t.visible, Held: t.held, Delayed: t.delayed, Polled: t.polled, Result: t.result,
		})
	}
	for _, d := range s.devices {
		state.Devices = append(state.Devices, savedDevice{
			ID: d.id, Plugged: d.plugged, Code: d.code, CodeExpires: d.codeExpires,
			Current: d.current.savedID(), Queue: savedIDs(d.queue), Held: savedIDs(d.held), Served: savedIDs(d.served), Last: d.last.savedID(),
			Auths: d.auths, Batch: d.batch, Cutovers: d.cutovers, Auto: d.auto, AutoDelay: d.autoDelay, AutoDue: d.autoDue,
			Slow: d.slow, Surcharge: d.surcharge, Tip: d.tip, Busy: d.busy, Refresh: d.refresh,
		})
	}
	return state
}

func (p pairing) saved() savedPairing {
	return savedPairing{
		RegisterID: p.registerID, Business: p.business, Vendor: p.vendor, RegisterName: p.registerName, Device: p.device.id,
	}
}

func (t *transaction) savedID() string {
	if t == nil {
		return ""
	}
	return t.id
}

func savedIDs(list []*transaction) []string {
	var ids []string
	for _, t := range list {
		ids = append(ids, t.id)
	}
	return ids
}

// restore puts the cloud and its terminals into the state that a file holds.
func (s *SmartConnect) restore(state smartconnectState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var problem error
	device := func(id string) *Device {
		d := s.Device(id)
		if d == nil && problem == nil {
			problem = fmt.Errorf("it has the terminal %q, which this simulation has not", id)
		}
		return d
	}
	paired := func(p savedPairing) pairing {
		return pairing{registerID: p.RegisterID, business: p.Business, vendor: p.Vendor, registerName: p.RegisterName, device: device(p.Device)}
	}
	s.seed()
	s.merchantID, s.lean, s.minPoll = state.MerchantID, state.Lean, state.MinPoll
	s.charges, s.overlaps, s.receipts = state.Charges, state.Overlaps, state.Receipts
	for id, p := range state.Pairings {
		s.pairings[id] = paired(p)
	}
	for i := range state.Transactions {
		t := &state.Transactions[i]
		s.transactions = append(s.transactions, &transaction{
			id: t.ID, token: t.Token, register: paired(t.Register), typ: t.Type, cents: t.Cents, cash: t.Cash,
			reference: t.Reference, device: device(t.Device), state: t.State, posted: t.Posted, finished: t.Finished,
			tokenExpires: t.TokenExpires, visible: t.Visible, held: t.Held, delayed: t.Delayed, polled: t.Polled, result: t.Result,
		})
		s.byID[t.ID] = s.transactions[i]
	}
	one := func(id string) *transaction {
		t := s.byID[id]
		if t == nil && id != "" && problem == nil {
			problem = fmt.Errorf("it is damaged: a terminal has the transaction %q, which is not there", id)
		}
		return t
	}
	all := func(ids []string) []*transaction {
		var list []*transaction
		for _, id := range ids {
			list = append(list, one(id))
		}
		return list
	}
	for i := range state.Devices {
		saved := &state.Devices[i]
		d := device(saved.ID)
		if d == nil {
			break
		}
		d.plugged, d.code, d.codeExpires = saved.Plugged, saved.Code, saved.CodeExpires
		d.current, d.queue, d.held = one(saved.Current), all(saved.Queue), all(saved.Held)
		d.served, d.last = all(saved.Served), one(saved.Last)
		d.batch, d.cutovers = saved.Batch, saved.Cutovers
		if saved.Auths != nil {
			d.auths = saved.Auths
		}
		d.auto, d.autoDelay, d.autoDue = saved.Auto, saved.AutoDelay, saved.AutoDue
		d.slow, d.surcharge, d.tip, d.busy = saved.Slow, saved.Surcharge, saved.Tip, saved.Busy
		d.refresh = saved.Refresh
	}
	s.notify()
	return problem
}

// resume lets the terminals go on with what they would do by themselves, after what remains of their delays.
func (s *SmartConnect) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.current == nil || d.auto == Manual {
			continue
		}
		if d.autoDue.IsZero() {
			d.answerByItself(d.current)
		} else {
			d.answerAt(d.current, d.autoDue)
		}
	}
	s.notify()
}
