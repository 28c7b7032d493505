package xseries

import (
	"bytes"
	"encoding/json"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// Data is the sell screen's answer to a [DataRequest]: what is to be paid, and what for. Money is in the currency of the
// register's outlet. [Data.Charge] says what to do.
type Data struct {
	// Success is true if the sell screen could answer.
	Success bool
	// Payment is what is to be paid now.
	Payment DataPayment
	// Sale is what it is for. The vendor documents parts of it only.
	Sale DataSale
	// Raw is the whole message as it came, with the fields that this package doesn't know.
	Raw json.RawMessage
}

// DataPayment is the payment that a DATA message asks for.
type DataPayment struct {
	// RegisterID is the register that asks.
	RegisterID string
	// Amount is what to charge, as it came: "8.00". A negative one is a refund. It is less than the sale's total if a part
	// was paid already.
	Amount string
}

// DataSale is the sale that a DATA message belongs to. Fields that are missing or can't be read are zero.
type DataSale struct {
	// ID and ClientSaleID are the same in all known examples.
	ID, ClientSaleID string
	// ClientID says what kind of till it is: "web_register" in a browser.
	ClientID string
	// CustomerID is the customer's, or empty.
	CustomerID string
	Totals     DataTotals
	LineItems  []DataLineItem
	// Discount is an object whose fields aren't documented. It is kept as it came.
	Discount json.RawMessage
}

// DataTotals are a sale's sums. Price is without tax, Paid is what was paid before, and ToPay is the whole sale with its tax, not
// what remains to be paid.
type DataTotals struct{ Tax, Price, Paid, ToPay decimal.Decimal }

// DataLineItem is something that is sold. UnitTax is the tax on top of UnitPrice, and TaxRate a factor: 0.15 is 15 %. Whether
// Discount is that of a unit or of the line isn't documented.
type DataLineItem struct {
	ProductID, Name, SKU, TaxID, ImageURL           string
	Quantity, UnitPrice, UnitTax, TaxRate, Discount decimal.Decimal
}

// Step returns [StepData].
func (Data) Step() Step { return StepData }

// fields gives the message as it came. A Data that was not parsed is made from its fields that matter.
func (d Data) fields() ([]field, map[string]json.RawMessage) {
	if raw, err := wire.Object(d.Raw); err == nil {
		return nil, raw
	}
	return []field{
		{"success", d.Success},
		{"payment", struct {
			RegisterID string `json:"register_id"`
			Amount     string `json:"amount"`
		}{d.Payment.RegisterID, d.Payment.Amount}},
	}, nil
}

func parseData(text []byte, fields map[string]json.RawMessage) Data {
	d := Data{Raw: bytes.Clone(text)}
	var success wire.Bool
	_ = json.Unmarshal(fields["success"], &success)
	d.Success = bool(success)
	// A register or an amount that is there twice is not one.
	if payment, err := wire.Object(fields["payment"]); err == nil {
		d.Payment = DataPayment{wire.Scalar(payment["register_id"]), wire.Scalar(payment["amount"])}
	}
	d.Sale = parseSale(fields["register_sale"])
	return d
}

func parseSale(raw json.RawMessage) DataSale {
	var w struct {
		ID           wire.Text       `json:"id"`
		ClientSaleID wire.Text       `json:"client_sale_id"`
		ClientID     wire.Text       `json:"client_id"`
		CustomerID   wire.Text       `json:"customer_id"`
		Totals       json.RawMessage `json:"totals"`
		LineItems    json.RawMessage `json:"line_items"`
		Discount     json.RawMessage `json:"discount"`
	}
	// What can't be read stays zero: the sale is for people, the payment doesn't depend on it.
	_ = json.Unmarshal(raw, &w)
	var totals struct {
		Tax   wire.Decimal `json:"total_tax"`
		Price wire.Decimal `json:"total_price"`
		Paid  wire.Decimal `json:"total_paid"`
		ToPay wire.Decimal `json:"total_to_pay"`
	}
	_ = json.Unmarshal(w.Totals, &totals)
	var items []struct {
		ProductID wire.Text    `json:"product_id"`
		Name      wire.Text    `json:"name"`
		SKU       wire.Text    `json:"sku"`
		TaxID     wire.Text    `json:"tax_id"`
		ImageURL  wire.Text    `json:"image_url"`
		Quantity  wire.Decimal `json:"quantity"`
		UnitPrice wire.Decimal `json:"unit_price"`
		UnitTax   wire.Decimal `json:"unit_tax"`
		TaxRate   wire.Decimal `json:"tax_rate"`
		Discount  wire.Decimal `json:"discount"`
	}
	_ = json.Unmarshal(w.LineItems, &items)
	sale := DataSale{
		ID:           string(w.ID),
		ClientSaleID: string(w.ClientSaleID),
		ClientID:     string(w.ClientID),
		CustomerID:   string(w.CustomerID),
		Totals: DataTotals{
			Tax:   decimal.Decimal(totals.Tax),
			Price: decimal.Decimal(totals.Price),
			Paid:  decimal.Decimal(totals.Paid),
			ToPay: decimal.Decimal(totals.ToPay),
		},
		Discount: w.Discount,
	}
	for _, item := range items {
		sale.LineItems = append(sale.LineItems, DataLineItem{
			ProductID: string(item.ProductID),
			Name:      string(item.Name),
			SKU:       string(item.SKU),
			TaxID:     string(item.TaxID),
			ImageURL:  string(item.ImageURL),
			Quantity:  decimal.Decimal(item.Quantity),
			UnitPrice: decimal.Decimal(item.UnitPrice),
			UnitTax:   decimal.Decimal(item.UnitTax),
			TaxRate:   decimal.Decimal(item.TaxRate),
			Discount:  decimal.Decimal(item.Discount),
		})
	}
	return sale
}

// Charge is what a payment page has to do.
type Charge struct {
	// RegisterID is the register that the money is asked for at.
	RegisterID string
	// Kind is [pairing.Purchase], or [pairing.Refund] if the sell screen asked for a negative amount.
	Kind pairing.Kind
	// Amount is above zero.
	Amount decimal.Decimal
	// SaleID is the sale's, or empty. A sale may be paid in several parts, also of the same amount.
	SaleID string
}

// Charge returns what the message asks for. The amount is that of its payment and nothing else. A message that says it is
// no success, has no register, or no amount other than zero that can be read exactly, is an error of kind Invalid.
func (d Data) Charge() (Charge, error) {
	const operation = "Data.Charge"
	if !d.Success {
		return Charge{}, tillroute.Invalid(System, operation, "the sell screen says that it has no data")
	}
	if d.Payment.RegisterID == "" {
		return Charge{}, tillroute.Invalid(System, operation, "the message has no payment.register_id")
	}
	kind, amount, err := readAmount(operation, "payment.amount", d.Payment.Amount)
	if err != nil {
		return Charge{}, err
	}
	return Charge{RegisterID: d.Payment.RegisterID, Kind: kind, Amount: amount, SaleID: d.Sale.ID}, nil
}

// readAmount reads an amount whose sign says what to do.
func readAmount(operation, name, text string) (pairing.Kind, decimal.Decimal, error) {
	if text == "" {
		return "", decimal.Decimal{}, tillroute.Invalid(System, operation, "there is no %s", name)
	}
	amount, ok := wire.ParseDecimal(text)
	switch {
	case !ok:
		return "", decimal.Decimal{}, tillroute.Invalid(System, operation, "%s %.40q is not an amount", name, text)
	case amount.IsZero():
		return "", decimal.Decimal{}, tillroute.Invalid(System, operation, "%s is zero", name)
	case amount.IsNegative():
		return pairing.Refund, amount.Neg(), nil
	default:
		return pairing.Purchase, amount, nil
	}
}
