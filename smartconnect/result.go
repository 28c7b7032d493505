package smartconnect

import (
	"encoding/json"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
)

// Result is how a transaction ended, or that nobody can say.
type Result struct {
	// Outcome is the end. It is Approved only if SmartConnect says so twice, and Unknown for everything that isn't
	// documented.
	Outcome tillroute.Outcome
	// Reason says why it isn't approved, or what was odd about the approval. It is written for people.
	Reason string
	// Amount is what was charged or refunded, surcharge and tip included. It is zero unless Outcome is Approved.
	Amount decimal.Decimal
	// Surcharge and Tip are the parts of Amount that were added at the terminal.
	Surcharge, Tip decimal.Decimal
	// Receipt is the text of the receipt, about 30 columns wide, to be printed as it is.
	Receipt string

	// TransactionID is the server's name for the transaction, and DeviceID the terminal's.
	TransactionID, DeviceID string
	// AuthID, AcquirerRef, TerminalRef, CardPAN (masked), CardType, AccountType, Merchant and Timestamp (the
	// terminal's local time) are as they came. Any of them may be empty.
	AuthID, AcquirerRef, TerminalRef, CardPAN, CardType, AccountType, Merchant, Timestamp string

	// TransactionResult, Result and ResultText are as they came. ResultText may be left over from an earlier state.
	TransactionResult, Result, ResultText string
}

// Status is one answer about a transaction.
type Status struct {
	// Done says that the transaction has ended. Until then Result's Outcome is Unknown.
	Done bool
	// Delayed says that the terminal takes longer than usual. It may have lost its power or its connection; its
	// result comes when it is back.
	Delayed bool
	// Result is what is known.
	Result Result
}

// fields are a JSON object's.
type fields map[string]json.RawMessage

func (f fields) text(name string) string { return wire.Scalar(f[name]) }

// envelope is what every answer about a transaction comes in.
type envelope struct {
	fields

	// data is nil if there is none.
	data fields
}

// parseEnvelope reads an answer. Its errors show nothing of it.
func parseEnvelope(body []byte) (envelope, error) {
	root, err := wire.Object(body)
	if err != nil {
		return envelope{}, err
	}
	e := envelope{fields: root}
	if raw := root["data"]; len(raw) > 0 && raw[0] == '{' {
		if e.data, err = wire.Object(raw); err != nil {
			return envelope{}, fmt.Errorf("data: %w", err)
		}
	}
	return e, nil
}

func (e envelope) deviceID() string {
	if id := e.text("deviceId"); id != "" {
		return id
	}
	return e.data.text("DeviceID")
}

// status reads an answer about t.
func (c *core) status(e envelope, t Transaction) Status {
	r := Result{
		TransactionID:     e.text("transactionId"),
		DeviceID:          e.deviceID(),
		AuthID:            e.data.text("AuthId"),
		AcquirerRef:       e.data.text("AcquirerRef"),
		TerminalRef:       e.data.text("TerminalRef"),
		CardPAN:           e.data.text("CardPan"),
		CardType:          e.data.text("CardType"),
		AccountType:       e.data.text("AccountType"),
		Merchant:          e.data.text("Merchant"),
		Timestamp:         e.data.text("Timestamp"),
		Receipt:           e.data.text("Receipt"),
		TransactionResult: e.data.text("TransactionResult"),
		Result:            e.data.text("Result"),
		ResultText:        e.data.text("ResultText"),
	}
	if r.TransactionID == "" {
		r.TransactionID = t.ID
	}
	if r.DeviceID == "" {
		r.DeviceID = t.DeviceID
	}
	if e.text("transactionStatus") != "COMPLETED" {
		delayed := r.TransactionResult == "OK-DELAYED" || r.Result == "DELAYED-TRANSACTION"
		return Status{Delayed: delayed, Result: r}
	}
	r.Outcome, r.Reason = outcome(e.data != nil, r.TransactionResult, r.Result)
	if r.Outcome == tillroute.Approved {
		c.readAmounts(&r, e.data, t.Amount)
	}
	return Status{Done: true, Result: r}
}

// outcome says what a completed transaction came to. SmartConnect tells twice: TransactionResult says what became of
// the money, Result whether the terminal did its work, which it also does when it declines. Where the two contradict
// each other, or one isn't known, nobody can say.
func outcome(hasData bool, transactionResult, result string) (tillroute.Outcome, string) {
	switch transactionResult {
	case "OK-ACCEPTED":
		if result == "OK" {
			return tillroute.Approved, ""
		}
	case "OK-DECLINED":
		if result == "OK" {
			return tillroute.Declined, "declined; the receipt may say why"
		}
	case "CANCELLED":
		if result == "FAILED-INTERFACE" {
			return tillroute.Failed, "the terminal is offline"
		}
		return tillroute.Cancelled, "cancelled at the terminal"
	case "OK-UNAVAILABLE":
		return tillroute.Failed, "the service is unavailable"
	case "FAILED", "FAILED-INTERFACE":
		return tillroute.Failed, "the terminal reports a failure"
	}
	if !hasData {
		return tillroute.Unknown, "the answer says completed and nothing else: look at the terminal"
	}
	return tillroute.Unknown, fmt.Sprintf("the answer says TransactionResult %.40q and Result %.40q, which is not conclusive: look at the terminal", transactionResult, result)
}

// readAmounts reads what was charged. An approval stays one if its amount can't be read.
func (c *core) readAmounts(r *Result, data fields, asked decimal.Decimal) {
	var ok bool
	if r.Amount, ok = c.fromCents(data.text("AmountTotal")); !ok || r.Amount.IsZero() {
		r.Amount = asked
		r.Reason = "approved, but the answer doesn't say for how much: this is the amount that was asked for"
	}
	r.Surcharge, _ = c.fromCents(data.text("AmountSurcharge"))
	r.Tip, _ = c.fromCents(data.text("AmountTip"))
}

func (c *core) fromCents(text string) (decimal.Decimal, bool) {
	cents, ok := wire.ParseDecimal(text)
	if !ok || cents.IsNegative() || !cents.IsInteger() || !cents.BigInt().IsInt64() {
		return decimal.Decimal{}, false
	}
	amount, err := tillroute.FromMinor(cents.IntPart(), c.config.Currency)
	return amount, err == nil
}
