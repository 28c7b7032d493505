package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/grants"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// minKey is how many bytes a Key has at least.
const minKey = 32

// Config configures a [Handler].
type Config struct {
	// Router routes the payments. Required. Its Run must run, here or on another node.
	Router *pairing.Router
	// Tokens is where the stores' grants are kept, under [xseries.System] and the domain prefix. Required.
	Tokens pairing.Tokens
	// OAuth is the application, as it is registered with the vendor. Its RedirectURL defaults to URL + "/callback", which is
	// the one to register; its Scopes default to registers:read and outlets:read, which the pages need.
	OAuth xseries.OAuth
	// URL is where browsers reach the handler, such as https://pay.example.com/xseries. Its path is where the handler is
	// mounted. Required; https, but for a loopback address.
	URL string
	// Key signs what the pages carry. Required: 32 random bytes at least, kept, and the same on all nodes. Whoever knows it
	// can pair terminals with any store's registers.
	Key tillroute.Secret
	// Provider is the one whose terminals show the pairing codes that merchants type in, such as smartconnect.Provider. Empty
	// means codes of [pairing.Router.IssueCode].
	Provider string
	// Serial finds a terminal by the serial number that a merchant typed in, instead of a pairing code. It says whether
	// that merchant may have that terminal: its error, if it is a [*tillroute.Error], is shown. nil means pairing codes only.
	Serial func(ctx context.Context, domainPrefix, serial string) (pairing.Terminal, error)
	// Check is asked before a payment is submitted, and may refuse it: its error, if it is a [*tillroute.Error], is shown to
	// the cashier. Nothing that a browser says is signed by the vendor; a company that knows more, such as a shop's
	// addresses or its limit for refunds, says no here. nil accepts all. r is the browser's request.
	Check func(r *http.Request, payment pairing.Request) error
	// CashierMayResolve lets the cashier say how a payment of unknown outcome ended, as the terminal shows it. Otherwise
	// it waits for [pairing.Router.Resolve].
	CashierMayResolve bool
	// Name is the payment company's, as the pages show it. Defaults to "Card payments".
	Name string
	// Support says whom to ask, and is shown where a person has to decide: "Call 0800 555 111, day and night." Optional.
	Support string
	// Legacy also allows sell screens on https://*.vendhq.com.
	Legacy bool
	// Stores are further sell screens that may use the Pay page, by origin, with the domain prefix of the store that each
	// belongs to: for simulators and tests.
	Stores map[string]string
	// APIVersion is that of the X-Series API. Defaults to [xseries.LatestAPIVersion].
	APIVersion string
	// HTTP says how to talk to X-Series, also for tokens if OAuth.HTTP is the zero value.
	HTTP tillroute.HTTPOptions
	// Logger gets what an operator needs to know, with the keys store, register, payment, mark and error. Defaults to silence.
	Logger *slog.Logger
}

