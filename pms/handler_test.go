package pms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

func TestChargeIsPosted(t *testing.T) {
	h := newHotel(t, newStore())
	bill := pmstest.NewCharge(apiKey)
	w := h.post(bill)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "{}", w.Body.String())
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Len(t, h.Posted(), 1)
	want := parse(t, bill)
	want.Key = bill.Key
	require.Equal(t, want, h.Posted()[0])
	require.Empty(t, h.log.String())
}

func TestVendorsExamplesArePosted(t *testing.T) {
	h := newHotel(t, newStore(), func(c *pms.Config) {
		c.Keys = []pms.Key{{APIKey: "quickbooks-key-345"}, {APIKey: "fake-api-key"}}
	})
	for i, name := range []string{"pms_charge_reference.json", "pms_charge_guide_2022.json", "pms_charge_mirrored_constructed.json"} {
		for range 2 {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://hotel.example/pms/kseries.php/charge", strings.NewReader(fixture(t, name)))
			r.Header.Set("X-Lightspeed-Idempotency-Key", fmt.Sprintf("LS1_123e4567-e89b-12d3-a456-42661417400%d", i))
			require.Equal(t, http.StatusOK, h.send(r).Code, name)
		}
		require.Len(t, h.Posted(), i+1)
		require.Equal(t, i+1, h.Calls())
	}
}

func TestStrangeDeliveries(t *testing.T) {
	for _, test := range pmstest.Strange(t.Context(), "http://hotel.example/pms", apiKey) {
		t.Run(test.Name, func(t *testing.T) {
			h := newHotel(t, newStore())
			w := h.send(test.Request)
			if test.Posts {
				require.Equal(t, http.StatusOK, w.Code, w.Body.String())
				require.Equal(t, 1, h.Calls())
				return
			}
			require.GreaterOrEqual(t, w.Code, 400)
			require.Less(t, w.Code, 500, "it is the sender who is to blame")
			told(t, w)
			require.Zero(t, h.Calls())
		})
	}
}

