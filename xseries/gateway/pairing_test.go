package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

const (
	streetKey = "a key of the tests, which is 32 bytes and more"

	// own is a provider whose terminals show our codes.
	own = "acme"

	registerGone = "06bf537b-c783-11e6-f6b9-53aa1e5f7c03"
)

// ownDriver serves terminals that show our codes. These tests take no payments.
type ownDriver struct{}

func (ownDriver) Start(context.Context, pairing.Payment) (pairing.Handle, error) {
	return pairing.Handle{}, errors.New("no payments here")
}

func (ownDriver) Await(context.Context, pairing.Payment, func(string)) (pairing.Result, error) {
	return pairing.Result{}, errors.New("no payments here")
}

// logBook collects what is logged.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// street has two stores with their own simulated X-Series, and one gateway for both.
type street struct {
	// acme is the one whose terminals are used, too. Its domain prefix is acme, the other one's other.
	acme, other *testserver.Systems
	store       *memstore.Store
	router      *pairing.Router
	handler     *gateway.Handler
	config      gateway.Config
	site        *httptest.Server
	log         *logBook

	mu sync.Mutex
	// consents is the store whose owner sits before the consent page.
	consents string
	// tokens, if it isn't empty, is the store whose server answers all requests for tokens.
	tokens string
	// rewrite, if it isn't nil, replaces text in what the stores answer.
	rewrite *strings.Replacer
	// meanwhile, if it isn't nil, is called once, before the next request for registers is answered.
	meanwhile func()
}

func (s *street) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// newStreet makes a street. change may alter the configuration of its gateway.
func newStreet(t *testing.T, change func(*gateway.Config)) *street {
	t.Helper()
	application := testserver.XSeriesOptions{ClientID: "the-application", ClientSecret: "the-secret-of-the-application"}
	simulate := func(prefix string) *testserver.Systems {
		of := application
		of.DomainPrefix = prefix
		return testserver.Start(t, testserver.Options{XSeries: of})
	}
	s := &street{acme: simulate("acme"), other: simulate("other"), store: memstore.New(memstore.Config{}), log: &logBook{}, consents: "acme"}
	at := s.acme.Describe()
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))

	terminals, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Acme", VendorName: "Tillroute", Currency: "NZD", BaseURL: at.SmartConnect.BaseURL,
		HTTP: tillroute.HTTPOptions{Logger: logger},
	})
	require.NoError(t, err)
	s.router, err = pairing.New(pairing.Config{
		Store: s.store, Logger: logger, CodeTries: 3,
		Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals), own: ownDriver{}},
	})
	require.NoError(t, err)

	vendor := httptest.NewServer(http.HandlerFunc(s.vendor))
	t.Cleanup(vendor.Close)
	var mux http.ServeMux
	s.site = httptest.NewServer(&mux)
	t.Cleanup(s.site.Close)

	s.config = gateway.Config{
		Router: s.router,
		Tokens: s.store,
		OAuth: xseries.OAuth{
			ClientID: application.ClientID, ClientSecret: tillroute.Secret(application.ClientSecret),
			AuthorizeURL: vendor.URL + "/connect", BaseURL: vendor.URL + "/{domain_prefix}",
		},
		URL:      s.site.URL + "/lightspeed",
		Key:      streetKey,
		Provider: smartconnect.Provider,
		Name:     "Acme Pay",
		HTTP:     tillroute.HTTPOptions{Retries: -1, MaxRetryAfter: time.Nanosecond, Logger: logger},
		Logger:   logger,
	}
	if change != nil {
		change(&s.config)
	}
	s.handler, err = gateway.New(s.config)
	require.NoError(t, err)
	mux.Handle("/lightspeed/", s.handler)
	t.Cleanup(func() { s.hides(t, s.log.String(), "the log") })
	return s
}

// vendor is both stores' servers, told apart by the first part of the path instead of the host.
func (s *street) vendor(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	prefix, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if prefix == "connect" {
		prefix, path = s.consents, "connect"
	}
	if s.tokens != "" && strings.HasSuffix(path, "/token") {
		prefix = s.tokens
	}
	rewrite := s.rewrite
	var meanwhile func()
	if strings.HasSuffix(path, "/registers") {
		meanwhile, s.meanwhile = s.meanwhile, nil
	}
	s.mu.Unlock()
	if meanwhile != nil {
		meanwhile()
	}
	systems := map[string]*testserver.Systems{"acme": s.acme, "other": s.other}[prefix]
	if systems == nil {
		http.Error(w, "no such store", http.StatusNotFound)
		return
	}
	to, err := url.Parse(systems.Describe().XSeries.BaseURL)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.URL.Path = to.Path + "/" + path
			p.Out.URL.RawPath = ""
		},
		ModifyResponse: func(answer *http.Response) error {
			if rewrite == nil {
				return nil
			}
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				return err
			}
			text = []byte(rewrite.Replace(string(text)))
			answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
			answer.Header.Del("Content-Length")
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	proxy.ServeHTTP(w, r)
}

