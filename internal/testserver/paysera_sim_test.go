package testserver

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSimDrivesAPhone(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	const phone = "/paysera/users/221"
	require.Len(t, simOK[[]PayseraUserState](w.rig, "GET", "/paysera/users", ""), 2)
	state := simOK[PayseraUserState](w.rig, "POST", phone+"/scan", `{"code":"PAYSERA*9975:TABLE1"}`)
	spots := simOK[[]PayseraSpot](w.rig, "GET", "/paysera/spots", "")
	require.Equal(t, []any{"waiting", "PAYSERA*9975:TABLE1", []int64{221}}, []any{spots[0].Status, spots[0].Code, spots[0].Users})
	require.Equal(t, spots[0].ID, state.SpotID)

	require.Equal(t, http.StatusNotFound, w.sim("GET", phone+"/order", "").status)
	waiting := make(chan answer, 1)
	go func() { waiting <- w.sim("GET", phone+"/order?wait_ms=60000", "") }()
	id := w.checkIn(w.user(221), "PAYSERA*9975:TABLE1")
	order := w.ok(w.merchant, http.MethodPost, "spot/"+id+"/order", `{"transaction":`+coffee(350)+`}`)
	key, ok := order["transaction_key"].(string)
	require.True(t, ok)
	require.JSONEq(t, `{"transaction_key":"`+key+`"}`, (<-waiting).body)

	body := `{"transaction_key":"` + key + `"}`
	simOK[PayseraUserState](w.rig, "POST", phone+"/open", body)
	state = simOK[PayseraUserState](w.rig, "POST", phone+"/pay", body)
	require.Equal(t, []string{"3.5", "reserved"}, []string{state.Held.String(), state.Orders[0].Status})
	require.Equal(t, http.StatusConflict, w.sim("POST", phone+"/unlock", body).status)
	require.Empty(t, simOK[[]PayseraCharge](w.rig, "GET", "/paysera/charges", ""))
	w.ok(w.merchant, http.MethodPut, "transaction/"+key+"/confirm", "")
	charges := simOK[[]PayseraCharge](w.rig, "GET", "/paysera/charges", "")
	require.Len(t, charges, 1)
	require.Equal(t, "3.5", charges[0].Amount.String())
	require.Equal(t, "confirmed", simOK[[]PayseraTransaction](w.rig, "GET", "/paysera/transactions", "")[0].OrderStatus)

	other := w.transactionKey(coffee(100))
	simOK[PayseraUserState](w.rig, "POST", phone+"/scan", `{"code":"PAYSERA%`+other+`"}`)
	require.Equal(t, "waiting", w.status(other))
	simOK[PayseraUserState](w.rig, "POST", phone+"/decline", `{"transaction_key":"`+other+`"}`)
	require.Equal(t, "rejected", w.status(other))
	require.Zero(t, simOK[PayseraUserState](w.rig, "POST", phone+"/check-out", "").SpotID)
	require.Equal(t, http.StatusConflict, w.sim("POST", phone+"/check-out", "").status)
	require.Equal(t, "12.5", simOK[PayseraUserState](w.rig, "POST", phone+"/balance", `{"amount":"12.50"}`).Balance.String())
	require.True(t, simOK[PayseraUserState](w.rig, "POST", phone+"/allowance", `{"allowed":true}`).Allowance)
	require.Len(t, simOK[PayseraUserState](w.rig, "POST", phone+"/reservation-code", "").ReservationCode, 28)
	token := simOK[PayseraToken](w.rig, "POST", phone+"/token", `{"scopes":["balance"]}`)
	w.ok(signer{id: token.AccessToken, key: token.MACKey}, http.MethodGet, "client", "")

	for path, body := range map[string]string{
		"/balance": `{"amount":"-1"}`, "/scan": `{"qr":"x"}`, "/pay": `[]`, "/allowance": `{"allowed":1}`, "/token": `{"scopes":1}`,
	} {
		require.Equal(t, http.StatusBadRequest, w.sim("POST", phone+path, body).status, path)
	}
	require.Equal(t, http.StatusNotFound, w.sim("POST", phone+"/scan", `{"code":"x"}`).status)
	require.Equal(t, http.StatusNotFound, w.sim("GET", "/paysera/users/1", "").status)
	require.Equal(t, http.StatusNotFound, w.sim("GET", "/paysera/users/x", "").status)
	require.Empty(t, w.Violations())
}

