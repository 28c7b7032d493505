package testserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// Modal is the window that the sell screen opens on a gateway's URL when the cashier presses the payment button.
// The gateway's page talks to it in JSON texts, see [Modal.Post].
type Modal struct {
	shop *XSeries // its mu guards what follows
	id   string
	sale *sale
	// amount is what this payment is for: negative for a refund.
	amount   decimal.Decimal
	origin   string
	closable bool
	ended    string
	messages []string
}

// ModalState tells what a modal looks like and what it was told.
type ModalState struct {
	ID         string          `json:"id"`
	SaleID     string          `json:"sale_id"`
	RegisterID string          `json:"register_id"`
	Amount     decimal.Decimal `json:"amount"`
	// Closable reports whether the close button is shown.
	Closable bool `json:"closable"`
	// Ended is "" while the modal is open, else "accepted", "declined", "exited" or "closed" (by the cashier).
	Ended string `json:"ended"`
	// Messages are the JSON texts that the gateway's page posted, wrong ones included.
	Messages []string `json:"messages"`
}

// NewSale begins a sale (or, with a negative total, a refund) on a register, for a payment in several parts.
// The total includes tax and has at most two decimals.
func (s *XSeries) NewSale(registerID string, total decimal.Decimal) (Sale, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.newSale(registerID, total)
	if err != nil {
		return Sale{}, err
	}
	return one.snapshot(), nil
}

// NewSaleOf begins a sale of what is in a cart, or, with negative quantities, its refund. Pay it with [XSeries.OpenModalFor],
// at once or in parts.
func (s *XSeries) NewSaleOf(registerID string, cart Cart) (Sale, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.beginSale(registerID, cart)
	if err != nil {
		return Sale{}, err
	}
	return one.snapshot(), nil
}

// OpenModal begins a sale on a register and opens the modal for all of it. A negative amount is a refund.
func (s *XSeries) OpenModal(registerID string, amount decimal.Decimal) (*Modal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.newSale(registerID, amount)
	if err != nil {
		return nil, err
	}
	return s.open(one, amount), nil
}

// OpenModalFor opens the modal for a part of a sale that is not paid in full: the next payment of a split, or the
// same one again after the modal was declined or closed.
func (s *XSeries) OpenModalFor(saleID string, amount decimal.Decimal) (*Modal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.unpaid(saleID, amount)
	if err != nil {
		return nil, err
	}
	return s.open(one, amount), nil
}

// unpaid finds a sale that has at least amount left to pay. Called with the lock held.
func (s *XSeries) unpaid(saleID string, amount decimal.Decimal) (*sale, error) {
	one := s.shop.sale(saleID)
	if one == nil {
		return nil, fmt.Errorf("testserver: no sale %q: begin one with NewSale", saleID)
	}
	left := one.total.Sub(one.paid())
	if err := checkAmount(amount); err != nil {
		return nil, err
	}
	if amount.Sign() != left.Sign() || amount.Abs().GreaterThan(left.Abs()) {
		return nil, fmt.Errorf("testserver: sale %s has %s left to pay, not %s", saleID, left, amount)
	}
	return one, nil
}

// Modal finds a modal by its id, nil when there is none.
func (s *XSeries) Modal(id string) *Modal {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.modals {
		if m.id == id {
			return m
		}
	}
	return nil
}

func checkAmount(amount decimal.Decimal) error {
	if amount.IsZero() || !amount.Equal(amount.Round(2)) {
		return fmt.Errorf("testserver: the amount must be other than zero and have at most two decimals, not %s", amount)
	}
	return nil
}

// newSale begins a sale of one T-shirt. Called with the lock held.
func (s *XSeries) newSale(registerID string, total decimal.Decimal) (*sale, error) {
	if err := checkAmount(total); err != nil {
		return nil, err
	}
	// The quantity is -1 for a refund: the price of one piece stays positive.
	return s.beginSale(registerID, Cart{Lines: []Line{{
		Name: "T-shirt", SKU: shirtSKU, Quantity: decimal.NewFromInt(int64(total.Sign())), UnitPrice: total.Abs(),
	}}})
}