// hides checks that a text has no secret.
func (s *street) hides(t *testing.T, text, where string) {
	t.Helper()
	secrets := []string{
		s.config.OAuth.ClientSecret.Reveal(), streetKey, "sim-access-", "sim-refresh-", "sim-code-",
	}
	ctx := context.Background()
	for _, prefix := range []string{"acme", "other"} {
		if grant, err := s.store.Grant(ctx, xseries.System, prefix); err == nil {
			secrets = append(secrets, grant.AccessToken.Reveal(), grant.RefreshToken.Reveal())
		}
	}
	list, _ := s.store.ListPairings(ctx, pairing.Register{}, 100) // One test closes the store.
	for _, p := range list {
		if p.Identity != "" {
			secrets = append(secrets, p.Identity.Reveal())
		}
	}
	for _, secret := range secrets {
		assert.NotContains(t, text, secret, "%s has a secret", where)
	}
}

func (s *street) pairing(t *testing.T, register string) pairing.Pairing {
	t.Helper()
	p, err := s.router.Pairing(t.Context(), xseries.RegisterKey("acme", register))
	require.NoError(t, err)
	return p
}

func (s *street) notPaired(t *testing.T, prefix, register string) {
	t.Helper()
	_, err := s.router.Pairing(t.Context(), xseries.RegisterKey(prefix, register))
	require.ErrorIs(t, err, tillroute.ErrNotFound)
}

// issue returns a code of ours, as the terminal shows it.
func (s *street) issue(t *testing.T, serial, name string) string {
	t.Helper()
	code, err := s.router.IssueCode(t.Context(), pairing.Terminal{Provider: own, Serial: serial}, name)
	require.NoError(t, err)
	return code.String()
}

// show returns a code of SmartConnect.
func (s *street) show(t *testing.T, device string) string {
	t.Helper()
	code, err := s.acme.SmartConnect.Device(device).ShowCode()
	require.NoError(t, err)
	return code
}

// browser is a merchant's.
type browser struct {
	street *street
	client *http.Client
	base   string
}

func (s *street) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	return &browser{street: s, client: client, base: s.site.URL + "/lightspeed"}
}

// page is what a browser shows.
type page struct {
	status int
	url    *url.URL
	header http.Header
	html   string
}

// text returns what people read.
func (p page) text() string {
	return strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(p.html, " "))), " ")
}

// path returns the page's address within the gateway.
func (p page) path() string { return strings.TrimPrefix(p.url.Path, "/lightspeed") }

// form is one that a page has, with the values that its fields have.
type form struct {
	action string
	values url.Values
}

var (
	formPattern  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)"[^>]*>(.*?)</form>`)
	fieldPattern = regexp.MustCompile(`<(?:input|select)[^>]*\bname="([^"]*)"`)
	valuePattern = regexp.MustCompile(`<input[^>]*\bname="([^"]*)" value="([^"]*)"`)
	choicePart   = regexp.MustCompile(`(?s)<select[^>]*\bname="([^"]*)".*?<option value="([^"]*)" selected>`)
)

// form returns the page's form that goes there.
func (p page) form(t *testing.T, action string) form {
	t.Helper()
	for _, found := range formPattern.FindAllStringSubmatch(p.html, -1) {
		if found[1] != "/lightspeed"+action {
			continue
		}
		values := url.Values{}
		for _, field := range fieldPattern.FindAllStringSubmatch(found[2], -1) {
			values.Set(field[1], "")
		}
		for _, pattern := range []*regexp.Regexp{valuePattern, choicePart} {
			for _, field := range pattern.FindAllStringSubmatch(found[2], -1) {
				values.Set(field[1], html.UnescapeString(field[2]))
			}
		}
		return form{found[1], values}
	}
	require.Failf(t, "no such form", "%s on a page of status %d:\n%s", action, p.status, p.text())
	return form{}
}

