package main

import (
	"context"
	"slices"

	"github.com/tillroute/tillroute/paysera"
)

// The tables. The second has a terminal.
const (
	table1 = "TABLE1"
	table2 = "TABLE2"
)

func tables() []string { return []string{table1, table2} }

// till is the café's side: what a paysera.Merchant asks, and tells.
type till struct {
	book     *book
	location int64
	out      *printer
}

func (t *till) Spot(_ context.Context, spot paysera.Spot) (paysera.Wish, error) {
	if spot.Place.LocationID != t.location || !slices.Contains(tables(), spot.Identifier) {
		t.out.say("café: somebody has scanned the code of %q, which isn't ours: close it", spot.Identifier)
		return paysera.Close, nil
	}
	if _, ok := t.book.at(spot.Identifier); ok {
		return paysera.Leave, nil
	}
	if spot.Status != paysera.SpotWaiting {
		t.out.say("café: %s is free again", spot.Identifier)
		return paysera.Close, nil
	}
	v, err := t.book.seat(spot.Identifier, spot.ID)
	if err != nil {
		return paysera.Leave, err
	}
	t.out.say("café: guests at %s. Their %s comes to %s %s", v.Table, v.Item, v.Bill.Amount.StringFixed(2), v.Bill.Currency)
	return paysera.Leave, nil
}

func (t *till) Bills(context.Context) ([]paysera.Bill, error) {
	var bills []paysera.Bill
	visits, _ := t.book.visits()
	for _, v := range visits {
		if v.Bill.Status == "" {
			b := v.Bill
			b.Withdrawn = b.Withdrawn || v.Card
			bills = append(bills, b)
		}
	}
	return bills, nil
}

func (t *till) Save(_ context.Context, bill paysera.Bill) error {
	if err := t.book.save(bill); err != nil {
		return err
	}
	switch {
	case bill.Status == paysera.BillPaid:
		t.out.say("café: %s is paid in the wallet: %s %s", bill.Reference, bill.Paid.StringFixed(2), bill.Currency)
	case bill.Status == paysera.BillUnpaid && bill.Problem != "":
		t.out.say("café: %s is not paid in the wallet: %s", bill.Reference, bill.Problem)
	}
	return nil
}

// Reserved looks into the kitchen.
func (t *till) Reserved(_ context.Context, bill paysera.Bill, _ paysera.Transaction) (paysera.Decision, error) {
	if bill.Description == cake {
		t.out.say("café: the last piece of cake has gone, the money for %s is given back", bill.Reference)
		return paysera.Revoke(), nil
	}
	return paysera.Confirm(), nil
}
