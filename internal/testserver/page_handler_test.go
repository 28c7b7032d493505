package testserver

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPages(t *testing.T) {
	r := newRig(t, Options{Title: "Demo <1>", Links: []Link{{Text: "Pair & go", URL: "https://gateway.test/pair?a=1&b=2"}}})
	for path, parts := range map[string][]string{
		"/":                     {`id="pay"`, `data-terminal="7070714000"`, `data-terminal="7070714001"`, "Demo &lt;1&gt;", `<a href="https://gateway.test/pair?a=1&amp;b=2">Pair &amp; go</a>`},
		"/till":                 {`id="pay"`, `data-product="10001"`, `data-cents="2430"`, "<b>24.30</b>", "<title>Till</title>"},
		"/till?register=x":      {`id="pay"`},
		"/terminals":            {`data-terminal="7070714002"`},
		"/tables":               {`data-table="8"`, `value="20002"`, "Burger 14.90", "<title>Tables</title>", "/pages/tables.js"},
		"/terminals/7070714001": {`data-terminal="7070714001"`, "<title>Terminal 7070714001</title>"},
	} {
		a := r.do(http.MethodGet, r.base+path, "")
		require.Equal(t, http.StatusOK, a.status, path)
		require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		policy := a.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'; script-src 'self'; style-src 'self';")
		require.NotContains(t, policy, "unsafe")
		require.NotRegexp(t, `<style| style=| on[a-z]+=|<script(>| [^s>]*>)`, a.body)
		for _, part := range parts {
			require.Contains(t, a.body, part, path)
		}
		for _, file := range regexp.MustCompile(`(?:src|href)="(/pages/[^"]+)"`).FindAllStringSubmatch(a.body, -1) {
			require.Equal(t, http.StatusOK, r.do(http.MethodGet, r.base+file[1], "").status, file[1])
		}
	}
	require.NotContains(t, r.do(http.MethodGet, r.base+"/", "").body, "7070714002", "the start page shows two terminals")
	require.NotContains(t, r.do(http.MethodGet, r.base+"/terminals/7070714001", "").body, "7070714000")
	require.NotContains(t, r.do(http.MethodGet, r.base+"/till", "").body, "terminals.js")
	require.Empty(t, r.Requests("", "", ""), "pages are no vendor's system")
}

func TestPagesThatAreNotThere(t *testing.T) {
	r := newRig(t, Options{})
	for path, status := range map[string]int{
		"/terminals/nope": 404, "/till/": 404, "/pages/": 404, "/pages/page.html": 404, "/pages/nope.js": 404, "/pages/..%2Ftill.go": 404,
		"/till/receipts/nope": 404, "/till/slips/nope/0": 404, "/index.html": 404,
	} {
		require.Equal(t, status, r.do(http.MethodGet, r.base+path, "").status, path)
	}
	require.Equal(t, http.StatusMethodNotAllowed, r.do(http.MethodPost, r.base+"/till", "").status)
}

func TestPageFiles(t *testing.T) {
	r := newRig(t, Options{})
	for file, kind := range map[string]string{"page.css": "text/css", "till.js": "text/javascript", "tables.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		a := r.do(http.MethodGet, r.base+"/pages/"+file, "")
		require.Equal(t, http.StatusOK, a.status)
		require.True(t, strings.HasPrefix(a.header.Get("Content-Type"), kind), file)
		require.NotRegexp(t, `https?://`, strings.ReplaceAll(a.body, "http://www.w3.org/2000/svg", ""), "nothing is loaded from elsewhere")
	}
}

func TestPagesBelowAPrefix(t *testing.T) {
	sys := New(Options{PublicURL: "https://demo.test/sim/"})
	t.Cleanup(sys.Close)
	sys.SetLinks("Other", Link{Text: "Pairing", URL: "/pair"}, Link{Text: "Bad", URL: "javascript:alert(1)"})
	rec := httptest.NewRecorder()
	sys.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	body := rec.Body.String()
	require.Contains(t, body, `data-root="/sim"`)
	require.Contains(t, body, `src="/sim/pages/till.js"`)
	require.Contains(t, body, `<a href="/pair">Pairing</a>`)
	require.NotContains(t, body, "alert")
	require.Contains(t, body, "<title>Other</title>")
}

func TestReceiptsRunNothing(t *testing.T) {
	r := newRig(t, Options{})
	m, err := r.XSeries.OpenModal(RegisterMain, amount("1"))
	require.NoError(t, err)
	for _, message := range []string{
		`{"step":"SETUP","setup":{"enable_close":false}}`, `{"step":"PRINT","receipt_html_extra":"<b>Sign</b><script>1</script>"}`,
		`{"step":"ACCEPT","receipt_html_extra":"<i style=\"color:red\">Thanks</i>"}`,
	} {
		_, err = m.Post(message)
		require.NoError(t, err)
	}
	sale, _ := r.XSeries.Sale(m.SaleID())
	for path, html := range map[string]string{
		"/till/slips/" + m.ID() + "/1":          "<b>Sign</b><script>1</script>",
		"/till/receipts/" + sale.Payments[0].ID: `<i style="color:red">Thanks</i>`,
	} {
		a := r.do(http.MethodGet, r.base+path, "")
		require.Equal(t, http.StatusOK, a.status)
		require.True(t, strings.HasSuffix(a.body, html), a.body)
		policy := a.header.Get("Content-Security-Policy")
		require.True(t, strings.HasPrefix(policy, "sandbox; default-src 'none';"), policy)
		require.NotContains(t, policy, "script")
	}
	for _, n := range []string{"0", "3", "-1", "x"} {
		require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, r.base+"/till/slips/"+m.ID()+"/"+n, "").status)
	}
}