// Handler serves the pages. It is safe for concurrent use, and any number of nodes may serve the same pages from the same
// store.
//
// # What a sale has
//
// The sell screen doesn't acknowledge an ACCEPT. That the sale has an approved payment follows from two things together: a page was
// about to say so, and the sale's paid sum has since grown by at least as much. Where these contradict each other, the cashier is
// asked. (Cash of the same amount, taken after an ACCEPT was lost, looks the same as that payment; reconcile with
// [xseries.SalesService].)
//
// The [pairing.Payment] keeps how far it has come as its Mark: "", "told …", "recorded: …" or "given back: …". Approved payments whose
// mark is empty were not handed to a sale as far as is known: list them with [pairing.Router.Payments], and look at the sale before
// giving anything back. (A page that can't reach the gateway for five seconds hands an approved payment over all the same, and nobody
// can write that down.)
//
// # What is trusted
//
// The vendor signs nothing: whoever knows the address of the Pay page can open it with any register and amount. Opening it has no
// effect. To begin a payment takes a token of a page that was opened, and a message that says the same as its address; the register
// must be the store's, and paired. That keeps other sites and mistakes away, not somebody who talks to the gateway directly: they
// can have a terminal ask for a card, which somebody has to present there. [Config.Check] is where a company that knows more says no.
//
// Messages go to the sell screen's exact origin, and only those from there are heard. Other sites can't frame the pages, nor send
// forms. There is no inline script, and nothing is loaded from elsewhere. No cookie is needed in the iframe.
//
// # Running it
//
// Nodes may serve the same page in turns. Progress comes as server-sent events that last 25 s at most; through proxies that hold them
// back the page asks every 1.5 s instead. A Pay page may wait 12 hours for a pairing, and follow a payment for 7 days. Under another
// Key, merchants connect again and open Pay pages are opened again; payments go on. What is known of a register, such as its currency,
// is asked for again after ten minutes. Register [Handler.Close] with [http.Server.RegisterOnShutdown].
//
// Clients that are slow on purpose are for the server: set the timeouts of [http.Server]. That for writing must be above 70 s,
// which pairing a terminal may take; streams of progress see to their own.
type Handler struct {
	config  Config
	base    *url.URL // without a slash at the end
	origins xseries.Origins
	log     *slog.Logger
	mux     *http.ServeMux
	keys    keys
	pages   map[string]*template.Template
	// protection refuses requests that other sites' pages make.
	protection *http.CrossOriginProtection

	mu     sync.Mutex
	stores map[string]*store

	// closed is closed by Close.
	closed chan struct{}
	close  func()
}

// New checks the configuration and returns a handler. It sends nothing. Its error names every field that is wrong.
func New(config Config) (*Handler, error) {
	base, problems := config.prepare()
	if len(problems) > 0 {
		return nil, tillroute.Invalid(xseries.System, "gateway.New", "%s", strings.Join(problems, "; "))
	}
	h := &Handler{
		config: config,
		base:   base,
		origins: xseries.Origins{
			Legacy: config.Legacy,
			Also:   slices.Sorted(maps.Keys(config.Stores)),
		},
		log:    config.Logger,
		keys:   newKeys(config.Key),
		stores: map[string]*store{},
		closed: make(chan struct{}),

		protection: http.NewCrossOriginProtection(),
	}
	// A proxy may hide the host that the browser asked. The origin is valid, and nothing else can fail.
	_ = h.protection.AddTrustedOrigin(base.Scheme + "://" + base.Host)
	h.config.Key = "" // The keys that are made of it are all that is needed.
	h.close = sync.OnceFunc(func() { close(h.closed) })
	h.pages = h.parsePages()
	h.routes()
	return h, nil
}

// prepare fills in the defaults, and returns what is wrong.
func (c *Config) prepare() (*url.URL, []string) {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.Router == nil {
		add("Router is missing")
	}
	if c.Tokens == nil {
		add("Tokens is missing: a pairing.Store has them")
	}
	base, err := url.Parse(strings.TrimRight(c.URL, "/"))
	switch {
	case strings.Contains(c.URL, "@"):
		// It is not shown: it may have a password.
		add("URL has an @: leave out who is asking")
		base = &url.URL{}
	case err != nil || base.Host == "" || strings.ContainsAny(c.URL, "?#"):
		add("URL %.100q is not the address of the handler, such as https://pay.example.com/xseries", c.URL)
		base = &url.URL{}
	case base.Path != "" && (path.Clean(base.Path) != base.Path || base.EscapedPath() != base.Path):
		add("URL %.100q has a path that is not plain: use letters, digits and dashes", c.URL)
		base = &url.URL{}
	case !grants.Shielded(base):
		add("URL %.100q is not https", c.URL)
	}
	if len(c.Key) < minKey {
		add("Key has %d bytes, and must have %d at least", len(c.Key), minKey)
	}
	if c.OAuth.RedirectURL == "" {
		c.OAuth.RedirectURL = base.String() + "/callback"
	}
	if c.OAuth.RedirectURL != base.String()+"/callback" {
		add("OAuth.RedirectURL is %.100q, and must be URL + %q", c.OAuth.RedirectURL, "/callback")
	}
	if len(c.OAuth.Scopes) == 0 {
		c.OAuth.Scopes = []string{"registers:read", "outlets:read"}
	}
	if c.HTTP.Transport == nil {
		c.HTTP.Transport = rest.NewTransport()
	}
	if reflect.ValueOf(c.OAuth.HTTP).IsZero() {
		c.OAuth.HTTP = c.HTTP
	}
	if c.OAuth.HTTP.Transport == nil {
		c.OAuth.HTTP.Transport = c.HTTP.Transport
	}
	if _, err := c.OAuth.AuthCodeURL(xseries.NewState()); err != nil {
		add("OAuth: %s", message(err))
	}
	for origin, prefix := range c.Stores {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			add("Stores has the origin %.100q, which is not a scheme and a host", origin)
		}
		if _, err := c.client(prefix); c.Tokens != nil && err != nil {
			add("Stores: %s", message(err))
		}
	}
	// What a store's client would refuse later, whatever the store. The application was looked at above.
	_, err = xseries.New(xseries.Config{DomainPrefix: "any", AccessToken: "any", APIVersion: c.APIVersion, HTTP: c.HTTP})
	if err != nil {
		add("%s", message(err))
	}
	c.Name = cmp.Or(c.Name, "Card payments")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return base, problems
}

