package testserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sim calls the control API.
func (r *rig) sim(method, path, body string) answer {
	r.t.Helper()
	return r.do(method, r.base+"/_sim"+path, body)
}

// simOK calls the control API and demands that it does what it is asked.
func simOK[T any](r *rig, method, path, body string) T {
	r.t.Helper()
	a := r.sim(method, path, body)
	require.Equal(r.t, http.StatusOK, a.status, a.body)
	require.Equal(r.t, "application/json", a.header.Get("Content-Type"))
	return parse[T](r.t, a.body)
}

// simDone calls the control API and demands 204.
func (r *rig) simDone(method, path, body string) {
	r.t.Helper()
	a := r.sim(method, path, body)
	require.Equal(r.t, http.StatusNoContent, a.status, a.body)
	require.Empty(r.t, a.body)
}

const terminalPath = "/smartconnect/terminals/7070714000"

func TestSimDrivesATerminal(t *testing.T) {
	r := newRig(t, Options{})
	require.Len(t, simOK[[]DeviceState](r, "GET", "/smartconnect/terminals", ""), 3)
	state := simOK[DeviceState](r, "POST", terminalPath+"/code", "")
	require.Equal(t, "PAIRING CODE\n"+state.PairingCode, state.Screen)
	require.Equal(t, r.clock.now().Add(2*time.Minute), *state.PairingCodeExpiresAt)
	require.Equal(t, http.StatusOK, r.pos(http.MethodPut, "/POS/Pairing/"+state.PairingCode, register("r1")).status)

	simOK[DeviceState](r, "POST", terminalPath+"/extras", `{"surcharge_cents":15,"tip_cents":100}`)
	posted := r.post("r1", "Card.Purchase", "AmountTotal", "500")
	got := simOK[Transaction](r, "GET", terminalPath+"/transaction?wait_ms=60000", "")
	require.Equal(t, posted.TransactionID, got.ID)
	require.Equal(t, got.ID, simOK[DeviceState](r, "GET", terminalPath, "").Current.ID)
	require.False(t, simOK[DeviceState](r, "POST", terminalPath+"/unplug", "").Plugged)
	require.True(t, simOK[DeviceState](r, "POST", terminalPath+"/plug", "").Plugged)
	simOK[DeviceState](r, "POST", terminalPath+"/approve", "")
	require.Equal(t, "615", r.poll(posted).Data.AmountTotal)

	charges := simOK[[]Charge](r, "GET", "/smartconnect/charges?terminal=7070714000", "")
	require.Len(t, charges, 1)
	require.EqualValues(t, 615, charges[0].Cents)
	require.Empty(t, simOK[[]Charge](r, "GET", "/smartconnect/charges?terminal=other", ""))
	require.Len(t, simOK[[]Transaction](r, "GET", "/smartconnect/transactions", ""), 1)
	require.Len(t, simOK[[]Transaction](r, "GET", terminalPath+"/served", ""), 1)
	require.Empty(t, simOK[[]Overlap](r, "GET", "/smartconnect/overlaps", ""))

	for _, button := range []string{"decline", "cancel", "finish"} {
		r.post("r1", "Card.Purchase", "AmountTotal", "500")
		simOK[DeviceState](r, "POST", terminalPath+"/"+button, "")
	}
	state = simOK[DeviceState](r, "POST", terminalPath+"/auto", `{"mode":"approve","delay_ms":0}`)
	require.Equal(t, AutoApprove, state.Settings.Auto)
	state = simOK[DeviceState](r, "POST", terminalPath+"/slow", `{"delay_ms":250}`)
	require.EqualValues(t, 250, state.Settings.SlowMS)
	state = simOK[DeviceState](r, "POST", terminalPath+"/busy", `{"mode":"refuse"}`)
	require.Equal(t, BusyRefuse, state.Settings.Busy)
	require.Empty(t, simOK[DeviceState](r, "POST", terminalPath+"/unpair", `{"register_id":"r1"}`).Registers)
	r.simDone("POST", "/smartconnect/settings", `{"lean":true,"min_poll_ms":50}`)
	require.EqualValues(t, 50, r.Describe().SmartConnect.MinPollMS)
	r.simDone("POST", "/smartconnect/expire-tokens", "")
	require.Equal(t, http.StatusUnauthorized, r.do("GET", posted.Data.PollingURL, "").status)
}

