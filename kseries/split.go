package kseries

import (
	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
)

// mostPayers is how many may share a check.
const mostPayers = 1000

// Split returns what each of several payers pays of the due amount: shares that are as equal as the currency allows, the larger ones
// first, and that come to the due amount exactly. In Swiss francs they are multiples of 0.05, as points of sale there round;
// what a due amount has beyond that is in the first share.
//
// Kind Invalid is an amount that is not above zero, that has more decimals than the currency, or that is too small for so many
// payers, and fewer than 1 or more than 1000 payers.
func Split(due decimal.Decimal, payers int, currency string) ([]decimal.Decimal, error) {
	const operation = "Split"
	minor, err := tillroute.ToMinor(due, currency)
	if err != nil {
		return nil, err
	}
	step := int64(1)
	if currency == "CHF" {
		step = 5
	}
	switch {
	case payers < 1 || payers > mostPayers:
		return nil, tillroute.Invalid(System, operation, "%d can't share a check: from 1 to %d can", payers, mostPayers)
	case minor/step < int64(payers):
		return nil, tillroute.Invalid(System, operation, "%s %s is too little for %d payers", due, currency, payers)
	}
	each, more := minor/step/int64(payers), minor/step%int64(payers)
	shares := make([]decimal.Decimal, payers)
	for i := range shares {
		share := each * step
		if int64(i) < more {
			share += step
		}
		if i == 0 {
			share += minor % step
		}
		if shares[i], err = tillroute.FromMinor(share, currency); err != nil {
			return nil, err
		}
	}
	return shares, nil
}
