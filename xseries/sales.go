package xseries

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
)

// SalesService reads sales. It needs the scope sales:read.
type SalesService struct{ c *core }

// Get returns the sale of that ID, which is the SaleID of a [Charge], or an error of kind NotFound. Whether a sale can be
// found before its first payment isn't documented.
//
// API reference: GET /api/{version}/sales/{id}, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s SalesService) Get(ctx context.Context, id string, opts ...tillroute.CallOption) (Sale, error) {
	return get[Sale](ctx, s.c, salesGet, id, opts)
}

// List returns a page of sales. The API has no Deleted for them: asking for it is an error of kind Invalid.
//
// API reference: GET /api/{version}/sales, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s SalesService) List(ctx context.Context, o ListOptions, opts ...tillroute.CallOption) (Page[Sale], error) {
	return list[Sale](ctx, s.c, salesList, o, opts)
}

// All returns all sales from o.After on, as [RegistersService.All] does registers. There may be very many.
//
// API reference: GET /api/{version}/sales, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s SalesService) All(ctx context.Context, o ListOptions, opts ...tillroute.CallOption) iter.Seq2[Sale, error] {
	return all[Sale](ctx, s.c, salesList, o, opts)
}

// Changes returns the pages of sales that were changed since the version after, as [RegistersService.Changes] does registers.
// Payments that were announced with [Accept] arrive here.
//
// API reference: GET /api/{version}/sales, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s SalesService) Changes(ctx context.Context, after int64, opts ...tillroute.CallOption) iter.Seq2[Page[Sale], error] {
	return pages[Sale](ctx, s.c, salesList, ListOptions{After: after}, opts)
}

// SaleState is what has become of a sale, in the words of the date versions. Values that are not named here are kept as they
// are.
type SaleState string

// The documented values.
const (
	SaleParked  SaleState = "parked"
	SalePending SaleState = "pending"
	SaleVoided  SaleState = "voided"
	SaleClosed  SaleState = "closed"
)

// SaleStatus is what has become of a sale, in the words of version 2.0. Values that are not named here are kept as they are.
type SaleStatus string

// The documented values.
const (
	StatusSaved            SaleStatus = "SAVED"
	StatusClosed           SaleStatus = "CLOSED"
	StatusOnAccount        SaleStatus = "ONACCOUNT"
	StatusOnAccountClosed  SaleStatus = "ONACCOUNT_CLOSED"
	StatusLayby            SaleStatus = "LAYBY"
	StatusLaybyClosed      SaleStatus = "LAYBY_CLOSED"
	StatusAwaitingDispatch SaleStatus = "AWAITING_DISPATCH"
	StatusAwaitingPickup   SaleStatus = "AWAITING_PICKUP"
	StatusDispatchedClosed SaleStatus = "DISPATCHED_CLOSED"
	StatusPickedUpClosed   SaleStatus = "PICKED_UP_CLOSED"
	StatusVoided           SaleStatus = "VOIDED"
	StatusService          SaleStatus = "SERVICE"
	StatusServiceClosed    SaleStatus = "SERVICE_CLOSED"
)

// Sale is what was sold at a register, and how it was paid. It is the same for all versions of the API. Money is in the
// currency of the outlet. Fields that the server left out, or wrote in a way that can't be read, are zero.
type Sale struct {
	ID                   string
	OutletID, RegisterID string
	// UserID is the cashier, CustomerID may be empty.
	UserID, CustomerID string
	// State is what the date versions say, and Status what version 2.0 says; the other one may be empty.
	State  SaleState
	Status SaleStatus
	// Source says where the sale comes from, and SourceID what it is called there.
	Source, SourceID             string
	InvoiceNumber, ReceiptNumber string
	ShortCode, Note              string
	// TotalPrice is without tax, and Total with it. Version 2.0 doesn't send the latter: it is the sum.
	TotalPrice, TotalTax, Total decimal.Decimal
	// IsReturn says that the sale is a return, of ReturnFor unless that is empty. Version 2.0 only has the latter.
	IsReturn  bool
	ReturnFor string
	// Payments are what was paid. Refunds are negative.
	Payments    []SalePayment
	Adjustments []SaleAdjustment
	// The times are in UTC, and zero if they aren't known. Date is when it was sold. A zero DeletedAt means that the sale isn't
	// deleted.
	Date, CreatedAt, UpdatedAt, DeletedAt time.Time
	// Version grows with each change.
	Version int64
	// Raw is the sale as it came, with the line items and whatever else isn't here.
	Raw json.RawMessage
}

