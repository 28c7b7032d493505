package testserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// status is where a transaction is.
func (w *wallet) status(key string) string {
	w.t.Helper()
	for _, t := range w.Paysera.Transactions() {
		if t.Key == key {
			return t.Status
		}
	}
	w.t.Fatalf("no transaction %q", key)
	return ""
}

func TestATransactionAsItIsMade(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	shop := signer{id: w.merchant.id, key: w.merchant.key, ext: "project_id=123&location_id=9975"}
	got := w.ok(shop, http.MethodPost, "transaction?fields=*,project.title", `{"payments":[{"description":"Coffee","price_decimal":"12.99",
		"currency":"EUR","parameters":{"orderid":1234},"purpose":"tips"}],"redirect_uri":"http://www.example.com/somePage","reserve":{"for":600}}`)
	require.Equal(t, map[string]any{"title": "Cool caffe", "description": "Coffee and cakes", "wallet_id": 2112.0, "id": 123.0, "owner_display_name": "Cool caffe, UAB"}, got["project"])
	require.Equal(t, []any{"new", "page", nil, 123.0, 9975.0, map[string]any{"for": 600.0}, "http://www.example.com/somePage"},
		[]any{got["status"], got["type"], got["wallet"], got["project_id"], got["location_id"], got["reserve"], got["redirect_uri"]})
	payment := got["payments"].([]any)[0].(map[string]any)
	require.Equal(t, []any{1299.0, "12.99", "EUR", "Coffee", map[string]any{"orderid": 1234.0}, "tips", got["transaction_key"], "new"},
		[]any{
			payment["price"], payment["price_decimal"], payment["currency"], payment["description"], payment["parameters"], payment["purpose"],
			payment["transaction_key"], payment["status"],
		})
	require.NotContains(t, w.ok(shop, http.MethodGet, "transaction/"+got["transaction_key"].(string), ""), "project")

	until := w.clock.now().Add(time.Hour).Unix()
	got = w.ok(w.merchant, http.MethodPost, "transaction", fmt.Sprintf(`{"reserve_until":%d,"callback_uri":false,"payments":[{"currency":"EUR","items":[
		{"title":"Tea","price":150,"currency":"EUR","quantity":2},{"title":"Ham","price_decimal":"10.00","currency":"EUR","quantity":0.25}]}]}`, until))
	require.Equal(t, map[string]any{"until": float64(until)}, got["reserve"])
	require.Equal(t, "5.50", got["payments"].([]any)[0].(map[string]any)["price_decimal"])
	got = w.ok(w.merchant, http.MethodPost, "transaction", `{"reserve_for":2,"payments":[{"description":"x","price":1,"currency":"EUR"}]}`)
	require.Equal(t, map[string]any{"for": 7200.0}, got["reserve"], "the older form is in hours")
	require.Equal(t, map[string]any{"for": 86400.0}, w.ok(w.merchant, http.MethodPost, "transaction", coffee(1))["reserve"])
	require.Empty(t, w.Violations())
}

