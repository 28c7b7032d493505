package testserver

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPaymentsOfTheirOwn(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	made := w.ok(w.merchant, http.MethodPost, "payment", `{"description":"Cake","price":450,"currency":"EUR","freeze_for":24}`)
	require.Equal(t, "new", made["status"])
	require.NotContains(t, made, "transaction_key")
	require.Equal(t, map[string]any{"for": 86400.0}, made["freeze"])
	path := fmt.Sprintf("payment/%.0f", made["id"])
	body := fmt.Sprintf(`{"payments":[%.0f]}`, made["id"])
	key := w.transactionKey(body)
	require.Equal(t, key, w.ok(w.merchant, http.MethodGet, path, "")["transaction_key"])
	w.no(w.merchant, http.MethodPost, "transaction", body, http.StatusConflict, "invalid_state", "Payment is used already")
	w.no(w.merchant, http.MethodDelete, path, "", http.StatusConflict, "invalid_state", "Payment belongs to a transaction")
	w.no(w.merchant, http.MethodPut, path+"/finalize", "", http.StatusConflict, "invalid_state", "Payment is new")
	require.NoError(t, w.Paysera.User(221).Pay(key))
	require.Equal(t, []any{"reserved", 14471.0}, []any{w.ok(w.merchant, http.MethodGet, path, "")["status"], w.ok(w.merchant, http.MethodGet, path, "")["wallet"]})
	w.ok(w.merchant, http.MethodPut, "transaction/"+key+"/confirm", "")
	require.Equal(t, "confirmed", w.ok(w.merchant, http.MethodPut, path+"/freeze", `{"freeze_for":48}`)["status"])
	require.Equal(t, "done", w.ok(w.merchant, http.MethodPut, path+"/finalize", "")["status"])
	w.no(w.merchant, http.MethodDelete, path, "", http.StatusConflict, "invalid_state", "Payment is done")

	other := fmt.Sprintf("payment/%.0f", w.ok(w.merchant, http.MethodPost, "payment", `{"description":"Tea","price_decimal":"2.00","currency":"EUR"}`)["id"])
	require.Equal(t, "canceled", w.ok(w.merchant, http.MethodDelete, other, "")["status"])
	w.no(w.merchant, http.MethodGet, "payment/7", "", http.StatusNotFound, "not_found", "No such payment")
	require.Len(t, w.ok(w.merchant, http.MethodGet, "payments", "")["payments"], 2)
	require.Len(t, w.ok(w.merchant, http.MethodGet, "payments?status=done&wallet=14471", "")["payments"], 1)
	require.Empty(t, w.Violations())
}
