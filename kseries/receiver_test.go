package kseries_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery/deliverytest"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// receiving is a handler of notifications and what it handled.
type receiving struct {
	http.Handler

	mu      sync.Mutex
	handled []kseries.Notification
	// fail is what handling returns.
	fail error
}

func (v *receiving) got() []kseries.Notification {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]kseries.Notification(nil), v.handled...)
}

func receive(t *testing.T, deliveries pairing.Deliveries, changes ...func(*kseries.NotificationConfig)) *receiving {
	t.Helper()
	v := &receiving{}
	config := kseries.NotificationConfig{
		Credentials: []kseries.Credential{{"lightspeed", webhookPassword}}, Deliveries: deliveries,
		Handle: func(_ context.Context, n kseries.Notification) error {
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.fail != nil {
				return v.fail
			}
			v.handled = append(v.handled, n)
			return nil
		},
	}
	for _, change := range changes {
		change(&config)
	}
	var err error
	v.Handler, err = kseries.NewNotificationHandler(config)
	require.NoError(t, err)
	return v
}

// post delivers a body with the right credentials.
func post(handler http.Handler, body string) *httptest.ResponseRecorder {
	return postAs(handler, "lightspeed", webhookPassword.Reveal(), strings.NewReader(body))
}

func postAs(handler http.Handler, username, password string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/hooks", body)
	r.SetBasicAuth(username, password)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

const paid = `{"thirdPartyReference":"REF11","businessLocationId":1,"status":"SUCCESS","ikentooAccountIdentifier":"A1.2","type":"PAYMENT"}`

func TestNotificationIsHandledOnce(t *testing.T) {
	v := receive(t, memstore.New(memstore.Config{}))
	for range 3 {
		w := post(v, paid)
		require.Equal(t, http.StatusOK, w.Code)
		require.Empty(t, w.Body.String())
	}
	require.Equal(t, []kseries.Notification{{
		Type: kseries.AboutPayment, Status: kseries.Success, Reference: "REF11", BusinessLocationID: 1, AccountIdentifier: "A1.2",
		Payload: []byte(paid),
	}}, v.got())
}

func TestNotificationsAreToldApart(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, test := range map[string]struct {
		bodies []string
		want   int
	}{
		"the same":             {[]string{`{"thirdPartyReference":"1","status":"SUCCESS"}`, `{"thirdPartyReference":"1","status":"SUCCESS"}`}, 1},
		"references":           {[]string{`{"thirdPartyReference":"1","status":"SUCCESS"}`, `{"thirdPartyReference":"2","status":"SUCCESS"}`}, 2},
		"statuses":             {[]string{`{"thirdPartyReference":"1","status":"FAILURE"}`, `{"thirdPartyReference":"1","status":"SUCCESS"}`}, 2},
		"types":                {[]string{`{"thirdPartyReference":"1","status":"SUCCESS","type":"ORDER"}`, `{"thirdPartyReference":"1","status":"SUCCESS","type":"PAYMENT"}`}, 2},
		"locations":            {[]string{`{"thirdPartyReference":"1","status":"SUCCESS","businessLocationId":1}`, `{"thirdPartyReference":"1","status":"SUCCESS","businessLocationId":2}`}, 2},
		"accounts":             {[]string{`{"thirdPartyReference":"1","status":"SUCCESS","ikentooAccountIdentifier":"A1"}`, `{"thirdPartyReference":"1","status":"SUCCESS","ikentooAccountIdentifier":"A2"}`}, 2},
		"reasons":              {[]string{`{"thirdPartyReference":"1","status":"FAILURE","reason":"a"}`, `{"thirdPartyReference":"1","status":"FAILURE","reason":"b"}`}, 2},
		"long references":      {[]string{`{"thirdPartyReference":"` + long + `1","status":"SUCCESS"}`, `{"thirdPartyReference":"` + long + `2","status":"SUCCESS"}`}, 2},
		"another content":      {[]string{`{"thirdPartyReference":"1","status":"SUCCESS","n":1}`, `{"thirdPartyReference":"1","status":"SUCCESS","n":2}`, `{"thirdPartyReference":"1","status":"SUCCESS","n":2}`}, 2},
		"a check, changed":     {[]string{`{"thirdPartyReference":"1","status":"CHECK_WAS_UPDATED"}`, `{"thirdPartyReference":"1","status":"CHECK_WAS_UPDATED"}`}, 2},
		"a status that's new":  {[]string{`{"thirdPartyReference":"1","status":"NEW"}`, `{"thirdPartyReference":"1","status":"NEW"}`}, 2},
		"there and back":       {[]string{`{"thirdPartyReference":"1","status":"IN_DELIVERY"}`, `{"thirdPartyReference":"1","status":"READY_FOR_PICKUP"}`, `{"thirdPartyReference":"1","status":"IN_DELIVERY"}`}, 3},
		"closed":               {[]string{`{"thirdPartyReference":"1","status":"CLOSED"}`, `{"thirdPartyReference":"1","status":"CLOSED"}`}, 1},
		"no reference":         {[]string{`{"status":"SUCCESS","type":"PAYMENT"}`, `{"status":"SUCCESS","type":"PAYMENT"}`}, 2},
		"nothing":              {[]string{`{}`, `{}`}, 2},
		"items":                {[]string{`{"type":"ITEM","sku":"1","countUpdatedAt":"2024-04-04T09:42:00.000+00:00"}`, `{"type":"ITEM","sku":"1","countUpdatedAt":"2024-04-04T09:42:00.000+00:00"}`}, 1},
		"items at other times": {[]string{`{"type":"ITEM","sku":"1","countUpdatedAt":"2024-04-04T09:42:00.000+0000"}`, `{"type":"ITEM","sku":"1","countUpdatedAt":"2024-04-04T09:42:00.001+0000"}`}, 2},
		"items without times":  {[]string{`{"type":"ITEM","sku":"1","status":"RESTRICTED"}`, `{"type":"ITEM","sku":"1","status":"RESTRICTED"}`}, 2},
		"readiness":            {[]string{`{"type":"ORDER_API","status":"READY","lastUpdatedAt":"2024-04-04T09:42:00Z"}`, `{"type":"ORDER_API","status":"READY","lastUpdatedAt":"2024-04-04T09:42:00Z"}`}, 1},
		"readiness, no times":  {[]string{`{"type":"ORDER_API","status":"READY"}`, `{"type":"ORDER_API","status":"READY"}`}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			v := receive(t, memstore.New(memstore.Config{}))
			for _, body := range test.bodies {
				require.Equal(t, http.StatusOK, post(v, body).Code)
			}
			require.Len(t, v.got(), test.want)
		})
	}
}

