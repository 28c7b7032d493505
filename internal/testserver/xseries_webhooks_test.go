package testserver

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// subscribe creates a webhook that must be accepted, as the application whose token it is.
func (r *rig) subscribe(token, event, url string) webhook {
	r.t.Helper()
	a := r.do(http.MethodPost, r.base+"/xseries/api/2026-07/webhooks", `{"active":true,"type":"`+event+`","url":"`+url+`"}`,
		"Authorization", "Bearer "+token, "Content-Type", "application/json")
	require.Equal(r.t, http.StatusCreated, a.status, a.body)
	return parse[struct{ Data webhook }](r.t, a.body).Data
}

func TestWebhooksAreCreatedListedChangedAndDeleted(t *testing.T) {
	for _, version := range []string{"2026-07", "2.0"} {
		t.Run(version, func(t *testing.T) {
			r := newRig(t, Options{})
			path := "/api/" + version + "/webhooks"
			require.JSONEq(t, `{"data":[]}`, r.rest(http.MethodGet, path, "").body, "no version here")

			a := r.rest(http.MethodPost, path, fixture(t, "xseries_webhook_create_request.json"))
			require.Equal(t, http.StatusCreated, a.status)
			require.ElementsMatch(t, dataKeys(t, fixture(t, "xseries_webhook_create_response_201.synthetic.json")), dataKeys(t, a.body))
			made := parse[struct{ Data webhook }](t, a.body).Data
			require.Equal(t, webhook{ID: made.ID, RetailerID: retailerID, Type: "sale.update", URL: "https://example.com/hooks/xseries", Active: true}, made)

			a = r.rest(http.MethodPost, path, fixture(t, "xseries_webhook_create_request.json"))
			require.Equal(t, http.StatusConflict, a.status)
			require.JSONEq(t, fixture(t, "xseries_webhook_conflict_409.json"), a.body)
			a = r.rest(http.MethodPost, path, `{"active":false,"type":"register_closure.create","url":"https://example.com/hooks/xseries"}`)
			require.Equal(t, http.StatusCreated, a.status, "the same URL for another event")
			other := parse[struct{ Data webhook }](t, a.body).Data

			a = r.rest(http.MethodPut, path+"/"+made.ID, `{"active":false,"type":"sale.update","url":"https://example.com/other"}`)
			require.Equal(t, http.StatusOK, a.status, a.body)
			made.Active, made.URL = false, "https://example.com/other"
			require.Equal(t, made, parse[struct{ Data webhook }](t, a.body).Data)
			require.Equal(t, made, parse[struct{ Data webhook }](t, r.rest(http.MethodGet, path+"/"+made.ID, "").body).Data)
			require.Equal(t, []webhook{made, other}, parse[struct{ Data []webhook }](t, r.rest(http.MethodGet, path, "").body).Data)
			a = r.rest(http.MethodPut, path+"/"+made.ID, `{"active":true,"type":"register_closure.create","url":"https://example.com/hooks/xseries"}`)
			require.Equal(t, http.StatusConflict, a.status)

			require.Equal(t, http.StatusOK, r.rest(http.MethodDelete, path+"/"+made.ID, "").status)
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				a = r.rest(method, path+"/"+made.ID, "")
				require.Equal(t, http.StatusNotFound, a.status)
				require.JSONEq(t, strings.ReplaceAll(fixture(t, "xseries_error_404.json"), "user", "webhook"), a.body)
			}
			require.Equal(t, http.StatusNotFound, r.rest(http.MethodPut, path+"/"+made.ID, `{"active":true,"type":"sale.update","url":"https://a"}`).status)
		})
	}
}

func TestWebhooksNeedTheirScope(t *testing.T) {
	r := newRig(t, Options{})
	a := r.do(http.MethodGet, r.base+"/xseries/api/2026-07/webhooks", "", "Authorization", "Bearer "+r.connect("sales:read").AccessToken)
	require.Equal(t, http.StatusForbidden, a.status)
	r.subscribe(r.connect("webhooks").AccessToken, "product.update", "https://example.com")
}

func TestWebhooksThatAreNoneAreRefused(t *testing.T) {
	r := newRig(t, Options{})
	for violation, body := range map[string]string{
		"needs active, type and url":         `{"type":"sale.update","url":"https://a"}`,
		"unknown webhook type register.open": `{"active":true,"type":"register.open","url":"https://a"}`,
		"at least 3 characters":              `{"active":true,"type":"sale.update","url":"a"}`,
		"cannot unmarshal string":            `{"active":"yes","type":"sale.update","url":"https://a"}`,
	} {
		r.ExpectViolation(violation)
		require.Equal(t, http.StatusBadRequest, r.rest(http.MethodPost, "/api/2026-07/webhooks", body).status, violation)
	}
	r.ExpectViolation(`content type is "application/x-www-form-urlencoded"`)
	a := r.do(http.MethodPost, r.base+"/xseries/api/2026-07/webhooks", `{"active":true,"type":"sale.update","url":"https://a"}`,
		"Authorization", "Bearer "+r.Describe().XSeries.PersonalToken, "Content-Type", formType)
	require.Equal(t, http.StatusCreated, a.status, "JSON, whatever it is called")
}
