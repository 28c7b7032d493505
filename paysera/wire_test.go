package paysera_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/paysera"
)

// TestOneOddElementHidesNoOthers has something else in a list than belongs there.
func TestOneOddElementHidesNoOthers(t *testing.T) {
	var spot paysera.Spot
	require.NoError(t, json.Unmarshal([]byte(`{"id":1,"status":"open","orders":["x",{"id":2,"transaction_key":"k","status":"pending"},7,null]}`), &spot))
	require.Equal(t, "k", spot.Orders[1].TransactionKey)
	var transaction paysera.Transaction
	require.NoError(t, json.Unmarshal([]byte(`{"transaction_key":"k","status":"reserved","payments":["12",
		{"id":3,"price":1999,"currency":"EUR","items":["x",{"title":"Coffee","quantity":1}]},["x"]]}`), &transaction))
	require.Equal(t, paysera.StatusReserved, transaction.Status)
	require.EqualValues(t, 12, transaction.Payments[0].ID)
	require.Equal(t, "19.99", transaction.Payments[1].Price.String())
	require.Equal(t, "Coffee", transaction.Payments[1].Items[1].Title)
	_, _, ok := transaction.Total()
	require.False(t, ok, "what can't be read has no price")
}

// TestRevokeShowsNoToken has a transport name the URL, which has the access token in it, in its error.
func TestRevokeShowsNoToken(t *testing.T) {
	app := paysera.OAuth{ClientID: "id", ClientSecret: "secret-of-the-app", HTTP: tillroute.HTTPOptions{
		Retries: -1, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return nil, errors.New("can't send " + r.URL.String() + " " + r.Header.Get("Authorization"))
		}),
	}}
	err := app.Revoke(t.Context(), pairing.Grant{AccessToken: "access+token/with=signs"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "access+token/with=signs")
	require.NotContains(t, err.Error(), "access%2Btoken%2Fwith%3Dsigns")
}