func (f form) with(name, value string) form {
	values := url.Values{}
	for key := range f.values {
		values.Set(key, f.values.Get(key))
	}
	values.Set(name, value)
	return form{f.action, values}
}

func (b *browser) open(t *testing.T, path string) page {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = b.base + path
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	require.NoError(t, err)
	return b.do(t, request)
}

func (b *browser) submit(t *testing.T, f form) page {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.street.site.URL+f.action, strings.NewReader(f.values.Encode()))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(t, request)
}

func (b *browser) do(t *testing.T, request *http.Request) page {
	t.Helper()
	response, err := b.client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	p := page{response.StatusCode, response.Request.URL, response.Header, string(text)}
	if response.Request.URL.Host == request.URL.Host && strings.HasPrefix(p.url.Path, "/lightspeed") {
		b.street.hides(t, p.html, "a page")
		assert.Contains(t, p.header.Get("Content-Security-Policy"), "frame-ancestors 'none'", "no page may be framed")
		assert.Contains(t, p.header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'")
		assert.NotRegexp(t, `<script|<style|<[a-z]+(?:\s+[a-z-]+(?:="[^"]*")?)*?\s+(?:style|on[a-z]+)=`, p.html, "pages need no script, and have no inline style")
		assert.Equal(t, "no-store", p.header.Get("Cache-Control"))
	}
	return p
}

// connect connects the store whose owner consents, and returns the page after it.
func (b *browser) connect(t *testing.T) page {
	t.Helper()
	p := b.submit(t, b.open(t, "/").form(t, "/connect"))
	require.Equal(t, http.StatusOK, p.status, p.text())
	require.Equal(t, "/pair", p.path())
	return p
}

// pair types a code on the pairing form.
func (b *browser) pair(t *testing.T, register, code string) page {
	t.Helper()
	return b.submit(t, b.open(t, "/pair").form(t, "/pair").with("register", register).with("code", code))
}

func TestPairWithAProvidersCode(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)

	p := b.open(t, "/?register="+testserver.RegisterMain)
	require.Equal(t, http.StatusOK, p.status)
	require.Contains(t, p.text(), "Connect your Lightspeed store")

	p = b.submit(t, p.form(t, "/connect"))
	require.Equal(t, "/pair", p.path())
	f := p.form(t, "/pair")
	require.Equal(t, testserver.RegisterMain, f.values.Get("register"), "the register that the merchant came for is chosen")
	require.Contains(t, p.text(), "Main Outlet – Main Register")
	require.Contains(t, p.text(), "Sydney – Main Register")
	require.NotContains(t, p.text(), "Old Register")
	require.NotContains(t, p.text(), "serial number", "it is not allowed here")

	p = b.submit(t, f.with("code", s.show(t, "7070714001")))
	require.Equal(t, http.StatusOK, p.status)
	require.Equal(t, "/paired", p.path())
	require.Contains(t, p.text(), "Main Outlet – Main Register is ready to take payments")
	require.Contains(t, p.text(), "It uses Terminal 7070714001.")
	require.Contains(t, p.text(), "Setup > Payment Types > Credit Card")
	require.Contains(t, p.html, `<code class="copy">`+s.handler.GatewayURL()+`</code>`)

	paired := s.pairing(t, testserver.RegisterMain)
	require.Equal(t, pairing.Terminal{Provider: smartconnect.Provider, Serial: "7070714001"}, paired.Terminal)
	require.Equal(t, "Main Outlet – Main Register", paired.RegisterName)
	require.NotEmpty(t, paired.Identity)
	grant, err := s.store.Grant(t.Context(), xseries.System, "acme")
	require.NoError(t, err)
	require.Equal(t, int64(1), grant.Version)

	p = b.open(t, "/")
	require.Equal(t, "/terminals", p.path(), "who is connected needs no welcome")
	require.Regexp(t, `Main Outlet – Main Register Terminal 7070714001 paired \d+ \w+ \d+, \d+:\d+ UTC Change Unpair`, p.text())
	require.Contains(t, p.text(), "Second Outlet – Second Register No terminal Pair")
	require.Equal(t, "/pair", b.open(t, "/?register="+testserver.RegisterSecond).path())
	require.Contains(t, b.open(t, "/pair").text(), "Main Outlet – Main Register (paired with Terminal 7070714001)")
}

