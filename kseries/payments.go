package kseries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// PaymentsService applies payments to checks. It needs the scope orders-api. The API has no way to take a payment back. It is the call
// alone: [Payments] follows what it has begun to its end.
type PaymentsService struct{ c *core }

const (
	longestPaymentReference = 50
	longestOrderReference   = 48
)

// Payment is one that is to be applied to a check.
type Payment struct {
	// BusinessLocationID is where the check is. Required.
	BusinessLocationID int64
	// AccountIdentifier names the check, such as A1234.56: see [Check]. Required here, though the vendor doesn't say so:
	// nothing else names it.
	AccountIdentifier string
	// Reference is yours, of 1 to 50 characters, none of them a control character and no space at either end. Use it for one
	// payment only: the vendor takes it once. It is how a notification, and an entry of the check, tell the payment from others.
	// Required.
	Reference string
	// EndpointID is the webhook endpoint that is told what became of the payment: see [WebhooksService.Create]. Upper and
	// lower case differ. Required.
	EndpointID string
	// Amount is what was paid, without the tip, in units of the business's currency. The request names no currency. Up to
	// 15 digits; not below zero, and zero only with a Tip. More than is due is refused at the point of sale; less leaves the
	// check open.
	Amount decimal.Decimal
	// Tip comes on top of Amount. Optional, and not below zero.
	Tip decimal.Decimal
	// TTL is how long the vendor tries to deliver the payment to a point of sale: from a minute to 24 days, in whole
	// milliseconds. What happens without one isn't documented.
	TTL time.Duration
	// Method is the code of one of the merchant's payment methods, such as OOPAYMENT: see [FinanceService.PaymentMethods].
	// What is taken without one isn't documented.
	Method string
	// StaffID is who is responsible. Optional.
	StaffID int64
	// DeviceID is the device that must take the payment. Without one any may, and one does.
	DeviceID int64
	// PrinterProfileID is how to print the receipt. Optional.
	PrinterProfileID int64
	// Again says that the payment may have been sent before: that an earlier Apply of the same Reference left it open.
	Again bool
}

// Taken says which request the vendor took.
type Taken int

const (
	// TakenNow is an answer of ok: nothing had been taken under the reference before.
	TakenNow Taken = iota + 1
	// TakenEarlier is a reference that was refused as used: a request before this one had arrived, whose answer was lost. If
	// the reference was used for anything else, by whomever, it was that.
	TakenEarlier
)

// String returns "now" or "earlier".
func (t Taken) String() string {
	switch t {
	case TakenNow:
		return "now"
	case TakenEarlier:
		return "earlier"
	default:
		return "Taken(" + strconv.Itoa(int(t)) + ")"
	}
}

// Submission is what the vendor took for delivery to the point of sale. It is not carried out yet, and may never be: a
// [Notification] of the same Reference tells, or the check (see [Check.Payment]).
type Submission struct {
	Reference string
	// Taken says what proves that the vendor has it.
	Taken Taken
	// Until is when the time to live has ended at the latest, by this machine's clock, in UTC; the notification of that still
	// has to come. Zero without a TTL.
	Until time.Time
}

// Apply submits a payment, which the customer has made already, for a check. That it returns no error means that the vendor
// will try to deliver it to a point of sale, and nothing more: only a notification of status [Success] says that it was
// applied, and one of status [Failure] that it was not. If none comes within the TTL and a margin, look at the check:
// [ChecksService.Get] and [Check.Payment].
//
// The vendor takes a reference once. So a request whose answer is lost is sent again, with the same reference: an ok says that
// nothing had been taken before ([TakenNow]), a refusal as used that it had ([TakenEarlier]). If no attempt gets an answer the
// error matches [tillroute.ErrOutcomeUnknown]: call Apply again with the same payment and Again set, and never with another
// reference before the first one's fate is known.
//
// A reference that was used, without Again, is an error that matches [ErrReferenceUsed]: nothing was taken by this call.
// After a notification of status Failure the next try needs a new reference.
//
// Whether a reference is unique at a location, for an application or everywhere, and for how long, isn't documented: make it
// long and random, or have the location in it.
//
// API reference: POST /o/op/1/pay, https://api-docs.lsk.lightspeed.app/operation/operation-apemakepayment
func (s PaymentsService) Apply(ctx context.Context, p Payment, opts ...tillroute.CallOption) (Submission, error) {
	body, err := p.body()
	if err != nil {
		return Submission{}, err
	}
	return s.c.submit(ctx, paymentsApply, body, submit{p.Reference, p.TTL, p.Again}, opts)
}

