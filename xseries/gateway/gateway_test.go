package gateway_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

// noDriver is one that nobody calls.
type noDriver struct{ pairing.Driver }

// valid returns a configuration with no more than what is required.
func valid(t *testing.T) gateway.Config {
	t.Helper()
	store := memstore.New(memstore.Config{})
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{"none": noDriver{}}})
	require.NoError(t, err)
	return gateway.Config{
		Router: router, Tokens: store, URL: "https://pay.example.com/xseries", Key: stallKey,
		OAuth: xseries.OAuth{ClientID: "the-client", ClientSecret: "the-client-secret"},
	}
}

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*gateway.Config)
		want   string
	}{
		"no router":             {func(c *gateway.Config) { c.Router = nil }, "Router is missing"},
		"no tokens":             {func(c *gateway.Config) { c.Tokens = nil }, "Tokens is missing"},
		"no URL":                {func(c *gateway.Config) { c.URL = "" }, "is not the address of the handler"},
		"no host":               {func(c *gateway.Config) { c.URL = "/xseries" }, "is not the address of the handler"},
		"a query":               {func(c *gateway.Config) { c.URL += "?a=b" }, "is not the address of the handler"},
		"an empty query":        {func(c *gateway.Config) { c.URL += "?" }, "is not the address of the handler"},
		"an empty fragment":     {func(c *gateway.Config) { c.URL += "#" }, "is not the address of the handler"},
		"a password":            {func(c *gateway.Config) { c.URL = "https://me:hunter2@pay.example.com" }, "leave out who is asking"},
		"a bad password":        {func(c *gateway.Config) { c.URL = "https://me:hunter2%zz@pay.example.com" }, "leave out who is asking"},
		"not https":             {func(c *gateway.Config) { c.URL = "http://pay.example.com" }, "is not https"},
		"looks like loopback":   {func(c *gateway.Config) { c.URL = "http://localhost.example.com" }, "is not https"},
		"a pattern":             {func(c *gateway.Config) { c.URL += "/{id}" }, "a path that is not plain"},
		"a space":               {func(c *gateway.Config) { c.URL += "/a b" }, "a path that is not plain"},
		"two slashes":           {func(c *gateway.Config) { c.URL += "//a" }, "a path that is not plain"},
		"dots":                  {func(c *gateway.Config) { c.URL += "/../a" }, "a path that is not plain"},
		"no key":                {func(c *gateway.Config) { c.Key = "" }, "Key has 0 bytes, and must have 32 at least"},
		"a short key":           {func(c *gateway.Config) { c.Key = c.Key[:31] }, "Key has 31 bytes"},
		"another callback":      {func(c *gateway.Config) { c.OAuth.RedirectURL = "https://pay.example.com/else" }, "OAuth.RedirectURL"},
		"no application":        {func(c *gateway.Config) { c.OAuth.ClientID = "" }, "OAuth: "},
		"an origin with a path": {func(c *gateway.Config) { c.Stores = map[string]string{"http://localhost:1/": "acme"} }, "Stores has the origin"},
		"no store":              {func(c *gateway.Config) { c.Stores = map[string]string{"http://localhost:1": "a.b"} }, "Stores: "},
		"no such version": {func(c *gateway.Config) {
			c.Stores, c.APIVersion = map[string]string{"http://localhost:1": "acme"}, "x/y"
		}, "Stores: "},
		"no such version for any store": {func(c *gateway.Config) { c.APIVersion = "x/y" }, "APIVersion"},
		"a negative timeout":            {func(c *gateway.Config) { c.HTTP.Timeout = -1 }, "HTTP.Timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			config := valid(t)
			test.change(&config)
			_, err := gateway.New(config)
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "the-client-secret")
			require.NotContains(t, err.Error(), stallKey)
		})
	}
	_, err := gateway.New(gateway.Config{APIVersion: "x/y"})
	for _, field := range []string{"Router", "Tokens", "URL", "Key", "OAuth", "APIVersion"} {
		require.ErrorContains(t, err, field, "all that is wrong is named")
	}

	for address, want := range map[string]string{
		"https://pay.example.com":           "https://pay.example.com",
		"https://pay.example.com/":          "https://pay.example.com",
		"https://pay.example.com/a/b-c_~1/": "https://pay.example.com/a/b-c_~1",
		"http://localhost:8080/x":           "http://localhost:8080/x",
		"http://127.0.0.1:8080":             "http://127.0.0.1:8080",
		"http://[::1]:8080":                 "http://[::1]:8080",
	} {
		config := valid(t)
		config.URL = address
		h, err := gateway.New(config)
		require.NoError(t, err, address)
		require.Equal(t, want+"/pay", h.GatewayURL())
		require.Equal(t, want+"/", h.PairingURL())
		h.Close()
		h.Close()
	}
}