// beginSale begins a sale of what is in a cart. Called with the lock held.
func (s *XSeries) beginSale(registerID string, cart Cart) (*sale, error) {
	r := s.shop.register(registerID)
	switch {
	case r == nil || r.DeletedAt != "":
		return nil, fmt.Errorf("testserver: no register %q: GET registers lists them", registerID)
	case !r.IsOpen:
		return nil, fmt.Errorf("testserver: register %s is closed: open it before selling", registerID)
	}
	if err := cart.check(); err != nil {
		return nil, err
	}
	now := s.engine.now().UTC()
	one := &sale{
		id: newID(), registerID: r.ID, outletID: r.OutletID, total: cart.Total(), lines: cart.sold(),
		customerID: cart.CustomerID, discount: slices.Clone(cart.Discount),
		invoiceNumber: fmt.Sprintf("%s%d%s", r.InvoicePrefix, r.InvoiceSequence, r.InvoiceSuffix),
		shortCode:     strings.ToLower(secret("")[:6]), created: now, updated: now,
	}
	r.InvoiceSequence++
	s.shop.sales = append(s.shop.sales, one)
	return one, nil
}

func (s *XSeries) open(one *sale, amount decimal.Decimal) *Modal {
	m := &Modal{shop: s, id: newID(), sale: one, amount: amount, origin: s.opts.Origin, closable: true}
	s.modals = append(s.modals, m)
	return m
}

// ID names the modal in the control API.
func (m *Modal) ID() string { return m.id }

// SaleID is the id of the sale that the modal belongs to.
func (m *Modal) SaleID() string { return m.sale.id }

// SetOrigin says on which origin the page is that hosts the modal, scheme://host[:port]. It is [XSeriesOptions.Origin]
// by default, which no browser has when the simulated sell screen is served from elsewhere.
func (m *Modal) SetOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
		return fmt.Errorf("testserver: the origin is %q, must be http:// or https:// and a host, nothing after it", origin)
	}
	m.shop.mu.Lock()
	defer m.shop.mu.Unlock()
	m.origin = origin
	return nil
}

// Query returns what the sell screen appends to the gateway's URL: amount, origin and register_id.
func (m *Modal) Query() url.Values {
	m.shop.mu.Lock()
	defer m.shop.mu.Unlock()
	return url.Values{
		"amount": {m.amount.StringFixed(2)}, "origin": {m.origin}, "register_id": {m.sale.registerID},
	}
}

// URL is what the modal's frame loads: the gateway's URL with [Modal.Query]; "" when no gateway is entered.
func (m *Modal) URL() string {
	m.shop.mu.Lock()
	gateway := m.shop.gateway
	m.shop.mu.Unlock()
	if gateway == "" {
		return ""
	}
	u, err := url.Parse(gateway)
	if err != nil {
		return ""
	}
	query := u.Query()
	maps.Copy(query, m.Query())
	u.RawQuery = query.Encode()
	return u.String()
}

// State tells what the modal looks like now.
func (m *Modal) State() ModalState {
	m.shop.mu.Lock()
	defer m.shop.mu.Unlock()
	return ModalState{
		ID: m.id, SaleID: m.sale.id, RegisterID: m.sale.registerID, Amount: m.amount,
		Closable: m.closable, Ended: m.ended, Messages: append([]string{}, m.messages...),
	}
}

// Close is the cashier pressing the modal's close button. It fails when the gateway has hidden the button.
func (m *Modal) Close() error {
	m.shop.mu.Lock()
	defer m.shop.mu.Unlock()
	switch {
	case m.ended != "":
		return fmt.Errorf("testserver: modal %s is already %s", m.id, m.ended)
	case !m.closable:
		return fmt.Errorf("testserver: modal %s shows no close button", m.id)
	}
	m.ended = "closed"
	return nil
}

