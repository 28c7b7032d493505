package paysera

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// TransactionsService makes transactions, and moves their money.
type TransactionsService struct{ c *core }

// Status says how far a transaction or a payment has come. The vendor may know more than the ones that are named here.
type Status string

// The documented statuses.
const (
	// StatusNew transactions were seen by nobody yet. They are deleted after a month.
	StatusNew Status = "new"
	// StatusWaiting transactions wait for the payer, and the three that follow for what their names say.
	StatusWaiting             Status = "waiting"
	StatusWaitingFunds        Status = "waiting_funds"
	StatusWaitingRegistration Status = "waiting_registration"
	StatusWaitingPassword     Status = "waiting_password"
	// StatusReserved transactions have the payer's money set aside. The merchant confirms or revokes them.
	StatusReserved Status = "reserved"
	// StatusConfirmed transactions are paid.
	StatusConfirmed Status = "confirmed"
	// StatusDeleted, StatusRejected, StatusRevoked and StatusFailed transactions have ended without being paid.
	StatusDeleted  Status = "deleted"
	StatusRejected Status = "rejected"
	StatusRevoked  Status = "revoked"
	StatusFailed   Status = "failed"
	// StatusDone and StatusCanceled are of payments alone.
	StatusDone     Status = "done"
	StatusCanceled Status = "canceled"
)

// Dead reports whether a transaction of that status has ended without being paid, for good.
func (s Status) Dead() bool {
	return s == StatusDeleted || s == StatusRejected || s == StatusRevoked || s == StatusFailed
}

// Transaction moves the money of its payments together. Fields that the server left out, or wrote in a way that can't be read,
// are zero.
type Transaction struct {
	// Key is what calls name the transaction by, and ID the vendor's number of it, which no call takes.
	Key    string
	ID     int64
	Status Status
	// Type is how it was reserved: automatic, page, flash, pin, reservation_code, mobile_app, another, or empty.
	Type string
	// Payments are what it moves.
	Payments []Payment
	// WalletID is the payer's, or 0.
	WalletID int64
	// ProjectID, LocationID and ManagerID are the merchant's, or 0.
	ProjectID, LocationID, ManagerID int64
	// CreatedAt and ConfirmedAt are in UTC.
	CreatedAt, ConfirmedAt time.Time
	// ReservedFor is how long a reservation holds, or 0, and ReservedUntil until when, in UTC.
	ReservedFor   time.Duration
	ReservedUntil time.Time
	// AutoConfirm transactions are confirmed as soon as the money is reserved.
	AutoConfirm bool
	// RedirectURL and CallbackURL are as in [TransactionRequest]. CorrelationID is what the vendor
	// calls correlation_key.
	RedirectURL, CallbackURL, CorrelationID string
	// Raw is all of it, as it came.
	Raw json.RawMessage
}

// Total returns what the transaction's payments come to, and in which currency. It is false if they are in several, if there
// are none, or if one has no price.
func (t Transaction) Total() (total decimal.Decimal, currency string, ok bool) {
	for i, p := range t.Payments {
		if !p.Price.IsPositive() || p.Currency == "" || (i > 0 && p.Currency != currency) {
			return decimal.Decimal{}, "", false
		}
		total, currency = total.Add(p.Price), p.Currency
	}
	return total, currency, len(t.Payments) > 0
}

// UnmarshalJSON reads a transaction as the API sends it.
func (t *Transaction) UnmarshalJSON(data []byte) error {
	if err := wire.CheckObject[Transaction](data, ""); err != nil {
		return err
	}
	read := Transaction{Raw: bytes.Clone(data)}
	for m := wire.Members(data); m.Next(); {
		switch {
		case m.Is("transaction_key"):
			read.Key = m.Text()
		case m.Is("id"):
			read.ID = m.Int()
		case m.Is("status"):
			read.Status = Status(m.Text())
		case m.Is("type"):
			read.Type = m.Text()
		case m.Is("payments"):
			read.Payments = readList[Payment](m.Value)
		case m.Is("wallet"):
			read.WalletID = idOf(m.Value)
		case m.Is("project_id"):
			read.ProjectID = m.Int()
		case m.Is("location_id"):
			read.LocationID = m.Int()
		case m.Is("manager_id"):
			read.ManagerID = m.Int()
		case m.Is("created_at"):
			read.CreatedAt = unixTime(m.Int()).time()
		case m.Is("confirmed_at"):
			read.ConfirmedAt = unixTime(m.Int()).time()
		case m.Is("reserve"):
			read.ReservedFor, read.ReservedUntil = readSpan(m.Value)
		case m.Is("auto_confirm"):
			read.AutoConfirm = m.Bool()
		case m.Is("redirect_uri"):
			read.RedirectURL = m.Text()
		case m.Is("callback_uri"):
			read.CallbackURL = m.Text()
		case m.Is("correlation_key"):
			read.CorrelationID = m.Text()
		}
	}
	if read.CallbackURL == "false" {
		read.CallbackURL = ""
	}
	*t = read
	return nil
}

