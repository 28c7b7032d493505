package xseries_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
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

// begin connects the store and returns a client.
func begin(t *testing.T, sys *testserver.Systems, app xseries.OAuth, tokens pairing.Tokens) *xseries.Client {
	t.Helper()
	state := xseries.NewState()
	target, err := app.AuthCodeURL(state)
	require.NoError(t, err)
	callback, err := app.ParseCallback(clienttest.Consent(t, target), state)
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

// everything is an application that asks for all that this package can do.
func everything(app xseries.OAuth) xseries.OAuth {
	app.Scopes = []string{
		"registers:read", "register:open", "register:close", "payments:read", "outlets:read", "payment_types:read", "retailer:read", "sales:read", "webhooks",
	}
	return app
}

// clean fails the test if the simulated systems found anything to complain about.
func clean(t *testing.T, sys *testserver.Systems) {
	t.Helper()
	require.Empty(t, sys.Violations())
}

// accepted has a payment accepted at the sell screen, and returns the sale's ID.
func accepted(t *testing.T, sys *testserver.Systems, register, amount, transaction string) string {
	t.Helper()
	modal, err := sys.XSeries.OpenModal(register, decimal.RequireFromString(amount))
	require.NoError(t, err)
	text, err := xseries.EncodeMessage(xseries.Accept{TransactionID: transaction})
	require.NoError(t, err)
	_, err = modal.Post(text)
	require.NoError(t, err)
	return modal.SaleID()
}

func TestContractReconcile(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{PageSize: 2})
	register := sys.Describe().XSeries.Registers[0]
	client := begin(t, sys, everything(app), newTokens())
	d := sys.Describe().XSeries
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	old, err := xseries.New(xseries.Config{
		DomainPrefix: d.DomainPrefix, AccessToken: tillroute.Secret(d.PersonalToken), BaseURL: d.BaseURL, APIVersion: "2.0",
		HTTP: tillroute.HTTPOptions{Transport: transport},
	})
	require.NoError(t, err)
	want := map[string]string{"tx-1": "8.00", "tx-2": "-12.50", "tx-3": "0.01"}
	sales := map[string]string{}
	for transaction, amount := range want {
		sales[transaction] = accepted(t, sys, register.ID, amount, transaction)
	}
	for _, client := range []*xseries.Client{client, old} {
		for transaction, amount := range want {
			sale, err := client.Sales.Get(t.Context(), sales[transaction])
			require.NoError(t, err)
			require.Equal(t, register.ID, sale.RegisterID)
			payment, ok := sale.PaymentByTransaction(transaction)
			require.True(t, ok)
			require.True(t, payment.Amount.Equal(decimal.RequireFromString(amount)), payment.Amount)
			require.Equal(t, register.ID, payment.RegisterID)
			require.NotEmpty(t, payment.PaymentTypeID)
			require.True(t, sale.Total.Equal(payment.Amount), "%s of %s", payment.Amount, sale.Total)
			require.NotZero(t, sale.Version)
			_, ok = sale.PaymentByTransaction("tx-9")
			require.False(t, ok)
		}
		// A feed that was followed to its end brings what came since, and nothing else.
		var cursor int64
		seen := 0
		for page, err := range client.Sales.Changes(t.Context(), 0) {
			require.NoError(t, err)
			seen += len(page.Items)
			cursor = page.Next
		}
		require.Len(t, sys.XSeries.Sales(), seen)
		late := accepted(t, sys, register.ID, "3.00", "tx-late")
		for page, err := range client.Sales.Changes(t.Context(), cursor) {
			require.NoError(t, err)
			require.Len(t, page.Items, 1)
			require.Equal(t, late, page.Items[0].ID)
		}
	}
	_, err = client.Sales.Get(t.Context(), "00000000-0000-0000-0000-000000000000")
	require.ErrorIs(t, err, tillroute.ErrNotFound)
	clean(t, sys)
}

func TestContractShop(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{PageSize: 1, GatewayURL: "https://pay.example.com/modal"})
	client := begin(t, sys, everything(app), newTokens())
	retailer, err := client.Retailer.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, sys.Describe().XSeries.DomainPrefix, retailer.DomainPrefix)
	require.Equal(t, "NZD", retailer.Currency)
	var urls []string
	for kind, err := range client.PaymentTypes.All(t.Context(), xseries.ListOptions{}) {
		require.NoError(t, err)
		if kind.GatewayURL != "" {
			require.True(t, kind.PrintReceipts)
			urls = append(urls, kind.GatewayURL)
		}
	}
	require.Equal(t, []string{"https://pay.example.com/modal"}, urls)
	clean(t, sys)
}

