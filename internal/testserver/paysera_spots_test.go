package testserver

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkIn checks in to the spot of a code and returns its id.
func (w *wallet) checkIn(s signer, code string) string {
	w.t.Helper()
	got := w.ok(s, http.MethodGet, "spot?code="+url.QueryEscape(code), "")
	id := fmt.Sprintf("%.0f", got["id"])
	w.ok(s, http.MethodPut, "spot/"+id+"/check-in", "")
	return id
}

// coffee is the body of a transaction.
func coffee(cents int) string {
	return fmt.Sprintf(`{"payments":[{"description":"Coffee","price":%d,"currency":"EUR"}]}`, cents)
}

// transactionKey makes a transaction and returns its key.
func (w *wallet) transactionKey(body string) string {
	w.t.Helper()
	key, ok := w.ok(w.merchant, http.MethodPost, "transaction", body)["transaction_key"].(string)
	require.True(w.t, ok)
	return key
}

func TestAVisitToTheCafe(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	john := w.user(221)
	const code = "PAYSERA*9975:TABLE1"
	spot := w.ok(john, http.MethodGet, "spot?code="+code, "")
	require.Equal(t, "closed", spot["status"])
	require.NotContains(t, spot, "identifier", "only for the owner")
	require.Equal(t, map[string]any{
		"title": "Cool caffe", "description": "Coffee and cakes for everyone, even you!", "address": "address", "location_id": 9975.0,
	}, spot["place_info"])
	path := fmt.Sprintf("spot/%.0f", spot["id"])
	require.Equal(t, "waiting", w.ok(john, http.MethodPut, path+"/check-in", "")["status"])

	waiting := w.ok(w.merchant, http.MethodGet, "spots?status=waiting&limit=3", "")
	require.Equal(t, map[string]any{"total": 1.0, "offset": 0.0, "limit": 3.0}, waiting["_metadata"])
	require.Equal(t, "TABLE1", waiting["spots"].([]any)[0].(map[string]any)["identifier"])

	order := w.ok(w.merchant, http.MethodPost, path+"/order", `{"transaction":`+coffee(350)+`}`)
	require.Equal(t, "pending", order["status"])
	orderPath := fmt.Sprintf("order/%.0f", order["id"])
	spot = w.ok(john, http.MethodGet, path+"?fields=*,orders.transaction", "")
	require.Equal(t, "open", spot["status"])
	seen := spot["orders"].([]any)[0].(map[string]any)
	require.Equal(t, order["id"], seen["id"])
	require.Equal(t, "new", seen["transaction"].(map[string]any)["status"])
	require.NotContains(t, w.ok(w.user(222), http.MethodGet, path, ""), "orders", "not for who is elsewhere")
	w.no(w.user(222), http.MethodGet, orderPath, "", http.StatusForbidden, "forbidden", "Order belongs")

	key := order["transaction_key"].(string)
	reserved := w.ok(john, http.MethodPut, "transaction/"+key+"/reserve/me", "")
	require.Equal(t, []any{"reserved", 14471.0}, []any{reserved["status"], reserved["wallet"]})
	require.Equal(t, "reserved", w.ok(john, http.MethodGet, orderPath, "")["status"])
	require.Empty(t, w.Paysera.Charges())
	require.Equal(t, "3.5", w.Paysera.User(221).State().Held.String())
	w.ok(w.merchant, http.MethodPut, "transaction/"+key+"/confirm", "")
	require.Equal(t, "confirmed", w.ok(w.merchant, http.MethodGet, orderPath, "")["status"])
	w.no(w.merchant, http.MethodPut, "transaction/"+key+"/confirm", "", http.StatusConflict, "invalid_state", "Transaction is confirmed")

	require.Equal(t, "closed", w.ok(w.merchant, http.MethodPut, path+"/close", "")["status"])
	require.NotContains(t, w.ok(w.merchant, http.MethodGet, path, ""), "orders", "of a session that is over")
	charges := w.Paysera.Charges()
	require.Len(t, charges, 1, "charged once")
	require.Equal(t, "3.5", charges[0].Amount.String())
	require.Equal(t, []any{int64(14471), int64(2112), key}, []any{charges[0].Payer, charges[0].Beneficiary, charges[0].TransactionKey})
	require.NotZero(t, charges[0].OrderID)
	state := w.Paysera.User(221).State()
	require.Equal(t, []string{"996.5", "0"}, []string{state.Balance.String(), state.Held.String()})
	require.Zero(t, state.SpotID)
	require.Empty(t, w.Violations())
}

