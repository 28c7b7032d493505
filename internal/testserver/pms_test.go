package testserver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inn is a hotel system that writes down what it is sent, and answers as it is told.
type inn struct {
	*rig

	endpoint string
	mu       sync.Mutex
	keys     []string
	charges  []map[string]any
	searches []string
	answer   func(w http.ResponseWriter, r *http.Request)
}

func newInn(t *testing.T, opts Options, features ...string) *inn {
	t.Helper()
	h := &inn{rig: newRig(t, opts)}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.endpoint = server.URL + "/hotel"
	h.reply(http.StatusOK, "application/json", "{}")
	if features != nil {
		body, err := json.Marshal(map[string]any{
			"businessLocationId": pmsLocation, "name": "Inn", "endpoint": h.endpoint, "apiKey": "inn-key", "features": features,
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, h.api(http.MethodPost, "/providers", string(body)).status)
	}
	return h
}

func (h *inn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	assert.NoError(h.t, err)
	h.mu.Lock()
	if r.URL.Path == "/hotel/charge" {
		assert.Equal(h.t, http.MethodPost, r.Method)
		assert.Equal(h.t, "application/json", r.Header.Get("Accept"))
		charge := map[string]any{}
		decoder := json.NewDecoder(strings.NewReader(string(body)))
		decoder.UseNumber()
		assert.NoError(h.t, decoder.Decode(&charge))
		h.charges, h.keys = append(h.charges, charge), append(h.keys, r.Header.Get("X-Lightspeed-Idempotency-Key"))
	} else {
		assert.Equal(h.t, "/hotel/search", r.URL.Path)
		h.searches = append(h.searches, r.URL.RawQuery)
	}
	answer := h.answer
	h.mu.Unlock()
	answer(w, r)
}

// reply has everything answered so from now on.
func (h *inn) reply(status int, kind, body string) {
	h.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func (h *inn) answers(answer func(http.ResponseWriter, *http.Request)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

func (h *inn) api(method, path, body string) answer {
	h.t.Helper()
	return h.do(method, h.base+"/pms/pms/v1"+path, body, "Authorization", "Bearer "+h.PMS.Token(), "Content-Type", "application/json")
}

// settle waits until n postings have ended, and returns the last.
func (h *inn) settle(n int) PMSPosting {
	h.t.Helper()
	list, err := h.PMS.WaitPostings(h.t.Context(), n)
	require.NoError(h.t, err)
	require.Len(h.t, list, n)
	return list[n-1]
}

func fries(payments ...PMSPayment) PMSOrder {
	return PMSOrder{Name: "Table 5", Items: []PMSItem{{"F07", 1}, {"B01", 1}}, Payments: payments}
}

func toRoom(amount, tip string) PMSPayment {
	return PMSPayment{Method: RoomMethod, ReservationID: "001", Amount: decimal.RequireFromString(amount), Tip: decimal.RequireFromString(tip)}
}

// documented reads a fixture of the documentation, which lies with the package that receives it.
func documented(t *testing.T, name string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "pms", "testdata", name))
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

// requireFields compares the names of what was sent with those of an example, all the way down.
func requireFields(t *testing.T, path string, example, got any) {
	t.Helper()
	switch example := example.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		require.True(t, ok, path)
		for name := range example {
			require.Contains(t, object, name, path)
			requireFields(t, path+"."+name, example[name], object[name])
		}
		for name := range object {
			require.Contains(t, example, name, path)
		}
	case []any:
		list, ok := got.([]any)
		require.True(t, ok, path)
		requireFields(t, path+"[0]", example[0], list[0])
	case string:
		require.IsType(t, "", got, path)
	case float64:
		require.IsType(t, json.Number(""), got, path)
	}
}

func TestPMSChargeIsAsDocumented(t *testing.T) {
	h := newInn(t, Options{}, pmsSearch)
	bill, err := h.PMS.CloseBill(fries(toRoom("11", "1")))
	require.NoError(t, err)
	got := h.settle(1)
	require.Equal(t, PMSPosted, got.State)
	require.Regexp(t, `^LS1_[0-9a-f-]{36}$`, h.keys[0])
	requireFields(t, "", documented(t, "pms_charge_guide_2022.json"), h.charges[0])
	require.Equal(t, bill.Account, h.charges[0]["fiscId"])
	require.Equal(t, bill.Account, h.charges[0]["initialAccountId"], "the first of its kind begins with itself")
	require.Equal(t, "inn-key", h.charges[0]["apiKey"])

	h = newInn(t, Options{}, pmsEnriched, pmsService)
	order := fries(toRoom("12", "1"))
	order.ServiceCharge = decimal.New(1, 0)
	_, err = h.PMS.CloseBill(order)
	require.NoError(t, err)
	h.settle(1)
	example := documented(t, "pms_charge_reference.json")
	example["receipt"], example["id"] = nil, nil // which are in the other example
	line, ok := example["transactions"].([]any)[0].(map[string]any)
	require.True(t, ok)
	delete(line, "serviceChargeContribution") // nobody says what it is
	requireFields(t, "", example, h.charges[0])
}

func TestPMSReversals(t *testing.T) {
	h := newInn(t, Options{}, pmsSearch)
	first, err := h.PMS.CloseBill(fries(toRoom("11", "1")))
	require.NoError(t, err)
	reversal, corrected, err := h.PMS.CorrectTip(first.Account, 0, decimal.New(2, 0))
	require.NoError(t, err)
	void, err := h.PMS.Void(corrected.Account)
	require.NoError(t, err)
	h.settle(4)
	require.Equal(t, []string{PMSReversal, PMSCorrection, PMSVoid}, []string{reversal.Kind, corrected.Kind, void.Kind})
	for i, want := range []struct{ quantity, amount, gratuity string }{{"1", "11", "1"}, {"-1", "-11", "-1"}, {"1", "11", "2"}, {"-1", "-11", "-2"}} {
		c := h.charges[i] // bills that belong together come one after the other
		line, _ := c["transactions"].([]any)[0].(map[string]any)
		payment, _ := c["payments"].([]any)[0].(map[string]any)
		require.Equal(t, json.Number("6"), line["unitAmount"], "the price stays positive")
		require.Equal(t, json.Number(want.quantity), line["quantity"])
		require.Equal(t, json.Number(want.amount), payment["amount"])
		require.Equal(t, json.Number(want.gratuity), payment["gratuity"])
		require.Equal(t, first.Account, c["initialAccountId"])
	}
	for _, account := range []string{first.Account, corrected.Account, void.Account, "A1.1"} {
		_, err = h.PMS.Void(account)
		require.Error(t, err, account)
	}
	h.PMS.SetBare(true)
	later, err := h.PMS.CloseBill(fries(toRoom("11", "0")))
	require.NoError(t, err)
	h.clock.move(24 * time.Hour)
	back, err := h.PMS.Void(later.Account)
	require.NoError(t, err)
	require.Equal(t, PMSRefund, back.Kind)
	h.settle(6)
	payment, _ := h.charges[5]["payments"].([]any)[0].(map[string]any)
	require.Nil(t, payment["reservationId"])
}

func TestPMSWhatThePointOfSaleRefuses(t *testing.T) {
	h := newInn(t, Options{}, pmsSearch)
	cash := PMSPayment{Method: CashMethod, Amount: decimal.New(5, 0)}
	for name, order := range map[string]PMSOrder{
		"nothing ordered":        {},
		"no such dish":           {Items: []PMSItem{{"X", 1}}},
		"too little paid":        fries(toRoom("10", "0")),
		"a part to the room":     fries(toRoom("6", "0"), cash),
		"two rooms":              fries(toRoom("6", "0"), toRoom("5", "0")),
		"a room without a guest": fries(PMSPayment{Method: RoomMethod}),
		"no such revenue center": {Items: []PMSItem{{"F07", 1}}, RevenueCenterID: 1},
		"a discount added":       {Items: []PMSItem{{"F07", 1}}, Discount: decimal.New(-1, 0)},
	} {
		_, err := h.PMS.CloseBill(order)
		require.Error(t, err, name)
	}
	h.reply(http.StatusOK, "application/json", `{"success":true,"errorMessage":null,"reservations":[
		{"roomId":"1","roomDescription":"1","clientName":"A","reservationId":"001","creditLimit":10.5,"blocked":"false"},
		{"roomId":"2","roomDescription":"2","clientName":"B","reservationId":"002","blocked":true}]}`)
	found, err := h.PMS.Search(t.Context(), "a b")
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, "apiKey=inn-key&businessExternalReference=simrestaurant&term=a+b", h.searches[0])
	_, err = h.PMS.CloseBill(fries(toRoom("11", "0")))
	require.ErrorContains(t, err, "credit limit of 10.50")
	manager := fries(toRoom("11", "5"))
	manager.Manager = true
	_, err = h.PMS.CloseBill(manager)
	require.NoError(t, err)
	_, err = h.PMS.CloseBill(fries(PMSPayment{Method: RoomMethod, ReservationID: "002"}))
	require.ErrorContains(t, err, "blocked")
	require.Len(t, h.PMS.Bills(), 1)
	_, err = h.PMS.CloseBill(fries())
	require.NoError(t, err)
	h.settle(1) // cash is not posted
}