func TestSimWaitsForATransaction(t *testing.T) {
	r := newRig(t, Options{})
	r.pair("r1", "7070714000")
	got := make(chan answer, 1)
	go func() { got <- r.sim("GET", terminalPath+"/transaction?wait_ms=60000", "") }()
	posted := r.post("r1", "Card.Purchase", "AmountTotal", "500")
	require.Contains(t, (<-got).body, posted.TransactionID)
}

func TestSimDrivesTheSellScreen(t *testing.T) {
	r := newRig(t, Options{})
	require.Len(t, simOK[[]Register](r, "GET", "/xseries/registers", ""), 4)
	r.simDone("POST", "/xseries/gateway", `{"url":"https://gateway.test/pay"}`)
	opened := simOK[openedModal](r, "POST", "/xseries/modals", `{"register_id":"`+RegisterMain+`","amount":"8.00"}`)
	require.Equal(t, map[string]string{"amount": "8.00", "origin": "https://simstore.retail.lightspeed.app", "register_id": RegisterMain}, opened.Parameters)
	require.Equal(t, "https://gateway.test/pay?"+opened.Query, opened.URL)
	modal := "/xseries/modals/" + opened.ID
	r.simDone("POST", modal+"/messages", fixture(t, "xseries_payments_msg_setup_no_close.json"))
	reply := simOK[dataReply](r, "POST", modal+"/messages", fixture(t, "xseries_payments_msg_data.json"))
	require.Equal(t, dataPayment{RegisterID: RegisterMain, Amount: "8.00"}, reply.Payment)
	require.Equal(t, http.StatusConflict, r.sim("POST", modal+"/close", "").status)
	r.simDone("POST", modal+"/messages", fixture(t, "xseries_payments_msg_accept.json"))
	require.Equal(t, "accepted", simOK[ModalState](r, "GET", modal, "").Ended)
	sale := simOK[Sale](r, "GET", "/xseries/sales/"+opened.SaleID, "")
	require.True(t, sale.Closed)
	require.Len(t, simOK[[]Sale](r, "GET", "/xseries/sales", ""), 1)

	split := simOK[Sale](r, "POST", "/xseries/sales", `{"register_id":"`+RegisterMain+`","total":20}`)
	part := simOK[openedModal](r, "POST", "/xseries/modals", `{"sale_id":"`+split.ID+`","amount":"10"}`)
	require.Equal(t, "closed", simOK[ModalState](r, "POST", "/xseries/modals/"+part.ID+"/close", "").Ended)
	part = simOK[openedModal](r, "POST", "/xseries/modals", `{"sale_id":"`+split.ID+`","amount":"10"}`)
	require.Equal(t, "closed", simOK[ModalState](r, "POST", "/xseries/modals/"+part.ID+"/abandon", "").Ended)

	r.ExpectViolation(`unknown step "VOID"`)
	a := r.sim("POST", modal+"/messages", `{"step":"VOID"}`)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.body, `unknown step`)

	r.simDone("POST", "/xseries/authorization", `{"refuse":true}`)
	require.Equal(t, "access_denied", r.callback(r.authorizeQuery("registers:read")).Get("error"))
	r.simDone("POST", "/xseries/authorization", `{"grant":["outlets:read"]}`)
	grant := r.connect("registers:read")
	require.Equal(t, "outlets:read", grant.Scope)
	r.simDone("POST", "/xseries/expire-tokens", "")
	list := func() int {
		return r.do("GET", r.base+"/xseries/api/2.0/outlets", "", "Authorization", "Bearer "+grant.AccessToken).status
	}
	require.Equal(t, http.StatusUnauthorized, list())
	r.simDone("POST", "/xseries/revoke-tokens", "")
	require.Equal(t, http.StatusBadRequest, r.token("grant_type", "refresh_token", "refresh_token", grant.RefreshToken).status)
}

