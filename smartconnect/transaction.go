package smartconnect

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
)

// Type is what a transaction does, as the vendor names it. Types that this package has no name for work with
// [Register.Start].
type Type string

// The types that may move money.
const (
	CardPurchase         Type = "Card.Purchase"
	CardRefund           Type = "Card.Refund"
	CardPurchasePlusCash Type = "Card.PurchasePlusCash"
	CardCashAdvance      Type = "Card.CashAdvance"
	CardAuthorise        Type = "Card.Authorise"
	CardFinalise         Type = "Card.Finalise"
	QRMerchantPurchase   Type = "QR.Merchant.Purchase"
	QRConsumerPurchase   Type = "QR.Consumer.Purchase"
	QRRefund             Type = "QR.Refund"
)

// The types that move none.
const (
	AcquirerLogon             Type = "Acquirer.Logon"
	AcquirerSettlementInquiry Type = "Acquirer.Settlement.Inquiry"
	AcquirerSettlementCutover Type = "Acquirer.Settlement.Cutover"
	JournalReprintReceipt     Type = "Journal.ReprintReceipt"
	JournalGetTransResult     Type = "Journal.GetTransResult"
	TerminalGetStatus         Type = "Terminal.GetStatus"
	TerminalReadCard          Type = "Terminal.ReadCard"
)

// payment reports whether the type is known to move money, if it succeeds.
func (t Type) payment() bool {
	switch t {
	case CardPurchase, CardRefund, CardPurchasePlusCash, CardCashAdvance, CardAuthorise, CardFinalise,
		QRMerchantPurchase, QRConsumerPurchase, QRRefund:
		return true
	default:
		return false
	}
}

// request reports whether the type is known to move no money, whatever its answer says.
func (t Type) request() bool {
	return t.question() || t == AcquirerLogon || t == AcquirerSettlementCutover
}

// question reports whether the type is known to change nothing, so that it may be asked again.
func (t Type) question() bool {
	switch t {
	case AcquirerSettlementInquiry, JournalReprintReceipt, JournalGetTransResult, TerminalGetStatus, TerminalReadCard:
		return true
	default:
		return false
	}
}

// judge says of an error that it leaves nothing open, if it is one of a question.
func (t Type) judge(err error) error {
	if e, ok := errors.AsType[*tillroute.Error](err); ok && t.question() {
		e.Outcome = tillroute.Failed
	}
	return err
}

// Transaction is one that was started, and what it takes to follow it. Write it down before waiting for it: without
// its polling URL nobody can learn how it ended. As JSON, and in every other text, the polling URL is redacted: what is to
// be kept is PollingURL.Reveal().
type Transaction struct {
	// ID is the server's name for it. It may be empty.
	ID string
	// Type is what it does.
	Type Type
	// Amount is what was asked for, if money was, in units of Config.Currency; [Register.Start] leaves it at zero. It stands in
	// for the charged amount if an approval names none.
	Amount decimal.Decimal
	// PollingURL is where its result can be had, for about 15 minutes from the start.
	PollingURL tillroute.Secret
	// DeviceID is the terminal that it went to, if the server said so.
	DeviceID string
}

// Purchase asks the register's terminal to take amount from a card.
//
// It returns as soon as the terminal's side has taken the transaction; [Client.Await] gives the result. amount is above
// zero, with no more than two decimals. A terminal that is occupied is an error of kind Busy, an unpaired register is
// [pairing.ErrNotPaired], and what can't be sent is of kind Invalid: nothing was started then. An error that matches
// [tillroute.ErrOutcomeUnknown] may have started it: there is no way to find out but at the terminal. It is never sent again.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) Purchase(ctx context.Context, amount decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return r.pay(ctx, "Purchase", CardPurchase, opts, total(amount))
}

// Refund asks the register's terminal to give amount back to a card. The amount is positive. Nothing links it to an
// earlier purchase. It works like [Register.Purchase] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) Refund(ctx context.Context, amount decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return r.pay(ctx, "Refund", CardRefund, opts, total(amount))
}

// PurchasePlusCash asks the register's terminal to take total from a card, of which cash is handed out at the till: total
// includes it. A purchase of 40 with 20 in cash has a total of 60. cash is above zero and not above total. Hand it out only
// when the transaction is approved. It works like [Register.Purchase] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) PurchasePlusCash(ctx context.Context, total, cash decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return r.pay(ctx, "PurchasePlusCash", CardPurchasePlusCash, opts, field{"AmountTotal", total}, field{"AmountCash", cash})
}

