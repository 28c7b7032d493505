// Package smartconnecttest is a simulated Smartpay SmartConnect with terminals, for tests of programs that take payments with
// package smartconnect.
//
//	func TestCoffee(t *testing.T) {
//		server := smartconnecttest.New(t)
//		client, err := smartconnect.New(server.Config())
//		terminal := server.Terminal()
//		code, err := terminal.ShowCode()
//		// Pair with the code, have the program take a payment, and be the person at the terminal:
//		shown, err := terminal.Wait(t.Context())
//		err = terminal.Approve()
//		// What really moved:
//		charges := server.Charges()
//	}
//
// The server answers as the vendor documents. Where the vendor is silent it does what surprises least, which a program must not
// rely on. It keeps its own books, and remembers what was wrong with the requests that it got: see [Server.Close].
//
// Methods may be called from any goroutine.
package smartconnecttest

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/smartconnect"
)

// centDigits is how many decimals the currency has.
const centDigits = 2

// Server is a simulated SmartConnect with three terminals.
type Server struct{ server *simulated.Server }

// New serves for the time of a test. At its end the test fails if [Server.Close] has something to say.
func New(tb testing.TB) *Server {
	tb.Helper()
	return simulated.ForTest(tb, Start)
}

// Start serves on a loopback port until [Server.Close]: for a TestMain, or a program. Tests use [New].
func Start() (*Server, error) {
	// Tests needn't wait for the polls that production wants to be seconds apart.
	server, err := simulated.Start(testserver.Options{SmartConnect: testserver.SmartConnectOptions{MinPoll: -1}})
	if err != nil {
		return nil, err
	}
	return &Server{server}, nil
}

// Close ends the serving. Its error says what was wrong with the requests that came, such as a transaction without its mode, and
// which of the faults that were asked for never happened.
func (s *Server) Close() error { return s.server.Close() }

// URL returns the base URL, for [smartconnect.Config].
func (s *Server) URL() string { return s.server.Describe().SmartConnect.BaseURL }

// Config returns the configuration of a client of this server. Its names are made up, its currency is NZD, and it polls every 10 ms:
// change what you like.
func (s *Server) Config() smartconnect.Config {
	return smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: s.server.Describe().SmartConnect.Currency, BaseURL: s.URL(),
		PollInterval: 10 * time.Millisecond,
	}
}

// Terminal returns the first terminal.
func (s *Server) Terminal() *Terminal { return s.Terminals()[0] }

// Terminals returns all terminals.
func (s *Server) Terminals() []*Terminal {
	var list []*Terminal
	for _, device := range s.server.SmartConnect.Devices() {
		list = append(list, &Terminal{device})
	}
	return list
}

// LoseReply takes the next transaction that is started to its terminal, and loses the answer: the program can't know of it.
func (s *Server) LoseReply() {
	s.server.Fault(testserver.On("smartconnect", http.MethodPost, "/POS/Transaction"), testserver.LoseReply())
}

// LosePairingReply carries out the next pairing, and loses the answer.
func (s *Server) LosePairingReply() {
	s.server.Fault(testserver.On("smartconnect", http.MethodPut, "/POS/Pairing"), testserver.LoseReply())
}

// RefuseNext answers the next request, whatever it is, with an HTTP status such as 503, and does nothing.
func (s *Server) RefuseNext(status int) {
	s.server.Fault(testserver.On("smartconnect", "", ""), testserver.Status(status, ""))
}

// ExpirePolling ends the life of all polling URLs, as 15 minutes do: nobody can learn any more how their transactions end.
func (s *Server) ExpirePolling() { s.server.SmartConnect.ExpireTokens() }

// Charge is money that moved at a terminal.
type Charge struct {
	// Serial is the terminal's, and RegisterID the register's that asked.
	Serial     string
	RegisterID tillroute.Secret
	// Type says which way it went. An authorisation holds the money.
	Type smartconnect.Type
	// Amount is what was charged, surcharge and tip included, and Asked what the register asked for. Both are above zero.
	Amount, Asked decimal.Decimal
	// TransactionID is that of [smartconnect.Transaction].
	TransactionID string
}

// Charges returns every movement of money so far, in order, whatever the program has heard of it.
func (s *Server) Charges() []Charge { return charges(s.server.SmartConnect.Charges()) }

// WaitCharges waits until there are n movements of money at least, and returns all. It returns an error when ctx ends.
func (s *Server) WaitCharges(ctx context.Context, n int) ([]Charge, error) {
	list, err := s.server.SmartConnect.WaitCharges(ctx, n)
	return charges(list), err
}

func charges(list []testserver.Charge) []Charge {
	var all []Charge
	for _, c := range list {
		all = append(all, Charge{
			Serial: c.Device, RegisterID: tillroute.Secret(c.RegisterID), Type: smartconnect.Type(c.Type),
			Amount: decimal.New(c.Cents, -centDigits), Asked: decimal.New(c.AskedCents, -centDigits), TransactionID: c.TransactionID,
		})
	}
	return all
}
