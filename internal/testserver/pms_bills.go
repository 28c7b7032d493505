package testserver

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// The payment methods that the restaurant takes: "Charge to Room", and cash.
const (
	RoomMethod = "IKPMS"
	CashMethod = "CASH"
)

const (
	pmsDevice = 12345
	pmsStaff  = 6
	pmsWaiter = "John Doe"
)

// pmsDish is what the restaurant sells. Its price is with tax.
type pmsDish struct {
	SKU   string          `json:"sku"`
	Name  string          `json:"name"`
	Price decimal.Decimal `json:"price"`
	Group pmsCenter       `json:"-"`
}

// Text is the price with its cents.
func (d pmsDish) Text() string { return d.Price.StringFixed(2) }

func pmsDishes() []pmsDish {
	food, drinks := pmsCenter{25769803810, "Food"}, pmsCenter{25769803811, "Drinks"}
	return []pmsDish{
		{"F07", "French Fries", decimal.New(600, -2), food},
		{"S03", "Soup", decimal.New(850, -2), food},
		{"M12", "Risotto", decimal.New(1890, -2), food},
		{"B01", "Beer", decimal.New(500, -2), drinks},
		{"W04", "Red Wine", decimal.New(720, -2), drinks},
	}
}

// PMSOrder is what guests have had, and how they pay.
type PMSOrder struct {
	// Name is that of the table or tab. Default: "Table" and a number.
	Name   string `json:"name"`
	Covers int    `json:"covers"` // default: 1
	// RevenueCenterID is the configuration of the point of sale. Default: the bar's.
	RevenueCenterID int64     `json:"revenue_center_id"`
	Items           []PMSItem `json:"items"`
	// Discount is taken off the whole bill, and ServiceCharge put on top of it.
	Discount      decimal.Decimal `json:"discount"`
	ServiceCharge decimal.Decimal `json:"service_charge"`
	// Payments come to the total. A single one may leave its amount out. Default: cash.
	Payments []PMSPayment `json:"payments"`
	// Manager lets the waiter charge more than the credit limit of a guest.
	Manager bool `json:"manager"`
}

// PMSItem is a dish, once or several times.
type PMSItem struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// PMSPayment is one way in which a bill is paid. Its tip is beyond the bill.
type PMSPayment struct {
	Method        string          `json:"method"` // RoomMethod or CashMethod
	ReservationID string          `json:"reservation_id"`
	Amount        decimal.Decimal `json:"amount"`
	Tip           decimal.Decimal `json:"tip"`
}

// The kinds of bills. The vendor says that a void on the same day takes a whole account back, and that a later one is a new
// bill; a corrected tip is a reversal and a correction.
const (
	PMSSale       = "sale"
	PMSVoid       = "void"
	PMSRefund     = "refund"
	PMSReversal   = "reversal"
	PMSCorrection = "correction"
)

// PMSBill is a bill that was closed.
type PMSBill struct {
	Account   string `json:"account"` // its fiscId
	UUID      string `json:"uuid"`
	ReceiptID string `json:"receipt_id"`
	// Initial is the account that it began with, its own for a sale.
	Initial         string          `json:"initial"`
	Kind            string          `json:"kind"`
	Name            string          `json:"name"`
	Covers          int             `json:"covers"`
	RevenueCenterID int64           `json:"revenue_center_id"`
	Opened          time.Time       `json:"opened"`
	Closed          time.Time       `json:"closed"`
	Lines           []PMSLine       `json:"lines"`
	ServiceCharge   decimal.Decimal `json:"service_charge"`
	Payments        []PMSPayment    `json:"payments"`
	Total           decimal.Decimal `json:"total"`
	// TakenBackBy is the account of the bill that took this one back, "" for none.
	TakenBackBy string `json:"taken_back_by"`
}

// PMSLine is a line of a bill, with tax.
type PMSLine struct {
	Type     string          `json:"type"` // as on the wire
	SKU      string          `json:"sku"`
	Name     string          `json:"name"`
	Price    decimal.Decimal `json:"price"`
	Quantity int64           `json:"quantity"`
}

func (l PMSLine) amount() decimal.Decimal { return l.Price.Mul(decimal.NewFromInt(l.Quantity)) }

func (b *PMSBill) toRooms() bool {
	return slices.ContainsFunc(b.Payments, func(p PMSPayment) bool { return p.Method == RoomMethod })
}

func (b *PMSBill) snapshot() PMSBill {
	c := *b
	c.Lines, c.Payments = slices.Clone(b.Lines), slices.Clone(b.Payments)
	return c
}

