package paysera_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/paysera"
)

// The tests in this file run against the simulated Paysera, which knows nothing of this package, checks signatures by itself and
// keeps its own books.

func simulated(t *testing.T, o testserver.PayseraOptions) *testserver.Systems {
	t.Helper()
	return testserver.Start(t, testserver.Options{Paysera: o})
}

// clean fails the test if the simulated system found anything to complain about: a signature, a member that it doesn't know.
func clean(t *testing.T, sys *testserver.Systems) {
	t.Helper()
	require.Empty(t, sys.Violations())
}

func options(t *testing.T) tillroute.HTTPOptions {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return tillroute.HTTPOptions{Transport: transport}
}

func merchantOf(t *testing.T, sys *testserver.Systems, changes ...func(*paysera.Config)) *paysera.Client {
	t.Helper()
	d := sys.Describe().Paysera
	config := paysera.Config{ClientID: d.ClientID, ClientSecret: tillroute.Secret(d.ClientSecret), BaseURL: d.BaseURL, HTTP: options(t)}
	for _, change := range changes {
		change(&config)
	}
	client, err := paysera.New(config)
	require.NoError(t, err)
	return client
}

func appOf(t *testing.T, sys *testserver.Systems) paysera.OAuth {
	t.Helper()
	d := sys.Describe().Paysera
	return paysera.OAuth{
		ClientID: d.AppID, ClientSecret: tillroute.Secret(d.AppSecret), RedirectURL: "https://app.example.com/callback",
		Scopes: []string{"balance", "email"}, AuthorizeURL: d.AuthURL + "/oauth", BaseURL: d.BaseURL, HTTP: options(t),
	}
}

// userOf connects a user and returns their client.
func userOf(t *testing.T, sys *testserver.Systems, tokens pairing.Tokens) *paysera.Client {
	t.Helper()
	app := appOf(t, sys)
	state := paysera.NewState()
	target, err := app.AuthCodeURL(state)
	require.NoError(t, err)
	callback, err := app.ParseCallback(clienttest.Consent(t, target), state)
	require.NoError(t, err)
	grant, err := app.Exchange(t.Context(), callback, "ann")
	require.NoError(t, err)
	require.Empty(t, app.MissingScopes(grant))
	require.False(t, grant.Expiry.IsZero())
	_, err = tokens.PutGrant(t.Context(), grant, -1)
	require.NoError(t, err)
	client, err := paysera.New(paysera.Config{OAuth: app, Tokens: tokens, Account: "ann", HTTP: options(t)})
	require.NoError(t, err)
	return client
}

func coffee(amount string) *paysera.TransactionRequest {
	return &paysera.TransactionRequest{Payments: []paysera.PaymentRequest{{
		Description: "Coffee", Price: decimal.RequireFromString(amount), Currency: "EUR", Parameters: map[string]any{"orderid": 1234},
	}}}
}

func code(t *testing.T, sys *testserver.Systems, table string) paysera.SpotCode {
	t.Helper()
	code, err := paysera.NewSpotCode(sys.Describe().Paysera.Locations[0].ID, table)
	require.NoError(t, err)
	return code
}

