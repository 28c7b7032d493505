package paysera

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// PaymentsService makes and reads payments.
type PaymentsService struct{ c *core }

// Payment is a part of a transaction: one amount for one beneficiary. Fields that the server left out, or wrote in a way that
// can't be read, are zero.
type Payment struct {
	// ID is the vendor's.
	ID int64
	// TransactionKey is that of the payment's transaction, or empty.
	TransactionKey string
	Status         Status
	// Description is what the payer sees.
	Description string
	// Price is in units of Currency, an ISO 4217 code.
	Price    decimal.Decimal
	Currency string
	// Items are what is paid for, or none.
	Items []Item
	// Beneficiary is who gets the money.
	Beneficiary Beneficiary
	// WalletID is the payer's, or 0.
	WalletID int64
	// Cancelable says whether the payment can still be taken back.
	Cancelable bool
	// CreatedAt and ConfirmedAt are in UTC, and FrozenFor is how long the money is kept back.
	CreatedAt, ConfirmedAt time.Time
	FrozenFor              time.Duration
	// PasswordStatus is disabled, pending, unlocked, another, or empty.
	PasswordStatus string
	// Parameters are those that the payment was made with.
	Parameters json.RawMessage
}

// Item is a line of what is paid for. In requests Title, Currency and Quantity are required.
type Item struct {
	Title, Description, ImageURL string
	// Price is that of one, in units of Currency, an ISO 4217 code.
	Price    decimal.Decimal
	Currency string
	// Quantity may have decimals. In requests it is above zero.
	Quantity decimal.Decimal
	// Total is zero if it is Price times Quantity.
	Total decimal.Decimal
}

// Beneficiary is who gets the money: in requests one of the fields, in answers what the server says.
type Beneficiary struct {
	// ID is the vendor's number of it.
	ID                    int64
	Email, Phone, Barcode string
}

// UnmarshalJSON reads a payment as the API sends it.
func (p *Payment) UnmarshalJSON(data []byte) error {
	if number := wire.Scalar(data); number != "" && strings.Trim(number, "0123456789") == "" {
		// Only named.
		*p = Payment{ID: idOf(data)}
		return nil
	}
	if err := wire.CheckObject[Payment](data, ""); err != nil {
		return err
	}
	var read Payment
	var cents, text []byte
	for m := wire.Members(data); m.Next(); {
		switch {
		case m.Is("id"):
			read.ID = m.Int()
		case m.Is("transaction_key"):
			read.TransactionKey = m.Text()
		case m.Is("status"):
			read.Status = Status(m.Text())
		case m.Is("description"):
			read.Description = m.Text()
		case m.Is("price"):
			cents = m.Value
		case m.Is("price_decimal"):
			text = m.Value
		case m.Is("currency"):
			read.Currency = m.Text()
		case m.Is("items"):
			read.Items = readList[Item](m.Value)
		case m.Is("beneficiary"):
			read.Beneficiary = readBeneficiary(m.Value)
		case m.Is("wallet"):
			read.WalletID = idOf(m.Value)
		case m.Is("cancelable"):
			read.Cancelable = m.Bool()
		case m.Is("created_at"):
			read.CreatedAt = unixTime(m.Int()).time()
		case m.Is("confirmed_at"):
			read.ConfirmedAt = unixTime(m.Int()).time()
		case m.Is("freeze"):
			read.FrozenFor, _ = readSpan(m.Value)
		case m.Is("parameters"):
			read.Parameters = raw(m.Raw())
		case m.Is("password"):
			read.PasswordStatus = readStatus(m.Value)
		}
	}
	read.Price = amount(cents, text)
	*p = read
	return nil
}

// readSpan reads how long something lasts, and until when.
func readSpan(data []byte) (lasts time.Duration, until time.Time) {
	for m := wire.Members(data); m.Next(); {
		switch {
		case m.Is("for"):
			lasts = 0
			if seconds := m.Int(); seconds > 0 && seconds <= 1<<32 {
				lasts = time.Duration(seconds) * time.Second
			}
		case m.Is("until"):
			until = unixTime(m.Int()).time()
		}
	}
	return lasts, until
}

// readStatus reads the status of an object.
func readStatus(data []byte) (status string) {
	for m := wire.Members(data); m.Next(); {
		if m.Is("status") {
			status = m.Text()
		}
	}
	return status
}

// idOf reads a number, or the id of an object.
func idOf(data []byte) (id int64) {
	if _ = (*wire.Int)(&id).UnmarshalJSON(data); id != 0 {
		return id
	}
	for m := wire.Members(data); m.Next(); {
		if m.Is("id") {
			id = m.Int()
		}
	}
	return id
}

// readBeneficiary reads the ID of one, or an object.
func readBeneficiary(data []byte) Beneficiary {
	b := Beneficiary{ID: idOf(data)}
	for m := wire.Members(data); m.Next(); {
		switch {
		case m.Is("email"):
			b.Email = m.Text()
		case m.Is("phone"):
			b.Phone = m.Text()
		case m.Is("barcode"):
			b.Barcode = m.Text()
		}
	}
	return b
}

