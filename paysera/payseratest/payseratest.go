// Package payseratest is a simulated Paysera Wallet with guests and their phones, for tests of programs that use package paysera.
//
//	func TestCafe(t *testing.T) {
//		server := payseratest.New(t)
//		client, err := paysera.New(server.Config())
//		guest, table := server.Guests()[0], server.Table("TABLE1")
//		err = guest.CheckIn(table)
//		// Have the program put an order before the guest, who pays:
//		key, err := guest.WaitOrder(t.Context())
//		err = guest.Pay(key)
//		// What really moved:
//		charges := server.Charges()
//	}
//
// The server answers as the vendor documents. Where the vendor is silent it does what surprises least, which a program must not
// rely on. It checks each signature by itself, keeps its own books, and remembers what was wrong with the requests that it got: see
// [Server.Close]. It has no limit on requests.
//
// Methods may be called from any goroutine.
package payseratest

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/paysera"
)

// Server is a simulated Paysera with a merchant and guests.
type Server struct{ server *simulated.Server }

// New serves for the time of a test. At its end the test fails if [Server.Close] has something to say.
func New(tb testing.TB) *Server {
	tb.Helper()
	return simulated.ForTest(tb, Start)
}

// Start serves on a loopback port until [Server.Close]: for a TestMain, or a program. Tests use [New].
func Start() (*Server, error) {
	server, err := simulated.Start(testserver.Options{Paysera: testserver.PayseraOptions{RateLimit: -1, AccountLimit: -1}})
	if err != nil {
		return nil, err
	}
	return &Server{server}, nil
}

// Close ends the serving. Its error says what was wrong with the requests that came, such as a signature, and which of the faults
// that were asked for never happened.
func (s *Server) Close() error { return s.server.Close() }

func (s *Server) about() testserver.PayseraDescription { return s.server.Describe().Paysera }

// URL returns the base URL, for [paysera.Config] and [paysera.OAuth].
func (s *Server) URL() string { return s.about().BaseURL }

// Currency returns what the guests have in their wallets.
func (s *Server) Currency() string { return s.about().Currency }

// Config returns the configuration of the merchant's client.
func (s *Server) Config() paysera.Config {
	d := s.about()
	return paysera.Config{ClientID: d.ClientID, ClientSecret: tillroute.Secret(d.ClientSecret), BaseURL: d.BaseURL}
}

// OAuth returns an application that acts for guests. redirectURL is where they come back to: any absolute URL.
func (s *Server) OAuth(redirectURL string, scopes ...string) paysera.OAuth {
	d := s.about()
	return paysera.OAuth{
		ClientID: d.AppID, ClientSecret: tillroute.Secret(d.AppSecret), RedirectURL: redirectURL, Scopes: scopes,
		AuthorizeURL: d.AuthURL + "/oauth", BaseURL: d.BaseURL,
	}
}

// Consent is the guest's browser: it goes to the URL, which [paysera.OAuth.AuthCodeURL] returned, says yes there, and returns the
// query that it comes back to the redirect URL with.
func (s *Server) Consent(ctx context.Context, guest *Guest, authCodeURL string) (url.Values, error) {
	if err := s.server.Paysera.AuthorizeAs(guest.user.ID()); err != nil {
		return nil, err
	}
	return simulated.Consent(ctx, authCodeURL)
}

// RefuseConsent has the next guest that is asked say no.
func (s *Server) RefuseConsent() { s.server.Paysera.RefuseNextAuthorization() }

// Connect has the guest consent to the application, and keeps the grant in tokens under the account. Clients with all three have
// Config.OAuth, Config.Tokens and Config.Account.
func (s *Server) Connect(ctx context.Context, guest *Guest, app paysera.OAuth, tokens pairing.Tokens, account string) error {
	state := paysera.NewState()
	target, err := app.AuthCodeURL(state)
	if err != nil {
		return err
	}
	query, err := s.Consent(ctx, guest, target)
	if err != nil {
		return err
	}
	callback, err := app.ParseCallback(query, state)
	if err != nil {
		return err
	}
	grant, err := app.Exchange(ctx, callback, account)
	if err != nil {
		return err
	}
	_, err = tokens.PutGrant(ctx, grant, -1)
	return err
}