func TestContractAGuestPaysAtASpot(t *testing.T) {
	for _, opened := range []bool{false, true} {
		sys := simulated(t, testserver.PayseraOptions{Opened: opened})
		merchant, user := merchantOf(t, sys), userOf(t, sys, memstore.New(memstore.Config{}))
		ctx := t.Context()
		table := code(t, sys, "TABLE 1")
		spot, err := user.Spots.ByCode(ctx, table.String())
		require.NoError(t, err)
		require.Equal(t, paysera.SpotClosed, spot.Status)
		info, err := user.Codes.Get(ctx, table.String())
		require.NoError(t, err)
		require.Equal(t, paysera.CodeInfo{Type: paysera.CodeSpot, SpotID: spot.ID, Parameters: info.Parameters}, info)

		spot, err = user.Spots.CheckIn(ctx, spot.ID)
		require.NoError(t, err)
		require.Equal(t, paysera.SpotWaiting, spot.Status)
		page, err := merchant.Spots.List(ctx, paysera.SpotWaiting, paysera.ListOptions{Limit: 3})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.EqualValues(t, 1, page.Total)
		require.EqualValues(t, 3, page.Limit)
		register, ok := page.Items[0].Register()
		require.True(t, ok)
		require.Equal(t, table.Register(), register)

		transaction, err := merchant.Transactions.Create(ctx, *coffee("12.50"))
		require.NoError(t, err)
		order, err := merchant.Orders.Create(ctx, spot.ID, paysera.OrderRequest{TransactionKey: transaction.Key})
		require.NoError(t, err)
		require.Equal(t, paysera.OrderPending, order.Status)
		spot, err = user.Spots.Get(ctx, spot.ID, paysera.WithFields("*", "orders.transaction"))
		require.NoError(t, err)
		require.Equal(t, paysera.SpotOpen, spot.Status)
		require.Len(t, spot.Orders, 1)

		_, err = merchant.Transactions.Confirm(ctx, transaction.Key, nil)
		require.ErrorIs(t, err, tillroute.ErrConflict)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		transaction, err = user.Transactions.Reserve(ctx, transaction.Key, paysera.Reservation{Wallet: paysera.Me})
		require.NoError(t, err)
		require.Equal(t, paysera.StatusReserved, transaction.Status)
		order, err = user.Orders.Get(ctx, order.ID)
		require.NoError(t, err)
		require.Equal(t, paysera.OrderReserved, order.Status)

		total, currency, ok := transaction.Total()
		require.True(t, ok)
		require.Equal(t, "12.50 EUR", total.StringFixed(2)+" "+currency)
		less := map[int64]paysera.Price{transaction.Payments[0].ID: {Amount: decimal.RequireFromString("12.05"), Currency: "EUR"}}
		transaction, err = merchant.Transactions.Confirm(ctx, transaction.Key, less)
		require.NoError(t, err)
		require.Equal(t, paysera.StatusConfirmed, transaction.Status)
		total, _, _ = transaction.Total()
		require.Equal(t, "12.05", total.StringFixed(2))
		charges := sys.Paysera.Charges()
		require.Len(t, charges, 1)
		require.Equal(t, "12.05", charges[0].Amount.StringFixed(2))
		require.ErrorIs(t, merchant.Transactions.Revoke(ctx, transaction.Key), tillroute.ErrConflict)

		spot, err = merchant.Spots.Close(ctx, spot.ID)
		require.NoError(t, err)
		require.Equal(t, paysera.SpotClosed, spot.Status)
		clean(t, sys)
	}
}

func TestContractClientsOfAProcessShareNoKeys(t *testing.T) {
	shared := options(t)
	var callers sync.WaitGroup
	for range 2 {
		sys := simulated(t, testserver.PayseraOptions{RateLimit: -1, AccountLimit: -1})
		merchant := merchantOf(t, sys, func(c *paysera.Config) { c.HTTP = shared })
		for range 100 {
			callers.Go(func() {
				_, err := merchant.Locations.Own(t.Context())
				assert.NoError(t, err)
			})
		}
		t.Cleanup(func() { clean(t, sys) })
	}
	callers.Wait()
}

func TestContractOrders(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{})
	merchant := merchantOf(t, sys)
	ctx := t.Context()
	spot, err := sys.Paysera.User(221).CheckIn(code(t, sys, "TABLE1").String())
	require.NoError(t, err)
	order, err := merchant.Orders.Create(ctx, spot, paysera.OrderRequest{Transaction: coffee("3.00")})
	require.NoError(t, err)
	other, err := merchant.Transactions.Create(ctx, *coffee("4.00"))
	require.NoError(t, err)
	edited, err := merchant.Orders.Edit(ctx, order.ID, paysera.OrderRequest{TransactionKey: other.Key})
	require.NoError(t, err)
	require.Equal(t, other.Key, edited.TransactionKey)
	edited, err = merchant.Orders.Edit(ctx, order.ID, paysera.OrderRequest{Transaction: coffee("5.00")})
	require.NoError(t, err)
	require.NotEqual(t, other.Key, edited.TransactionKey)
	_, err = merchant.Orders.Remove(ctx, order.ID)
	require.NoError(t, err)
	for _, bad := range []paysera.OrderRequest{{}, {TransactionKey: "x", Transaction: coffee("1")}, {Transaction: &paysera.TransactionRequest{}}} {
		_, err = merchant.Orders.Create(ctx, spot, bad)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
	_, err = merchant.Orders.Get(ctx, 0)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = merchant.Orders.Get(ctx, 999999)
	require.ErrorIs(t, err, tillroute.ErrNotFound)
	clean(t, sys)
}

func TestContractPages(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{RateLimit: -1, AccountLimit: -1})
	merchant := merchantOf(t, sys)
	for range 5 {
		_, err := merchant.Transactions.Create(t.Context(), *coffee("1.00"))
		require.NoError(t, err)
	}
	seen := map[string]bool{}
	filter := paysera.TransactionFilter{Statuses: []paysera.Status{paysera.StatusNew, paysera.StatusWaiting}, From: time.Now().Add(-time.Hour)}
	walk := merchant.Transactions.All(t.Context(), filter, paysera.ListOptions{Limit: 2})
	for range 2 {
		clear(seen)
		for transaction, err := range walk {
			require.NoError(t, err)
			seen[transaction.Key] = true
		}
		require.Len(t, seen, 5, "ranging again starts again")
	}
	for _, err := range walk {
		require.NoError(t, err)
		break
	}
	for _, o := range []paysera.ListOptions{{Limit: 201}, {Limit: -1}, {Offset: -1}} {
		_, err := merchant.Transactions.List(t.Context(), filter, o)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
	clean(t, sys)
}

func TestContractTheRest(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{})
	d := sys.Describe().Paysera
	ctx := t.Context()
	merchant := merchantOf(t, sys, func(c *paysera.Config) { c.Parameters.ProjectID = d.ProjectID })
	info, err := merchant.Info(ctx)
	require.NoError(t, err)
	require.Equal(t, "private_client", info.Type)
	at, err := merchant.ServerTime(ctx)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	key, err := merchant.PublicKey(ctx)
	require.NoError(t, err)
	require.Equal(t, 2048, key.N.BitLen())

	own, err := merchant.Locations.Own(ctx)
	require.NoError(t, err)
	project, err := merchant.Locations.OfProject(ctx, d.ProjectID)
	require.NoError(t, err)
	require.NotEmpty(t, own)
	require.NotEmpty(t, project)
	n := 0
	for location, err := range merchant.Locations.All(ctx, paysera.LocationFilter{}, paysera.ListOptions{Limit: 1}) {
		require.NoError(t, err)
		require.NotZero(t, location.ID)
		n++
	}
	require.NotZero(t, n)
	_, err = merchant.Locations.Categories(ctx, "en")
	require.NoError(t, err)

	payment, err := merchant.Payments.Create(ctx, paysera.PaymentRequest{
		Currency: "EUR", Price: decimal.RequireFromString("3.30"), FreezeFor: time.Hour,
		Items: []paysera.Item{{Title: "Tea", Price: decimal.RequireFromString("1.10"), Currency: "EUR", Quantity: decimal.NewFromInt(3)}},
	})
	require.NoError(t, err)
	same, err := merchant.Payments.Get(ctx, payment.ID)
	require.NoError(t, err)
	require.Equal(t, "3.30", same.Price.StringFixed(2))
	require.Equal(t, "3", same.Items[0].Quantity.String())
	for _, err := range merchant.Payments.All(ctx, nil, paysera.ListOptions{}) {
		require.NoError(t, err)
	}
	transaction, err := merchant.Transactions.Create(ctx, paysera.TransactionRequest{
		Payments: []paysera.PaymentRequest{{ID: payment.ID}}, ReserveFor: 2 * time.Hour, NoCallback: true,
	})
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, transaction.ReservedFor)
	asked, err := merchant.Transactions.Request(ctx, transaction.Key, paysera.Addressee{UserID: d.Users[0].ID})
	require.NoError(t, err)
	require.Equal(t, "pending", asked.Status)
	require.NoError(t, merchant.Transactions.CancelRequest(ctx, asked.ID))
	_, err = merchant.Transactions.Request(ctx, transaction.Key, paysera.Addressee{})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	types, err := merchant.Transactions.Types(ctx, transaction.Key, "14471")
	require.NoError(t, err)
	require.NotEmpty(t, types)
	require.NoError(t, merchant.Transactions.Revoke(ctx, transaction.Key))
	renewed, err := merchant.Transactions.Renew(ctx, transaction.Key)
	require.NoError(t, err)
	require.NotEqual(t, transaction.Key, renewed.Key)
	_, err = merchant.Transactions.InquiredInformation(ctx, renewed.Key)
	require.NoError(t, err)

	user := sys.Paysera.User(d.Users[0].ID)
	reservation, err := user.ReservationCode()
	require.NoError(t, err)
	_, err = merchant.Transactions.Reserve(ctx, renewed.Key, paysera.Reservation{Code: "000000"})
	require.Error(t, err)
	renewed, err = merchant.Transactions.Reserve(ctx, renewed.Key, paysera.Reservation{Code: tillroute.Secret(reservation)})
	require.NoError(t, err)
	require.Equal(t, paysera.StatusReserved, renewed.Status)
	clean(t, sys)
}

func TestContractTokensAreRenewed(t *testing.T) {
	for _, keep := range []bool{false, true} {
		sys := simulated(t, testserver.PayseraOptions{KeepRefreshToken: keep})
		tokens := memstore.New(memstore.Config{})
		user := userOf(t, sys, tokens)
		before, err := tokens.Grant(t.Context(), paysera.System, "ann")
		require.NoError(t, err)
		sys.Paysera.ExpireTokens()
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if _, err := user.Codes.Get(t.Context(), code(t, sys, "T").String()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		after, err := tokens.Grant(t.Context(), paysera.System, "ann")
		require.NoError(t, err)
		require.Equal(t, before.Version+1, after.Version, "one refresh, written down")
		require.NotEqual(t, before.AccessToken, after.AccessToken)
		require.NotEqual(t, before.Extra, after.Extra)
		require.Equal(t, keep, before.RefreshToken == after.RefreshToken)

		require.NoError(t, appOf(t, sys).Revoke(t.Context(), after))
		sys.Paysera.RevokeTokens()
		sys.Paysera.ExpireTokens()
		_, err = user.Spots.ByCode(t.Context(), code(t, sys, "T").String())
		require.ErrorIs(t, err, tillroute.ErrUnauthorized)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		clean(t, sys)
	}
}

func TestContractDeadGrants(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{})
	tokens := memstore.New(memstore.Config{})
	user := userOf(t, sys, tokens)
	grant, err := tokens.Grant(t.Context(), paysera.System, "ann")
	require.NoError(t, err)
	grant.RefreshToken = "no-such-token"
	_, err = tokens.PutGrant(t.Context(), grant, -1)
	require.NoError(t, err)
	sys.Paysera.ExpireTokens()
	for range 3 {
		_, err = user.Spots.Get(t.Context(), 1)
		require.ErrorIs(t, err, paysera.ErrReconnect)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	}

	app := appOf(t, sys)
	sys.Paysera.RefuseNextAuthorization()
	target, err := app.AuthCodeURL("some-state")
	require.NoError(t, err)
	back := clienttest.Consent(t, target)
	_, err = app.ParseCallback(back, "some-state")
	require.ErrorIs(t, err, paysera.ErrRefused)
	_, err = app.ParseCallback(back, "other-state")
	require.ErrorIs(t, err, paysera.ErrState)
	_, err = app.Exchange(t.Context(), paysera.Callback{Code: "no-such-code"}, "ann")
	require.ErrorIs(t, err, paysera.ErrReconnect)
	clean(t, sys)
}

func TestContractClocks(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -3 * time.Hour} {
		sys := simulated(t, testserver.PayseraOptions{})
		sys.Paysera.SetClock(off)
		merchant := merchantOf(t, sys)
		for range 3 {
			transaction, err := merchant.Transactions.Create(t.Context(), *coffee("1.00"))
			require.NoError(t, err)
			require.Equal(t, paysera.StatusNew, transaction.Status)
		}
		require.Len(t, sys.Paysera.Transactions(), 3)
		user := userOf(t, sys, memstore.New(memstore.Config{}))
		_, err := user.Spots.ByCode(t.Context(), code(t, sys, "T").String())
		require.NoError(t, err)
		sys.Paysera.SetClock(0)
		_, err = merchant.Spots.List(t.Context(), "", paysera.ListOptions{})
		require.NoError(t, err, "the clock was set right")
		clean(t, sys)
	}
}

func TestContractClockThatCantBeSetRight(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{})
	merchant := merchantOf(t, sys)
	sys.Fault(testserver.On("paysera", "", "/rest/v1/spots"), testserver.PayseraError(401, "invalid_timestamp", "Timestamp lifetime exceeded").Always())
	_, err := merchant.Spots.List(t.Context(), "", paysera.ListOptions{})
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.ErrorContains(t, err, "clock")
	e, _ := errors.AsType[*tillroute.Error](err)
	require.Equal(t, 2, e.Attempts, "once, and not for ever")
	sys.ClearFaults()
}