func TestSimPlaysFaults(t *testing.T) {
	r := newRig(t, Options{})
	get := func() (answer, error) {
		return r.send("GET", r.base+"/xseries/api/2.0/registers", "", "Authorization", "Bearer x")
	}
	for fault, check := range map[string]func(a answer, err error){
		`"fault":"status","status":503,"body":"down","retry_after_s":7`: func(a answer, err error) {
			require.NoError(t, err)
			require.Equal(t, []any{503, "down", "7"}, []any{a.status, a.body, a.header.Get("Retry-After")})
		},
		`"fault":"html_body","status":502,"retry_after_date_s":7,"after_processing":true`: func(a answer, err error) {
			require.NoError(t, err)
			require.Equal(t, "Wed, 11 Mar 2026 09:08:14 GMT", a.header.Get("Retry-After"))
		},
		`"fault":"redirect","location":"http://other.test/"`: func(a answer, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusTemporaryRedirect, a.status)
		},
		`"fault":"delay","delay_ms":1`: func(a answer, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusUnauthorized, a.status)
		},
		`"fault":"lose_reply"`:    func(_ answer, err error) { require.Error(t, err) },
		`"fault":"refuse_before"`: func(_ answer, err error) { require.Error(t, err) },
		`"fault":"truncate"`:      func(_ answer, err error) { require.Error(t, err) },
		`"fault":"garbled_json"`: func(a answer, err error) {
			require.NoError(t, err)
			require.False(t, json.Valid([]byte(a.body)))
		},
		`"fault":"extra_fields"`: func(a answer, err error) {
			require.NoError(t, err)
			require.Contains(t, a.body, "x_unknown")
		},
		`"fault":"expire_token"`: func(a answer, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusUnauthorized, a.status)
		},
	} {
		r.simDone("POST", "/faults", `{"system":"xseries","method":"GET","path":"/api",`+fault+`}`)
		require.Len(t, simOK[map[string][]string](r, "GET", "/faults", "")["unused"], 1)
		check(get())
		r.simDone("DELETE", "/faults", "")
	}
	r.simDone("POST", "/faults", `{"fault":"status","status":500,"nth":2,"always":true}`)
	for _, want := range []int{401, 500, 500} {
		a, err := get()
		require.NoError(t, err)
		require.Equal(t, want, a.status)
	}
	require.Len(t, simOK[[]Request](r, "GET", "/requests?"+url.Values{"system": {"xseries"}, "path": {"/api/2.0"}}.Encode(), ""), 13)
	require.Empty(t, simOK[[]Violation](r, "GET", "/violations", ""))
	r.simDone("POST", "/reset", "")
	require.Empty(t, simOK[[]Request](r, "GET", "/requests", ""))
	require.Equal(t, r.Describe(), simOK[Description](r, "GET", "/", ""))
	require.Equal(t, r.Describe(), simOK[Description](r, "GET", "", ""))
}