func TestSpotsOfManyUsers(t *testing.T) {
	w := newWallet(t, PayseraOptions{Opened: true})
	john, jane := w.user(221), w.user(222)
	a := w.checkIn(john, "PAYSERA*9975:A")
	require.Equal(t, a, w.checkIn(jane, "https://paysera.com/app?qr=PAYSERA*9975:A"))
	w.ok(w.merchant, http.MethodPost, "spot/"+a+"/order", `{"transaction":`+coffee(100)+`}`)
	require.Equal(t, "opened", w.ok(john, http.MethodGet, "spot/"+a, "")["status"])
	require.Len(t, w.ok(w.merchant, http.MethodGet, "spots?status=open", "")["spots"], 1)
	require.Len(t, w.ok(w.merchant, http.MethodGet, "spots?status=opened", "")["spots"], 1)

	b := w.checkIn(john, "PAYSERA*9975:B")
	require.Equal(t, "waiting", w.ok(john, http.MethodGet, "spot/"+b, "")["status"])
	require.Equal(t, "opened", w.ok(jane, http.MethodGet, "spot/"+a, "")["status"], "one of two has left")
	require.Equal(t, "closed", w.ok(jane, http.MethodPut, "spot/"+a+"/check-out", "")["status"])
	require.Equal(t, "closed", w.ok(jane, http.MethodPut, "spot/"+a+"/check-out", "")["status"], "again")
	require.Equal(t, orderClosed, w.Paysera.Spots()[0].Orders[0].Status)
	require.Equal(t, "new", w.Paysera.Transactions()[0].Status, "its transaction can still be paid")

	w.no(w.merchant, http.MethodPost, "spot/"+a+"/order", `{"transaction":`+coffee(100)+`}`, http.StatusConflict, "invalid_state", "Spot is closed")
	require.Len(t, w.Paysera.Transactions(), 1, "no transaction is made for an order that is refused")

	c := w.checkIn(jane, "PAYSERA*3:C")
	terrace := signer{id: w.merchant.id, key: w.merchant.key, ext: "project_id=123&location_id=3"}
	list := w.ok(terrace, http.MethodGet, "spots", "")["spots"].([]any)
	require.Len(t, list, 1)
	require.Equal(t, c, fmt.Sprintf("%.0f", list[0].(map[string]any)["id"]))
	require.Len(t, w.ok(w.merchant, http.MethodGet, "spots", "")["spots"], 3)
}

func TestSpotsAndOrdersThatAreRefused(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	john := w.user(221)
	for _, code := range []string{"PAYSERA*1:A", "PAYSERA*9975:", "PAYSERA%x", "EVP000000000001", "x"} {
		w.no(john, http.MethodGet, "spot?code="+url.QueryEscape(code), "", http.StatusNotFound, "not_found", "No such spot")
		w.no(john, http.MethodGet, "code?code="+url.QueryEscape(code), "", http.StatusNotFound, "not_found", "Code is unknown")
	}
	foreign := w.checkIn(john, "PAYSERA*48:A")
	w.no(w.merchant, http.MethodGet, "spot/"+foreign, "", http.StatusForbidden, "forbidden", textOtherProject)
	w.no(w.merchant, http.MethodPut, "spot/"+foreign+"/close", "", http.StatusForbidden, "forbidden", textOtherProject)
	require.Empty(t, w.ok(w.merchant, http.MethodGet, "spots?status=waiting", "")["spots"])
	w.no(john, http.MethodGet, "order/1", "", http.StatusNotFound, "not_found", "No such order")
	require.Empty(t, w.Violations())

	id := w.checkIn(john, "PAYSERA*9975:A")
	w.ExpectViolation("needs the access token of a user")
	w.no(w.merchant, http.MethodPut, "spot/"+id+"/check-in", "", http.StatusForbidden, "forbidden", "access token")
	w.ExpectViolation("needs the credentials of a merchant's client")
	w.no(john, http.MethodPut, "spot/"+id+"/close", "", http.StatusForbidden, "forbidden", "merchant")
	w.no(w.app, http.MethodGet, "spots", "", http.StatusForbidden, "forbidden", "merchant")
	w.ExpectViolation("status must be closed, waiting or open")
	w.no(w.merchant, http.MethodGet, "spots?status=free", "", http.StatusBadRequest, "invalid_parameters", "status must be")
	w.ExpectViolation("Key code is required")
	w.no(john, http.MethodGet, "spot", "", http.StatusBadRequest, "invalid_parameters", "Key code is required")
	w.ExpectViolation(`"x" is not an id`)
	w.no(john, http.MethodGet, "spot/x", "", http.StatusNotFound, "not_found", "No such resource")
	w.ExpectViolation("Key transaction_key is required")
	w.no(w.merchant, http.MethodPost, "spot/"+id+"/order", `{}`, http.StatusBadRequest, "invalid_parameters", "Key transaction_key is required")
	w.ExpectViolation("Only one of transaction_key, transaction can be provided")
	w.no(w.merchant, http.MethodPost, "spot/"+id+"/order", `{"transaction_key":"x","transaction":`+coffee(1)+`}`,
		http.StatusBadRequest, "invalid_parameters", "Only one of")
	w.ExpectViolation("no such operation: DELETE spot/")
	w.no(w.merchant, http.MethodDelete, "spot/"+id, "", http.StatusMethodNotAllowed, "not_found", "No such resource")
	w.ExpectViolation(`unknown query parameter "location_id"`)
	w.ok(w.merchant, http.MethodGet, "spots?location_id=3", "")
}

