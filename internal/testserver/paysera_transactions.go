package testserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// The statuses of a transaction.
const (
	txNew                 = "new"
	txWaiting             = "waiting"
	txWaitingFunds        = "waiting_funds"
	txWaitingRegistration = "waiting_registration"
	txWaitingPassword     = "waiting_password"
	txReserved            = "reserved"
	txConfirmed           = "confirmed"
	txDeleted             = "deleted"
	txRejected            = "rejected"
	txRevoked             = "revoked"
	txFailed              = "failed"
)

// How a transaction was reserved.
const (
	typeAutomatic = "automatic"
	typePage      = "page"
	typeFlash     = "flash"
	typePIN       = "pin"
	typeCode      = "reservation_code"
	typeMobile    = "mobile_app"
)

// walletTransaction is a transaction.
type walletTransaction struct {
	ID                int64
	Key               string
	Client            string // who made it
	Project, Location int64
	Created           time.Time
	Status            string
	Type              string
	Wallet            int64 // who pays, 0 before it is known
	Held              decimal.Decimal
	Confirmed         time.Time
	Until             time.Time // when the reservation ends
	Payments          []int64
	ReserveFor        int64 // seconds
	ReserveUntil      int64
	UseAllowance      bool
	SuggestAllowance  bool
	AutoConfirm       bool
	RedirectURI       string
	CallbackURI       string
	CallbackOff       bool
	Kept              map[string]json.RawMessage // what is kept as it came
	Registered        bool                       // its beneficiaries have registered meanwhile
	SMS               string                     // the code of a FLASH SMS
	RenewedFrom       string
}

// over reports whether the transaction has come to its end.
func (t *walletTransaction) over() bool {
	switch t.Status {
	case txConfirmed, txDeleted, txRejected, txRevoked, txFailed:
		return true
	default:
		return false
	}
}

// walletRequest asks a user to pay a transaction.
type walletRequest struct {
	ID        int64
	Key       string
	User      int64
	Email     string
	Phone     string
	Initiator int64
	Failed    bool
}

func (p *Paysera) transactionRoutes() []walletRoute {
	list := []string{"status", "wallet", "from", "to", "limit", "offset", "project_id", "location_id", "fields"}
	return []walletRoute{
		{http.MethodPost, "transaction/renew/{key}", callerMerchant, []string{"fields"}, p.renewCall},
		{http.MethodPost, "transaction", callerMerchant, []string{"fields"}, p.createTransaction},
		{http.MethodGet, "transaction/{key}", callerEither, []string{"fields"}, p.getTransaction},
		{http.MethodDelete, "transaction/{key}", callerMerchant, []string{"fields"}, p.revokeTransaction},
		{http.MethodPut, "transaction/{key}/confirm", callerMerchant, []string{"fields"}, p.confirmCall},
		{http.MethodPut, "transaction/{key}/reserve", callerEither, []string{"fields"}, p.reserveCall},
		{http.MethodPut, "transaction/{key}/reserve/{wallet}", callerEither, []string{"fields"}, p.reserveWalletCall},
		{http.MethodPut, "transaction/{key}/flash/{wallet}", callerMerchant, []string{"fields"}, p.flashCall},
		{http.MethodGet, "transaction/{key}/type/{wallet}", callerMerchant, nil, p.typesCall},
		{http.MethodGet, "transaction/{key}/inquired-information", callerMerchant, nil, p.inquiredCall},
		{http.MethodPost, "transaction/{key}/request", callerMerchant, []string{"fields"}, p.requestCall},
		{http.MethodDelete, "transaction-request/{id}", callerMerchant, nil, p.cancelRequestCall},
		{http.MethodGet, "transactions", callerMerchant, list, p.listTransactions},
	}
}

func (w *walletWorld) transaction(key string) *walletTransaction {
	for _, t := range w.Transactions {
		if t.Key == key {
			return t
		}
	}
	return nil
}

// splitList splits at commas.
func splitList(text string) []string { return strings.Split(text, ",") }