func TestTransactionsThatAreRefused(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	made := w.ok(w.merchant, http.MethodPost, "payment", `{"description":"x","currency":"EUR","price":1}`)
	payment := func(members string) string { return `{"payments":[{` + members + `}]}` }
	for body, text := range map[string]string{
		`{}`:                                   "Key payments is required",
		`[]`:                                   "Content is expected to be array",
		`{"payments":[]}`:                      "There must be at least one payment",
		`{"payments":"x"}`:                     "payments must be an array",
		`{"payment":[1]}`:                      "Some keys in item are not available: payment",
		payment(`"price":1`):                   "Key description is required",
		payment(`"description":"x","price":1`): "Key currency is required",
		payment(`"description":"x","currency":"EUR"`):                                                         "Key price is required",
		payment(`"description":"x","currency":"USD","price":1`):                                               "Currency USD is not supported",
		payment(`"description":"x","currency":"EUR","price":0`):                                               "price must be positive",
		payment(`"description":"x","currency":"EUR","price":-1`):                                              "must not be negative",
		payment(`"description":"x","currency":"EUR","price":1.5`):                                             "price must be an integer",
		payment(`"description":"x","currency":"EUR","price":"1"`):                                             "price must be an integer",
		payment(`"description":"x","currency":"EUR","price_decimal":1`):                                       "price_decimal must be a string",
		payment(`"description":"x","currency":"EUR","price_decimal":"1.234"`):                                 "at most two decimals",
		payment(`"description":"x","currency":"EUR","price":100,"price_decimal":"1.00"`):                      "Only one of price, price_decimal",
		payment(`"description":"x","currency":"EUR","price":1,"purpose":"other"`):                             "purpose must be one of cash, tips",
		payment(`"description":"x","currency":"EUR","price":1,"amount":1`):                                    "Some keys in item are not available: amount",
		payment(`"currency":"EUR","price":1,"items":[{"title":"x","currency":"EUR","price":2,"quantity":1}]`): "Total of items is 0.02, price is 0.01",
		payment(`"currency":"EUR","items":[{"title":"x","currency":"EUR","price":2}]`):                        "Key quantity is required",
		payment(`"description":"x","currency":"EUR","price":1,"beneficiary":{"id":1,"email":"a@b"}`):          "Only one of id, email",
		payment(`"description":"x","currency":"EUR","price":1,"freeze":{"for":1},"freeze_for":1`):             "Only one of freeze, freeze_for",
		payment(`"description":"x","currency":"EUR","price":1,"password":{"type":"provided"}`):                "Key value is required",
		`{"reserve":{"for":1},"reserve_for":1,"payments":[1]}`:                                                "Only one of reserve, reserve_for",
		`{"reserve_until":1,"payments":[1]}`:                                                                  "Reservation must end in the future",
		`{"redirect_uri":"/back","payments":[1]}`:                                                             "redirect_uri must be an absolute URL",
		`{"auto_confirm":"yes","payments":[1]}`:                                                               "auto_confirm must be a boolean",
	} {
		w.ExpectViolation(text)
		body = strings.ReplaceAll(body, "[1]", fmt.Sprintf("[%.0f]", made["id"]))
		w.no(w.merchant, http.MethodPost, "transaction", body, http.StatusBadRequest, "invalid_parameters", text)
	}
	require.Empty(t, w.Paysera.Transactions())
	w.no(w.merchant, http.MethodGet, "transaction/x", "", http.StatusNotFound, "not_found", "No such transaction")
	w.no(w.merchant, http.MethodPost, "transaction", `{"payments":[7]}`, http.StatusNotFound, "not_found", "No such payment")
	w.ExpectViolation("content type")
	body := coffee(1)
	a := w.do(http.MethodPost, w.base+"/paysera/rest/v1/transaction", body, "Authorization",
		w.authorization(w.merchant, http.MethodPost, "/rest/v1/transaction", body), "Content-Type", "text/plain")
	require.Equal(t, http.StatusOK, a.status)
}