func TestPairWithOurCode(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider = "" })
	b := s.browser(t)
	b.connect(t)
	code := s.issue(t, "T-1", "Counter")
	p := b.pair(t, testserver.RegisterSydney, " "+strings.ToLower(code)+" ")
	require.Equal(t, "/paired", p.path(), p.text())
	require.Contains(t, p.text(), "Sydney – Main Register is ready to take payments It uses Counter.")
	require.Equal(t, "T-1", s.pairing(t, testserver.RegisterSydney).Terminal.Serial)

	// A virtual register: a second one for the same terminal.
	p = b.pair(t, testserver.RegisterSecond, s.issue(t, "T-1", "Counter"))
	require.Equal(t, "/paired", p.path(), p.text())
	require.Equal(t, "T-1", s.pairing(t, testserver.RegisterSydney).Terminal.Serial)
	require.Equal(t, "T-1", s.pairing(t, testserver.RegisterSecond).Terminal.Serial)
	require.Contains(t, b.open(t, "/terminals").text(), "Several registers may share one terminal")
}

func TestPairWithASerialNumber(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) {
		c.Provider = ""
		c.Serial = func(_ context.Context, domainPrefix, serial string) (pairing.Terminal, error) {
			switch {
			case serial == "broken":
				return pairing.Terminal{}, errors.New("dial tcp 10.0.0.7: refused")
			case domainPrefix != "acme" || !strings.HasPrefix(serial, "ACME-"):
				return pairing.Terminal{}, tillroute.Invalid("acme", "Serial", "You have no terminal with the serial number %s.", serial)
			}
			return pairing.Terminal{Provider: own, Serial: serial}, nil
		}
	})
	b := s.browser(t)
	b.connect(t)
	p := b.open(t, "/pair?by=serial&register="+testserver.RegisterMain)
	require.Contains(t, p.text(), "Use the pairing code instead")
	f := p.form(t, "/pair")
	require.Equal(t, testserver.RegisterMain, f.values.Get("register"))

	p = b.submit(t, f.with("code", "SOMEBODY'S-1"))
	require.Equal(t, http.StatusUnprocessableEntity, p.status)
	require.Contains(t, p.text(), "You have no terminal with the serial number SOMEBODY'S-1.")
	require.Equal(t, "SOMEBODY'S-1", p.form(t, "/pair").values.Get("code"))
	require.Equal(t, "serial", p.form(t, "/pair").values.Get("by"))
	p = b.submit(t, f.with("code", "broken"))
	require.Contains(t, p.text(), "Serial numbers can't be looked up just now")
	require.NotContains(t, p.text(), "10.0.0.7")
	s.notPaired(t, "acme", testserver.RegisterMain)

	p = b.submit(t, f.with("code", "ACME-1"))
	require.Equal(t, "/paired", p.path(), p.text())
	require.Contains(t, p.text(), "It uses Terminal ACME-1.")

	p = b.submit(t, f.with("code", "ACME-1"))
	require.Equal(t, "/paired", p.path(), "it is paired like that already: there is nothing to ask")
	require.Equal(t, int64(1), s.pairing(t, testserver.RegisterMain).Version)

	p = b.submit(t, f.with("code", "ACME-2"))
	require.Contains(t, p.text(), "is paired with Terminal ACME-1. It will use the terminal with the serial number ACME-2 instead.")
	p = b.submit(t, p.form(t, "/pair"))
	require.Equal(t, "/paired", p.path(), p.text())
	require.Equal(t, "ACME-2", s.pairing(t, testserver.RegisterMain).Terminal.Serial)

	p = b.open(t, "/pair")
	require.Contains(t, p.text(), "Use the serial number instead")
	p = b.submit(t, p.form(t, "/pair").with("register", testserver.RegisterSecond).with("code", "ACME-1"))
	require.Contains(t, p.text(), "No terminal shows this code", "a serial number is no code")
}

func TestSerialNumbersMustBeAllowed(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider = "" })
	b := s.browser(t)
	b.connect(t)
	f := b.open(t, "/pair?by=serial").form(t, "/pair")
	require.NotContains(t, f.values, "by")
	p := b.submit(t, f.with("by", "serial").with("register", testserver.RegisterMain).with("code", "T-1"))
	require.Contains(t, p.text(), "No terminal shows this code")
	s.notPaired(t, "acme", testserver.RegisterMain)
}