// CloseBill closes a bill. What is charged to rooms is then posted to the hotel: see [PMS.Postings].
func (p *PMS) CloseBill(order PMSOrder) (PMSBill, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := p.ordered(order)
	if err != nil {
		return PMSBill{}, err
	}
	if err := p.accept(b, order.Manager); err != nil {
		return PMSBill{}, err
	}
	p.close(b, PMSSale, "")
	return b.snapshot(), nil
}

// ordered makes a bill of an order.
func (p *PMS) ordered(order PMSOrder) (*PMSBill, error) {
	now := p.engine.now().UTC()
	b := &PMSBill{
		Name: order.Name, Covers: max(order.Covers, 1), RevenueCenterID: orDefault(order.RevenueCenterID, pmsCenters()[0].ID),
		Opened: now.Add(-2 * time.Minute), ServiceCharge: order.ServiceCharge, Payments: slices.Clone(order.Payments), Total: order.ServiceCharge,
	}
	if b.Name == "" {
		p.world.LastTable++
		b.Name = "Table " + strconv.Itoa(p.world.LastTable)
	}
	if !slices.ContainsFunc(pmsCenters(), func(c pmsCenter) bool { return c.ID == b.RevenueCenterID }) {
		return nil, fmt.Errorf("testserver: there is no revenue center %d", b.RevenueCenterID)
	}
	for _, item := range order.Items {
		i := slices.IndexFunc(pmsDishes(), func(d pmsDish) bool { return d.SKU == item.SKU })
		if i < 0 || item.Quantity <= 0 {
			return nil, fmt.Errorf("testserver: there is no dish %q, or a quantity that is not positive", item.SKU)
		}
		dish := pmsDishes()[i]
		b.Lines = append(b.Lines, PMSLine{Type: "Sale", SKU: dish.SKU, Name: dish.Name, Price: dish.Price, Quantity: item.Quantity})
	}
	if len(b.Lines) == 0 || order.Discount.IsNegative() || order.ServiceCharge.IsNegative() {
		return nil, errors.New("testserver: the bill has no items, or a negative discount or service charge")
	}
	if order.Discount.IsPositive() {
		b.Lines = append(b.Lines, PMSLine{Type: "AccountDiscount", Name: "Discount", Price: order.Discount.Neg(), Quantity: 1})
	}
	for _, l := range b.Lines {
		b.Total = b.Total.Add(l.amount())
	}
	if len(b.Payments) == 0 {
		b.Payments = []PMSPayment{{Method: CashMethod}}
	}
	if len(b.Payments) == 1 && b.Payments[0].Amount.IsZero() {
		b.Payments[0].Amount = b.Total
	}
	return b, nil
}

// accept checks the payments of a bill as the point of sale does.
func (p *PMS) accept(b *PMSBill, manager bool) error {
	paid, toRooms, rooms := decimal.Zero, decimal.Zero, 0
	for _, payment := range b.Payments {
		if !payment.Amount.IsPositive() || payment.Tip.IsNegative() {
			return errors.New("testserver: a payment is not positive, or its tip is negative")
		}
		paid = paid.Add(payment.Amount)
		switch {
		case payment.Method == CashMethod && payment.ReservationID == "":
		case payment.Method == RoomMethod && payment.ReservationID != "":
			rooms++
			toRooms = toRooms.Add(payment.Amount)
			if err := p.acceptRoom(payment, manager); err != nil {
				return err
			}
		default:
			return fmt.Errorf("testserver: a payment is %s with a reservation, or %s without", RoomMethod, CashMethod)
		}
	}
	provider := p.world.Provider
	switch {
	case !paid.Equal(b.Total):
		return fmt.Errorf("testserver: %s is to be paid, not %s", b.Total.StringFixed(2), paid.StringFixed(2))
	case rooms > 0 && provider == nil:
		return errors.New("testserver: no hotel system is registered")
	case rooms > 1 && !provider.has(pmsMulti):
		return fmt.Errorf("testserver: the hotel system is registered without %s: one room can be charged", pmsMulti)
	case rooms > 0 && !toRooms.Equal(b.Total) && !provider.has(pmsPartial):
		return fmt.Errorf("testserver: the hotel system is registered without %s: rooms pay all or nothing", pmsPartial)
	}
	return nil
}

