package kseries

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// ChecksService reads checks. It needs the scope orders-api.
type ChecksService struct{ c *core }

// List returns the open checks of the day at a business location.
//
// API reference: GET /o/op/1/order/table/getCheck, https://api-docs.lsk.lightspeed.app/operation/operation-apegetcheck
func (s ChecksService) List(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) ([]Check, error) {
	var answer []Check
	err := s.c.located(ctx, checksList, businessLocationID, rest.Request{}, &answer, opts)
	return answer, err
}

// ByTable returns the open check of a table, the oldest if there are several, or an error of kind NotFound. number is that of
// the [Table].
//
// API reference: GET /o/op/1/order/table/{tableNumber}/getCheck, https://api-docs.lsk.lightspeed.app/operation/operation-apechecklookup
func (s ChecksService) ByTable(ctx context.Context, businessLocationID, number int64, opts ...tillroute.CallOption) (Check, error) {
	var answer Check
	err := s.c.located(ctx, checksByTable, businessLocationID, rest.Request{Args: []string{id(number)}}, &answer, opts)
	return answer, named(checksByTable, err, answer)
}

// Get returns the check of that account identifier, such as A1234.56, or an error of kind NotFound. One that can't be an
// identifier is an error of kind Invalid.
//
// API reference: GET /o/op/1/order/accounts/{accountIdentifier}, https://api-docs.lsk.lightspeed.app/operation/operation-apechecklookupwithaccountidentifier
func (s ChecksService) Get(ctx context.Context, businessLocationID int64, accountIdentifier string, opts ...tillroute.CallOption) (Check, error) {
	var answer Check
	err := s.c.located(ctx, checksGet, businessLocationID, rest.Request{Args: []string{accountIdentifier}}, &answer, opts)
	return answer, named(checksGet, err, answer)
}

// named makes sure that a check has what it can be paid by. Without that, an answer of another kind would pass for a check.
func named(op operation, err error, c Check) error {
	if err == nil && c.AccountIdentifier == "" {
		return noData(op, "ikaccountId")
	}
	return err
}

// located makes a call whose query names the business location.
func (c *core) located(ctx context.Context, op operation, businessLocationID int64, r rest.Request, out any, opts []tillroute.CallOption) error {
	var wrong problems
	if wrong.location(businessLocationID); len(wrong) > 0 {
		return wrong.err(op)
	}
	query := at(businessLocationID)
	maps.Copy(query, r.Query)
	r.Query = query
	return c.do(ctx, op, r, out, opts)
}

// Check is an open account, as it was when it was asked for. Fields that the server left out, or wrote in a way that can't be
// read, are zero. It has no currency: see [FinanceService.Businesses].
type Check struct {
	// AccountIdentifier names the check, such as A1234.56: it is what [Payment] wants. It may be empty in notifications.
	AccountIdentifier string
	UUID              string
	// Name is for people, such as ORDER A1C2E.
	Name string
	// Total and Paid are what the check comes to, and what was paid of it. They are not valid if the server left them out.
	Total, Paid decimal.NullDecimal
	// ServiceCharge is the check's. Whether Total has it in it isn't documented.
	ServiceCharge decimal.Decimal
	// OpenedAt and ClosedAt are in UTC. Zero means not known, or not closed.
	OpenedAt, ClosedAt time.Time
	// ClientCount is how many guests there are.
	ClientCount int64
	// StaffID and StaffName are who is responsible.
	StaffID   int64
	StaffName string
	// TableNumber is 0 without a table.
	TableNumber int64
	// POSID is the vendor's name for the point of sale.
	POSID int64
	// Sales and Payments are what was ordered, and what was paid. In notifications the [Endpoint] must ask for them.
	Sales    []Sale
	Payments []PaymentEntry
}

// Due returns what is still to be paid. It returns false if the server didn't say both amounts: then nobody knows.
func (c Check) Due() (decimal.Decimal, bool) {
	if !c.Total.Valid || !c.Paid.Valid {
		return decimal.Decimal{}, false
	}
	return c.Total.Decimal.Sub(c.Paid.Decimal), true
}

// Payment returns the entry of the payment that was applied under that reference. There being one proves that it was applied;
// there being none proves nothing as long as its time to live hasn't ended. Of several it prefers one that is active.
func (c Check) Payment(reference string) (PaymentEntry, bool) {
	var found PaymentEntry
	ok := false
	for _, p := range c.Payments {
		if reference != "" && p.Reference == reference && (!ok || found.Inactive) {
			found, ok = p, true
		}
	}
	return found, ok
}

// Sale is a line of a check. Amounts are in units of the business's currency. The vendor's examples are of a quantity of 1: whether
// the amounts with and without tax are those of the whole line isn't documented.
type Sale struct {
	ID               int64
	UUID, Name, SKU  string
	UnitAmount       decimal.Decimal
	GrossUnitAmount  decimal.Decimal
	Quantity         decimal.Decimal
	AmountWithTax    decimal.Decimal
	AmountLessTax    decimal.Decimal
	DiscountedAmount decimal.Decimal
	TaxIncluded      bool
	Modifiers        []SaleModifier
	SubItems         []Sale
	// At is in UTC.
	At time.Time
}

// SaleModifier says how something is to be done, such as Rare.
type SaleModifier struct {
	Name     string
	Quantity int64
}