func TestAFailedAttemptChangesNothing(t *testing.T) {
	type scene struct {
		*street
		*browser
	}
	tests := map[string]struct {
		ours bool
		// prepare returns the code to type.
		prepare func(*testing.T, scene) string
		says    string
	}{
		"nothing typed": {prepare: func(*testing.T, scene) string { return "  " }, says: "Type the pairing code that the terminal shows."},
		"wrong code": {prepare: func(t *testing.T, _ scene) string {
			t.Helper()
			return `"><b>12345`
		}, says: "No terminal shows this code. Type it exactly as the terminal shows it now."},
		"our wrong code": {ours: true, prepare: func(*testing.T, scene) string { return "ABCD-EFGH" }, says: "No terminal shows this code."},
		"replaced code": {ours: true, prepare: func(t *testing.T, s scene) string {
			t.Helper()
			old := s.issue(t, "T-1", "")
			s.issue(t, "T-1", "")
			return old
		}, says: "This code has expired. Type the one that the terminal shows now."},
		"used code": {ours: true, prepare: func(t *testing.T, s scene) string {
			t.Helper()
			code := s.issue(t, "T-1", "")
			require.Equal(t, "/paired", s.pair(t, testserver.RegisterSecond, code).path())
			return code
		}, says: "This code was used before. Have the terminal show a new one, and type that."},
		"too many tries": {ours: true, prepare: func(t *testing.T, s scene) string {
			t.Helper()
			for range 3 {
				s.pair(t, testserver.RegisterMain, "WRONG")
			}
			return s.issue(t, "T-1", "")
		}, says: "Too many wrong codes were typed. Wait 10 minutes and try again."},
		"provider can't be reached": {prepare: func(t *testing.T, s scene) string {
			t.Helper()
			s.acme.Fault(testserver.On("smartconnect", "PUT", ""), testserver.Status(503, "").RetryAfter(3*time.Minute))
			return "12345678"
		}, says: "It is not known whether this has worked."},
		"provider refuses": {prepare: func(t *testing.T, s scene) string {
			t.Helper()
			s.acme.Fault(testserver.On("smartconnect", "PUT", ""), testserver.Status(429, "").RetryAfter(3*time.Minute))
			return "12345678"
		}, says: "The terminal's provider is asked too often just now. Nothing was changed. Wait 3 minutes and try again."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, func(c *gateway.Config) {
				if test.ours {
					c.Provider = ""
				}
			})
			b := s.browser(t)
			b.connect(t)
			code := test.prepare(t, scene{s, b})
			p := b.pair(t, testserver.RegisterMain, code)
			require.Equal(t, http.StatusUnprocessableEntity, p.status)
			require.Contains(t, p.text(), test.says)
			s.notPaired(t, "acme", testserver.RegisterMain)

			f := p.form(t, "/pair")
			require.Equal(t, strings.TrimSpace(code), f.values.Get("code"), "what was typed is still there")
			require.Equal(t, testserver.RegisterMain, f.values.Get("register"))
			require.NotContains(t, p.html, `"><b>`, "and can't become part of the page")
			require.Regexp(t, `(?s)<p class="bad" id="code-problem">[^<]+</p>\s*<input id="code"[^>]*\saria-describedby="code-problem code-hint" aria-invalid="true" autofocus>`, p.html)
			require.Regexp(t, `<title>Error: `, p.html)
		})
	}
}

func TestUnknownWhetherItWorked(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	b.connect(t)
	require.Equal(t, "/paired", b.pair(t, testserver.RegisterMain, s.show(t, "7070714000")).path())
	// The register's identity is known, so the driver can't find out by itself.
	s.acme.Fault(testserver.On("smartconnect", "PUT", ""), testserver.LoseReply())
	p := b.pair(t, testserver.RegisterMain, s.show(t, "7070714001"))
	p = b.submit(t, p.form(t, "/pair"))
	require.Equal(t, http.StatusUnprocessableEntity, p.status)
	require.Contains(t, p.text(), "It is not known whether this has worked. Look at the terminal")
}

func TestTheRegisterMustBeTheStores(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider = "" })
	b := s.browser(t)
	b.connect(t)
	for _, id := range []string{"", "made-up", registerGone, "../outlets"} {
		code := s.issue(t, "T-1", "")
		p := b.pair(t, id, code)
		require.Equal(t, http.StatusUnprocessableEntity, p.status)
		require.Contains(t, p.text(), "Choose the register that the terminal stands beside.")
		require.Regexp(t, `<select[^>]* aria-invalid="true" aria-describedby="register-problem" autofocus>`, p.html)
		require.Equal(t, code, p.form(t, "/pair").values.Get("code"))
	}
	list, err := s.store.ListPairings(t.Context(), pairing.Register{}, 10)
	require.NoError(t, err)
	require.Empty(t, list)

	p := b.open(t, "/pair?register=made-up")
	require.Contains(t, p.text(), "The register that you came from is not one of this store’s.")
	require.Empty(t, p.form(t, "/pair").values.Get("register"))
}