// ExpireTokens ends the life of all access tokens. Refresh tokens stay good.
func (s *Server) ExpireTokens() { s.server.Paysera.ExpireTokens() }

// RevokeTokens ends the life of all access and refresh tokens, as when guests remove the application.
func (s *Server) RevokeTokens() { s.server.Paysera.RevokeTokens() }

// LoseReply carries out the next request to the path, and loses the answer. A path is below the base URL, covers all that is below
// it, and its segments may be patterns: "/rest/v1/transaction/*/confirm". The empty method is any.
func (s *Server) LoseReply(method, path string) {
	s.server.Fault(testserver.On("paysera", method, path), testserver.LoseReply())
}

// RefuseNext answers the next request to the path, as with [Server.LoseReply], with an HTTP status such as 503, and does nothing.
func (s *Server) RefuseNext(method, path string, status int) {
	s.server.Fault(testserver.On("paysera", method, path), testserver.Status(status, ""))
}

// Table returns the code of a spot of that identifier at the merchant's first location.
func (s *Server) Table(identifier string) paysera.SpotCode {
	return paysera.SpotCode{LocationID: s.about().Locations[0].ID, Identifier: identifier}
}

// Charge is money that moved: what was taken from a guest, or given back.
type Charge struct {
	// TransactionKey is that of the transaction that moved it.
	TransactionKey string
	// SpotID is the spot that it was paid at, or 0.
	SpotID int64
	// WalletID is the payer's.
	WalletID int64
	// Amount is what was taken, and is negative for what was given back. Asked is what was reserved.
	Amount, Asked decimal.Decimal
	Currency      string
}

// Charges returns every movement of money so far, in order, whatever the program has heard of it.
func (s *Server) Charges() []Charge {
	var list []Charge
	for _, c := range s.server.Paysera.Charges() {
		list = append(list, Charge{
			TransactionKey: c.TransactionKey, SpotID: c.SpotID, WalletID: c.Payer, Amount: c.Amount, Asked: c.Asked, Currency: c.Currency,
		})
	}
	return list
}

// Guest is somebody with the wallet app on the phone.
type Guest struct{ user *testserver.PayseraUser }

// Guests returns the guests. Each has money.
func (s *Server) Guests() []*Guest {
	var list []*Guest
	for _, u := range s.server.Paysera.Users() {
		list = append(list, &Guest{u})
	}
	return list
}

// WalletID returns the number of the guest's wallet.
func (g *Guest) WalletID() int64 { return g.user.State().WalletID }

// Balance returns what is in the wallet, and how much of it is set aside for reservations.
func (g *Guest) Balance() (balance, held decimal.Decimal) {
	state := g.user.State()
	return state.Balance, state.Held
}

// SetBalance says what is in the wallet. Transactions that wait for money go on.
func (g *Guest) SetBalance(amount decimal.Decimal) error { return g.user.SetBalance(amount) }

// CheckIn has the guest scan the code of a spot and check in. It is an error if the code is of no location of the merchant's.
func (g *Guest) CheckIn(code paysera.SpotCode) error {
	_, err := g.user.CheckIn(code.String())
	return err
}

// CheckOut has the guest leave the spot. It is an error if the guest isn't at one.
func (g *Guest) CheckOut() error { return g.user.CheckOut() }

// WaitOrder waits until there is an order to be paid at the guest's spot, and returns its transaction's key. It returns an error when
// ctx ends.
func (g *Guest) WaitOrder(ctx context.Context) (key string, err error) { return g.user.WaitOrder(ctx) }

// Pay has the guest pay a transaction, whose money is then reserved for the merchant to confirm. A guest without enough money leaves
// it waiting. It is an error if there is no such transaction, or it can't be paid any more.
func (g *Guest) Pay(key string) error { return g.user.Pay(key) }

// Decline has the guest reject a transaction. It is an error if it is paid, or has ended.
func (g *Guest) Decline(key string) error { return g.user.Decline(key) }

// String returns who the guest is.
func (g *Guest) String() string {
	return fmt.Sprintf("%s (wallet %d)", g.user.State().Name, g.WalletID())
}