func TestContractRegistersChange(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{PageSize: 2})
	client := begin(t, sys, everything(app), newTokens())
	var cursor int64
	deleted := 0
	for page, err := range client.Registers.Changes(t.Context(), 0) {
		require.NoError(t, err)
		for _, register := range page.Items {
			if !register.DeletedAt.IsZero() {
				deleted++
			}
		}
		cursor = page.Next
	}
	require.Equal(t, 1, deleted, "the feed has what the list hasn't")
	id := sys.Describe().XSeries.Registers[0].ID
	require.NoError(t, sys.XSeries.RemoveRegister(id))
	n := 0
	for page, err := range client.Registers.Changes(t.Context(), cursor) {
		require.NoError(t, err)
		for _, register := range page.Items {
			n++
			require.Equal(t, id, register.ID)
			require.False(t, register.DeletedAt.IsZero())
		}
	}
	require.Equal(t, 1, n)
	clean(t, sys)
}

func TestContractCloseAndOpen(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{})
	client := begin(t, sys, everything(app), newTokens())
	id := sys.Describe().XSeries.Registers[0].ID
	accepted(t, sys, id, "8.00", "tx-1")
	accepted(t, sys, id, "-3.10", "tx-2")
	summary, err := client.Registers.PaymentsSummary(t.Context(), id)
	require.NoError(t, err)
	sum := decimal.Zero
	for _, line := range summary.Payments {
		sum = sum.Add(line.Total)
	}
	require.Equal(t, "4.9", sum.String())
	register, err := client.Registers.Close(t.Context(), id, summary.Payments)
	require.NoError(t, err)
	require.False(t, register.IsOpen)
	require.False(t, register.CloseTime.IsZero())

	// The answer is lost; the register says what became of it.
	sys.Fault(testserver.On("xseries", "PUT", "/api/*/registers"), testserver.LoseReply())
	_, err = client.Registers.Open(t.Context(), id, time.Time{})
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	register, err = client.Registers.Get(t.Context(), id)
	require.NoError(t, err)
	require.True(t, register.IsOpen)
	require.Len(t, sys.Requests("xseries", "PUT", "/api/2026-07/registers/"+id+"/actions/open"), 1)

	sys.XSeries.GrantNextAuthorization("register:close", "registers:read")
	_, err = begin(t, sys, everything(app), newTokens()).Registers.Close(t.Context(), id, nil)
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	require.ErrorContains(t, err, "payment_types:read")
	clean(t, sys)
}

