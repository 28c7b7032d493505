package gateway

import (
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
)

// noDriver serves no terminal.
type noDriver struct{ pairing.Driver }

// site is a gateway whose stores can't be reached: every page that needs one says so.
type site struct{ *Handler }

func newSite(t *testing.T, address, key string) site {
	t.Helper()
	store := memstore.New(memstore.Config{})
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{"acme": noDriver{}}})
	require.NoError(t, err)
	h, err := New(Config{
		Router: router, Tokens: store, URL: address, Key: tillroute.Secret(key),
		OAuth: xseries.OAuth{ClientID: "the-application", ClientSecret: "the-secret-of-the-application"},
	})
	require.NoError(t, err)
	return site{h}
}

// get asks for a page with a session cookie, if it isn't empty.
func (s site) get(t *testing.T, path, cookie string) *httptest.ResponseRecorder {
	t.Helper()
	return s.do(t, httptest.NewRequestWithContext(t.Context(), http.MethodGet, s.url(path), http.NoBody), cookie)
}

func (s site) post(t *testing.T, path, cookie string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.url(path), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(t, r, cookie)
}

func (s site) do(t *testing.T, r *http.Request, cookie string) *httptest.ResponseRecorder {
	t.Helper()
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: cookie})
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

const (
	siteURL = "https://pay.example/lightspeed"
	siteKey = "a key of the tests, which is 32 bytes and more"

	// reached is the status of a page that was let in, and then can't reach its store.
	reached = http.StatusForbidden
)

func (s site) sealed(of session) string { return seal(s.keys, forSession, of, sessionTTL) }

func TestSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	mine := session{ID: "mine", Store: "acme"}
	good := s.sealed(mine)
	body, signature, _ := strings.Cut(good, ".")
	otherBody, _, _ := strings.Cut(s.sealed(session{ID: "mine", Store: "other"}), ".")
	for name, test := range map[string]struct {
		cookie string
		in     bool
	}{
		"good":                       {good, true},
		"none":                       {"", false},
		"not connected yet":          {s.sealed(session{ID: "mine"}), false},
		"expired":                    {seal(s.keys, forSession, mine, -time.Second), false},
		"another store's content":    {otherBody + "." + signature, false},
		"another signature":          {body + "." + strings.Repeat("A", len(signature)), false},
		"no signature":               {body + ".", false},
		"no token":                   {"x", false},
		"a token of another purpose": {seal(s.keys, forState, mine, sessionTTL), false},
		"another gateway's":          {newSite(t, siteURL, "another key of the tests, of 32 bytes and more").sealed(mine), false},
	} {
		for _, path := range []string{"/terminals", "/pair", "/paired", "/unpair"} {
			w := s.get(t, path+"?register=R+1", test.cookie)
			if test.in {
				require.Equal(t, reached, w.Code, "%s on %s", name, path)
				require.Contains(t, w.Body.String(), "The store is no longer connected.")
				continue
			}
			require.Equal(t, http.StatusSeeOther, w.Code, "%s on %s", name, path)
			require.Equal(t, "/lightspeed/?ended=1&register=R+1", w.Header().Get("Location"), "the register is not forgotten")
		}
		w := s.post(t, "/pair", test.cookie, url.Values{"form": {s.formToken(mine)}, "register": {"R"}})
		require.Equal(t, test.in, w.Code == reached, name)
	}
	w := s.get(t, "/?ended=1&register=R+1", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "You are not connected.")
	require.Contains(t, w.Body.String(), `name="register" value="R 1"`)
}

func TestASessionEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	synctest.Test(t, func(t *testing.T) {
		cookie := s.sealed(session{ID: "mine", Store: "acme"})
		time.Sleep(sessionTTL - time.Second)
		require.Equal(t, reached, s.get(t, "/terminals", cookie).Code)
		time.Sleep(time.Second)
		require.Equal(t, http.StatusSeeOther, s.get(t, "/terminals", cookie).Code)
	})
}

func TestFormsAreTheSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	mine := session{ID: "mine", Store: "acme"}
	visitor := session{ID: "visitor"}
	for name, token := range map[string]string{
		"missing":                  "",
		"another session's":        s.formToken(session{ID: "theirs", Store: "acme"}),
		"expired":                  seal(s.keys, forForm, "mine", -time.Second),
		"of another purpose":       seal(s.keys, forPage, "mine", sessionTTL),
		"the session's own cookie": s.sealed(mine),
		"nobody's":                 s.formToken(session{}),
	} {
		for path, of := range map[string]session{"/pair": mine, "/unpair": mine, "/leave": mine, "/connect": visitor} {
			w := s.post(t, path, s.sealed(of), url.Values{"form": {token}, "register": {"R"}})
			require.Equal(t, http.StatusForbidden, w.Code, "%s on %s", name, path)
			require.Contains(t, w.Body.String(), "This page is out of date.", "%s on %s", name, path)
			require.Empty(t, w.Result().Cookies(), "%s on %s", name, path)
		}
	}
	require.Equal(t, http.StatusForbidden, s.post(t, "/connect", "", url.Values{"form": {s.formToken(session{})}}).Code,
		"a browser without cookies can't connect")
	w := s.post(t, "/connect", s.sealed(visitor), url.Values{"form": {s.formToken(visitor)}})
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.True(t, strings.HasPrefix(w.Header().Get("Location"), "https://secure.retail.lightspeed.app/connect?"))
	w = s.post(t, "/leave", s.sealed(mine), url.Values{"form": {s.formToken(mine)}})
	require.Equal(t, "/lightspeed/", w.Header().Get("Location"))

	// A token in the address is none: addresses are kept in histories.
	w = s.post(t, "/leave?form="+url.QueryEscape(s.formToken(mine)), s.sealed(mine), nil)
	require.Equal(t, http.StatusForbidden, w.Code)
}

func TestFormsOfOtherSites(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	mine := session{ID: "mine", Store: "acme"}
	for name, header := range map[string][2]string{
		"cross-site":     {"Sec-Fetch-Site", "cross-site"},
		"same-site":      {"Sec-Fetch-Site", "same-site"},
		"another origin": {"Origin", "https://evil.example"},
	} {
		for _, path := range []string{"/pair", "/unpair", "/leave", "/connect"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.url(path),
				strings.NewReader(url.Values{"form": {s.formToken(mine)}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(header[0], header[1])
			w := s.do(t, r, s.sealed(mine))
			require.Equal(t, http.StatusForbidden, w.Code, "%s on %s", name, path)
			require.Contains(t, w.Body.String(), "This request came from another site.")
		}
	}
}

func TestGETChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	cookie := s.sealed(session{ID: "mine", Store: "acme"})
	for _, path := range []string{"/connect", "/leave"} {
		w := s.get(t, path, cookie)
		require.Equal(t, http.StatusNotFound, w.Code)
		require.Empty(t, w.Result().Cookies())
	}
}

func TestAFormThatIsTooLong(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	mine := session{ID: "mine", Store: "acme"}
	for _, path := range []string{"/pair", "/connect"} {
		w := s.post(t, path, s.sealed(mine), url.Values{"code": {strings.Repeat("x", maxForm)}, "form": {s.formToken(mine)}})
		require.Equal(t, http.StatusForbidden, w.Code)
		require.Contains(t, w.Body.String(), "This page is out of date.")
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]http.Cookie{
		siteURL:                 {Path: "/lightspeed", Secure: true},
		"https://pay.example":   {Path: "/", Secure: true},
		"http://localhost:8080": {Path: "/"},
	} {
		s := newSite(t, address, siteKey)
		w := s.get(t, "/", "")
		require.Equal(t, http.StatusOK, w.Code, address)
		visit := only(t, w, sessionCookie)
		of, err := open[session](s.keys, forSession, visit.Value)
		require.NoError(t, err)
		w = s.post(t, "/connect", visit.Value, url.Values{"form": {s.formToken(of)}, "register": {"R"}})
		begin := only(t, w, stateCookie)
		require.Equal(t, 3600, visit.MaxAge)
		require.Equal(t, 600, begin.MaxAge)
		for _, c := range []*http.Cookie{visit, begin} {
			require.True(t, c.HttpOnly)
			require.Equal(t, http.SameSiteLaxMode, c.SameSite)
			require.Equal(t, want.Path, c.Path)
			require.Equal(t, want.Secure, c.Secure)
			require.Empty(t, c.Domain)
		}
		state, err := open[begun](s.keys, forState, begin.Value)
		require.NoError(t, err)
		require.Equal(t, "R", state.Register)
		to, err := url.Parse(w.Header().Get("Location"))
		require.NoError(t, err)
		require.Equal(t, state.State, to.Query().Get("state"))
		require.Equal(t, address+"/callback", to.Query().Get("redirect_uri"))
	}
}

// only returns the one cookie that an answer sets.
func only(t *testing.T, w *httptest.ResponseRecorder, name string) *http.Cookie {
	t.Helper()
	cookies := w.Result().Cookies()
	require.Len(t, cookies, 1)
	require.Equal(t, name, cookies[0].Name)
	return cookies[0]
}

// TestTwoTabs opens the first page twice: both forms are good.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	at, err := url.Parse(s.url("/"))
	require.NoError(t, err)
	first := s.get(t, "/", "")
	jar.SetCookies(at, first.Result().Cookies())
	cookie := jar.Cookies(at)[0].Value
	second := s.get(t, "/", cookie)
	require.Empty(t, second.Result().Cookies())
	of, err := open[session](s.keys, forSession, cookie)
	require.NoError(t, err)
	w := s.post(t, "/connect", cookie, url.Values{"form": {s.formToken(of)}})
	require.Equal(t, http.StatusSeeOther, w.Code)
}

