package testserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// bistro is a restaurant on K-Series with an endpoint "app", and an app's access token.
type bistro struct {
	*rig

	token string
	got   chan string // what was posted, with the user that proved itself
}

func newBistro(t *testing.T, o KSeriesOptions) *bistro {
	t.Helper()
	b := &bistro{rig: newRig(t, Options{KSeries: o}), got: make(chan string, 100)}
	b.token = b.KSeries.Token()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		b.got <- user + ":" + password + " " + string(body)
	}))
	t.Cleanup(receiver.Close)
	b.ok(http.MethodPut, "/o/wh/1/webhook", `{"endpointId":"app","url":"`+receiver.URL+`","withBasicAuth":true,"username":"u","password":"p"}`)
	return b
}

// api calls the API.
func (b *bistro) api(method, path, body string) answer {
	b.t.Helper()
	header := []string{"Authorization", "Bearer " + b.token}
	if body != "" {
		header = append(header, "Content-Type", "application/json")
	}
	return b.do(method, b.base+"/kseries"+path, body, header...)
}

func (b *bistro) ok(method, path, body string) answer {
	b.t.Helper()
	a := b.api(method, path, body)
	require.Equal(b.t, http.StatusOK, a.status, a.body)
	return a
}

// no calls the API, demands an error in the vendor's form, and returns it.
func (b *bistro) no(status int, method, path, body, message string) map[string]any {
	b.t.Helper()
	a := b.api(method, path, body)
	require.Equal(b.t, status, a.status, a.body)
	got := parse[map[string]any](b.t, a.body)
	require.Equal(b.t, message, got["message"])
	require.Equal(b.t, strings.Split(path, "?")[0], got["path"])
	return got
}

// table opens a check of 21.40.
func (b *bistro) table(number int) KSeriesCheck {
	b.t.Helper()
	c, err := b.KSeries.OpenCheck(number, "20001", "20002")
	require.NoError(b.t, err)
	return c
}

// payFor is the body of a payment, with further members.
func payFor(account, reference, amount, more string) string {
	return `{"iKaccountIdentifier":"` + account + `","thirdPartyPaymentReference":"` + reference + `","endpointId":"app",` +
		`"businessLocationId":45454565682155,"paymentAmount":` + amount + more + `}`
}

const payPath = "/o/op/1/pay"

// next is the next notification.
func (b *bistro) next() string {
	b.t.Helper()
	select {
	case text := <-b.got:
		return text
	case <-time.After(testPatience):
		require.Fail(b.t, "no notification came")
		return ""
	}
}

// like demands that a document has the members of another, beside those that are left out.
func like(t *testing.T, want, got string, leftOut ...string) {
	t.Helper()
	members := func(text string) []string {
		return slices.DeleteFunc(keys(t, text), func(name string) bool { return slices.Contains(leftOut, name) })
	}
	require.ElementsMatch(t, members(want), members(got))
}