// UnmarshalJSON reads an item as the API sends it.
func (i *Item) UnmarshalJSON(data []byte) error {
	var w struct {
		Title        wire.Text       `json:"title"`
		Description  wire.Text       `json:"description"`
		ImageURL     wire.Text       `json:"image_uri"`
		Price        json.RawMessage `json:"price"`
		PriceDecimal json.RawMessage `json:"price_decimal"`
		Currency     wire.Text       `json:"currency"`
		Quantity     wire.Decimal    `json:"quantity"`
		Total        json.RawMessage `json:"total_price"`
		TotalDecimal json.RawMessage `json:"total_price_decimal"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*i = Item{
		Title: string(w.Title), Description: string(w.Description), ImageURL: string(w.ImageURL), Price: amount(w.Price, w.PriceDecimal),
		Currency: string(w.Currency), Quantity: decimal.Decimal(w.Quantity), Total: amount(w.Total, w.TotalDecimal),
	}
	return nil
}

// PaymentRequest is a payment to be made. Amounts go out as decimals, with as many digits as the currency has.
type PaymentRequest struct {
	// ID is that of a payment that was made before; then nothing else is set.
	ID int64
	// Description is required without Items.
	Description string
	// Price is in units of Currency, above zero. Required. The app shows transactions of a single payment alone.
	Price decimal.Decimal
	// Currency is the ISO 4217 code, in capital letters. Required.
	Currency string
	// Items are what is paid for. Their total must be Price, or the server refuses them.
	Items []Item
	// Beneficiary is who gets the money. Defaults to the client's own wallet.
	Beneficiary Beneficiary
	// FreezeFor is how long the money is kept back after it was confirmed, in whole seconds. Not negative.
	FreezeFor time.Duration
	// Purpose is "cash" or "tips", or empty.
	Purpose string
	// Parameters are kept with the payment. They become JSON.
	Parameters any
	// More are members that are named as the vendor names them, such as password, price_rules, cashback, commission
	// and funds_source. The fields above go before them.
	More map[string]any
}

func (r PaymentRequest) body(name string) (any, error) {
	if r.ID != 0 {
		return r.ID, nil
	}
	if r.Description == "" && len(r.Items) == 0 {
		return nil, tillroute.Invalid(System, name, "a payment needs a Description or Items")
	}
	b := maps.Clone(r.More)
	if b == nil {
		b = map[string]any{}
	}
	price, err := r.price(name)
	if err != nil {
		return nil, err
	}
	b["price_decimal"], b["currency"] = price, r.Currency
	set(b, "description", r.Description)
	set(b, "purpose", r.Purpose)
	if r.Parameters != nil {
		b["parameters"] = r.Parameters
	}
	if r.FreezeFor != 0 {
		seconds, err := wholeSeconds(name, "FreezeFor", r.FreezeFor)
		if err != nil {
			return nil, err
		}
		b["freeze"] = map[string]any{"for": seconds}
	}
	beneficiary := map[string]any{}
	set(beneficiary, "id", r.Beneficiary.ID)
	set(beneficiary, "email", r.Beneficiary.Email)
	set(beneficiary, "phone", r.Beneficiary.Phone)
	set(beneficiary, "barcode", r.Beneficiary.Barcode)
	if len(beneficiary) > 0 {
		b["beneficiary"] = beneficiary
	}
	var items []any
	for _, item := range r.Items {
		line, err := item.body(name)
		if err != nil {
			return nil, err
		}
		items = append(items, line)
	}
	if len(items) > 0 {
		b["items"] = items
	}
	return b, nil
}

func (r PaymentRequest) price(name string) (string, error) {
	if !r.Price.IsPositive() {
		return "", tillroute.Invalid(System, name, "a payment's Price must be above zero")
	}
	return formatAmount(name, r.Price, r.Currency)
}

func (i Item) body(name string) (any, error) {
	if i.Title == "" || !i.Quantity.IsPositive() {
		return nil, tillroute.Invalid(System, name, "an item needs a Title and a Quantity above zero")
	}
	price, err := formatAmount(name, i.Price, i.Currency)
	if err != nil {
		return nil, err
	}
	b := map[string]any{
		"title": i.Title, "price_decimal": price, "currency": i.Currency, "quantity": json.Number(i.Quantity.String()),
	}
	set(b, "description", i.Description)
	set(b, "image_uri", i.ImageURL)
	if !i.Total.IsZero() {
		total, err := formatAmount(name, i.Total, i.Currency)
		if err != nil {
			return nil, err
		}
		b["total_price_decimal"] = total
	}
	return b, nil
}

// set puts what isn't zero into a body: the server refuses members that it doesn't need.
func set[T comparable](b map[string]any, name string, value T) {
	var zero T
	if value != zero {
		b[name] = value
	}
}

func formatAmount(name string, a decimal.Decimal, currency string) (string, error) {
	text, err := tillroute.FormatAmount(a, currency)
	if err != nil {
		return "", tillroute.Invalid(System, name, "%s", err)
	}
	return text, nil
}

func wholeSeconds(name, field string, d time.Duration) (int64, error) {
	if d < 0 || d%time.Second != 0 {
		return 0, tillroute.Invalid(System, name, "%s must be whole seconds", field)
	}
	return int64(d / time.Second), nil
}

// Create makes a payment without a transaction. It is sent once; if the answer is lost, the error matches
// [tillroute.ErrOutcomeUnknown], and the payment may be there: nobody can pay it without a transaction.
//
// API reference: POST /rest/v1/payment, https://developers.paysera.com/en/wallet/payment/payment
func (s PaymentsService) Create(ctx context.Context, r PaymentRequest, opts ...tillroute.CallOption) (Payment, error) {
	name := paymentsCreate.declare().Name
	if r.ID != 0 {
		return Payment{}, tillroute.Invalid(System, name, "a payment that has an ID was made before")
	}
	body, err := r.body(name)
	if err != nil {
		return Payment{}, err
	}
	return getPayment(ctx, s.c, paymentsCreate, rest.Request{JSON: body}, opts)
}

// Get returns the payment, or an error of kind NotFound.
//
// API reference: GET /rest/v1/payment/{id}, https://developers.paysera.com/en/wallet/payment/payment
func (s PaymentsService) Get(ctx context.Context, id int64, opts ...tillroute.CallOption) (Payment, error) {
	return getPayment(ctx, s.c, paymentsGet, rest.Request{Args: args(id)}, opts)
}

// Delete takes a payment away, or cancels one that is cancelable. If the error matches
// [tillroute.ErrOutcomeUnknown], also one of kind Conflict or NotFound, an earlier attempt may have done it: get the payment and
// see.
//
// API reference: DELETE /rest/v1/payment/{id}, https://github.com/paysera/lib-wallet-php-client
func (s PaymentsService) Delete(ctx context.Context, id int64, opts ...tillroute.CallOption) error {
	return s.c.do(ctx, paymentsDelete, rest.Request{Args: args(id)}, nil, opts)
}

// Freeze keeps the money of a confirmed payment back for d, in whole seconds, not negative. It is sent once. If the answer is lost,
// the error matches [tillroute.ErrOutcomeUnknown]: get the payment and see.
//
// API reference: PUT /rest/v1/payment/{id}/freeze, https://github.com/paysera/lib-wallet-php-client
func (s PaymentsService) Freeze(ctx context.Context, id int64, d time.Duration, opts ...tillroute.CallOption) (Payment, error) {
	name := paymentsFreeze.declare().Name
	seconds, err := wholeSeconds(name, "the duration", d)
	if err != nil {
		return Payment{}, err
	}
	body := map[string]any{"freeze": map[string]any{"for": seconds}}
	return getPayment(ctx, s.c, paymentsFreeze, rest.Request{Args: args(id), JSON: body}, opts)
}

// Finalize hands a frozen payment on to its beneficiary. It is sent once. If the answer is lost, the error matches
// [tillroute.ErrOutcomeUnknown]: get the payment and see.
//
// API reference: PUT /rest/v1/payment/{id}/finalize, https://github.com/paysera/lib-wallet-php-client
func (s PaymentsService) Finalize(ctx context.Context, id int64, opts ...tillroute.CallOption) (Payment, error) {
	return getPayment(ctx, s.c, paymentsFinalize, rest.Request{Args: args(id)}, opts)
}

// List returns a page of payments. filter holds what the vendor's search takes, such as status, wallet, from and to (in Unix
// seconds), or is nil.
//
// API reference: GET /rest/v1/payments, https://developers.paysera.com/api/wallet/
func (s PaymentsService) List(ctx context.Context, filter url.Values, o ListOptions, opts ...tillroute.CallOption) (Page[Payment], error) {
	return listPage[Payment](ctx, s.c, paymentsList, "payments", filter, o, opts)
}

// All returns the payments page by page as they are needed. An error comes once, with a zero Payment, and ends the walk.
//
// API reference: GET /rest/v1/payments, https://developers.paysera.com/api/wallet/
func (s PaymentsService) All(ctx context.Context, filter url.Values, o ListOptions, opts ...tillroute.CallOption) iter.Seq2[Payment, error] {
	return all[Payment](ctx, s.c, paymentsList, "payments", filter, o, opts)
}

func getPayment(ctx context.Context, c *core, op operation, r rest.Request, opts []tillroute.CallOption) (Payment, error) {
	payment, err := get[Payment](ctx, c, op, r, opts)
	if err == nil && payment.ID <= 0 {
		return Payment{}, notUnderstood(op.declare(), "the payment has no id")
	}
	return payment, err
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }
