package xseries_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// The tests in this file run against the simulated X-Series, which knows nothing of this package and keeps its own books.

func simulated(t *testing.T, o testserver.XSeriesOptions) (*testserver.Systems, xseries.OAuth) {
	t.Helper()
	sys := testserver.Start(t, testserver.Options{XSeries: o})
	d := sys.Describe().XSeries
	return sys, xseries.OAuth{
		ClientID: d.ClientID, ClientSecret: tillroute.Secret(d.ClientSecret), RedirectURL: "https://pay.example.com/callback",
		Scopes: []string{"registers:read", "outlets:read"}, AuthorizeURL: d.AuthorizeURL, BaseURL: d.BaseURL,
	}
}

// consent is a merchant's browser: it follows the URL and returns what it comes back with.
func consent(t *testing.T, target string) url.Values {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusFound, response.StatusCode)
	back, err := response.Location()
	require.NoError(t, err)
	return back.Query()
}

// begin connects the store and returns a client.
func begin(t *testing.T, sys *testserver.Systems, app xseries.OAuth, tokens pairing.Tokens) *xseries.Client {
	t.Helper()
	state := xseries.NewState()
	target, err := app.AuthCodeURL(state)
	require.NoError(t, err)
	callback, err := app.ParseCallback(consent(t, target), state)
	require.NoError(t, err)
	require.Equal(t, sys.Describe().XSeries.DomainPrefix, callback.DomainPrefix)
	grant, err := app.Exchange(t.Context(), callback)
	require.NoError(t, err)
	_, err = tokens.PutGrant(t.Context(), grant, -1)
	require.NoError(t, err)
	return clientOf(t, sys, app, tokens)
}

func clientOf(t *testing.T, sys *testserver.Systems, app xseries.OAuth, tokens pairing.Tokens) *xseries.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := xseries.New(xseries.Config{
		DomainPrefix: sys.Describe().XSeries.DomainPrefix, OAuth: app, Tokens: tokens,
		HTTP: tillroute.HTTPOptions{Transport: transport, UserAgent: "tillroute-test/1 (dev@example.com)"},
	})
	require.NoError(t, err)
	return client
}

func names(t *testing.T, client *xseries.Client) []string {
	t.Helper()
	var names []string
	for register, err := range client.Registers.All(t.Context(), xseries.ListOptions{PageSize: 1}) {
		require.NoError(t, err)
		names = append(names, register.Name)
	}
	return names
}

func TestContractConnectAndList(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{})
	tokens := newTokens()
	client := begin(t, sys, app, tokens)
	grant, err := tokens.Grant(t.Context(), xseries.System, sys.Describe().XSeries.DomainPrefix)
	require.NoError(t, err)
	require.Empty(t, app.MissingScopes(grant))
	require.False(t, grant.Expiry.IsZero())

	require.Len(t, names(t, client), len(sys.Describe().XSeries.Registers))
	for register, err := range client.Registers.All(t.Context(), xseries.ListOptions{}) {
		require.NoError(t, err)
		same, err := client.Registers.Get(t.Context(), register.ID)
		require.NoError(t, err)
		require.Equal(t, register, same)
		outlet, err := client.Outlets.Get(t.Context(), register.OutletID)
		require.NoError(t, err)
		require.Equal(t, "NZD", outlet.Currency)
	}
	_, err = client.Registers.Get(t.Context(), "00000000-0000-0000-0000-000000000000")
	require.ErrorIs(t, err, tillroute.ErrNotFound)
}

func TestContractPersonalToken(t *testing.T) {
	sys, _ := simulated(t, testserver.XSeriesOptions{})
	d := sys.Describe().XSeries
	for _, version := range d.APIVersions {
		transport := &http.Transport{}
		client, err := xseries.New(xseries.Config{
			DomainPrefix: d.DomainPrefix, AccessToken: tillroute.Secret(d.PersonalToken), BaseURL: d.BaseURL, APIVersion: version,
			HTTP: tillroute.HTTPOptions{Transport: transport},
		})
		require.NoError(t, err)
		require.Len(t, names(t, client), len(d.Registers), version)
		transport.CloseIdleConnections()
	}
}

func TestContractRefusals(t *testing.T) {
	for _, without := range []bool{false, true} {
		sys, app := simulated(t, testserver.XSeriesOptions{RefusalWithoutState: without})
		sys.XSeries.RefuseNextAuthorization()
		state := xseries.NewState()
		target, err := app.AuthCodeURL(state)
		require.NoError(t, err)
		_, err = app.ParseCallback(consent(t, target), state)
		require.ErrorIs(t, err, xseries.ErrRefused)
	}
	sys, app := simulated(t, testserver.XSeriesOptions{})
	sys.XSeries.GrantNextAuthorization("registers:read")
	tokens := newTokens()
	client := begin(t, sys, app, tokens)
	grant, err := tokens.Grant(t.Context(), xseries.System, sys.Describe().XSeries.DomainPrefix)
	require.NoError(t, err)
	require.Equal(t, []string{"outlets:read"}, app.MissingScopes(grant))
	_, err = client.Outlets.List(t.Context(), xseries.ListOptions{})
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	require.ErrorContains(t, err, "outlets:read")

	state := xseries.NewState()
	target, err := app.AuthCodeURL(state)
	require.NoError(t, err)
	callback, err := app.ParseCallback(consent(t, target), state)
	require.NoError(t, err)
	_, err = app.Exchange(t.Context(), callback)
	require.NoError(t, err)
	_, err = app.Exchange(t.Context(), callback)
	require.ErrorIs(t, err, xseries.ErrReconnect, "a code is good once")
	app.ClientSecret = "another-secret"
	_, err = app.Exchange(t.Context(), callback)
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
}