func TestKSeriesAnswersLikeTheVendor(t *testing.T) {
	b := newBistro(t, KSeriesOptions{})
	check := b.table(1)
	require.JSONEq(t, fixture(t, "kseries_pay_response_200.json"), b.ok(http.MethodPost, payPath, payFor(check.Account, "12345678901234", "10", "")).body)
	want := parse[map[string]any](t, fixture(t, "kseries_pay_error_400_reference_used.json"))
	got := b.no(http.StatusBadRequest, http.MethodPost, payPath, payFor(check.Account, "12345678901234", "10", ""), want["message"].(string))
	want["timestamp"], got["timestamp"] = "", ""
	require.Equal(t, want, got)

	event := strings.TrimPrefix(b.next(), "u:p ")
	like(t, fixture(t, "kseries_webhook_payment_success.json"), event)
	b.ok(http.MethodPost, payPath, payFor("A1.1", "REF12213", "10", ""))
	wanted := parse[map[string]any](t, fixture(t, "kseries_webhook_payment_failure_account_error.json"))
	wanted["businessLocationId"] = float64(KSeriesLocation)
	require.Equal(t, wanted, parse[map[string]any](t, strings.TrimPrefix(b.next(), "u:p ")))
	b.KSeries.SetPOS(POSOffline)
	b.ok(http.MethodPost, payPath, payFor(check.Account, "REF12214", "10", `,"taskTtlInMs":60000`))
	b.clock.move(time.Minute)
	b.KSeries.Tasks()
	wanted = parse[map[string]any](t, fixture(t, "kseries_webhook_payment_failure_timeout.json"))
	wanted["businessLocationId"] = float64(KSeriesLocation)
	require.Equal(t, wanted, parse[map[string]any](t, strings.TrimPrefix(b.next(), "u:p ")))

	a := b.ok(http.MethodGet, "/o/op/1/order/accounts/"+check.Account+"?businessLocationId=45454565682155", "")
	// The first two are deprecated, like the number; an open check has no closeDate.
	like(t, fixture(t, "kseries_check_single_200.json"), a.body, "identifier", "id", "number", "closeDate")
	b.no(http.StatusBadRequest, http.MethodGet, "/o/op/1/order/accounts/-1?businessLocationId=45454565682155", "", "Invalid account identifier")

	b.ExpectViolation("businessLocationId is missing")
	missing := parse[map[string]any](t, fixture(t, "kseries_checks_error_400_missing_param.json"))
	b.no(http.StatusBadRequest, http.MethodGet, "/o/op/1/order/table/getCheck", "", missing["message"].(string))
	require.Equal(t, http.StatusUnauthorized, b.do(http.MethodGet, b.base+"/kseries/o/op/data/businesses", "", "Authorization", "Bearer old").status)
}