// client returns a client for a store.
func (c *Config) client(domainPrefix string) (*xseries.Client, error) {
	return xseries.New(xseries.Config{
		DomainPrefix: domainPrefix, OAuth: c.OAuth, Tokens: c.Tokens, APIVersion: c.APIVersion, HTTP: c.HTTP,
	})
}

// GatewayURL returns what the merchant enters as the gateway of a payment type.
func (h *Handler) GatewayURL() string { return h.url("/pay") }

// PairingURL returns where a merchant begins to pair terminals.
func (h *Handler) PairingURL() string { return h.url("/") }

// pairingLink returns where to pair that register.
func (h *Handler) pairingLink(registerID string) string {
	return h.PairingURL() + "?" + url.Values{"register": {registerID}}.Encode()
}

// Close ends the streams of progress that are open, and keeps new ones short. Register it with
// [http.Server.RegisterOnShutdown]: the pages come back to another node, or to this one when it runs again.
func (h *Handler) Close() { h.close() }

// String returns where the handler is. What it is made of has secrets, which fmt would show.
func (h *Handler) String() string { return "gateway at " + h.base.String() }

// GoString returns what String does.
func (h *Handler) GoString() string { return h.String() }

// url returns the address of one of the handler's pages.
func (h *Handler) url(path string) string { return h.base.String() + path }

func (h *Handler) routes() {
	h.mux = http.NewServeMux()
	handle := func(pattern string, serve http.HandlerFunc) {
		method, path, _ := strings.Cut(pattern, " ")
		h.mux.Handle(method+" "+h.base.Path+path, serve)
	}
	handle("GET /assets/{name}", h.asset)

	handle("GET /pay", h.payPage)
	handle("POST /pay/start", h.payStart)
	handle("GET /pay/progress", h.payProgress)
	handle("POST /pay/told", h.payTold)
	handle("POST /pay/withdraw", h.payWithdraw)
	handle("POST /pay/resolve", h.payResolve)

	h.pairingRoutes(handle)
}

// ServeHTTP serves the pages under the path of [Config.URL].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy("'none'", ""))
	header.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: without Sec-Fetch-Site, browsers would then send forms as from nowhere.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	if err := h.protection.Check(r); err != nil {
		h.problem(w, r, http.StatusForbidden, "This request came from another site.", "Go back and try again.")
		return
	}
	if _, pattern := h.mux.Handler(r); pattern == "" {
		h.problem(w, r, http.StatusNotFound, "There is no such page.", "Check the address.")
		return
	}
	h.mux.ServeHTTP(w, r)
}

// policy is the Content-Security-Policy of a page that these may embed, and whose forms may also lead to others.
func policy(ancestors, others string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; " +
		"form-action 'self'" + others + "; frame-ancestors " + ancestors
}

// message is what an error says to people: without the names of programs if it is one of ours.
func message(err error) string {
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}
