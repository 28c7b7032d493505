package pms

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// Posting is what a room is to be debited with. A reversal has negative amounts: it is a credit.
type Posting struct {
	// ReservationID may be empty, in reversals for one: find the posting that is taken back by [Charge.Corrects].
	ReservationID string
	// Amount is without Gratuity.
	Amount, Gratuity decimal.Decimal
	// Debit is both.
	Debit decimal.Decimal
	// Payment is what it was made of.
	Payment Payment
}

// Postings returns what is to be posted: the payments to rooms. There may be several, to several reservations. There is none for
// a bill that was paid otherwise, which providers with [Mirroring] are sent for their information.
//
// A payment to a room without an amount is an error of kind Decode, because zero would be one too. A missing gratuity is none.
func (c Charge) Postings() ([]Posting, error) {
	var postings []Posting
	for i, payment := range c.Payments {
		if payment.MethodCode != RoomMethod {
			continue
		}
		if !payment.Amount.Valid {
			return nil, &tillroute.Error{
				System: System, Operation: "Postings", Kind: tillroute.KindDecode, Outcome: tillroute.Failed,
				Message: fmt.Sprintf("payments[%d] is to a room and has no amount", i),
			}
		}
		amount, gratuity := payment.Amount.Decimal, payment.Gratuity.Decimal
		postings = append(postings, Posting{payment.ReservationID, amount, gratuity, amount.Add(gratuity), payment})
	}
	return postings, nil
}

// RoomPayments returns the payments to rooms.
func (c Charge) RoomPayments() []Payment {
	var payments []Payment
	for _, payment := range c.Payments {
		if payment.MethodCode == RoomMethod {
			payments = append(payments, payment)
		}
	}
	return payments
}

// Corrects returns the bill that this one takes back or corrects, and false if it is the first of its kind, or doesn't say.
func (c Charge) Corrects() (account string, ok bool) {
	if c.InitialAccountID == "" || c.InitialAccountID == c.FiscID || c.InitialAccountID == c.UUID {
		return "", false
	}
	return c.InitialAccountID, true
}

// IsReversal reports whether the bill takes back what another one charged: a void, a refund, or the first half of a correction.
// That is so if there are negative quantities or payments and no positive ones. The vendor documents no mark. A bill that takes
// one thing back and sells another is no reversal: its payments say what is to be posted.
//
// Post the amounts as they are, whatever this says: they have their signs.
func (c Charge) IsReversal() bool {
	negative, positive := c.signs()
	return negative && !positive
}

// IsTipCorrection reports whether the bill is the second half of a correction: the bill once more, with another tip, after a
// reversal of the first. That is so if it corrects another bill and takes nothing back.
func (c Charge) IsTipCorrection() bool {
	_, linked := c.Corrects()
	negative, _ := c.signs()
	return linked && !negative
}

// signs goes by quantities and payments: discounts have a negative price, and the sign of a tip isn't documented.
func (c Charge) signs() (negative, positive bool) {
	see := func(n decimal.NullDecimal) {
		negative = negative || n.Decimal.IsNegative()
		positive = positive || n.Decimal.IsPositive()
	}
	for _, line := range c.Transactions {
		see(line.Quantity)
	}
	for _, payment := range c.Payments {
		see(payment.Amount)
	}
	return negative, positive
}

// Totals are sums of one field each, in which what is missing counts as nothing. No two of them are known to agree: lines
// may be with taxes or without, tips are paid beyond the bill, and the vendor's own examples don't add up.
type Totals struct {
	// Lines is the sum of the lines' amounts.
	Lines decimal.Decimal
	// TaxIncluded and TaxAdded are the sums of the tax lines whose tax is included in the line's amount, and of all others.
	TaxIncluded, TaxAdded decimal.Decimal
	// ServiceCharge is [ServiceCharge].Amount.
	ServiceCharge decimal.Decimal
	// Payments and Gratuities are of all payments, RoomPayments and RoomGratuities of those to a room.
	Payments, Gratuities         decimal.Decimal
	RoomPayments, RoomGratuities decimal.Decimal
	// RoomDebit is the sum of the latter two: what [Charge.Postings] come to.
	RoomDebit decimal.Decimal
}

// Totals adds up what the bill says.
func (c Charge) Totals() Totals {
	t := Totals{ServiceCharge: c.ServiceCharge.Amount.Decimal}
	for _, line := range c.Transactions {
		t.Lines = t.Lines.Add(line.Amount.Decimal)
		for _, tax := range line.TaxLines {
			if tax.TaxIncluded != nil && *tax.TaxIncluded {
				t.TaxIncluded = t.TaxIncluded.Add(tax.TaxAmount.Decimal)
			} else {
				t.TaxAdded = t.TaxAdded.Add(tax.TaxAmount.Decimal)
			}
		}
	}
	for _, payment := range c.Payments {
		t.Payments = t.Payments.Add(payment.Amount.Decimal)
		t.Gratuities = t.Gratuities.Add(payment.Gratuity.Decimal)
		if payment.MethodCode == RoomMethod {
			t.RoomPayments = t.RoomPayments.Add(payment.Amount.Decimal)
			t.RoomGratuities = t.RoomGratuities.Add(payment.Gratuity.Decimal)
		}
	}
	t.RoomDebit = t.RoomPayments.Add(t.RoomGratuities)
	return t
}

// registerSystem is the point-of-sale system that the registers are of.
const registerSystem = "kseries"

// Register returns the device that the bill was opened on, as the routing core knows it, so that a payment for it goes to the
// terminal that stands there. account is the business location: a charge doesn't say it. It is false if there is no DeviceID.
func (c Charge) Register(account string) (pairing.Register, bool) {
	if c.DeviceID == "" {
		return pairing.Register{}, false
	}
	return pairing.Register{System: registerSystem, Account: account, ID: c.DeviceID}, true
}

// RevenueCenterRegister returns the revenue center as a virtual register: for terminals that serve all devices of one. Its ID is
// "revenue-center:" and RevenueCenterID, so that it is never mistaken for a device. It is false if there is no RevenueCenterID.
func (c Charge) RevenueCenterRegister(account string) (pairing.Register, bool) {
	if c.RevenueCenterID == "" {
		return pairing.Register{}, false
	}
	return pairing.Register{System: registerSystem, Account: account, ID: "revenue-center:" + c.RevenueCenterID}, true
}
