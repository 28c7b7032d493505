package xseries_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

// TestErrorShapes has every form in which the vendor was seen to write errors: none of them is in a published schema.
func TestErrorShapes(t *testing.T) {
	for name, test := range map[string]struct {
		status        int
		body          string
		is            error
		code, message string
	}{
		"text, 401":     {401, fixture(t, "error_401.json"), tillroute.ErrUnauthorized, "", "Access token is not valid: check AccessToken, and that no proxy strips the Authorization header"},
		"text, 403":     {403, fixture(t, "error_403.json"), tillroute.ErrForbidden, "", "permission denied: the access token needs the scope webhooks"},
		"text, 404":     {404, fixture(t, "error_404.json"), tillroute.ErrNotFound, "", "user not found"},
		"text, 409":     {409, fixture(t, "webhook_conflict_409.json"), tillroute.ErrConflict, "", "A webhook with this type and URL already exists."},
		"message":       {429, `{"error":"Too Many Requests","message":"Rate limiting enforced"}`, tillroute.ErrRateLimited, "", "Too Many Requests: Rate limiting enforced"},
		"object":        {400, `{"error":{"code":17,"message":"card expired"}}`, tillroute.ErrInvalid, "17", "card expired"},
		"object, bare":  {422, `{"error":{"reason":"x"}}`, tillroute.ErrInvalid, "", "Unprocessable Entity"},
		"OAuth":         {400, `{"error":"invalid_request","error_description":"no"}`, tillroute.ErrInvalid, "invalid_request", "no"},
		"details":       {400, `{"error":"Invalid","details":"the name is taken"}`, tillroute.ErrInvalid, "", "Invalid: the name is taken"},
		"list":          {422, `{"errors":["one","two"]}`, tillroute.ErrInvalid, "", "one: two"},
		"list, objects": {422, `{"errors":[{"message":"one"},{"message":"two"}]}`, tillroute.ErrInvalid, "", "one: two"},
		"406":           {406, `{"error":"no"}`, tillroute.ErrInvalid, "", "no"},
		"page":          {502, "<html><h1>Bad Gateway</h1></html>", tillroute.ErrUnavailable, "", "Bad Gateway (the answer is text/html, not JSON)"},
		"another form":  {500, `"oops"`, tillroute.ErrUnavailable, "", "Internal Server Error (the answer has another form than errors have)"},
		"nothing":       {503, "", tillroute.ErrUnavailable, "", "Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
				kind := "application/json"
				if name == "page" {
					kind = "text/html; charset=utf-8"
				}
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			_, err := s.client(t).Webhooks.Create(t.Context(), xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://example.com/"})
			require.ErrorIs(t, err, test.is)
			var e *tillroute.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.status, e.Status)
			require.Equal(t, test.code, e.Code)
			require.Equal(t, test.message, e.Message)
			require.Equal(t, test.body, string(e.Body), "as it came")
			require.Equal(t, "Webhooks.Create", e.Operation)
			want := tillroute.Failed
			if test.status >= 500 {
				want = tillroute.Unknown
			}
			require.Equal(t, want, e.Outcome)
		})
	}
}