func TestStatusesOfWhatIsRefused(t *testing.T) {
	good := func() *http.Request { return pmstest.NewCharge(apiKey).Request(t.Context(), "/pms") }
	for name, test := range map[string]struct {
		change  func(*http.Request)
		status  int
		message string
	}{
		"method":     {func(r *http.Request) { r.Method = http.MethodGet }, 405, "Wrong method: POST it"},
		"head":       {func(r *http.Request) { r.Method = http.MethodHead }, 405, "Wrong method: POST it"},
		"path":       {func(r *http.Request) { r.URL.Path = "/pms/" }, 404, "Wrong address: check the PMS settings"},
		"slash":      {func(r *http.Request) { r.URL.Path = "/pms/charge/" }, 404, "Wrong address: check the PMS settings"},
		"compressed": {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415, "Compressed postings are not understood"},
		"two keys":   {func(r *http.Request) { r.Header.Add("X-Lightspeed-Idempotency-Key", "b") }, 400, "Posting has more than one idempotency key"},
		"long key": {
			func(r *http.Request) { r.Header.Set("X-Lightspeed-Idempotency-Key", strings.Repeat("k", 256)) }, 400, "Posting has too long an idempotency key",
		},
		"no key": {func(r *http.Request) { r.Header.Del("X-Lightspeed-Idempotency-Key") }, 400, "Posting has no idempotency key"},
		"too large, said": {
			func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat(" ", 1<<20+1))), 1<<20+1
			}, 413, "Posting is too large",
		},
		"too large, unsaid": {
			func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(endless{}), -1 }, 413, "Posting is too large",
		},
		"broken off": {
			func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"name"`)) }, 400, "Posting did not arrive whole: try again",
		},
		"broken off, length unsaid": {
			func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"name"`), broken{})), -1
			}, 400, "Posting did not arrive whole: try again",
		},
		"no JSON": {
			func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{")), 1 }, 400, "Posting not understood",
		},
		"wrong key": {
			func(r *http.Request) { *r = *pmstest.NewCharge(apiKey+"2").Request(t.Context(), "/pms") }, 401, "The API key is wrong: check the PMS settings",
		},
		"a wrong key and a wrong type": {
			func(r *http.Request) {
				*r = *pmstest.NewCharge(apiKey+"2").Set("payments", true).Request(t.Context(), "/pms")
			}, 401, "The API key is wrong: check the PMS settings",
		},
		"a wrong type": {
			func(r *http.Request) {
				*r = *pmstest.NewCharge(apiKey).Set("payments.0.amount", "1").Request(t.Context(), "/pms")
			}, 400, "Not understood: payments[0].amount is a text, wher",
		},
		"a wrong structure, before the key": {
			func(r *http.Request) {
				*r = *pmstest.NewCharge(apiKey).Set("aa", 1).Set("ID", []any{}).Set("OPENDATE", 1).Set("NAME", []any{1}).Remove("name").Remove("openDate").
					Remove("id").Request(t.Context(), "/pms")
			}, 400, "Not understood: name is of another type than docum",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHotel(t, newStore())
			r := good()
			test.change(r)
			w := h.send(r)
			require.Equal(t, test.status, w.Code)
			// The encoding/json to come names a field as it was sent.
			require.Equal(t, test.message, strings.Replace(told(t, w), "NAME", "name", 1))
			require.Zero(t, h.Calls())
		})
	}
	r := good()
	r.Method = http.MethodDelete
	require.Equal(t, "POST", newHotel(t, newStore()).send(r).Header().Get("Allow"))
	// What says that it isn't compressed isn't.
	r = good()
	r.Header.Set("Content-Encoding", "Identity")
	require.Equal(t, http.StatusOK, newHotel(t, newStore()).send(r).Code)
	// As large as it may be, and no larger.
	bill := pmstest.NewCharge(apiKey)
	h := newHotel(t, newStore(), func(c *pms.Config) { c.MaxBody = int64(len(bill.Body())) })
	require.Equal(t, http.StatusOK, h.post(bill).Code)
	require.Equal(t, http.StatusRequestEntityTooLarge, h.post(bill.Set("name", bill.Payload["name"].(string)+"x")).Code)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBodyWithoutLengthIsRead(t *testing.T) {
	h := newHotel(t, newStore())
	for name, length := range map[string]int64{"unsaid": -1, "long": 100_000, "a lie": 1 << 60} {
		body := pmstest.NewCharge(apiKey).Body()
		r := pmstest.NewCharge(apiKey).Request(t.Context(), "/pms")
		r.ContentLength = length
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), strings.NewReader(strings.Repeat(" ", 100_000-len(body)))))
		require.Equal(t, http.StatusOK, h.send(r).Code, name)
	}
}

func TestKeysAndBusinesses(t *testing.T) {
	send := func(h *hotel, key tillroute.Secret, business any) int {
		return h.post(pmstest.NewCharge(key).Set("businessExternalReference", business)).Code
	}
	h := newHotel(t, newStore(), func(c *pms.Config) {
		c.Keys = []pms.Key{{APIKey: "old-key"}, {APIKey: "new-key"}, {APIKey: "key-of-north", Business: "north"}, {APIKey: "key-of-south", Business: "south"}}
	})
	for _, ok := range []struct {
		key      tillroute.Secret
		business any
	}{{"old-key", "x"}, {"new-key", nil}, {"new-key", "north"}, {"key-of-north", "north"}, {"key-of-south", "south"}} {
		require.Equal(t, http.StatusOK, send(h, ok.key, ok.business), ok)
	}
	for _, wrong := range []struct {
		key      tillroute.Secret
		business any
	}{{"key-of-north", "south"}, {"key-of-north", nil}, {"key-of-south", "South"}, {"old-ke", "x"}, {"old-keyy", "x"}, {"OLD-KEY", "x"}, {"", "x"}} {
		require.Equal(t, http.StatusUnauthorized, send(h, wrong.key, wrong.business), wrong)
	}
}

