package xseriestest_test

import (
	"net/http"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/xseriestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func clientOf(t *testing.T, config xseries.Config) *xseries.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config.HTTP.Transport = transport
	client, err := xseries.New(config)
	require.NoError(t, err)
	return client
}

func TestConsents(t *testing.T) {
	store, tokens := xseriestest.New(t), memstore.New(memstore.Config{})
	app := store.OAuth("https://pay.example.com/connected", "registers:read", "outlets:read")
	store.RefuseConsent()
	require.ErrorIs(t, store.Connect(t.Context(), app, tokens), xseries.ErrRefused)
	store.GrantScopes("registers:read")
	require.NoError(t, store.Connect(t.Context(), app, tokens))
	config := store.Config()
	config.AccessToken, config.OAuth, config.Tokens = "", app, tokens
	client := clientOf(t, config)
	grant, err := tokens.Grant(t.Context(), xseries.System, config.DomainPrefix)
	require.NoError(t, err)
	require.Equal(t, []string{"outlets:read"}, app.MissingScopes(grant))
	id := store.Registers()[0].ID
	_, err = client.Registers.Get(t.Context(), id)
	require.NoError(t, err)
	store.ExpireTokens()
	_, err = client.Registers.Get(t.Context(), id)
	require.NoError(t, err)
	store.RevokeTokens()
	_, err = client.Registers.Get(t.Context(), id)
	require.ErrorIs(t, err, xseries.ErrReconnect)
}

func TestCloseSaysWhatWasWrong(t *testing.T) {
	store, err := xseriestest.Start()
	require.NoError(t, err)
	_, err = store.Consent(t.Context(), store.URL())
	require.ErrorContains(t, err, "sends nobody back")
	store.LoseReply("", "/api")
	err = store.Close()
	require.ErrorContains(t, err, "unknown path")
	require.ErrorContains(t, err, "never played")
}

func TestWhatGoesWrong(t *testing.T) {
	store := xseriestest.New(t)
	client := clientOf(t, store.Config())
	hook := xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://pay.example.com/hook"}
	store.LoseReply(http.MethodPost, "/api/*/webhooks")
	_, err := client.Webhooks.Create(t.Context(), hook)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	hooks, err := client.Webhooks.List(t.Context())
	require.NoError(t, err)
	require.Len(t, hooks, 1)
	store.RefuseNext("", "/api/*/retailer", http.StatusForbidden)
	_, err = client.Retailer.Get(t.Context())
	require.ErrorIs(t, err, tillroute.ErrForbidden)
}

func TestAScreen(t *testing.T) {
	store := xseriestest.New(t)
	register := store.Registers()[0]
	require.True(t, register.Open)
	_, err := store.Pay("another", decimal.NewFromInt(8))
	require.Error(t, err)
	screen, err := store.Pay(register.ID, decimal.NewFromInt(8))
	require.NoError(t, err)
	require.Empty(t, screen.URL())
	store.SetGateway("https://pay.example.com/pay")
	require.Contains(t, screen.URL(), "register_id="+register.ID)
	require.NoError(t, screen.Close())
	require.Equal(t, "closed", screen.Ended())

	screen, err = store.PayAgain(screen.SaleID(), decimal.NewFromInt(3))
	require.NoError(t, err)
	accept, err := xseries.EncodeMessage(xseries.Accept{TransactionID: "tx-1"})
	require.NoError(t, err)
	answer, err := screen.Post(accept)
	require.NoError(t, err)
	require.Empty(t, answer)
	rest, err := store.PayAgain(screen.SaleID(), decimal.NewFromInt(5))
	require.NoError(t, err)
	rest.Abandon()
	sales := store.Sales()
	require.Len(t, sales, 1)
	require.Equal(t, "3", sales[0].Paid.String())
	require.False(t, sales[0].Closed)
	require.Equal(t, "tx-1", sales[0].Payments[0].TransactionID)
}

func TestDeliveriesInAnotherOrder(t *testing.T) {
	store := xseriestest.New(t)
	client := clientOf(t, store.Config())
	got := make(chan string, 10)
	receiver := newReceiver(t, got)
	hook := xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: receiver, Active: true}
	_, err := client.Webhooks.Create(t.Context(), hook)
	require.NoError(t, err)
	pay := func() string {
		screen, err := store.Pay(store.Registers()[0].ID, decimal.NewFromInt(8))
		require.NoError(t, err)
		accept, err := xseries.EncodeMessage(xseries.Accept{TransactionID: "tx"})
		require.NoError(t, err)
		_, err = screen.Post(accept)
		require.NoError(t, err)
		return screen.SaleID()
	}
	store.LoseDeliveries(1)
	pay()
	store.HoldDeliveries()
	first, second := pay(), pay()
	store.ReleaseDeliveries(true)
	list, err := store.WaitDeliveries(t.Context(), 3)
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.False(t, list[0].Delivered)
	require.True(t, list[0].Done && list[1].Delivered && list[2].Delivered)
	require.Contains(t, <-got, second)
	require.Contains(t, <-got, first)
}
