// Package xseriestest is a simulated Lightspeed Retail X-Series with a sell screen, for tests of programs that use package xseries.
//
//	func TestGateway(t *testing.T) {
//		store := xseriestest.New(t)
//		client, err := xseries.New(store.Config())
//		// The cashier presses Pay, and the program's page talks to the sell screen:
//		screen, err := store.Pay(store.Registers()[0].ID, decimal.RequireFromString("8.00"))
//		answer, err := screen.Post(`{"step":"DATA"}`)
//		// What the store wrote down:
//		sales := store.Sales()
//	}
//
// The store answers as the vendor documents. Where the vendor is silent it does what surprises least, which a program must not
// rely on. It keeps its own books, and remembers what was wrong with the requests that it got: see [Server.Close].
//
// Methods may be called from any goroutine.
package xseriestest

import (
	"context"
	"net/url"
	"testing"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// Server is a simulated store.
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

// Close ends the serving. Its error says what was wrong with the requests and messages that came, and which of the faults that were
// asked for never happened.
func (s *Server) Close() error { return s.server.Close() }

func (s *Server) about() testserver.XSeriesDescription { return s.server.Describe().XSeries }

// URL returns the base URL, for [xseries.Config] and [xseries.OAuth].
func (s *Server) URL() string { return s.about().BaseURL }

// Origin returns the origin of the store's sell screen, from which its messages come.
func (s *Server) Origin() string { return s.about().Origin }

// Config returns the configuration of a client of this store with a personal token, which may do everything. Webhooks that are made
// with it are not signed: for those see [Server.Connect].
func (s *Server) Config() xseries.Config {
	d := s.about()
	return xseries.Config{DomainPrefix: d.DomainPrefix, AccessToken: tillroute.Secret(d.PersonalToken), BaseURL: d.BaseURL}
}

// OAuth returns the application that is registered with the store. redirectURL is where the merchant comes back to: any absolute URL.
func (s *Server) OAuth(redirectURL string, scopes ...string) xseries.OAuth {
	d := s.about()
	return xseries.OAuth{
		ClientID: d.ClientID, ClientSecret: tillroute.Secret(d.ClientSecret), RedirectURL: redirectURL, Scopes: scopes,
		AuthorizeURL: d.AuthorizeURL, BaseURL: d.BaseURL,
	}
}

// Consent is the merchant's browser: it goes to the URL, which [xseries.OAuth.AuthCodeURL] returned, says yes there, and returns the
// query that it comes back to the redirect URL with.
func (s *Server) Consent(ctx context.Context, authCodeURL string) (url.Values, error) {
	return simulated.Consent(ctx, authCodeURL)
}

// RefuseConsent has the merchant say no the next time.
func (s *Server) RefuseConsent() { s.server.XSeries.RefuseNextAuthorization() }

// GrantScopes has the merchant grant these scopes the next time, whatever is asked for.
func (s *Server) GrantScopes(scopes ...string) { s.server.XSeries.GrantNextAuthorization(scopes...) }

// Connect has the merchant consent to the application, and keeps the grant in tokens. Clients with both have Config.OAuth,
// Config.Tokens, and the DomainPrefix of [Server.Config].
func (s *Server) Connect(ctx context.Context, app xseries.OAuth, tokens pairing.Tokens) error {
	state := xseries.NewState()
	target, err := app.AuthCodeURL(state)
	if err != nil {
		return err
	}
	query, err := s.Consent(ctx, target)
	if err != nil {
		return err
	}
	callback, err := app.ParseCallback(query, state)
	if err != nil {
		return err
	}
	grant, err := app.Exchange(ctx, callback)
	if err != nil {
		return err
	}
	_, err = tokens.PutGrant(ctx, grant, -1)
	return err
}

// ExpireTokens ends the life of all access tokens. Refresh tokens stay good.
func (s *Server) ExpireTokens() { s.server.XSeries.ExpireTokens() }

// RevokeTokens ends the life of all access and refresh tokens, as when the merchant removes the application.
func (s *Server) RevokeTokens() { s.server.XSeries.RevokeTokens() }

// LoseReply carries out the next request to the path, and loses the answer. A path is below the base URL, covers all that is below
// it, and its segments may be patterns: "/api/*/webhooks". The empty method is any.
func (s *Server) LoseReply(method, path string) {
	s.server.Fault(testserver.On("xseries", method, path), testserver.LoseReply())
}

// RefuseNext answers the next request to the path, as with [Server.LoseReply], with an HTTP status such as 503, and does nothing.
func (s *Server) RefuseNext(method, path string, status int) {
	s.server.Fault(testserver.On("xseries", method, path), testserver.Status(status, ""))
}
