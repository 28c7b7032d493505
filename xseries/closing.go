package xseries

import (
	"context"
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// Open opens a register, as of a point in time or, if that is zero, as of now by the server's clock. It returns the register
// as it is then. It needs the scope register:open.
//
// What opening an open register does isn't documented, so it isn't repeated once it may have arrived. If the error matches
// [tillroute.ErrOutcomeUnknown], see with [RegistersService.Get] whether the register is open.
//
// API reference: PUT /api/{version}/registers/{id}/actions/open, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s RegistersService) Open(ctx context.Context, id string, at time.Time, opts ...tillroute.CallOption) (Register, error) {
	var body struct {
		OpenTime string `json:"register_open_time,omitempty"`
	}
	if !at.IsZero() {
		body.OpenTime = at.UTC().Format(time.RFC3339)
	}
	return one[Register](ctx, s.c, registersOpen, rest.Request{Args: []string{id}, JSON: body}, opts)
}

// PaymentTotal is what was taken with a payment type. The amount is in the currency of the register's outlet.
type PaymentTotal struct {
	// PaymentTypeID is the ID of a [PaymentType], not its TypeID.
	PaymentTypeID string
	// Name is the payment type's. It is not sent.
	Name string
	// Total is sent with the decimals that it has: "255.00" stays that.
	Total decimal.Decimal
}

// Close closes a register with what was counted for each payment type, and returns the register as it is then.
// [RegistersService.PaymentsSummary] says what there should be. A total without a PaymentTypeID, a payment type that is there
// twice, and a total of more than forty digits are errors of kind Invalid. It needs the scopes register:close and
// payment_types:read.
//
// It isn't repeated once it may have arrived: somebody may have opened the register again, and would find it closed with
// totals of the day before. If the error matches [tillroute.ErrOutcomeUnknown], see with [RegistersService.Get] whether the
// register is closed, and compare its OpenTime with that of the summary before closing it again.
//
// API reference: PUT /api/{version}/registers/{id}/actions/close, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s RegistersService) Close(ctx context.Context, id string, totals []PaymentTotal, opts ...tillroute.CallOption) (Register, error) {
	type line struct {
		PaymentTypeID string `json:"payment_type_id"`
		Total         string `json:"total"`
	}
	body := struct {
		Payments []line `json:"payments"`
	}{Payments: []line{}}
	const operation = "Registers.Close"
	seen := map[string]bool{}
	for _, t := range totals {
		switch {
		case t.PaymentTypeID == "":
			return Register{}, tillroute.Invalid(System, operation, "a total has no PaymentTypeID")
		case seen[t.PaymentTypeID]:
			return Register{}, tillroute.Invalid(System, operation, "the payment type %.70q is there twice", t.PaymentTypeID)
		}
		seen[t.PaymentTypeID] = true
		text, ok := exact(t.Total)
		if !ok {
			return Register{}, tillroute.Invalid(System, operation, "the total of the payment type %.70q is out of range", t.PaymentTypeID)
		}
		body.Payments = append(body.Payments, line{t.PaymentTypeID, text})
	}
	return one[Register](ctx, s.c, registersClose, rest.Request{Args: []string{id}, JSON: body}, opts)
}

// maxDigits bounds an amount before it is written out.
const maxDigits = 40

// exact writes an amount with all the decimals that it has.
func exact(amount decimal.Decimal) (string, bool) {
	if e := amount.Exponent(); e > maxDigits || e < -maxDigits || amount.NumDigits() > maxDigits {
		return "", false
	}
	return amount.StringFixed(max(0, -amount.Exponent())), true
}

// PaymentsSummary is what a register took since it was opened.
type PaymentsSummary struct {
	// OpenTime is in UTC. Zero means that it isn't known.
	OpenTime time.Time
	// ClosureID and ClosureSequence name the closure that closing the register makes.
	ClosureID       string
	ClosureSequence int64
	// Payments has a total for each payment type of the store.
	Payments []PaymentTotal
}

// PaymentsSummary returns what a register took, by payment type: the first step of closing it. A total that can't be read is
// an error of kind Decode, because zero would be one too. It needs the scope payments:read.
//
// API reference: GET /api/{version}/registers/{id}/payments_summary, https://x-series-api.lightspeedhq.com/docs/registers_closing
func (s RegistersService) PaymentsSummary(ctx context.Context, id string, opts ...tillroute.CallOption) (PaymentsSummary, error) {
	return get[PaymentsSummary](ctx, s.c, registersSummary, id, opts)
}

// UnmarshalJSON reads a summary as the API sends it.
func (p *PaymentsSummary) UnmarshalJSON(data []byte) error {
	var w struct {
		OpenTime        wire.Time `json:"register_open_time"`
		ClosureID       wire.Text `json:"register_closure_id"`
		ClosureSequence wire.Int  `json:"register_closure_sequence_number"`
		Payments        present[[]struct {
			PaymentTypeID wire.Text       `json:"payment_type_id"`
			Name          wire.Text       `json:"payment_type_name"`
			Total         json.RawMessage `json:"total"`
		}] `json:"payments"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if !w.Payments.there {
		return errNoTotal
	}
	*p = PaymentsSummary{OpenTime: time.Time(w.OpenTime), ClosureID: string(w.ClosureID), ClosureSequence: int64(w.ClosureSequence)}
	for _, line := range w.Payments.value {
		total, ok := wire.ParseDecimal(wire.Scalar(line.Total))
		if !ok {
			return errNoTotal
		}
		p.Payments = append(p.Payments, PaymentTotal{string(line.PaymentTypeID), string(line.Name), total})
	}
	return nil
}