// newTransaction makes a transaction as a request asks for it.
func (p *Paysera) newTransaction(c *walletCall, raw []byte) (*walletTransaction, error) {
	b := readObject(raw, "payments", "allowance", "reserve", "reserve_for", "reserve_until", "use_allowance", "suggest_allowance",
		"auto_confirm", "redirect_uri", "callback_uri", "user", "restrictions", "inquiries")
	t := &walletTransaction{
		Client: c.client, Project: orDefault(c.project, projectMain), Location: c.location, Status: txNew, Type: typePage,
		UseAllowance: b.flag("use_allowance"), SuggestAllowance: b.flag("suggest_allowance"), AutoConfirm: b.flag("auto_confirm"),
		RedirectURI: b.text("redirect_uri"),
	}
	if !b.has("allowance") {
		b.require("payments")
	}
	b.objectAt("allowance", "data", "id", "optional").only("data", "id")
	b.objectAt("user", "email")
	b.objectAt("restrictions", "account_owner")
	b.list("inquiries")
	p.readReserve(b, t)
	p.readURIs(b, t)
	t.Kept = b.keep("allowance", "user", "restrictions", "inquiries")
	payments, err := p.readPayments(c, b)
	if err != nil {
		return nil, err
	}
	p.enter(t)
	for _, one := range payments {
		if one.ID == 0 {
			p.addPayment(one, c.client, t.Key)
		}
		one.Key = t.Key
		t.Payments = append(t.Payments, one.ID)
	}
	p.notify()
	return t, nil
}

// enter puts a transaction into the books.
func (p *Paysera) enter(t *walletTransaction) {
	t.ID, t.Key, t.Created = p.id(), secret(""), p.engine.now()
	p.world.Transactions = append(p.world.Transactions, t)
}

// readReserve reads how long a reservation lasts: seconds or a time in the newer form, hours or a time in the older.
func (p *Paysera) readReserve(b *walletBody, t *walletTransaction) {
	b.only("reserve", "reserve_for", "reserve_until")
	r := b.objectAt("reserve", "for", "until")
	r.only("for", "until")
	t.ReserveFor = r.integer("for") + 3600*b.integer("reserve_for")
	t.ReserveUntil = r.integer("until") + b.integer("reserve_until")
	if t.ReserveUntil != 0 && t.ReserveUntil <= p.engine.now().Unix() {
		b.fail("reserve", "Reservation must end in the future")
	}
	if t.ReserveFor < 0 {
		b.fail("reserve", "Reservation must last for some time")
	}
	if t.ReserveFor == 0 && t.ReserveUntil == 0 {
		t.ReserveFor = int64(p.opts.ReserveFor / time.Second)
	}
}

// readURIs reads where the user goes back to, and where callbacks go.
func (p *Paysera) readURIs(b *walletBody, t *walletTransaction) {
	if string(b.raw("callback_uri")) == "false" {
		t.CallbackOff = true
	} else {
		t.CallbackURI = b.text("callback_uri")
	}
	for name, text := range map[string]string{"redirect_uri": t.RedirectURI, "callback_uri": t.CallbackURI} {
		if u, err := url.Parse(text); text != "" && (err != nil || !u.IsAbs()) {
			b.fail(name, name+" must be an absolute URL")
		}
	}
}

// readPayments reads the payments of a transaction: new ones, or the ids of those that were made before.
func (p *Paysera) readPayments(c *walletCall, b *walletBody) ([]*walletPayment, error) {
	var payments []*walletPayment
	for _, raw := range b.list("payments") {
		id, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			one, err := p.readPayment(raw)
			if err != nil {
				return nil, err
			}
			payments = append(payments, one)
			continue
		}
		one := p.world.payment(id)
		switch {
		case one == nil || one.Client != c.client:
			return nil, notFound("No such payment")
		case one.Key != "" || one.Status != "" || slices.Contains(payments, one):
			return nil, invalidState("Payment is used already")
		}
		payments = append(payments, one)
	}
	if b.has("payments") && len(payments) == 0 && !b.has("allowance") {
		b.fail("payments", "There must be at least one payment")
	}
	for _, one := range payments {
		if one.Currency != payments[0].Currency {
			b.fail("payments", "Payments must have the same currency") // judgment
		}
	}
	return payments, b.err
}