func TestEveryWayToReserve(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	john := w.Paysera.User(221)
	reserve := func(s signer, path, body, kind string) {
		t.Helper()
		key := w.transactionKey(coffee(100))
		got := w.ok(s, http.MethodPut, "transaction/"+key+path, body)
		require.Equal(t, []any{"reserved", kind, 14471.0}, []any{got["status"], got["type"], got["wallet"]})
	}
	code := func() string {
		text, err := john.ReservationCode()
		require.NoError(t, err)
		return text
	}
	reserve(w.user(221), "/reserve/me", "", "mobile_app")
	reserve(w.user(221), "/reserve/14471", `{"funds_sources":{}}`, "mobile_app")
	reserve(w.merchant, "/reserve/14471", `{"pin":"1234"}`, "pin")
	reserve(w.merchant, "/reserve", `{"wallet_id":14471,"pin_code":"1234"}`, "pin")
	reserve(w.merchant, "/reserve", `{"payer":{"phone":"+37066612345"},"pin":"1234"}`, "pin")
	reserve(w.merchant, "/reserve", `{"payer":{"email":"john@example.com"},"pin":"1234"}`, "pin")
	reserve(w.merchant, "/reserve", `{"payer":{"id":221},"pin":"1234"}`, "pin")
	reserve(w.merchant, "/reserve", `{"code":"`+code()+`"}`, "reservation_code")
	reserve(w.merchant, "/reserve", `{"reservation_code":"`+code()+`"}`, "reservation_code")
	key := w.transactionKey(coffee(100))
	w.ok(w.merchant, http.MethodPut, "transaction/"+key+"/flash/14471", "")
	got := w.ok(w.merchant, http.MethodPut, "transaction/"+key+"/reserve", `{"wallet_id":14471,"sms_code":"`+john.State().SMSCode+`"}`)
	require.Equal(t, "flash", got["type"])

	key = w.transactionKey(coffee(100))
	path := "transaction/" + key
	w.no(w.merchant, http.MethodPut, path+"/reserve/14471", "", http.StatusBadRequest, "no_rights", "allowance")
	w.no(w.merchant, http.MethodPut, path+"/reserve/14471", `{"pin":"0000"}`, http.StatusBadRequest, "invalid_password", "PIN")
	w.no(w.merchant, http.MethodPut, path+"/reserve", `{"wallet_id":14471,"pin":"0000"}`, http.StatusBadRequest, "invalid_password", "PIN")
	w.no(w.merchant, http.MethodPut, path+"/reserve", `{"wallet_id":14471,"sms_code":"0000"}`, http.StatusBadRequest, "invalid_code", "SMS")
	used := code()
	w.ok(w.merchant, http.MethodPut, "transaction/"+w.transactionKey(coffee(1))+"/reserve", `{"code":"`+used+`"}`)
	w.no(w.merchant, http.MethodPut, path+"/reserve", `{"code":"`+used+`"}`, http.StatusBadRequest, "invalid_code", "code")
	old := code()
	w.clock.move(codeLife)
	w.no(w.merchant, http.MethodPut, path+"/reserve", `{"code":"`+old+`"}`, http.StatusBadRequest, "invalid_code", "code")
	w.no(w.user(222), http.MethodPut, path+"/reserve/14471", "", http.StatusForbidden, "forbidden", "another user")
	w.no(w.merchant, http.MethodPut, path+"/reserve/7", "", http.StatusNotFound, "not_found", "No such wallet")
	w.no(w.merchant, http.MethodPut, path+"/reserve/me", "", http.StatusForbidden, "forbidden", "no wallet of its own")
	require.Empty(t, w.Violations())
	w.ExpectViolation("One of pin, code, sms_code is required")
	w.no(w.merchant, http.MethodPut, path+"/reserve", `{"wallet_id":14471}`, http.StatusBadRequest, "invalid_parameters", "One of pin")
	w.ExpectViolation("Payer is not known")
	w.no(w.merchant, http.MethodPut, path+"/reserve", `{"pin":"1234"}`, http.StatusBadRequest, "invalid_parameters", "Payer is not known")

	require.NoError(t, john.Allow(true))
	types := w.call(w.merchant, http.MethodGet, "/rest/v1/"+path+"/type/14471", "")
	require.JSONEq(t, `["automatic","flash","page","pin","reservation_code","mobile_app"]`, types.body)
	reserve(w.merchant, "/reserve/14471", "", "automatic")

	to14471 := `{"payments":[{"description":"x","price":1,"currency":"EUR","beneficiary":{"id":14471}}]}`
	w.no(w.merchant, http.MethodPut, "transaction/"+w.transactionKey(to14471)+"/reserve/14471", "", http.StatusBadRequest, "payment_to_same_account", "same")
	w.no(w.merchant, http.MethodPut, "transaction/"+w.transactionKey(coffee(1_000_000))+"/reserve/14471", "", http.StatusBadRequest, "not_enough_funds", "Not enough")
	require.Empty(t, w.Paysera.Charges(), "nothing was confirmed")
}

func TestMoneyThatIsHeldCannotBeSpentTwice(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	john := w.Paysera.User(221)
	require.NoError(t, john.SetBalance(decimal.New(150, -2)))
	first, second := w.transactionKey(coffee(100)), w.transactionKey(coffee(100))
	require.NoError(t, john.Pay(first))
	w.no(w.user(221), http.MethodPut, "transaction/"+second+"/reserve/me", "", http.StatusBadRequest, "not_enough_funds", "Not enough")
	require.NoError(t, john.Pay(second))
	require.Equal(t, "waiting_funds", w.status(second))
	w.ok(w.merchant, http.MethodDelete, "transaction/"+first, "")
	require.Equal(t, "0", john.State().Held.String())
	require.NoError(t, john.SetBalance(decimal.New(150, -2)))
	require.Equal(t, "reserved", w.status(second))
	w.ok(w.merchant, http.MethodPut, "transaction/"+second+"/confirm", "{}")
	require.Equal(t, "0.5", john.State().Balance.String())
	require.Len(t, w.Paysera.Charges(), 1)
	require.Equal(t, second, w.Paysera.Charges()[0].TransactionKey)
}

