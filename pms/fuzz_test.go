package pms_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

// FuzzHandler sends anything, twice: it never panics, never answers 200 without a valid key, and never calls the backend twice for
// one idempotency key.
func FuzzHandler(f *testing.F) {
	for _, name := range []string{"pms_charge_reference.json", "pms_charge_guide_2022.json", "pms_charge_mirrored_constructed.json"} {
		body := strings.NewReplacer("quickbooks-key-345", apiKey.Reveal(), `"fake-api-key"`, `"`+apiKey.Reveal()+`"`).Replace(fixture(f, name))
		f.Add("POST", "/pms/charge", "", "LS1_1", "", []byte(body), []byte(body))
		f.Add("POST", "/pms/charge", "", "LS1_1", "", []byte(body), []byte(fixture(f, name)))
	}
	for _, test := range pmstest.Strange(f.Context(), "/pms", apiKey) {
		var body bytes.Buffer
		_, err := body.ReadFrom(test.Request.Body)
		require.NoError(f, err)
		if body.Len() < 10_000 {
			f.Add(test.Request.Method, test.Request.URL.Path, "", "LS1_1", test.Request.Header.Get("Content-Encoding"), body.Bytes(), body.Bytes())
		}
	}
	f.Add("GET", "/pms/search", "term=x&apiKey="+apiKey.Reveal(), "", "", []byte{}, []byte{})
	f.Add("GET", "/pms/search", "term=x&apiKey=x", "", "", []byte{}, []byte{})
	f.Add("POST", "/charge", "", "k", "", []byte(`{"apiKey":"`+apiKey.Reveal()+`"}`), []byte(`{"APIKEY":"`+apiKey.Reveal()+`","x":1}`))
	f.Fuzz(func(t *testing.T, method, path, query, key, encoding string, first, second []byte) {
		calls := map[string]int{}
		h := newHotel(t, newStore())
		h.Before = func(_ context.Context, c pms.Charge) error {
			if calls[c.Key]++; calls[c.Key] > 1 {
				t.Error("two calls for one key")
			}
			if strings.Contains(string(c.Raw), `"apiKey":"`+apiKey.Reveal()) {
				t.Error("the raw body has the API key")
			}
			if !json.Valid(c.Raw) {
				t.Error("the raw body is no JSON any more")
			}
			c.Totals()
			_, _ = c.Postings()
			c.Unknown()
			c.IsReversal()
			return nil
		}
		for _, body := range [][]byte{first, second, first} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
			r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
			r.Header.Set("X-Lightspeed-Idempotency-Key", key)
			r.Header.Set("Content-Encoding", encoding)
			w := h.send(r)
			if w.Code == http.StatusOK && !proved(method, r, body) {
				t.Errorf("200 without a key: %s %s", method, path)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("the answer is no JSON: %s", w.Body)
			}
			if strings.Contains(w.Body.String()+h.log.String(), apiKey.Reveal()) {
				t.Error("the API key shows")
			}
		}
	})
}

// proved looks for the key in another way than the handler does.
func proved(method string, r *http.Request, body []byte) bool {
	if method == http.MethodGet {
		return r.URL.Query().Get("apiKey") == apiKey.Reveal()
	}
	var object map[string]any
	_ = json.Unmarshal(body, &object)
	for name, value := range object {
		if strings.EqualFold(name, "apiKey") && value == apiKey.Reveal() {
			return true
		}
	}
	return false
}

// FuzzParseCharge reads anything: it never panics, what it returns has no API key in Raw, and reading Raw again gives the same.
func FuzzParseCharge(f *testing.F) {
	f.Add([]byte(fixture(f, "pms_charge_reference.json")))
	f.Add([]byte(fixture(f, "pms_charge_guide_2022.json")))
	f.Add([]byte(`{"\u0061piKey":"x","x":[{"y":"]}\\\""}],"apiKEY":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := pms.ParseCharge(body)
		if err != nil {
			return
		}
		again, err := pms.ParseCharge(c.Raw)
		require.NoError(t, err)
		require.Equal(t, string(c.Raw), string(again.Raw))
		if c.APIKey != "" {
			require.Equal(t, "[redacted]", again.APIKey.Reveal())
		}
		again.APIKey = c.APIKey
		require.Equal(t, c, again)
	})
}
