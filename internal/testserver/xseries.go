package testserver

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	// xseriesName is the system's name in requests, violations and faults.
	xseriesName = "xseries"

	// rateWindow is the documented window of the rate limit.
	rateWindow = 5 * time.Minute
	// tokenWindow is the window of the token endpoint's own limit. Judgment: the vendor shows the headers only.
	tokenWindow = time.Minute
)

// The error texts of X-Series. The first three are the vendor's; the others are judgments.
const (
	textTokenInvalid = "Access token is not valid"
	textForbidden    = "permission denied"
	textTooMany      = "Too Many Requests"

	textRouteUnknown  = "not found"
	textMethodUnknown = "method not allowed"
	textBadRequest    = "bad request"
)

// XSeriesOptions are the settings of the simulated Lightspeed X-Series. The zero value of each is its default.
type XSeriesOptions struct {
	// ClientID and ClientSecret are those of the one registered application. Default: random.
	ClientID, ClientSecret string
	// DomainPrefix is the store's. Default: "simstore".
	DomainPrefix string
	// PersonalToken is accepted as a bearer token with all scopes. Default: random.
	PersonalToken string
	// Origin is the sell screen's, as given to gateways.
	// Default: https://{DomainPrefix}.retail.lightspeed.app.
	Origin string
	// GatewayURL is what the merchant entered as gateway of the payment type "Credit Card". Default: none.
	GatewayURL string
	// AccessTTL is the life of an access token. Default: 24 hours (the vendor shows 86400 s and 604800 s).
	AccessTTL time.Duration
	// CodeTTL is the life of an authorization code. Default: 10 minutes.
	CodeTTL time.Duration
	// RateLimit is the number of requests in five minutes. Default: 300 for each register and 50 more.
	RateLimit int
	// TokenLimit is the number of requests a minute to the token endpoint. Default: 60.
	TokenLimit int
	// PageSize is the number of items in a page, and the most that page_size can ask for. Default: 200.
	PageSize int
	// Webhooks say how webhooks are delivered.
	Webhooks WebhookOptions
	// RefusalWithoutState leaves state out of a refused authorization; the vendor does not say whether it is sent.
	RefusalWithoutState bool
}

// withDefaults fills what is not set.
func (o XSeriesOptions) withDefaults() XSeriesOptions {
	o.ClientID = orDefault(o.ClientID, secret("sim-client-id-"))
	o.ClientSecret = orDefault(o.ClientSecret, secret("sim-client-secret-"))
	o.PersonalToken = orDefault(o.PersonalToken, secret("sim-personal-token-"))
	o.DomainPrefix = orDefault(o.DomainPrefix, "simstore")
	o.Origin = orDefault(o.Origin, "https://"+o.DomainPrefix+".retail.lightspeed.app")
	o.AccessTTL = orDefault(o.AccessTTL, 24*time.Hour)
	o.CodeTTL = orDefault(o.CodeTTL, 10*time.Minute)
	o.TokenLimit = orDefault(o.TokenLimit, 60)
	o.PageSize = orDefault(o.PageSize, 200)
	o.Webhooks = o.Webhooks.withDefaults()
	return o
}

// XSeries is the simulated Lightspeed Retail X-Series: OAuth, REST and the sell screen.
// Its methods may be called from any goroutine.
type XSeries struct {
	engine *Engine
	given  XSeriesOptions // as they were given
	opts   XSeriesOptions // with the defaults
	routes []xRoute

	mu       guard
	oauth    oauthState
	shop     shop
	gateway  string
	limits   map[string]*window // API budget by application
	tokenUse window
	modals   []*Modal
	webhooks []*webhook

	deliveries []*delivery // in the order in which they are made
	sending    sendingState
	changed    chan struct{} // closed and replaced whenever deliveries change
}

// window counts requests in a fixed window of time.
type window struct {
	start time.Time
	used  int
}

// take counts one request and returns how many remain, negative when it is one too many, and when the window ends.
func (w *window) take(now time.Time, limit int, length time.Duration) (remaining int, end time.Time) {
	if now.Sub(w.start) >= length {
		w.start, w.used = now, 0
	}
	w.used++
	return limit - w.used, w.start.Add(length)
}

