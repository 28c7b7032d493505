package testserver

import (
	"net/http"

	"github.com/shopspring/decimal"
)

// PayCash records a payment in notes and coins, which no gateway sees. The amount is negative for a refund, and at
// most what is left to pay.
func (s *XSeries) PayCash(saleID string, amount decimal.Decimal) (Sale, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.unpaid(saleID, amount)
	if err != nil {
		return Sale{}, err
	}
	now := s.engine.now().UTC()
	one.payments = append(one.payments, SalePayment{
		ID: newID(), RegisterID: one.registerID, Amount: amount, Cash: true, Time: now,
	})
	one.updated, one.version = now, s.shop.next()
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
