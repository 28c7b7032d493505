package testserver

import (
	"encoding/json"
	"net/http"

	"github.com/shopspring/decimal"
)

// product is what the till sells.
type product struct {
	Name, SKU string
	// Cents is the price with tax.
	Cents int64
}

// Price is the price with tax, in dollars.
func (p product) Price() string { return decimal.New(p.Cents, -2).StringFixed(2) }

// products lists what the till sells.
func products() []product {
	return []product{{"T-shirt", shirtSKU, 2430}, {"Coffee", "10002", 550}, {"Scarf", "10003", 1800}, {"Boots", "10004", 12900}}
}

// PayCash records a payment in notes and coins, which no gateway sees. The amount is negative for a refund, and at
// most what is left to pay.
func (s *XSeries) PayCash(saleID string, amount decimal.Decimal) (Sale, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.unpaid(saleID, amount)
	if err != nil {
		return Sale{}, err
	}
	s.record(one, SalePayment{
		ID: newID(), RegisterID: one.registerID, Amount: amount, Cash: true, Time: s.engine.now().UTC(),
	})
	return one.snapshot(), nil
}

// paidBy is the payment type of a payment.
func (s *shop) paidBy(p SalePayment) paymentType {
	id := paymentTypeCard
	if p.Cash {
		id = paymentTypeCash
	}
	for _, kind := range s.paymentTypes {
		if kind.ID == id {
			return kind
		}
	}
	return paymentType{ID: id}
}

// GatewayURL is what the merchant entered as gateway of the payment type "Credit Card"; "" for none.
func (s *XSeries) GatewayURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateway
}

// receipt finds what the gateway wants on the receipt of a payment.
func (s *XSeries) receipt(paymentID string) (html string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.shop.sales {
		for _, p := range one.payments {
			if p.ID == paymentID {
				return p.Receipt, true
			}
		}
	}
	return "", false
}

// slip finds what the gateway wants printed in the n-th message of a modal, from 0. A nil modal has none.
func (m *Modal) slip(n int) (html string, ok bool) {
	if m == nil {
		return "", false
	}
	m.shop.mu.Lock()
	defer m.shop.mu.Unlock()
	if n < 0 || n >= len(m.messages) {
		return "", false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(m.messages[n]), &fields) != nil {
		return "", false
	}
	return text(fields["receipt_html_extra"])
}

// simSales lists the sales, those of one register with the query parameter register_id.
func (s *Systems) simSales(r *http.Request) (any, error) {
	sales := []Sale{}
	for _, one := range s.XSeries.Sales() {
		if id := r.URL.Query().Get("register_id"); id == "" || id == one.RegisterID {
			sales = append(sales, one)
		}
	}
	return sales, nil
}

func (s *Systems) simPayCash(r *http.Request) (any, error) {
	var body struct {
		Amount decimal.Decimal `json:"amount"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	sale, err := s.XSeries.PayCash(r.PathValue("id"), body.Amount)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	return sale, nil
}
