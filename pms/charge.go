package pms

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
)

// Charge is a bill that the point of sale closed. Nothing in it is certain to be there: a text that is missing or null is empty,
// a time zero, and a number not Valid. IDs are texts, because the vendor writes some of them now as numbers, now as texts.
//
// Amounts are in units of the business's currency, which the vendor doesn't name. Don't expect sums to add up: they don't in the
// vendor's own examples. See [Charge.Totals].
//
// API reference: https://api-docs.lsk.lightspeed.app/
type Charge struct { //nolint:recvcheck // UnmarshalJSON alone changes it.
	// Key is the idempotency key, from the header of the request: the same in all deliveries of one charge. [ParseCharge] leaves
	// it empty.
	Key string

	// Name is the bill's, such as "Table 5".
	Name string
	// OpenDate and CloseDate are in UTC.
	OpenDate, CloseDate time.Time
	// Covers are the guests. A reversal may have a negative number of them.
	Covers decimal.NullDecimal
	// OwnerID and OwnerName are the member of staff whose bill it is.
	OwnerID, OwnerName string
	// DeviceID is the device on which the bill was opened.
	DeviceID string
	// BusinessExternalReference is explained by the vendor in three ways: don't interpret it, compare it.
	BusinessExternalReference string
	// APIKey is what the sender proved itself with.
	APIKey tillroute.Secret
	// ReceiptID is the receipt's number, such as R51.3.
	ReceiptID string
	// FiscID names the bill, such as A1234.5, and so does UUID, in base 64. See [Charge.Account].
	FiscID, UUID string
	// InitialAccountID is the bill that this one began with: its own FiscID, or that of the bill which it takes back or corrects.
	InitialAccountID string
	// Identifier is FiscID, or else UUID.
	//
	// Deprecated: the vendor has deprecated it. Use [Charge.Account].
	Identifier string
	// Receipt and ID are in payloads without being documented. Receipt is kept as it came.
	Receipt json.RawMessage
	ID      string
	// RevenueCenterID and RevenueCenterName are the configuration of the point of sale.
	RevenueCenterID, RevenueCenterName string

	// Transactions are the lines of the bill.
	Transactions []Transaction
	// Payments are all of them, not only those to a room: see [Charge.RoomPayments].
	Payments []Payment
	// ServiceCharge is sent to providers with [ServiceCharges].
	ServiceCharge ServiceCharge

	// Raw is the body as it came, with "[redacted]" for the API key.
	Raw json.RawMessage
}

// LineType is what a line is. Values that are not named here are kept as they are.
type LineType string

// The documented values.
const (
	Sale            LineType = "Sale"
	LineDiscount    LineType = "LineDiscount"
	AccountDiscount LineType = "AccountDiscount"
	PercentItem     LineType = "PercentItem"
)

// Transaction is a line of a bill.
type Transaction struct {
	// UnitAmount is the price of one; discounts have a negative one.
	UnitAmount decimal.NullDecimal
	// Quantity is negative for what is taken back.
	Quantity decimal.NullDecimal
	// Amount is the line's: UnitAmount times Quantity, in the vendor's examples. One page of the vendor says without tax, another with: go by TaxIncluded of the line or of its
	// TaxLines. Where taxes come on top, they were seen as lines of their own.
	Amount decimal.NullDecimal
	// Description is the item's name.
	Description string
	// StaffID and StaffName are the member of staff who processed the line.
	StaffID, StaffName string
	// GroupID and GroupName are the accounting group.
	GroupID, GroupName string
	// TaxID and TaxName are the tax of bills without TaxLines. The vendor has deprecated them, like TaxRate and TaxIncluded.
	TaxID, TaxName string
	// TaxRate is a factor: 1.077 is 7.7 %.
	TaxRate decimal.NullDecimal
	// TaxIncluded is nil if nobody said.
	TaxIncluded *bool
	// SKU is the item's.
	SKU  string
	Type LineType
	// ServiceChargeContribution is the line's part of the service charge.
	ServiceChargeContribution decimal.NullDecimal
	// TaxLines are the taxes on the line. They take the place of TaxID to TaxIncluded.
	TaxLines []TaxLine
}

// TaxLine is a tax on a line of a bill.
type TaxLine struct {
	// TaxID and TaxName are the tax's.
	TaxID, TaxName string
	// TaxAmount is how much of it there is on the line, and in the line's amount if TaxIncluded says so.
	TaxAmount decimal.NullDecimal
	// TaxRate is a factor: 1.1 is 10 %.
	TaxRate decimal.NullDecimal
	// TaxIncluded is nil if nobody said.
	TaxIncluded *bool
}

// RoomMethod is the method code of payments to a room. Merchants must not change it.
const RoomMethod = "IKPMS"

// Payment is one way in which a bill was paid.
type Payment struct {
	// PaymentDate is in UTC.
	PaymentDate time.Time
	// StaffID and StaffName are the member of staff who processed it.
	StaffID, StaffName string
	// Gratuity is the tip. Amount doesn't include it.
	Gratuity, Amount decimal.NullDecimal
	// MethodName and MethodCode are the payment method's. The code is [RoomMethod] for a payment to a room.
	MethodName, MethodCode string
	// ReservationID is what [Backend.Search] answered. It may be missing, also in reversals.
	ReservationID string
}

// ServiceChargeType says how a service charge is taxed. Values that are not named here are kept as they are.
type ServiceChargeType string

// The documented values.
const (
	Untaxed     ServiceChargeType = "UNTAXED"
	Apportioned ServiceChargeType = "APPORTIONED"
)

// ServiceCharge is what the house adds for service. It is zero if there is none, or the provider lacks [ServiceCharges].
type ServiceCharge struct {
	Amount decimal.NullDecimal
	Type   ServiceChargeType
}

// Account names the bill: FiscID, or else UUID. It is empty if the bill has neither.
func (c Charge) Account() string {
	if c.FiscID != "" {
		return c.FiscID
	}
	return c.UUID
}

// ParseUUID reads UUID, which the vendor writes in base 64, of either alphabet. It reports whether there is one.
func (c Charge) ParseUUID() (uuid.UUID, bool) {
	for _, encoding := range []*base64.Encoding{base64.URLEncoding, base64.StdEncoding} {
		if data, err := encoding.DecodeString(c.UUID); err == nil {
			id, err := uuid.FromBytes(data)
			return id, err == nil
		}
	}
	return uuid.Nil, false
}