// TransactionRequest is a transaction to be made.
type TransactionRequest struct {
	// Payments are what it moves. Required, unless More has an allowance.
	Payments []PaymentRequest
	// ReserveFor is how long a reservation is to hold, in whole seconds; ReserveUntil is until when. One of them at most. The
	// vendor documents a default of 24 hours, and shows one of 30 days.
	ReserveFor   time.Duration
	ReserveUntil time.Time
	// AutoConfirm pays as soon as the money is reserved: the merchant isn't asked.
	AutoConfirm bool
	// RedirectURL is where the payer comes back to from the vendor's pages, and CallbackURL where changes are posted.
	RedirectURL, CallbackURL string
	// NoCallback has changes posted nowhere, whatever the project's settings say.
	NoCallback bool
	// UserEmail is the payer's, if it is known. Optional.
	UserEmail string
	// More are members that are named as the vendor names them, such as allowance, use_allowance, suggest_allowance,
	// restrictions and inquiries. The fields above go before them.
	More map[string]any
}

func (r TransactionRequest) body(name string) (any, error) {
	b := maps.Clone(r.More)
	if b == nil {
		b = map[string]any{}
	}
	if len(r.Payments) == 0 && b["allowance"] == nil {
		return nil, tillroute.Invalid(System, name, "a transaction needs Payments")
	}
	var payments []any
	for _, payment := range r.Payments {
		body, err := payment.body(name)
		if err != nil {
			return nil, err
		}
		payments = append(payments, body)
	}
	if len(payments) > 0 {
		b["payments"] = payments
	}
	switch {
	case r.ReserveFor != 0 && !r.ReserveUntil.IsZero():
		return nil, tillroute.Invalid(System, name, "set one of ReserveFor and ReserveUntil")
	case r.ReserveFor != 0:
		seconds, err := wholeSeconds(name, "ReserveFor", r.ReserveFor)
		if err != nil {
			return nil, err
		}
		b["reserve"] = map[string]any{"for": seconds}
	case !r.ReserveUntil.IsZero():
		b["reserve"] = map[string]any{"until": r.ReserveUntil.Unix()}
	}
	set(b, "auto_confirm", r.AutoConfirm)
	set(b, "redirect_uri", r.RedirectURL)
	switch {
	case r.NoCallback && r.CallbackURL != "":
		return nil, tillroute.Invalid(System, name, "set one of CallbackURL and NoCallback")
	case r.NoCallback:
		b["callback_uri"] = false
	default:
		set(b, "callback_uri", r.CallbackURL)
	}
	if r.UserEmail != "" {
		b["user"] = map[string]any{"email": r.UserEmail}
	}
	return b, nil
}

// Create makes a transaction. It is sent once. If the answer is lost, the error matches [tillroute.ErrOutcomeUnknown]: there may
// be a transaction whose key nobody knows, and which nobody can pay therefore. The vendor deletes it after a month.
//
// API reference: POST /rest/v1/transaction, https://developers.paysera.com/en/wallet/payment/transaction
func (s TransactionsService) Create(ctx context.Context, r TransactionRequest, opts ...tillroute.CallOption) (Transaction, error) {
	body, err := r.body(transactionsCreate.declare().Name)
	if err != nil {
		return Transaction{}, err
	}
	return getTransaction(ctx, s.c, transactionsCreate, rest.Request{JSON: body}, opts)
}

// Get returns the transaction, or an error of kind NotFound. It takes [WithFields].
//
// API reference: GET /rest/v1/transaction/{key}, https://developers.paysera.com/api/wallet/get-transaction
func (s TransactionsService) Get(ctx context.Context, key string, opts ...tillroute.CallOption) (Transaction, error) {
	return getTransaction(ctx, s.c, transactionsGet, rest.Request{Args: args(key)}, opts)
}

