package testserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// The statuses that a payment has beside those of its transaction.
const (
	paymentDone     = "done"
	paymentCanceled = "canceled"
)

// walletPayment is one payment of a transaction, or one that was made for a transaction to come.
type walletPayment struct {
	ID          int64
	Client      string
	Key         string // of its transaction, "" before it has one
	Status      string // its own when it is canceled, frozen or done; else "" and that of the transaction holds
	Created     time.Time
	Description string
	Price       decimal.Decimal
	Asked       decimal.Decimal // the price before it was confirmed with a lower one
	Currency    string
	Purpose     string
	Kept        map[string]json.RawMessage // what is kept as it came
	Freeze      bool
	FreezeFor   int64 // seconds
	FreezeUntil int64
	Password    string // "", pending or unlocked
	Secret      string // the password
	Optional    bool   // the password is
	Cancelable  bool
}

func (p *Paysera) paymentRoutes() []walletRoute {
	return []walletRoute{
		{http.MethodPost, "payment", callerMerchant, []string{"fields"}, p.createPayment},
		{http.MethodGet, "payment/{id}", callerMerchant, []string{"fields"}, p.paymentCall(func(*walletPayment) error { return nil })},
		{http.MethodDelete, "payment/{id}", callerMerchant, []string{"fields"}, p.paymentCall(p.cancelPayment)},
		{http.MethodPut, "payment/{id}/freeze", callerMerchant, []string{"fields"}, p.freezePayment},
		{http.MethodPut, "payment/{id}/finalize", callerMerchant, []string{"fields"}, p.paymentCall(p.finalizePayment)},
		{http.MethodGet, "payments", callerMerchant, []string{"status", "wallet", "from", "to", "limit", "offset", "fields"}, p.listPayments},
	}
}

func (w *walletWorld) payment(id int64) *walletPayment {
	for _, one := range w.Payments {
		if one.ID == id {
			return one
		}
	}
	return nil
}

// paymentNames are the documented members of a payment.
func paymentNames() []string {
	return []string{
		"description", "price", "price_decimal", "currency", "items", "beneficiary", "freeze", "freeze_for", "freeze_until",
		"parameters", "password", "price_rules", "purpose", "cashback", "cashback_decimal", "commission", "funds_source",
	}
}

// readPayment reads a payment that is asked for.
func (p *Paysera) readPayment(raw []byte) (*walletPayment, error) {
	b := readObject(raw, paymentNames()...)
	one := &walletPayment{
		Description: b.text("description"), Currency: b.text("currency"), Purpose: b.choice("purpose", "cash", "tips"),
		Kept: b.keep("items", "beneficiary", "parameters", "price_rules", "cashback", "cashback_decimal", "commission", "funds_source"),
	}
	price, priced := b.price("price", false)
	if !b.has("items") {
		b.require("description")
	}
	p.readItems(b, one, &price, &priced)
	if !priced {
		b.fail("price", "Key price is required")
	}
	if !price.IsPositive() {
		b.fail("price", "price must be positive")
	}
	one.Price, one.Asked = price, price
	if one.Currency == "" {
		b.fail("currency", "Key currency is required")
	}
	if one.Currency != "" && !p.currencies()[one.Currency] {
		b.fail("currency", "Currency "+one.Currency+" is not supported")
	}
	b.objectAt("beneficiary", "id", "email", "phone", "barcode").only("id", "email", "phone", "barcode")
	p.readFreeze(b, one)
	if b.has("password") {
		w := b.objectAt("password", "type", "value", "optional", "cancelable")
		w.require("type")
		if w.choice("type", "generated", "provided") == "provided" {
			w.require("value")
		}
		one.Password, one.Secret = "pending", orDefault(w.text("value"), secret("sim-password-"))
		one.Optional, one.Cancelable = w.flag("optional"), w.flag("cancelable")
	}
	return one, b.err
}

