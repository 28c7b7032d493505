package testserver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// receiver is an application that receives webhooks and answers with what is scripted, else 204.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex
	answers  []int
	received []receivedWebhook
}

type receivedWebhook struct {
	path, kind, signature, body string
	form                        url.Values
}

func newReceiver(t *testing.T, answers ...int) *receiver {
	t.Helper()
	rec := &receiver{answers: answers}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		form, err := url.ParseQuery(string(raw))
		assert.NoError(t, err)
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.received = append(rec.received, receivedWebhook{
			path: r.Method + " " + r.URL.Path, kind: r.Header.Get("Content-Type"), signature: r.Header.Get("X-Signature"),
			body: string(raw), form: form,
		})
		status := http.StatusNoContent
		if n := len(rec.received); n <= len(rec.answers) {
			status = rec.answers[n-1]
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(rec.Close)
	return rec
}

func (rec *receiver) all() []receivedWebhook {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]receivedWebhook{}, rec.received...)
}

// pay records a payment of a whole sale and returns the sale's id.
func (r *rig) pay(total string) string {
	r.t.Helper()
	m, err := r.XSeries.OpenModal(RegisterMain, amount(total))
	require.NoError(r.t, err)
	_, err = m.Post(`{"step":"ACCEPT","transaction_id":"4711"}`)
	require.NoError(r.t, err)
	return m.SaleID()
}

// settled waits until n deliveries are over.
func (r *rig) settled(n int) []Delivery {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testPatience)
	defer cancel()
	list, err := r.XSeries.WaitDeliveries(ctx, n)
	require.NoError(r.t, err)
	return list
}

func TestAPaymentIsDelivered(t *testing.T) {
	r := newRig(t, Options{})
	rec := newReceiver(t)
	token := r.connect("webhooks").AccessToken
	hook := r.subscribe(token, "sale.update", rec.URL+"/hooks")
	r.subscribe(token, "product.update", rec.URL+"/hooks")
	sale, err := r.XSeries.NewSaleOf(RegisterMain, lunch())
	require.NoError(t, err)
	m, err := r.XSeries.OpenModalFor(sale.ID, amount("10"))
	require.NoError(t, err)
	_, err = m.Post(`{"step":"ACCEPT","transaction_id":"4711"}`)
	require.NoError(t, err)
	_, err = r.XSeries.PayCash(sale.ID, amount("16.82"))
	require.NoError(t, err)

	list := r.settled(2)
	require.Len(t, list, 2)
	require.Equal(t, Delivery{
		ID: list[0].ID, WebhookID: hook.ID, Type: "sale.update", URL: rec.URL + "/hooks", Payload: list[0].Payload,
		Signed: true, State: DeliveryDelivered, Attempts: 1, Status: http.StatusNoContent,
	}, list[0])
	got := rec.all()
	require.Len(t, got, 2)
	require.Equal(t, "POST /hooks", got[0].path)
	require.Equal(t, "application/x-www-form-urlencoded", got[0].kind)
	require.Equal(t, "simstore", got[0].form.Get("domain_prefix"))
	require.Equal(t, "production", got[0].form.Get("environment"))
	require.Equal(t, list[0].Payload, got[0].form.Get("payload"))
	mac := hmac.New(sha256.New, []byte(r.Describe().XSeries.ClientSecret))
	mac.Write([]byte(got[0].body))
	require.Equal(t, "signature="+hex.EncodeToString(mac.Sum(nil))+",algorithm=HMAC-SHA256", got[0].signature)

	part, whole := parse[map[string]any](t, got[0].form.Get("payload")), parse[map[string]any](t, got[1].form.Get("payload"))
	require.Equal(t, []any{sale.ID, "SAVED", RegisterMain, "2026-03-11 09:08:07"}, []any{part["id"], part["status"], part["register_id"], part["updated_at"]})
	require.Equal(t, map[string]any{"total_price": "23.32174", "total_tax": "3.49826", "total_payment": "10", "total_to_pay": "16.82"}, part["totals"])
	require.Equal(t, "CLOSED", whole["status"])
	require.Greater(t, whole["version"], part["version"])
	require.Len(t, whole["register_sale_products"], 2)
	payments := whole["register_sale_payments"].([]any)
	require.Len(t, payments, 2)
	require.InDelta(t, 10.0, payments[0].(map[string]any)["amount"], 0)
	require.Equal(t, "2026-03-11T09:08:07Z", payments[0].(map[string]any)["payment_date"])
	require.InDelta(t, 1, payments[1].(map[string]any)["payment_type_id"], 0, "cash")
}

