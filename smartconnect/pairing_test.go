package smartconnect_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

// wireRequest is one of testdata/requests.json.
type wireRequest struct {
	Name        string `json:"name"`
	Method      string `json:"method"`
	URL         string `json:"url"`
	ContentType string `json:"contentType"`
	Body        string `json:"body"`
}

func wireRequests(t *testing.T) map[string]wireRequest {
	t.Helper()
	var list []wireRequest
	require.NoError(t, json.Unmarshal([]byte(fixture(t, "requests.json")), &list))
	byName := map[string]wireRequest{}
	for _, r := range list {
		byName[r.Name] = r
	}
	return byName
}

// requireSame compares what was sent with what should have been, value by value.
func requireSame(t *testing.T, want wireRequest, got request) {
	t.Helper()
	form, err := url.ParseQuery(want.Body)
	require.NoError(t, err)
	u, err := url.Parse(want.URL)
	require.NoError(t, err)
	require.Equal(t, want.Method, got.method)
	require.Equal(t, u.Path, got.path)
	require.Equal(t, want.ContentType, got.contentType)
	require.Equal(t, form, got.form)
}

func TestPairSendsWhatTheVendorDocuments(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "pairing_success_200.json")))
	client := s.client(t)
	require.NoError(t, client.Register(registerID).Pair(t.Context(), " 63247216\n", "Main Register", smartconnect.Contact{}))
	require.NoError(t, client.Register(registerID).Pair(t.Context(), "63247216", "Main Register", smartconnect.Contact{
		Name: "John Doe", Address: "123 Example Street", City: "Auckland", State: "Auckland", ZipCode: "1010",
		Email: "john.doe@toysshop.co.nz", Phone: "09 1234567",
	}))
	want := wireRequests(t)
	requireSame(t, want["pairing"], s.got()[0])
	requireSame(t, want["pairing_with_contact"], s.got()[1])
}

func TestPairErrors(t *testing.T) {
	tests := map[string]struct {
		answer  http.HandlerFunc
		is      error
		unknown bool
	}{
		"wrong code":        {answer(http.StatusBadRequest, fixture(t, "pairing_error_400_invalid_code.json")), pairing.ErrWrongCode, false},
		"wrong path":        {answer(http.StatusNotFound, ""), tillroute.ErrNotFound, false},
		"lost":              {lost, tillroute.ErrUnavailable, true},
		"page of a proxy":   {answer(http.StatusBadGateway, "<html>"), tillroute.ErrUnavailable, true},
		"empty answer":      {answer(http.StatusOK, ""), tillroute.ErrDecode, true},
		"no content":        {answer(http.StatusNoContent, ""), tillroute.ErrDecode, true},
		"another result":    {answer(http.StatusOK, `{"result":"pending"}`), tillroute.ErrDecode, true},
		"no result":         {answer(http.StatusOK, `{}`), tillroute.ErrDecode, true},
		"truncated":         {answer(http.StatusOK, `{"result":"succ`), tillroute.ErrDecode, true},
		"an error with 200": {answer(http.StatusOK, `{"error":"Invalid Pairing Code"}`), tillroute.ErrDecode, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.answer)
			err := s.client(t).Register(registerID).Pair(t.Context(), "63247216", "Main Register", smartconnect.Contact{})
			require.ErrorIs(t, err, test.is)
			if test.unknown {
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			} else {
				require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			}
			require.Len(t, s.got(), 1, "a pairing code must not be used twice")
		})
	}
}

func TestPairRefusesWhatCannotWork(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"result":"success"}`))
	client := s.client(t)
	require.ErrorIs(t, client.Register(registerID).Pair(t.Context(), " ", "Main", smartconnect.Contact{}), tillroute.ErrInvalid)
	require.ErrorIs(t, client.Register(registerID).Pair(t.Context(), "..", "Main", smartconnect.Contact{}), tillroute.ErrInvalid)
	require.ErrorIs(t, client.Register("").Pair(t.Context(), "1", "Main", smartconnect.Contact{}), tillroute.ErrInvalid)
	require.ErrorIs(t, client.Register(registerID).Pair(t.Context(), "1", "", smartconnect.Contact{}), tillroute.ErrInvalid)
	require.Empty(t, s.got())
	require.NoError(t, client.Register(registerID).Pair(t.Context(), "../a b", "Main", smartconnect.Contact{}))
	require.Equal(t, "/POS/Pairing/../a b", s.got()[0].path, "a code is one escaped segment")
}