// TransactionFilter says which transactions to list. Zero fields match everything.
type TransactionFilter struct {
	// Statuses are what the status may be.
	Statuses []Status
	// WalletID is a payer's.
	WalletID int64
	// ProjectID and LocationID are the merchant's.
	ProjectID, LocationID int64
	// From and To bound when the transaction was made, in whole seconds. Whether they include these isn't documented.
	From, To time.Time
}

func (f TransactionFilter) query() url.Values {
	q := url.Values{}
	var statuses []string
	for _, status := range f.Statuses {
		statuses = append(statuses, string(status))
	}
	if len(statuses) > 0 {
		q.Set("status", strings.Join(statuses, ","))
	}
	for name, id := range map[string]int64{"wallet": f.WalletID, "project_id": f.ProjectID, "location_id": f.LocationID} {
		if id != 0 {
			q.Set(name, formatID(id))
		}
	}
	for name, t := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !t.IsZero() {
			q.Set(name, formatID(t.Unix()))
		}
	}
	return q
}

// List returns a page of transactions.
//
// API reference: GET /rest/v1/transactions, https://developers.paysera.com/api/wallet/search-transactions
func (s TransactionsService) List(ctx context.Context, f TransactionFilter, o ListOptions, opts ...tillroute.CallOption) (Page[Transaction], error) {
	return listPage[Transaction](ctx, s.c, transactionsList, "transactions", f.query(), o, opts)
}

// All returns the transactions page by page as they are needed. An error comes once, with a zero Transaction, and ends the walk.
//
// API reference: GET /rest/v1/transactions, https://developers.paysera.com/api/wallet/search-transactions
func (s TransactionsService) All(ctx context.Context, f TransactionFilter, o ListOptions, opts ...tillroute.CallOption) iter.Seq2[Transaction, error] {
	return all[Transaction](ctx, s.c, transactionsList, "transactions", f.query(), o, opts)
}

// Me is the wallet, or the user, of the access token that a request is signed with.
const Me = "me"

// Reservation is how the payer agrees. The vendor's documents name the fields of this request in contradictory ways: each field
// here is sent under one name alone, and empty ones not at all.
type Reservation struct {
	// Wallet is the payer's, by its number or [Me], where an allowance or a PIN does. It goes into the path.
	Wallet string
	// PIN is the payer's, as the older documents and the vendor's library in use name it ("pin"); PINCode is the newer
	// reference's ("pin_code"), which goes with WalletID ("wallet_id").
	PIN, PINCode tillroute.Secret
	WalletID     int64
	// Code is one that the payer was given to be reserved with ("code"), and ReservationCode the same in the vendor's
	// applications ("reservation_code").
	Code, ReservationCode tillroute.Secret
	// SMSCode is one that the payer got by SMS ("sms_code").
	SMSCode tillroute.Secret
	// Payer is who pays, where Wallet doesn't say.
	Payer Payer
	// RevokeTransactionKey is that of a transaction that this one takes the place of.
	RevokeTransactionKey string
	// More are members that are named as the vendor names them. The fields above go before them.
	More map[string]any
}

// Payer is who pays: one of ID, WalletID, Email, Phone and the card.
type Payer struct {
	// ID is sent as "id", which the vendor's library has, and WalletID as "wallet_id", which the newer reference has.
	ID, WalletID int64
	Email, Phone string
	// CardIssuer and CardNumber are of a loyalty or identity card.
	CardIssuer, CardNumber string
}

func (r Reservation) body() map[string]any {
	b := maps.Clone(r.More)
	if b == nil {
		b = map[string]any{}
	}
	set(b, "pin", r.PIN.Reveal())
	set(b, "pin_code", r.PINCode.Reveal())
	set(b, "wallet_id", r.WalletID)
	set(b, "code", r.Code.Reveal())
	set(b, "reservation_code", r.ReservationCode.Reveal())
	set(b, "sms_code", r.SMSCode.Reveal())
	set(b, "revoke_transaction_key", r.RevokeTransactionKey)
	payer, card := map[string]any{}, map[string]any{}
	set(payer, "id", r.Payer.ID)
	set(payer, "wallet_id", r.Payer.WalletID)
	set(payer, "email", r.Payer.Email)
	set(payer, "phone", r.Payer.Phone)
	set(card, "issuer", r.Payer.CardIssuer)
	set(card, "number", r.Payer.CardNumber)
	if len(card) > 0 {
		payer["card"] = card
	}
	if len(payer) > 0 {
		b["payer"] = payer
	}
	return b
}

