package kseries_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
)

// TestErrorShapes has every form in which K-Series writes errors.
func TestErrorShapes(t *testing.T) {
	const advice = ": check AccessToken and Environment, and that no proxy strips the Authorization header"
	for name, test := range map[string]struct {
		status        int
		body          string
		is            error
		code, message string
	}{
		"Spring":           {400, fixture(t, "check_error_400_identifier.json"), tillroute.ErrInvalid, "", "Invalid account identifier"},
		"Spring, 404":      {404, fixture(t, "webhook_endpoint_error_404.json"), tillroute.ErrNotFound, "", "endpoint ID not found for MISSING-ENDPOINT"},
		"Spring, errors":   {400, fixture(t, "order_local_error_400_validation.json"), tillroute.ErrInvalid, "", "Validation failed for object='localOrder'. Error count: 1: thirdPartyReference must not be null"},
		"used, 400":        {400, fixture(t, "pay_error_400_reference_used.json"), kseries.ErrReferenceUsed, "", "reference has already been used 12345678901234"},
		"used, 409":        {409, fixture(t, "order_error_409_reference_used.json"), kseries.ErrReferenceUsed, "", "reference has already been used 123456789"},
		"status and msg":   {409, `{"status":"fail","msg":"no"}`, tillroute.ErrConflict, "", "no"},
		"gateway":          {401, `{"errors":[{"code":"unauthorized","title":"Full authentication is required to access this resource"}]}`, tillroute.ErrUnauthorized, "unauthorized", "Full authentication is required to access this resource" + advice},
		"sub-exceptions":   {503, `{"status":"503","timestamp":"x","message":"later","apiSubExceptions":[{"field":"f","rejectedValue":"secret","message":"m"}]}`, tillroute.ErrUnavailable, "", "later: f m"},
		"OAuth":            {401, `{"error":"invalid_token","error_description":"expired"}`, tillroute.ErrUnauthorized, "invalid_token", "expired" + advice},
		"text of a number": {400, `{"message":7}`, tillroute.ErrInvalid, "", "7"},
		"odd members":      {400, `{"message":{"x":1},"errors":"x","msg":"no"}`, tillroute.ErrInvalid, "", "no"},
		"page":             {502, "<html><h1>Bad Gateway</h1></html>", tillroute.ErrUnavailable, "", "Bad Gateway (the answer is application/json, not JSON)"},
		"another form":     {500, `"oops"`, tillroute.ErrUnavailable, "", "Internal Server Error (the answer has another form than errors have)"},
		"nothing":          {503, "", tillroute.ErrUnavailable, "", "Service Unavailable"},
		"used, elsewhere":  {404, `{"message":"reference has already been used"}`, tillroute.ErrNotFound, "", "reference has already been used"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answer(test.status, test.body))
			_, err := s.client(t).Payments.Apply(t.Context(), payment())
			require.ErrorIs(t, err, test.is)
			var e *tillroute.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.status, e.Status)
			require.Equal(t, test.code, e.Code)
			require.Equal(t, test.message, e.Message)
			require.Equal(t, test.body, string(e.Body), "as it came")
			require.Equal(t, "Payments.Apply", e.Operation)
			want := tillroute.Failed
			if test.status >= 500 {
				want = tillroute.Unknown
			}
			require.Equal(t, want, e.Outcome)
		})
	}
}

func TestErrorsOfAnyContentType(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(fixture(t, "pay_error_400_reference_used.json")))
	})
	_, err := s.client(t).Payments.Apply(t.Context(), payment())
	require.ErrorIs(t, err, kseries.ErrReferenceUsed)
}

// FuzzErrors has no answer that makes a refusal anything else, or that can't be read.
func FuzzErrors(f *testing.F) {
	for _, text := range fixtures(f, "*error*.json") {
		f.Add([]byte(text))
	}
	var body []byte
	client, err := kseries.New(kseries.Config{AccessToken: accessToken, HTTP: tillroute.HTTPOptions{
		Retries: -1, Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusBadRequest, Body: readCloser(body), Request: r}, nil
		}),
	}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		body = data
		_, err := client.Payments.Apply(t.Context(), payment())
		var e *tillroute.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, tillroute.Failed, e.Outcome)
		require.Contains(t, []tillroute.Kind{tillroute.KindInvalid, tillroute.KindConflict}, e.Kind)
	})
}