// acceptRoom checks a payment against what the search said of the guest. That nothing is checked for a reservation that
// nobody has searched is a judgment.
func (p *PMS) acceptRoom(payment PMSPayment, manager bool) error {
	guest, ok := p.world.Guests[payment.ReservationID]
	switch {
	case !ok:
		return nil
	case guest.Blocked:
		return fmt.Errorf("testserver: %s in %s is blocked", guest.ClientName, guest.RoomDescription)
	case guest.CreditLimit.Valid && payment.Amount.GreaterThan(guest.CreditLimit.Decimal) && !manager: // tips don't count
		return fmt.Errorf("testserver: %s has a credit limit of %s, and only a manager may go beyond it", guest.ClientName, guest.CreditLimit.Decimal.StringFixed(2))
	default:
		return nil
	}
}

// close numbers a bill, and has it posted if the hotel is to know of it. Called with the lock held.
func (p *PMS) close(b *PMSBill, kind, initial string) {
	n := strconv.Itoa(len(p.world.Bills) + 1)
	b.Kind, b.Account, b.ReceiptID = kind, "A"+strconv.Itoa(pmsDevice)+"."+n, "R"+strconv.Itoa(pmsDevice)+"."+n
	b.Initial = orDefault(initial, b.Account)
	var id [16]byte
	_, _ = rand.Read(id[:])
	b.UUID = base64.URLEncoding.EncodeToString(id[:])
	b.Closed = p.engine.now().UTC()
	p.world.Bills = append(p.world.Bills, b)
	if p.world.Provider != nil && (b.toRooms() || p.world.Provider.has(pmsMirror)) {
		p.post(b)
	}
	p.notify()
}

// Void takes a whole bill back: on the day on which it was closed by voiding it, later by a bill with negative lines. Parts of a
// bill can't be voided.
func (p *PMS) Void(account string) (PMSBill, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := p.valid(account)
	if err != nil {
		return PMSBill{}, err
	}
	kind := PMSVoid
	if now := p.engine.now().UTC(); now.Format(time.DateOnly) != b.Closed.Format(time.DateOnly) {
		kind = PMSRefund
	}
	return p.takeBack(b, kind).snapshot(), nil
}

// CorrectTip changes the tip of a payment, counted from 0: the bill is taken back, and closed once more with the other tip.
func (p *PMS) CorrectTip(account string, payment int, tip decimal.Decimal) (reversal, corrected PMSBill, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := p.valid(account)
	if err != nil {
		return PMSBill{}, PMSBill{}, err
	}
	if payment < 0 || payment >= len(b.Payments) || tip.IsNegative() {
		return PMSBill{}, PMSBill{}, fmt.Errorf("testserver: bill %s has no payment %d, or the tip is negative", account, payment)
	}
	back := p.takeBack(b, PMSReversal)
	again := b.snapshot()
	again.Payments[payment].Tip, again.TakenBackBy = tip, ""
	p.close(&again, PMSCorrection, b.Initial)
	return back.snapshot(), again.snapshot(), nil
}

// valid returns a bill that can be taken back.
func (p *PMS) valid(account string) (*PMSBill, error) {
	for _, b := range p.world.Bills {
		switch {
		case b.Account != account:
		case b.TakenBackBy != "":
			return nil, fmt.Errorf("testserver: bill %s was taken back by %s already", account, b.TakenBackBy)
		case b.Kind != PMSSale && b.Kind != PMSCorrection:
			return nil, fmt.Errorf("testserver: bill %s takes another one back", account)
		default:
			return b, nil
		}
	}
	return nil, fmt.Errorf("testserver: there is no bill %q", account)
}

// takeBack closes the bill that takes another one back: the unit prices stay as they are, quantities and payments are negated.
// That tips are negative too, and that the reservation is named, is a judgment.
func (p *PMS) takeBack(b *PMSBill, kind string) *PMSBill {
	back := b.snapshot()
	back.Covers, back.Total, back.ServiceCharge = -b.Covers, b.Total.Neg(), b.ServiceCharge.Neg()
	for i := range back.Lines {
		back.Lines[i].Quantity = -back.Lines[i].Quantity
	}
	for i := range back.Payments {
		back.Payments[i].Amount, back.Payments[i].Tip = back.Payments[i].Amount.Neg(), back.Payments[i].Tip.Neg()
	}
	if kind == PMSRefund {
		back.Opened = p.engine.now().UTC()
	}
	p.close(&back, kind, b.Initial)
	b.TakenBackBy = back.Account
	return &back
}

// Bills returns all bills, in the order in which they were closed.
func (p *PMS) Bills() []PMSBill {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []PMSBill{}
	for _, b := range p.world.Bills {
		list = append(list, b.snapshot())
	}
	return list
}