// Reserve sets the payer's money aside. It is sent once. If the answer is lost, the error matches
// [tillroute.ErrOutcomeUnknown]: get the transaction and see. A payer without the money is [ErrorCodeNotEnoughFunds], for one.
//
// API reference: PUT /rest/v1/transaction/{key}/reserve, https://developers.paysera.com/api/wallet/reserve-transaction
//
// API reference: PUT /rest/v1/transaction/{key}/reserve/{wallet}, https://developers.paysera.com/api/wallet/reserve-transaction
func (s TransactionsService) Reserve(ctx context.Context, key string, r Reservation, opts ...tillroute.CallOption) (Transaction, error) {
	op, request := transactionsReserve, rest.Request{Args: args(key)}
	if r.Wallet != "" {
		op, request.Args = transactionsReserveWith, args(key, r.Wallet)
	}
	if body := r.body(); len(body) > 0 {
		request.JSON = body
	}
	for _, secret := range []tillroute.Secret{r.PIN, r.PINCode, r.Code, r.ReservationCode, r.SMSCode} {
		request.Secrets = append(request.Secrets, secret.Reveal())
	}
	return getTransaction(ctx, s.c, op, request, opts)
}

// Price is an amount in units of its currency.
type Price struct {
	Amount   decimal.Decimal
	Currency string
}

// Confirm takes the money of a reserved transaction: in full if prices is empty, or of some payments less, which prices says by
// their IDs. Prices can be lower, and not higher.
//
// It is sent once. If the answer is lost, the error matches [tillroute.ErrOutcomeUnknown]: get the transaction and see whether it
// is confirmed. If it is reserved still, it can be confirmed again, with the same prices: of two that differ nobody knows which
// one counts. A transaction that isn't reserved is an error of kind Conflict.
//
// API reference: PUT /rest/v1/transaction/{key}/confirm, https://developers.paysera.com/api/wallet/confirm-transaction
func (s TransactionsService) Confirm(ctx context.Context, key string, prices map[int64]Price, opts ...tillroute.CallOption) (Transaction, error) {
	name := transactionsConfirm.declare().Name
	request := rest.Request{Args: args(key)}
	body := map[string]any{}
	for id, price := range prices {
		text, err := formatAmount(name, price.Amount, price.Currency)
		if err != nil {
			return Transaction{}, err
		}
		if id <= 0 || price.Amount.IsNegative() {
			return Transaction{}, tillroute.Invalid(System, name, "prices are for payments by their IDs, and must not be negative")
		}
		body[formatID(id)] = map[string]any{"price_decimal": text, "currency": price.Currency}
	}
	if len(body) > 0 {
		request.JSON = body
	}
	return getTransaction(ctx, s.c, transactionsConfirm, request, opts)
}

// Revoke ends a transaction that isn't confirmed, and gives back what is reserved. One that has ended already, or is confirmed,
// is an error of kind Conflict, as far as that is documented: get it and see. Do so too if the error matches
// [tillroute.ErrOutcomeUnknown], also one of kind Conflict: an earlier attempt may have revoked it.
//
// API reference: DELETE /rest/v1/transaction/{key}, https://developers.paysera.com/api/wallet/revoke-transaction
func (s TransactionsService) Revoke(ctx context.Context, key string, opts ...tillroute.CallOption) error {
	return s.c.do(ctx, transactionsRevoke, rest.Request{Args: args(key)}, nil, opts)
}

// Renew makes a new transaction, with a key of its own, of one that ended without being paid. It is sent once; what becomes of a
// lost one is the same as with Create.
//
// API reference: POST /rest/v1/transaction/renew/{key}, https://developers.paysera.com/api/wallet/renew-transaction
func (s TransactionsService) Renew(ctx context.Context, key string, opts ...tillroute.CallOption) (Transaction, error) {
	return getTransaction(ctx, s.c, transactionsRenew, rest.Request{Args: args(key)}, opts)
}

