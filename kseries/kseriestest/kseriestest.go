// Package kseriestest is a simulated Lightspeed Restaurant K-Series with tables and a point of sale, for tests of programs that use
// package kseries.
//
//	func TestPayAtTable(t *testing.T) {
//		restaurant := kseriestest.New(t)
//		client, err := kseries.New(restaurant.Config())
//		check, err := restaurant.OpenCheck(2, restaurant.Products()[0].SKU)
//		// Have the program read the check and apply a payment to it. Then the check says what was really paid:
//		check, _ = restaurant.Check(check.AccountIdentifier)
//	}
//
// The server answers as the vendor documents. Where the vendor is silent it does what surprises least, which a program must not
// rely on. It keeps its own books, and remembers what was wrong with the requests that it got: see [Server.Close].
//
// Methods may be called from any goroutine.
package kseriestest

import (
	"context"
	"net/url"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
)

// Server is a simulated restaurant with a point of sale that is online.
type Server struct{ server *simulated.Server }

// New serves for the time of a test. At its end the test fails if [Server.Close] has something to say.
func New(tb testing.TB) *Server {
	tb.Helper()
	return simulated.ForTest(tb, Start)
}

// Start serves on a loopback port until [Server.Close]: for a TestMain, or a program. Tests use [New].
func Start() (*Server, error) {
	server, err := simulated.Start(testserver.Options{})
	if err != nil {
		return nil, err
	}
	return &Server{server}, nil
}

// Close ends the serving. Its error says what was wrong with the requests that came, and which of the faults that were asked for
// never happened.
func (s *Server) Close() error { return s.server.Close() }

func (s *Server) about() testserver.KSeriesDescription { return s.server.Describe().KSeries }

// URL returns the base URL, for [kseries.Config].
func (s *Server) URL() string { return s.about().BaseURL }

// BusinessLocationID returns the ID of the restaurant's business location.
func (*Server) BusinessLocationID() int64 { return testserver.KSeriesLocation }

// Currency returns the ISO 4217 code of what checks are in.
func (s *Server) Currency() string { return s.about().Currency }

// Config returns the configuration of a client with an access token of the scopes: of all, if none are named.
func (s *Server) Config(scopes ...string) kseries.Config {
	return kseries.Config{AccessToken: tillroute.Secret(s.server.KSeries.Token(scopes...)), BaseURL: s.URL()}
}

// OAuth returns the application that is registered, of version V2. redirectURL is where the merchant comes back to: any https URL.
func (s *Server) OAuth(redirectURL string, scopes ...string) kseries.OAuth {
	d := s.about()
	return kseries.OAuth{
		ClientID: d.ClientID, ClientSecret: tillroute.Secret(d.ClientSecret), RedirectURL: redirectURL, Scopes: scopes,
		AuthorizeURL: d.AuthorizeURL, TokenURL: d.TokenURL,
	}
}

// Consent is the merchant's browser: it goes to the URL, which [kseries.OAuth.AuthCodeURL] returned, says yes there, and returns the
// query that it comes back to the redirect URL with.
func (s *Server) Consent(ctx context.Context, authCodeURL string) (url.Values, error) {
	return simulated.Consent(ctx, authCodeURL)
}

// RefuseConsent has the merchant say no the next time.
func (s *Server) RefuseConsent() { s.server.KSeries.RefuseNextAuthorization() }

// GrantScopes has the merchant grant these scopes the next time, whatever is asked for.
func (s *Server) GrantScopes(scopes ...string) { s.server.KSeries.GrantNextAuthorization(scopes...) }

// Connect has the merchant consent to the application, and keeps the grant in tokens under the account. Clients with all three have
// Config.OAuth, Config.Tokens and Config.Account.
func (s *Server) Connect(ctx context.Context, app kseries.OAuth, tokens pairing.Tokens, account string) error {
	state := kseries.NewState()
	target, err := app.AuthCodeURL(state)
	if err != nil {
		return err
	}
	query, err := s.Consent(ctx, target)
	if err != nil {
		return err
	}
	code, err := app.ParseCallback(query, state)
	if err != nil {
		return err
	}
	grant, err := app.Exchange(ctx, account, code)
	if err != nil {
		return err
	}
	_, err = tokens.PutGrant(ctx, grant, -1)
	return err
}

// ExpireTokens ends the life of all access tokens. Refresh tokens stay good.
func (s *Server) ExpireTokens() { s.server.KSeries.ExpireTokens() }

// RevokeTokens ends the life of all access and refresh tokens, as when the merchant removes the application.
func (s *Server) RevokeTokens() { s.server.KSeries.RevokeTokens() }

// LoseReply carries out the next request to the path, and loses the answer. A path is below the base URL, covers all that is below
// it, and its segments may be patterns: "/o/op/*/pay". The empty method is any.
func (s *Server) LoseReply(method, path string) {
	s.server.Fault(testserver.On("kseries", method, path), testserver.LoseReply())
}

// RefuseNext answers the next request to the path, as with [Server.LoseReply], with an HTTP status such as 503, and does nothing.
func (s *Server) RefuseNext(method, path string, status int) {
	s.server.Fault(testserver.On("kseries", method, path), testserver.Status(status, ""))
}

// Applied is a payment of the API that was applied to a check.
type Applied struct {
	AccountIdentifier, Reference, Method string
	// Amount is without Tip.
	Amount, Tip decimal.Decimal
}

// Applied returns every payment that was applied so far, in order, whatever the program has heard of it.
func (s *Server) Applied() []Applied {
	var list []Applied
	for _, a := range s.server.KSeries.Applied() {
		list = append(list, Applied{AccountIdentifier: a.Account, Reference: a.Reference, Method: a.Method, Amount: a.Amount, Tip: a.Tip})
	}
	return list
}
