package kseries_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// receiving is a handler of notifications and what it handled.
type receiving struct {
	http.Handler

	mu      sync.Mutex
	handled []kseries.Notification
	// fail is what handling returns, panics is what it panics with.
	fail   error
	panics any
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
			if v.panics != nil {
				panic(v.panics)
			}
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

// keyed is a store that remembers the keys.
type keyed struct {
	*memstore.Store

	keys []string
}

func (k *keyed) BeginDelivery(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error) {
	k.keys = append(k.keys, source+" "+key)
	return k.Store.BeginDelivery(ctx, source, key, hash, lease)
}

func TestNotificationKeysAreForOperators(t *testing.T) {
	store := &keyed{Store: memstore.New(memstore.Config{})}
	v := receive(t, store)
	for _, body := range []string{
		paid, fixture(t, "webhook_payment_failure_account_error.json"), `{"thirdPartyReference":"a/b","status":"SUCCESS"}`,
		`{"thirdPartyReference":"\u0000","status":"SUCCESS"}`, fixture(t, "webhook_item_restricted.json"),
		`{"thirdPartyReference":"` + strings.Repeat("x", 1000) + `","status":"SUCCESS"}`,
	} {
		require.Equal(t, http.StatusOK, post(v, body).Code)
	}
	require.Len(t, store.keys, 6)
	require.Equal(t, []string{
		"kseries PAYMENT/1/REF11/SUCCESS/A1.2/", "kseries PAYMENT/141948669832802/REF12213/FAILURE//Account not found",
		`kseries /0/"a/b"/SUCCESS//`, `kseries /0/"\x00"/SUCCESS//`,
		"kseries ITEM/247158188015618/UGG-BB-PUR-06/RESTRICTED/1712223720000000000",
	}, store.keys[:5])
	require.Regexp(t, "^kseries sha256:[0-9a-f]{64}$", store.keys[5])
}

func TestNotificationSourcesAreIndependent(t *testing.T) {
	store := memstore.New(memstore.Config{})
	one := receive(t, store)
	two := receive(t, store, func(c *kseries.NotificationConfig) { c.Source = "kitchen" })
	three := receive(t, store)
	for _, v := range []*receiving{one, two, three} {
		require.Equal(t, http.StatusOK, post(v, paid).Code)
	}
	require.Len(t, one.got(), 1)
	require.Len(t, two.got(), 1)
	require.Empty(t, three.got())
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

// brokenDeliveries is a store that fails in one of its methods.
type brokenDeliveries struct {
	*memstore.Store

	begin, finish, forget error
}

func (b *brokenDeliveries) BeginDelivery(
	ctx context.Context, source, key string, hash []byte, lease time.Duration,
) (pairing.Delivery, error) {
	if b.begin != nil {
		return pairing.Delivery{}, b.begin
	}
	return b.Store.BeginDelivery(ctx, source, key, hash, lease)
}

func (b *brokenDeliveries) FinishDelivery(ctx context.Context, d pairing.Delivery, answer []byte) error {
	if b.finish != nil {
		return b.finish
	}
	return b.Store.FinishDelivery(ctx, d, answer)
}

func (b *brokenDeliveries) FailDelivery(ctx context.Context, d pairing.Delivery) error {
	if b.forget != nil {
		return b.forget
	}
	return b.Store.FailDelivery(ctx, d)
}

func TestFaultsOfOursAskForAnotherDelivery(t *testing.T) {
	down := pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is gone")
	for name, fault := range map[string]struct {
		breaks, mends func(*receiving, *brokenDeliveries)
	}{
		"an error": {
			func(v *receiving, _ *brokenDeliveries) { v.fail = errors.New("not now") }, func(v *receiving, _ *brokenDeliveries) { v.fail = nil },
		},
		"a panic": {
			func(v *receiving, _ *brokenDeliveries) { v.panics = "oh" }, func(v *receiving, _ *brokenDeliveries) { v.panics = nil },
		},
		"an aborting panic": {
			func(v *receiving, _ *brokenDeliveries) { v.panics = http.ErrAbortHandler }, func(v *receiving, _ *brokenDeliveries) { v.panics = nil },
		},
		"a store that is down": {
			func(_ *receiving, b *brokenDeliveries) { b.begin = down }, func(_ *receiving, b *brokenDeliveries) { b.begin = nil },
		},
		"a store that says conflict whatever the key": {
			func(_ *receiving, b *brokenDeliveries) { b.begin = pairing.Errorf(tillroute.KindConflict, nil, "odd") },
			func(_ *receiving, b *brokenDeliveries) { b.begin = nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &brokenDeliveries{Store: memstore.New(memstore.Config{})}
			v := receive(t, store)
			fault.breaks(v, store)
			for range 2 {
				w := post(v, paid)
				require.Equal(t, http.StatusServiceUnavailable, w.Code)
				require.NotEmpty(t, w.Header().Get("Retry-After"))
			}
			require.Empty(t, v.got())
			fault.mends(v, store)
			require.Equal(t, http.StatusOK, post(v, paid).Code)
			require.Len(t, v.got(), 1)
		})
	}
}

func TestTriggersAreHandledThoughTheStoreIsDown(t *testing.T) {
	store := &brokenDeliveries{Store: memstore.New(memstore.Config{}), begin: pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is gone")}
	v := receive(t, store)
	require.Equal(t, http.StatusOK, post(v, fixture(t, "webhook_order_check_was_updated.json")).Code)
	v.fail = errors.New("not now")
	require.Equal(t, http.StatusServiceUnavailable, post(v, fixture(t, "webhook_order_check_was_updated.json")).Code)
	require.Len(t, v.got(), 1)
}

func TestNotificationThatWasHandledNeedNotComeAgain(t *testing.T) {
	var log bytes.Buffer
	store := &brokenDeliveries{Store: memstore.New(memstore.Config{}), finish: pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is gone")}
	v := receive(t, store, func(c *kseries.NotificationConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	require.Equal(t, http.StatusOK, post(v, paid).Code)
	require.Len(t, v.got(), 1)
	require.Contains(t, log.String(), "the disk is gone")
	require.NotContains(t, log.String(), "REF11")
}

func TestNotificationIsFreeAgainAfterItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &brokenDeliveries{Store: memstore.New(memstore.Config{}), forget: pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is gone")}
		v := receive(t, store)
		v.fail = errors.New("not now")
		require.Equal(t, http.StatusServiceUnavailable, post(v, paid).Code)
		v.fail = nil
		require.Equal(t, http.StatusServiceUnavailable, post(v, paid).Code, "nobody knows that it failed")
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusOK, post(v, paid).Code)
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

func TestNotificationThatIsBeingHandled(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	v := receive(t, memstore.New(memstore.Config{}), func(c *kseries.NotificationConfig) {
		c.Handle = func(context.Context, kseries.Notification) error {
			close(begun)
			<-proceed
			return nil
		}
	})
	var first sync.WaitGroup
	first.Go(func() { assert.Equal(t, http.StatusOK, post(v, paid).Code) })
	<-begun
	require.Equal(t, http.StatusServiceUnavailable, post(v, paid).Code, "who says that it is handled must know")
	close(proceed)
	first.Wait()
	require.Equal(t, http.StatusOK, post(v, paid).Code)
}

func TestNotificationHandlerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for timeout, want := range map[time.Duration]time.Duration{0: 4 * time.Second, time.Second: time.Second} {
			v := receive(t, memstore.New(memstore.Config{}), func(c *kseries.NotificationConfig) {
				c.Timeout = timeout
				c.Handle = func(ctx context.Context, _ kseries.Notification) error {
					<-ctx.Done()
					return ctx.Err()
				}
			})
			for _, body := range []string{paid, `{"status":"CHECK_WAS_UPDATED"}`} {
				start := time.Now()
				require.Equal(t, http.StatusServiceUnavailable, post(v, body).Code)
				require.Equal(t, want, time.Since(start))
			}
		}
		// A handler that is too slow for its context and succeeds all the same has succeeded.
		slow := receive(t, memstore.New(memstore.Config{}), func(c *kseries.NotificationConfig) {
			c.Handle = func(context.Context, kseries.Notification) error {
				time.Sleep(6 * time.Second)
				return nil
			}
		})
		require.Equal(t, http.StatusOK, post(slow, paid).Code)
		start := time.Now()
		require.Equal(t, http.StatusOK, post(slow, paid).Code)
		require.Zero(t, time.Since(start), "it was written down")
	})
}

func TestNotificationIsHandledThoughTheVendorHungUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	v := receive(t, memstore.New(memstore.Config{}), func(c *kseries.NotificationConfig) {
		c.Handle = func(ctx context.Context, _ kseries.Notification) error {
			cancel()
			return ctx.Err()
		}
	})
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(paid))
	r.SetBasicAuth("lightspeed", webhookPassword.Reveal())
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
}

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