func newXSeries(e *Engine, opts XSeriesOptions) *XSeries {
	s := &XSeries{engine: e, given: opts, opts: opts.withDefaults(), changed: make(chan struct{})}
	s.routes = append(s.restRoutes(), s.webhookRoutes()...)
	s.seed()
	return s
}

// seed puts the system into the state in which it starts.
func (s *XSeries) seed() {
	s.oauth = newOAuthState()
	s.shop = newShop()
	s.gateway = s.opts.GatewayURL
	s.limits = map[string]*window{}
	s.tokenUse = window{}
	s.modals = nil
	s.webhooks, s.deliveries = nil, nil
	s.sending = sendingState{WebhookOptions: s.opts.Webhooks}
}

// reset goes back to the state at start. Credentials stay as they are.
func (s *XSeries) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seed()
}

// SetGatewayURL sets what the merchant entered as gateway of the payment type "Credit Card".
func (s *XSeries) SetGatewayURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway = url
}

// handle answers one request to X-Series.
func (s *XSeries) handle(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := segments(x.path)
	switch {
	case slices.Equal(parts, []string{"connect"}):
		s.authorize(x)
	case slices.Equal(parts, []string{"api", "1.0", "token"}):
		s.token(x)
	case len(parts) > 2 && parts[0] == "api":
		s.rest(x, parts[1], parts[2:])
	default:
		x.violate("unknown path")
		x.fail(http.StatusNotFound, textRouteUnknown)
	}
}

// expire ends the life of the access token that the request carries.
func (s *XSeries) expire(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if grant, ok := s.oauth.access[bearer(x.r)]; ok {
		grant.expires = s.engine.now()
	}
}

// xRoute is one operation of the REST API.
type xRoute struct {
	method string
	path   string   // below the version; {id} stands for one segment
	scopes []string // all of them are needed
	query  []string // the query parameters that the vendor documents
	do     func(x *exchange, c xCall)
}

// xCall is what an operation is called with, beside the request.
type xCall struct {
	legacy      bool // version 2.0, whose sales look different
	id          string
	application string // who asks: the id of the application, or applicationPersonal
}

// applicationPersonal is who asks with a personal token.
const applicationPersonal = "personal"

// rest answers one request to the REST API: route, token, budget, scopes, then the operation.
func (s *XSeries) rest(x *exchange, version string, path []string) {
	if !knownVersion(version) {
		x.violate("unknown API version %q", version)
		x.fail(http.StatusNotFound, textRouteUnknown)
		return
	}
	route, id, status := s.route(x.r.Method, path)
	if status != 0 {
		x.violate("no such operation: %s %s", x.r.Method, strings.Join(path, "/"))
		x.fail(status, map[int]string{http.StatusNotFound: textRouteUnknown, http.StatusMethodNotAllowed: textMethodUnknown}[status])
		return
	}
	s.checkHeaders(x)
	application, scopes, ok := s.authenticate(x)
	if !ok || !s.spend(x, application) {
		return
	}
	for _, scope := range route.scopes {
		if scopes != nil && !slices.Contains(scopes, scope) {
			x.fail(http.StatusForbidden, textForbidden)
			return
		}
	}
	for key := range x.r.URL.Query() {
		if !slices.Contains(route.query, key) {
			x.violate("unknown query parameter %q", key)
		}
	}
	for _, key := range []string{"deleted", "only_lspay"} {
		if text := x.r.URL.Query().Get(key); text != "" && text != "true" && text != "false" {
			x.violate("query parameter %s is %q, must be true or false", key, text)
		}
	}
	route.do(x, xCall{legacy: version == "2.0", id: id, application: application})
}

// route finds the operation, or the status of the refusal.
func (s *XSeries) route(method string, path []string) (route xRoute, id string, status int) {
	status = http.StatusNotFound
	for _, candidate := range s.routes {
		pattern := strings.Split(candidate.path, "/")
		if len(pattern) != len(path) {
			continue
		}
		id, same := "", true
		for i, part := range pattern {
			switch part {
			case "{id}":
				id = path[i]
			case path[i]:
			default:
				same = false
			}
		}
		if !same {
			continue
		}
		if candidate.method == method {
			return candidate, id, 0
		}
		status = http.StatusMethodNotAllowed
	}
	return xRoute{}, "", status
}

