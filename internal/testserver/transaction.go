package testserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// txType says what a transaction type needs and does.
type txType struct {
	amount    string // the form field with the cents; "" for a type without an amount
	cash      bool   // AmountCash too, which AmountTotal includes
	reference bool   // TransactionReference too
	purchase  bool   // surcharge and tip may come on top
}

// financial reports whether the type needs a person at the terminal and can move money.
func (t txType) financial() bool { return t.amount != "" }

// txTypes lists the transaction types.
func txTypes() map[string]txType {
	return map[string]txType{
		"Card.Purchase":               {amount: "AmountTotal", purchase: true},
		"Card.Refund":                 {amount: "AmountTotal"},
		"Card.PurchasePlusCash":       {amount: "AmountTotal", cash: true, purchase: true},
		"Card.CashAdvance":            {amount: "AmountTotal"},
		"Card.Authorise":              {amount: "AmountAuth", reference: true},
		"Card.Finalise":               {amount: "AmountFinal", reference: true},
		"QR.Merchant.Purchase":        {amount: "AmountTotal", purchase: true},
		"QR.Consumer.Purchase":        {amount: "AmountTotal", purchase: true},
		"QR.Refund":                   {amount: "AmountTotal"},
		"Acquirer.Logon":              {},
		"Acquirer.Settlement.Inquiry": {},
		"Acquirer.Settlement.Cutover": {},
		"Journal.ReprintReceipt":      {},
		"Journal.GetTransResult":      {},
		"Terminal.GetStatus":          {},
		"Terminal.ReadCard":           {},
	}
}

// TransactionState is where a transaction is.
type TransactionState string

// A transaction waits for its turn, is on the terminal's screen, or is over.
const (
	TransactionQueued  TransactionState = "queued"
	TransactionRunning TransactionState = "running"
	TransactionDone    TransactionState = "done"
)

// Transaction is a transaction as the simulated cloud knows it.
type Transaction struct {
	ID         string           `json:"id"`
	DeviceID   string           `json:"device_id"`
	RegisterID string           `json:"register_id"`
	Type       string           `json:"type"`
	Cents      int64            `json:"cents"` // as asked; 0 for a type without an amount
	CashCents  int64            `json:"cash_cents,omitempty"`
	Reference  string           `json:"reference,omitempty"`
	State      TransactionState `json:"state"`
	// TransactionResult and Result are those that a poll shows at the end.
	TransactionResult string    `json:"transaction_result,omitempty"`
	Result            string    `json:"result,omitempty"`
	PostedAt          time.Time `json:"posted_at"`
}

// transaction is one accepted POST. All of it is guarded by SmartConnect.mu.
type transaction struct {
	id, token    string
	register     pairing
	typ          string
	cents, cash  int64
	reference    string
	device       *Device
	state        TransactionState
	posted       time.Time
	finished     time.Time
	tokenExpires time.Time
	visible      time.Time // when a finished transaction's result has reached the cloud
	held         bool      // finished on a terminal that could not upload it yet
	delayed      bool      // the terminal lost its connection in the middle, once
	polled       time.Time // the last poll that was answered
	result       txData    // the part of data that only a finished transaction has
}

// txData is the member data of an envelope, in the vendor's order.
type txData struct {
	PosVendor         string `json:"PosVendor,omitempty"`
	PosRegisterID     string `json:"PosRegisterID,omitempty"`
	PosBusinessName   string `json:"PosBusinessName,omitempty"`
	AmountTotal       string `json:"AmountTotal,omitempty"`
	DeviceID          string `json:"DeviceID,omitempty"`
	Function          string `json:"Function,omitempty"`
	PollingURL        string `json:"PollingUrl,omitempty"`
	Merchant          string `json:"Merchant,omitempty"`
	Company           string `json:"Company,omitempty"`
	RequestID         string `json:"RequestId,omitempty"`
	TransactionResult string `json:"TransactionResult,omitempty"`
	Result            string `json:"Result,omitempty"`
	ResultText        string `json:"ResultText,omitempty"`
	Status            string `json:"Status,omitempty"`
	ReferenceID       string `json:"ReferenceId,omitempty"`
	AuthID            string `json:"AuthId,omitempty"`
	AcquirerRef       string `json:"AcquirerRef,omitempty"`
	TerminalRef       string `json:"TerminalRef,omitempty"`
	CardPan           string `json:"CardPan,omitempty"`
	CardType          string `json:"CardType,omitempty"`
	AccountType       string `json:"AccountType,omitempty"`
	AmountSurcharge   string `json:"AmountSurcharge,omitempty"`
	AmountTip         string `json:"AmountTip,omitempty"`
	Timestamp         string `json:"Timestamp,omitempty"`
	Receipt           string `json:"Receipt,omitempty"`
	RequestTimestamp  string `json:"RequestTimestamp,omitempty"`
	ResponseTimestamp string `json:"ResponseTimestamp,omitempty"`
}

