package xseriestest

import (
	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/internal/testserver"
)

// Register is a register of the store.
type Register struct {
	ID, Name, OutletID string
	Open               bool
}

// Registers returns the store's registers.
func (s *Server) Registers() []Register {
	var list []Register
	for _, r := range s.server.XSeries.Registers() {
		list = append(list, Register{ID: r.ID, Name: r.Name, OutletID: r.OutletID, Open: r.Open})
	}
	return list
}

// SetGateway enters the URL of the page that the sell screen opens to take a payment.
func (s *Server) SetGateway(url string) { s.server.XSeries.SetGatewayURL(url) }

// Pay rings up a sale and has the cashier press Pay for all of it: the sell screen opens the gateway's page. A negative amount is a
// refund. It is an error if there is no such register, or it is closed.
func (s *Server) Pay(registerID string, amount decimal.Decimal) (*Screen, error) {
	modal, err := s.server.XSeries.OpenModal(registerID, amount)
	if err != nil {
		return nil, err
	}
	return &Screen{modal}, nil
}

// PayAgain has the cashier press Pay for a part of a sale that isn't paid in full: the next part, or the same after a refusal. It
// is an error if there is no such sale, or no such amount left to pay.
func (s *Server) PayAgain(saleID string, amount decimal.Decimal) (*Screen, error) {
	modal, err := s.server.XSeries.OpenModalFor(saleID, amount)
	if err != nil {
		return nil, err
	}
	return &Screen{modal}, nil
}

// Screen is the window of a payment in the sell screen, which has the gateway's page in it. The test is the page.
type Screen struct{ modal *testserver.Modal }

// URL returns what the window loads: the gateway's URL with amount, origin and register_id. It is empty without
// [Server.SetGateway].
func (s *Screen) URL() string { return s.modal.URL() }

// SaleID returns the ID of the sale that is paid.
func (s *Screen) SaleID() string { return s.modal.SaleID() }

// Post gives the sell screen a message of the page, such as [github.com/tillroute/tillroute/xseries.EncodeMessage] returns, and
// returns what it answers, for [github.com/tillroute/tillroute/xseries.ParseMessage]: the sale to DATA, and nothing to all others.
// A message that isn't as documented is an error, and one of [Server.Close] too.
func (s *Screen) Post(message string) ([]byte, error) {
	answer, err := s.modal.Post(message)
	return []byte(answer), err
}

// Ended returns how the payment has ended: "accepted", "declined", "exited", "closed" (by the cashier), or "" while it goes on.
func (s *Screen) Ended() string { return s.modal.State().Ended }

// Close has the cashier close the window. It is an error if the page has hidden the button.
func (s *Screen) Close() error { return s.modal.Close() }

// Abandon loses the window, as a browser that dies does.
func (s *Screen) Abandon() { s.modal.Abandon() }

// Sale is a sale in the store's books.
type Sale struct {
	ID, RegisterID string
	// Total is with tax, and Paid what was paid of it. Both are negative for a refund.
	Total, Paid decimal.Decimal
	// Closed sales are paid in full.
	Closed   bool
	Payments []Payment
}

// Payment is a payment that the sell screen wrote down.
type Payment struct {
	// Amount is negative for a refund.
	Amount decimal.Decimal
	// TransactionID and Receipt are what the page accepted it with.
	TransactionID, Receipt string
}

// Sales returns all sales, in the order in which they began.
func (s *Server) Sales() []Sale {
	var list []Sale
	for _, one := range s.server.XSeries.Sales() {
		sale := Sale{ID: one.ID, RegisterID: one.RegisterID, Total: one.Total, Paid: one.Paid, Closed: one.Closed}
		for _, p := range one.Payments {
			sale.Payments = append(sale.Payments, Payment{p.Amount, p.TransactionID, p.Receipt})
		}
		list = append(list, sale)
	}
	return list
}