func TestContractWebhooks(t *testing.T) {
	for name, test := range map[string]struct {
		theirs testserver.WebhookOptions
		ours   xseries.SignatureScheme
	}{
		"as documented": {testserver.WebhookOptions{}, xseries.SignatureScheme{}},
		"base64, bare":  {testserver.WebhookOptions{Encoding: testserver.SignatureBase64, Bare: true}, xseries.SignatureScheme{Encoding: xseries.SignatureBase64}},
		"base64url of the payload": {
			testserver.WebhookOptions{Encoding: testserver.SignatureBase64URL, SignPayload: true},
			xseries.SignatureScheme{Encoding: xseries.SignatureBase64URL, Part: xseries.SignedPayload},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sys, app := simulated(t, testserver.XSeriesOptions{Webhooks: test.theirs})
			client := begin(t, sys, everything(app), newTokens())
			failed := false
			v := receive(t, newTokens(), func(c *xseries.WebhookConfig) {
				c.Secrets, c.Scheme = []tillroute.Secret{"the-next-secret", app.ClientSecret}, test.ours
				handle := c.Handle
				c.Handle = func(ctx context.Context, d xseries.Delivery) error {
					if !failed {
						failed = true
						return errors.New("not now")
					}
					return handle(ctx, d)
				}
			})
			server := httptest.NewServer(v)
			defer server.Close()
			request := xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: server.URL + "/hooks", Active: true}
			hook, err := client.Webhooks.Create(t.Context(), request)
			require.NoError(t, err)
			_, err = client.Webhooks.Create(t.Context(), request)
			require.ErrorIs(t, err, tillroute.ErrConflict)

			register := sys.Describe().XSeries.Registers[0].ID
			sys.XSeries.DuplicateDeliveries(1)
			first := accepted(t, sys, register, "8.00", "tx-1")
			second := accepted(t, sys, register, "3.00", "tx-2")
			deliveries, err := sys.XSeries.WaitDeliveries(t.Context(), 3)
			require.NoError(t, err)
			for _, d := range deliveries {
				require.Equal(t, testserver.DeliveryDelivered, d.State)
			}
			var ids []string
			for _, d := range v.got() {
				require.NotEmpty(t, d.Version)
				ids = append(ids, d.ID)
			}
			require.ElementsMatch(t, []string{first, second}, ids, "each once, though one came twice and one had to come again")

			hook, err = client.Webhooks.Update(t.Context(), hook.ID, xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: request.URL})
			require.NoError(t, err)
			require.False(t, hook.Active)
			same, err := client.Webhooks.Get(t.Context(), hook.ID)
			require.NoError(t, err)
			require.Equal(t, hook, same)
			list, err := client.Webhooks.List(t.Context())
			require.NoError(t, err)
			require.Equal(t, []xseries.Webhook{hook}, list)
			sys.Fault(testserver.On("xseries", "DELETE", "/api/*/webhooks"), testserver.LoseReply())
			require.NoError(t, client.Webhooks.Delete(t.Context(), hook.ID))
			require.ErrorIs(t, client.Webhooks.Delete(t.Context(), hook.ID), tillroute.ErrNotFound)
			clean(t, sys)
		})
	}
}

func TestContractWebhookWithAnotherSecret(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{})
	client := begin(t, sys, everything(app), newTokens())
	v := receive(t, newTokens())
	server := httptest.NewServer(v)
	defer server.Close()
	_, err := client.Webhooks.Create(t.Context(), xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: server.URL, Active: true})
	require.NoError(t, err)
	accepted(t, sys, sys.Describe().XSeries.Registers[0].ID, "8.00", "tx-1")
	deliveries, err := sys.XSeries.WaitDeliveries(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, deliveries[0].Status)
	require.Equal(t, testserver.DeliveryFailed, deliveries[0].State)
	require.Empty(t, v.got())
}

func TestContractRateLimit(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{RateLimit: 3})
	client := begin(t, sys, app, newTokens())
	for left := 2; left >= 0; left-- {
		_, err := client.Registers.List(t.Context(), xseries.ListOptions{})
		require.NoError(t, err)
		require.Equal(t, 3, client.RateLimit().Limit)
		require.Equal(t, left, client.RateLimit().Remaining)
	}
	for range 5 {
		_, err := client.Registers.List(t.Context(), xseries.ListOptions{})
		require.ErrorIs(t, err, tillroute.ErrRateLimited)
		var e *tillroute.Error
		require.ErrorAs(t, err, &e)
		require.InDelta(t, 300, e.RetryAfter.Seconds(), 60)
	}
	require.Len(t, sys.Requests("xseries", "GET", "/api/2026-07/registers"), 4, "one is refused, and the others know")
}

func TestContractErrorShapes(t *testing.T) {
	sys, app := simulated(t, testserver.XSeriesOptions{})
	client := begin(t, sys, everything(app), newTokens())
	for _, shape := range []testserver.ErrorShape{
		testserver.ErrorText, testserver.ErrorMessage, testserver.ErrorObject, testserver.ErrorDescription, testserver.ErrorDetails, testserver.ErrorList,
	} {
		sys.Fault(testserver.On("xseries", "GET", "/api/*/sales"), testserver.ErrorBody(422, shape, "the thing is odd"))
		_, err := client.Sales.List(t.Context(), xseries.ListOptions{})
		require.ErrorIs(t, err, tillroute.ErrInvalid, shape)
		require.ErrorContains(t, err, "the thing is odd", shape)
		var e *tillroute.Error
		require.ErrorAs(t, err, &e)
		require.Contains(t, string(e.Body), "the thing is odd", shape)
	}
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
		_, err = app.ParseCallback(clienttest.Consent(t, target), state)
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
	callback, err := app.ParseCallback(clienttest.Consent(t, target), state)
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
