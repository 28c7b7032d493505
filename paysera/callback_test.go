package paysera_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery/deliverytest"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/paysera"
)

const reservedEvent = `{"type":"reserved","object":"transaction","data":{"transaction_key":"pDAlAZ3z","status":"reserved","payments":[{"id":1,"price":1999,"currency":"EUR"}]}}`

func newKey(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(tb, err)
	return key
}

func signEvent(tb testing.TB, key *rsa.PrivateKey, event string) string {
	tb.Helper()
	hash := sha256.Sum256([]byte(event))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, hash[:])
	require.NoError(tb, err)
	return base64.StdEncoding.EncodeToString(signature)
}

func post(h http.Handler, event, sign string) *httptest.ResponseRecorder {
	return postBody(h, url.Values{"event": {event}, "sign": {sign}}.Encode())
}

func postBody(h http.Handler, body string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/callback", strings.NewReader(body)))
	return answer
}

func TestCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := []*rsa.PrivateKey{newKey(t), newKey(t)}
		var fetched, handled atomic.Int32
		current, failing := keys[0], error(nil)
		var got paysera.Event
		var fail error
		h, err := paysera.NewCallbackHandler(paysera.CallbackConfig{
			Key: func(context.Context) (*rsa.PublicKey, error) {
				fetched.Add(1)
				return &current.PublicKey, failing
			},
			Deliveries: memstore.New(memstore.Config{}),
			Handle: func(_ context.Context, e paysera.Event) error {
				if e.Type == "panics" {
					panic("here")
				}
				handled.Add(1)
				got = e
				return fail
			},
		})
		require.NoError(t, err)

		failing = errors.New("no key")
		require.Equal(t, http.StatusServiceUnavailable, post(h, reservedEvent, signEvent(t, keys[0], reservedEvent)).Code)
		failing = nil
		require.Equal(t, http.StatusServiceUnavailable, post(h, reservedEvent, signEvent(t, keys[0], reservedEvent)).Code)
		require.EqualValues(t, 1, fetched.Load(), "not asked again at once")
		time.Sleep(10 * time.Second)

		fail = errors.New("the disk is full")
		require.Equal(t, http.StatusServiceUnavailable, post(h, reservedEvent, signEvent(t, keys[0], reservedEvent)).Code)
		fail = nil
		for range 2 {
			answer := post(h, reservedEvent, signEvent(t, keys[0], reservedEvent))
			require.Equal(t, http.StatusOK, answer.Code)
			require.Equal(t, "OK", answer.Body.String())
		}
		require.EqualValues(t, 2, handled.Load(), "once, after it had failed")
		require.Equal(t, "reserved transaction pDAlAZ3z", got.Type+" "+got.Object+" "+got.Transaction.Key)
		require.EqualValues(t, 2, fetched.Load())

		for name, answer := range map[string]*httptest.ResponseRecorder{
			"another event":      post(h, strings.Replace(reservedEvent, "1999", "1", 1), signEvent(t, keys[0], reservedEvent)),
			"another key":        post(h, reservedEvent, signEvent(t, keys[1], reservedEvent)),
			"no signature":       post(h, reservedEvent, ""),
			"a signature's form": post(h, reservedEvent, "%%%"),
		} {
			require.Equal(t, http.StatusUnauthorized, answer.Code, name)
		}
		require.EqualValues(t, 2, fetched.Load(), "anybody can post what doesn't match")
		for _, body := range []string{"", "event=x", "event=x&event=y&sign=z", "%", strings.Repeat("x", 2<<20)} {
			require.Equal(t, http.StatusBadRequest, postBody(h, body).Code)
		}
		for _, event := range []string{`{"type":"panics"}`, `{`, `{"object":"transaction","data":{}}`, `{"type":"a","type":"b"}`} {
			require.Equal(t, http.StatusServiceUnavailable, post(h, event, signEvent(t, keys[0], event)).Code, event)
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/callback", nil))
		require.Equal(t, http.StatusMethodNotAllowed, answer.Code)

		current = keys[1]
		time.Sleep(2 * time.Minute)
		other := `{"type":"x","object":"payment","data":{"id":1}}`
		require.Equal(t, http.StatusOK, post(h, other, signEvent(t, keys[1], other)).Code, "the key was replaced")
		require.Equal(t, `{"id":1}`, string(got.Data))
		require.Nil(t, got.Transaction)
		require.EqualValues(t, 3, fetched.Load())
	})
	_, err := paysera.NewCallbackHandler(paysera.CallbackConfig{MaxBody: -1})
	for _, want := range []string{"Key", "Deliveries", "Handle", "negative"} {
		require.ErrorContains(t, err, want)
	}
}