func TestPMSFeatures(t *testing.T) {
	h := newInn(t, Options{}, pmsMirror, pmsMulti, pmsPartial)
	_, err := h.PMS.Search(t.Context(), "x")
	require.ErrorContains(t, err, pmsSearch)
	_, err = h.PMS.CloseBill(fries())
	require.NoError(t, err)
	_, err = h.PMS.CloseBill(fries(toRoom("3", "0"), toRoom("4", "1"), PMSPayment{Method: CashMethod, Amount: decimal.New(4, 0)}))
	require.NoError(t, err)
	h.settle(2)
	sizes := map[int]bool{}
	for _, c := range h.charges {
		payments, _ := c["payments"].([]any)
		sizes[len(payments)] = true
	}
	require.Equal(t, map[int]bool{1: true, 3: true}, sizes)
}

func TestPMSDuplicates(t *testing.T) {
	h := newInn(t, Options{}, pmsSearch)
	h.PMS.DuplicatePostings(1, true)
	var both sync.WaitGroup
	both.Add(2)
	h.answers(func(w http.ResponseWriter, _ *http.Request) {
		both.Done()
		both.Wait() // both are here at the same time
		_, _ = io.WriteString(w, "{}")
	})
	bill, err := h.PMS.CloseBill(fries(toRoom("11", "0")))
	require.NoError(t, err)
	got := h.settle(1)
	require.Len(t, got.Attempts, 2)
	for _, attempt := range got.Attempts {
		require.Equal(t, http.StatusOK, attempt.Status, "each waits for the other")
	}
	require.Equal(t, h.keys[0], h.keys[1])
	require.Equal(t, h.charges[0], h.charges[1])

	h.reply(http.StatusOK, "application/json", "{}")
	require.NoError(t, h.PMS.PostAgain(bill.Account, false))
	require.Len(t, h.settle(1).Attempts, 3)
	require.NoError(t, h.PMS.PostAgain(bill.Account, true))
	require.Len(t, h.settle(1).Attempts, 4)
	require.Equal(t, h.keys[0], h.keys[2])
	require.NotEqual(t, h.keys[0], h.keys[3])
	require.Equal(t, h.charges[0], h.charges[3])
	require.Error(t, h.PMS.PostAgain("A1.1", false))

	h.PMS.DuplicatePostings(1, false)
	_, err = h.PMS.CloseBill(fries(toRoom("11", "0")))
	require.NoError(t, err)
	require.Len(t, h.settle(2).Attempts, 2)
}