func TestKSeriesPaymentRules(t *testing.T) {
	b := newBistro(t, KSeriesOptions{})
	account := b.table(1).Account
	for field, body := range map[string]string{
		"thirdPartyPaymentReference": strings.Replace(payFor(account, "x", "1", ""), `"thirdPartyPaymentReference":"x",`, "", 1),
		"endpointId":                 strings.Replace(payFor(account, "x", "1", ""), `"endpointId":"app",`, "", 1),
		"businessLocationId":         strings.Replace(payFor(account, "x", "1", ""), `"businessLocationId":45454565682155,`, "", 1),
		"paymentAmount":              payFor(account, "x", "null", ""),
	} {
		got := b.no(http.StatusBadRequest, http.MethodPost, payPath, body, "Validation failed for object='standalonePayment'. Error count: 1")
		first := got["errors"].([]any)[0].(map[string]any)
		require.Equal(t, []any{field, "NotNull", "must not be null"}, []any{first["field"], first["code"], first["defaultMessage"]})
		b.ExpectViolation(field)
	}
	for body, want := range map[string]string{
		payFor(account, "", "1", ""):                      "size must be between 1 and 50",
		payFor(account, strings.Repeat("é", 51), "1", ""): "size must be between 1 and 50",
		payFor(account, "x", "1", `,"taskTtlInMs":59999`): "must be greater than or equal to 60000",
		payFor(account, "x", `"1"`, ""):                   "must be a number",
		payFor(account, "x", "-1", ""):                    "must be greater than or equal to 0",
	} {
		a := b.api(http.MethodPost, payPath, body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Contains(t, a.body, want)
		b.ExpectViolation(want)
	}
	require.Empty(t, b.KSeries.Tasks(), "nothing was taken")
	b.no(http.StatusBadRequest, http.MethodPost, payPath, strings.Replace(payFor(account, "x", "1", ""), `"app"`, `"APP"`, 1), "endpoint ID not found for APP")
	b.ok(http.MethodPost, payPath, payFor(account, strings.Repeat("é", 50), "1", `,"iKaccountId":0,"currency":"EUR"`))
	b.ExpectViolation("iKaccountId is deprecated")
	b.ExpectViolation("unknown field")
	b.do(http.MethodPost, b.base+"/kseries"+payPath, payFor("", "no account", "1", ""), "Authorization", "Bearer "+b.token,
		"Content-Type", "application/json", "Idempotency-Key", "x")
	b.ExpectViolation("nothing else names the account")
	b.ExpectViolation("Idempotency-Key")
	require.Len(t, b.KSeries.Tasks(), 2)
}

func TestKSeriesChecksOpenAndClose(t *testing.T) {
	b := newBistro(t, KSeriesOptions{ForgetClosed: true})
	check := b.table(2)
	at := "?businessLocationId=45454565682155"
	b.ok(http.MethodPost, payPath, payFor(check.Account, "part", "21.39", `,"tipAmount":5`))
	got, _ := b.KSeries.Check(check.Account)
	require.Equal(t, []any{false, "21.39"}, []any{got.Closed, got.Paid.String()})
	b.ok(http.MethodPost, payPath, payFor(check.Account, "over", "0.02", ""))
	got, _ = b.KSeries.Check(check.Account)
	require.False(t, got.Closed)
	b.ok(http.MethodPost, payPath, payFor(check.Account, "rest", "0.01", ""))
	got, _ = b.KSeries.Check(check.Account)
	require.True(t, got.Closed)
	b.no(http.StatusNotFound, http.MethodGet, "/o/op/1/order/accounts/"+check.Account+at, "", "account not found for BL 45454565682155")
	require.JSONEq(t, `[]`, b.ok(http.MethodGet, "/o/op/1/order/table/getCheck"+at, "").body)
	states := []string{}
	for _, task := range b.KSeries.Tasks() {
		states = append(states, task.Reference+" "+string(task.State)+" "+task.ErrorType)
	}
	require.Equal(t, []string{"part applied ", "over failed OVERPAID", "rest applied "}, states)
	require.Len(t, b.KSeries.Applied(), 2)

	require.NoError(t, b.KSeries.SetEntryActive(check.Account, "rest", false))
	got, _ = b.KSeries.Check(check.Account)
	require.Equal(t, []any{false, "21.39"}, []any{got.Closed, got.Paid.String()}, "it is open again")
	_, err := b.KSeries.AddItem(check.Account, "30003", 2)
	require.NoError(t, err)
	_, err = b.KSeries.PayAtPOS(check.Account, "CASH", decimal.RequireFromString("5.02"))
	require.ErrorContains(t, err, "5.01 is due")
	_, err = b.KSeries.PayAtPOS(check.Account, "CASH", decimal.RequireFromString("5.01"))
	require.NoError(t, err)
	_, err = b.KSeries.AddItem(check.Account, "30003", 1)
	require.ErrorContains(t, err, "is closed")
	require.Empty(t, b.Violations())
}

// What a point of sale would have done in time it has done, however late anybody looks.
func TestKSeriesTimeToLive(t *testing.T) {
	b := newBistro(t, KSeriesOptions{POSDelay: 10 * time.Second, AccessTTL: 24 * time.Hour})
	check := b.table(1)
	submit := func(reference string) {
		b.ok(http.MethodPost, payPath, payFor(check.Account, reference, "1", `,"taskTtlInMs":60000`))
	}
	last := func() KSeriesTask { tasks := b.KSeries.Tasks(); return tasks[len(tasks)-1] }
	submit("delayed")
	b.clock.move(9 * time.Second)
	require.Equal(t, TaskWaiting, last().State)
	b.clock.move(time.Hour)
	require.Equal(t, TaskApplied, last().State)

	b.KSeries.SetPOS(POSBackground)
	submit("back in time")
	b.clock.move(49 * time.Second)
	b.KSeries.SetPOS(POSOnline)
	b.clock.move(10 * time.Second)
	require.Equal(t, TaskApplied, last().State)
	b.KSeries.SetPOS(POSOffline)
	submit("back too late")
	b.clock.move(51 * time.Second)
	b.KSeries.SetPOS(POSOnline)
	b.clock.move(8 * time.Second)
	require.Equal(t, TaskWaiting, last().State)
	b.clock.move(time.Second)
	require.Equal(t, TaskFailed, last().State)
	require.Equal(t, reasonTimeout, last().Reason)

	b.KSeries.SetPOS(POSOffline)
	b.ok(http.MethodPost, payPath, payFor(check.Account, "without", "1", ""))
	require.Equal(t, b.clock.now().Add(12*time.Hour), last().Deadline)
	require.Empty(t, b.Violations())
}

func TestKSeriesCheckEventsGoToPaymentsIfAsked(t *testing.T) {
	b := newBistro(t, KSeriesOptions{Notify: KSeriesNotify{ChecksToPayments: true}})
	b.ok(http.MethodPost, payPath, payFor(b.table(1).Account, "whole", "21.40", ""))
	for _, want := range []string{`"type":"PAYMENT"`, `"status":"CHECK_WAS_UPDATED"`, `"status":"CLOSED"`} {
		got := b.next()
		require.Contains(t, got, want)
		require.Contains(t, got, `"thirdPartyReference":"whole"`)
	}
}

func TestKSeriesTokens(t *testing.T) {
	b := newBistro(t, KSeriesOptions{})
	d := b.Describe().KSeries
	ask := func(form string, header ...string) answer {
		return b.do(http.MethodPost, d.TokenURL, form, append([]string{"Content-Type", formType}, header...)...)
	}
	basic := func(id, password string) []string {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(id, password)
		return []string{"Authorization", r.Header.Get("Authorization")}
	}
	grant := func(scope string) kTokens {
		q := url.Values{"response_type": {"code"}, "client_id": {d.ClientID}, "redirect_uri": {"https://app.test/"}, "scope": {scope}, "state": {"s"}}
		a := b.do(http.MethodGet, d.AuthorizeURL+"?"+q.Encode(), "")
		require.Equal(t, http.StatusFound, a.status)
		back, err := url.Parse(a.header.Get("Location"))
		require.NoError(t, err)
		form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {"https://app.test/"}}
		a = ask(form.Encode(), basic(d.ClientID, d.ClientSecret)...)
		require.Equal(t, http.StatusOK, a.status, a.body)
		like(t, fixture(t, "kseries_oauth_token_v2_200.json"), a.body)
		return parse[kTokens](t, a.body)
	}
	first := grant("orders-api offline_access")
	require.Equal(t, []any{int64(1500), int64(3_456_000), "orders-api offline_access profile email"},
		[]any{first.ExpiresIn, *first.RefreshExpiresIn, first.Scope})
	require.EqualValues(t, 1800, *grant("orders-api").RefreshExpiresIn)

	refresh := func(token string) answer {
		return ask("grant_type=refresh_token&refresh_token="+token, basic(d.ClientID, d.ClientSecret)...)
	}
	second := parse[kTokens](t, refresh(first.RefreshToken).body)
	b.token = second.AccessToken
	b.ok(http.MethodGet, "/o/op/data/businesses", "")
	a := refresh(first.RefreshToken)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.body, "invalid_grant")
	require.Equal(t, http.StatusUnauthorized, b.api(http.MethodGet, "/o/op/data/businesses", "").status, "the connection is gone")
	require.Equal(t, http.StatusBadRequest, refresh(second.RefreshToken).status)

	late := grant("orders-api")
	b.clock.move(30 * time.Minute)
	require.Contains(t, refresh(late.RefreshToken).body, "Token is not active")
	require.Equal(t, http.StatusUnauthorized, ask("grant_type=refresh_token&refresh_token=x", basic(d.ClientID, "wrong")...).status)
	require.Empty(t, b.Violations())
	require.Equal(t, http.StatusUnauthorized, ask("grant_type=refresh_token&refresh_token=x&client_id="+d.ClientID+"&client_secret="+d.ClientSecret).status)
	b.ExpectViolation("no Basic authentication")
	require.Equal(t, http.StatusUnauthorized, ask("grant_type=refresh_token&refresh_token=x", basic(d.LegacyID, d.LegacySecret)...).status)
	require.Equal(t, http.StatusBadRequest, b.do(http.MethodGet, d.AuthorizeURL+"?response_type=code&client_id="+d.ClientID+"&redirect_uri=http://app.test/", "").status)
	b.ExpectViolation("redirect_uri must be an https URL")
}