// total is what the transaction costs.
func (p *Paysera) total(t *walletTransaction) decimal.Decimal {
	sum := decimal.Decimal{}
	for _, id := range t.Payments {
		sum = sum.Add(p.world.payment(id).Price)
	}
	return sum
}

func (p *Paysera) currency(t *walletTransaction) string {
	if len(t.Payments) == 0 {
		return ""
	}
	return p.world.payment(t.Payments[0]).Currency
}

func (p *Paysera) transactionDocument(t *walletTransaction) document {
	plain := map[string]any{
		"id": t.ID, "transaction_key": t.Key, "created_at": t.Created.Unix(), "status": t.Status, "type": t.Type, "wallet": nil,
		"project_id": t.Project, "use_allowance": t.UseAllowance, "suggest_allowance": t.SuggestAllowance, "auto_confirm": t.AutoConfirm,
	}
	if t.Wallet != 0 {
		plain["wallet"] = t.Wallet
	}
	if t.Location != 0 {
		plain["location_id"] = t.Location
	}
	if !t.Confirmed.IsZero() {
		plain["confirmed_at"] = t.Confirmed.Unix()
	}
	if t.ReserveUntil != 0 {
		plain["reserve"] = map[string]any{"until": t.ReserveUntil}
	} else {
		plain["reserve"] = map[string]any{"for": t.ReserveFor}
	}
	for name, value := range map[string]string{"redirect_uri": t.RedirectURI, "callback_uri": t.CallbackURI} {
		if value != "" {
			plain[name] = value
		}
	}
	for name, value := range t.Kept {
		plain[name] = value
	}
	payments := []document{}
	for _, id := range t.Payments {
		payments = append(payments, p.paymentDocument(p.world.payment(id)))
	}
	plain["payments"] = payments
	return document{plain: plain, extra: map[string]any{"project": p.projectDocument(p.world.project(t.Project))}}
}

func (p *Paysera) createTransaction(c *walletCall) (any, error) {
	t, err := p.newTransaction(c, c.body)
	if err != nil {
		return nil, err
	}
	return p.transactionDocument(t), nil
}

// transactionAt is the transaction of a call. Whoever has its key may look at it and pay it, as with its QR code; to
// change it takes its merchant.
func (p *Paysera) transactionAt(c *walletCall) (*walletTransaction, error) {
	t := p.world.transaction(c.vars["key"])
	switch {
	case t == nil:
		return nil, notFound("No such transaction")
	case c.user == 0 && !p.ownProject(c.caller, t.Project):
		return nil, forbidden(textOtherProject)
	}
	return t, nil
}

func (p *Paysera) getTransaction(c *walletCall) (any, error) {
	t, err := p.transactionAt(c)
	if err != nil {
		return nil, err
	}
	return p.transactionDocument(t), nil
}

// listTransactions lists the transactions of the project, oldest first, which is a judgment.
func (p *Paysera) listTransactions(c *walletCall) (any, error) {
	q := c.r.URL.Query()
	list := []document{}
	for _, t := range p.world.Transactions {
		fits, err := within(q, t.Status, t.Wallet, t.Created)
		if err != nil {
			return nil, err
		}
		for name, own := range map[string]int64{"project_id": t.Project, "location_id": t.Location} {
			fits = fits && (q.Get(name) == "" || q.Get(name) == strconv.FormatInt(own, 10))
		}
		if fits && p.ownProject(c.caller, t.Project) {
			list = append(list, p.transactionDocument(t))
		}
	}
	return page("transactions", list, q)
}