func TestConfirmationsWithLowerPrices(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	two := `{"payments":[{"description":"a","price":1999,"currency":"EUR"},{"description":"b","price":100,"currency":"EUR","freeze":{"for":60}}]}`
	made := w.ok(w.merchant, http.MethodPost, "transaction", two)
	path := "transaction/" + made["transaction_key"].(string)
	id := fmt.Sprintf("%.0f", made["payments"].([]any)[0].(map[string]any)["id"])
	frozen := fmt.Sprintf("payment/%.0f", made["payments"].([]any)[1].(map[string]any)["id"])
	w.no(w.merchant, http.MethodPut, path+"/confirm", "", http.StatusConflict, "invalid_state", "Transaction is new")
	w.ok(w.user(221), http.MethodPut, path+"/reserve/me", "")
	one := `{"` + id + `":`
	for body, text := range map[string]string{
		one + `{"price":2000}}`:                                          "Price can only be lowered",
		one + `{"price":1500,"currency":"USD"}}`:                         "Currency cannot be changed",
		one + `{"price":1500,"price_decimal":"15.01","currency":"EUR"}}`: "price and price_decimal differ",
		one + `{}}`:            "Key price is required",
		`{"7":{"price":1}}`:    "Some keys in item are not available: 7",
		`[{"id":7,"price":1}]`: "Content is expected to be array",
	} {
		w.ExpectViolation(text)
		w.no(w.merchant, http.MethodPut, path+"/confirm", body, http.StatusBadRequest, "invalid_parameters", text)
	}
	require.Empty(t, w.Paysera.Charges())
	got := w.ok(w.merchant, http.MethodPut, path+"/confirm", `{"`+id+`":{"price":1500,"currency":"EUR","price_decimal":"15.00"}}`)
	require.Equal(t, "confirmed", got["status"])
	require.InDelta(t, w.clock.now().Unix(), got["confirmed_at"], 0)
	payments := got["payments"].([]any)
	require.Equal(t, []any{"done", "15.00"}, []any{payments[0].(map[string]any)["status"], payments[0].(map[string]any)["price_decimal"]})
	require.Equal(t, "confirmed", payments[1].(map[string]any)["status"], "frozen")
	charges := w.Paysera.Charges()
	require.Len(t, charges, 2)
	require.Equal(t, []string{"15", "19.99", "1", "1"},
		[]string{charges[0].Amount.String(), charges[0].Asked.String(), charges[1].Amount.String(), charges[1].Asked.String()})
	state := w.Paysera.User(221).State()
	require.Equal(t, []string{"984", "0"}, []string{state.Balance.String(), state.Held.String()})

	require.Equal(t, "canceled", w.ok(w.merchant, http.MethodDelete, frozen, "")["status"])
	require.Equal(t, "985", w.Paysera.User(221).State().Balance.String())
	require.Equal(t, "-1", w.Paysera.Charges()[2].Amount.String())
	w.no(w.merchant, http.MethodDelete, "transaction/"+made["transaction_key"].(string), "", http.StatusConflict, "invalid_state", "Transaction is confirmed")
}

func TestAnEmptyListOfPricesIsNone(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	key := w.transactionKey(coffee(100))
	require.NoError(t, w.Paysera.User(221).Pay(key))
	require.Equal(t, "confirmed", w.ok(w.merchant, http.MethodPut, "transaction/"+key+"/confirm", "[]")["status"])
	require.Empty(t, w.Violations())
}

func TestWhatATransactionWaitsFor(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	john := w.Paysera.User(221)
	key := w.transactionKey(`{"auto_confirm":true,"payments":[{"description":"x","price":100,"currency":"EUR","beneficiary":{"email":"new@example.com"},
		"password":{"type":"provided","value":"sesame"}}]}`)
	require.NoError(t, john.Open(key))
	require.Equal(t, "waiting", w.status(key))
	require.NoError(t, john.Pay(key))
	require.Equal(t, "waiting_registration", w.status(key))
	require.NoError(t, john.Unlock(key))
	require.Equal(t, "waiting_password", w.status(key))
	require.Equal(t, "1", john.State().Held.String())
	require.NoError(t, john.Unlock(key))
	require.Equal(t, "confirmed", w.status(key), "by itself")
	require.Len(t, w.Paysera.Charges(), 1)
	require.ErrorContains(t, john.Unlock(key), "the transaction is confirmed")
	require.ErrorContains(t, john.Pay(key), "the transaction is confirmed")
	require.ErrorContains(t, john.Decline(key), "the transaction is confirmed")
	require.ErrorContains(t, john.Pay("x"), `no transaction "x"`)

	key = w.transactionKey(coffee(100))
	require.NoError(t, john.Decline(key))
	require.Equal(t, "rejected", w.status(key))
	again := w.ok(w.merchant, http.MethodPost, "transaction/renew/"+key, "")
	require.NotEqual(t, key, again["transaction_key"])
	require.Equal(t, "new", again["status"])
	require.Equal(t, "1.00", again["payments"].([]any)[0].(map[string]any)["price_decimal"])
	w.no(w.merchant, http.MethodPost, "transaction/renew/"+again["transaction_key"].(string), "", http.StatusConflict, "invalid_state", "Transaction is new")
}

