package smartconnect

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
)

// Type is what a transaction does, as the vendor names it. Types that this package has no name for work with
// [Client.Start].
type Type string

// The types that this package has methods for.
const (
	CardPurchase Type = "Card.Purchase"
	CardRefund   Type = "Card.Refund"

	terminalGetStatus Type = "Terminal.GetStatus"
)

// Transaction is one that was started, and what it takes to follow it. Write it down before waiting for it: without
// its polling URL nobody can learn how it ended.
type Transaction struct {
	// ID is the server's name for it. It may be empty.
	ID string
	// Type is what it does.
	Type Type
	// Amount is what was asked for, if money was. It stands in for the charged amount if an approval names none.
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
// [pairing.ErrNotPaired]; both mean that nothing was started. An error that matches [tillroute.ErrOutcomeUnknown] may
// have started it: there is no way to find out but at the terminal. It is never sent again.
//
// API reference: http://smartpaydev.com/reference/transaction-types.html
func (c *Client) Purchase(ctx context.Context, registerID tillroute.Secret, amount decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return c.startTotal(ctx, "Purchase", registerID, CardPurchase, amount, opts)
}

// Refund asks the register's terminal to give amount back to a card. The amount is positive. Nothing links it to an
// earlier purchase. It works like [Client.Purchase] in every other way.
//
// API reference: http://smartpaydev.com/reference/transaction-types.html
func (c *Client) Refund(ctx context.Context, registerID tillroute.Secret, amount decimal.Decimal, opts ...tillroute.CallOption) (Transaction, error) {
	return c.startTotal(ctx, "Refund", registerID, CardRefund, amount, opts)
}

// Start begins a transaction of any type, with the fields that the type has in the vendor's reference: amounts in whole
// cents, as text. It is for types that this package has no method for. The fields that identify the register, and the
// mode, can't be changed. The errors are those of [Client.Purchase].
//
// API reference: http://smartpaydev.com/reference/transaction-endpoint.html
func (c *Client) Start(ctx context.Context, registerID tillroute.Secret, kind Type, fields url.Values, opts ...tillroute.CallOption) (Transaction, error) {
	return c.start(ctx, "Start", registerID, kind, fields, opts)
}

// startTotal starts a transaction that has one amount, AmountTotal.
func (c *Client) startTotal(ctx context.Context, operation string, registerID tillroute.Secret, kind Type, amount decimal.Decimal, opts []tillroute.CallOption) (Transaction, error) {
	if err := c.ready(operation); err != nil {
		return Transaction{}, err
	}
	cents, err := c.c.cents(operation, amount)
	if err != nil {
		return Transaction{}, err
	}
	t, err := c.start(ctx, operation, registerID, kind, url.Values{"AmountTotal": {cents}}, opts)
	if err != nil {
		return Transaction{}, err
	}
	t.Amount = amount
	return t, nil
}

// cents returns a positive amount as it goes over the wire.
func (c *core) cents(operation string, amount decimal.Decimal) (string, error) {
	cents, err := tillroute.ToMinor(amount, c.config.Currency)
	if err != nil {
		return "", tillroute.Invalid(Provider, operation, "%s", message(err))
	}
	if cents <= 0 {
		return "", tillroute.Invalid(Provider, operation, "the amount is %s %s: it must be above zero", amount, c.config.Currency)
	}
	return strconv.FormatInt(cents, 10), nil
}

func (c *Client) start(ctx context.Context, operation string, registerID tillroute.Secret, kind Type, fields url.Values, opts []tillroute.CallOption) (Transaction, error) {
	if err := c.ready(operation); err != nil {
		return Transaction{}, err
	}
	if registerID == "" {
		return Transaction{}, tillroute.Invalid(Provider, operation, "the register ID is missing")
	}
	if kind == "" {
		return Transaction{}, tillroute.Invalid(Provider, operation, "the type of the transaction is missing")
	}
	form := url.Values{}
	maps.Copy(form, fields)
	maps.Copy(form, c.c.identity(registerID))
	// Without the mode the server keeps the request open until the terminal is done.
	form.Set("TransactionMode", "ASYNC")
	form.Set("TransactionType", string(kind))

	var body json.RawMessage
	err := c.c.send.Do(ctx, &rest.Operation{Name: operation, Method: http.MethodPost, Path: "/Transaction"},
		rest.Request{Form: form, Secrets: []string{registerID.Reveal()}}, &body, opts...)
	if err != nil {
		return Transaction{}, err
	}
	answer, err := parseEnvelope(body)
	if err != nil {
		return Transaction{}, unknown(operation, "the answer can't be understood ("+err.Error()+"): look at the terminal")
	}
	t := Transaction{
		ID:         answer.text("transactionId"),
		Type:       kind,
		PollingURL: tillroute.Secret(answer.data.text("PollingUrl")),
		DeviceID:   answer.deviceID(),
	}
	if err := c.c.checkPollingURL(t.PollingURL); err != nil {
		return Transaction{}, unknown(operation, "transaction "+strconv.Quote(t.ID)+" was taken, but "+err.Error()+": look at the terminal")
	}
	return t, nil
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