// set changes the status of a transaction. Who did it gets no callback; "" is nobody.
func (p *Paysera) set(t *walletTransaction, status, by string) {
	if t.Status == status {
		return
	}
	t.Status = status
	switch status {
	case txReserved, txWaitingFunds, txWaitingRegistration, txWaitingPassword, txRejected, txFailed:
		p.callback(t, status, by)
	case txConfirmed:
		if t.AutoConfirm {
			p.callback(t, status, by)
		}
	}
	p.notify()
}

// open is a user looking at a transaction.
func (p *Paysera) open(t *walletTransaction) {
	if t.Status == txNew {
		p.set(t, txWaiting, "")
	}
}

// advance takes a transaction whose payer is known as far as it can go.
func (p *Paysera) advance(t *walletTransaction, by string) {
	purse, total := p.world.purse(t.Wallet), p.total(t)
	if t.Held.IsZero() {
		if purse.available().LessThan(total) {
			p.set(t, txWaitingFunds, by)
			return
		}
		purse.Held, t.Held = purse.Held.Add(total), total
		t.Until = p.engine.now().Add(time.Duration(t.ReserveFor) * time.Second)
		if t.ReserveUntil != 0 {
			t.Until = time.Unix(t.ReserveUntil, 0)
		}
	}
	locked := false
	for _, id := range t.Payments {
		one := p.world.payment(id)
		if _, known := p.beneficiary(one, t.Project); !known && !t.Registered {
			p.set(t, txWaitingRegistration, by)
			return
		}
		locked = locked || one.Password == "pending" && !one.Optional
	}
	switch {
	case locked:
		p.set(t, txWaitingPassword, by)
	case t.AutoConfirm:
		p.settle(t, by)
	default:
		p.set(t, txReserved, by)
	}
}

// reserve holds a user's money for a transaction. Only one that is new or waiting can be reserved.
func (p *Paysera) reserve(t *walletTransaction, wallet int64, kind, by string) error {
	if t.Status != txNew && t.Status != txWaiting {
		return invalidState("Transaction is " + t.Status)
	}
	purse := p.world.purse(wallet)
	if purse == nil {
		return notFound("No such wallet")
	}
	for _, id := range t.Payments {
		if to, _ := p.beneficiary(p.world.payment(id), t.Project); to == wallet {
			return badRequest("payment_to_same_account", "Payer and beneficiary are the same")
		}
	}
	if purse.available().LessThan(p.total(t)) {
		return badRequest("not_enough_funds", "Not enough funds in the wallet")
	}
	t.Wallet, t.Type = wallet, kind
	p.advance(t, by)
	return nil
}

// release gives back the money that is held.
func (p *Paysera) release(t *walletTransaction) {
	if purse := p.world.purse(t.Wallet); purse != nil {
		purse.Held = purse.Held.Sub(t.Held)
	}
	t.Held = decimal.Decimal{}
}

// settle moves the money.
func (p *Paysera) settle(t *walletTransaction, by string) {
	payer := p.world.purse(t.Wallet)
	p.release(t)
	spot, order := p.world.orderOf(t.Key)
	for _, id := range t.Payments {
		one := p.world.payment(id)
		to, _ := p.beneficiary(one, t.Project)
		charge := PayseraCharge{
			Time: p.engine.now().UTC(), TransactionKey: t.Key, PaymentID: one.ID, Payer: t.Wallet, Beneficiary: to,
			Amount: one.Price, Asked: one.Asked, Currency: one.Currency, Description: one.Description,
		}
		if order != nil {
			charge.OrderID, charge.SpotID = order.ID, spot.ID
		}
		p.world.Charges = append(p.world.Charges, charge)
		payer.Balance = payer.Balance.Sub(one.Price)
		if purse := p.world.purse(to); purse != nil {
			purse.Balance = purse.Balance.Add(one.Price)
		}
		if !one.Freeze {
			one.Status = paymentDone
		}
	}
	t.Confirmed = p.engine.now()
	p.set(t, txConfirmed, by)
}