// readItems reads items; their total must be the price.
func (p *Paysera) readItems(b *walletBody, one *walletPayment, price *decimal.Decimal, priced *bool) {
	if !b.has("items") {
		return
	}
	total := decimal.Decimal{}
	for _, raw := range b.list("items") {
		item := b.part(raw, "title", "description", "image_uri", "price", "price_decimal", "currency", "quantity",
			"total_price", "total_price_decimal", "parameters")
		for _, name := range []string{"title", "currency", "quantity"} {
			item.require(name)
		}
		unit, ok := item.price("price", false)
		if !ok {
			item.fail("price", "Key price is required")
		}
		quantity, err := decimal.NewFromString(string(item.raw("quantity")))
		if err != nil {
			item.fail("quantity", "quantity must be a number")
		}
		sum := unit.Mul(quantity)
		if given, ok := item.price("total_price", false); ok {
			sum = given
		}
		total = total.Add(sum)
		if one.Currency == "" {
			one.Currency = item.text("currency")
		}
		if item.text("currency") != one.Currency {
			item.fail("currency", "Items must have the currency of the payment")
		}
	}
	if *priced && !price.Equal(total) {
		b.fail("items", "Total of items is "+total.String()+", price is "+price.String())
	}
	*price, *priced = total, true
}

// readFreeze reads how long the money is frozen after the confirmation.
func (p *Paysera) readFreeze(b *walletBody, one *walletPayment) {
	b.only("freeze", "freeze_for", "freeze_until")
	f := b.objectAt("freeze", "for", "until")
	f.only("for", "until")
	one.Freeze = b.has("freeze") || b.has("freeze_for") || b.has("freeze_until")
	one.FreezeFor = f.integer("for") + 3600*b.integer("freeze_for") // the older form is in hours
	one.FreezeUntil = f.integer("until") + b.integer("freeze_until")
}

// currencies are those in which there are wallets here: one. A judgment.
func (p *Paysera) currencies() map[string]bool { return map[string]bool{"EUR": true} }

// addPayment puts a payment into the books.
func (p *Paysera) addPayment(one *walletPayment, client, key string) {
	one.ID, one.Client, one.Key, one.Created = p.id(), client, key, p.engine.now()
	p.world.Payments = append(p.world.Payments, one)
}

// beneficiary is the wallet that gets a payment, and whether it is known. Without one it is the project's.
func (p *Paysera) beneficiary(one *walletPayment, project int64) (wallet int64, known bool) {
	if one.Kept["beneficiary"] == nil {
		return p.world.project(project).Wallet, true
	}
	var to struct {
		ID    int64  `json:"id"`
		Email string `json:"email"`
		Phone string `json:"phone"`
	}
	if json.Unmarshal(one.Kept["beneficiary"], &to) != nil {
		return 0, false
	}
	if u := p.world.userBy(to.Email, to.Phone); u != nil {
		return u.Wallet, true
	}
	if p.world.purse(to.ID) == nil {
		return 0, false
	}
	return to.ID, true
}

// paymentStatus is its own, or that of its transaction.
func (p *Paysera) paymentStatus(one *walletPayment) string {
	if one.Status != "" {
		return one.Status
	}
	if t := p.world.transaction(one.Key); t != nil {
		return t.Status
	}
	return txNew
}

func (p *Paysera) paymentDocument(one *walletPayment) document {
	plain := map[string]any{
		"id": one.ID, "created_at": one.Created.Unix(), "status": p.paymentStatus(one), "currency": one.Currency, "wallet": nil,
	}
	prices(plain, "price", one.Price)
	if one.Key != "" {
		plain["transaction_key"] = one.Key
	}
	for name, value := range map[string]string{"description": one.Description, "purpose": one.Purpose} {
		if value != "" {
			plain[name] = value
		}
	}
	for name, value := range one.Kept {
		plain[name] = value
	}
	if t := p.world.transaction(one.Key); t != nil {
		if t.Wallet != 0 {
			plain["wallet"] = t.Wallet
		}
		if !t.Confirmed.IsZero() {
			plain["confirmed_at"] = t.Confirmed.Unix()
		}
	}
	if one.Freeze {
		if one.FreezeUntil != 0 {
			plain["freeze_until"] = one.FreezeUntil
		} else {
			plain["freeze"] = map[string]any{"for": one.FreezeFor}
		}
	}
	if one.Password != "" {
		plain["password"] = map[string]any{"type": "provided", "status": one.Password}
		plain["cancelable"] = one.Cancelable
	}
	return document{plain: plain}
}