// Abandon is the browser losing the page: the modal is gone whatever the gateway wants.
func (m *Modal) Abandon() {
	m.shop.mu.Lock()
	defer m.shop.mu.Unlock()
	if m.ended == "" {
		m.ended = "closed"
	}
}

// Post gives the sell screen one message of the gateway's page, a JSON text, and returns the JSON text that the
// sell screen posts back: the answer to DATA, "" for every other step. A message that is not what the vendor
// documents is a violation and comes back as an error; at the vendor it would be ignored in silence.
func (m *Modal) Post(message string) (string, error) {
	m.shop.mu.Lock()
	defer m.shop.mu.Unlock()
	m.messages = append(m.messages, message)
	reply, err := m.receive(message)
	if err != nil {
		m.shop.engine.violate(xseriesName, "MESSAGE", "/sell/"+m.id, err.Error())
		return "", fmt.Errorf("testserver: modal %s: %w", m.id, err)
	}
	return reply, nil
}

// stepFields lists the fields of each step, beside step itself.
func stepFields(step string) (fields []string, known bool) {
	fields, known = map[string][]string{
		"SETUP":   {"setup"},
		"DATA":    {},
		"ACCEPT":  {"transaction_id", "receipt_html_extra"},
		"DECLINE": {"print", "receipt_html_extra"},
		"PRINT":   {"receipt_html_extra"},
		"EXIT":    {},
	}[step]
	return fields, known
}

// receive carries out one message. Called with the lock held.
func (m *Modal) receive(message string) (string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(message), &fields); err != nil {
		return "", fmt.Errorf("the message is not a JSON object: %w", err)
	}
	step, ok := text(fields["step"])
	if !ok {
		return "", fmt.Errorf("the message has no step: %s", message)
	}
	allowed, known := stepFields(step)
	if !known {
		return "", fmt.Errorf("unknown step %q", step)
	}
	for name := range fields {
		// name and success were sent by gateways of 2016 and did no harm.
		if !slices.Contains(allowed, name) && !slices.Contains([]string{"step", "name", "success"}, name) {
			return "", fmt.Errorf("step %s has no field %q", step, name)
		}
	}
	if m.ended != "" {
		return "", fmt.Errorf("step %s after the modal was %s", step, m.ended)
	}
	receipt, ok := text(fields["receipt_html_extra"])
	if !ok && fields["receipt_html_extra"] != nil {
		return "", fmt.Errorf("step %s: receipt_html_extra must be a string", step)
	}
	switch step {
	case "SETUP":
		return "", m.setup(fields["setup"])
	case "DATA":
		return m.data()
	case "ACCEPT":
		return "", m.accept(fields["transaction_id"], receipt)
	case "DECLINE":
		var doPrint bool
		if raw := fields["print"]; raw != nil && json.Unmarshal(raw, &doPrint) != nil {
			return "", fmt.Errorf("step DECLINE: print must be true or false, not %s", raw)
		}
		m.ended = "declined"
	case "PRINT":
		if receipt == "" {
			return "", errors.New("step PRINT needs receipt_html_extra")
		}
	default: // EXIT
		m.ended = "exited"
	}
	return "", nil
}