// giveBack returns the money of a payment that was frozen.
func (p *Paysera) giveBack(one *walletPayment) {
	t := p.world.transaction(one.Key)
	to, _ := p.beneficiary(one, t.Project)
	if purse := p.world.purse(to); purse != nil {
		purse.Balance = purse.Balance.Sub(one.Price)
	}
	payer := p.world.purse(t.Wallet)
	payer.Balance = payer.Balance.Add(one.Price)
	p.world.Charges = append(p.world.Charges, PayseraCharge{
		Time: p.engine.now().UTC(), TransactionKey: t.Key, PaymentID: one.ID, Payer: t.Wallet, Beneficiary: to,
		Amount: one.Price.Neg(), Asked: one.Asked, Currency: one.Currency, Description: one.Description,
	})
}

// confirmCall confirms a reserved transaction, in whole or with lower prices.
func (p *Paysera) confirmCall(c *walletCall) (any, error) {
	t, err := p.transactionAt(c)
	if err != nil {
		return nil, err
	}
	lower, err := p.readPrices(c, t)
	if err != nil {
		return nil, err
	}
	if t.Status != txReserved {
		return nil, invalidState("Transaction is " + t.Status)
	}
	for id, price := range lower {
		p.world.payment(id).Price = price
	}
	p.settle(t, c.client)
	return p.transactionDocument(t), nil
}

// readPrices reads the lower prices of a confirmation, by id of the payment. An empty list is what the vendor's own
// library sends for none.
func (p *Paysera) readPrices(c *walletCall, t *walletTransaction) (map[int64]decimal.Decimal, error) {
	lower := map[int64]decimal.Decimal{}
	if body := strings.TrimSpace(string(c.body)); body == "" || body == "[]" {
		return lower, nil
	}
	var names []string
	for _, id := range t.Payments {
		names = append(names, strconv.FormatInt(id, 10))
	}
	b := c.object(names...)
	for i, id := range t.Payments {
		if !b.has(names[i]) {
			continue
		}
		one := p.world.payment(id)
		entry := b.objectAt(names[i], "price", "price_decimal", "currency")
		price, found := entry.price("price", true)
		switch {
		case !found:
			entry.fail("price", "Key price is required")
		case price.GreaterThan(one.Price):
			entry.fail("price", "Price can only be lowered")
		case entry.has("currency") && entry.text("currency") != one.Currency:
			entry.fail("currency", "Currency cannot be changed")
		}
		lower[id] = price
	}
	return lower, b.err
}

// revokeTransaction revokes. That a new one becomes revoked too, not deleted, is a judgment.
func (p *Paysera) revokeTransaction(c *walletCall) (any, error) {
	t, err := p.transactionAt(c)
	if err != nil {
		return nil, err
	}
	if t.over() {
		return nil, invalidState("Transaction is " + t.Status)
	}
	p.release(t)
	p.set(t, txRevoked, c.client)
	return p.transactionDocument(t), nil
}

// renewCall makes a new transaction of one that came to nothing.
func (p *Paysera) renewCall(c *walletCall) (any, error) {
	old, err := p.transactionAt(c)
	if err != nil {
		return nil, err
	}
	if !old.over() || old.Status == txConfirmed {
		return nil, invalidState("Transaction is " + old.Status)
	}
	t := *old
	t.Client, t.Status, t.Type, t.Wallet, t.Until, t.SMS = c.client, txNew, typePage, 0, time.Time{}, ""
	t.Payments, t.RenewedFrom = nil, old.Key
	if t.ReserveUntil != 0 && t.ReserveUntil <= p.engine.now().Unix() {
		t.ReserveUntil, t.ReserveFor = 0, int64(p.opts.ReserveFor/time.Second)
	}
	p.enter(&t)
	for _, id := range old.Payments {
		one := *p.world.payment(id)
		one.Status, one.Price = "", one.Asked
		if one.Password != "" {
			one.Password = "pending"
		}
		p.addPayment(&one, c.client, t.Key)
		t.Payments = append(t.Payments, one.ID)
	}
	p.notify()
	return p.transactionDocument(&t), nil
}

