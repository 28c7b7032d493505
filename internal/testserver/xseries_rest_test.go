package testserver

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// rest calls the REST API with the personal token.
func (r *rig) rest(method, path, body string) answer {
	r.t.Helper()
	return r.do(method, r.base+"/xseries"+path, body,
		"Authorization", "Bearer "+r.Describe().XSeries.PersonalToken, "Content-Type", "application/json", "Accept", "application/json")
}

// pageOf is one page of a collection.
type pageOf struct {
	Data    []map[string]any `json:"data"`
	Version struct {
		Min, Max *int64
	} `json:"version"`
}

// byID finds the object with an id in a fixture's list.
func byID(t *testing.T, file, id string) string {
	t.Helper()
	for _, one := range parse[pageOf](t, fixture(t, file)).Data {
		if one["id"] == id {
			out, err := json.Marshal(one)
			require.NoError(t, err)
			return string(out)
		}
	}
	require.Fail(t, "not in the fixture", id)
	return ""
}

func TestRegistersAreThoseOfTheVendorsExamples(t *testing.T) {
	for _, version := range []string{"2.0", "2026-07", "2024-01"} {
		t.Run(version, func(t *testing.T) {
			r := newRig(t, Options{})
			for _, id := range []string{RegisterMain, RegisterSecond, RegisterThird} {
				a := r.rest(http.MethodGet, "/api/"+version+"/registers/"+id, "")
				require.Equal(t, http.StatusOK, a.status, a.body)
				require.JSONEq(t, `{"data":`+byID(t, "xseries_rest20_registers_list.json", id)+`}`, a.body)
			}
			a := r.rest(http.MethodGet, "/api/"+version+"/registers/"+RegisterSecond, "")
			require.JSONEq(t, fixture(t, "xseries_rest20_register_get.json"), a.body)
			for _, id := range []string{OutletMain, OutletSecond, OutletSydney} {
				a = r.rest(http.MethodGet, "/api/"+version+"/outlets/"+id, "")
				require.JSONEq(t, `{"data":`+byID(t, "xseries_rest20_outlets_list.json", id)+`}`, a.body)
			}
			a = r.rest(http.MethodGet, "/api/"+version+"/outlets/"+OutletSecond, "")
			require.JSONEq(t, fixture(t, "xseries_rest20_outlet_get.json"), a.body)
			require.JSONEq(t, fixture(t, "xseries_rest20_outlets_list.json"), r.rest(http.MethodGet, "/api/"+version+"/outlets", "").body)
		})
	}
}

func TestPagesFollowTheVersions(t *testing.T) {
	r := newRig(t, Options{})
	var names []string
	after := "0"
	pages := 0
	for {
		got := parse[pageOf](t, r.rest(http.MethodGet, "/api/2026-07/registers?page_size=2&deleted=true&after="+after, "").body)
		pages++
		if len(got.Data) == 0 {
			require.Nil(t, got.Version.Min)
			require.Nil(t, got.Version.Max)
			break
		}
		for _, one := range got.Data {
			names = append(names, one["name"].(string))
		}
		last, err := json.Marshal(got.Version.Max)
		require.NoError(t, err)
		after = string(last)
	}
	require.Equal(t, []string{"Second Register", "Third register", "Old Register", "Main Register", "Main Register"}, names)
	require.Equal(t, 4, pages, "the walk ends with an empty page only")
	require.Equal(t, "6220894162", after, "versions exceed 32 bits")

	got := parse[pageOf](t, r.rest(http.MethodGet, "/api/2.0/registers", "").body)
	require.Len(t, got.Data, 4, "removed registers are not listed")
	got = parse[pageOf](t, r.rest(http.MethodGet, "/api/2.0/registers?before=1234541473", "").body)
	require.Len(t, got.Data, 1)
	require.JSONEq(t, `{"data":[],"version":{"max":null,"min":null}}`, r.rest(http.MethodGet, "/api/2.0/sales", "").body)

	r.ExpectViolation("after is \"abc\"")
	require.Equal(t, http.StatusBadRequest, r.rest(http.MethodGet, "/api/2.0/registers?after=abc", "").status)
	r.ExpectViolation("unknown query parameter \"name\"")
	require.Equal(t, http.StatusOK, r.rest(http.MethodGet, "/api/2.0/registers?name=x", "").status)
}

