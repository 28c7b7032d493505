package testserver

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// purchase is a POST whose processing can be seen in the terminal's books.
func purchase(r *rig) (answer, error) {
	r.t.Helper()
	return r.send(http.MethodPost, r.base+"/smartconnect/POS/Transaction",
		transactionForm("r1", "Card.Purchase", "AmountTotal", "500").Encode(), "Content-Type", formType)
}

func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault     Fault
		processed bool
		check     func(is *require.Assertions, a answer, err error)
	}{
		"status": {Status(503, `{"error":"x"}`).RetryAfter(1500 * time.Millisecond), false, func(is *require.Assertions, a answer, err error) {
			is.NoError(err)
			is.Equal(503, a.status)
			is.JSONEq(`{"error":"x"}`, a.body)
			is.Equal("application/json", a.header.Get("Content-Type"))
			is.Equal("2", a.header.Get("Retry-After"))
		}},
		"status with a date": {Status(429, "slow down").RetryAfterDate(10 * time.Second), false, func(is *require.Assertions, a answer, err error) {
			is.NoError(err)
			is.Equal("Wed, 11 Mar 2026 09:08:17 GMT", a.header.Get("Retry-After"))
			is.Equal("text/plain; charset=utf-8", a.header.Get("Content-Type"))
		}},
		"status after processing": {Status(502, "bad gateway").AfterProcessing(), true, func(is *require.Assertions, a answer, err error) {
			is.NoError(err)
			is.Equal(502, a.status)
		}},
		"html": {HTMLBody(504), false, func(is *require.Assertions, a answer, err error) {
			is.NoError(err)
			is.Equal(504, a.status)
			is.Equal("text/html; charset=utf-8", a.header.Get("Content-Type"))
			is.Contains(a.body, "<h1>Gateway Timeout</h1>")
		}},
		"redirect": {RedirectTo("http://other.test/x"), false, func(is *require.Assertions, a answer, err error) {
			is.NoError(err)
			is.Equal(http.StatusTemporaryRedirect, a.status)
			is.Equal("http://other.test/x", a.header.Get("Location"))
		}},
		"refuse before": {RefuseBefore(), false, func(is *require.Assertions, _ answer, err error) { is.Error(err) }},
		"lose reply":    {LoseReply(), true, func(is *require.Assertions, _ answer, err error) { is.Error(err) }},
		"truncate": {Truncate(), true, func(is *require.Assertions, a answer, err error) {
			is.ErrorContains(err, "unexpected EOF")
			is.Equal(http.StatusOK, a.status)
			is.NotEmpty(a.body)
		}},
		"garbled": {GarbledJSON(), true, func(is *require.Assertions, a answer, err error) {
			is.NoError(err)
			is.False(json.Valid([]byte(a.body)))
		}},
		"extra fields": {ExtraFields(), true, func(is *require.Assertions, a answer, err error) {
			is.NoError(err)
			is.Equal(2, strings.Count(a.body, "x_unknown_to_this_version"))
			is.Equal("500", parse[envelope](t, a.body).Data.AmountTotal)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.pair("r1", "7070714000")
			r.Fault(On("smartconnect", "POST", "/POS/Transaction"), tt.fault)
			a, err := purchase(r)
			tt.check(require.New(t), a, err)
			if tt.processed {
				require.Len(t, r.SmartConnect.Transactions(), 1)
			} else {
				require.Empty(t, r.SmartConnect.Transactions())
			}
			require.Equal(t, string(tt.fault.kind), r.Requests("", "POST", "")[0].Fault)

			a, err = purchase(r) // faults are played once
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, a.status)
			require.Empty(t, r.UnusedFaults())
		})
	}
}