func TestSimDrivesARestaurant(t *testing.T) {
	b := newBistro(t, KSeriesOptions{})
	require.Len(t, simOK[[]KSeriesTable](b.rig, "GET", "/kseries/tables", ""), 8)
	require.NotEmpty(t, simOK[[]KSeriesProduct](b.rig, "GET", "/kseries/products", ""))
	check := simOK[KSeriesCheck](b.rig, "POST", "/kseries/checks", `{"table":3,"skus":["20001"]}`)
	path := "/kseries/checks/" + check.Account
	check = simOK[KSeriesCheck](b.rig, "POST", path+"/items", `{"sku":"30002"}`)
	require.Equal(t, "9.7", check.Total.String())
	check = simOK[KSeriesCheck](b.rig, "POST", path+"/pay", `{"amount":"0.7"}`)
	require.Equal(t, "0.7", check.Paid.String())
	b.simDone("POST", "/kseries/pos", `{"state":"offline","delay_ms":0}`)
	require.JSONEq(t, `{"state":"offline"}`, b.sim("GET", "/kseries/pos", "").body)
	b.token = simOK[map[string]string](b.rig, "POST", "/kseries/token", `{"scopes":["orders-api"]}`)["access_token"]
	b.ok(http.MethodPost, payPath, payFor(check.Account, "one", "9", ""))
	require.Equal(t, TaskWaiting, simOK[[]KSeriesTask](b.rig, "GET", "/kseries/tasks", "")[0].State)
	b.simDone("POST", "/kseries/tasks/expire", "")
	require.Len(t, simOK[[]KSeriesNotification](b.rig, "GET", "/kseries/notifications?settled=1&wait_ms=60000", ""), 1)
	b.simDone("POST", "/kseries/pos", `{"state":"online"}`)
	b.simDone("POST", "/kseries/tasks/fail", `{"count":1,"error_type":"UPDATE_FAILED"}`)
	b.simDone("POST", "/kseries/notifications/hold", "")
	b.simDone("POST", "/kseries/notifications/duplicate", `{"count":1}`)
	b.simDone("POST", "/kseries/notifications/lose", `{"count":1}`)
	b.simDone("POST", "/kseries/notifications/settings", `{"bare":true,"retry_ms":1}`)
	for _, reference := range []string{"two", "three"} {
		b.ok(http.MethodPost, payPath, payFor(check.Account, reference, "9", ""))
	}
	// The order is turned round of what there is: the point of sale has done everything by then.
	require.Eventually(t, func() bool { return len(b.KSeries.Notifications()) == 4 }, testPatience, time.Millisecond)
	b.simDone("POST", "/kseries/notifications/release", `{"reversed":true}`)
	list := simOK[[]KSeriesNotification](b.rig, "GET", "/kseries/notifications?settled=4&wait_ms=60000", "")
	require.Equal(t, []string{"one FAILURE delivered", "two FAILURE lost", "three SUCCESS delivered", "three SUCCESS delivered"}, func() (texts []string) {
		for _, n := range list {
			texts = append(texts, n.Reference+" "+n.Status+" "+string(n.State))
		}
		return texts
	}())
	require.Len(t, simOK[[]KSeriesApplied](b.rig, "GET", "/kseries/applied", ""), 1)
	require.True(t, simOK[KSeriesCheck](b.rig, "GET", path, "").Closed)
	b.simDone("POST", path+"/entries", `{"reference":"three","active":false}`)
	b.simDone("POST", "/kseries/stock", `{"sku":"20002","count":3}`)
	require.Empty(t, simOK[[]KSeriesMessage](b.rig, "GET", "/kseries/messages", ""))
	for target, body := range map[string]string{
		"/kseries/checks": `{"table":99}`, path + "/items": `{"sku":"x"}`, path + "/pay": `{"amount":"100"}`, "/kseries/pos": `{"state":"asleep"}`,
		"/kseries/tasks/fail": `{"count":1}`, "/kseries/stock": `{"sku":"x"}`, "/kseries/authorization": `{}`, path + "/entries": `{"reference":"x"}`,
	} {
		status := b.sim("POST", target, body).status
		require.True(t, status == http.StatusBadRequest || status == http.StatusNotFound, "%s %d", target, status)
	}
	b.simDone("POST", "/kseries/authorization", `{"refuse":true}`)
	b.simDone("POST", "/kseries/expire-tokens", "")
	require.Equal(t, http.StatusUnauthorized, b.api(http.MethodGet, "/o/op/data/businesses", "").status)
	b.simDone("POST", "/kseries/revoke-tokens", "")
	b.simDone("POST", "/reset", "")
	require.Empty(t, b.KSeries.Checks())
	require.Empty(t, b.Violations())
}