func TestWhatTimeBrings(t *testing.T) {
	w := newWallet(t, PayseraOptions{ReserveFor: time.Minute})
	forgotten, reserved := w.transactionKey(coffee(100)), w.transactionKey(coffee(100))
	require.NoError(t, w.Paysera.User(221).Pay(reserved))
	w.clock.move(time.Minute - time.Second)
	require.Equal(t, "reserved", w.status(reserved))
	w.clock.move(time.Second)
	require.Equal(t, "failed", w.ok(w.merchant, http.MethodGet, "transaction/"+reserved, "")["status"])
	require.Equal(t, "0", w.Paysera.User(221).State().Held.String())
	w.no(w.merchant, http.MethodPut, "transaction/"+reserved+"/confirm", "", http.StatusConflict, "invalid_state", "Transaction is failed")
	w.clock.move(31 * 24 * time.Hour)
	require.Equal(t, "deleted", w.status(forgotten))
	require.Empty(t, w.Paysera.Charges())
}

func TestListsOfTransactions(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	first := w.transactionKey(coffee(100))
	w.clock.move(time.Minute)
	second := w.transactionKey(coffee(200))
	require.NoError(t, w.Paysera.User(222).Pay(second))
	list := func(query string) []string {
		found := []string{}
		for _, one := range w.ok(w.merchant, http.MethodGet, "transactions?"+query, "")["transactions"].([]any) {
			found = append(found, one.(map[string]any)["transaction_key"].(string))
		}
		return found
	}
	at := w.clock.now().Unix()
	require.Equal(t, []string{first, second}, list("project_id=123"))
	require.Equal(t, []string{second}, list("status=reserved,confirmed"))
	require.Equal(t, []string{second}, list("wallet=14472"))
	require.Equal(t, []string{second}, list(fmt.Sprintf("from=%d&to=%d", at, at)))
	require.Equal(t, []string{first}, list(fmt.Sprintf("to=%d", at-1)))
	require.Empty(t, list("location_id=3"))
	require.Empty(t, w.Violations())
	w.ExpectViolation("Invalid parameter: from")
	w.no(w.merchant, http.MethodGet, "transactions?from=yesterday", "", http.StatusBadRequest, "invalid_parameters", "from")
}

func TestRequestsToPay(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	key := w.transactionKey(coffee(100))
	got := w.ok(w.merchant, http.MethodPost, "transaction/"+key+"/request", `{"phone":"37066612345"}`)
	require.Equal(t, []any{"pending", "37066612345"}, []any{got["status"], got["phone"]})
	require.Equal(t, "failed", w.ok(w.merchant, http.MethodDelete, fmt.Sprintf("transaction-request/%.0f", got["id"]), "")["status"])
	got = w.ok(w.merchant, http.MethodPost, "transaction/"+key+"/request", `{"user_id":221,"initiator_id":222}`)
	require.NoError(t, w.Paysera.User(221).Pay(key))
	require.Equal(t, "done", w.ok(w.merchant, http.MethodDelete, fmt.Sprintf("transaction-request/%.0f", got["id"]), "")["status"])
	require.JSONEq(t, `{"items":[]}`, w.call(w.merchant, http.MethodGet, "/rest/v1/transaction/"+key+"/inquired-information", "").body)
	w.no(w.merchant, http.MethodDelete, "transaction-request/1", "", http.StatusNotFound, "not_found", "No such transaction request")
	w.no(w.merchant, http.MethodPost, "transaction/"+key+"/request", `{"user_id":221}`, http.StatusConflict, "invalid_state", "reserved")
	w.ExpectViolation("Only one of user_id, email, phone")
	w.no(w.merchant, http.MethodPost, "transaction/"+key+"/request", `{"user_id":221,"email":"a@b"}`, http.StatusBadRequest, "invalid_parameters", "Only one")
}