func TestSimSetsUpPaysera(t *testing.T) {
	w := newWallet(t, PayseraOptions{CallbackRetry: time.Millisecond})
	w.simDone("POST", "/paysera/clock", `{"ahead_s":-3600}`)
	w.no(w.merchant, http.MethodGet, "client", "", http.StatusUnauthorized, "invalid_timestamp", textFuture)
	w.simDone("POST", "/paysera/clock", `{}`)
	john := w.user(221)
	w.simDone("POST", "/paysera/expire-tokens", "")
	w.no(john, http.MethodGet, "client", "", http.StatusBadRequest, "invalid_grant", textExpired)
	w.simDone("POST", "/paysera/revoke-tokens", "")
	w.no(john, http.MethodGet, "client", "", http.StatusUnauthorized, "unauthorized", "No such")

	w.simDone("POST", "/paysera/authorization", `{"refuse":true}`)
	require.Equal(t, "access_denied", w.authorizeAt("/oauth", w.askForConsent()).Get("error"))
	w.simDone("POST", "/paysera/authorization", `{"grant":["email"],"user_id":222}`)
	require.NotEmpty(t, w.authorizeAt("/oauth", w.askForConsent()).Get("code"))
	require.Equal(t, "email", w.Paysera.world.Grants.Codes[0].Scope)
	require.EqualValues(t, 222, w.Paysera.world.Grants.Codes[0].User)
	require.Equal(t, http.StatusBadRequest, w.sim("POST", "/paysera/authorization", `{}`).status)
	require.Equal(t, http.StatusNotFound, w.sim("POST", "/paysera/authorization", `{"user_id":1}`).status)

	in := newInbox(t)
	w.simDone("POST", "/paysera/callbacks/uri", `{"url":"`+in.URL+`"}`)
	require.Equal(t, http.StatusBadRequest, w.sim("POST", "/paysera/callbacks/uri", `{"url":"/x"}`).status)
	w.simDone("POST", "/paysera/callbacks/lose", `{"count":1}`)
	w.simDone("POST", "/paysera/callbacks/duplicate", `{"count":1}`)
	w.simDone("POST", "/paysera/callbacks/forge", `{"count":0}`)
	w.simDone("POST", "/paysera/callbacks/rotate-key", "")
	w.simDone("POST", "/paysera/callbacks/hold", "")
	for range 2 {
		require.NoError(t, w.Paysera.User(221).Decline(w.transactionKey(coffee(100))))
	}
	require.Equal(t, http.StatusConflict, w.sim("GET", "/paysera/callbacks?settled=2", "").status)
	w.simDone("POST", "/paysera/callbacks/release", `{"reversed":true}`)
	list := simOK[[]PayseraCallback](w.rig, "GET", "/paysera/callbacks?settled=3&wait_ms=60000", "")
	require.Equal(t, []DeliveryState{DeliveryLost, DeliveryDelivered, DeliveryDelivered}, []DeliveryState{list[0].State, list[1].State, list[2].State})
	require.Equal(t, http.StatusBadRequest, w.sim("GET", "/paysera/callbacks?settled=x", "").status)

	w.simDone("POST", "/faults", `{"system":"paysera","path":"/rest/v1/client","fault":"status","status":500,"body":"{\"error\":\"internal_server_error\"}"}`)
	require.Equal(t, http.StatusInternalServerError, w.call(w.merchant, http.MethodGet, "/rest/v1/client", "").status)
	w.simDone("POST", "/reset", "")
	require.Empty(t, simOK[[]PayseraTransaction](w.rig, "GET", "/paysera/transactions", ""))
	w.ok(w.merchant, http.MethodGet, "client", "")
}

func TestDescribePaysera(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	d := w.Describe().Paysera
	require.Equal(t, []string{w.base + "/paysera", w.base + "/paysera/frontend", "EUR"}, []string{d.BaseURL, d.AuthURL, d.Currency})
	require.Equal(t, []PayseraPlace{{ID: 3, Title: "Cool terrace"}, {ID: 9975, Title: "Cool caffe"}}, d.Locations)
	require.Equal(t, PayseraUserDescription{ID: 221, WalletID: 14471, SimURL: w.base + "/_sim/paysera/users/221"}, d.Users[0])
	other := New(Options{}).Describe().Paysera
	require.NotEqual(t, []string{d.ClientID, d.ClientSecret, d.AppID, d.AppSecret}, []string{other.ClientID, other.ClientSecret, other.AppID, other.AppSecret})
}

func TestTheConfirmationPage(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	key := w.transactionKey(coffee(350))
	for _, language := range []string{"", "/lt"} {
		a := w.do(http.MethodGet, w.Describe().Paysera.AuthURL+language+"/wallet/confirm/"+key, "")
		require.Equal(t, http.StatusOK, a.status)
		require.Contains(t, a.body, "3.50 EUR")
	}
	require.Equal(t, "waiting", w.status(key))
	require.Equal(t, http.StatusNotFound, w.do(http.MethodGet, w.Describe().Paysera.AuthURL+"/wallet/confirm/x", "").status)
}