func TestAClosureIsDelivered(t *testing.T) {
	r := newRig(t, Options{})
	rec := newReceiver(t)
	r.subscribe(r.connect("webhooks").AccessToken, "register_closure.create", rec.URL)
	path := "/api/2026-07/registers/" + RegisterMain + "/actions/close"
	r.rest(http.MethodPut, path, `{"payments":[]}`)
	r.rest(http.MethodPut, path, `{"payments":[]}`) // closed already: nothing happens
	r.settled(1)
	require.Len(t, r.XSeries.Deliveries(), 1)
	require.JSONEq(t, `{"id":"06bf537b-c783-11e7-ff13-3157eb615f96","register_id":"`+RegisterMain+`","outlet_id":"`+OutletMain+`",
		"register_open_time":"2017-05-05T05:58:53+00:00","register_close_time":"2026-03-11T09:08:07+00:00","register_closure_sequence_number":1}`,
		rec.all()[0].form.Get("payload"))
}

// TestSignatureVector has a signature that was computed elsewhere.
func TestSignatureVector(t *testing.T) {
	const body, secret = "payload=%7B%22a%22%3A1%7D&domain_prefix=x&environment=production", "unit-lightspeed-client-secret"
	const want = "ffd4b298008c45ecd13f69c0239aa15fe7612ab480d36fe158c5f9f882c15e02"
	require.Equal(t, want, WebhookOptions{}.sign(secret, body))
	raw, err := hex.DecodeString(want)
	require.NoError(t, err)
	require.Equal(t, base64.StdEncoding.EncodeToString(raw), WebhookOptions{Encoding: SignatureBase64}.sign(secret, body))
	require.Equal(t, base64.URLEncoding.EncodeToString(raw), WebhookOptions{Encoding: SignatureBase64URL}.sign(secret, body))
}

func TestSignaturesInEveryReading(t *testing.T) {
	for _, o := range []WebhookOptions{
		{},
		{Encoding: SignatureBase64},
		{Encoding: SignatureBase64URL, Bare: true},
		{SignPayload: true},
	} {
		r := newRig(t, Options{XSeries: XSeriesOptions{Webhooks: o}})
		rec := newReceiver(t)
		r.subscribe(r.connect("webhooks").AccessToken, "sale.update", rec.URL)
		r.pay("1")
		r.settled(1)
		got := rec.all()[0]
		text := got.body
		if o.SignPayload {
			text = got.form.Get("payload")
		}
		require.Equal(t, o.Bare, !got.form.Has("environment") && !got.form.Has("domain_prefix"))
		require.Equal(t, "signature="+o.sign(r.Describe().XSeries.ClientSecret, text)+",algorithm=HMAC-SHA256", got.signature)
	}
}

func TestAWebhookMadeByAPersonIsNotSigned(t *testing.T) {
	r := newRig(t, Options{})
	rec := newReceiver(t)
	r.subscribe(r.Describe().XSeries.PersonalToken, "sale.update", rec.URL)
	r.pay("1")
	require.False(t, r.settled(1)[0].Signed)
	require.Empty(t, rec.all()[0].signature)
}

func TestOnlyActiveWebhooksAreDeliveredTo(t *testing.T) {
	r := newRig(t, Options{})
	rec := newReceiver(t)
	hook := r.subscribe(r.Describe().XSeries.PersonalToken, "sale.update", rec.URL)
	r.rest(http.MethodPut, "/api/2026-07/webhooks/"+hook.ID, `{"active":false,"type":"sale.update","url":"`+rec.URL+`"}`)
	r.pay("1")
	require.Empty(t, r.XSeries.Deliveries())
}

func TestWhatIsTriedAgain(t *testing.T) {
	quick := Options{XSeries: XSeriesOptions{Webhooks: WebhookOptions{Retry: time.Nanosecond}}}
	always := make([]int, deliveryRetries+5)
	for i := range always {
		always[i] = http.StatusBadGateway
	}
	for _, tt := range []struct {
		name     string
		answers  []int
		state    DeliveryState
		attempts int
		status   int
	}{
		{"a server error", []int{500, 503}, DeliveryDelivered, 3, 204},
		{"a server error for ever", always, DeliveryFailed, deliveryRetries + 1, 502},
		{"a redirect", []int{307}, DeliveryFailed, 1, 307},
		{"a refusal", []int{401}, DeliveryFailed, 1, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, quick)
			rec := newReceiver(t, tt.answers...)
			r.subscribe(r.connect("webhooks").AccessToken, "sale.update", rec.URL)
			r.pay("1")
			got := r.settled(1)[0]
			require.Equal(t, []any{tt.state, tt.attempts, tt.status}, []any{got.State, got.Attempts, got.Status})
			require.Len(t, rec.all(), tt.attempts)
			for _, again := range rec.all() {
				require.Equal(t, rec.all()[0], again, "the same, signature and all")
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		r := newRig(t, Options{})
		r.subscribe(r.connect("webhooks").AccessToken, "sale.update", "http://127.0.0.1:1/")
		r.pay("1")
		require.Eventually(t, func() bool { return r.XSeries.Deliveries()[0].Attempts > 1 }, testPatience, time.Millisecond)
		got := r.XSeries.Deliveries()[0]
		require.Equal(t, DeliveryPending, got.State)
		require.Contains(t, got.Error, "refused")
	})
}

