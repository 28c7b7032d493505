package testserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// pmsName is the system's name in requests, violations and faults.
	pmsName = "pms"

	// pmsLocation is the restaurant's business location.
	pmsLocation int64 = 45454565682155
	// pmsText is the documented limit of a provider's texts.
	pmsText = 255
)

// PMSOptions are the settings of the simulated restaurant that charges to rooms. The zero value of each is its default.
type PMSOptions struct {
	// Token is the access token of the hotel's application, of the scope propertymanagement. Default: random.
	Token string
	// Timeout is how long the point of sale waits for the hotel system. Default: 15 s, which is a judgment.
	Timeout time.Duration
}

func (o PMSOptions) withDefaults() PMSOptions {
	o.Token = orDefault(o.Token, secret("sim-pms-token-"))
	o.Timeout = orDefault(o.Timeout, 15*time.Second)
	return o
}

// PMS is a restaurant with K-Series towards a hotel: the registration of the hotel system, the search for its guests,
// and bills that are charged to rooms. Its methods may be called from any goroutine.
type PMS struct {
	engine *Engine
	given  PMSOptions // as they were given
	opts   PMSOptions // with the defaults

	mu      guard
	world   pmsWorld
	changed chan struct{} // closed and replaced whenever anything changes
}

// pmsWorld is all that changes. Its parts refer to each other by account, so that it can be written as it is.
type pmsWorld struct {
	Token     string // "" for that of the options
	NextID    int64
	Provider  *PMSProvider
	Guests    map[string]PMSGuest // by reservation, as they were found last
	Bills     []*PMSBill
	Postings  []*pmsPosting
	Sending   pmsSending
	LastTable int
}

// PMSProvider is the hotel system that is registered.
type PMSProvider struct {
	ID                 int64    `json:"id"`
	BusinessLocationID int64    `json:"businessLocationId"`
	Name               string   `json:"name"`
	Endpoint           string   `json:"endpoint"`
	APIKey             string   `json:"apiKey"`
	Features           []string `json:"features"`
}

func (p *PMSProvider) has(feature string) bool {
	return p != nil && slices.Contains(p.Features, feature)
}

// The documented features.
const (
	pmsSearch   = "SEARCH_BY_NAME"
	pmsMirror   = "MIRRORING"
	pmsPartial  = "PARTIAL_PAYMENTS"
	pmsMulti    = "MULTI_PAYMENTS"
	pmsService  = "SERVICE_CHARGE"
	pmsEnriched = "ENRICHED_PAYLOAD"
)

func pmsFeatures() []string {
	return []string{pmsSearch, pmsMirror, pmsPartial, pmsMulti, pmsService, pmsEnriched}
}

// pmsCenter is a configuration of the point of sale.
type pmsCenter struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func pmsCenters() []pmsCenter { return []pmsCenter{{343243933, "Bar"}, {94489280528, "Fixed POS"}} }

func newPMS(e *Engine, opts PMSOptions) *PMS {
	p := &PMS{engine: e, given: opts, opts: opts.withDefaults(), changed: make(chan struct{})}
	p.seed()
	return p
}

// seed puts the system into the state in which it starts. Called with the lock held, or before it is shared.
func (p *PMS) seed() {
	p.world = pmsWorld{Token: p.world.Token, NextID: 3012455645, Guests: map[string]PMSGuest{}, Sending: pmsSending{Timeout: p.opts.Timeout}}
	p.notify()
}

func (p *PMS) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seed()
}

// notify wakes who waits for postings. Called with the lock held.
func (p *PMS) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Token returns the access token that is good now.
func (p *PMS) Token() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token()
}

func (p *PMS) token() string { return orDefault(p.world.Token, p.opts.Token) }

// Provider returns the hotel system that is registered, and false if there is none.
func (p *PMS) Provider() (PMSProvider, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.world.Provider == nil {
		return PMSProvider{}, false
	}
	provider := *p.world.Provider
	provider.Features = slices.Clone(provider.Features)
	return provider, true
}

// expire makes the token that a request carries useless, and another one good.
func (p *PMS) expire(x *exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bearer(x) {
		p.world.Token = p.engine.secret("sim-pms-token-")
	}
}

func (p *PMS) bearer(x *exchange) bool {
	token, ok := strings.CutPrefix(x.r.Header.Get("Authorization"), "Bearer ")
	return ok && sameSecret(token, p.token())
}

// pmsError is an error of the registration. Its status is a text, unlike those of the neighbouring APIs.
type pmsError struct {
	status  int
	message string
	fields  []pmsFieldError
}

type pmsFieldError struct {
	Field    string `json:"field"`
	Rejected any    `json:"rejectedValue"`
	Message  string `json:"message"`
}

// Error is the message.
func (e *pmsError) Error() string { return e.message }

func (p *PMS) fail(x *exchange, e *pmsError) {
	name := strings.ToUpper(strings.ReplaceAll(http.StatusText(e.status), " ", "_"))
	x.json(e.status, map[string]any{
		"status": name, "timestamp": p.engine.now().UTC().Format(time.RFC3339), "message": e.message, "apiSubExceptions": listOf(e.fields),
	})
}

// handle answers a request to register a hotel system.
func (p *PMS) handle(x *exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.bearer(x) {
		// That of the gateway, as it was seen at another K-Series API.
		x.json(http.StatusUnauthorized, map[string]any{"errors": []any{map[string]any{
			"code": "unauthorized", "title": "Full authentication is required to access this resource",
		}}})
		return
	}
	answer, err := p.provide(x)
	if err != nil {
		p.fail(x, err)
		return
	}
	x.json(http.StatusOK, answer)
}

