package testserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// codeLife is how long a reservation code that a user shows is good. A judgment.
const codeLife = 5 * time.Minute

// walletUser is somebody with a wallet.
type walletUser struct {
	ID, Wallet         int64
	Name, Email, Phone string
	PIN, Password      string
	Allowance          bool // merchants may take what they want
	Code               string
	CodeExpires        time.Time
	SMS                string // the last one that came
}

// walletPurse is a wallet.
type walletPurse struct {
	ID            int64
	Balance, Held decimal.Decimal
}

func (w *walletPurse) available() decimal.Decimal { return w.Balance.Sub(w.Held) }

func (w *walletWorld) purse(id int64) *walletPurse {
	for _, one := range w.Wallets {
		if one.ID == id {
			return one
		}
	}
	return nil
}

func (w *walletWorld) user(id int64) *walletUser {
	for _, u := range w.Users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

// owner finds the user of a wallet.
func (w *walletWorld) owner(wallet int64) *walletUser {
	for _, u := range w.Users {
		if u.Wallet == wallet {
			return u
		}
	}
	return nil
}

// userBy finds a user by email or phone.
func (w *walletWorld) userBy(email, phone string) *walletUser {
	for _, u := range w.Users {
		if email != "" && strings.EqualFold(u.Email, email) || phone != "" && u.Phone == strings.TrimPrefix(phone, "+") {
			return u
		}
	}
	return nil
}

// userByCode finds the user who shows a reservation code.
func (w *walletWorld) userByCode(code string, now time.Time) *walletUser {
	for _, u := range w.Users {
		if u.Code != "" && sameSecret(u.Code, code) && now.Before(u.CodeExpires) {
			return u
		}
	}
	return nil
}

// randomDigits makes a number that nobody guesses by chance.
func randomDigits(n int) string {
	text := make([]byte, n)
	_, _ = rand.Read(text) // it does not fail
	for i, b := range text {
		text[i] = '0' + b%10
	}
	return string(text)
}

// PayseraCharge is money that really moved: a payment of a transaction that was confirmed. What was given back has a
// negative amount.
type PayseraCharge struct {
	Time           time.Time       `json:"time"`
	TransactionKey string          `json:"transaction_key"`
	PaymentID      int64           `json:"payment_id"`
	OrderID        int64           `json:"order_id,omitempty"` // 0 for a transaction without an order
	SpotID         int64           `json:"spot_id,omitempty"`
	Payer          int64           `json:"payer_wallet"`
	Beneficiary    int64           `json:"beneficiary_wallet"` // 0 for somebody who has none yet
	Amount         decimal.Decimal `json:"amount"`
	Asked          decimal.Decimal `json:"asked"` // before the price was lowered
	Currency       string          `json:"currency"`
	Description    string          `json:"description,omitempty"`
}

// Charges returns every movement of money, in order. It is the judge of "charged once".
func (p *Paysera) Charges() []PayseraCharge {
	p.begin()
	defer p.mu.Unlock()
	return slices.Clone(p.world.Charges)
}

// PayseraTransaction is a transaction as the simulated vendor knows it.
type PayseraTransaction struct {
	Key         string          `json:"transaction_key"`
	Status      string          `json:"status"`
	Type        string          `json:"type"`
	Wallet      int64           `json:"wallet"` // who pays, 0 before it is known
	Total       decimal.Decimal `json:"total"`
	Held        decimal.Decimal `json:"held"` // of the payer's money, until it is confirmed or released
	Currency    string          `json:"currency"`
	LocationID  int64           `json:"location_id,omitempty"`
	OrderID     int64           `json:"order_id,omitempty"`
	OrderStatus string          `json:"order_status,omitempty"`
	RenewedFrom string          `json:"renewed_from,omitempty"`
}

// Transactions returns all transactions, in the order in which they were made.
func (p *Paysera) Transactions() []PayseraTransaction {
	p.begin()
	defer p.mu.Unlock()
	list := []PayseraTransaction{}
	for _, t := range p.world.Transactions {
		one := PayseraTransaction{
			Key: t.Key, Status: t.Status, Type: t.Type, Wallet: t.Wallet, Total: p.total(t), Held: t.Held, Currency: p.currency(t),
			LocationID: t.Location, RenewedFrom: t.RenewedFrom,
		}
		if _, o := p.world.orderOf(t.Key); o != nil {
			one.OrderID, one.OrderStatus = o.ID, p.orderStatus(o)
		}
		list = append(list, one)
	}
	return list
}

// PayseraSpot is a spot as the simulated vendor knows it.
type PayseraSpot struct {
	ID         int64          `json:"id"`
	LocationID int64          `json:"location_id"`
	Identifier string         `json:"identifier"`
	Code       string         `json:"code"`
	Status     string         `json:"status"`
	Users      []int64        `json:"users"`  // who is checked in
	Orders     []PayseraOrder `json:"orders"` // of all sessions
}

// PayseraOrder is an order as the simulated vendor knows it.
type PayseraOrder struct {
	ID             int64  `json:"id"`
	TransactionKey string `json:"transaction_key"`
	Status         string `json:"status"`
	Past           bool   `json:"past"` // it belongs to a session that is over
}

// Spots returns all spots that were registered, in the order of that.
func (p *Paysera) Spots() []PayseraSpot {
	p.begin()
	defer p.mu.Unlock()
	list := []PayseraSpot{}
	for _, s := range p.world.Spots {
		list = append(list, p.spotState(s))
	}
	return list
}

func (p *Paysera) spotState(s *walletSpot) PayseraSpot {
	one := PayseraSpot{
		ID: s.ID, LocationID: s.Location, Identifier: s.Identifier, Code: fmt.Sprintf("PAYSERA*%d:%s", s.Location, s.Identifier),
		Status: s.Status, Users: append([]int64{}, s.Users...), Orders: []PayseraOrder{},
	}
	for _, o := range s.Orders {
		one.Orders = append(one.Orders, PayseraOrder{ID: o.ID, TransactionKey: o.Key, Status: p.orderStatus(o), Past: o.Session != s.Session})
	}
	return one
}

// PayseraUser is somebody with the wallet app on the phone. Its methods may be called from any goroutine.
type PayseraUser struct {
	paysera *Paysera
	id      int64
}

// User returns the user with an id, nil when there is none.
func (p *Paysera) User(id int64) *PayseraUser {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.world.user(id) == nil {
		return nil
	}
	return &PayseraUser{paysera: p, id: id}
}

// Users returns all users.
func (p *Paysera) Users() []*PayseraUser {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*PayseraUser
	for _, u := range p.world.Users {
		list = append(list, &PayseraUser{paysera: p, id: u.ID})
	}
	return list
}

// PayseraUserState is what can be seen of a user.
type PayseraUserState struct {
	ID              int64           `json:"id"`
	WalletID        int64           `json:"wallet_id"`
	Name            string          `json:"name"`
	Email           string          `json:"email"`
	Phone           string          `json:"phone"`
	PIN             string          `json:"pin"`
	Password        string          `json:"password"`
	Balance         decimal.Decimal `json:"balance"`
	Held            decimal.Decimal `json:"held"`
	Currency        string          `json:"currency"`
	Allowance       bool            `json:"allowance"`
	ReservationCode string          `json:"reservation_code,omitempty"`
	SMSCode         string          `json:"sms_code,omitempty"`
	SpotID          int64           `json:"spot_id,omitempty"` // where the user is checked in
	Orders          []PayseraOrder  `json:"orders"`            // of that spot's session
}

// act does something as the user, with the lock held.
func (u *PayseraUser) act(do func(p *Paysera, u *walletUser) error) error {
	p := u.paysera
	p.begin()
	defer p.mu.Unlock()
	user := p.world.user(u.id)
	if user == nil {
		return refuse(http.StatusNotFound, "no user %d", u.id)
	}
	return do(p, user)
}

// ID is the user's id.
func (u *PayseraUser) ID() int64 { return u.id }

// State returns what can be seen of the user.
func (u *PayseraUser) State() PayseraUserState {
	state := PayseraUserState{}
	_ = u.act(func(p *Paysera, one *walletUser) error { state = p.userState(one); return nil })
	return state
}

func (p *Paysera) userState(u *walletUser) PayseraUserState {
	purse := p.world.purse(u.Wallet)
	state := PayseraUserState{
		ID: u.ID, WalletID: u.Wallet, Name: u.Name, Email: u.Email, Phone: u.Phone, PIN: u.PIN, Password: u.Password,
		Balance: purse.Balance, Held: purse.Held, Currency: "EUR", Allowance: u.Allowance, ReservationCode: u.Code, SMSCode: u.SMS,
		Orders: []PayseraOrder{},
	}
	if s := p.spotWith(u.ID); s != nil {
		state.SpotID = s.ID
		for _, o := range p.spotState(s).Orders {
			if !o.Past {
				state.Orders = append(state.Orders, o)
			}
		}
	}
	return state
}

// spotWith is the spot in which a user is, nil for none.
func (p *Paysera) spotWith(user int64) *walletSpot {
	for _, s := range p.world.Spots {
		if slices.Contains(s.Users, user) {
			return s
		}
	}
	return nil
}

// Scan reads a QR code: the user checks in to a spot, or looks at a transaction.
func (u *PayseraUser) Scan(code string) error {
	return u.act(func(p *Paysera, one *walletUser) error {
		if s := p.spotOf(code); s != nil {
			p.checkIn(s, one.ID)
			return nil
		}
		key, ok := strings.CutPrefix(unwrap(code), "PAYSERA%")
		if t := p.world.transaction(key); ok && t != nil {
			p.open(t)
			return nil
		}
		return refuse(http.StatusNotFound, "the code %q is neither a spot's nor a transaction's", code)
	})
}

// CheckIn checks the user in to the spot of a code, which is registered if it is new, and returns the spot's id.
func (u *PayseraUser) CheckIn(code string) (spot int64, err error) {
	err = u.act(func(p *Paysera, one *walletUser) error {
		s := p.spotOf(code)
		if s == nil {
			return refuse(http.StatusNotFound, "the code %q is not that of a spot at a location", code)
		}
		p.checkIn(s, one.ID)
		spot = s.ID
		return nil
	})
	return spot, err
}

// CheckOut checks the user out of the spot where it is.
func (u *PayseraUser) CheckOut() error {
	return u.act(func(p *Paysera, one *walletUser) error {
		s := p.spotWith(one.ID)
		if s == nil {
			return refuse(http.StatusConflict, "user %d is not checked in", one.ID)
		}
		p.checkOut(s, one.ID)
		return nil
	})
}

// at does something with a transaction as the user.
func (u *PayseraUser) at(key string, do func(p *Paysera, u *walletUser, t *walletTransaction) error) error {
	return u.act(func(p *Paysera, one *walletUser) error {
		t := p.world.transaction(key)
		if t == nil {
			return refuse(http.StatusNotFound, "no transaction %q", key)
		}
		return do(p, one, t)
	})
}

// Open looks at a transaction: a new one is waiting from then on.
func (u *PayseraUser) Open(key string) error {
	return u.at(key, func(p *Paysera, _ *walletUser, t *walletTransaction) error { p.open(t); return nil })
}

// Pay pays a transaction on the phone. It becomes reserved, or confirmed when it says so; without enough money, with an
// unknown beneficiary or with a password it waits.
func (u *PayseraUser) Pay(key string) error {
	return u.at(key, func(p *Paysera, one *walletUser, t *walletTransaction) error {
		p.open(t)
		if t.Status != txWaiting {
			return refuse(http.StatusConflict, "the transaction is %s", t.Status)
		}
		t.Wallet, t.Type = one.Wallet, typeMobile
		p.advance(t, "")
		return nil
	})
}

// Decline rejects a transaction that is not reserved yet.
func (u *PayseraUser) Decline(key string) error {
	return u.at(key, func(p *Paysera, _ *walletUser, t *walletTransaction) error {
		if t.over() || t.Status == txReserved {
			return refuse(http.StatusConflict, "the transaction is %s", t.Status)
		}
		p.release(t)
		p.set(t, txRejected, "")
		return nil
	})
}

// Unlock gives the password of a transaction that waits for it, or registers the beneficiary that it waits for.
func (u *PayseraUser) Unlock(key string) error {
	return u.at(key, func(p *Paysera, _ *walletUser, t *walletTransaction) error {
		switch t.Status {
		case txWaitingRegistration:
			t.Registered = true
		case txWaitingPassword:
			for _, id := range t.Payments {
				if one := p.world.payment(id); one.Password != "" {
					one.Password = "unlocked"
				}
			}
		default:
			return refuse(http.StatusConflict, "the transaction is %s", t.Status)
		}
		p.advance(t, "")
		return nil
	})
}

// SetBalance gives the user's wallet so much money. Transactions that wait for it go on.
func (u *PayseraUser) SetBalance(amount decimal.Decimal) error {
	return u.act(func(p *Paysera, one *walletUser) error {
		p.world.purse(one.Wallet).Balance = amount
		for _, t := range p.world.Transactions {
			if t.Status == txWaitingFunds && t.Wallet == one.Wallet {
				p.advance(t, "")
			}
		}
		return nil
	})
}

// Allow says whether merchants may reserve from the user's wallet without asking.
func (u *PayseraUser) Allow(allowed bool) error {
	return u.act(func(_ *Paysera, one *walletUser) error { one.Allowance = allowed; return nil })
}

// ReservationCode shows a code with which a merchant can reserve once, within five minutes.
func (u *PayseraUser) ReservationCode() (code string, err error) {
	err = u.act(func(p *Paysera, one *walletUser) error {
		one.Code, one.CodeExpires = randomDigits(28), p.engine.now().Add(codeLife) // as long as in the vendor's example
		code = one.Code
		return nil
	})
	return code, err
}

// Token lets the wallet app act for the user, without the way over the authorization page.
func (u *PayseraUser) Token(scopes ...string) (token PayseraToken, err error) {
	err = u.act(func(p *Paysera, one *walletUser) error {
		token = p.issue(p.opts.AppID, one.ID, strings.Join(scopes, " "), "")
		return nil
	})
	return token, err
}

// WaitOrder waits for an order to pay in the spot where the user is, and returns the key of its transaction.
func (u *PayseraUser) WaitOrder(ctx context.Context) (string, error) {
	for {
		key := ""
		u.paysera.mu.Lock()
		changed := u.paysera.changed
		u.paysera.mu.Unlock()
		for _, o := range u.State().Orders {
			t := o.TransactionKey
			if o.Status == orderPending && u.paysera.payable(t) {
				key = t
				break
			}
		}
		if key != "" {
			return key, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("testserver: no order to pay for user %d: %w", u.id, ctx.Err())
		}
	}
}

// payable reports whether a user can pay a transaction.
func (p *Paysera) payable(key string) bool {
	p.begin()
	defer p.mu.Unlock()
	t := p.world.transaction(key)
	return t != nil && (t.Status == txNew || t.Status == txWaiting)
}