func TestReplaceATerminal(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider = "" })
	b := s.browser(t)
	b.connect(t)
	require.Equal(t, "/paired", b.pair(t, testserver.RegisterMain, s.issue(t, "T-1", "Terminal 123")).path())

	code := s.issue(t, "T-2", "Window")
	ask := b.pair(t, testserver.RegisterMain, code)
	require.Equal(t, http.StatusOK, ask.status)
	require.Contains(t, ask.text(), "Main Outlet – Main Register is paired with Terminal 123. It will use the terminal that shows the code "+code+" instead.")
	require.Equal(t, "T-1", s.pairing(t, testserver.RegisterMain).Terminal.Serial, "nothing changes before the merchant has confirmed")
	confirm := ask.form(t, "/pair")

	// Meanwhile somebody else pairs the register with another.
	_, err := s.router.PairTerminal(t.Context(), pairing.Pairing{
		Register: xseries.RegisterKey("acme", testserver.RegisterMain),
		Terminal: pairing.Terminal{Provider: own, Serial: "T-3"}, TerminalName: "Door",
	})
	require.NoError(t, err)
	ask = b.submit(t, confirm)
	require.Contains(t, ask.text(), "The pairing has changed since you looked. Main Outlet – Main Register is paired with Door.")
	require.Equal(t, "T-3", s.pairing(t, testserver.RegisterMain).Terminal.Serial)

	p := b.submit(t, ask.form(t, "/pair"))
	require.Equal(t, "/paired", p.path(), p.text())
	require.Contains(t, p.text(), "It uses Window.")
	require.Equal(t, "T-2", s.pairing(t, testserver.RegisterMain).Terminal.Serial)

	p = b.submit(t, ask.form(t, "/pair"))
	require.Contains(t, p.text(), "The pairing has changed since you looked.", "the same form again confirms nothing")

	ask = b.pair(t, testserver.RegisterMain, "WRONG")
	p = b.submit(t, ask.form(t, "/pair"))
	require.Equal(t, http.StatusUnprocessableEntity, p.status)
	require.Contains(t, p.text(), "No terminal shows this code")
	require.Equal(t, "T-2", s.pairing(t, testserver.RegisterMain).Terminal.Serial, "a failed attempt changes nothing")
}

func TestConfirmedAndUnpairedMeanwhile(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider = "" })
	b := s.browser(t)
	b.connect(t)
	require.Equal(t, "/paired", b.pair(t, testserver.RegisterMain, s.issue(t, "T-1", "")).path())
	ask := b.pair(t, testserver.RegisterMain, s.issue(t, "T-2", ""))
	require.NoError(t, s.router.Unpair(t.Context(), xseries.RegisterKey("acme", testserver.RegisterMain)))
	require.Equal(t, "/paired", b.submit(t, ask.form(t, "/pair")).path(), "there is nothing left to replace")
	require.Equal(t, "T-2", s.pairing(t, testserver.RegisterMain).Terminal.Serial)
}

func TestNamesAreText(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider = "" })
	long := strings.Repeat("ö", 300)
	s.set(func() {
		s.rewrite = strings.NewReplacer(`Main Register`, `<script>alert('x')</script>&amp;\u0007\"`, `Main Outlet`, `<img src=x onerror=1>`, `Third register`, long)
	})
	b := s.browser(t)
	b.connect(t)
	const label = `<img src=x onerror=1> – <script>alert('x')</script>&amp;`
	pages := []page{b.pair(t, testserver.RegisterMain, s.issue(t, `T"><script>1`, `<script>2`))}
	require.Equal(t, "/paired", pages[0].path(), pages[0].text())
	pages = append(pages, b.open(t, "/terminals"), b.open(t, "/pair"), b.open(t, "/unpair?register="+testserver.RegisterMain),
		b.pair(t, testserver.RegisterMain, s.issue(t, "T-2", "")))
	for _, p := range pages {
		require.NotContains(t, p.html, "<script")
		require.NotContains(t, p.html, "<img")
		require.Contains(t, html.UnescapeString(p.html), label)
		require.Contains(t, html.UnescapeString(p.html), "<script>2")
	}
	require.Equal(t, label+` "`, s.pairing(t, testserver.RegisterMain).RegisterName, "what can't be kept is a space")

	p := b.pair(t, testserver.RegisterThird, s.issue(t, "T-3", ""))
	require.Equal(t, "/paired", p.path(), p.text())
	require.Len(t, []rune(s.pairing(t, testserver.RegisterThird).RegisterName), 200)
}