// TestTheNextProcessKnowsAllOfKSeries kills the process after every change.
func TestTheNextProcessKnowsAllOfKSeries(t *testing.T) {
	w := newWorld(t, Options{})
	var account, token string
	api := func(method, path, body string) {
		a := w.do(method, "/kseries"+path, body, "Authorization", "Bearer "+token, "Content-Type", "application/json")
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	turns := []func(){
		func() { token = w.KSeries.Token() },
		func() {
			api(http.MethodPut, "/o/wh/1/webhook", `{"endpointId":"app","url":"http://127.0.0.1:1/","withBasicAuth":true,"username":"u","password":"p",`+
				`"provideAccount":true,"subscribeTo":[{"name":"SALES_RESTRICTION_UPDATED","resource":"item"}]}`)
		},
		func() { api(http.MethodPut, "/o/wh/1/webhook/app/business-locations/45454565682155", "") },
		func() {
			c, err := w.KSeries.OpenCheck(1, "20002")
			require.NoError(t, err)
			account = c.Account
		},
		func() { w.KSeries.SetPOS(POSOffline) },
		func() { w.KSeries.HoldNotifications() },
		func() { w.KSeries.DuplicateNotifications(1) },
		func() { w.KSeries.FailNext(2, "UPDATE_FAILED", "") },
		func() {
			api(http.MethodPost, payPath, payFor(account, "one", "5", `,"taskTtlInMs":60000,"tipAmount":1.5`))
		},
		func() {
			api(http.MethodPost, "/o/op/1/order/local", `{"businessLocationId":45454565682155,"thirdPartyReference":"o","endpointId":"app",`+
				`"customerInfo":{"firstName":"Jane"},"tableNumber":"2","items":[{"sku":"20001","quantity":1}],"payment":{"paymentAmount":6.5}}`)
		},
		func() { w.KSeries.SetDelay(time.Second) },
		func() { w.KSeries.SetPOS(POSOnline) },
		func() { w.clock.move(2 * time.Second) },
		func() { require.Equal(t, TaskFailed, w.KSeries.Tasks()[1].State) },
		func() { api(http.MethodPost, payPath, payFor(account, "two", "5", "")) },
		func() { w.clock.move(2 * time.Second) },
		func() { require.Len(t, w.KSeries.Applied(), 1) },
		func() { require.NoError(t, w.KSeries.SetStock("20002", 0)) },
		func() { w.KSeries.ReleaseNotifications(true) },
		func() {
			d, _, _ := w.KSeries.nextNotification() // nobody listens
			w.KSeries.deliver(t.Context(), d)
		},
		func() { api(http.MethodPost, "/o/op/1/printMsg?businessLocationId=45454565682155", `{"message":"x"}`) },
		func() { w.KSeries.GrantNextAuthorization("orders-api") },
		func() { w.KSeries.RefuseNextAuthorization() },
		func() { w.KSeries.ExpireTokens() },
	}
	for i, turn := range turns {
		turn()
		next := w.restart()
		require.Empty(t, differences(w.KSeries, next.KSeries), "after turn %d", i)
		w = next
	}
	require.Len(t, w.KSeries.Notifications(), 5)

	raw, err := os.ReadFile(w.opts.StateFile)
	require.NoError(t, err)
	good := string(raw)
	for old, tt := range map[string]struct{ replacement, want string }{
		`"Checks":[{"ID"`:                    {`"Checks":[],"Others":[{"ID"`, `kseries: it is damaged: json: unknown field`},
		`"Account":"` + account + `","UUID"`: {`"Account":"A1.1","UUID"`, `kseries: it is damaged: the task "two" is of the account`},
		`"POS":"online"`:                     {`"POS":""`, "kseries: it is damaged: a part is missing"},
		`"kind":"payment","reference":"one"`: {`"kind":"order","reference":"one"`, `kseries: it is damaged: the task "one" has no order`},
	} {
		require.Contains(t, good, old)
		require.NoError(t, os.WriteFile(w.opts.StateFile, []byte(strings.Replace(good, old, tt.replacement, 1)), 0o600))
		require.ErrorContains(t, New(w.opts).Load(), tt.want, old)
	}
	// A file of a program that did not simulate K-Series.
	without, _, found := strings.Cut(good, `,"kseries":`)
	require.True(t, found)
	require.NoError(t, os.WriteFile(w.opts.StateFile, []byte(without+"}"), 0o600))
	w.opts.KSeries = KSeriesOptions{ClientID: "id", ClientSecret: "s"}
	w = w.restart()
	require.Empty(t, w.KSeries.Checks())
	require.Equal(t, "id", w.Describe().KSeries.ClientID)
}