// provide carries out a request. Called with the lock held.
func (p *PMS) provide(x *exchange) (any, *pmsError) {
	path := strings.Split(strings.TrimPrefix(x.path, "/"), "/")
	notFound := &pmsError{status: http.StatusNotFound, message: "Not found"}
	if len(path) < 3 || path[0] != "pms" || path[1] != "v1" {
		return nil, notFound
	}
	switch call := x.r.Method + " " + path[2]; {
	case call == "GET providers" && len(path) == 3:
		return p.listProviders(x)
	case call == "POST providers" && len(path) == 3:
		return p.createProvider(x)
	case path[2] == "providers" && len(path) == 4:
		if one := p.world.Provider; one == nil || path[3] != strconv.FormatInt(one.ID, 10) {
			return nil, notFound
		}
		return p.oneProvider(x)
	case call == "GET business-locations" && len(path) == 5 && path[4] == "revenue-centers":
		if path[3] != strconv.FormatInt(pmsLocation, 10) {
			return nil, notFound
		}
		return pmsCenters(), nil
	default:
		return nil, notFound
	}
}

func (p *PMS) listProviders(x *exchange) (any, *pmsError) {
	query := x.r.URL.Query()
	if id := query.Get("businessLocationId"); !digits(id) {
		x.violate("businessLocationId is %q, must be a number", id)
		return nil, &pmsError{status: http.StatusBadRequest, message: "businessLocationId is required"}
	}
	list := []PMSProvider{}
	if one := p.world.Provider; one != nil && query.Get("businessLocationId") == strconv.FormatInt(one.BusinessLocationID, 10) {
		list = append(list, *one)
	}
	return list, nil
}

func (p *PMS) createProvider(x *exchange) (any, *pmsError) {
	one, err := p.readProvider(x, true)
	switch {
	case err != nil:
		return nil, err
	case one.BusinessLocationID != pmsLocation: // judgment
		return nil, &pmsError{status: http.StatusNotFound, message: "Business location not found"}
	case p.world.Provider != nil: // A location has one; that another is refused so is a judgment.
		return nil, &pmsError{status: http.StatusBadRequest, message: "The business location has a provider already"}
	}
	one.ID = p.world.NextID
	p.world.NextID++
	p.world.Provider = &one
	return one, nil
}

func (p *PMS) oneProvider(x *exchange) (any, *pmsError) {
	id, location := p.world.Provider.ID, p.world.Provider.BusinessLocationID
	switch x.r.Method {
	case http.MethodGet:
		return *p.world.Provider, nil
	case http.MethodPut:
		one, err := p.readProvider(x, false)
		if err != nil {
			return nil, err
		}
		one.ID, one.BusinessLocationID = id, location
		p.world.Provider = &one
		return one, nil
	case http.MethodDelete:
		p.world.Provider = nil
		return id, nil
	default:
		x.violate("method must be GET, PUT or DELETE")
		return nil, &pmsError{status: http.StatusMethodNotAllowed, message: "Method not allowed"}
	}
}

// readProvider reads the body of a request. All of it is required.
func (p *PMS) readProvider(x *exchange, location bool) (PMSProvider, *pmsError) {
	var body struct {
		BusinessLocationID *int64   `json:"businessLocationId"`
		Name               *string  `json:"name"`
		Endpoint           *string  `json:"endpoint"`
		APIKey             *string  `json:"apiKey"`
		Features           []string `json:"features"`
	}
	if !strings.HasPrefix(x.r.Header.Get("Content-Type"), "application/json") {
		x.violate("content type is %q, must be application/json", x.r.Header.Get("Content-Type"))
	}
	dec := json.NewDecoder(strings.NewReader(string(x.body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil {
		x.violate("body is not a provider: %v", err)
		return PMSProvider{}, &pmsError{status: http.StatusBadRequest, message: "Malformed JSON request"}
	}
	var wrong []pmsFieldError
	refused := func(field string, value any, format string, args ...any) {
		wrong = append(wrong, pmsFieldError{field, value, fmt.Sprintf(format, args...)})
	}
	text := func(name string, value *string) string {
		if value == nil || *value == "" || utf8.RuneCountInString(*value) > pmsText {
			refused(name, value, "size must be between 1 and %d", pmsText)
			return ""
		}
		return *value
	}
	one := PMSProvider{Name: text("name", body.Name), Endpoint: text("endpoint", body.Endpoint), APIKey: p.engine.secretly(text("apiKey", body.APIKey)), Features: listOf(body.Features)}
	if u, err := url.Parse(one.Endpoint); one.Endpoint != "" && (err != nil || u.Host == "") {
		refused("endpoint", one.Endpoint, "must be a URL") // judgment
	}
	switch {
	case location && body.BusinessLocationID == nil:
		refused("businessLocationId", nil, "must not be null")
	case location:
		one.BusinessLocationID = *body.BusinessLocationID
	case body.BusinessLocationID != nil:
		x.violate("businessLocationId can't be changed")
	}
	if body.Features == nil {
		refused("features", nil, "must not be null")
	}
	for i, feature := range body.Features {
		if !slices.Contains(pmsFeatures(), feature) || slices.Contains(body.Features[:i], feature) {
			refused("features", feature, "must be known, and once")
		}
	}
	if len(wrong) > 0 {
		x.violate("provider is refused: %v", wrong[0].Field+" "+wrong[0].Message)
		return PMSProvider{}, &pmsError{http.StatusBadRequest, "Validation error", wrong}
	}
	return one, nil
}