func TestOrdersAreEditedAndRemoved(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	john := w.user(221)
	id := w.checkIn(john, "PAYSERA*9975:A")
	first, second := w.transactionKey(coffee(100)), w.transactionKey(coffee(200))
	create := func(key string) string {
		return fmt.Sprintf("order/%.0f", w.ok(w.merchant, http.MethodPost, "spot/"+id+"/order", `{"transaction_key":"`+key+`"}`)["id"])
	}
	path := create(first)
	w.no(w.merchant, http.MethodPost, "spot/"+id+"/order", `{"transaction_key":"`+first+`"}`, http.StatusConflict, "invalid_state", "another order")
	w.no(w.merchant, http.MethodPost, "spot/"+id+"/order", `{"transaction_key":"x"}`, http.StatusNotFound, "not_found", "No such transaction")
	require.Equal(t, second, w.ok(w.merchant, http.MethodPut, path, `{"transaction_key":"`+second+`"}`)["transaction_key"])

	w.ok(john, http.MethodPut, "transaction/"+second+"/reserve/14471", "")
	w.no(w.merchant, http.MethodPut, path, `{"transaction_key":"`+first+`"}`, http.StatusConflict, "invalid_state", "Order is reserved")
	w.no(w.merchant, http.MethodDelete, path, "", http.StatusConflict, "invalid_state", "Order is reserved")
	w.ok(w.merchant, http.MethodDelete, "transaction/"+second, "")
	require.Equal(t, "pending", w.ok(w.merchant, http.MethodGet, path, "")["status"], "it can have another transaction")
	w.no(w.merchant, http.MethodPut, path, `{"transaction_key":"`+second+`"}`, http.StatusConflict, "invalid_state", "Transaction is revoked")
	for range 2 {
		require.Equal(t, "closed", w.ok(w.merchant, http.MethodDelete, path, "")["status"])
	}
	w.no(w.merchant, http.MethodPut, path, `{"transaction_key":"`+first+`"}`, http.StatusConflict, "invalid_state", "Order is closed")

	// A reserved order outlives the end of the session: its money is still held.
	path = create(first)
	w.ok(john, http.MethodPut, "transaction/"+first+"/reserve/me", "")
	w.ok(w.merchant, http.MethodPut, "spot/"+id+"/close", "")
	require.Equal(t, "reserved", w.ok(w.merchant, http.MethodGet, path, "")["status"])
	require.Equal(t, "reserved", w.ok(john, http.MethodGet, path, "")["status"], "who pays may look")
	require.Empty(t, w.Paysera.Charges())
}

func TestWhatACodeIs(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	john := w.user(221)
	ask := func(code string) map[string]any {
		return w.ok(john, http.MethodGet, "code?code="+url.QueryEscape(code), "")
	}
	got := ask("PAYSERA*9975:new one")
	require.Equal(t, map[string]any{"type": "spot", "parameters": map[string]any{"spot_id": float64(w.Paysera.Spots()[0].ID)}}, got)
	require.Equal(t, "new one", w.Paysera.Spots()[0].Identifier, "registered by the first who asks")
	key := w.transactionKey(coffee(100))
	require.Equal(t, map[string]any{"type": "transaction", "parameters": map[string]any{"transaction_key": key}}, ask("PAYSERA%"+key))
	require.Equal(t, "prefill", ask("EVP000000014471")["type"])
}
