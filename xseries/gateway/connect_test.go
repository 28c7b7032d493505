package gateway_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

// noGrant checks that nothing of a store was stored.
func (s *street) noGrant(t *testing.T) {
	t.Helper()
	_, err := s.store.Grant(t.Context(), xseries.System, "acme")
	require.ErrorIs(t, err, tillroute.ErrNotFound)
}

// consent begins a connection, and returns where the vendor sends the browser back to, which it doesn't follow.
func (b *browser) consent(t *testing.T) string {
	t.Helper()
	begin := b.open(t, "/").form(t, "/connect")
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/lightspeed/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	defer func() { b.client.CheckRedirect = nil }()
	p := b.submit(t, begin)
	require.Equal(t, http.StatusFound, p.status)
	return p.header.Get("Location")
}

// disconnected checks that a browser has no session.
func (b *browser) disconnected(t *testing.T) {
	t.Helper()
	require.Equal(t, "/", b.open(t, "/terminals").path())
}

func TestRefusal(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	s.acme.XSeries.RefuseNextAuthorization()
	p := b.submit(t, b.open(t, "/?register="+testserver.RegisterMain).form(t, "/connect"))
	require.Equal(t, http.StatusForbidden, p.status)
	require.Contains(t, p.text(), "The store did not give its consent. Nothing was stored.")
	require.Contains(t, p.html, `href="/lightspeed/?register=`+testserver.RegisterMain+`">Connect again</a>`)
	s.noGrant(t)
	b.disconnected(t)
}

func TestCallbackThatIsNotThisBrowsers(t *testing.T) {
	s := newStreet(t, nil)
	victim, thief := s.browser(t), s.browser(t)
	back := victim.consent(t)
	set := func(name, value string) string {
		u, err := url.Parse(back)
		require.NoError(t, err)
		query := u.Query()
		query.Set(name, value)
		if value == "" {
			query.Del(name)
		}
		u.RawQuery = query.Encode()
		return u.String()
	}
	thief.open(t, "/")
	begun := s.browser(t)
	begun.consent(t)
	for name, p := range map[string]page{
		"no connection was begun":        thief.open(t, back),
		"another connection was begun":   begun.open(t, back),
		"the state is another":           victim.open(t, set("state", "aaaaaaaaaaaaaaaaaaaa")),
		"the state is missing":           victim.open(t, set("state", "")),
		"a refusal in another's name":    thief.open(t, "/callback?error=access_denied"),
		"nothing but the page's address": thief.open(t, "/callback"),
	} {
		require.Equal(t, http.StatusForbidden, p.status, name)
		require.Contains(t, p.text(), "This connection was not begun in this browser.", name)
		require.Contains(t, p.html, ">Connect again</a>")
	}
	require.Empty(t, s.acme.Requests("xseries", "POST", "/api/1.0/token"), "the code was not even tried")
	s.noGrant(t)
	thief.disconnected(t)

	for name, p := range map[string]page{
		"the code is missing":            victim.open(t, set("code", "")),
		"the store is no part of a host": victim.open(t, set("domain_prefix", "evil.example/x")),
	} {
		require.Equal(t, http.StatusBadRequest, p.status, name)
		require.Contains(t, p.text(), "Nothing was stored. Connect again.", name)
	}
	require.Equal(t, "/pair", victim.open(t, back).path(), "none of this ends the victim's own connection")
}

func TestReloadedCallback(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	back := b.consent(t)
	require.Equal(t, "/pair", b.open(t, back).path())
	p := b.open(t, back)
	require.Equal(t, http.StatusForbidden, p.status)
	require.Contains(t, p.text(), "The connection was finished before")
	require.Contains(t, p.html, `href="/lightspeed/terminals">Go on</a>`)
	require.Len(t, s.acme.Requests("xseries", "POST", "/api/1.0/token"), 1)
	require.Equal(t, "/terminals", b.open(t, "/terminals").path(), "the session goes on")
}

func TestCodeThatIsNotAccepted(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	back := strings.Replace(b.consent(t), "code=sim-code-", "code=never-issued-", 1)
	p := b.open(t, back)
	require.Equal(t, http.StatusForbidden, p.status)
	require.Contains(t, p.text(), "Lightspeed no longer accepts this consent")
	s.noGrant(t)
	b.disconnected(t)
}

func TestLostExchange(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	s.acme.Fault(testserver.On("xseries", "POST", "/api/1.0/token"), testserver.LoseReply())
	p := b.submit(t, b.open(t, "/?register="+testserver.RegisterMain).form(t, "/connect"))
	require.Equal(t, http.StatusBadGateway, p.status)
	require.Contains(t, p.text(), "The store could not be connected. Nothing was stored. Connect again.")
	s.noGrant(t)
	p = b.submit(t, b.open(t, "/?register="+testserver.RegisterMain).form(t, "/connect"))
	require.Equal(t, "/pair", p.path())
	require.Equal(t, testserver.RegisterMain, p.form(t, "/pair").values.Get("register"))
}

func TestMissingScopes(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	s.acme.XSeries.GrantNextAuthorization("registers:read")
	p := b.submit(t, b.open(t, "/").form(t, "/connect"))
	require.Equal(t, http.StatusForbidden, p.status)
	require.Contains(t, p.text(), "Missing: outlets:read. Nothing was stored.")
	s.noGrant(t)
	b.disconnected(t)
}