// PaymentEntry is a payment that was applied to a check.
type PaymentEntry struct {
	// Method is the code of the payment method, and Description its name.
	Method, Description string
	// Reference is that of [Payment], for those that were applied by this API.
	Reference string
	// Amount is what was paid. It is not valid if the server left it out.
	Amount decimal.NullDecimal
	// At is in UTC.
	At time.Time
	// Inactive says that the entry no longer counts. One that doesn't say is active.
	Inactive bool
}

// UnmarshalJSON reads a check as the API sends it, and as notifications do.
func (c *Check) UnmarshalJSON(data []byte) error {
	var w checkWire
	if err := object(data, &w); err != nil {
		return err
	}
	*c = w.check()
	return nil
}

type checkWire struct {
	AccountIdentifier wire.Text    `json:"ikaccountId"`
	UUID              wire.Text    `json:"uuid"`
	Name              wire.Text    `json:"name"`
	Total             amount       `json:"currentAmount"`
	Paid              amount       `json:"paidAmount"`
	ServiceCharge     wire.Decimal `json:"serviceCharge"`
	OpenDate          wire.Time    `json:"openDate"`
	CloseDate         wire.Time    `json:"closeDate"`
	ClientCount       wire.Int     `json:"clientCount"`
	StaffID           wire.Int     `json:"staffId"`
	StaffName         wire.Text    `json:"staffName"`
	TableNumber       wire.Int     `json:"tableNumber"`
	POSID             wire.Int     `json:"posId"`
	Sales             []saleWire   `json:"salesEntries"`
	Payments          []entryWire  `json:"paymentEntries"`
}

// saleWire has no decoder of its own: lines are nested, and each would read all of what is below once more.
type saleWire struct {
	ID               wire.Int     `json:"id"`
	UUID             wire.Text    `json:"uuid"`
	Name             wire.Text    `json:"itemName"`
	SKU              wire.Text    `json:"itemSku"`
	UnitAmount       wire.Decimal `json:"unitAmount"`
	GrossUnitAmount  wire.Decimal `json:"grossUnitAmount"`
	Quantity         wire.Decimal `json:"quantity"`
	AmountWithTax    wire.Decimal `json:"amountWithTax"`
	AmountLessTax    wire.Decimal `json:"amountLessTax"`
	DiscountedAmount wire.Decimal `json:"discountedAmount"`
	TaxIncluded      wire.Bool    `json:"taxIncluded"`
	At               wire.Time    `json:"timeOfTransactionUtc"`
	SubItems         []saleWire   `json:"subLineItems"`
	Modifiers        []struct {
		Name     wire.Text `json:"name"`
		Quantity wire.Int  `json:"quantity"`
	} `json:"modifiers"`
}

type entryWire struct {
	Method      wire.Text `json:"paymentMethodCode"`
	Description wire.Text `json:"paymentMethodDescription"`
	Reference   wire.Text `json:"externalReference"`
	Amount      amount    `json:"amountPaid"`
	At          wire.Time `json:"paymentDate"`
	Active      yes       `json:"active"`
}

func (w checkWire) check() Check {
	c := Check{
		AccountIdentifier: string(w.AccountIdentifier),
		UUID:              string(w.UUID),
		Name:              string(w.Name),
		Total:             decimal.NullDecimal(w.Total),
		Paid:              decimal.NullDecimal(w.Paid),
		ServiceCharge:     decimal.Decimal(w.ServiceCharge),
		OpenedAt:          time.Time(w.OpenDate),
		ClosedAt:          time.Time(w.CloseDate),
		ClientCount:       int64(w.ClientCount),
		StaffID:           int64(w.StaffID),
		StaffName:         string(w.StaffName),
		TableNumber:       int64(w.TableNumber),
		POSID:             int64(w.POSID),
		Sales:             sales(w.Sales),
	}
	for _, p := range w.Payments {
		c.Payments = append(c.Payments, PaymentEntry{
			Method: string(p.Method), Description: string(p.Description), Reference: string(p.Reference),
			Amount: decimal.NullDecimal(p.Amount), At: time.Time(p.At), Inactive: p.Active.said && !p.Active.is,
		})
	}
	return c
}

func sales(list []saleWire) []Sale {
	var read []Sale
	for _, w := range list {
		s := Sale{
			ID:               int64(w.ID),
			UUID:             string(w.UUID),
			Name:             string(w.Name),
			SKU:              string(w.SKU),
			UnitAmount:       decimal.Decimal(w.UnitAmount),
			GrossUnitAmount:  decimal.Decimal(w.GrossUnitAmount),
			Quantity:         decimal.Decimal(w.Quantity),
			AmountWithTax:    decimal.Decimal(w.AmountWithTax),
			AmountLessTax:    decimal.Decimal(w.AmountLessTax),
			DiscountedAmount: decimal.Decimal(w.DiscountedAmount),
			TaxIncluded:      bool(w.TaxIncluded),
			At:               time.Time(w.At),
			SubItems:         sales(w.SubItems),
		}
		for _, m := range w.Modifiers {
			s.Modifiers = append(s.Modifiers, SaleModifier{string(m.Name), int64(m.Quantity)})
		}
		read = append(read, s)
	}
	return read
}

// path returns the arguments of a path.
func path(ids ...int64) []string {
	var args []string
	for _, n := range ids {
		args = append(args, id(n))
	}
	return args
}

// list is a list that knows whether it was there.
type list[T any] struct {
	there bool
	items []T
}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *list[T]) UnmarshalJSON(data []byte) error {
	l.there = string(data) != "null"
	return json.Unmarshal(data, &l.items)
}