func TestNotificationKeysAreForOperators(t *testing.T) {
	store := deliverytest.NewStore()
	v := receive(t, store)
	for _, body := range []string{
		paid, fixture(t, "webhook_payment_failure_account_error.json"), `{"thirdPartyReference":"a/b","status":"SUCCESS"}`,
		`{"thirdPartyReference":"\u0000","status":"SUCCESS"}`, fixture(t, "webhook_item_restricted.json"),
		`{"thirdPartyReference":"` + strings.Repeat("x", 1000) + `","status":"SUCCESS"}`,
	} {
		require.Equal(t, http.StatusOK, post(v, body).Code)
	}
	require.Len(t, store.Keys, 6)
	var keys []string
	for _, key := range store.Keys {
		name, content, _ := strings.Cut(key, "#")
		require.Regexp(t, "^[0-9a-f]{16}$", content)
		keys = append(keys, name)
	}
	require.Equal(t, []string{
		"kseries PAYMENT/1/REF11/SUCCESS/A1.2/", "kseries PAYMENT/141948669832802/REF12213/FAILURE//Account not found",
		`kseries /0/"a/b"/SUCCESS//`, `kseries /0/"\x00"/SUCCESS//`,
		"kseries ITEM/247158188015618/UGG-BB-PUR-06/RESTRICTED/1712223720000000000",
	}, keys[:5])
	require.Regexp(t, "^kseries sha256:[0-9a-f]{64}$", keys[5])
}

