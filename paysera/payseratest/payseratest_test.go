package payseratest_test

import (
	"context"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/paysera/payseratest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func clientOf(t *testing.T, config paysera.Config) *paysera.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config.HTTP.Transport = transport
	client, err := paysera.New(config)
	require.NoError(t, err)
	return client
}

// order puts an order of that amount before the guest.
func order(t *testing.T, server *payseratest.Server, client *paysera.Client, amount string) string {
	t.Helper()
	transaction, err := client.Transactions.Create(t.Context(), paysera.TransactionRequest{Payments: []paysera.PaymentRequest{
		{Description: "Coffee", Price: decimal.RequireFromString(amount), Currency: server.Currency()},
	}})
	require.NoError(t, err)
	for spot, err := range client.Spots.All(t.Context(), "", paysera.ListOptions{}) {
		require.NoError(t, err)
		_, err = client.Orders.Create(t.Context(), spot.ID, paysera.OrderRequest{TransactionKey: transaction.Key})
		require.NoError(t, err)
	}
	return transaction.Key
}

func TestConsents(t *testing.T) {
	server, tokens := payseratest.New(t), memstore.New(memstore.Config{})
	app, guest := server.OAuth("https://app.example.com/callback", "balance", "email"), server.Guests()[1]
	server.RefuseConsent()
	require.ErrorIs(t, server.Connect(t.Context(), guest, app, tokens, "ann"), paysera.ErrRefused)
	require.NoError(t, server.Connect(t.Context(), guest, app, tokens, "ann"))
	user := clientOf(t, paysera.Config{OAuth: app, Tokens: tokens, Account: "ann"})
	merchant := clientOf(t, server.Config())
	require.NoError(t, guest.CheckIn(server.Table("TABLE1")))
	key := order(t, server, merchant, "2.50")
	server.ExpireTokens()
	_, err := user.Transactions.Reserve(t.Context(), key, paysera.Reservation{Wallet: paysera.Me})
	require.NoError(t, err)
	_, held := guest.Balance()
	require.Equal(t, "2.5", held.String())
	server.RevokeTokens()
	_, err = user.Transactions.Get(t.Context(), key)
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.NoError(t, merchant.Transactions.Revoke(t.Context(), key))
}

func TestAGuest(t *testing.T) {
	server := payseratest.New(t)
	merchant, guest := clientOf(t, server.Config()), server.Guests()[0]
	require.Error(t, guest.CheckOut())
	require.Error(t, guest.CheckIn(paysera.SpotCode{LocationID: 999999, Identifier: "TABLE1"}))
	require.NoError(t, guest.CheckIn(server.Table("TABLE1")))
	declined := order(t, server, merchant, "2.50")
	require.NoError(t, guest.Decline(declined))
	require.Error(t, guest.Pay(declined))

	key := order(t, server, merchant, "3.00")
	require.NoError(t, guest.SetBalance(decimal.Zero))
	require.NoError(t, guest.Pay(key))
	transaction, err := merchant.Transactions.Get(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, paysera.StatusWaitingFunds, transaction.Status)
	require.NoError(t, guest.SetBalance(decimal.NewFromInt(10)))
	_, err = merchant.Transactions.Confirm(t.Context(), key, nil)
	require.NoError(t, err)
	balance, held := guest.Balance()
	require.Equal(t, "7 0", balance.String()+" "+held.String())
	charges := server.Charges()
	require.Len(t, charges, 1)
	require.Equal(t, guest.WalletID(), charges[0].WalletID)
	require.Equal(t, key, charges[0].TransactionKey)
	require.NotZero(t, charges[0].SpotID)
	require.NoError(t, guest.CheckOut())
}

func TestCallbacks(t *testing.T) {
	server := payseratest.New(t)
	merchant, guest := clientOf(t, server.Config()), server.Guests()[0]
	got := make(chan paysera.Event, 10)
	handler, err := paysera.NewCallbackHandler(paysera.CallbackConfig{
		Key:        func(ctx context.Context) (*rsa.PublicKey, error) { return merchant.PublicKey(ctx) },
		Deliveries: memstore.New(memstore.Config{}),
		Handle:     func(_ context.Context, e paysera.Event) error { got <- e; return nil },
	})
	require.NoError(t, err)
	receiver := httptest.NewServer(handler)
	t.Cleanup(receiver.Close)
	server.SetCallbackURL(receiver.URL)
	require.NoError(t, guest.CheckIn(server.Table("TABLE1")))
	keys := []string{order(t, server, merchant, "1.00"), order(t, server, merchant, "2.00"), order(t, server, merchant, "3.00")}
	server.LoseCallbacks(1)
	require.NoError(t, guest.Pay(keys[0]))
	server.HoldCallbacks()
	require.NoError(t, guest.Pay(keys[1]))
	require.NoError(t, guest.Pay(keys[2]))
	server.ReleaseCallbacks(true)
	list, err := server.WaitCallbacks(t.Context(), 3)
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.True(t, list[0].Done && !list[0].Delivered)
	require.Equal(t, "reserved", list[1].Type)
	require.Equal(t, keys[2], (<-got).Transaction.Key)
	require.Equal(t, keys[1], (<-got).Transaction.Key)

	server.DuplicateCallbacks(1)
	require.NoError(t, guest.Pay(order(t, server, merchant, "4.00")))
	list, err = server.WaitCallbacks(t.Context(), 5)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, list[4].Status)
	require.Len(t, got, 1, "the second is the same")
}

func TestWhatGoesWrong(t *testing.T) {
	server := payseratest.New(t)
	merchant := clientOf(t, server.Config())
	payment := paysera.PaymentRequest{Description: "Coffee", Price: decimal.NewFromInt(2), Currency: server.Currency()}
	server.LoseReply(http.MethodPost, "/rest/v1/transaction")
	_, err := merchant.Transactions.Create(t.Context(), paysera.TransactionRequest{Payments: []paysera.PaymentRequest{payment}})
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	server.RefuseNext("", "/rest/v1/client", http.StatusForbidden)
	_, err = merchant.Info(t.Context())
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	require.NotEmpty(t, server.Guests()[0].String())
}

func TestCloseSaysWhatWasWrong(t *testing.T) {
	server, err := payseratest.Start()
	require.NoError(t, err)
	config := server.Config()
	config.ClientSecret = "another"
	_, err = clientOf(t, config).Info(t.Context())
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.ErrorContains(t, server.Close(), "violation")
}