func TestPairProblems(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	fail := func(kind tillroute.Kind, outcome tillroute.Outcome, after time.Duration) error {
		return &tillroute.Error{Kind: kind, Outcome: outcome, RetryAfter: after, Message: "it has a customer"}
	}
	for name, test := range map[string]struct {
		err  error
		says string
	}{
		"too many tries": {
			pairing.Errorf(tillroute.KindRateLimited, pairing.ErrTooManyTries, "later"),
			"Too many wrong codes were typed. Wait a moment and try again.",
		},
		"unknown": {
			fail(tillroute.KindTimeout, tillroute.Unknown, 0),
			"It is not known whether this has worked.",
		},
		"an error that says nothing": {errors.New("dial tcp 10.0.0.7"), "It is not known whether this has worked."},
		"never arrived": {
			fail(tillroute.KindUnavailable, tillroute.Failed, 0),
			"The terminal's provider can't be reached. Nothing was changed. Wait a moment and try again.",
		},
		"busy": {
			fail(tillroute.KindBusy, tillroute.Failed, 61*time.Second),
			"The terminal is busy. Nothing was changed. Wait 2 minutes and try again.",
		},
		"refused": {
			fail(tillroute.KindInvalid, tillroute.Failed, 0),
			"The terminal's provider does not accept this. Nothing was changed.",
		},
		"in conflict": {
			fail(tillroute.KindConflict, tillroute.Failed, 0),
			"The terminal can't be paired as it is: it has a customer",
		},
	} {
		got := s.pairProblem(t.Context(), visit{}, lane{}, test.err)
		require.Contains(t, got, test.says, name)
		require.NotContains(t, got, "10.0.0.7", name)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Millisecond: "a few seconds", 11 * time.Second: "a minute", time.Minute: "a minute", 61 * time.Second: "2 minutes",
		10 * time.Minute: "10 minutes",
	} {
		require.Equal(t, want, wait(d), d)
	}
}