func TestHeaders(t *testing.T) {
	s := newStall(t)
	s.pair(testserver.RegisterMain, 0).SetAuto(testserver.AutoApprove, 0)
	common := func(header http.Header, ancestors string) {
		t.Helper()
		require.Equal(t, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "+
			"form-action 'self'; frame-ancestors "+ancestors, header.Get("Content-Security-Policy"))
		require.Len(t, header.Values("Content-Security-Policy"), 1)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		require.Equal(t, "same-origin", header.Get("Referrer-Policy"))
		require.Empty(t, header.Get("X-Frame-Options"), "it knows no list of origins")
		require.Empty(t, header.Get("Set-Cookie"))
	}
	w := s.sale(testserver.RegisterMain, "10")
	status, header, page := s.get(w.modal.URL())
	require.Equal(t, http.StatusOK, status)
	common(header, "https://simstore.retail.lightspeed.app")
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	require.Contains(t, page, "North &lt;pay&gt; &amp; Co")
	require.NotContains(t, page, "<pay>")
	require.NotContains(t, page, "X-Amz")

	status, header, _ = s.get(s.site.URL + "/shop/pay?amount=0&origin=x")
	require.Equal(t, http.StatusBadRequest, status)
	common(header, "*")

	w.start()
	for path, status := range map[string]int{"/shop/pay/progress": http.StatusForbidden, "/shop/nowhere": http.StatusNotFound, "/shop/pay/start": http.StatusNotFound} {
		got, header, _ := s.get(s.site.URL + path)
		require.Equal(t, status, got, path)
		common(header, "'none'")
		require.Equal(t, "no-store", header.Get("Cache-Control"))
	}

	assets := regexp.MustCompile(`(?:src|href)="(/shop/assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	require.Len(t, assets, 2)
	for _, asset := range assets {
		status, header, _ := s.get(s.site.URL + asset[1])
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "public, max-age=31536000, immutable", header.Get("Cache-Control"))
		require.Regexp(t, `^text/(javascript|css); charset=utf-8$`, header.Get("Content-Type"))
		common(header, "'none'")
	}
	for _, name := range []string{"pay.js", "0123456789ab-pay.js", "x-pay.html", "x-..%2fpage.go", "-", "x-layout.html", "x-"} {
		status, header, _ := s.get(s.site.URL + "/shop/assets/" + name)
		require.Equal(t, http.StatusNotFound, status, name)
		require.Equal(t, "no-store", header.Get("Cache-Control"))
	}
}

func TestPagesHaveNothingInline(t *testing.T) {
	files, err := fs.Glob(os.DirFS("pages"), "*.html")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := fs.ReadFile(os.DirFS("pages"), file)
		require.NoError(t, err)
		page := strings.ToLower(string(text))
		require.NotRegexp(t, `<script[^>]*>\s*[^<\s]`, page, file)
		require.NotRegexp(t, `\son[a-z]+\s*=`, page, file)
		require.NotRegexp(t, `\sstyle\s*=`, page, file)
		require.NotContains(t, page, "<style", file)
		require.NotContains(t, page, "javascript:", file)
		require.NotRegexp(t, `(?:src|href|action)="(?:https?:)?//`, page, file)
	}
	script, err := fs.ReadFile(os.DirFS("pages"), "pay.js")
	require.NoError(t, err)
	for _, forbidden := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", `"*"`, "localStorage", "sessionStorage", "document.cookie"} {
		require.NotContains(t, string(script), forbidden)
	}
}

func TestRequestsOfOtherSites(t *testing.T) {
	s := newStall(t)
	s.pair(testserver.RegisterMain, 0)
	w := s.sale(testserver.RegisterMain, "10")
	body, err := json.Marshal(map[string]string{"token": w.token, "data": w.data})
	require.NoError(t, err)
	post := func(header ...string) (int, string) {
		t.Helper()
		status, _, text := s.do(http.MethodPost, s.site.URL+"/shop/pay/start", bytes.NewReader(body), header...)
		require.True(t, json.Valid([]byte(text)), text)
		return status, text
	}
	for _, header := range [][]string{
		{"Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"},
		{"Content-Type", "application/json", "Sec-Fetch-Site", "same-site"},
		{"Content-Type", "application/json", "Origin", "https://simstore.retail.lightspeed.app"},
		{"Content-Type", "application/json", "Origin", "null"},
	} {
		status, text := post(header...)
		require.Equal(t, http.StatusForbidden, status, header)
		require.Contains(t, text, "another site")
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain; application/json", "application/jsonp"} {
		status, _ := post("Content-Type", kind)
		require.Equal(t, http.StatusUnsupportedMediaType, status, kind)
	}
	for _, text := range []string{"", "{", "[]", `"x"`, `{"token":1}`, `{"token":"x","outcome":17}`, strings.Repeat(" ", 1<<20+1<<16) + "{}"} {
		status, _, answered := s.do(http.MethodPost, s.site.URL+"/shop/pay/resolve", strings.NewReader(text), "Content-Type", "application/json")
		require.Equal(t, http.StatusBadRequest, status, url.QueryEscape(text[:min(len(text), 20)]))
		require.True(t, json.Valid([]byte(answered)))
	}
	list, err := s.router.Payments(t.Context(), pairing.Filter{}, 1)
	require.NoError(t, err)
	require.Empty(t, list)

	status, _ := post("Content-Type", "Application/JSON; charset=utf-8", "Sec-Fetch-Site", "same-origin", "Origin", s.site.URL)
	require.Equal(t, http.StatusOK, status)
	for _, path := range []string{"start", "told", "withdraw", "resolve"} {
		status, _, _ := s.get(s.site.URL + "/shop/pay/" + path)
		require.Equal(t, http.StatusNotFound, status, "it is no GET")
	}
}

func TestOpeningThePageHasNoEffect(t *testing.T) {
	s := newStall(t)
	s.pair(testserver.RegisterMain, 0)
	m := s.sale(testserver.RegisterMain, "10").modal
	s.books.plan("", 0, false)
	for range 3 {
		status, _, _ := s.get(m.URL())
		require.Equal(t, http.StatusOK, status)
	}
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	require.Zero(t, s.books.calls, "the store is not even read")
}