func TestSimRefusesInClearText(t *testing.T) {
	r := newRig(t, Options{})
	for _, tt := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"GET", "/nope", "", 404, "no such call: GET /_sim/nope"},
		{"GET", "/reset", "", 404, "no such call: GET /_sim/reset"},
		{"GET", "/smartconnect/terminals/1", "", 404, `no terminal "1"`},
		{"POST", terminalPath + "/approve", "", 409, "has no transaction on its screen: post one first"},
		{"GET", terminalPath + "/transaction", "", 404, "has no transaction on its screen"},
		{"GET", terminalPath + "/transaction?wait_ms=soon", "", 400, "wait_ms is"},
		{"POST", terminalPath + "/auto", `{"mode":"maybe"}`, 400, "must be manual, approve, decline or cancel"},
		{"POST", terminalPath + "/auto", `{"mode":1}`, 400, "the body is not what this call takes"},
		{"POST", terminalPath + "/auto", `{"mood":"approve"}`, 400, `unknown field`},
		{"POST", terminalPath + "/slow", `{"delay_ms":-1}`, 400, "must not be negative"},
		{"POST", terminalPath + "/slow", `[]`, 400, "the body is not"},
		{"POST", terminalPath + "/extras", `{"tip_cents":-1}`, 400, "must not be negative"},
		{"POST", terminalPath + "/extras", `1`, 400, "the body is not"},
		{"POST", terminalPath + "/busy", `{}`, 400, "must be queue or refuse"},
		{"POST", terminalPath + "/busy", `1`, 400, "the body is not"},
		{"POST", terminalPath + "/unpair", `{"register_id":"x"}`, 409, "is not paired"},
		{"POST", terminalPath + "/unpair", `1`, 400, "the body is not"},
		{"POST", terminalPath + "/finish", `1`, 400, "the body is not"},
		{"POST", "/smartconnect/settings", `1`, 400, "the body is not"},
		{"POST", "/faults", `{"fault":"explode"}`, 400, "must be one of"},
		{"POST", "/faults", `{"fault":"status"}`, 400, "status is 0"},
		{"POST", "/faults", `{"fault":"delay"}`, 400, "must be positive"},
		{"POST", "/faults", `{"fault":"redirect"}`, 400, "location is missing"},
		{"POST", "/faults", `{"system":"till","fault":"lose_reply"}`, 400, "system is"},
		{"POST", "/faults", `x`, 400, "the body is not"},
		{"GET", "/xseries/sales/1", "", 404, "no sale"},
		{"POST", "/xseries/sales", `{"register_id":"1","total":"1"}`, 400, "no register"},
		{"POST", "/xseries/sales", `x`, 400, "the body is not"},
		{"GET", "/xseries/modals/1", "", 404, "no modal"},
		{"POST", "/xseries/modals", `{"amount":"1"}`, 400, "give register_id"},
		{"POST", "/xseries/modals", `{"register_id":"1","amount":"1"}`, 400, "no register"},
		{"POST", "/xseries/modals", `{"register_id":"1","amount":"ten"}`, 400, "the body is not"},
		{"POST", "/xseries/gateway", `{"url":"pay"}`, 400, "must be absolute"},
		{"POST", "/xseries/gateway", `x`, 400, "the body is not"},
		{"POST", "/xseries/authorization", `{}`, 400, "give {"},
		{"POST", "/xseries/authorization", `x`, 400, "the body is not"},
	} {
		a := r.sim(tt.method, tt.path, tt.body)
		require.Equal(t, tt.status, a.status, "%s %s: %s", tt.method, tt.path, a.body)
		require.Contains(t, parse[map[string]string](t, a.body)["error"], tt.text)
	}
	r.SmartConnect.Device("7070714000").Unplug()
	a := r.sim("POST", terminalPath+"/code", "")
	require.Equal(t, http.StatusConflict, a.status)
	require.Contains(t, a.body, "plug it in")
}

func TestSimIsNotForPagesOfOtherSites(t *testing.T) {
	r := newRig(t, Options{})
	r.pair("r1", "7070714000")
	posted := r.post("r1", "Card.Purchase", "AmountTotal", "500")
	approve := r.base + "/_sim" + terminalPath + "/approve"
	for name, header := range map[string][]string{
		"of another site":      {"Sec-Fetch-Site", "cross-site"},
		"of a neighbour":       {"Sec-Fetch-Site", "same-site"},
		"of an old browser":    {"Origin", "https://evil.example"},
		"of a file":            {"Origin", "null"},
		"of another port":      {"Origin", "http://127.0.0.1:1"},
		"that sends a form":    {"Origin", "https://evil.example", "Content-Type", formType},
		"that opens a window":  {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"},
		"that says it is ours": {"Sec-Fetch-Site", "cross-site", "Origin", r.base},
	} {
		a := r.do(http.MethodPost, approve, "", header...)
		require.Equal(t, http.StatusForbidden, a.status, name)
		require.JSONEq(t, `{"error":"the call comes from a page of another site"}`, a.body, name)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, approve, "").status, "to look changes nothing")
	require.Empty(t, r.SmartConnect.Charges())
	require.Equal(t, http.StatusOK, r.do(http.MethodPost, approve, "", "Sec-Fetch-Site", "same-origin", "Origin", r.base).status, "the pages' own")
	require.Len(t, r.SmartConnect.Charges(), 1)
	require.Equal(t, "500", r.poll(posted).Data.AmountTotal)
}