func TestBusinessesAreIndependent(t *testing.T) {
	keys := []pms.Key{
		{APIKey: "key-of-all"},
		{APIKey: "key-of-north", Business: "north"},
		{APIKey: "key-of-south", Business: "south"},
		{APIKey: "key-of-all", Business: "east"},
	}
	for range 2 {
		businessesAreIndependent(t, keys)
		slices.Reverse(keys)
	}
}

func businessesAreIndependent(t *testing.T, keys []pms.Key) {
	t.Helper()
	h := newHotel(t, newStore(), func(c *pms.Config) { c.Keys = keys })
	bill := pmstest.NewCharge("key-of-north").Set("businessExternalReference", "north")
	require.Equal(t, http.StatusOK, h.post(bill).Code)
	bill.Set("apiKey", "key-of-south").Set("businessExternalReference", "south").Set("name", "another")
	require.Equal(t, http.StatusOK, h.post(bill).Code, "a key of one business says nothing of another's")
	bill.Set("apiKey", "key-of-all").Set("businessExternalReference", "east")
	require.Equal(t, http.StatusOK, h.post(bill).Code, "the key's business counts, wherever it stands")
	bill.Set("businessExternalReference", "west")
	require.Equal(t, http.StatusOK, h.post(bill).Code)
	require.Equal(t, 4, h.Calls())
	bill.Set("businessExternalReference", "west 2")
	require.Equal(t, http.StatusConflict, h.post(bill).Code, "a key of all has one scope")
}

func TestRotation(t *testing.T) {
	h := newHotel(t, newStore(), func(c *pms.Config) { c.Keys = []pms.Key{{APIKey: "old-key"}, {APIKey: "new-key"}} })
	bill := pmstest.NewCharge("old-key")
	require.Equal(t, http.StatusOK, h.post(bill).Code)
	require.Equal(t, http.StatusOK, h.post(bill.Set("apiKey", "new-key")).Code)
	require.Equal(t, 1, h.Calls(), "the same charge, with the key that took over")
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		err     error
		status  int
		message string
	}{
		"plain":             {pms.Refuse("Room %d is not occupied", 12), 422, "Room 12 is not occupied"},
		"wrapped":           {fmt.Errorf("charging: %w", pms.Refuse("No credit")), 422, "No credit"},
		"status":            {&pms.Refusal{Message: "Come later", Status: 503}, 503, "Come later"},
		"success":           {&pms.Refusal{Message: "odd", Status: 200}, 500, "odd"},
		"redirect":          {&pms.Refusal{Message: "odd", Status: 302}, 500, "odd"},
		"beyond":            {&pms.Refusal{Message: "odd", Status: 600}, 500, "odd"},
		"cause":             {&pms.Refusal{Message: "No credit", Err: errors.New("cause-0001")}, 422, "No credit"},
		"no message":        {&pms.Refusal{}, 422, "Hotel system failed: check the folio"},
		"lines":             {pms.Refuse("one\r\n\ttwo\x00 three "), 422, "one two three"},
		"50 characters":     {pms.Refuse("%s", strings.Repeat("é", 50)), 422, strings.Repeat("é", 50)},
		"51 characters":     {pms.Refuse("%s", strings.Repeat("é", 50)+"x"), 422, strings.Repeat("é", 50)},
		"30 of two bytes":   {pms.Refuse("%s", strings.Repeat("é", 30)), 422, strings.Repeat("é", 30)},
		"beyond the BMP":    {pms.Refuse("%s", strings.Repeat("😀", 60)), 422, strings.Repeat("😀", 50)},
		"no UTF-8":          {pms.Refuse("a\xffb"), 422, "a\uFFFDb"},
		"another error":     {errors.New("secret-0001"), 500, "Hotel system failed: check the folio"},
		"nil in disguise":   {(*pms.Refusal)(nil), 500, "Hotel system failed: check the folio"},
		"deadline":          {context.DeadlineExceeded, 504, "No answer from hotel system: check the folio"},
		"timeout":           {&tillroute.Error{Kind: tillroute.KindTimeout}, 504, "No answer from hotel system: check the folio"},
		"not found of ours": {&tillroute.Error{Kind: tillroute.KindNotFound}, 500, "Hotel system failed: check the folio"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHotel(t, newStore())
			h.Before = func(context.Context, pms.Charge) error { return test.err }
			bill := pmstest.NewCharge(apiKey)
			for range 2 {
				w := h.post(bill)
				require.Equal(t, test.status, w.Code)
				require.Equal(t, test.message, told(t, w))
			}
			require.Equal(t, 2, h.Calls(), "a failure is not final")
			h.Before = nil
			require.Equal(t, http.StatusOK, h.post(bill).Code)
			require.Len(t, h.Posted(), 1)
			require.Contains(t, h.log.String(), bill.Key)
		})
	}
}