// reserveWalletCall reserves from a wallet: a user's own with an access token; for a merchant with the user's PIN or
// allowance.
func (p *Paysera) reserveWalletCall(c *walletCall) (any, error) {
	t, err := p.transactionAt(c)
	if err != nil {
		return nil, err
	}
	b := c.object("pin", "pin_code", "funds_sources")
	pin := b.text("pin") + b.text("pin_code")
	if b.err != nil {
		return nil, b.err
	}
	u, err := p.walletUserAt(c)
	if err != nil {
		return nil, err
	}
	kind := typeAutomatic
	switch {
	case c.user != 0:
		kind = typeMobile // judgment
	case pin != "":
		kind = typePIN
		if !sameSecret(pin, u.PIN) {
			return nil, badRequest("invalid_password", "PIN is wrong") // judgment: no source names the code
		}
	case !u.Allowance:
		return nil, badRequest("no_rights", "There is no allowance for this wallet")
	}
	if err := p.reserve(t, u.Wallet, kind, c.client); err != nil {
		return nil, err
	}
	return p.transactionDocument(t), nil
}

// walletUserAt is the user whose wallet a call names.
func (p *Paysera) walletUserAt(c *walletCall) (*walletUser, error) {
	own := p.world.user(c.user)
	if c.vars["wallet"] == "me" {
		if own == nil {
			return nil, forbidden("The client has no wallet of its own")
		}
		return own, nil
	}
	id, err := c.number("wallet")
	if err != nil {
		return nil, err
	}
	u := p.world.owner(id)
	switch {
	case u == nil:
		return nil, notFound("No such wallet")
	case own != nil && own != u:
		return nil, forbidden("Wallet belongs to another user")
	}
	return u, nil
}

// reserveCall reserves with what the user gives to the merchant: a PIN, a reservation code, or the code of an SMS. Its
// fields have other names in each of the vendor's sources: all of them are taken.
func (p *Paysera) reserveCall(c *walletCall) (any, error) {
	t, err := p.transactionAt(c)
	if err != nil {
		return nil, err
	}
	b := c.object("pin", "pin_code", "wallet_id", "code", "reservation_code", "sms_code", "payer", "funds_sources",
		"inquiries", "revoke_transaction_key", "notification", "payment_prices", "payment_funds_sources")
	b.only("pin", "pin_code", "code", "reservation_code", "sms_code")
	pin, code, sms := b.text("pin")+b.text("pin_code"), b.text("code")+b.text("reservation_code"), b.text("sms_code")
	b.only("wallet_id", "payer")
	payer := p.readPayer(b)
	if code == "" && payer == nil {
		b.fail("payer", "Payer is not known")
	}
	if pin+code+sms == "" {
		b.fail("pin", "One of pin, code, sms_code is required")
	}
	if b.err != nil {
		return nil, b.err
	}
	kind := typePIN
	switch {
	case code != "":
		kind = typeCode
		if payer = p.world.userByCode(code, p.engine.now()); payer == nil {
			return nil, badRequest("invalid_code", "Reservation code is wrong")
		}
	case sms != "":
		kind = typeFlash
		if t.SMS == "" || !sameSecret(sms, t.SMS) {
			return nil, badRequest("invalid_code", "SMS code is wrong")
		}
	case !sameSecret(pin, payer.PIN):
		return nil, badRequest("invalid_password", "PIN is wrong") // judgment: no source names the code
	}
	if err := p.reserve(t, payer.Wallet, kind, c.client); err != nil {
		return nil, err
	}
	if kind == typeCode {
		payer.Code = "" // judgment: it is good for once
	}
	return p.transactionDocument(t), nil
}

// readPayer finds the user that a reservation names, nil for none.
func (p *Paysera) readPayer(b *walletBody) *walletUser {
	if b.has("wallet_id") {
		return p.world.owner(b.integer("wallet_id"))
	}
	payer := b.objectAt("payer", "card", "email", "id", "phone", "wallet_id")
	payer.only("card", "email", "id", "phone", "wallet_id")
	if id := payer.integer("wallet_id"); id != 0 {
		return p.world.owner(id)
	}
	if id := payer.integer("id"); id != 0 {
		return p.world.user(id)
	}
	return p.world.userBy(payer.text("email"), payer.text("phone"))
}

