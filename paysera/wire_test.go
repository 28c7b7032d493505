package paysera_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/shopspring/decimal"
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

// TestOddTransactions has what else than the documentation says may be in its place. What is there twice counts as it stands there last.
func TestOddTransactions(t *testing.T) {
	second := time.Unix(1355314332, 0).UTC()
	for text, want := range map[string]paysera.Transaction{
		`null`: {}, `{}`: {}, `{"payments":{},"wallet":null,"reserve":[],"callback_uri":false}`: {},
		`{"Transaction_KEY":"a","transaction_key":7,"id":"8","status":null,"wallet":{"ID":"4"},"auto_confirm":"1"}`: {
			Key: "7", ID: 8, WalletID: 4, AutoConfirm: true,
		},
		`{"wallet":"12","project_id":1.0,"location_id":[],"created_at":"1355314332","confirmed_at":99999999999999}`: {
			WalletID: 12, ProjectID: 1, CreatedAt: second,
		},
		`{"reserve":{"for":"60","until":1355314332}}`:                                 {ReservedFor: time.Minute, ReservedUntil: second},
		`{"reserve":{"for":60},"reserve":{"for":-1,"until":1355314332}}`:              {ReservedUntil: second},
		`{"reserve":{"for":60},"reserve":5,"wallet":5,"wallet":[],"callback_uri":""}`: {},
		`{"payments":[{"id":1}],"payments":[7,"8",null,true,{"id":9,"price":1999,"price_decimal":null,"freeze":{"for":60},"wallet":{"id":3},
			"beneficiary":{"id":5,"Email":"a@b"},"password":{"status":"pending"},"parameters":null,"items":[[],{"title":"x","price":5}]}]}`: {
			Payments: []paysera.Payment{{ID: 7}, {ID: 8}, {}, {}, {
				ID: 9, Price: decimal.New(1999, -2), FrozenFor: time.Minute, WalletID: 3, Beneficiary: paysera.Beneficiary{ID: 5, Email: "a@b"},
				PasswordStatus: "pending", Items: []paysera.Item{{}, {Title: "x", Price: decimal.New(5, -2)}},
			}},
		},
	} {
		var got paysera.Transaction
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		want.Raw = json.RawMessage(text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{`5`, `"x"`, `[]`, `true`, `{"id":1`, `{"id":1}x`} {
		require.Error(t, json.Unmarshal([]byte(text), new(paysera.Transaction)), text)
	}
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