func TestNotificationThatIsNotTheVendors(t *testing.T) {
	v := receive(t, memstore.New(memstore.Config{}), func(c *kseries.NotificationConfig) {
		c.Credentials = append(c.Credentials, kseries.Credential{"next", "next-password"})
	})
	for name, as := range map[string][2]string{
		"nothing": {"", ""}, "no password": {"lightspeed", ""}, "another password": {"lightspeed", "webhook-password-0002"},
		"another name": {"Lightspeed", webhookPassword.Reveal()}, "a longer password": {"lightspeed", webhookPassword.Reveal() + "x"},
		"a shorter password": {"lightspeed", "webhook-password-000"}, "of two, one each": {"next", webhookPassword.Reveal()},
		"the other way round": {"lightspeed", "next-password"},
	} {
		w := postAs(v, as[0], as[1], strings.NewReader(paid))
		require.Equal(t, http.StatusUnauthorized, w.Code, name)
		require.Contains(t, w.Header().Get("WWW-Authenticate"), "Basic ")
	}
	for name, header := range map[string]string{"none": "", "a token": "Bearer x", "no colon": "Basic bGlnaHRzcGVlZA==", "no base64": "Basic :"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(paid))
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		v.ServeHTTP(w, r)
		require.Equal(t, http.StatusUnauthorized, w.Code, name)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
		w := httptest.NewRecorder()
		v.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/", nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, http.MethodPost, w.Header().Get("Allow"))
	}
	require.Empty(t, v.got())
	require.Equal(t, http.StatusOK, post(v, paid).Code)
	require.Equal(t, http.StatusOK, postAs(v, "next", "next-password", strings.NewReader(paid)).Code)
	require.Len(t, v.got(), 1)
}

func TestBodyOfAStrangerIsNotRead(t *testing.T) {
	v := receive(t, memstore.New(memstore.Config{}))
	w := postAs(v, "stranger", "x", brokenReader{})
	require.Equal(t, http.StatusUnauthorized, w.Code)
}

func TestDeliveries(t *testing.T) {
	deliverytest.Run(t, deliverytest.System{
		Word: "notification", Posted: "REF11", Handled: http.StatusOK, RetryAfter: "10", Timeout: 4 * time.Second,
		New: func(c deliverytest.Config) (http.Handler, error) {
			return kseries.NewNotificationHandler(kseries.NotificationConfig{
				Credentials: []kseries.Credential{{"lightspeed", webhookPassword}},
				Deliveries:  c.Deliveries, Source: c.Source, Timeout: c.Timeout, Logger: c.Logger,
				Handle: func(ctx context.Context, _ kseries.Notification) error { return c.Handle(ctx) },
			})
		},
		Request: func(ctx context.Context) *http.Request {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/hooks", strings.NewReader(paid))
			r.SetBasicAuth("lightspeed", webhookPassword.Reveal())
			return r
		},
	})
}

func TestTriggersAreHandledThoughTheStoreIsDown(t *testing.T) {
	store := deliverytest.NewStore()
	store.BeginFails(deliverytest.Down())
	v := receive(t, store)
	require.Equal(t, http.StatusOK, post(v, fixture(t, "webhook_order_check_was_updated.json")).Code)
	v.fail = errors.New("not now")
	require.Equal(t, http.StatusServiceUnavailable, post(v, fixture(t, "webhook_order_check_was_updated.json")).Code)
	require.Len(t, v.got(), 1)
}

func TestHandlingOfTriggersIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := receive(t, memstore.New(memstore.Config{}), func(c *kseries.NotificationConfig) {
			c.Handle = func(ctx context.Context, _ kseries.Notification) error {
				<-ctx.Done()
				return ctx.Err()
			}
		})
		start := time.Now()
		require.Equal(t, http.StatusServiceUnavailable, post(v, `{"status":"CHECK_WAS_UPDATED"}`).Code)
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

func TestNotificationThatCannotBeRead(t *testing.T) {
	v := receive(t, memstore.New(memstore.Config{}), func(c *kseries.NotificationConfig) { c.MaxBody = int64(len(paid)) })
	for name, body := range map[string]string{"empty": "", "no JSON": "<p>", "no object": "[]", "too large": paid + " "} {
		require.Equal(t, http.StatusServiceUnavailable, post(v, body).Code, name)
	}
	w := postAs(v, "lightspeed", webhookPassword.Reveal(), io.MultiReader(strings.NewReader(`{"status"`), brokenReader{}))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Empty(t, v.got())
	require.Equal(t, http.StatusOK, post(v, paid).Code, "as large as it may be")
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestNotificationHandlerNamesEveryProblem(t *testing.T) {
	_, err := kseries.NewNotificationHandler(kseries.NotificationConfig{Timeout: -1})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, field := range []string{"Credentials", "Deliveries", "Handle", "Timeout"} {
		require.ErrorContains(t, err, field)
	}
	for _, half := range []kseries.Credential{{"x", ""}, {"", "x"}} {
		_, err = kseries.NewNotificationHandler(kseries.NotificationConfig{Credentials: []kseries.Credential{{"a", "b"}, half}})
		require.ErrorContains(t, err, "Credentials[1]")
	}
}