func TestDelayProcessesAtOnceAndNoticesThatTheClientLeft(t *testing.T) {
	r := newRig(t, Options{})
	r.pair("r1", "7070714000")
	r.Fault(On("", "POST", ""), Delay(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/smartconnect/POS/Transaction",
		strings.NewReader(transactionForm("r1", "Card.Purchase", "AmountTotal", "500").Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", formType)
	failed := make(chan error, 1)
	go func() {
		resp, err := r.client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		failed <- err
	}()
	_, err = r.SmartConnect.Device("7070714000").WaitTransaction(t.Context())
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
}

func TestDelayAnswersInTheEnd(t *testing.T) {
	r := newRig(t, Options{})
	r.Fault(On("", "", ""), Delay(time.Millisecond))
	a := r.pos(http.MethodPut, "/POS/Pairing/1", register("r1"))
	require.Equal(t, http.StatusBadRequest, a.status)
}

func TestFaultsAreFIFOAndNthCountsFromNow(t *testing.T) {
	r := newRig(t, Options{})
	r.Fault(On("xseries", "GET", "/api"), Status(501, ""))
	r.Fault(On("xseries", "GET", "/api/2.0/registers"), Status(502, ""))
	r.Fault(On("xseries", "GET", "/API/*/registers").Nth(4), Status(504, "").Always())
	var got []int
	for range 5 {
		got = append(got, r.rest(http.MethodGet, "/api/2.0/registers", "").status)
	}
	require.Equal(t, []int{501, 502, 200, 504, 504}, got)
	r.ClearFaults()
	require.Equal(t, 200, r.rest(http.MethodGet, "/api/2.0/registers", "").status)
}

func TestExpireToken(t *testing.T) {
	r := newRig(t, Options{})
	grant := r.connect("registers:read")
	r.Fault(On("xseries", "GET", "/api/2.0"), ExpireToken())
	for range 2 {
		a := r.do(http.MethodGet, r.base+"/xseries/api/2.0/registers", "", "Authorization", "Bearer "+grant.AccessToken)
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.JSONEq(t, fixture(t, "xseries_error_401.json"), a.body)
	}

	r.pair("r1", "7070714000")
	posted := r.post("r1", "Card.Purchase", "AmountTotal", "500")
	r.Fault(On("smartconnect", "GET", "/pos/transaction/*"), ExpireToken())
	a := r.do(http.MethodGet, posted.Data.PollingURL, "")
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.JSONEq(t, fixture(t, "smartconnect_poll_error_401_token_expired.json"), a.body)
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"", "/anything", true},
		{"/POS/Transaction", "/pos/transaction/", true},
		{"/POS/Transaction", "/pos/transaction/123", true},
		{"/POS/Transaction", "/pos/transactions", false},
		{"/POS/Transaction/x", "/pos/transaction", false},
		{"/POS/Pairing/4*", "/POS/Pairing/4711", true},
		{"/POS/Pairing/4*", "/POS/Pairing/5711", false},
	} {
		require.Equal(t, tt.want, On("", "", tt.pattern).covers("s", "GET", tt.path), "%s on %s", tt.pattern, tt.path)
	}
}

func TestErrorsInEveryShape(t *testing.T) {
	r := newRig(t, Options{})
	for shape, body := range map[ErrorShape]string{
		ErrorText:        `{"error":"no"}`,
		ErrorMessage:     `{"error":"Too Many Requests","message":"no"}`,
		ErrorObject:      `{"error":{"code":429,"message":"no"}}`,
		ErrorDescription: `{"error":"too_many_requests","error_description":"no"}`,
		ErrorDetails:     `{"error":"Too Many Requests","details":"no"}`,
		ErrorList:        `{"errors":["no"]}`,
	} {
		r.Fault(On("xseries", "", ""), ErrorBody(http.StatusTooManyRequests, shape, "no"))
		a := r.rest(http.MethodGet, "/api/2.0/registers", "")
		require.Equal(t, http.StatusTooManyRequests, a.status)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.JSONEq(t, body, a.body)

		r.simDone("POST", "/faults", `{"system":"xseries","fault":"error_body","status":429,"shape":"`+string(shape)+`","text":"no","retry_after_date_s":5}`)
		a = r.rest(http.MethodGet, "/api/2.0/registers", "")
		require.JSONEq(t, body, a.body)
		require.Equal(t, "Wed, 11 Mar 2026 09:08:12 GMT", a.header.Get("Retry-After"))
	}
	a := r.sim("POST", "/faults", `{"fault":"error_body","status":429,"shape":"round"}`)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.body, `shape is \"round\"`)
}