// CashAdvance asks the register's terminal to take amount from a card, all of which is handed out in cash. Hand it out only
// when the transaction is approved. It works like [Register.Purchase] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) CashAdvance(ctx context.Context, amount decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return r.pay(ctx, "CashAdvance", CardCashAdvance, opts, total(amount))
}

// Authorise asks the register's terminal to hold amount on a card, without taking it: [Register.Finalise] does, by the same
// reference. A reference is required, and it is the caller's to make sure that no two open authorisations share one.
// Approved means that the amount is held. It works like [Register.Purchase] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) Authorise(ctx context.Context, amount decimal.Decimal, reference string, opts ...tillroute.CallOption) (Transaction, error) {
	return r.payReferenced(ctx, "Authorise", CardAuthorise, field{"AmountAuth", amount}, reference, opts)
}

// Finalise asks the register's terminal to take amount of what was authorised under reference. Whether it may differ from
// the authorised amount is between the merchant and the acquirer. It works like [Register.Purchase] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) Finalise(ctx context.Context, amount decimal.Decimal, reference string, opts ...tillroute.CallOption) (Transaction, error) {
	return r.payReferenced(ctx, "Finalise", CardFinalise, field{"AmountFinal", amount}, reference, opts)
}

// QRMerchantPurchase asks the register's terminal to show a code that the customer pays amount by, from a wallet such as
// WeChat Pay or Alipay. It is the kind of QR purchase that the vendor prefers. It works like [Register.Purchase] in every
// other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) QRMerchantPurchase(ctx context.Context, amount decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return r.pay(ctx, "QRMerchantPurchase", QRMerchantPurchase, opts, total(amount))
}

// QRConsumerPurchase asks the register's terminal to read the code that the customer shows, and to take amount. It works
// like [Register.Purchase] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) QRConsumerPurchase(ctx context.Context, amount decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return r.pay(ctx, "QRConsumerPurchase", QRConsumerPurchase, opts, total(amount))
}

// QRRefund asks the register's terminal to give amount back to a wallet. The amount is positive. It works like
// [Register.Purchase] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
func (r Register) QRRefund(ctx context.Context, amount decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return r.pay(ctx, "QRRefund", QRRefund, opts, total(amount))
}

// Start begins a transaction of any type, with the fields that the type has in the vendor's reference: amounts in whole
// cents, as text. It is for types that this package has no method for. The fields that identify the register, and the
// mode, can't be changed. The errors are those of [Register.Purchase].
//
// Follow what moves money with [Client.Await], and everything else with [Client.AwaitReport].
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-endpoint.html
func (r Register) Start(ctx context.Context, kind Type, fields url.Values, opts ...tillroute.CallOption) (Transaction, error) {
	return r.start(ctx, "Start", kind, fields, opts)
}

// field is an amount of a transaction and the vendor's name for it.
type field struct {
	name   string
	amount decimal.Decimal
}

func total(amount decimal.Decimal) field { return field{"AmountTotal", amount} }

// pay starts a transaction of these amounts. The first is what is asked for, and includes the others.
func (r Register) pay(ctx context.Context, operation string, kind Type, opts []tillroute.CallOption, amounts ...field) (Transaction, error) {
	return r.payWith(ctx, operation, kind, url.Values{}, opts, amounts...)
}

// payReferenced starts a transaction that is found again by a reference.
func (r Register) payReferenced(ctx context.Context, operation string, kind Type, amount field, reference string, opts []tillroute.CallOption) (Transaction, error) {
	switch {
	case strings.TrimSpace(reference) == "":
		return Transaction{}, tillroute.Invalid(Provider, operation, "the reference is missing: an authorisation is finalised by it")
	case !utf8.ValidString(reference):
		return Transaction{}, tillroute.Invalid(Provider, operation, "the reference is not valid UTF-8")
	}
	return r.payWith(ctx, operation, kind, url.Values{"TransactionReference": {reference}}, opts, amount)
}

