package xseries_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

func TestRetailer(t *testing.T) {
	const text = `{"id":"b1c50056","name":"Acme","domain_prefix":"acme","store_url":"https://acme.retail.lightspeed.app","country":"NZ",
		"currency":{"code":"NZD","symbol":"$"},"timezone":"Pacific/Auckland","tax_exclusive":true,"account_status":"active","account_type":"plus",
		"culture":"en-NZ","created_at":"2019-08-15T23:05:28Z","activated_at":null,"version":"6954012","loyalty":{"ratio":0.1}}`
	s := newServer(t, answer(http.StatusOK, `{"data":`+text+`}`), answer(http.StatusOK, `{"data":{"id":"r","currency":"NZD"}}`),
		answer(http.StatusOK, `{"data":{}}`), answer(http.StatusForbidden, fixture(t, "error_403.json")))
	client := s.client(t)
	retailer, err := client.Retailer.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/base/api/2026-07/retailer", s.got()[0].path)
	require.JSONEq(t, text, string(retailer.Raw))
	retailer.Raw = nil
	require.Equal(t, xseries.Retailer{
		ID: "b1c50056", Name: "Acme", DomainPrefix: "acme", StoreURL: "https://acme.retail.lightspeed.app", Country: "NZ", Currency: "NZD",
		CurrencySymbol: "$", TimeZone: "Pacific/Auckland", TaxExclusive: true, AccountStatus: "active", AccountType: "plus", Culture: "en-NZ",
		CreatedAt: time.Date(2019, 8, 15, 23, 5, 28, 0, time.UTC), Version: 6954012,
	}, retailer)
	retailer, err = client.Retailer.Get(t.Context())
	require.NoError(t, err)
	require.Empty(t, retailer.Currency, "what can't be read is not guessed")
	_, err = client.Retailer.Get(t.Context())
	require.ErrorIs(t, err, tillroute.ErrDecode)
	_, err = client.Retailer.Get(t.Context())
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	require.ErrorContains(t, err, "retailer:read and the scope payment_types:read")
}