func TestDeliveriesAreDoubledLostAndReordered(t *testing.T) {
	r := newRig(t, Options{})
	rec := newReceiver(t)
	r.subscribe(r.connect("webhooks").AccessToken, "sale.update", rec.URL)
	r.XSeries.HoldDeliveries()
	r.XSeries.LoseDeliveries(1)
	r.XSeries.DuplicateDeliveries(1)
	lost := r.pay("1")
	doubled := r.pay("2")
	last := r.pay("3")
	require.Len(t, r.settled(1), 4)
	require.Empty(t, rec.all(), "held back")
	r.XSeries.ReleaseDeliveries(true)
	r.settled(4)
	var got []string
	for _, one := range rec.all() {
		got = append(got, parse[struct{ ID string }](t, one.form.Get("payload")).ID)
	}
	require.Equal(t, []string{last, doubled, doubled}, got)
	require.NotContains(t, got, lost)

	r.XSeries.HoldDeliveries()
	first, second := r.pay("4"), r.pay("5")
	r.XSeries.ReleaseDeliveries(false)
	r.settled(6)
	require.Equal(t, []string{first, second}, []string{
		parse[struct{ ID string }](t, rec.all()[3].form.Get("payload")).ID, parse[struct{ ID string }](t, rec.all()[4].form.Get("payload")).ID,
	})
}

func TestTheNextProcessDelivers(t *testing.T) {
	rec := newReceiver(t)
	w := newWorld(t, Options{})
	w.rest(http.MethodPost, "/api/2026-07/webhooks", `{"active":true,"type":"sale.update","url":"`+rec.URL+`"}`)
	m, err := w.XSeries.OpenModal(RegisterMain, amount("1"))
	require.NoError(t, err)
	_, err = m.Post(`{"step":"ACCEPT"}`)
	require.NoError(t, err)
	require.Empty(t, rec.all(), "nobody serves")

	w = w.restart()
	require.NoError(t, w.XSeries.Deliver(t.Context()))
	require.Len(t, rec.all(), 1)
	require.Equal(t, DeliveryDelivered, w.restart().XSeries.Deliveries()[0].State)
	require.NoError(t, w.restart().XSeries.Deliver(t.Context()))
	require.Len(t, rec.all(), 1, "once")
}

func TestDeliveriesEndWithServe(t *testing.T) {
	ignored := goleak.IgnoreCurrent()
	arrived := make(chan struct{}, 1)
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	sys := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ln, err := sys.Listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- sys.Serve(ctx, ln) }()
	r := &rig{Systems: sys, t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, base: sys.PublicURL()}
	r.subscribe(r.Describe().XSeries.PersonalToken, "sale.update", slow.URL)
	r.pay("1")
	<-arrived
	cancel()
	require.NoError(t, <-served)
	require.Equal(t, 0, sys.XSeries.Deliveries()[0].Attempts, "cut off by our own end: not the receiver's fault")
	require.Equal(t, DeliveryPending, sys.XSeries.Deliveries()[0].State)
	close(release)
	slow.Close()
	goleak.VerifyNone(t, ignored)
}

func TestSimSteersDeliveries(t *testing.T) {
	r := newRig(t, Options{})
	rec := newReceiver(t)
	r.subscribe(r.connect("webhooks").AccessToken, "sale.update", rec.URL)
	r.simDone("POST", "/xseries/deliveries/settings", `{"encoding":"base64","sign_payload":true,"bare":true,"retry_ms":1}`)
	r.simDone("POST", "/xseries/deliveries/hold", "")
	r.simDone("POST", "/xseries/deliveries/lose", `{"count":1}`)
	r.pay("1")
	r.simDone("POST", "/xseries/deliveries/duplicate", `{"count":1}`)
	r.pay("2")
	r.simDone("POST", "/xseries/deliveries/release", `{"reversed":true}`)
	list := simOK[[]Delivery](r, "GET", "/xseries/deliveries?settled=3&wait_ms=60000", "")
	require.Len(t, list, 3)
	require.Len(t, rec.all(), 2)
	require.Equal(t, rec.all()[0], rec.all()[1])
	require.True(t, strings.HasSuffix(rec.all()[0].signature, "=,algorithm=HMAC-SHA256"), "base64 of 32 bytes ends with =")
	require.False(t, rec.all()[0].form.Has("environment"))

	require.Equal(t, http.StatusConflict, r.sim("GET", "/xseries/deliveries?settled=4", "").status)
	for path, body := range map[string]string{
		"/xseries/deliveries/lose":      `{"count":-1}`,
		"/xseries/deliveries/duplicate": `{"n":1}`,
		"/xseries/deliveries/settings":  `{"encoding":"rot13"}`,
		"/xseries/deliveries/release":   `{"order":"x"}`,
	} {
		require.Equal(t, http.StatusBadRequest, r.sim("POST", path, body).status, path)
	}
	require.Equal(t, http.StatusBadRequest, r.sim("POST", "/xseries/deliveries/settings", `{"retry_ms":-1}`).status)
	require.Equal(t, http.StatusBadRequest, r.sim("GET", "/xseries/deliveries?settled=x", "").status)
}