// envelope is the answer to a POST and to a poll.
type envelope struct {
	TransactionID       string `json:"transactionId"`
	TransactionStamp    string `json:"transactionTimeStamp"`
	MerchantID          string `json:"merchantId"`
	DeviceID            string `json:"deviceId"`
	Status              string `json:"transactionStatus"`
	Data                txData `json:"data"`
	MerchantAccessToken string `json:"merchantAccessToken,omitempty"`
	// RecordExpiry was seen live, about 180 days ahead. Its format is a judgment.
	RecordExpiry string `json:"RecordExpiry,omitempty"`
}

// textDelayed is the vendor's ResultText while a terminal is out of reach, and a leftover after it.
const textDelayed = "Transaction takes longer than usual"

// post answers POST /POS/Transaction.
func (s *SmartConnect) post(x *exchange) {
	form, ok := x.form()
	if !ok {
		x.fail(http.StatusBadRequest, textNotForm)
		return
	}
	if x.r.URL.RawQuery != "" {
		x.violate("a transaction takes a form body, not a query string")
	}
	register, ok := s.identity(x, form)
	if !ok {
		return
	}
	paired, ok := s.pairings[register.registerID]
	if !ok {
		x.fail(http.StatusBadRequest, textNotPaired)
		return
	}
	if paired.business != register.business || paired.vendor != register.vendor {
		x.violate("identity (%q, %q) differs from the pairing's (%q, %q)", register.business, register.vendor, paired.business, paired.vendor)
		x.fail(http.StatusBadRequest, textNotPaired)
		return
	}
	if mode := form.Get("TransactionMode"); mode != "ASYNC" {
		x.violate("sync mode: TransactionMode is %q, must be ASYNC", mode)
		x.fail(http.StatusBadRequest, textSyncMode)
		return
	}
	t := &transaction{
		id: newID(), token: s.engine.secretly(newID()), register: paired, device: paired.device, typ: form.Get("TransactionType"),
		state: TransactionQueued, posted: s.engine.now(),
	}
	if problem := t.read(form); problem != "" {
		x.violate("%s", problem)
		x.fail(http.StatusBadRequest, problem)
		return
	}
	checkSaleData(x, form)
	if callback := form.Get("PosNotificationCallbackUrl"); callback != "" {
		// Never called: what the vendor posts there is not known.
		if u, err := url.Parse(callback); err != nil || !u.IsAbs() {
			x.violate("PosNotificationCallbackUrl is %q, must be an absolute URL", callback)
		}
	}
	t.tokenExpires = t.posted.Add(s.opts.TokenTTL)
	if !paired.device.accept(t) {
		x.fail(http.StatusTooManyRequests, textBusy)
		return
	}
	s.transactions = append(s.transactions, t)
	s.byID[t.id] = t
	s.notify()

	answer := s.envelope(t)
	answer.Status, answer.Data = "PENDING", t.request()
	answer.Data.PollingURL = s.base(x.r) + "/pos/transaction/" + t.id + "?merchantAccessToken=" + t.token
	answer.MerchantAccessToken = t.token
	x.json(http.StatusOK, answer)
}

// read takes the fields that belong to the transaction's type. It returns what is wrong, "" for nothing.
func (t *transaction) read(form url.Values) string {
	kind, known := txTypes()[t.typ]
	if !known {
		return textBadType + t.typ
	}
	if !kind.financial() {
		return ""
	}
	var ok bool
	if t.cents, ok = cents(form.Get(kind.amount)); !ok {
		return textBadAmount + kind.amount
	}
	if kind.cash {
		if t.cash, ok = cents(form.Get("AmountCash")); !ok || t.cash > t.cents {
			return textBadAmount + "AmountCash"
		}
	}
	if kind.reference {
		if t.reference = form.Get("TransactionReference"); t.reference == "" {
			return textMissingField + "TransactionReference"
		}
	}
	return ""
}