// text reads a JSON string.
func text(raw json.RawMessage) (string, bool) {
	var s string
	if raw == nil || bytes.HasPrefix(raw, []byte("null")) || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// setup shows or hides the close button.
func (m *Modal) setup(raw json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || len(fields) != 1 {
		return fmt.Errorf("step SETUP: setup must be an object with enable_close alone, not %s", raw)
	}
	var enable *bool
	if err := json.Unmarshal(fields["enable_close"], &enable); err != nil || enable == nil {
		return fmt.Errorf("step SETUP: setup.enable_close must be true or false, not %s", fields["enable_close"])
	}
	m.closable = *enable
	return nil
}

// accept records the payment and closes the modal. The cents are those that the modal was opened for: no field
// of ACCEPT can change them.
func (m *Modal) accept(rawID json.RawMessage, receipt string) error {
	id, ok := text(rawID)
	var n json.Number
	switch {
	case ok || rawID == nil:
	case json.Unmarshal(rawID, &n) == nil && n != "":
		id = n.String() // the vendor's own example sends a number
	default:
		return fmt.Errorf("step ACCEPT: transaction_id must be a string or a number, not %s", rawID)
	}
	m.ended = "accepted"
	m.shop.record(m.sale, SalePayment{
		ID: newID(), RegisterID: m.sale.registerID, Amount: m.amount, TransactionID: id, Receipt: receipt,
		Time: m.shop.engine.now().UTC(),
	})
	if m.sale.paid().Abs().GreaterThan(m.sale.total.Abs()) {
		return fmt.Errorf("sale %s of %s is paid with %s: a payment was recorded twice", m.sale.id, m.sale.total, m.sale.paid())
	}
	return nil
}

// The answer to DATA. All money and quantities are strings.
type (
	dataReply struct {
		Success      bool         `json:"success"`
		Step         string       `json:"step"`
		RegisterSale registerSale `json:"register_sale"`
		Payment      dataPayment  `json:"payment"`
	}
	registerSale struct {
		ID           string     `json:"id"`
		ClientID     string     `json:"client_id"`
		ClientSaleID string     `json:"client_sale_id"`
		Totals       dataTotals `json:"totals"`
		LineItems    []dataLine `json:"line_items"`
		// CustomerID and Discount are in newer answers. That they are left out of a sale without is a judgment.
		CustomerID string          `json:"customer_id,omitempty"`
		Discount   json.RawMessage `json:"discount,omitempty"`
	}
	dataTotals struct {
		Tax   string `json:"total_tax"`
		Price string `json:"total_price"`
		Paid  string `json:"total_paid"`
		ToPay string `json:"total_to_pay"`
	}
	dataLine struct {
		ProductID string `json:"product_id"`
		Name      string `json:"name"`
		Quantity  string `json:"quantity"`
		SKU       string `json:"sku"`
		UnitPrice string `json:"unit_price"`
		UnitTax   string `json:"unit_tax"`
		TaxID     string `json:"tax_id"`
		TaxRate   string `json:"tax_rate"`
		ImageURL  string `json:"image_url"`
		Discount  string `json:"discount"`
	}
	dataPayment struct {
		RegisterID string `json:"register_id"`
		Amount     string `json:"amount"`
	}
)

// data is the answer to DATA. total_to_pay is the whole sale with tax, not what is left.
func (m *Modal) data() (string, error) {
	one := m.sale
	lines := make([]dataLine, 0, len(one.lines))
	for _, l := range one.lines {
		lines = append(lines, dataLine{
			ProductID: l.productID, Name: l.Name, Quantity: l.Quantity.String(), SKU: l.SKU,
			UnitPrice: l.unitPrice().StringFixed(5), UnitTax: l.unitTax().StringFixed(5),
			TaxID: taxID, TaxRate: "0.15000", Discount: "0.00000",
		})
	}
	reply, err := json.Marshal(dataReply{
		Success: true, Step: "DATA",
		RegisterSale: registerSale{
			ID: one.id, ClientID: "web_register", ClientSaleID: one.id,
			Totals: dataTotals{
				Tax: one.tax().StringFixed(5), Price: one.price().StringFixed(5),
				Paid: one.paid().StringFixed(2), ToPay: one.total.StringFixed(5),
			},
			LineItems: lines, CustomerID: one.customerID, Discount: one.discount,
		},
		Payment: dataPayment{RegisterID: one.registerID, Amount: m.amount.StringFixed(2)},
	})
	return string(reply), err
}
