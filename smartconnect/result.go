package smartconnect

import (
	"bytes"
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
	// Amount is what was charged, refunded or held, surcharge and tip included. It is zero unless Outcome is Approved. An
	// approval that names no amount has [Transaction.Amount], and a Reason that says so.
	Amount decimal.Decimal
	// Surcharge and Tip are the parts of Amount that were added at the terminal. They are zero if the answer names none.
	Surcharge, Tip decimal.Decimal
	// Answer is what SmartConnect said.
	Answer
}

// Answer is what the terminal's side said about a transaction, as it came. Any of its fields may be empty.
type Answer struct {
	// TransactionID is the server's name for the transaction, and DeviceID the terminal's.
	TransactionID, DeviceID string
	// Receipt is the text of the receipt, about 30 columns wide, to be printed as it is.
	Receipt string
	// AuthID, AcquirerRef, TerminalRef, CardPAN (masked), CardType, AccountType and Merchant are what banks know it by.
	// Timestamp is the terminal's local time, as 20060102150405.
	AuthID, AcquirerRef, TerminalRef, CardPAN, CardType, AccountType, Merchant, Timestamp string
	// TransactionResult and Result are the vendor's words for what became of the money, and of the terminal's work; an Outcome
	// is made of both. ResultText may be left over from an earlier state.
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
type envelope struct { //nolint:recvcheck // UnmarshalJSON alone changes it.
	fields

	// data is nil if there is none.
	data fields
	body []byte
	// problem says why the answer can't be understood. It shows nothing of it.
	problem error
}

// UnmarshalJSON reads an answer. What can't be understood is a problem and no error: what it means is for the caller to say.
func (e *envelope) UnmarshalJSON(body []byte) error {
	e.body = bytes.Clone(body)
	e.problem = e.parse()
	return nil
}

func (e *envelope) parse() (err error) {
	if e.fields, err = wire.ObjectWithin(e.body); err != nil {
		return err
	}
	if raw := e.fields["data"]; len(raw) > 0 && raw[0] == '{' {
		if e.data, err = wire.ObjectWithin(raw); err != nil {
			return fmt.Errorf("data: %w", err)
		}
	}
	return nil
}

func (e envelope) deviceID() string {
	if id := e.text("deviceId"); id != "" {
		return id
	}
	return e.data.text("DeviceID")
}

// read returns what the answer says about t.
func (e envelope) read(t Transaction) Answer {
	a := Answer{
		TransactionID:     e.text("transactionId"),
		DeviceID:          e.deviceID(),
		Receipt:           e.data.text("Receipt"),
		AuthID:            e.data.text("AuthId"),
		AcquirerRef:       e.data.text("AcquirerRef"),
		TerminalRef:       e.data.text("TerminalRef"),
		CardPAN:           e.data.text("CardPan"),
		CardType:          e.data.text("CardType"),
		AccountType:       e.data.text("AccountType"),
		Merchant:          e.data.text("Merchant"),
		Timestamp:         e.data.text("Timestamp"),
		TransactionResult: e.data.text("TransactionResult"),
		Result:            e.data.text("Result"),
		ResultText:        e.data.text("ResultText"),
	}
	if a.TransactionID == "" {
		a.TransactionID = t.ID
	}
	if a.DeviceID == "" {
		a.DeviceID = t.DeviceID
	}
	return a
}

func (e envelope) completed() bool { return e.text("transactionStatus") == "COMPLETED" }

// delayed reports whether an answer that isn't completed says that the terminal may have lost its power or connection.
func (e envelope) delayed() bool {
	return e.data.text("TransactionResult") == "OK-DELAYED" || e.data.text("Result") == "DELAYED-TRANSACTION"
}

// status reads an answer about t as a payment.
func (c *core) status(e envelope, t Transaction) Status {
	r := Result{Answer: e.read(t)}
	if !e.completed() {
		return Status{Delayed: e.delayed(), Result: r}
	}
	if function := Type(e.data.text("Function")); function.request() {
		r.Reason = fmt.Sprintf("the answer is that of a %s, and no payment's: look at the terminal", function)
		return Status{Done: true, Result: r}
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
	switch {
	case !hasData:
		return tillroute.Unknown, "the answer says completed and nothing else: look at the terminal"
	case !documented(result), result == "DELAYED-TRANSACTION": // It says that this is not the end.
	case transactionResult == "OK-ACCEPTED" && result == "OK":
		return tillroute.Approved, ""
	case transactionResult == "OK-DECLINED" && result == "OK":
		return tillroute.Declined, "declined; the receipt may say why"
	case transactionResult == "CANCELLED" && result == "FAILED-INTERFACE":
		return tillroute.Failed, "the terminal is offline"
	case transactionResult == "CANCELLED":
		return tillroute.Cancelled, "cancelled at the terminal"
	case transactionResult == "OK-UNAVAILABLE":
		return tillroute.Failed, "the service is unavailable"
	case transactionResult == "FAILED" || transactionResult == "FAILED-INTERFACE":
		return tillroute.Failed, "the terminal reports a failure"
	}
	return tillroute.Unknown, fmt.Sprintf("the answer says TransactionResult %.40q and Result %.40q, which is not conclusive: look at the terminal", transactionResult, result)
}

// documented reports whether the vendor's list has a Result, or it is absent.
func documented(result string) bool {
	switch result {
	case "", "OK", "CANCELLED", "DELAYED-TRANSACTION", "FAILED", "FAILED-INTERFACE":
		return true
	default:
		return false
	}
}

// done says whether a completed request that moves no money was carried out. Its answer may have both results, as a
// payment's, or Result alone.
func (e envelope) done() (bool, string) {
	transactionResult, result := e.data.text("TransactionResult"), e.data.text("Result")
	switch {
	case result == "OK" && (transactionResult == "" || transactionResult == "OK-ACCEPTED"):
		return true, ""
	case transactionResult == "CANCELLED" && result == "FAILED-INTERFACE":
		return false, "the terminal is offline"
	}
	reason := fmt.Sprintf("the answer says TransactionResult %.40q and Result %.40q", transactionResult, result)
	switch outcome, _ := outcome(e.data != nil, transactionResult, result); outcome {
	case tillroute.Declined, tillroute.Cancelled, tillroute.Failed:
	default:
		reason += ", which is not conclusive: look at the terminal whether it was done"
	}
	return false, reason
}

// readAmounts reads what was charged. An approval stays one if its amount can't be read.
func (c *core) readAmounts(r *Result, data fields, asked decimal.Decimal) {
	var ok bool
	if r.Amount, ok = c.fromCents(data.text("AmountTotal")); !ok || r.Amount.IsZero() {
		r.Amount = asked
		r.Reason = "approved, but the answer doesn't say for how much: this is the amount that was asked for"
		if asked.IsZero() {
			r.Reason = "approved, but the answer doesn't say for how much: look at the receipt"
		}
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