func TestOpenAndCloseARegister(t *testing.T) {
	r := newRig(t, Options{})
	path := "/api/2026-07/registers/" + RegisterSecond
	a := r.rest(http.MethodPut, path+"/actions/close", `{"payments":[{"payment_type_id":"`+paymentTypeCash+`","total":"12.50"}]}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.ElementsMatch(t, dataKeys(t, fixture(t, "xseries_rest20_register_close.json")), dataKeys(t, a.body))
	closed := parse[struct{ Data xRegister }](t, a.body).Data
	require.False(t, closed.IsOpen)
	require.Equal(t, "2026-03-11T09:08:07+00:00", closed.RegisterCloseTime)
	require.Greater(t, closed.Version, int64(709083))
	_, err := r.XSeries.OpenModal(RegisterSecond, decimal.New(100, -2))
	require.ErrorContains(t, err, "is closed: open it before selling")

	a = r.rest(http.MethodPut, path+"/actions/open", `{"register_open_time":"2015-03-16T22:21:50+00:00"}`)
	require.ElementsMatch(t, dataKeys(t, fixture(t, "xseries_rest20_register_open.json")), dataKeys(t, a.body))
	opened := parse[struct{ Data xRegister }](t, a.body).Data
	require.True(t, opened.IsOpen)
	require.Equal(t, "2015-03-16T22:21:50+00:00", opened.RegisterOpenTime)

	r.ExpectViolation("no body")
	require.Equal(t, http.StatusOK, r.rest(http.MethodPut, path+"/actions/open", "").status)
	r.ExpectViolation("must be RFC 3339")
	require.Equal(t, http.StatusBadRequest, r.rest(http.MethodPut, path+"/actions/open", `{"register_open_time":"now"}`).status)
	r.ExpectViolation("cannot unmarshal number")
	require.Equal(t, http.StatusBadRequest, r.rest(http.MethodPut, path+"/actions/close", `{"payments":[{"payment_type_id":"x","total":12.5}]}`).status)
	r.ExpectViolation("unknown field")
	require.Equal(t, http.StatusOK, r.rest(http.MethodPut, path+"/actions/close", `{"payments":[],"note":"x"}`).status)
	r.ExpectViolation("no such operation")
	require.Equal(t, http.StatusMethodNotAllowed, r.rest(http.MethodPost, path+"/actions/open", "{}").status)
}

func dataKeys(t *testing.T, text string) []string {
	t.Helper()
	return keys(t, string(parse[struct{ Data json.RawMessage }](t, text).Data))
}

func TestErrorsAreTheVendors(t *testing.T) {
	r := newRig(t, Options{})
	get := func(path, token string) answer {
		return r.do(http.MethodGet, r.base+"/xseries"+path, "", "Authorization", token)
	}
	a := get("/api/2.0/registers", "Bearer unknown")
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.JSONEq(t, fixture(t, "xseries_error_401.json"), a.body)

	grant := r.connect("registers:read")
	a = get("/api/2.0/outlets", "Bearer "+grant.AccessToken)
	require.Equal(t, http.StatusForbidden, a.status)
	require.JSONEq(t, fixture(t, "xseries_error_403.json"), a.body)

	a = r.rest(http.MethodGet, "/api/2.0/registers/nope", "")
	require.Equal(t, http.StatusNotFound, a.status)
	require.JSONEq(t, strings.ReplaceAll(fixture(t, "xseries_error_404.json"), "user", "register"), a.body)

	r.ExpectViolation("no bearer token")
	require.Equal(t, http.StatusUnauthorized, get("/api/2.0/registers", "Basic x").status)
	r.ExpectViolation("no such operation")
	require.Equal(t, http.StatusNotFound, r.rest(http.MethodGet, "/api/2.0/payments", "").status)
	for _, version := range []string{"2.1", "2026-10", "2026-02", "latest"} {
		r.ExpectViolation(`unknown API version "` + version + `"`)
		require.Equal(t, http.StatusNotFound, r.rest(http.MethodGet, "/api/"+version+"/registers", "").status)
	}
	r.ExpectViolation("unknown path")
	require.Equal(t, http.StatusNotFound, r.rest(http.MethodGet, "/registers", "").status)
	r.ExpectViolation(`Accept is "text/html"`)
	a = r.do(http.MethodGet, r.base+"/xseries/api/2.0/registers", "", "Accept", "text/html", "Authorization", "Bearer "+grant.AccessToken)
	require.Equal(t, http.StatusOK, a.status)
}

func TestRateLimit(t *testing.T) {
	r := newRig(t, Options{})
	a := r.rest(http.MethodGet, "/api/2.0/registers", "")
	require.Equal(t, "1250", a.header.Get("X-Ratelimit-Limit"), "300 for each of four registers, and 50")
	require.Equal(t, "1249", a.header.Get("X-Ratelimit-Remaining"))

	r = newRig(t, Options{XSeries: XSeriesOptions{RateLimit: 1}})
	require.Equal(t, http.StatusOK, r.rest(http.MethodGet, "/api/2.0/registers", "").status)
	r.clock.move(time.Minute)
	a = r.rest(http.MethodGet, "/api/2.0/registers", "")
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.JSONEq(t, `{"error":"Too Many Requests","message":"Rate limiting enforced"}`, a.body)
	require.Equal(t, "Wed, 11 Mar 2026 09:13:08 GMT", a.header.Get("Retry-After"), "a date, not earlier than the window's end")
	r.clock.move(4*time.Minute + time.Second)
	require.Equal(t, http.StatusOK, r.rest(http.MethodGet, "/api/2.0/registers", "").status)
}

func TestPaymentTypesShowTheGateway(t *testing.T) {
	r := newRig(t, Options{})
	r.XSeries.SetGatewayURL("https://gateway.test/pay")
	old := parse[pageOf](t, r.rest(http.MethodGet, "/api/2.0/payment_types", "").body).Data[1]
	require.Equal(t, map[string]any{
		"id": paymentTypeCard, "name": "Credit Card", "type_id": 3.0, "version": 297938.0,
		"config": map[string]any{"url": "https://gateway.test/pay", "print": true},
	}, old)
	dated := parse[pageOf](t, r.rest(http.MethodGet, "/api/2026-07/payment_types?currency=NZD", "").body).Data
	require.Equal(t, true, dated[1]["gateway"])
	require.Equal(t, false, dated[0]["gateway"])
	require.NotContains(t, dated[0], "config")
}

func TestRetailerNeedsTwoScopes(t *testing.T) {
	r := newRig(t, Options{})
	for scope, status := range map[string]int{
		"retailer:read": 403, "payment_types:read": 403, "retailer:read payment_types:read": 200,
	} {
		a := r.do(http.MethodGet, r.base+"/xseries/api/2026-07/retailer", "", "Authorization", "Bearer "+r.connect(scope).AccessToken)
		require.Equal(t, status, a.status, scope)
		if status == http.StatusOK {
			data := parse[struct{ Data map[string]any }](t, a.body).Data
			require.Equal(t, map[string]any{"code": "NZD", "symbol": "$"}, data["currency"])
			require.Equal(t, "simstore", data["domain_prefix"])
		}
	}
}

func TestSalesInBothShapes(t *testing.T) {
	r := newRig(t, Options{})
	m, err := r.XSeries.OpenModal(RegisterMain, decimal.RequireFromString("24.30"))
	require.NoError(t, err)
	path := "/sales/" + m.SaleID()
	require.Equal(t, http.StatusNotFound, r.rest(http.MethodGet, "/api/2.0"+path, "").status, "an unpaid sale is on the sell screen only")
	_, err = m.Post(fixture(t, "xseries_payments_msg_accept.json"))
	require.NoError(t, err)

	a := r.rest(http.MethodGet, "/api/2.0"+path, "")
	require.Contains(t, a.body, `"amount":24.3`, "a number, not a string")
	old := parse[struct{ Data map[string]any }](t, a.body).Data
	require.Equal(t, "CLOSED", old["status"])
	require.InDelta(t, 21.13043, old["total_price"], 0)
	require.InDelta(t, 3.16957, old["total_tax"], 0)
	payment := old["payments"].([]any)[0].(map[string]any)
	require.Equal(t, "582170934", payment["source_id"])
	require.Equal(t, paymentTypeCard, payment["retailer_payment_type_id"])

	dated := parse[struct{ Data map[string]any }](t, r.rest(http.MethodGet, "/api/2026-07"+path, "").body).Data
	require.Equal(t, "closed", dated["state"])
	require.Equal(t, old["version"], dated["_metadata"].(map[string]any)["version"])
	payment = dated["payments"].([]any)[0].(map[string]any)
	require.Equal(t, map[string]any{"id": "582170934", "outlet_id": OutletMain, "register_id": RegisterMain}, payment["source"])
	require.Equal(t, paymentTypeCard, payment["type"].(map[string]any)["config_id"])

	list := parse[pageOf](t, r.rest(http.MethodGet, "/api/2026-07/sales?after=0", "").body)
	require.Len(t, list.Data, 1)
	require.InDelta(t, old["version"], *list.Version.Max, 0)

	a = r.rest(http.MethodGet, "/api/2026-07/registers/"+RegisterMain+"/payments_summary", "")
	require.Contains(t, a.body, `"total":"24.30"`, "a string here")
	require.ElementsMatch(t, []string{"register_open_time", "register_closure_sequence_number", "register_closure_id", "payments"}, dataKeys(t, a.body))
}

func TestARemovedRegisterIsInTheChangeFeed(t *testing.T) {
	r := newRig(t, Options{})
	all := parse[pageOf](t, r.rest(http.MethodGet, "/api/2026-07/registers?deleted=true", "").body)
	require.Len(t, all.Data, 5)
	require.NoError(t, r.XSeries.RemoveRegister(RegisterThird))
	require.ErrorContains(t, r.XSeries.RemoveRegister(RegisterThird), "no register")

	last, err := json.Marshal(all.Version.Max)
	require.NoError(t, err)
	changed := parse[pageOf](t, r.rest(http.MethodGet, "/api/2026-07/registers?deleted=true&after="+string(last), "").body)
	require.Len(t, changed.Data, 1)
	require.Equal(t, RegisterThird, changed.Data[0]["id"])
	require.Equal(t, "2026-03-11T09:08:07+00:00", changed.Data[0]["deleted_at"])
	require.Empty(t, parse[pageOf](t, r.rest(http.MethodGet, "/api/2026-07/registers?after="+string(last), "").body).Data)
	_, err = r.XSeries.OpenModal(RegisterThird, decimal.New(1, 0))
	require.ErrorContains(t, err, "no register")

	r.ExpectViolation(`query parameter deleted is "1", must be true or false`)
	require.Equal(t, http.StatusOK, r.rest(http.MethodGet, "/api/2026-07/registers?deleted=1", "").status)
}

func TestOnePaymentIsInVersion20Alone(t *testing.T) {
	r := newRig(t, Options{})
	m, err := r.XSeries.OpenModal(RegisterMain, decimal.RequireFromString("24.30"))
	require.NoError(t, err)
	_, err = m.Post(`{"step":"ACCEPT","transaction_id":"582170934"}`)
	require.NoError(t, err)
	sale, ok := r.XSeries.Sale(m.SaleID())
	require.True(t, ok)

	a := r.rest(http.MethodGet, "/api/2.0/payments/"+sale.Payments[0].ID, "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	got := parse[struct{ Data map[string]any }](t, a.body).Data
	require.Equal(t, "582170934", got["source_id"])
	require.InDelta(t, 24.3, got["amount"], 0)
	require.Contains(t, got, "fee")
	require.Equal(t, http.StatusNotFound, r.rest(http.MethodGet, "/api/2.0/payments/nope", "").status)
	r.ExpectViolation("no such operation in a date version")
	require.Equal(t, http.StatusNotFound, r.rest(http.MethodGet, "/api/2026-07/payments/"+sale.Payments[0].ID, "").status)
}