// checkHeaders demands JSON in both directions, as the vendor's page on request formats does.
func (s *XSeries) checkHeaders(x *exchange) {
	if accept := x.r.Header.Get("Accept"); accept != "" && !strings.Contains(accept, "application/json") && !strings.Contains(accept, "*/*") {
		x.violate("Accept is %q, must allow application/json", accept)
	}
	if len(x.body) == 0 {
		return
	}
	if kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		x.violate("content type is %q, must be application/json", x.r.Header.Get("Content-Type"))
	}
}

// authenticate finds the application and its scopes; nil scopes mean all.
func (s *XSeries) authenticate(x *exchange) (application string, scopes []string, ok bool) {
	token := bearer(x.r)
	if token == "" {
		x.violate("no bearer token")
		x.fail(http.StatusUnauthorized, textTokenInvalid)
		return "", nil, false
	}
	if sameSecret(token, s.opts.PersonalToken) {
		return applicationPersonal, nil, true
	}
	grant, known := s.oauth.access[token]
	if !known || !s.engine.now().Before(grant.expires) {
		x.fail(http.StatusUnauthorized, textTokenInvalid)
		return "", nil, false
	}
	return s.opts.ClientID, strings.Fields(grant.scope), true
}

// spend takes one request from the application's budget and reports whether there was one left.
func (s *XSeries) spend(x *exchange, application string) bool {
	limit := s.opts.RateLimit
	if limit == 0 {
		limit = 300*s.shop.liveRegisters() + 50
	}
	if s.limits[application] == nil {
		s.limits[application] = &window{}
	}
	remaining, end := s.limits[application].take(s.engine.now(), limit, rateWindow)
	x.header["X-RateLimit-Limit"] = []string{strconv.Itoa(limit)} // in the vendor's spelling, not Go's
	x.header["X-RateLimit-Remaining"] = []string{strconv.Itoa(max(remaining, 0))}
	if remaining >= 0 {
		return true
	}
	// The vendor sends an HTTP date here, not seconds. Rounded up, so that who waits for it is served.
	x.header.Set("Retry-After", end.Add(time.Second-1).Truncate(time.Second).UTC().Format(http.TimeFormat))
	x.json(http.StatusTooManyRequests, map[string]string{"error": textTooMany, "message": "Rate limiting enforced"})
	return false
}

// decode reads the JSON body of a request into v. An empty body is read as an empty object, unknown fields are
// ignored, both are violations. It answers 400 and reports false when the body is not what is documented.
func (x *exchange) decode(v any) bool {
	if len(x.body) == 0 {
		x.violate("no body")
		return true
	}
	strict := json.NewDecoder(strings.NewReader(string(x.body)))
	strict.DisallowUnknownFields()
	if strict.Decode(v) == nil {
		return true
	}
	if err := json.Unmarshal(x.body, v); err != nil {
		x.violate("body: %v", err)
		x.fail(http.StatusBadRequest, textBadRequest)
		return false
	}
	x.violate("body has an unknown field: %s", x.body)
	return true
}

// knownVersion accepts 2.0 and the date versions. One that has come to its end of life is silently served by the
// oldest supported one, as at the vendor; one that is not published yet is unknown.
func knownVersion(version string) bool {
	if version == "2.0" {
		return true
	}
	year, month, ok := strings.Cut(version, "-")
	if !ok || len(year) != 4 || len(month) != 2 || !digits(year) || !digits(month) {
		return false
	}
	return version <= xVersions()[len(xVersions())-1] && slices.Contains([]string{"01", "04", "07", "10"}, month)
}

// xVersions lists the supported API versions, oldest first.
func xVersions() []string {
	return []string{"2.0", "2026-01", "2026-04", "2026-07"}
}

// bearer returns the bearer token of a request, "" when it has none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// newID makes an id. X-Series has UUIDs of several kinds, clients compare them as strings.
func newID() string { return uuid.NewString() }