func TestContractTokensRotate(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{})
	tokens := newTokens()
	one := begin(t, sys, app, tokens)
	two := clientOf(t, sys, app, tokens)
	for range 3 {
		sys.XSeries.ExpireTokens()
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				client := one
				if i%2 == 0 {
					client = two
				}
				if _, err := client.Registers.List(t.Context(), xseries.ListOptions{}); err != nil {
					t.Errorf("listing: %v", err)
				}
			})
		}
		all.Wait()
	}
	require.Len(t, sys.Requests("xseries", "POST", "/api/1.0/token"), 1+3, "one exchange, and one refresh for each end of a token")

	sys.XSeries.RevokeTokens()
	_, err := one.Registers.List(t.Context(), xseries.ListOptions{})
	require.ErrorIs(t, err, xseries.ErrReconnect)
	begin(t, sys, app, tokens)
	_, err = one.Registers.List(t.Context(), xseries.ListOptions{})
	require.NoError(t, err, "connected again")
}

func TestContractFaults(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{})
	client := begin(t, sys, app, newTokens())
	registers := testserver.On("xseries", "GET", "/api/*/registers")
	want := names(t, client)
	for name, fault := range map[string]testserver.Fault{
		"lost":       testserver.LoseReply(),
		"truncated":  testserver.Truncate(),
		"503":        testserver.HTMLBody(503),
		"429":        testserver.Status(429, `{"error":"Too Many Requests"}`).RetryAfterDate(1),
		"expired":    testserver.ExpireToken(),
		"new fields": testserver.ExtraFields(),
	} {
		sys.Fault(registers, fault)
		require.Equal(t, want, names(t, client), name)
	}
	sys.Fault(registers, testserver.GarbledJSON())
	_, err := client.Registers.List(t.Context(), xseries.ListOptions{})
	require.ErrorIs(t, err, tillroute.ErrDecode)
	sys.Fault(registers, testserver.RedirectTo("https://evil.example/"))
	_, err = client.Registers.List(t.Context(), xseries.ListOptions{})
	require.Error(t, err)
}

func TestContractPaymentPage(t *testing.T) {
	sys, _ := simulated(t, testserver.XSeriesOptions{})
	register := sys.Describe().XSeries.Registers[0]
	for amount, kind := range map[string]pairing.Kind{"8.00": pairing.Purchase, "-12.50": pairing.Refund} {
		modal, err := sys.XSeries.OpenModal(register.ID, decimal.RequireFromString(amount))
		require.NoError(t, err)
		query, err := xseries.ParseQuery(modal.Query(), xseries.Origins{})
		require.NoError(t, err)
		require.Equal(t, kind, query.Kind)

		post := func(m xseries.Message) string {
			text, err := xseries.EncodeMessage(m)
			require.NoError(t, err)
			reply, err := modal.Post(text)
			require.NoError(t, err)
			return reply
		}
		require.Empty(t, post(xseries.Setup{}))
		require.False(t, modal.State().Closable)
		message, err := xseries.ParseMessage([]byte(post(xseries.DataRequest{})))
		require.NoError(t, err)
		data, ok := message.(xseries.Data)
		require.True(t, ok)
		charge, err := data.Charge()
		require.NoError(t, err)
		require.Equal(t, kind, charge.Kind)
		require.True(t, charge.Amount.Equal(decimal.RequireFromString(amount).Abs()))
		require.Equal(t, register.ID, charge.RegisterID)
		require.Equal(t, modal.SaleID(), charge.SaleID)
		post(xseries.Print{ReceiptHTML: xseries.ReceiptHTML("Signature: ____")})
		post(xseries.Accept{TransactionID: "tx-1", ReceiptHTML: xseries.ReceiptHTML("ACCEPTED <1>")})
		require.Equal(t, "accepted", modal.State().Ended)
		sale, ok := sys.XSeries.Sale(modal.SaleID())
		require.True(t, ok)
		require.Equal(t, "tx-1", sale.Payments[0].TransactionID)
	}
	modal, err := sys.XSeries.OpenModal(register.ID, decimal.NewFromInt(1))
	require.NoError(t, err)
	text, err := xseries.EncodeMessage(xseries.Decline{Print: true, ReceiptHTML: xseries.ReceiptHTML("DECLINED")})
	require.NoError(t, err)
	_, err = modal.Post(text)
	require.NoError(t, err)
	require.Equal(t, "declined", modal.State().Ended)
}