// SalePayment is a payment of a sale. It has nothing to do with the Payments API but its transaction ID.
type SalePayment struct {
	ID                   string
	OutletID, RegisterID string
	// PaymentTypeID is the ID of a [PaymentType], and Name that one's name.
	PaymentTypeID, Name string
	// Amount is negative for a refund.
	Amount decimal.Decimal
	// TransactionID is what the payment page called it in [Accept], or empty. That the vendor puts it there is very likely
	// but not documented. If the payment itself has none it is the first of the Attributes.
	TransactionID string
	Attributes    []PaymentAttribute
	// Surcharge is what the vendor's own features added, and SurchargeRule why.
	Surcharge     decimal.Decimal
	SurchargeRule string
	// The times are in UTC. A zero DeletedAt means that the payment isn't deleted.
	Date, DeletedAt time.Time
}

// PaymentAttribute is what an external system says about a payment.
type PaymentAttribute struct{ Source, TransactionID, CardLastFourDigits string }

// SaleAdjustment changes the total of a sale.
type SaleAdjustment struct {
	Type AdjustmentType
	Name string
	// Total is the sum over the sale.
	Total decimal.Decimal
}

// AdjustmentType says what an adjustment is. Values that are not named here are kept as they are.
type AdjustmentType string

// The documented values.
const (
	AdjustmentNonCashFee AdjustmentType = "NON_CASH_FEE"
	AdjustmentDiscount   AdjustmentType = "DISCOUNT"
	AdjustmentTip        AdjustmentType = "TIP"
	AdjustmentSurcharge  AdjustmentType = "SURCHARGE"
	AdjustmentEcomCharge AdjustmentType = "ECOM_CUSTOM_CHARGE"
)

// PaymentByTransaction returns the payment of the sale that has this transaction ID, wherever the vendor put it, and whether
// there is one. Deleted payments don't count. Compare its Amount too: an approved payment that the sale doesn't have, or has
// with another amount, is one for a person to look at.
//
// That it isn't there yet proves nothing: the sell screen may still have to send it.
func (s Sale) PaymentByTransaction(id string) (SalePayment, bool) {
	if id == "" {
		return SalePayment{}, false
	}
	for _, p := range s.Payments {
		if p.DeletedAt.IsZero() && p.has(id) {
			return p, true
		}
	}
	return SalePayment{}, false
}

func (p SalePayment) has(transactionID string) bool {
	if p.TransactionID == transactionID {
		return true
	}
	for _, a := range p.Attributes {
		if a.TransactionID == transactionID {
			return true
		}
	}
	return false
}