// Types returns in which ways the wallet (its number, or [Me]) can reserve the transaction: see [Transaction].Type.
//
// API reference: GET /rest/v1/transaction/{key}/type/{wallet}, https://developers.paysera.com/en/wallet/payment/transaction
func (s TransactionsService) Types(ctx context.Context, key, wallet string, opts ...tillroute.CallOption) ([]string, error) {
	var answer list[wire.Text]
	if err := s.c.do(ctx, transactionsTypes, rest.Request{Args: args(key, wallet)}, &answer, opts); err != nil {
		return nil, err
	}
	var types []string
	for _, name := range answer {
		types = append(types, string(name))
	}
	return types, nil
}

// Flash sends the wallet's owner an SMS that shows the code to reserve with. It is sent once. If the answer is lost, the error
// matches [tillroute.ErrOutcomeUnknown]: sending it again may send another SMS.
//
// API reference: PUT /rest/v1/transaction/{key}/flash/{wallet}, https://github.com/paysera/lib-wallet-php-client
func (s TransactionsService) Flash(ctx context.Context, key, wallet string, opts ...tillroute.CallOption) error {
	return s.c.do(ctx, transactionsFlash, rest.Request{Args: args(key, wallet)}, nil, opts)
}

// InquiredInformation returns what payers answered to the transaction's inquiries, as it came.
//
// API reference: GET /rest/v1/transaction/{key}/inquired-information, https://github.com/paysera/lib-wallet-php-client
func (s TransactionsService) InquiredInformation(ctx context.Context, key string, opts ...tillroute.CallOption) ([]json.RawMessage, error) {
	var answer struct {
		Items list[json.RawMessage] `json:"items"`
	}
	err := s.c.do(ctx, transactionsInquired, rest.Request{Args: args(key)}, &answer, opts)
	return answer.Items, err
}

// Addressee is a user who is asked to pay: exactly one of UserID, Email and Phone is set.
type Addressee struct {
	UserID       int64
	Email, Phone string
	// InitiatorID is the user who asks, if it isn't the client.
	InitiatorID int64
}

// TransactionDemand is a user who was asked to pay a transaction.
type TransactionDemand struct {
	// ID is what CancelRequest takes.
	ID int64
	// Status is pending, done, failed, or another.
	Status         string
	TransactionKey string
}

// Request asks a user to pay the transaction. It is sent once. If the answer is lost, the error matches
// [tillroute.ErrOutcomeUnknown]: asking again may ask twice, for the same money.
//
// API reference: POST /rest/v1/transaction/{key}/request, https://developers.paysera.com/en/wallet/payment/requests
func (s TransactionsService) Request(ctx context.Context, key string, who Addressee, opts ...tillroute.CallOption) (TransactionDemand, error) {
	d := transactionsRequest.declare()
	b := map[string]any{}
	set(b, "user_id", who.UserID)
	set(b, "email", who.Email)
	set(b, "phone", who.Phone)
	if len(b) != 1 {
		return TransactionDemand{}, tillroute.Invalid(System, d.Name, "set exactly one of UserID, Email and Phone")
	}
	set(b, "initiator_id", who.InitiatorID)
	var answer struct {
		ID             wire.Int  `json:"id"`
		Status         wire.Text `json:"status"`
		TransactionKey wire.Text `json:"transaction_key"`
	}
	if err := s.c.do(ctx, transactionsRequest, rest.Request{Args: args(key), JSON: b}, &answer, opts); err != nil {
		return TransactionDemand{}, err
	}
	return TransactionDemand{int64(answer.ID), string(answer.Status), string(answer.TransactionKey)}, nil
}

// CancelRequest takes back that a user was asked to pay. If the error matches [tillroute.ErrOutcomeUnknown], also one of
// kind Conflict or NotFound, an earlier attempt may have done it: get the transaction and see whether it was paid.
//
// API reference: DELETE /rest/v1/transaction-request/{id}, https://developers.paysera.com/en/wallet/payment/requests
func (s TransactionsService) CancelRequest(ctx context.Context, id int64, opts ...tillroute.CallOption) error {
	return s.c.do(ctx, transactionsCancelRequest, rest.Request{Args: args(id)}, nil, opts)
}

func getTransaction(ctx context.Context, c *core, op operation, r rest.Request, opts []tillroute.CallOption) (Transaction, error) {
	transaction, err := get[Transaction](ctx, c, op, r, opts)
	if err == nil && transaction.Key == "" {
		return Transaction{}, notUnderstood(op.declare(), "the transaction has no transaction_key")
	}
	return transaction, err
}
