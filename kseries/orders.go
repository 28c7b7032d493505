package kseries

import (
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// OrdersService sends orders to the point of sale. It needs the scope orders-api.
type OrdersService struct{ c *core }

// Order is what orders at a table and orders to go have in common.
type Order struct {
	// BusinessLocationID is where the order goes. Required.
	BusinessLocationID int64
	// Reference is yours, as that of a [Payment], but of 48 characters at most. The vendor takes it once. Required.
	Reference string
	// EndpointID is the webhook endpoint that is told what became of the order. Required.
	EndpointID string
	// Customer is who orders. Required.
	Customer Customer
	// Note is printed with the order. Optional.
	Note string
	// TTL is how long the vendor tries to deliver the order to a point of sale, after ScheduledAt if there is one: from a
	// minute to 24 days, in whole milliseconds. The vendor strongly recommends one.
	TTL time.Duration
	// StaffID is who is responsible. Optional.
	StaffID int64
	// ProfileCode is that of a [Profile]. Optional.
	ProfileCode string
	// ScheduledAt is when to send the order to the point of sale: in the future. Zero means now.
	ScheduledAt time.Time
	// Payment says that the order is paid. An order has one at most: further ones are applied with [PaymentsService.Apply].
	Payment *OrderPayment
	// CollectionCode has up to 8 characters. If it is empty the vendor makes one for orders to go.
	CollectionCode string
	// CollectionAt is when the customer is expected: in the future. Optional.
	CollectionAt time.Time
	// Items are what is ordered.
	Items []OrderItem
	// PrinterProfileID is how to print the receipt. Optional.
	PrinterProfileID int64
	// Again says that the order may have been sent before: that an earlier call with the same Reference left it open.
	Again bool
}

// OrderPayment says how an order was paid, in units of the business's currency.
type OrderPayment struct {
	// Method is the code of one of the merchant's payment methods. Optional.
	Method string
	// Total is what was paid with the tip in it: other than in [Payment], where the tip comes on top. Up to 15 digits. Required.
	Total decimal.Decimal
	// Tip is the part of Total that is a tip. Optional.
	Tip decimal.Decimal
}

// Customer is who orders.
type Customer struct {
	// FirstName has 1 to 128 characters. Required.
	FirstName, LastName string
	Salutation          string
	// Email and Phone are optional. Phone is in the form +14155552671.
	Email, Phone string
	// Reference is yours for the customer. It needs an Email; one that another customer has is refused at the point of sale.
	Reference string
	Notes     string
	// SendReceipts says whether a new customer gets receipts by e-mail. Nil leaves it to the vendor.
	SendReceipts *bool
	// EmailNotification says whether to change that setting of a known customer. Empty leaves it to the vendor, whose default
	// is KeepEmail.
	EmailNotification EmailNotification
}

// EmailNotification says what to do about a customer's setting.
type EmailNotification string

// The documented values.
const (
	EnableEmail  EmailNotification = "ENABLE"
	DisableEmail EmailNotification = "DISABLE"
	KeepEmail    EmailNotification = "DONT_CHANGE"
)

// OrderItem is something that is ordered. Amounts are in units of the business's currency.
type OrderItem struct {
	// SKU has 1 to 25 characters. Required.
	SKU string
	// Quantity is above zero. Required.
	Quantity int32
	// Name and Price replace those of an item that permits it. Both are optional.
	Name  string
	Price decimal.NullDecimal
	// ModifierIDs are those of [Modifier].
	ModifierIDs []int64
	// SubItems are what comes with the item, such as a side dish.
	SubItems []OrderItem

	// DiscountCode is that of a [Discount]. DiscountAmount or DiscountPercent, one of them, sets how much a manual one is. Items
	// alone have these three and Course, sub-items don't.
	DiscountCode                    string
	DiscountAmount, DiscountPercent decimal.NullDecimal
	// Course is for orders at a table: 0 or above. Nil means none.
	Course *int32
}

// LocalOrder is one that is served at a table.
type LocalOrder struct {
	Order

	// AccountIdentifier names the check that the order is added to. Empty opens a new one.
	AccountIdentifier string
	// TableNumber is that of a [Table]. It can't change when an order is added to a check, nor can ClientCount. 0 means none.
	TableNumber int64
	// ClientCount is how many people there are. 0 means that it isn't said.
	ClientCount int32
}

// ToGoOrder is one that is collected or delivered.
type ToGoOrder struct {
	Order

	// Address is where to deliver to. Nil means that the order is collected.
	Address *Address
}

// Address is where an order is delivered.
type Address struct {
	Line1 string `json:"addressLine1"`
	Line2 string `json:"addressLine2"`
	Zip   string `json:"zip"`
	City  string `json:"city"`
}

// Local submits an order at a table. That it returns no error means that the vendor will try to deliver the order, and nothing
// more. References, lost answers and the word on what became of it are as with [PaymentsService.Apply].
//
// API reference: POST /o/op/1/order/local, https://api-docs.lsk.lightspeed.app/operation/operation-apelocalorder
func (s OrdersService) Local(ctx context.Context, o LocalOrder, opts ...tillroute.CallOption) (Submission, error) {
	var wrong problems
	body := o.body(&wrong, true)
	body.AccountIdentifier = o.AccountIdentifier
	if o.TableNumber != 0 {
		// It is a string here and a number everywhere else.
		body.TableNumber = id(o.TableNumber)
	}
	body.ClientCount = o.ClientCount
	if o.TableNumber < 0 || o.ClientCount < 0 {
		wrong.add("TableNumber and ClientCount must not be below zero")
	}
	if err := wrong.err(ordersLocal); err != nil {
		return Submission{}, err
	}
	return s.c.submit(ctx, ordersLocal, body, o.submit(), opts)
}

// ToGo submits an order to collect or to deliver. That it returns no error means that the vendor will try to deliver it to the
// point of sale, and nothing more. References, lost answers and the word on what became of it are as with
// [PaymentsService.Apply].
//
// API reference: POST /o/op/1/order/toGo, https://api-docs.lsk.lightspeed.app/operation/operation-apeplacetogoorder
func (s OrdersService) ToGo(ctx context.Context, o ToGoOrder, opts ...tillroute.CallOption) (Submission, error) {
	var wrong problems
	body := o.body(&wrong, false)
	body.Address = o.Address
	if err := wrong.err(ordersToGo); err != nil {
		return Submission{}, err
	}
	return s.c.submit(ctx, ordersToGo, body, o.submit(), opts)
}

func (o Order) submit() submit {
	ttl := o.TTL
	if wait := time.Until(o.ScheduledAt); ttl > 0 && !o.ScheduledAt.IsZero() && wait > 0 {
		ttl += wait
	}
	return submit{o.Reference, ttl, o.Again}
}

type orderBody struct {
	Location          int64         `json:"businessLocationId"`
	Reference         string        `json:"thirdPartyReference"`
	EndpointID        string        `json:"endpointId"`
	Customer          customerBody  `json:"customerInfo"`
	Note              string        `json:"orderNote,omitempty"`
	TTL               int64         `json:"maxTimeToAttemptOrderDeliverToPos,omitempty"`
	StaffID           int64         `json:"staffId,omitempty"`
	ProfileCode       string        `json:"accountProfileCode,omitempty"`
	ScheduledAt       string        `json:"scheduledTimeForOrderAsIso8601,omitempty"`
	Payment           *orderPayment `json:"payment,omitempty"`
	CollectionCode    string        `json:"collectionCode,omitempty"`
	CollectionAt      string        `json:"orderCollectionTimeAsIso8601,omitempty"`
	AccountIdentifier string        `json:"accountIdentifier,omitempty"`
	TableNumber       string        `json:"tableNumber,omitempty"`
	ClientCount       int32         `json:"clientCount,omitempty"`
	Items             []itemBody    `json:"items,omitempty"`
	Address           *Address      `json:"deliveryAddress,omitempty"`
	PrinterProfileID  int64         `json:"targetPrinterProfileId,omitempty"`
}

type customerBody struct {
	FirstName         string `json:"firstName"`
	LastName          string `json:"lastName,omitempty"`
	Reference         string `json:"thirdPartyReference,omitempty"`
	Email             string `json:"email,omitempty"`
	Phone             string `json:"contactNumberAsE164,omitempty"`
	Notes             string `json:"notes,omitempty"`
	Salutation        string `json:"salutation,omitempty"`
	SendReceipts      *bool  `json:"sendEmailReceipts,omitempty"`
	EmailNotification string `json:"emailNotification,omitempty"`
}

type orderPayment struct {
	Method string      `json:"paymentMethod,omitempty"`
	Amount json.Number `json:"paymentAmount"`
	Tip    json.Number `json:"tipAmount,omitempty"`
}

type itemBody struct {
	Quantity        int32          `json:"quantity"`
	SKU             string         `json:"sku"`
	Name            string         `json:"customItemName,omitempty"`
	Price           json.Number    `json:"customItemPrice,omitempty"`
	DiscountAmount  json.Number    `json:"discountAmountOverride,omitempty"`
	DiscountPercent json.Number    `json:"discountPercentOverride,omitempty"`
	Modifiers       []modifierBody `json:"modifiers,omitempty"`
	DiscountCode    string         `json:"discountCode,omitempty"`
	Course          *int32         `json:"course,omitempty"`
	SubItems        []itemBody     `json:"subItems,omitempty"`
}

type modifierBody struct {
	ID string `json:"modifierId"`
}

const (
	longestSKU            = 25
	longestFirstName      = 128
	longestCollectionCode = 8
)

// body checks what all orders have, and returns it as it is sent.
func (o Order) body(wrong *problems, local bool) orderBody {
	wrong.location(o.BusinessLocationID)
	wrong.reference(o.Reference, longestOrderReference)
	wrong.endpoint(o.EndpointID)
	wrong.ttl(o.TTL)
	if n := utf8.RuneCountInString(o.Customer.FirstName); n == 0 || n > longestFirstName {
		wrong.add("Customer.FirstName has %d characters, and must have 1 to %d", n, longestFirstName)
	}
	if o.Customer.Reference != "" && o.Customer.Email == "" {
		wrong.add("Customer.Reference needs an Email")
	}
	if n := utf8.RuneCountInString(o.CollectionCode); n > longestCollectionCode {
		wrong.add("CollectionCode has %d characters, and may have %d", n, longestCollectionCode)
	}
	c := o.Customer
	body := orderBody{
		Location: o.BusinessLocationID, Reference: o.Reference, EndpointID: o.EndpointID,
		Customer: customerBody{
			c.FirstName, c.LastName, c.Reference, c.Email, c.Phone, c.Notes, c.Salutation, c.SendReceipts, string(c.EmailNotification),
		},
		Note: o.Note, TTL: o.TTL.Milliseconds(), StaffID: o.StaffID, ProfileCode: o.ProfileCode, ScheduledAt: moment(o.ScheduledAt),
		CollectionCode: o.CollectionCode, CollectionAt: moment(o.CollectionAt), PrinterProfileID: o.PrinterProfileID,
	}
	if p := o.Payment; p != nil {
		if p.Tip.GreaterThan(p.Total) {
			wrong.add("Payment.Tip is more than Payment.Total, which has it in it")
		}
		amount, tip := wrong.paid("Payment.Total", p.Total, "Payment.Tip", p.Tip)
		body.Payment = &orderPayment{p.Method, amount, tip}
	}
	body.Items = wrong.items(o.Items, local, true)
	return body
}

// items returns items, or else sub-items, as they are sent.
func (p *problems) items(items []OrderItem, local, top bool) []itemBody {
	var bodies []itemBody
	for _, i := range items {
		if n := utf8.RuneCountInString(i.SKU); n == 0 || n > longestSKU {
			p.add("an item's SKU has %d characters, and must have 1 to %d", n, longestSKU)
		}
		if i.Quantity <= 0 {
			p.add("item %.30q has the quantity %d: it must be above zero", i.SKU, i.Quantity)
		}
		discounts := i.DiscountAmount.Valid || i.DiscountPercent.Valid
		switch {
		case !top && (discounts || i.DiscountCode != "" || i.Course != nil):
			p.add("sub-item %.30q has a discount or a course: only items have", i.SKU)
		case i.DiscountAmount.Valid && i.DiscountPercent.Valid:
			p.add("item %.30q has DiscountAmount and DiscountPercent: use one", i.SKU)
		case discounts && i.DiscountCode == "":
			p.add("item %.30q has a discount without the DiscountCode of a manual discount", i.SKU)
		case i.Course != nil && (!local || *i.Course < 0):
			p.add("item %.30q has a Course: it is for orders at a table, and 0 or above", i.SKU)
		}
		body := itemBody{
			Quantity: i.Quantity, SKU: i.SKU, Name: i.Name, Price: p.optional("Price", i.Price),
			DiscountAmount:  p.optional("DiscountAmount", i.DiscountAmount),
			DiscountPercent: p.optional("DiscountPercent", i.DiscountPercent),
			DiscountCode:    i.DiscountCode, Course: i.Course, SubItems: p.items(i.SubItems, local, false),
		}
		for _, modifier := range i.ModifierIDs {
			body.Modifiers = append(body.Modifiers, modifierBody{id(modifier)})
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func (p *problems) optional(name string, d decimal.NullDecimal) json.Number {
	if !d.Valid {
		return ""
	}
	return p.number(name, d.Decimal)
}

// ReadyStatus says whether a business location takes online orders. Values that are not named here are kept as they are.
type ReadyStatus string

// The documented values.
const (
	Ready    ReadyStatus = "READY"
	NotReady ReadyStatus = "NOT_READY"
)

// SalesPeriod is whether the day's business has begun. Values that are not named here are kept as they are.
type SalesPeriod string

// The documented values.
const (
	Opened SalesPeriod = "OPENED"
	Closed SalesPeriod = "CLOSED"
)

// Readiness says whether a business location takes online orders, and why. It is Ready if all conditions hold: the API is
// enabled, the sales period is open, a device accepts online orders, and one is there.
type Readiness struct {
	Status ReadyStatus
	// UpdatedAt is when it was found out, in UTC.
	UpdatedAt time.Time

	// Enabled says that the merchant lets orders come by the API.
	Enabled bool
	// OrderProfileID and StaffID are 0 if none is set up.
	OrderProfileID, StaffID int64

	// SalesPeriod, AcceptingOnlineOrders and AvailableDevices are how the point of sale is.
	SalesPeriod                             SalesPeriod
	AcceptingOnlineOrders, AvailableDevices bool
}

// Readiness returns whether a business location takes online orders.
//
// API reference: GET /o/op/1/onlineOrderReadiness, https://api-docs.lsk.lightspeed.app/operation/operation-apegetonlineorderreadiness
func (s OrdersService) Readiness(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) (Readiness, error) {
	var answer Readiness
	err := s.c.located(ctx, ordersReadiness, businessLocationID, rest.Request{}, &answer, opts)
	if err == nil && answer.Status == "" {
		return Readiness{}, noData(ordersReadiness, "status")
	}
	return answer, err
}

// UnmarshalJSON reads a readiness as the API sends it, and as notifications do.
func (r *Readiness) UnmarshalJSON(data []byte) error {
	var w struct {
		Status        wire.Text `json:"status"`
		LastUpdatedAt wire.Time `json:"lastUpdatedAt"`
		Configuration struct {
			Enabled        wire.Bool `json:"enabled"`
			OrderProfileID wire.Int  `json:"orderProfileId"`
			StaffID        wire.Int  `json:"staffId"`
		} `json:"onlineOrderingApiConfiguration"`
		POS struct {
			SalesPeriod           wire.Text `json:"salesPeriod"`
			AcceptingOnlineOrders wire.Bool `json:"acceptingOnlineOrders"`
			AvailableDevices      wire.Bool `json:"availableDevices"`
		} `json:"posStatus"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	*r = Readiness{
		Status: ReadyStatus(w.Status), UpdatedAt: time.Time(w.LastUpdatedAt), Enabled: bool(w.Configuration.Enabled),
		OrderProfileID: int64(w.Configuration.OrderProfileID), StaffID: int64(w.Configuration.StaffID),
		SalesPeriod: SalesPeriod(w.POS.SalesPeriod), AcceptingOnlineOrders: bool(w.POS.AcceptingOnlineOrders),
		AvailableDevices: bool(w.POS.AvailableDevices),
	}
	return nil
}