// cents reads an amount: a positive whole number, digits only, no leading zero.
func cents(text string) (int64, bool) {
	if !digits(text) || text[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// checkSaleData checks the optional field SaleData. The transaction goes on whatever it holds: what the vendor
// answers to a bad one is not known.
func checkSaleData(x *exchange, form url.Values) {
	raw := form.Get("SaleData")
	if raw == "" {
		return
	}
	var root struct {
		Version  string `json:"version"`
		SaleData *struct {
			TotalAmount *string             `json:"totalAmount"`
			TotalTax    *string             `json:"totalTax"`
			LineItems   []map[string]any    `json:"lineItems"`
			Rest        map[string]struct{} `json:"-"`
		} `json:"saleData"`
	}
	if err := json.Unmarshal([]byte(raw), &root); err != nil {
		x.violate("SaleData: %v", err)
		return
	}
	if root.Version == "" || root.SaleData == nil || root.SaleData.TotalAmount == nil || root.SaleData.TotalTax == nil {
		x.violate("SaleData needs version, saleData.totalAmount and saleData.totalTax")
		return
	}
	for i, item := range root.SaleData.LineItems {
		for _, field := range []string{"productName", "quantity", "unitPrice", "unitTax", "totalPrice", "totalTax"} {
			if _, ok := item[field].(string); !ok {
				x.violate("SaleData: line item %d needs the string %s", i, field)
			}
		}
	}
}

// poll answers GET /pos/transaction/{id}.
// Judgments: an id that never was is a 404 without a body, a wrong token a 401.
func (s *SmartConnect) poll(x *exchange, id string) {
	t := s.byID[id]
	if t == nil {
		x.empty(http.StatusNotFound)
		return
	}
	now, token := s.engine.now(), x.r.URL.Query().Get("merchantAccessToken")
	if !sameSecret(token, t.token) {
		x.violate("merchantAccessToken is not that of the transaction")
		x.fail(http.StatusUnauthorized, textWrongToken)
		return
	}
	if !now.Before(t.tokenExpires) {
		x.fail(http.StatusUnauthorized, textTokenExpired)
		return
	}
	if since := now.Sub(t.polled); !t.polled.IsZero() && since < s.minPoll {
		x.violate("polled again after %s, must wait %s", since, s.minPoll)
		x.fail(http.StatusTooManyRequests, textPolledFast)
		return
	}
	t.polled = now
	answer := s.envelope(t)
	switch {
	case t.state == TransactionDone && !t.held && !now.Before(t.visible):
		answer.Status, answer.Data = "COMPLETED", t.completed()
	case t.state != TransactionQueued && !t.device.plugged:
		answer.Status, answer.Data = "PENDING", t.request()
		answer.Data.Merchant, answer.Data.Company, answer.Data.RequestID = "1", company, t.id
		answer.Data.TransactionResult, answer.Data.Result = "OK-DELAYED", "DELAYED-TRANSACTION"
		answer.Data.ResultText = textDelayed
	default:
		answer.Status, answer.Data = "PENDING", t.request()
	}
	if s.lean {
		answer.Data.lean()
		answer.RecordExpiry = t.posted.AddDate(0, 0, 180).UTC().Format(time.RFC3339)
	}
	x.json(http.StatusOK, answer)
}

// base is the public URL of the system, without a slash at its end. Until it is known (see [Systems.Listen]) it is
// taken from the request.
func (s *SmartConnect) base(r *http.Request) string {
	if s.publicURL != "" {
		return s.publicURL
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + smartconnectPrefix
}

// envelope makes the root of an answer about a transaction.
func (s *SmartConnect) envelope(t *transaction) envelope {
	return envelope{TransactionID: t.id, TransactionStamp: stamp(t.posted), MerchantID: s.merchantID, DeviceID: t.device.id}
}

// stamp is yyyyMMddHHmmss and four digits of the fraction, UTC.
func stamp(at time.Time) string {
	at = at.UTC()
	return at.Format("20060102150405") + fmt.Sprintf("%04d", at.Nanosecond()/100_000)
}

// request is the data of a transaction that is not over.
func (t *transaction) request() txData {
	data := txData{
		PosVendor: t.register.vendor, PosRegisterID: t.register.registerID, PosBusinessName: t.register.business,
		DeviceID: t.device.id, Function: t.typ,
	}
	if t.cents > 0 {
		data.AmountTotal = strconv.FormatInt(t.cents, 10)
	}
	return data
}

// completed is the data of a transaction that is over.
func (t *transaction) completed() txData {
	data := t.result
	data.DeviceID, data.Function, data.RequestID = t.device.id, t.typ, t.id
	if t.typ == "Terminal.GetStatus" && data.TransactionResult == "" {
		return data // as observed: these, Result and Status, nothing else
	}
	data.PosVendor, data.PosRegisterID, data.PosBusinessName = t.register.vendor, t.register.registerID, t.register.business
	data.Merchant, data.Company = "1", company
	if data.AmountTotal == "" && t.cents > 0 {
		data.AmountTotal = strconv.FormatInt(t.cents, 10)
	}
	if t.delayed {
		data.ResultText = textDelayed
	}
	data.RequestTimestamp, data.ResponseTimestamp = stamp(t.posted), stamp(t.finished)
	return data
}

// lean takes out what the live system was seen to leave out.
func (d *txData) lean() {
	d.PosVendor, d.PosRegisterID, d.PosBusinessName, d.Company = "", "", "", ""
	d.ResultText, d.RequestTimestamp, d.ResponseTimestamp = "", "", ""
}

// snapshot copies the transaction for a caller outside the lock.
func (t *transaction) snapshot() Transaction {
	return Transaction{
		ID: t.id, DeviceID: t.device.id, RegisterID: t.register.registerID, Type: t.typ, Cents: t.cents,
		CashCents: t.cash, Reference: t.reference, State: t.state,
		TransactionResult: t.result.TransactionResult, Result: t.result.Result, PostedAt: t.posted.UTC(),
	}
}

// Transactions returns all transactions that were accepted, in order of arrival.
func (s *SmartConnect) Transactions() []Transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Transaction, 0, len(s.transactions))
	for _, t := range s.transactions {
		list = append(list, t.snapshot())
	}
	return list
}