// TestAKeyThatCannotBeHadIsNotTheVendorsFault has Key panic, return nothing, and return a key that is too short.
func TestAKeyThatCannotBeHadIsNotTheVendorsFault(t *testing.T) {
	key := newKey(t)
	for name, ask := range map[string]func() *rsa.PublicKey{
		"panics":  func() *rsa.PublicKey { panic("no key") },
		"none":    func() *rsa.PublicKey { return nil },
		"another": func() *rsa.PublicKey { return &rsa.PublicKey{N: big.NewInt(15), E: 3} },
	} {
		t.Run(name, func(t *testing.T) {
			h, err := paysera.NewCallbackHandler(paysera.CallbackConfig{
				Key: func(context.Context) (*rsa.PublicKey, error) { return ask(), nil }, Deliveries: memstore.New(memstore.Config{}),
				Handle: func(context.Context, paysera.Event) error { return nil },
			})
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, post(h, reservedEvent, signEvent(t, key, reservedEvent)).Code)
		})
	}
}

func TestDeliveries(t *testing.T) {
	key := newKey(t)
	body := url.Values{"event": {reservedEvent}, "sign": {signEvent(t, key, reservedEvent)}}.Encode()
	deliverytest.Run(t, deliverytest.System{
		Word: "callback", Posted: "pDAlAZ3z", Handled: http.StatusOK, Timeout: 5 * time.Second,
		New: func(c deliverytest.Config) (http.Handler, error) {
			return paysera.NewCallbackHandler(paysera.CallbackConfig{
				Key:        func(context.Context) (*rsa.PublicKey, error) { return &key.PublicKey, nil },
				Deliveries: c.Deliveries, Source: c.Source, Timeout: c.Timeout, Logger: c.Logger,
				Handle: func(ctx context.Context, _ paysera.Event) error { return c.Handle(ctx) },
			})
		},
		Request: func(ctx context.Context) *http.Request {
			return httptest.NewRequestWithContext(ctx, http.MethodPost, "/callback", strings.NewReader(body))
		},
	})
}

func TestVerifyCallbackNeedsAKey(t *testing.T) {
	require.ErrorIs(t, paysera.VerifyCallback(nil, "e", "s"), tillroute.ErrInvalid)
	require.ErrorIs(t, paysera.VerifyCallback(&rsa.PublicKey{}, "e", "s"), tillroute.ErrInvalid)
}

func FuzzCallback(f *testing.F) {
	key := newKey(f)
	f.Add(reservedEvent, signEvent(f, key, reservedEvent))
	f.Add(`{"type":"x"}`, "AAAA")
	h, err := paysera.NewCallbackHandler(paysera.CallbackConfig{
		Key: func(context.Context) (*rsa.PublicKey, error) { return &key.PublicKey, nil }, Deliveries: memstore.New(memstore.Config{}),
		Handle: func(context.Context, paysera.Event) error { return nil },
	})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, event, sign string) {
		answer := post(h, event, sign)
		if event != reservedEvent {
			require.NotEqual(t, http.StatusOK, answer.Code, "nothing else was signed")
		}
		_, _ = paysera.ParseEvent(event)
	})
}
