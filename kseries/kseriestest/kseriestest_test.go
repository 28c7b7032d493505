package kseriestest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/kseries/kseriestest"
	"github.com/tillroute/tillroute/pairing/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func clientOf(t *testing.T, config kseries.Config) *kseries.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config.HTTP.Transport = transport
	client, err := kseries.New(config)
	require.NoError(t, err)
	return client
}

func TestConsents(t *testing.T) {
	restaurant, tokens := kseriestest.New(t), memstore.New(memstore.Config{})
	app := restaurant.OAuth("https://pay.example.com/connected", "orders-api", "financial-api", "offline_access")
	restaurant.RefuseConsent()
	require.ErrorIs(t, restaurant.Connect(t.Context(), app, tokens, "bistro"), kseries.ErrRefused)
	restaurant.GrantScopes("orders-api", "offline_access")
	require.NoError(t, restaurant.Connect(t.Context(), app, tokens, "bistro"))
	client := clientOf(t, kseries.Config{OAuth: app, Tokens: tokens, Account: "bistro", BaseURL: restaurant.URL()})
	_, err := client.Finance.Currency(t.Context(), restaurant.BusinessLocationID())
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	_, err = client.Businesses.List(t.Context())
	require.NoError(t, err)
	restaurant.ExpireTokens()
	_, err = client.Businesses.List(t.Context())
	require.NoError(t, err)
	restaurant.RevokeTokens()
	_, err = client.Businesses.List(t.Context())
	require.ErrorIs(t, err, kseries.ErrReconnect)
}

func TestATable(t *testing.T) {
	restaurant := kseriestest.New(t)
	client := clientOf(t, restaurant.Config())
	location, soup := restaurant.BusinessLocationID(), restaurant.Products()[0]
	currency, err := client.Finance.Currency(t.Context(), location)
	require.NoError(t, err)
	require.Equal(t, restaurant.Currency(), currency)

	_, err = restaurant.OpenCheck(2, "another")
	require.Error(t, err)
	check, err := restaurant.OpenCheck(2, soup.SKU)
	require.NoError(t, err)
	check, err = restaurant.AddItem(check.AccountIdentifier, soup.SKU, 1)
	require.NoError(t, err)
	require.Equal(t, 2, check.Table)
	require.True(t, check.Total.Equal(soup.Price.Add(soup.Price)))
	check, err = restaurant.PayAtPOS(check.AccountIdentifier, "CASH", soup.Price)
	require.NoError(t, err)
	seen, err := client.Checks.Get(t.Context(), location, check.AccountIdentifier)
	require.NoError(t, err)
	due, ok := seen.Due()
	require.True(t, ok)
	require.True(t, due.Equal(soup.Price))
	_, ok = restaurant.Check("another")
	require.False(t, ok)
}

func TestPaymentsThatFail(t *testing.T) {
	restaurant := kseriestest.New(t)
	client := clientOf(t, restaurant.Config())
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(receiver.Close)
	_, err := client.Webhooks.Create(t.Context(), kseries.Endpoint{ID: "app", URL: receiver.URL})
	require.NoError(t, err)
	check, err := restaurant.OpenCheck(2, restaurant.Products()[0].SKU)
	require.NoError(t, err)
	apply := func(reference string) {
		_, err := client.Payments.Apply(t.Context(), kseries.Payment{
			BusinessLocationID: restaurant.BusinessLocationID(), AccountIdentifier: check.AccountIdentifier, Reference: reference,
			EndpointID: "app", Amount: decimal.NewFromInt(1), Method: "OOPAYMENT", TTL: time.Minute,
		})
		require.NoError(t, err)
	}
	restaurant.FailNext(1, kseries.UpdateFailed)
	apply("r-1")
	list, err := restaurant.WaitNotifications(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, kseries.Failure, list[0].Status)
	require.Equal(t, "r-1", list[0].Reference)
	require.Contains(t, list[0].Payload, "UPDATE_FAILED")
	require.True(t, list[0].Done && list[0].Delivered)

	restaurant.SetPOS(kseriestest.Background)
	restaurant.LoseNotifications(1)
	apply("r-2")
	restaurant.ExpireWaiting()
	list, err = restaurant.WaitNotifications(t.Context(), 2)
	require.NoError(t, err)
	require.True(t, list[1].Done && !list[1].Delivered)
	require.Empty(t, restaurant.Applied())

	restaurant.SetPOS(kseriestest.Online)
	restaurant.HoldNotifications()
	apply("r-3")
	apply("r-4")
	require.Eventually(t, func() bool { return len(restaurant.Applied()) == 2 }, 2*time.Minute, time.Millisecond)
	restaurant.ReleaseNotifications(true)
	_, err = restaurant.WaitNotifications(t.Context(), 4)
	require.NoError(t, err)
}

func TestWhatGoesWrong(t *testing.T) {
	restaurant := kseriestest.New(t)
	client := clientOf(t, restaurant.Config())
	restaurant.LoseReply(http.MethodPut, "/o/wh/1/webhook")
	_, err := client.Webhooks.Create(t.Context(), kseries.Endpoint{ID: "app", URL: "https://pay.example.com/"})
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	restaurant.RefuseNext("", "/o/op/data/businesses", http.StatusForbidden)
	_, err = client.Businesses.List(t.Context())
	require.ErrorIs(t, err, tillroute.ErrForbidden)
}

func TestCloseSaysWhatWasWrong(t *testing.T) {
	restaurant, err := kseriestest.Start()
	require.NoError(t, err)
	restaurant.LoseReply("", "/o")
	require.ErrorContains(t, restaurant.Close(), "never played")
}
