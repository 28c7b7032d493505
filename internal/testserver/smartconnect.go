package testserver

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// smartconnectName is the system's name in requests, violations and faults.
const smartconnectName = "smartconnect"

// The error texts of SmartConnect that the vendor or a measurement attests.
const (
	textBadCode      = "Invalid Pairing Code. Please make sure you entered the code correctly"
	textNotPaired    = "This register is not paired to a device, please pair it first."
	textBusy         = "device is busy"
	textTokenExpired = "Token expired"
)

// The error texts that are judgments: the vendor documents the status at most.
const (
	textNotForm      = "Content-Type must be application/x-www-form-urlencoded"
	textMissingField = "Missing mandatory parameter: " // and the field's name
	textSyncMode     = "TransactionMode must be ASYNC"
	textBadType      = "Invalid TransactionType: " // and the type
	textBadAmount    = "Invalid amount: "          // and the field's name
	textWrongToken   = "Invalid token"
	textPolledFast   = "Too many requests"
)

// SmartConnectOptions are the settings of the simulated Smartpay SmartConnect. The zero value of each is its default.
type SmartConnectOptions struct {
	// Devices are the ids of the terminals. Default: 7070714000, 7070714001 and 7070714002.
	Devices []string
	// MinPoll is the shortest allowed time between two polls of one transaction; what comes earlier is answered
	// with 429. Default: 2 s. Negative: any.
	MinPoll time.Duration
	// TokenTTL is how long a transaction can be polled after its POST. Default: 15 minutes.
	TokenTTL time.Duration
	// CodeTTL is the life of a pairing code. Default: 2 minutes, which is a judgment.
	CodeTTL time.Duration
	// Lean answers polls without the fields that the live system was seen to leave out, and with RecordExpiry.
	// Default: as in the vendor's examples.
	Lean bool
}

func (o SmartConnectOptions) withDefaults() SmartConnectOptions {
	if len(o.Devices) == 0 {
		o.Devices = []string{"7070714000", "7070714001", "7070714002"}
	}
	o.MinPoll = orDefault(o.MinPoll, 2*time.Second)
	o.TokenTTL = orDefault(o.TokenTTL, 15*time.Minute)
	o.CodeTTL = orDefault(o.CodeTTL, 2*time.Minute)
	return o
}

// SmartConnect is the simulated Smartpay SmartConnect cloud with its terminals.
// Its methods may be called from any goroutine.
type SmartConnect struct {
	engine *Engine
	opts   SmartConnectOptions

	mu           guard
	publicURL    string // with the base path, without /POS
	merchantID   string
	lean         bool
	minPoll      time.Duration
	devices      []*Device
	pairings     map[string]pairing // by POSRegisterID
	transactions []*transaction     // in order of arrival
	byID         map[string]*transaction
	charges      []Charge
	overlaps     []Overlap
	receipts     int           // numbers given out to receipts
	changed      chan struct{} // closed and replaced whenever anything changes
	closed       bool
}

// pairing is one register paired to a device. The triple is compared byte by byte.
type pairing struct {
	registerID, business, vendor string
	registerName                 string
	device                       *Device
}

func newSmartConnect(e *Engine, opts SmartConnectOptions) *SmartConnect {
	s := &SmartConnect{engine: e, opts: opts.withDefaults(), merchantID: newID(), changed: make(chan struct{})}
	for i, id := range s.opts.Devices {
		s.devices = append(s.devices, &Device{cloud: s, id: id, terminalRef: terminalRef(i)})
	}
	s.seed()
	return s
}

// seed puts the system into the state in which it starts. Called with the lock held, or before it is shared.
func (s *SmartConnect) seed() {
	s.lean, s.minPoll = s.opts.Lean, s.opts.MinPoll
	s.pairings = map[string]pairing{}
	s.transactions, s.byID = nil, map[string]*transaction{}
	s.charges, s.overlaps, s.receipts = nil, nil, 0
	for _, d := range s.devices {
		d.seed()
	}
}