func TestContractLostReplies(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{})
	merchant := merchantOf(t, sys)
	ctx := t.Context()
	spot, err := sys.Paysera.User(221).CheckIn(code(t, sys, "TABLE1").String())
	require.NoError(t, err)
	transaction, err := merchant.Transactions.Create(ctx, *coffee("2.00"))
	require.NoError(t, err)

	sys.Fault(testserver.On("paysera", http.MethodPost, "/rest/v1/spot/*/order"), testserver.LoseReply())
	_, err = merchant.Orders.Create(ctx, spot, paysera.OrderRequest{TransactionKey: transaction.Key})
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	found, err := merchant.Spots.Get(ctx, spot)
	require.NoError(t, err)
	require.Len(t, found.Orders, 1, "it was made, and once")

	require.NoError(t, sys.Paysera.User(221).Pay(transaction.Key))
	sys.Fault(testserver.On("paysera", http.MethodPut, "/rest/v1/transaction/*/confirm"), testserver.LoseReply())
	_, err = merchant.Transactions.Confirm(ctx, transaction.Key, nil)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	transaction, err = merchant.Transactions.Get(ctx, transaction.Key)
	require.NoError(t, err)
	require.Equal(t, paysera.StatusConfirmed, transaction.Status)
	require.Len(t, sys.Paysera.Charges(), 1)

	// Reads and what is safe are sent again, signed anew: the server would refuse a nonce that it has seen.
	for _, fault := range []testserver.Fault{
		testserver.LoseReply(), testserver.Truncate(), testserver.RefuseBefore(), testserver.HTMLBody(502),
		testserver.Status(503, "").RetryAfter(0), testserver.PayseraError(500, "internal_server_error", "sorry"),
	} {
		sys.Fault(testserver.On("paysera", http.MethodGet, "/rest/v1/spot/*"), fault)
		_, err = merchant.Spots.Get(ctx, spot)
		require.NoError(t, err)
		sys.Fault(testserver.On("paysera", http.MethodPut, "/rest/v1/spot/*/close"), fault)
		_, err = merchant.Spots.Close(ctx, spot)
		require.NoError(t, err)
	}
	sys.Fault(testserver.On("paysera", http.MethodGet, "/rest/v1/spot/*"), testserver.RedirectTo("https://evil.example/rest/v1/spot/1"))
	_, err = merchant.Spots.Get(ctx, spot)
	require.ErrorContains(t, err, "redirect")
	sys.Fault(testserver.On("paysera", http.MethodGet, "/rest/v1/spot/*"), testserver.ExtraFields())
	_, err = merchant.Spots.Get(ctx, spot)
	require.NoError(t, err)
	clean(t, sys)
}

func TestContractParameters(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{})
	d := sys.Describe().Paysera
	merchant := merchantOf(t, sys)
	here, err := merchant.With(paysera.Parameters{ProjectID: d.ProjectID, LocationID: d.Locations[1].ID})
	require.NoError(t, err)
	transaction, err := here.Transactions.Create(t.Context(), *coffee("1.00"))
	require.NoError(t, err)
	require.Equal(t, d.Locations[1].ID, sys.Paysera.Transactions()[0].LocationID)
	there, err := here.With(paysera.Parameters{LocationID: d.Locations[0].ID})
	require.NoError(t, err)
	_, err = there.Transactions.Create(t.Context(), *coffee("1.00"))
	require.NoError(t, err)
	require.Equal(t, d.Locations[0].ID, sys.Paysera.Transactions()[1].LocationID)
	_, err = merchant.Transactions.Get(t.Context(), transaction.Key)
	require.NoError(t, err)
	_, err = merchant.With(paysera.Parameters{ProjectID: -1})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	clean(t, sys)
}