func TestPMSWhatTheWaiterReads(t *testing.T) {
	h := newInn(t, Options{}, pmsSearch)
	long := strings.Repeat("é", 50)
	for i, tt := range []struct {
		status    int
		kind      string
		body      string
		message   string
		violation string
	}{
		{422, "application/json", `{"customerErrorMessage":"` + long + `","more":1}`, long, ""},
		{503, "application/json", `{"customerErrorMessage":"` + long + `xy"}`, long, "has 52 characters"},
		{500, "text/plain", "oops", "5XX Internal Server Error", "has no customerErrorMessage"},
		{404, "text/html", `{"customerErrorMessage":"x"}`, "x", "content type"},
		{201, "application/json", "{}", "201 Created", "must be 200, 4XX or 5XX"},
		{302, "application/json", "{}", "302 Found", "must be 200, 4XX or 5XX"},
	} {
		if tt.violation != "" {
			h.ExpectViolation(tt.violation)
		}
		h.reply(tt.status, tt.kind, tt.body)
		_, err := h.PMS.CloseBill(fries(toRoom("11", "0")))
		require.NoError(t, err)
		got := h.settle(i + 1)
		require.Equal(t, PMSFailed, got.State)
		require.Equal(t, tt.message, got.Message)
		require.Len(t, h.charges, i+1, "nobody sends it again by himself")
	}
	account := h.PMS.Postings()[0].Account
	require.NoError(t, h.PMS.Reconcile(account))
	require.True(t, h.PMS.Postings()[0].Reconciled)

	h.reply(http.StatusOK, "application/json", "{}")
	h.PMS.LoseAnswers(1)
	bill, err := h.PMS.CloseBill(fries(toRoom("11", "0")))
	require.NoError(t, err)
	require.Equal(t, pmsNoAnswer, h.settle(7).Message)
	require.NoError(t, h.PMS.PostAgain(bill.Account, false))
	require.Equal(t, PMSPosted, h.settle(7).State)
	require.Error(t, h.PMS.Reconcile(bill.Account))

	h.PMS.SetTimeout(50 * time.Millisecond)
	h.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err = h.PMS.CloseBill(fries(toRoom("11", "0")))
	require.NoError(t, err)
	require.Equal(t, pmsNoAnswer, h.settle(8).Message)
}