func TestTwoStores(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider = "" })
	acme, other := s.browser(t), s.browser(t)
	acme.connect(t)
	s.set(func() { s.consents = "other" })
	other.connect(t)
	// The simulated stores have registers of the same IDs, as nobody's stores do.
	require.Equal(t, "/paired", acme.pair(t, testserver.RegisterMain, s.issue(t, "T-1", "Acme's terminal")).path())
	require.Equal(t, "/paired", other.pair(t, testserver.RegisterSecond, s.issue(t, "T-2", "The other one's")).path())
	require.Equal(t, "T-1", s.pairing(t, testserver.RegisterMain).Terminal.Serial)
	s.notPaired(t, "other", testserver.RegisterMain)
	s.notPaired(t, "acme", testserver.RegisterSecond)

	for b, names := range map[*browser][2]string{acme: {"Acme's terminal", "The other one's"}, other: {"The other one's", "Acme's terminal"}} {
		for _, path := range []string{"/terminals", "/pair"} {
			text := b.open(t, path).text()
			require.Contains(t, text, names[0])
			require.NotContains(t, text, names[1])
		}
	}
	require.Equal(t, "/terminals", other.open(t, "/paired?register="+testserver.RegisterMain).path())
	require.Equal(t, "/terminals", other.open(t, "/unpair?register="+testserver.RegisterMain).path())
	p := other.submit(t, other.open(t, "/unpair?register="+testserver.RegisterSecond).form(t, "/unpair").with("register", testserver.RegisterMain))
	require.Equal(t, "/terminals", p.path())
	require.Equal(t, "T-1", s.pairing(t, testserver.RegisterMain).Terminal.Serial)
}

// TestManyPairings has more pairings than one page of the list, of more than one store and system.
func TestManyPairings(t *testing.T) {
	s := newStreet(t, nil)
	put := func(system, account, id, terminal string) {
		_, err := s.store.PutPairing(t.Context(), pairing.Pairing{
			Register: pairing.Register{System: system, Account: account, ID: id}, RegisterName: "Removed " + id,
			Terminal: pairing.Terminal{Provider: own, Serial: terminal},
		}, -1)
		require.NoError(t, err)
	}
	for i := range 250 {
		put(xseries.System, "acme", "gone-"+string(rune('a'+i%26))+strings.Repeat("x", i/26), "T-acme")
	}
	put(xseries.System, "acme-2", "1", "T-acme-2")
	put(xseries.System, "aaa", "1", "T-aaa")
	put("zseries", "acme", "1", "T-zseries")
	b := s.browser(t)
	b.connect(t)
	text := b.open(t, "/terminals").text()
	require.Equal(t, 250, strings.Count(text, "The store no longer has this register. Terminal T-acme "))
	require.NotContains(t, text, "T-acme-2")
	require.NotContains(t, text, "T-aaa")
	require.NotContains(t, text, "T-zseries")
}

func TestUnpair(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider = "" })
	b := s.browser(t)
	b.connect(t)
	require.Equal(t, "/paired", b.pair(t, testserver.RegisterMain, s.issue(t, "T-1", "Counter")).path())
	p := b.open(t, "/unpair?register="+testserver.RegisterMain)
	require.Contains(t, p.text(), "Unpair Main Outlet – Main Register? Main Outlet – Main Register is paired with Counter.")
	s.pairing(t, testserver.RegisterMain)
	confirm := p.form(t, "/unpair")

	ask := b.pair(t, testserver.RegisterMain, s.issue(t, "T-2", "Window"))
	require.Equal(t, "/paired", b.submit(t, ask.form(t, "/pair")).path())
	p = b.submit(t, confirm)
	require.Contains(t, p.text(), "The pairing has changed since you looked. Main Outlet – Main Register is paired with Window.")
	s.pairing(t, testserver.RegisterMain)

	p = b.submit(t, p.form(t, "/unpair"))
	require.Equal(t, "/terminals", p.path())
	require.Contains(t, p.text(), "Main Outlet – Main Register is no longer paired with a terminal.")
	s.notPaired(t, "acme", testserver.RegisterMain)
	require.Equal(t, "/terminals", b.submit(t, confirm).path(), "it is unpaired already")
	require.Equal(t, "/terminals", b.open(t, "/unpair?register="+testserver.RegisterMain).path())
}