func TestContractCertificates(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{})
	d := sys.Describe().Paysera
	server := httptest.NewUnstartedServer(sys.Handler())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: d.ClientID}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	base, err := url.Parse(d.BaseURL)
	require.NoError(t, err)
	client, err := paysera.New(paysera.Config{
		Certificate: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, BaseURL: server.URL + base.Path,
		Parameters: paysera.Parameters{ProjectID: d.ProjectID, LocationID: d.Locations[1].ID},
		HTTP:       tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	require.NoError(t, err)
	_, err = client.Transactions.Create(t.Context(), *coffee("1.00"))
	require.NoError(t, err)
	require.Equal(t, d.Locations[1].ID, sys.Paysera.Transactions()[0].LocationID, "the parameters go in headers")
	require.Nil(t, server.Client().Transport.(*http.Transport).TLSClientConfig.Certificates, "the given transport is not changed")
	_, err = paysera.New(paysera.Config{Certificate: &tls.Certificate{}, HTTP: tillroute.HTTPOptions{Transport: roundTripper(nil)}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	clean(t, sys)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestContractTheMerchantServesGuests has the whole of it run for a while, with callbacks that come twice, get lost, or are
// forged.
func TestContractTheMerchantServesGuests(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{RateLimit: -1, AccountLimit: -1, CallbackRetry: 10 * time.Millisecond})
	client := merchantOf(t, sys)
	till := newTill()
	m := merchant(t, nil, till, func(c *paysera.MerchantConfig) {
		c.Client, c.Interval, c.FollowInterval, c.RequestsPerHour = client, time.Second, time.Hour, 1e6
	})
	handler, err := paysera.NewCallbackHandler(paysera.CallbackConfig{
		Key:        func(ctx context.Context) (*rsa.PublicKey, error) { return client.PublicKey(ctx) },
		Deliveries: memstore.New(memstore.Config{}), Handle: m.Callback,
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	sys.Paysera.SetCallbackURI(server.URL)
	sys.Paysera.DuplicateCallbacks(1)
	sys.Fault(testserver.On("paysera", http.MethodPost, "/rest/v1/spot/*/order"), testserver.LoseReply())

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	guest, forger := sys.Paysera.User(221), sys.Paysera.User(222)
	_, err = guest.CheckIn(code(t, sys, "TABLE1").String())
	require.NoError(t, err)
	_, err = forger.CheckIn(code(t, sys, "NOWHERE").String())
	require.NoError(t, err)
	key, err := guest.WaitOrder(ctx)
	require.NoError(t, err)
	require.NoError(t, guest.Pay(key))
	require.Eventually(t, func() bool {
		for _, spot := range sys.Paysera.Spots() {
			if spot.Status != "closed" {
				return false
			}
		}
		return till.bill("bill-1").Status == paysera.BillPaid
	}, 2*time.Minute, 10*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	charges := sys.Paysera.Charges()
	require.Len(t, charges, 1)
	require.Equal(t, "5.00", charges[0].Amount.StringFixed(2))
	for _, spot := range sys.Paysera.Spots() {
		if spot.Identifier == "NOWHERE" {
			require.Empty(t, spot.Orders)
		}
	}
	clean(t, sys)
}

// TestContractASpotIsPaidAtItsTerminal withdraws a bill from the guests' phones and takes the money at the terminal that the spot
// is paired with.
func TestContractASpotIsPaidAtItsTerminal(t *testing.T) {
	sys := simulated(t, testserver.PayseraOptions{RateLimit: -1, AccountLimit: -1})
	client, till := merchantOf(t, sys), newTill()
	m := merchant(t, nil, till, func(c *paysera.MerchantConfig) { c.Client, c.Interval = client, time.Second })
	guest := sys.Paysera.User(221)
	spotID, err := guest.CheckIn(code(t, sys, "TABLE1").String())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	done := make(chan error, 2)
	go func() { done <- m.Run(ctx) }()
	key, err := guest.WaitOrder(ctx)
	require.NoError(t, err)

	store := memstore.New(memstore.Config{})
	terminal := &terminal{}
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{"demo": terminal}})
	require.NoError(t, err)
	go func() { done <- router.Run(ctx) }()
	spot, err := client.Spots.Get(ctx, spotID)
	require.NoError(t, err)
	register, ok := spot.Register()
	require.True(t, ok)
	_, err = store.PutPairing(ctx, pairing.Pairing{Register: register, Terminal: pairing.Terminal{Provider: "demo", Serial: "1"}}, 0)
	require.NoError(t, err)

	b, err := m.Withdraw(ctx, till.bill("bill-1"))
	require.NoError(t, err)
	require.Equal(t, paysera.BillUnpaid, b.Status)
	require.Error(t, guest.Pay(key), "it can't be paid twice")
	paid, err := router.Pay(ctx, pairing.Request{ID: b.Reference, Register: register, Amount: b.Amount, Currency: b.Currency})
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, paid.Outcome())
	require.Equal(t, 1, terminal.started)
	cancel()
	require.Error(t, <-done)
	require.Error(t, <-done)
	require.Empty(t, sys.Paysera.Charges())
	clean(t, sys)
}

// terminal approves everything.
type terminal struct{ started int }

func (d *terminal) Start(context.Context, pairing.Payment) (pairing.Handle, error) {
	d.started++
	return pairing.Handle{TransactionID: "1"}, nil
}

func (d *terminal) Await(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
}