// UnmarshalJSON reads a sale as any version of the API sends it.
func (s *Sale) UnmarshalJSON(data []byte) error {
	var w struct {
		ID            wire.Text       `json:"id"`
		OutletID      wire.Text       `json:"outlet_id"`
		RegisterID    wire.Text       `json:"register_id"`
		UserID        wire.Text       `json:"user_id"`
		CustomerID    wire.Text       `json:"customer_id"`
		State         wire.Text       `json:"state"`
		Status        wire.Text       `json:"status"`
		Source        json.RawMessage `json:"source"`
		SourceID      wire.Text       `json:"source_id"`
		InvoiceNumber wire.Text       `json:"invoice_number"`
		ReceiptNumber wire.Text       `json:"receipt_number"`
		ShortCode     wire.Text       `json:"short_code"`
		Note          wire.Text       `json:"note"`
		TotalPrice    json.RawMessage `json:"total_price"`
		TotalTax      json.RawMessage `json:"total_tax"`
		Totals        json.RawMessage `json:"totals"`
		ReturnFor     wire.Text       `json:"return_for"`
		Return        json.RawMessage `json:"return"`
		Payments      json.RawMessage `json:"payments"`
		Adjustments   json.RawMessage `json:"adjustments"`
		SaleDate      json.RawMessage `json:"sale_date"`
		Date          json.RawMessage `json:"date"`
		CreatedAt     wire.Time       `json:"created_at"`
		UpdatedAt     wire.Time       `json:"updated_at"`
		DeletedAt     wire.Time       `json:"deleted_at"`
		Version       wire.Int        `json:"version"`
		Metadata      json.RawMessage `json:"_metadata"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errNoID
	}
	// Which fields are plain and which are in objects is what tells the versions apart.
	var source struct {
		ID         wire.Text       `json:"id"`
		Type       wire.Text       `json:"type"`
		OutletID   wire.Text       `json:"outlet_id"`
		RegisterID wire.Text       `json:"register_id"`
		Author     json.RawMessage `json:"author"`
	}
	_ = json.Unmarshal(w.Source, &source)
	var author struct {
		ID wire.Text `json:"id"`
	}
	_ = json.Unmarshal(source.Author, &author)
	var totals struct {
		Price   json.RawMessage `json:"price"`
		Tax     json.RawMessage `json:"tax"`
		WithTax json.RawMessage `json:"price_incl_tax"`
	}
	_ = json.Unmarshal(w.Totals, &totals)
	var back struct {
		IsReturn wire.Bool `json:"is_return"`
		Original wire.Text `json:"original_sale_id"`
	}
	_ = json.Unmarshal(w.Return, &back)
	var metadata struct {
		Version wire.Int `json:"version"`
	}
	_ = json.Unmarshal(w.Metadata, &metadata)
	*s = Sale{
		ID:            string(w.ID),
		OutletID:      string(cmp.Or(w.OutletID, source.OutletID)),
		RegisterID:    string(cmp.Or(w.RegisterID, source.RegisterID)),
		UserID:        string(cmp.Or(w.UserID, author.ID)),
		CustomerID:    string(w.CustomerID),
		State:         SaleState(w.State),
		Status:        SaleStatus(w.Status),
		Source:        cmp.Or(wire.Scalar(w.Source), string(source.Type)),
		SourceID:      string(cmp.Or(w.SourceID, source.ID)),
		InvoiceNumber: string(w.InvoiceNumber),
		ReceiptNumber: string(w.ReceiptNumber),
		ShortCode:     string(w.ShortCode),
		Note:          string(w.Note),
		TotalPrice:    money(w.TotalPrice, totals.Price),
		TotalTax:      money(w.TotalTax, totals.Tax),
		ReturnFor:     string(cmp.Or(w.ReturnFor, back.Original)),
		Payments:      payments(w.Payments),
		Adjustments:   adjustments(w.Adjustments),
		Date:          moment(w.SaleDate, w.Date),
		CreatedAt:     time.Time(w.CreatedAt),
		UpdatedAt:     time.Time(w.UpdatedAt),
		DeletedAt:     time.Time(w.DeletedAt),
		Version:       int64(cmp.Or(w.Version, metadata.Version)),
		Raw:           bytes.Clone(data),
	}
	s.IsReturn = bool(back.IsReturn) || s.ReturnFor != ""
	var ok bool
	if s.Total, ok = wire.ParseDecimal(wire.Scalar(totals.WithTax)); !ok {
		s.Total = s.TotalPrice.Add(s.TotalTax)
	}
	return nil
}

// payments reads a list of payments, and leaves it empty if it is anything else.
func payments(data json.RawMessage) []SalePayment {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	var read []SalePayment
	for _, item := range list {
		var w struct {
			ID            wire.Text       `json:"id"`
			OutletID      wire.Text       `json:"outlet_id"`
			RegisterID    wire.Text       `json:"register_id"`
			PaymentTypeID wire.Text       `json:"retailer_payment_type_id"`
			Name          wire.Text       `json:"name"`
			Type          json.RawMessage `json:"type"`
			Amount        wire.Decimal    `json:"amount"`
			SourceID      wire.Text       `json:"source_id"`
			Source        json.RawMessage `json:"source"`
			Attributes    json.RawMessage `json:"external_attributes"`
			Surcharge     json.RawMessage `json:"surcharge"`
			PaymentDate   json.RawMessage `json:"payment_date"`
			Date          json.RawMessage `json:"date"`
			DeletedAt     wire.Time       `json:"deleted_at"`
		}
		if json.Unmarshal(item, &w) != nil {
			continue
		}
		var kind struct {
			ConfigID wire.Text `json:"config_id"`
			Name     wire.Text `json:"name"`
		}
		_ = json.Unmarshal(w.Type, &kind)
		var source struct {
			ID         wire.Text `json:"id"`
			OutletID   wire.Text `json:"outlet_id"`
			RegisterID wire.Text `json:"register_id"`
		}
		_ = json.Unmarshal(w.Source, &source)
		var surcharge struct {
			Rule   wire.Text    `json:"rule"`
			Amount wire.Decimal `json:"amount"`
		}
		_ = json.Unmarshal(w.Surcharge, &surcharge)
		p := SalePayment{
			ID:            string(w.ID),
			OutletID:      string(cmp.Or(w.OutletID, source.OutletID)),
			RegisterID:    string(cmp.Or(w.RegisterID, source.RegisterID)),
			PaymentTypeID: string(cmp.Or(w.PaymentTypeID, kind.ConfigID)),
			Name:          string(cmp.Or(w.Name, kind.Name)),
			Amount:        decimal.Decimal(w.Amount),
			TransactionID: string(cmp.Or(source.ID, w.SourceID)),
			Attributes:    paymentAttributes(w.Attributes),
			Surcharge:     decimal.Decimal(surcharge.Amount),
			SurchargeRule: string(surcharge.Rule),
			Date:          moment(w.PaymentDate, w.Date),
			DeletedAt:     time.Time(w.DeletedAt),
		}
		for _, a := range p.Attributes {
			p.TransactionID = cmp.Or(p.TransactionID, a.TransactionID)
		}
		read = append(read, p)
	}
	return read
}

func paymentAttributes(data json.RawMessage) []PaymentAttribute {
	var list []struct {
		Source        wire.Text `json:"source"`
		TransactionID wire.Text `json:"transaction_id"`
		LastFour      wire.Text `json:"card_last_four_digits"`
	}
	_ = json.Unmarshal(data, &list)
	var read []PaymentAttribute
	for _, a := range list {
		read = append(read, PaymentAttribute{string(a.Source), string(a.TransactionID), string(a.LastFour)})
	}
	return read
}

// adjustments reads a list of adjustments under both of the vendor's spellings: the schema of version 2.0 has adjustment_type
// and value, its example type and value, and the date versions adjustment_type and total.
func adjustments(data json.RawMessage) []SaleAdjustment {
	var list []struct {
		Name           wire.Text       `json:"name"`
		AdjustmentType wire.Text       `json:"adjustment_type"`
		Type           wire.Text       `json:"type"`
		Total          json.RawMessage `json:"total"`
		Value          json.RawMessage `json:"value"`
	}
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	var read []SaleAdjustment
	for _, a := range list {
		read = append(read, SaleAdjustment{AdjustmentType(cmp.Or(a.AdjustmentType, a.Type)), string(a.Name), money(a.Total, a.Value)})
	}
	return read
}

// money returns the first of the values that is an amount.
func money(values ...json.RawMessage) decimal.Decimal {
	for _, value := range values {
		if amount, ok := wire.ParseDecimal(wire.Scalar(value)); ok {
			return amount
		}
	}
	return decimal.Decimal{}
}

// moment returns the first of the values that is a time.
func moment(values ...json.RawMessage) time.Time {
	for _, value := range values {
		var t wire.Time
		if json.Unmarshal(value, &t) == nil && !time.Time(t).IsZero() {
			return time.Time(t)
		}
	}
	return time.Time{}
}