func (r Register) payWith(ctx context.Context, operation string, kind Type, fields url.Values, opts []tillroute.CallOption, amounts ...field) (Transaction, error) {
	if r.form == nil {
		return r.start(ctx, operation, kind, nil, nil) // It says what is wrong.
	}
	if err := r.client.ready(operation); err != nil {
		return Transaction{}, err
	}
	var most int64
	for i, f := range amounts {
		cents, err := r.client.c.cents(operation, f.amount)
		if err != nil {
			return Transaction{}, err
		}
		if i == 0 {
			most = cents
		}
		if cents > most {
			return Transaction{}, tillroute.Invalid(Provider, operation, "the cash is more than the total, which includes it")
		}
		fields.Set(f.name, strconv.FormatInt(cents, 10))
	}
	t, err := r.start(ctx, operation, kind, fields, opts)
	if err != nil {
		return Transaction{}, err
	}
	t.Amount = amounts[0].amount
	return t, nil
}

// cents returns a positive amount as it goes over the wire.
func (c *core) cents(operation string, amount decimal.Decimal) (int64, error) {
	cents, err := tillroute.ToMinor(amount, c.config.Currency)
	if err != nil {
		return 0, tillroute.Invalid(Provider, operation, "%s", message(err))
	}
	if cents <= 0 {
		return 0, tillroute.Invalid(Provider, operation, "the amount is %s %s: it must be above zero", amount, c.config.Currency)
	}
	return cents, nil
}

func (r Register) start(ctx context.Context, operation string, kind Type, fields url.Values, opts []tillroute.CallOption) (Transaction, error) {
	request, err := r.request(operation)
	if err != nil {
		return Transaction{}, err
	}
	if kind == "" {
		return Transaction{}, tillroute.Invalid(Provider, operation, "the type of the transaction is missing")
	}
	form := maps.Clone(request.Form)
	for name, values := range fields {
		// However it is spelled: whether the server minds is not known.
		if !fixed(request.Form, name) {
			form[name] = values
		}
	}
	// Without the mode the server keeps the request open until the terminal is done.
	form.Set("TransactionMode", "ASYNC")
	form.Set("TransactionType", string(kind))
	request.Form = form

	c := r.client.c
	var answer envelope
	err = c.send.Do(ctx, &rest.Operation{Name: operation, Method: http.MethodPost, Path: "/Transaction"}, request, &answer, opts...)
	if err != nil {
		return Transaction{}, kind.judge(err)
	}
	if err := answer.problem; err != nil {
		return Transaction{}, kind.judge(unknown(operation, "the answer can't be understood ("+err.Error()+"): look at the terminal"))
	}
	t := Transaction{
		ID:         answer.text("transactionId"),
		Type:       kind,
		PollingURL: tillroute.Secret(answer.data.text("PollingUrl")),
		DeviceID:   answer.deviceID(),
	}
	if err := c.checkPollingURL(t.PollingURL); err != nil {
		return Transaction{}, kind.judge(unknown(operation, "transaction "+strconv.Quote(t.ID)+" was taken, but "+err.Error()+": look at the terminal"))
	}
	return t, nil
}

// fixed reports whether a field is not the caller's to set: one of the register's form, or one of the two that every
// transaction has.
func fixed(register url.Values, name string) bool {
	for own := range register {
		if strings.EqualFold(own, name) {
			return true
		}
	}
	return strings.EqualFold(name, "TransactionMode") || strings.EqualFold(name, "TransactionType")
}

// vendorDomain is where polling URLs may lead when BaseURL is there too, whatever the host.
const vendorDomain = ".smart-connect.cloud"

// checkPollingURL refuses what a polling URL of this server can't be: it holds a token, and what it answers decides
// about money. Its errors don't show it.
func (c *core) checkPollingURL(secret tillroute.Secret) error {
	if secret == "" {
		return errNoPollingURL
	}
	u, err := url.Parse(secret.Reveal())
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errBadPollingURL
	}
	base := c.send.BaseURL()
	if u.Scheme == base.Scheme && strings.EqualFold(u.Host, base.Host) {
		return nil
	}
	if u.Scheme == "https" && base.Scheme == "https" && u.Port() == "" && vendorHost(u) && vendorHost(base) {
		return nil
	}
	return errForeignPollingURL
}

func vendorHost(u *url.URL) bool {
	return strings.HasSuffix(strings.ToLower(u.Hostname()), vendorDomain)
}
