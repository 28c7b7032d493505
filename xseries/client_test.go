package xseries_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := xseries.New(xseries.Config{DomainPrefix: "Acme.evil.example", BaseURL: "acme", APIVersion: "latest"})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, field := range []string{"DomainPrefix", "AccessToken", "Tokens", "BaseURL", "APIVersion"} {
		require.ErrorContains(t, err, field)
	}
	_, err = xseries.New(xseries.Config{Tokens: newTokens(), AccessToken: "x"})
	require.ErrorContains(t, err, "DomainPrefix is missing")
	require.ErrorContains(t, err, "both set")
	_, err = xseries.New(xseries.Config{DomainPrefix: "acme", Tokens: newTokens()})
	require.ErrorContains(t, err, "OAuth.ClientID")
	require.ErrorContains(t, err, "OAuth.ClientSecret")
}

func TestDomainPrefixIsOneLabel(t *testing.T) {
	for prefix, ok := range map[string]bool{
		"acme": true, "a": true, "acme-2": true, "2acme": true,
		"": false, "-acme": false, "acme-": false, "Acme": false, "acme.evil": false, "evil.example/": false, "acme/": false,
		"acme:1": false, "a@b": false, "acme?": false, "acme#": false, "аcme": false, "a b": false, "a\n": false,
		"acme%2e": false, "evil.example%23": false, `evil.example\`: false, "acme．evil": false, "acme。evil": false, "evil.example/?": false,
		"a_b": false, "a\x00": false, "[::1]": false, "127.0.0.1": false, "user:pw@evil": false, "ACME": false,
		"0123456789012345678901234567890123456789012345678901234567890123": false,
	} {
		_, err := xseries.New(xseries.Config{DomainPrefix: prefix, AccessToken: personalToken})
		if ok {
			require.NoError(t, err, prefix)
		} else {
			require.ErrorIs(t, err, tillroute.ErrInvalid, prefix)
		}
	}
}

// hosts is a transport that remembers the URLs that it was asked for.
type hosts struct{ urls []string }

func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	h.urls = append(h.urls, r.URL.String())
	return nil, http.ErrNotSupported
}

func TestBaseURL(t *testing.T) {
	tests := map[string]struct {
		config xseries.Config
		url    string
	}{
		"default":  {xseries.Config{}, "https://acme.retail.lightspeed.app/api/2026-07/registers"},
		"version":  {xseries.Config{APIVersion: "2.0"}, "https://acme.retail.lightspeed.app/api/2.0/registers"},
		"pattern":  {xseries.Config{BaseURL: "https://{domain_prefix}.example.com/x/"}, "https://acme.example.com/x/api/2026-07/registers"},
		"as OAuth": {xseries.Config{OAuth: xseries.OAuth{BaseURL: "http://localhost:1/{domain_prefix}"}}, "http://localhost:1/acme/api/2026-07/registers"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			seen := &hosts{}
			test.config.DomainPrefix, test.config.AccessToken = "acme", personalToken
			test.config.HTTP = tillroute.HTTPOptions{Transport: seen, Retries: -1}
			client, err := xseries.New(test.config)
			require.NoError(t, err)
			_, err = client.Registers.List(t.Context(), xseries.ListOptions{})
			require.ErrorIs(t, err, tillroute.ErrUnavailable)
			require.Equal(t, []string{test.url}, seen.urls)
		})
	}
}

func TestZeroClientReturnsErrors(t *testing.T) {
	var client xseries.Client
	_, err := client.Registers.Get(t.Context(), "1")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = client.Outlets.List(t.Context(), xseries.ListOptions{})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = walk(t, &client, xseries.ListOptions{})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func TestRegisterKey(t *testing.T) {
	require.Equal(t, pairing.Register{System: "xseries", Account: "acme", ID: "r1"}, xseries.RegisterKey("acme", "r1"))
}

func TestCredentialsDoNotFollowARedirect(t *testing.T) {
	other := newServer(t, answer(http.StatusOK, emptyPage))
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/x", http.StatusFound) })
	_, err := s.client(t).Registers.List(t.Context(), xseries.ListOptions{})
	require.Error(t, err)
	require.Empty(t, other.got())
}
