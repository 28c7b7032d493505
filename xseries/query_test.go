package xseries_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

func TestParseQuery(t *testing.T) {
	values, err := url.ParseQuery("amount=-12.50&origin=https%3A%2F%2Facme.retail.lightspeed.app&register_id=r1&outcome=ACCEPT")
	require.NoError(t, err)
	q, err := xseries.ParseQuery(values, xseries.Origins{})
	require.NoError(t, err)
	require.Equal(t, pairing.Refund, q.Kind)
	require.Equal(t, "12.5", q.Amount.String())
	require.Equal(t, "https://acme.retail.lightspeed.app", q.Origin)
	require.Equal(t, "acme", q.DomainPrefix())
	require.Equal(t, "r1", q.RegisterID)

	q, err = xseries.ParseQuery(url.Values{"amount": {"8"}, "origin": {"http://localhost:8080"}},
		xseries.Origins{Also: []string{"http://localhost:8080"}})
	require.NoError(t, err)
	require.Equal(t, pairing.Purchase, q.Kind)
	require.Empty(t, q.RegisterID)
	require.Empty(t, q.DomainPrefix())

	q, err = xseries.ParseQuery(url.Values{"amount": {"8"}, "origin": {"https://acme.vendhq.com"}}, xseries.Origins{Legacy: true})
	require.NoError(t, err)
	require.Equal(t, "acme", q.DomainPrefix())
}

func TestParseQueryRefuses(t *testing.T) {
	origin := "https://acme.retail.lightspeed.app"
	for name, values := range map[string]url.Values{
		"nothing":        {},
		"no amount":      {"origin": {origin}},
		"empty amount":   {"origin": {origin}, "amount": {""}},
		"zero":           {"origin": {origin}, "amount": {"0.00"}},
		"NaN":            {"origin": {origin}, "amount": {"NaN"}},
		"1e400":          {"origin": {origin}, "amount": {"1e400"}},
		"two amounts":    {"origin": {origin}, "amount": {"1", "100"}},
		"no origin":      {"amount": {"8"}},
		"two origins":    {"origin": {origin, "https://evil.example"}, "amount": {"8"}},
		"foreign origin": {"origin": {"https://evil.example"}, "amount": {"8"}},
		"two registers":  {"origin": {origin}, "amount": {"8"}, "register_id": {"a", "b"}},
	} {
		_, err := xseries.ParseQuery(values, xseries.Origins{})
		require.ErrorIs(t, err, tillroute.ErrInvalid, name)
	}
}

func TestOrigins(t *testing.T) {
	for origin, ok := range map[string]bool{
		"https://acme.retail.lightspeed.app":              true,
		"https://a-1.retail.lightspeed.app":               true,
		"http://acme.retail.lightspeed.app":               false,
		"https://acme.retail.lightspeed.app/":             false,
		"https://acme.retail.lightspeed.app:8443":         false,
		"https://retail.lightspeed.app":                   false,
		"https://.retail.lightspeed.app":                  false,
		"https://a.b.retail.lightspeed.app":               false,
		"https://acme.retail.lightspeed.app.evil.example": false,
		"https://evil.example/acme.retail.lightspeed.app": false,
		"https://evil.example#.retail.lightspeed.app":     false,
		"https://evil.example?.retail.lightspeed.app":     false,
		"https://u@acme.retail.lightspeed.app":            false,
		"https://ACME.retail.lightspeed.app":              false,
		"https://evilretail.lightspeed.app":               false,
		"https://acme.vendhq.com":                         false,
		"null":                                            false,
		"*":                                               false,
		"":                                                false,
		"javascript://acme.retail.lightspeed.app":         false,
	} {
		require.Equal(t, ok, xseries.Origins{}.Allowed(origin), origin)
	}
	require.True(t, xseries.Origins{Legacy: true}.Allowed("https://acme.vendhq.com"))
	require.False(t, xseries.Origins{Legacy: true}.Allowed("https://acme.vendhq.com.evil.example"))
	require.True(t, xseries.Origins{Also: []string{"http://127.0.0.1:80"}}.Allowed("http://127.0.0.1:80"))
	require.False(t, xseries.Origins{Also: []string{"http://127.0.0.1:80", ""}}.Allowed("http://127.0.0.1:8080"))
	require.False(t, xseries.Origins{Also: []string{""}}.Allowed(""))
}

func FuzzOrigins(f *testing.F) {
	f.Add("https://acme.retail.lightspeed.app")
	f.Add("https://evil.example/.retail.lightspeed.app")
	f.Fuzz(func(t *testing.T, origin string) {
		if !(xseries.Origins{}).Allowed(origin) {
			return
		}
		u, err := url.Parse(origin)
		require.NoError(t, err)
		require.Equal(t, "https", u.Scheme)
		require.Equal(t, u.Host, u.Hostname())
		require.Equal(t, "https://"+u.Host, origin)
		require.Regexp(t, `^[a-z0-9-]+\.retail\.lightspeed\.app$`, u.Host)
	})
}