// reset goes back to the state at start.
func (s *SmartConnect) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seed()
	s.notify()
}

// close stops what the terminals would do by themselves later.
func (s *SmartConnect) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, d := range s.devices {
		if d.timer != nil {
			d.timer.Stop() // when it would have ended is remembered, for who loads the state
		}
	}
	s.notify()
}

// notify wakes everybody who waits for a change. Called with the lock held.
func (s *SmartConnect) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Device returns a terminal by its id, nil when there is none.
func (s *SmartConnect) Device(id string) *Device {
	for _, d := range s.devices {
		if d.id == id {
			return d
		}
	}
	return nil
}

// Devices returns all terminals.
func (s *SmartConnect) Devices() []*Device {
	return append([]*Device(nil), s.devices...)
}

// SetLean switches between the shape of the vendor's examples and the leaner one that was seen live.
func (s *SmartConnect) SetLean(lean bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lean = lean
}

// SetMinPoll sets the shortest allowed time between two polls of one transaction; zero allows any.
func (s *SmartConnect) SetMinPoll(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minPoll = d
}

// handle answers one request to SmartConnect. Paths are compared without regard to case, a trailing slash is
// tolerated, and everything unknown, a wrong method too, is a 404 without a body.
func (s *SmartConnect) handle(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := segments(x.path)
	is := func(method string, length int, name string) bool {
		return x.r.Method == method && len(parts) == length && strings.EqualFold(parts[0], "pos") && strings.EqualFold(parts[1], name)
	}
	switch {
	case is(http.MethodPut, 3, "pairing"):
		s.pair(x, parts[2])
	case is(http.MethodPost, 2, "transaction"):
		s.post(x)
	case is(http.MethodGet, 3, "transaction"):
		s.poll(x, parts[2])
	default:
		x.violate("no such operation: %s %s", x.r.Method, x.path)
		x.empty(http.StatusNotFound)
	}
}

// expire ends the life of the token of the polled transaction.
func (s *SmartConnect) expire(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := segments(x.path)
	if t := s.byID[parts[len(parts)-1]]; t != nil {
		t.tokenExpires = s.engine.now()
	}
}

// ExpireTokens ends the life of the tokens of all transactions so far.
func (s *SmartConnect) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.transactions {
		t.tokenExpires = s.engine.now()
	}
}

// identity reads the triple that identifies a register. It answers 400 and reports false when a part is missing.
func (s *SmartConnect) identity(x *exchange, form url.Values) (pairing, bool) {
	id := pairing{
		registerID: form.Get("POSRegisterID"), business: form.Get("POSBusinessName"), vendor: form.Get("POSVendorName"),
		registerName: form.Get("POSRegisterName"),
	}
	for _, field := range []string{"POSRegisterID", "POSBusinessName", "POSVendorName"} {
		if form.Get(field) == "" {
			x.violate("form field %s is missing", field)
			x.fail(http.StatusBadRequest, textMissingField+field)
			return pairing{}, false
		}
	}
	return id, true
}

// pair answers PUT /POS/Pairing/{code}. A successful pairing replaces the register's earlier one, a failed one
// leaves it alone.
func (s *SmartConnect) pair(x *exchange, code string) {
	form, ok := x.form()
	if !ok {
		x.fail(http.StatusBadRequest, textNotForm)
		return
	}
	if x.r.URL.RawQuery != "" {
		x.violate("pairing takes a form body, not a query string")
	}
	register, ok := s.identity(x, form)
	if !ok {
		return
	}
	if register.registerName == "" {
		// The documentation calls it mandatory; a client in the field leaves it out and pairs all the same.
		x.violate("form field POSRegisterName is missing")
	}
	for _, d := range s.devices {
		if !d.redeem(code) {
			continue
		}
		register.device = d
		s.engine.secretly(code)
		s.engine.secretly(register.registerID)
		s.pairings[register.registerID] = register
		s.notify()
		x.json(http.StatusOK, map[string]string{"result": "success"})
		return
	}
	x.fail(http.StatusBadRequest, textBadCode)
}