func (p *Paysera) createPayment(c *walletCall) (any, error) {
	one, err := p.readPayment(c.body)
	if err != nil {
		return nil, err
	}
	p.addPayment(one, c.client, "")
	return p.paymentDocument(one), nil
}

// paymentAt is the payment of a call.
func (p *Paysera) paymentAt(c *walletCall) (*walletPayment, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	one := p.world.payment(id)
	switch {
	case one == nil:
		return nil, notFound("No such payment")
	case one.Client != c.client:
		return nil, forbidden(textOtherProject)
	}
	return one, nil
}

// paymentCall is a call that does something with a payment and answers with it.
func (p *Paysera) paymentCall(do func(one *walletPayment) error) func(c *walletCall) (any, error) {
	return func(c *walletCall) (any, error) {
		one, err := p.paymentAt(c)
		if err == nil {
			err = do(one)
		}
		if err != nil {
			return nil, err
		}
		p.notify()
		return p.paymentDocument(one), nil
	}
}

// cancelPayment ends a payment that has no transaction, or gives back one that is frozen. Which may be canceled is a
// judgment, and so is that the money of one that is frozen goes back.
func (p *Paysera) cancelPayment(one *walletPayment) error {
	switch p.paymentStatus(one) {
	case txNew:
		if one.Key != "" {
			return invalidState("Payment belongs to a transaction")
		}
	case txConfirmed:
		p.giveBack(one)
	default:
		return invalidState("Payment is " + p.paymentStatus(one))
	}
	one.Status = paymentCanceled
	return nil
}

// freezePayment lets the money be frozen for longer, see [Paysera.readFreeze].
func (p *Paysera) freezePayment(c *walletCall) (any, error) {
	b := c.object("freeze", "freeze_for", "freeze_until", "for", "until")
	return p.paymentCall(func(one *walletPayment) error {
		if status := p.paymentStatus(one); status != txConfirmed {
			return invalidState("Payment is " + status)
		}
		one.FreezeFor += b.integer("for")
		one.FreezeUntil += b.integer("until")
		p.readFreeze(b, one)
		one.Freeze = true
		return b.err
	})(c)
}

func (p *Paysera) finalizePayment(one *walletPayment) error {
	if status := p.paymentStatus(one); status != txConfirmed {
		return invalidState("Payment is " + status)
	}
	one.Status = paymentDone
	return nil
}

// listPayments lists the payments of the client, oldest first, which is a judgment.
func (p *Paysera) listPayments(c *walletCall) (any, error) {
	q := c.r.URL.Query()
	list := []document{}
	for _, one := range p.world.Payments {
		var wallet int64
		if t := p.world.transaction(one.Key); t != nil {
			wallet = t.Wallet
		}
		fits, err := within(q, p.paymentStatus(one), wallet, one.Created)
		if err != nil {
			return nil, err
		}
		if fits && one.Client == c.client {
			list = append(list, p.paymentDocument(one))
		}
	}
	return page("payments", list, q)
}

// within reports whether a thing is among those that a list is asked for.
func within(q map[string][]string, status string, wallet int64, created time.Time) (bool, error) {
	fits := true
	for _, name := range []string{"wallet", "from", "to"} {
		if len(q[name]) == 0 || q[name][0] == "" {
			continue
		}
		n, err := strconv.ParseInt(q[name][0], 10, 64)
		if err != nil {
			return false, invalid(name, "Invalid parameter: "+name)
		}
		switch name {
		case "wallet":
			fits = fits && wallet == n
		case "from":
			fits = fits && created.Unix() >= n
		case "to":
			fits = fits && created.Unix() <= n
		}
	}
	if len(q["status"]) > 0 && q["status"][0] != "" {
		fits = fits && slices.Contains(splitList(q["status"][0]), status)
	}
	return fits, nil
}