// TestAnothersStore has a merchant who changes the domain prefix that comes back to that of another's store, at a vendor whose
// token server doesn't mind.
func TestAnothersStore(t *testing.T) {
	for says, rewrite := range map[string]*strings.Replacer{
		"Nothing was stored. Connect again.": nil,
		// Its answer doesn't say whose the tokens are.
		"the registers of the store acme can't be read with it. Nothing was stored.": strings.NewReplacer(`"domain_prefix":"other"`, `"domain_prefix":""`),
	} {
		s := newStreet(t, nil)
		owner := s.browser(t)
		owner.connect(t)
		grant, err := s.store.Grant(t.Context(), xseries.System, "acme")
		require.NoError(t, err)

		thief := s.browser(t)
		s.set(func() { s.consents, s.tokens, s.rewrite = "other", "other", rewrite })
		back := strings.Replace(thief.consent(t), "domain_prefix=other", "domain_prefix=acme", 1)
		p := thief.open(t, back)
		require.Equal(t, http.StatusBadGateway, p.status)
		require.Contains(t, p.text(), says)
		thief.disconnected(t)
		now, err := s.store.Grant(t.Context(), xseries.System, "acme")
		require.NoError(t, err)
		require.Equal(t, grant, now, "the owner's connection is as it was")
	}
}

func TestConnectAgain(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	b.connect(t)
	first, err := s.store.Grant(t.Context(), xseries.System, "acme")
	require.NoError(t, err)
	s.browser(t).connect(t)
	second, err := s.store.Grant(t.Context(), xseries.System, "acme")
	require.NoError(t, err)
	require.Equal(t, first.Version+1, second.Version)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
	require.Equal(t, "/terminals", b.open(t, "/terminals").path())
}

// TestConnectWhileTheOldGrantIsRefreshed has another node store a grant between the callback's look at it and its write.
func TestConnectWhileTheOldGrantIsRefreshed(t *testing.T) {
	for _, races := range []int{1, 2} {
		tokens := &racingTokens{races: races}
		s := newStreet(t, func(c *gateway.Config) {
			tokens.Tokens = c.Tokens
			c.Tokens = tokens
		})
		b := s.browser(t)
		p := b.submit(t, b.open(t, "/").form(t, "/connect"))
		if races == 1 {
			require.Equal(t, "/pair", p.path())
			continue
		}
		require.Equal(t, http.StatusServiceUnavailable, p.status)
		require.Contains(t, p.text(), "The connection could not be stored. Connect again in a moment.")
		b.disconnected(t)
	}
}

func TestDeadGrant(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	f := b.connect(t).form(t, "/pair").with("register", testserver.RegisterMain).with("code", "12345678")
	s.acme.XSeries.RevokeTokens()
	p := b.submit(t, f)
	require.Equal(t, http.StatusForbidden, p.status)
	require.Contains(t, p.text(), "The store is no longer connected.")
	require.Contains(t, p.html, `href="/lightspeed/?register=`+testserver.RegisterMain+`">Connect again</a>`)
	b.disconnected(t)
	require.Equal(t, "/pair", b.connect(t).path(), "a new consent helps")
	require.Equal(t, "/terminals", b.open(t, "/terminals").path())

	require.NoError(t, s.store.DeleteGrant(t.Context(), xseries.System, "acme"))
	s.acme.XSeries.ExpireTokens()
	require.Contains(t, b.open(t, "/terminals").text(), "The store is no longer connected.")
	b.disconnected(t)
}

func TestLeave(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	b.connect(t)
	p := b.submit(t, b.open(t, "/terminals").form(t, "/leave"))
	require.Equal(t, "/", p.path())
	require.NotContains(t, p.text(), "You are not connected.")
	b.disconnected(t)
	_, err := s.store.Grant(t.Context(), xseries.System, "acme")
	require.NoError(t, err, "payments need the grant")
}

func TestTheFormMayLeadToTheVendor(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	vendor, err := url.Parse(s.config.OAuth.AuthorizeURL)
	require.NoError(t, err)
	require.Contains(t, b.open(t, "/").header.Get("Content-Security-Policy"), "; form-action 'self' https: http://"+vendor.Host+"; ")
	require.Contains(t, b.connect(t).header.Get("Content-Security-Policy"), "; form-action 'self'; ")
}

func TestPreselectionThatIsTooLong(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	p := b.submit(t, b.open(t, "/?register="+strings.Repeat("r", 5000)).form(t, "/connect"))
	require.Equal(t, "/pair", p.path(), p.text())
	require.NotContains(t, p.text(), "The register that you came from", "it was not put into a cookie that browsers refuse")
}

// racingTokens has another node store the grant before each of the first PutGrants.
type racingTokens struct {
	pairing.Tokens

	races int
}

func (r *racingTokens) PutGrant(ctx context.Context, g pairing.Grant, ifVersion int64) (pairing.Grant, error) {
	if r.races > 0 {
		r.races--
		if _, err := r.Tokens.PutGrant(ctx, g, -1); err != nil {
			return pairing.Grant{}, err
		}
	}
	return r.Tokens.PutGrant(ctx, g, ifVersion)
}
