package pmstest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

const apiKey = tillroute.Secret("fake-api-key-0001")

func handler(t *testing.T, backend pms.Backend) http.Handler {
	t.Helper()
	h, err := pms.NewHandler(pms.Config{Backend: backend, Keys: []pms.Key{{APIKey: apiKey}}, Deliveries: memstore.New(memstore.Config{})})
	require.NoError(t, err)
	return h
}

func send(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func parse(t *testing.T, c *pmstest.Charge) pms.Charge {
	t.Helper()
	parsed, err := pms.ParseCharge(c.Body())
	require.NoError(t, err)
	require.Empty(t, parsed.Unknown(), "it is as documented")
	return parsed
}

func TestChargesAreWhatTheySay(t *testing.T) {
	bill := pmstest.NewCharge(apiKey)
	sale, void := parse(t, bill), parse(t, bill.Void())
	require.Equal(t, "12", sale.Totals().RoomDebit.String())
	require.Equal(t, "-12", void.Totals().RoomDebit.String())
	require.Equal(t, "-11", void.Totals().Lines.String())
	require.True(t, void.IsReversal())
	require.NotEqual(t, sale.Account(), void.Account())
	require.NotEqual(t, sale.UUID, void.UUID)
	_, ok := void.ParseUUID()
	require.True(t, ok)
	account, ok := void.Corrects()
	require.True(t, ok)
	require.Equal(t, sale.Account(), account)
	require.Equal(t, "12", parse(t, bill.Void().Void()).Totals().RoomDebit.String())

	reversal, corrected := bill.TipCorrection("3.50")
	require.True(t, parse(t, reversal).IsReversal())
	require.True(t, parse(t, corrected).IsTipCorrection())
	require.Equal(t, "14.5", parse(t, corrected).Totals().RoomDebit.String())
	keys := map[string]bool{}
	for _, c := range []*pmstest.Charge{bill, bill.Again(), bill.Void(), reversal, corrected, pmstest.NewCharge(apiKey)} {
		keys[c.Key] = true
	}
	require.Len(t, keys, 6)
	require.Equal(t, "12", parse(t, bill).Totals().RoomDebit.String(), "the first one is as it was")
}

func TestClonesShareNothing(t *testing.T) {
	bill := pmstest.NewCharge(apiKey)
	before := string(bill.Body())
	clone := bill.Clone()
	require.Equal(t, bill, clone)
	clone.Set("payments.0.amount", json.Number("1")).Set("transactions.1.taxLines.0.taxId", "x").Remove("name")
	require.Equal(t, before, string(bill.Body()))
	for _, path := range []string{"payments.7.amount", "payments.x.amount", "name.x", "nothing.x", "payments.-1.amount"} {
		require.PanicsWithValue(t, "pmstest: there is no "+path+" in the charge", func() { bill.Set(path, 1) })
	}
	require.Panics(t, func() { bill.Set("name", func() {}).Body() })
}

func TestStrangeNamesAreUnique(t *testing.T) {
	names := map[string]bool{}
	for _, c := range pmstest.Strange(t.Context(), "https://hotel.example/pms", apiKey) {
		require.False(t, names[c.Name], c.Name)
		names[c.Name] = true
		require.Equal(t, "hotel.example", c.Request.URL.Host)
	}
	require.Greater(t, len(names), 25)
}

func TestRecorderPostsNothingTwice(t *testing.T) {
	r := &pmstest.Recorder{Reservations: []pms.Reservation{{RoomID: "1"}}}
	for _, c := range []pms.Charge{{Key: "a", FiscID: "A1"}, {Key: "a"}, {Key: "b", FiscID: "A1"}, {Key: "c"}, {Key: "d"}} {
		require.NoError(t, r.Charge(t.Context(), c))
	}
	require.Equal(t, 5, r.Calls())
	require.Len(t, r.Posted(), 3)
	found, err := r.Search(t.Context(), pms.Search{Term: "x"})
	require.NoError(t, err)
	require.Equal(t, r.Reservations, found)
	require.Equal(t, []pms.Search{{Term: "x"}}, r.Searches())
	r.Before = func(context.Context, pms.Charge) error { return pms.Refuse("no") }
	require.EqualError(t, r.Charge(t.Context(), pms.Charge{Key: "e"}), "no")
	require.Len(t, r.Posted(), 3)
}

func TestRequests(t *testing.T) {
	r := &pmstest.Recorder{}
	h := handler(t, r)
	bill := pmstest.NewCharge(apiKey)
	require.Equal(t, http.StatusOK, send(h, bill.Request(t.Context(), "https://hotel.example/pms")))
	require.Equal(t, http.StatusOK, send(h, bill.Request(t.Context(), "")))
	require.Equal(t, 1, r.Calls())
	require.Equal(t, http.StatusOK, send(h, pmstest.Search(t.Context(), "/pms", apiKey, "Zoë & Co")))
	require.Equal(t, "Zoë & Co", r.Searches()[0].Term)
	require.Panics(t, func() { bill.Request(t.Context(), "http://%zz") })
}

func ExampleStrange() {
	backend := &pmstest.Recorder{}
	h, err := pms.NewHandler(pms.Config{Backend: backend, Keys: []pms.Key{{APIKey: "the key"}}, Deliveries: memstore.New(memstore.Config{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range pmstest.Strange(context.Background(), "/pms", "the key") {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, c.Request)
		if (w.Code == http.StatusOK) != c.Posts {
			fmt.Println(c.Name, "is answered", w.Code)
		}
	}
	// Output:
}