func TestPMSSearchAnswers(t *testing.T) {
	h := newInn(t, Options{}, pmsSearch)
	for _, tt := range []struct{ body, message, violation string }{
		{`{"success":false,"errorMessage":"PMS is offline","reservations":[]}`, "PMS is offline", ""},
		{`{"success":"false","errorMessage":null}`, "no errorMessage", "no errorMessage"},
		{`{"success":1}`, "neither true nor false", "neither true nor false"},
		{`{"success":true}`, "no reservations", "there are no reservations"},
		{`{"success":true,"reservations":[{"roomId":"1"}]}`, "lacks", "a reservation lacks"},
		{`[]`, "not understood", "cannot unmarshal array"},
	} {
		if tt.violation != "" {
			h.ExpectViolation(tt.violation)
		}
		h.reply(http.StatusOK, "application/json", tt.body)
		_, err := h.PMS.Search(t.Context(), "x")
		require.ErrorContains(t, err, tt.message)
	}
	h.reply(http.StatusInternalServerError, "application/json", "{}")
	_, err := h.PMS.Search(t.Context(), "x")
	require.ErrorContains(t, err, "500")
	require.NotContains(t, err.Error(), "inn-key")
}

func TestPMSProviders(t *testing.T) {
	h := newInn(t, Options{})
	at := "?businessLocationId=" + strconv.FormatInt(pmsLocation, 10)
	require.Equal(t, "[]", h.api(http.MethodGet, "/providers"+at, "").body)
	good := `{"businessLocationId":45454565682155,"name":"Inn","endpoint":"` + h.endpoint + `","apiKey":"k","features":["MIRRORING"]}`
	made := h.api(http.MethodPost, "/providers", good)
	require.Equal(t, http.StatusOK, made.status)
	require.JSONEq(t, strings.Replace(good, "{", `{"id":3012455645,`, 1), made.body)
	require.JSONEq(t, "["+made.body+"]", h.api(http.MethodGet, "/providers"+at, "").body)
	require.JSONEq(t, made.body, h.api(http.MethodGet, "/providers/3012455645", "").body)
	second := h.api(http.MethodPost, "/providers", good)
	require.Equal(t, http.StatusBadRequest, second.status)
	require.Contains(t, second.body, `"status":"BAD_REQUEST"`)
	changed := h.api(http.MethodPut, "/providers/3012455645", `{"name":"Inn","endpoint":"`+h.endpoint+`","apiKey":"k2","features":[]}`)
	require.Contains(t, changed.body, `"apiKey":"k2","features":[]`)
	require.Equal(t, http.StatusNotFound, h.api(http.MethodGet, "/providers/1", "").status)
	require.JSONEq(t, `[{"id":343243933,"name":"Bar"},{"id":94489280528,"name":"Fixed POS"}]`,
		h.api(http.MethodGet, "/business-locations/45454565682155/revenue-centers", "").body)
	require.Equal(t, http.StatusNotFound, h.api(http.MethodGet, "/business-locations/1/revenue-centers", "").status)
	require.Equal(t, "3012455645", h.api(http.MethodDelete, "/providers/3012455645", "").body)
	require.Equal(t, http.StatusNotFound, h.api(http.MethodDelete, "/providers/3012455645", "").status)

	h.ExpectViolation("provider is refused")
	wrong := h.api(http.MethodPost, "/providers", `{"businessLocationId":45454565682155,"name":"","endpoint":"x","features":["NEW","NEW"]}`)
	require.Equal(t, http.StatusBadRequest, wrong.status)
	for _, field := range []string{"name", "endpoint", "apiKey", "features"} {
		require.Contains(t, wrong.body, `{"field":"`+field+`"`)
	}
	h.ExpectViolation("businessLocationId is")
	require.Equal(t, http.StatusBadRequest, h.api(http.MethodGet, "/providers", "").status)

	h.Fault(On(pmsName, "", ""), ExpireToken())
	require.Equal(t, http.StatusUnauthorized, h.api(http.MethodGet, "/providers"+at, "").status)
	require.Equal(t, http.StatusOK, h.api(http.MethodGet, "/providers"+at, "").status, "with the token that is good now")
}

func TestPMSSurvivesTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	h := newInn(t, Options{StateFile: file}, pmsSearch)
	h.PMS.HoldPostings()
	bill, err := h.PMS.CloseBill(fries(toRoom("11", "1")))
	require.NoError(t, err)
	next := New(Options{StateFile: file, PMS: PMSOptions{Timeout: testPatience}})
	require.NoError(t, next.Load())
	require.Empty(t, differences(h.PMS, next.PMS))
	require.Equal(t, h.PMS.Token(), next.PMS.Token())
	require.Equal(t, bill.Account, next.PMS.Bills()[0].Account)
	next.PMS.ReleasePostings()
	for _, one := range next.PMS.ready() {
		next.PMS.deliver(t.Context(), one)
	}
	require.Equal(t, PMSPosted, next.PMS.Postings()[0].State)
	require.Equal(t, h.PMS.Postings()[0].Key, h.keys[0], "with the same key")

	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	broken := filepath.Join(t.TempDir(), "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte(strings.ReplaceAll(string(raw), `"Bills":[{"account":"`+bill.Account, `"Bills":[{"account":"x`)), 0o600))
	require.ErrorContains(t, New(Options{StateFile: broken}).Load(), "was posted, and is not there")
}

func TestPMSControlAPI(t *testing.T) {
	h := newInn(t, Options{}, pmsSearch)
	sim := func(method, path, body string) string {
		t.Helper()
		a := h.do(method, h.base+"/_sim/pms"+path, body)
		require.Less(t, a.status, 300, a.body)
		return a.body
	}
	sim("POST", "/postings/settings", `{"timeout_ms":60000}`)
	sim("POST", "/postings/duplicate", `{"count":1}`)
	sim("POST", "/postings/lose-answers", `{"count":0}`)
	sim("POST", "/postings/hold", "")
	sim("POST", "/postings/release", "")
	var bill PMSBill
	require.NoError(t, json.Unmarshal([]byte(sim("POST", "/bills", `{"items":[{"sku":"S03","quantity":2}],"payments":[{"method":"IKPMS","reservation_id":"001","tip":"1"}]}`)), &bill))
	require.Contains(t, sim("GET", "/postings?settled=1&wait_ms=60000", ""), `"state":"success"`)
	sim("POST", "/bills/"+bill.Account+"/tip", `{"tip":"2"}`)
	sim("POST", "/bills/A12345.3/void", "")
	require.Contains(t, sim("GET", "/postings?settled=4&wait_ms=60000", ""), `"kind":"void"`)
	sim("POST", "/bills/"+bill.Account+"/post-again", `{"new_key":true}`)
	require.Contains(t, sim("GET", "/bills", ""), `"taken_back_by":"A12345.2"`)
	require.Contains(t, sim("GET", "/provider", ""), `"Inn"`)
	require.Contains(t, sim("GET", "/dishes", ""), `"Risotto"`)
	for path, body := range map[string]string{
		"/bills": `{}`, "/bills/x/void": "", "/bills/x/tip": `{}`, "/bills/x/reconcile": "", "/postings/duplicate": `{"count":-1}`, "/postings/settings": `{"timeout_ms":-1}`,
	} {
		require.GreaterOrEqual(t, h.do("POST", h.base+"/_sim/pms"+path, body).status, 400, path)
	}
	require.Contains(t, h.do("GET", h.base+"/restaurant", "").body, `data-sku="F07"`)
	h.Reset()
	require.Empty(t, h.PMS.Bills())
}