func TestRefusalAsError(t *testing.T) {
	cause := errors.New("cause")
	require.Equal(t, "No credit: cause", (&pms.Refusal{Message: "No credit", Err: cause}).Error())
	require.ErrorIs(t, &pms.Refusal{Err: cause}, cause)
	require.Equal(t, "<nil>", (*pms.Refusal)(nil).Error())
	require.NoError(t, errors.Unwrap((*pms.Refusal)(nil)))
}

func TestPanicsAreFailures(t *testing.T) {
	for name, cause := range map[string]any{
		"text": "panic-0001", "abort": http.ErrAbortHandler, "error": errors.New("panic-0001"), "refusal": pms.Refuse("panic-0001"), "nil": nil,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHotel(t, newStore())
			h.Before = func(context.Context, pms.Charge) error { panic(cause) }
			bill := pmstest.NewCharge(apiKey)
			w := h.post(bill)
			require.Equal(t, http.StatusInternalServerError, w.Code)
			require.Equal(t, "Hotel system failed: check the folio", told(t, w))
			require.Contains(t, h.log.String(), "level=ERROR")
			require.Contains(t, h.log.String(), "handler_test.go", "the stack is in the log")
			h.Before = nil
			require.Equal(t, http.StatusOK, h.post(bill).Code)
			require.Len(t, h.Posted(), 1)
		})
	}
}

func TestUnimplemented(t *testing.T) {
	h := newHotel(t, newStore(), func(c *pms.Config) { c.Backend = pms.Unimplemented{} })
	w := h.post(pmstest.NewCharge(apiKey))
	require.Equal(t, http.StatusNotImplemented, w.Code)
	require.Equal(t, "This hotel takes no room charges", told(t, w))
	require.Contains(t, h.send(pmstest.Search(t.Context(), "/pms", apiKey, "x")).Body.String(), `"success":false`)
}

func TestNewHandlerNamesEveryProblem(t *testing.T) {
	_, err := pms.NewHandler(pms.Config{Timeout: -1, MaxBody: -1})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, field := range []string{"Backend", "Keys", "Deliveries", "Timeout", "MaxBody"} {
		require.ErrorContains(t, err, field)
	}
	_, err = pms.NewHandler(pms.Config{Backend: pms.Unimplemented{}, Deliveries: newStore(), Keys: []pms.Key{{APIKey: "a"}, {Business: "b"}}})
	require.ErrorContains(t, err, "Keys[1] has no APIKey")
}

func TestHandlerKeepsItsConfig(t *testing.T) {
	keys := []pms.Key{{APIKey: apiKey}}
	h := newHotel(t, newStore(), func(c *pms.Config) { c.Keys = keys })
	keys[0].APIKey = "another"
	require.Equal(t, http.StatusOK, h.post(pmstest.NewCharge(apiKey)).Code)
}