// flashCall sends a FLASH SMS with a code. What it answers is a judgment.
func (p *Paysera) flashCall(c *walletCall) (any, error) {
	t, err := p.transactionAt(c)
	if err != nil {
		return nil, err
	}
	u, err := p.walletUserAt(c)
	if err != nil {
		return nil, err
	}
	if t.Status != txNew && t.Status != txWaiting {
		return nil, invalidState("Transaction is " + t.Status)
	}
	t.SMS = randomDigits(4)
	u.SMS = t.SMS
	return p.transactionDocument(t), nil
}

// typesCall tells how a transaction can be reserved from a wallet.
func (p *Paysera) typesCall(c *walletCall) (any, error) {
	if _, err := p.transactionAt(c); err != nil {
		return nil, err
	}
	u, err := p.walletUserAt(c)
	if err != nil {
		return nil, err
	}
	types := []string{typeFlash, typePage, typePIN, typeCode, typeMobile}
	if u.Allowance {
		types = append([]string{typeAutomatic}, types...)
	}
	return types, nil
}

func (p *Paysera) inquiredCall(c *walletCall) (any, error) {
	if _, err := p.transactionAt(c); err != nil {
		return nil, err
	}
	return map[string]any{"items": []any{}}, nil
}

// requestDocument is a request to pay. Its members beside the status are a judgment.
func (p *Paysera) requestDocument(one *walletRequest) document {
	status := "pending"
	switch t := p.world.transaction(one.Key); {
	case t.Status == txReserved || t.Status == txConfirmed:
		status = "done"
	case one.Failed || t.over():
		status = "failed"
	}
	plain := map[string]any{"id": one.ID, "transaction_key": one.Key, "status": status}
	for name, value := range map[string]string{"email": one.Email, "phone": one.Phone} {
		if value != "" {
			plain[name] = value
		}
	}
	if one.User != 0 {
		plain["user_id"] = one.User
	}
	return document{plain: plain}
}

// requestCall asks a user to pay.
func (p *Paysera) requestCall(c *walletCall) (any, error) {
	t, err := p.transactionAt(c)
	if err != nil {
		return nil, err
	}
	b := c.object("user_id", "email", "phone", "initiator_id")
	b.only("user_id", "email", "phone")
	if !b.has("user_id") && !b.has("email") && !b.has("phone") {
		b.fail("user_id", "One of user_id, email, phone is required")
	}
	one := &walletRequest{Key: t.Key, User: b.integer("user_id"), Email: b.text("email"), Phone: b.text("phone"), Initiator: b.integer("initiator_id")}
	switch {
	case b.err != nil:
		return nil, b.err
	case t.Status != txNew && t.Status != txWaiting:
		return nil, invalidState("Transaction is " + t.Status)
	case one.User != 0 && p.world.user(one.User) == nil:
		return nil, notFound("No such user")
	}
	one.ID = p.id()
	p.world.Requests = append(p.world.Requests, one)
	p.notify()
	return p.requestDocument(one), nil
}

func (p *Paysera) cancelRequestCall(c *walletCall) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	for _, one := range p.world.Requests {
		if one.ID == id {
			one.Failed = true
			p.notify()
			return p.requestDocument(one), nil
		}
	}
	return nil, notFound("No such transaction request")
}

// sweep lets happen what time brings: a new transaction is deleted after a month, a reservation comes to its end. That
// the latter fails then is a judgment; the sources say failed or revoked.
func (p *Paysera) sweep() {
	now := p.engine.now()
	for _, t := range p.world.Transactions {
		switch {
		case t.Status == txNew && !now.Before(t.Created.AddDate(0, 1, 0)):
			p.set(t, txDeleted, "")
		case !t.over() && !t.Held.IsZero() && !now.Before(t.Until):
			p.release(t)
			p.set(t, txFailed, "")
		}
	}
}
