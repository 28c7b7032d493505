package smartconnect

import (
	"context"

	"github.com/tillroute/tillroute"
)

// Report is what a terminal answered to a request that moves no money. What it says of money is not a payment's.
type Report struct {
	// OK says that the terminal did what it was asked. Its absence doesn't prove that it did not: see Reason.
	OK bool
	// Reason says why it isn't OK, and whether that is certain. It is written for people.
	Reason string
	// Status is how the terminal is, if that was the question. "READY" is known; others are kept as they come.
	Status string
	// Answer is what the terminal said.
	Answer
	// Body is the answer as JSON, for what isn't documented. It may hold a card's data: no text of the report shows it.
	Body tillroute.Body `json:"-"`
}

// Status asks the register's terminal how it is. It is the only way to learn whether a register is paired, and with which
// terminal ([Answer.DeviceID]); one that isn't is [pairing.ErrNotPaired]. It waits behind what the terminal is doing, so it may
// take minutes, and Config.PollTimeout at most; a terminal that is switched off is a Report that isn't OK.
//
// Like everything that moves no money it waits for the answer as [Client.AwaitReport] does, and reports progress as it does.
// A question may be asked again after any error.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (r Register) Status(ctx context.Context, report func(Progress), opts ...tillroute.CallOption) (Report, error) {
	return r.ask(ctx, "Status", TerminalGetStatus, report, opts)
}

// ReadCard asks the register's terminal to read a card without charging it. What the answer holds isn't documented: see
// [Report.Body]. It works like [Register.Status] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (r Register) ReadCard(ctx context.Context, report func(Progress), opts ...tillroute.CallOption) (Report, error) {
	return r.ask(ctx, "ReadCard", TerminalReadCard, report, opts)
}

// ReprintReceipt asks the register's terminal for its last receipt once more. The terminal may print it, the answer may hold
// it ([Answer.Receipt]); what the answer holds isn't documented. It works like [Register.Status] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (r Register) ReprintReceipt(ctx context.Context, report func(Progress), opts ...tillroute.CallOption) (Report, error) {
	return r.ask(ctx, "ReprintReceipt", JournalReprintReceipt, report, opts)
}

// Logon has the register's terminal log on to its acquirer. An error that matches [tillroute.ErrOutcomeUnknown] may have
// done so. It works like [Register.Status] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (r Register) Logon(ctx context.Context, report func(Progress), opts ...tillroute.CallOption) (Report, error) {
	return r.ask(ctx, "Logon", AcquirerLogon, report, opts)
}

// SettlementInquiry asks the register's terminal for its totals since the last settlement, which are in the receipt
// ([Answer.Receipt]). Android terminals are said not to support it. It works like [Register.Status] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (r Register) SettlementInquiry(ctx context.Context, report func(Progress), opts ...tillroute.CallOption) (Report, error) {
	return r.ask(ctx, "SettlementInquiry", AcquirerSettlementInquiry, report, opts)
}

// SettlementCutover has the register's terminal settle: it ends the business day, and the totals in the receipt
// ([Answer.Receipt]) begin anew. After an error that matches [tillroute.ErrOutcomeUnknown] it may have been done: look at
// the terminal, and don't call it again. It works like [Register.Status] in every other way.
//
// To outlive the process, start it with [Register.Start], write it down, and wait with [Client.AwaitReport].
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (r Register) SettlementCutover(ctx context.Context, report func(Progress), opts ...tillroute.CallOption) (Report, error) {
	return r.ask(ctx, "SettlementCutover", AcquirerSettlementCutover, report, opts)
}

// ask starts a request that moves no money, and waits for its answer.
func (r Register) ask(ctx context.Context, operation string, kind Type, report func(Progress), opts []tillroute.CallOption) (Report, error) {
	t, err := r.start(ctx, operation, kind, nil, opts)
	if err != nil {
		return Report{}, err
	}
	return r.client.awaitReport(ctx, operation, t, report)
}

// AwaitReport is [Client.Await] for transactions that move no money: it reads an answer for what it says, and never as
// a payment. Types that are known to move money are refused with an error of kind Invalid.
//
// Where Await has a result of outcome Unknown, because no answer came in time or none can be had any more, AwaitReport
// has an error. It matches [tillroute.ErrOutcomeUnknown] unless t was only a question.
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (c *Client) AwaitReport(ctx context.Context, t Transaction, report func(Progress)) (Report, error) {
	return c.awaitReport(ctx, "AwaitReport", t, report)
}

func (c *Client) awaitReport(ctx context.Context, operation string, t Transaction, report func(Progress)) (Report, error) {
	answer, body, err := c.awaitAnswer(ctx, operation, t, report)
	if err != nil {
		return Report{}, t.Type.judge(err)
	}
	r := Report{Status: answer.data.text("Status"), Answer: answer.read(t), Body: body}
	r.OK, r.Reason = answer.done()
	return r, nil
}

// awaitAnswer follows a transaction that moves no money to its end.
func (c *Client) awaitAnswer(ctx context.Context, operation string, t Transaction, report func(Progress)) (envelope, tillroute.Body, error) {
	if t.Type.payment() {
		e := tillroute.Invalid(Provider, operation, "a %s moves money: follow it with Await", t.Type)
		e.Outcome = tillroute.Unknown
		return envelope{}, nil, e
	}
	answer, why, err := c.follow(ctx, operation, t, report)
	if err == nil && why != nil {
		why.Message += ": look at the terminal whether it was done"
		err = why
	}
	return answer, answer.body, err
}