func TestUnpairARegisterThatIsGone(t *testing.T) {
	s := newStreet(t, nil)
	_, err := s.router.PairTerminal(t.Context(), pairing.Pairing{
		Register: xseries.RegisterKey("acme", registerGone), RegisterName: "Main Outlet – Old Register",
		Terminal: pairing.Terminal{Provider: own, Serial: "T-9"},
	})
	require.NoError(t, err)
	b := s.browser(t)
	b.connect(t)
	require.NotContains(t, b.open(t, "/pair").text(), "Old Register")
	p := b.open(t, "/terminals")
	require.Regexp(t, `Main Outlet – Old Register The store no longer has this register. Terminal T-9 paired [^U]+ UTC Unpair`, p.text())
	require.Equal(t, "/terminals", b.open(t, "/paired?register="+registerGone).path(), "it is not ready for anything")
	p = b.submit(t, b.open(t, "/unpair?register="+registerGone).form(t, "/unpair"))
	require.Equal(t, "/terminals", p.path())
	s.notPaired(t, "acme", registerGone)
}

func TestStoreTrouble(t *testing.T) {
	tests := map[string]struct {
		fault  testserver.Fault
		status int
		says   []string
		retry  bool
	}{
		"unreachable":  {testserver.Status(503, ""), http.StatusServiceUnavailable, []string{"Lightspeed can't be reached."}, true},
		"rate limited": {testserver.Status(429, "").RetryAfterDate(3 * time.Minute), http.StatusServiceUnavailable, []string{"Lightspeed is asked too often just now.", "Wait 3 minutes."}, true},
		"forbidden":    {testserver.Status(403, ""), http.StatusForbidden, []string{"Lightspeed does not allow the registers to be read."}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, nil)
			b := s.browser(t)
			f := b.connect(t).form(t, "/pair").with("register", testserver.RegisterMain).with("code", s.show(t, "7070714000"))
			s.acme.Fault(testserver.On("xseries", "GET", "/api"), test.fault)
			p := b.submit(t, f)
			require.Equal(t, test.status, p.status)
			for _, text := range test.says {
				require.Contains(t, p.text(), text)
			}
			s.notPaired(t, "acme", testserver.RegisterMain)
			if test.retry {
				require.Contains(t, p.html, `href="/lightspeed/pair?register=`+testserver.RegisterMain+`">Retry</a>`)
			} else {
				require.Contains(t, p.html, `href="/lightspeed/?register=`+testserver.RegisterMain+`">Connect again</a>`)
			}
		})
	}
}

func TestPairingsCannotBeRead(t *testing.T) {
	s := newStreet(t, nil)
	b := s.browser(t)
	b.connect(t)
	require.NoError(t, s.store.Close())
	p := b.open(t, "/terminals")
	require.Equal(t, http.StatusServiceUnavailable, p.status)
	require.NotContains(t, p.text(), "memstore")
	require.Contains(t, p.html, `>Retry</a>`)
}

func TestEveryPageHasItsParts(t *testing.T) {
	s := newStreet(t, func(c *gateway.Config) { c.Provider, c.Support = "", "Call 0800 555 111." })
	b := s.browser(t)
	pages := []page{b.open(t, "/"), b.connect(t)}
	pages = append(pages, b.pair(t, testserver.RegisterMain, s.issue(t, "T-1", "")), b.pair(t, testserver.RegisterMain, "X"),
		b.open(t, "/terminals"), b.open(t, "/unpair?register="+testserver.RegisterMain), b.open(t, "/callback"))
	for _, p := range pages {
		require.Contains(t, p.text(), "Acme Pay")
		require.Contains(t, p.text(), "Call 0800 555 111.")
		require.Len(t, regexp.MustCompile(`<h1>`).FindAllString(p.html, -1), 1)
		require.Regexp(t, `<title>[^<]+ – Acme Pay</title>`, p.html)
		require.NotContains(t, cmp.Or(p.header.Get("Location"), p.html), "http-equiv")
	}
}
