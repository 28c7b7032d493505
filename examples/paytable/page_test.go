package main

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// visit asks the restaurant for a page; header fields are given as name, value pairs.
func visit(t *testing.T, r *restaurant, method, path string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "http://restaurant.example"+path, body)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.server.Handler.ServeHTTP(w, request)
	require.Equal(t, []string{"nosniff"}, w.Header().Values("X-Content-Type-Options"))
	require.Equal(t, []string{"same-origin"}, w.Header().Values("Referrer-Policy"))
	require.Equal(t, []string{"no-store"}, w.Header().Values("Cache-Control"))
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'; ")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'")
	return w
}

func TestPagesOfOthers(t *testing.T) {
	t.Parallel()
	r, err := start(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "x.db"), io.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.stop(t.Context())) }()
	const kind = "application/x-www-form-urlencoded"
	all := url.Values{"id": {"table-2/x"}, "pay": {"all"}}.Encode()
	nothing := func() {
		t.Helper()
		asked, err := r.lines(t.Context(), 2)
		require.NoError(t, err)
		require.Empty(t, asked)
	}
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		header = append(header, "Content-Type", kind)
		for _, path := range []string{"/table/2/pay", "/table/2/settle"} {
			require.Equal(t, http.StatusForbidden, visit(t, r, http.MethodPost, path, strings.NewReader(all), header...).Code, header)
		}
	}
	for _, path := range []string{"/table/2/pay?" + all, "/table/2/settle?id=table-2/x&do=approved"} {
		require.Equal(t, http.StatusMethodNotAllowed, visit(t, r, http.MethodGet, path, nil).Code, "to look changes nothing")
	}
	nothing()

	// What a form says comes back as text.
	w := visit(t, r, http.MethodPost, "/table/2/pay", strings.NewReader(url.Values{
		"id": {"table-2/x"}, "pay": {"part"}, "amount": {`<script>alert(1)</script>`},
	}.Encode()), "Content-Type", kind)
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.NotContains(t, w.Body.String(), "<script>")
	require.Contains(t, w.Body.String(), "&lt;script&gt;")
	for _, path := range []string{"/", "/table/2", "/table/%3Cscript%3E", "/page.js", "/page.css", "/nothing"} {
		require.NotContains(t, visit(t, r, http.MethodGet, path, nil).Body.String(), "<script>", path)
	}

	// Files that are sent along are not kept.
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("x", "x")
	require.NoError(t, err)
	_, err = file.Write(make([]byte, 10<<20))
	require.NoError(t, err)
	require.NoError(t, form.WriteField("id", "table-2/x"))
	require.NoError(t, form.WriteField("pay", "all"))
	require.NoError(t, form.Close())
	w = visit(t, r, http.MethodPost, "/table/2/pay", &body, "Content-Type", form.FormDataContentType())
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "the form is incomplete")
	nothing()

	w = visit(t, r, http.MethodPost, "/table/2/pay", strings.NewReader(all), "Content-Type", kind, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
	asked, err := r.lines(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, asked, 1, "its own page may")

	// Another table's page does not settle it.
	settle := url.Values{"id": {"table-2/x"}, "do": {"not"}}.Encode()
	for path, problem := range map[string]string{"/table/3/settle": "the form is incomplete", "/table/2/settle": "only one with an unknown outcome"} {
		w = visit(t, r, http.MethodPost, path, strings.NewReader(settle), "Content-Type", kind)
		require.Equal(t, http.StatusConflict, w.Code)
		require.Contains(t, w.Body.String(), problem)
	}
}

// TestOnlyWhatWasChosenIsPaid sends what a form holds whose script has not run: what was typed and what is marked differ; and amounts
// that could be two.
func TestOnlyWhatWasChosenIsPaid(t *testing.T) {
	t.Parallel()
	r, err := start(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "x.db"), io.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.stop(t.Context())) }()
	for want, form := range map[string]url.Values{
		"an amount was typed":         {"pay": {"all"}, "amount": {"10"}},
		"a number of guests":          {"pay": {"all"}, "payers": {"3"}},
		"or leave the amount empty":   {"pay": {"share"}, "amount": {"10"}, "payers": {"3"}},
		"or leave the number empty":   {"pay": {"part"}, "amount": {"10"}, "payers": {"3"}},
		"how many share the check":    {"pay": {"share"}},
		"could be two amounts":        {"pay": {"part"}, "amount": {"1,000"}},
		"could be two amounts: type":  {"pay": {"part"}, "amount": {"2.000"}},
		"1,000&#34; could be two":     {"pay": {"all"}, "tip": {"1,000"}},
		"say how much is to be paid":  {},
		"say how much is to be paid:": {"pay": {"everything"}},
	} {
		form.Set("id", "table-2/"+want)
		w := visit(t, r, http.MethodPost, "/table/2/pay", strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, http.StatusUnprocessableEntity, w.Code, "%v", form)
		require.Contains(t, w.Body.String(), want)
	}
	asked, err := r.lines(t.Context(), 2)
	require.NoError(t, err)
	require.Empty(t, asked)
}
