package testserver

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLocations(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	list := func(query string) []float64 {
		t.Helper()
		a := w.do(http.MethodGet, w.base+"/paysera/rest/v1/locations"+query, "") // without a signature
		require.Equal(t, http.StatusOK, a.status, a.body)
		ids := []float64{}
		for _, one := range parse[map[string]any](t, a.body)["locations"].([]any) {
			ids = append(ids, one.(map[string]any)["id"].(float64))
		}
		return ids
	}
	require.Equal(t, []float64{3, 48, 9975}, list(""))
	require.Equal(t, []float64{3, 48, 9975, 9976}, list("?status=active,inactive&locale=lt"))
	require.Equal(t, []float64{48}, list("?lat=54.6992&lng=25.2136"))
	require.Len(t, list("?lat=54.6992&lng=25.2136&distance=10000"), 3)
	require.Len(t, list("?service=pay&pay_category=1,7"), 3)
	require.Empty(t, list("?service=cash_in"))
	require.Empty(t, list("?pay_category=7"))
	require.Equal(t, []float64{48}, list("?limit=1&offset=1"))
	require.Empty(t, list("?updated_after=2000000000"))
	require.Empty(t, w.Violations())
	w.ExpectViolation("Invalid parameter: lng")
	require.Equal(t, http.StatusBadRequest, w.do(http.MethodGet, w.base+"/paysera/rest/v1/locations?lat=1", "").status)
	require.Contains(t, w.do(http.MethodGet, w.base+"/paysera/rest/v1/locations/pay-categories?locale=lt", "").body, `"parent_id":1`)
}

func TestTheMerchantsPlaces(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	for _, path := range []string{"client/locations", "project/123/locations"} {
		a := w.call(w.merchant, http.MethodGet, "/rest/v1/"+path, "")
		require.Len(t, parse[[]map[string]any](t, a.body), 3)
	}
	made := w.ok(w.merchant, http.MethodPost, "project/123/location", `{"title":"Kiosk","lat":54.5,"lng":25,"working_hours":{}}`)
	require.Equal(t, []any{"Kiosk", 54.5, 123.0, "active"}, []any{made["title"], made["lat"], made["project_id"], made["status"]})
	require.Equal(t, "Bar", w.ok(w.merchant, http.MethodPut, "location/9975", `{"title":"Bar","status":"inactive"}`)["title"])
	require.Len(t, w.Describe().Paysera.Locations, 1+1, "the terrace and the kiosk")
	require.Equal(t, "Cool caffe", w.ok(w.merchant, http.MethodGet, "project/123", "")["title"])
	require.Equal(t, "Bars", w.ok(w.merchant, http.MethodPut, "project/123", `{"title":"Bars"}`)["title"])
	w.no(w.merchant, http.MethodPut, "location/48", `{"title":"Bar"}`, http.StatusForbidden, "forbidden", textOtherProject)
	w.no(w.merchant, http.MethodGet, "project/124", "", http.StatusForbidden, "forbidden", textOtherProject)
	w.no(w.merchant, http.MethodGet, "project/7", "", http.StatusNotFound, "not_found", "No such project")
	require.Equal(t, "private_client", w.ok(w.merchant, http.MethodGet, "client", "")["type"])
	require.Empty(t, w.Violations())
	w.ExpectViolation("status must be one of active, inactive")
	w.no(w.merchant, http.MethodPut, "location/3", `{"title":"x","status":"shut"}`, http.StatusBadRequest, "invalid_parameters", "status")
}