func TestSearch(t *testing.T) {
	h := newHotel(t, newStore())
	w := h.send(pmstest.Search(t.Context(), "/pms", apiKey, "Mike & Co #1"))
	require.Equal(t, http.StatusOK, w.Code)
	require.JSONEq(t, `{"success":true,"errorMessage":null,"reservations":[]}`, w.Body.String())
	require.Equal(t, []pms.Search{{Term: "Mike & Co #1", BusinessExternalReference: "hotel"}}, h.Searches())

	h.Reservations = []pms.Reservation{
		{RoomID: "1002", RoomDescription: "Room 1002", ClientName: "Mike Test", ReservationID: "001", CreditLimit: number("250.0")},
		{RoomID: "3", ClientName: "Zoë", ReservationID: "002", Blocked: true},
		{RoomID: "4", ReservationID: "003", CreditLimit: number("0")},
	}
	w = h.send(pmstest.Search(t.Context(), "/pms", apiKey, ""))
	require.JSONEq(t, `{"success":true,"errorMessage":null,"reservations":[
		{"roomId":"1002","roomDescription":"Room 1002","clientName":"Mike Test","reservationId":"001","creditLimit":250,"blocked":false},
		{"roomId":"3","roomDescription":"3","clientName":"Zoë","reservationId":"002","blocked":true},
		{"roomId":"4","roomDescription":"4","clientName":"","reservationId":"003","creditLimit":0,"blocked":false}]}`, w.Body.String())
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))

	h.Reservations = h.Reservations[:1]
	require.JSONEq(t, fixture(t, "pms_search_response.json"), h.send(pmstest.Search(t.Context(), "/pms", apiKey, "")).Body.String())

	huge := number("1")
	huge.Decimal = huge.Decimal.Shift(1_000_000)
	h.Reservations[0].CreditLimit = huge
	require.Equal(t, http.StatusInternalServerError, h.send(pmstest.Search(t.Context(), "/pms", apiKey, "")).Code)
}

// searcher is a backend that searches.
type searcher struct {
	pms.Unimplemented

	search func(context.Context) ([]pms.Reservation, error)
}

func (s searcher) Search(ctx context.Context, _ pms.Search) ([]pms.Reservation, error) {
	return s.search(ctx)
}

func TestSearchThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		search  func(context.Context) ([]pms.Reservation, error)
		status  int
		message string
	}{
		"refusal": {func(context.Context) ([]pms.Reservation, error) { return nil, pms.Refuse("PMS is offline") }, 200, "PMS is offline"},
		"refusal with a status": {func(context.Context) ([]pms.Reservation, error) {
			return nil, fmt.Errorf("searching: %w", &pms.Refusal{Message: "No such room", Status: http.StatusBadRequest})
		}, 200, "No such room"},
		"error": {func(context.Context) ([]pms.Reservation, error) { return nil, errors.New("x") }, 500, "Hotel system failed: try again"},
		"panic": {func(context.Context) ([]pms.Reservation, error) { panic("x") }, 500, "Hotel system failed: try again"},
		"nil in disguise": {
			func(context.Context) ([]pms.Reservation, error) { return nil, (*pms.Refusal)(nil) }, 500, "Hotel system failed: try again",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHotel(t, newStore(), func(c *pms.Config) { c.Backend = searcher{search: test.search} })
			w := h.send(pmstest.Search(t.Context(), "/pms", apiKey, "x"))
			require.Equal(t, test.status, w.Code)
			require.JSONEq(t, `{"success":false,"errorMessage":"`+test.message+`","reservations":[]}`, w.Body.String())
			require.NotContains(t, h.log.String(), apiKey.Reveal())
		})
	}
	h := newHotel(t, newStore(), func(c *pms.Config) {
		c.Backend = searcher{search: func(context.Context) ([]pms.Reservation, error) { return nil, pms.Refuse("PMS is offline") }}
	})
	require.JSONEq(t, fixture(t, "pms_search_response_failure.json"), h.send(pmstest.Search(t.Context(), "/pms", apiKey, "x")).Body.String())
}

func TestSearchThatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"no key":     {func(r *http.Request) { r.URL.RawQuery = "term=x" }, 401},
		"empty key":  {func(r *http.Request) { r.URL.RawQuery = "term=x&apiKey=" }, 401},
		"wrong key":  {func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "0001", "0002", 1) }, 401},
		"two keys":   {func(r *http.Request) { r.URL.RawQuery += "&apiKey=y" }, 400},
		"two terms":  {func(r *http.Request) { r.URL.RawQuery += "&term=y" }, 400},
		"no query":   {func(r *http.Request) { r.URL.RawQuery += "&%zz" }, 400},
		"semicolons": {func(r *http.Request) { r.URL.RawQuery += ";x=y" }, 400},
		"method":     {func(r *http.Request) { r.Method = http.MethodPost }, 405},
		"head":       {func(r *http.Request) { r.Method = http.MethodHead }, 405},
		"key in body": {func(r *http.Request) {
			*r = *pmstest.NewCharge(apiKey).Request(t.Context(), "")
			r.Method, r.URL.Path = http.MethodGet, "/search"
		}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHotel(t, newStore())
			r := pmstest.Search(t.Context(), "/pms", apiKey, "x")
			test.change(r)
			w := h.send(r)
			require.Equal(t, test.status, w.Code)
			require.Empty(t, h.Searches())
			require.NotContains(t, w.Body.String()+h.log.String(), apiKey.Reveal())
		})
	}
}

func TestSearchEndsWhenNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHotel(t, newStore(), func(c *pms.Config) {
			c.Timeout = 3 * time.Second
			c.Backend = searcher{search: func(ctx context.Context) ([]pms.Reservation, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}
		})
		start := time.Now()
		require.Equal(t, http.StatusInternalServerError, h.send(pmstest.Search(t.Context(), "/pms", apiKey, "x")).Code)
		require.Equal(t, 3*time.Second, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		h.send(pmstest.Search(ctx, "/pms", apiKey, "x"))
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

// TestNoSecretShows makes everything go wrong that can, and looks for secrets in all that comes out.
func TestNoSecretShows(t *testing.T) {
	var seen clienttest.Seen
	for _, fail := range []func(context.Context, pms.Charge) error{
		nil,
		func(_ context.Context, c pms.Charge) error {
			seen.Show(c, &c, c.Raw, string(c.Raw), c.Unknown())
			return fmt.Errorf("odd: %+v", c)
		},
		func(_ context.Context, c pms.Charge) error { panic(fmt.Sprintf("odd: %+v %s", c, c.Raw)) },
	} {
		store := &faulty{Store: newStore()}
		h := newHotel(t, store, func(c *pms.Config) {
			c.Logger = seen.Logger()
			seen.Show(*c, c)
		})
		h.Before = fail
		seen.Show(h.Handler)
		for _, test := range pmstest.Strange(t.Context(), "/pms", apiKey) {
			w := h.send(test.Request)
			seen.Show(w.Code, w.Header(), w.Body.String())
		}
		for _, query := range []string{"", "&apiKey=x", "&%zz", ";", "x"} {
			r := pmstest.Search(t.Context(), "/pms", apiKey, "x")
			r.URL.RawQuery += query
			w := h.send(r)
			seen.Show(w.Body.String(), pms.LogURL(r.URL))
		}
	}
	seen.Hides(t, apiKey.Reveal())
}

func TestLogURL(t *testing.T) {
	for query, want := range map[string]string{
		"":                     "/pms/search",
		"?term=a+b&apiKey=s-1": "/pms/search?apiKey=%5Bredacted%5D&term=a+b",
		"?APIKEY=s-1&apiKey=2": "/pms/search?APIKEY=%5Bredacted%5D&apiKey=%5Bredacted%5D",
		"?apiKey=s-1&%zz":      "/pms/search?[redacted]",
		"?a%70iKey=s-1":        "/pms/search?apiKey=%5Bredacted%5D",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://hotel.example/pms/search"+strings.ReplaceAll(query, "%zz", ""), http.NoBody)
		r.URL.RawQuery = strings.TrimPrefix(query, "?")
		assert.Equal(t, want, pms.LogURL(r.URL))
	}
}