// paymentBody is what goes out. The deprecated iKaccountId doesn't.
type paymentBody struct {
	AccountIdentifier string      `json:"iKaccountIdentifier"`
	Reference         string      `json:"thirdPartyPaymentReference"`
	EndpointID        string      `json:"endpointId"`
	Location          int64       `json:"businessLocationId"`
	TTL               int64       `json:"taskTtlInMs,omitempty"`
	StaffID           int64       `json:"staffId,omitempty"`
	DeviceID          int64       `json:"deviceId,omitempty"`
	Method            string      `json:"paymentMethod,omitempty"`
	Amount            json.Number `json:"paymentAmount"`
	Tip               json.Number `json:"tipAmount,omitempty"`
	PrinterProfileID  int64       `json:"targetPrinterProfileId,omitempty"`
}

// body checks the payment, and returns what to send.
func (p Payment) body() (paymentBody, error) {
	var wrong problems
	wrong.location(p.BusinessLocationID)
	if p.AccountIdentifier == "" {
		wrong.add("AccountIdentifier is missing: nothing else names the check")
	}
	wrong.reference(p.Reference, longestPaymentReference)
	wrong.endpoint(p.EndpointID)
	wrong.ttl(p.TTL)
	body := paymentBody{
		AccountIdentifier: p.AccountIdentifier, Reference: p.Reference, EndpointID: p.EndpointID, Location: p.BusinessLocationID,
		TTL: p.TTL.Milliseconds(), StaffID: p.StaffID, DeviceID: p.DeviceID, Method: p.Method, PrinterProfileID: p.PrinterProfileID,
	}
	body.Amount, body.Tip = wrong.paid("Amount", p.Amount, "Tip", p.Tip)
	return body, wrong.err(paymentsApply)
}

// paid returns what was paid and tipped, which the user knows by these names, as it goes over the wire. No tip is "".
func (p *problems) paid(paidName string, paid decimal.Decimal, tipName string, tipped decimal.Decimal) (amount, tip json.Number) {
	amount = p.number(paidName, paid)
	if !tipped.IsZero() {
		tip = p.number(tipName, tipped)
	} else if paid.IsZero() {
		p.add("%s is missing", paidName)
	}
	return amount, tip
}

func (p *problems) err(op operation) error {
	if len(*p) == 0 {
		return nil
	}
	return tillroute.Invalid(System, op.declare().Name, "%s", strings.Join(*p, "; "))
}

// submit is what is to be known of a request that the vendor takes once.
type submit struct {
	reference string
	ttl       time.Duration
	again     bool
}

// submit makes a request that the vendor takes once.
func (c *core) submit(ctx context.Context, op operation, body any, s submit, opts []tillroute.CallOption) (Submission, error) {
	var answer struct {
		Status  wire.Text `json:"status"`
		Msg     wire.Text `json:"msg"`
		Message wire.Text `json:"message"`
	}
	err := c.do(ctx, op, rest.Request{JSON: body}, &answer, opts)
	if err == nil && !strings.EqualFold(string(answer.Status), "ok") {
		err = notOK(op, string(answer.Status), string(answer.Msg+answer.Message))
	}
	taken := TakenNow
	if errors.Is(err, ErrReferenceUsed) && (s.again || errors.Is(err, tillroute.ErrOutcomeUnknown)) {
		// Refused, because an attempt without an answer had arrived.
		taken, err = TakenEarlier, nil
	}
	if err != nil {
		return Submission{}, err
	}
	submission := Submission{Reference: s.reference, Taken: taken}
	if s.ttl > 0 {
		submission.Until = time.Now().Add(s.ttl).UTC()
	}
	return submission, nil
}

// notOK is the error of an answer of status 200 that doesn't say ok.
func notOK(op operation, status, text string) error {
	e := &tillroute.Error{
		System: System, Operation: op.declare().Name, Kind: tillroute.KindDecode, Status: 200, Attempts: 1,
		Message: fmt.Sprintf("the answer says %.40q instead of ok: %.200s", status, text),
	}
	if saysReferenceUsed(text) {
		e.Kind, e.Err, e.Outcome = tillroute.KindConflict, ErrReferenceUsed, tillroute.Failed
	}
	return e
}
