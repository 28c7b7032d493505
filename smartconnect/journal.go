package smartconnect

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
)

// Evidence is what a terminal remembers of its last transaction: something for a person to look at who has to find out
// how a transaction ended. It has no outcome, and is never to be taken for one: the terminal can't be asked for a certain
// transaction, another register may have been served meanwhile, and equal amounts are common.
type Evidence struct {
	// Subject is the ID of the transaction that it is about ([Transaction.ID]), whichever register it came from. Without
	// one it says nothing about any.
	Subject string
	// Amount, Surcharge and Tip are those of the subject, or zero.
	Amount, Surcharge, Tip decimal.Decimal
	// Answer is what the terminal said: TransactionID is this question's own, the rest the subject's.
	Answer
	// Body is the answer as JSON, for what isn't documented. No text of the evidence shows it.
	Body tillroute.Body `json:"-"`
}

// LastTransaction asks the register's terminal for the last transaction that it remembers (Journal.GetTransResult). The
// vendor no longer recommends it; it is for a person who has to resolve a transaction of unknown outcome, and proves
// something only if its Subject is that transaction. It works like [Register.Status] in every other way.
//
// API reference: POST /Transaction, http://smartpaydev.com/reference/transaction-types.html
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (r Register) LastTransaction(ctx context.Context, report func(Progress), opts ...tillroute.CallOption) (Evidence, error) {
	const operation = "LastTransaction"
	t, err := r.start(ctx, operation, JournalGetTransResult, nil, opts)
	if err != nil {
		return Evidence{}, err
	}
	answer, body, err := r.client.awaitAnswer(ctx, operation, t, report)
	if err != nil {
		return Evidence{}, t.Type.judge(err)
	}
	e := Evidence{Subject: answer.data.text("ReferenceId"), Answer: answer.read(t), Body: body}
	for name, amount := range map[string]*decimal.Decimal{
		"AmountTotal": &e.Amount, "AmountSurcharge": &e.Surcharge, "AmountTip": &e.Tip,
	} {
		*amount, _ = r.client.c.fromCents(answer.data.text(name))
	}
	return e, nil
}
