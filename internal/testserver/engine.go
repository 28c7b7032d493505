package testserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxBody is the most that a simulated system reads of a request: 10 MiB.
const maxBody = 10 << 20

// Engine is what all simulated systems share: it records what they are asked, plays the scripted faults and
// collects violations. Its methods may be called from any goroutine.
type Engine struct {
	now             func() time.Time
	keeper          *keeper // nil when no state is kept
	receiverTimeout time.Duration

	mu         sync.Mutex
	requests   []*Request
	faults     []*plannedFault
	violations []Violation
	expected   []string
	// secrets are what was issued, or given, and nobody else should get to see.
	secrets map[string]bool
}

// Request is one request that a simulated system received.
type Request struct {
	System string      `json:"system"`
	Method string      `json:"method"`
	Path   string      `json:"path"` // below the system's base path, escaped as it came
	Query  string      `json:"query"`
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
	Time   time.Time   `json:"time"`
	// Status is what was answered. It is 0 while the request is being answered, and for a request whose
	// connection was cut before the system looked at it.
	Status int `json:"status"`
	// Fault is the name of the scripted fault that was played on this request, "" for none.
	Fault string `json:"fault,omitempty"`
	// Violations tells what was wrong with the request.
	Violations []string `json:"violations,omitempty"`
}

// Violation is something that a client did and that the vendor's documentation forbids. What may happen to a
// correct client (an expired token, a wrong pairing code, a busy terminal) is not a violation.
type Violation struct {
	System string    `json:"system"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Text   string    `json:"text"`
	Time   time.Time `json:"time"`
}

// String says what was done, to what.
func (v Violation) String() string {
	return v.System + ": " + v.Method + " " + v.Path + ": " + v.Text
}

// newEngine makes an engine that reads the time from now.
func newEngine(now func() time.Time) *Engine {
	return &Engine{now: now, receiverTimeout: receiverTimeout}
}

// Requests returns the requests to a system, in order of arrival. An empty system, method or path means any;
// the path is matched as in [On].
func (e *Engine) Requests(system, method, path string) []Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	match := On(system, method, path)
	var found []Request
	for _, r := range e.requests {
		if match.covers(r.System, r.Method, r.Path) {
			c := *r
			c.Header = r.Header.Clone()
			c.Violations = slices.Clone(r.Violations)
			found = append(found, c)
		}
	}
	return found
}

// Violations returns all violations so far, in order.
func (e *Engine) Violations() []Violation {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.violations)
}

// ExpectViolation tells that the test provokes violations whose text contains part. [Start] then reports
// their absence instead of them.
func (e *Engine) ExpectViolation(part string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expected = append(e.expected, part)
}

// Complaints returns what a test has to be told at its end, one line each: violations that nobody expected,
// expected ones that did not come, and faults that were never played.
func (e *Engine) Complaints() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var lines []string
	seen := make([]bool, len(e.expected))
	for _, v := range e.violations {
		wanted := false
		for i, part := range e.expected {
			if strings.Contains(v.Text, part) {
				wanted, seen[i] = true, true
			}
		}
		if !wanted {
			lines = append(lines, "violation: "+v.String())
		}
	}
	for i, part := range e.expected {
		if !seen[i] {
			lines = append(lines, "expected violation did not happen: "+part)
		}
	}
	for _, f := range e.faults {
		if f.played == 0 {
			lines = append(lines, "fault was never played: "+f.String())
		}
	}
	if err := e.keeper.failed(); err != nil {
		lines = append(lines, err.Error())
	}
	return lines
}

// violate records a violation that did not come with an HTTP request.
func (e *Engine) violate(system, method, path, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.violations = append(e.violations, Violation{System: system, Method: method, Path: path, Text: text, Time: e.now().UTC()})
}

// forget forgets requests, violations and faults.
func (e *Engine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests, e.faults, e.violations, e.expected = nil, nil, nil, nil
}

// system is one simulated vendor system.
type system interface {
	// handle answers one request.
	handle(x *exchange)
	// expire ends the life of the token that the request carries, if it carries one.
	expire(x *exchange)
}

// exchange is one request and its answer. Answers are built in memory, so that a fault can change them.
type exchange struct {
	r          *http.Request
	path       string // escaped, below the system's base path
	body       []byte
	header     http.Header
	status     int
	out        []byte
	violations []string
}

// violate records that the request is wrong. The system still answers it as the vendor would.
func (x *exchange) violate(format string, args ...any) {
	x.violations = append(x.violations, fmt.Sprintf(format, args...))
}

// json answers with a JSON document.
func (x *exchange) json(status int, v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		x.status, x.out = http.StatusInternalServerError, []byte("testserver: cannot encode the answer: "+err.Error())
		return
	}
	x.header.Set("Content-Type", "application/json")
	x.status, x.out = status, bytes.TrimRight(buf.Bytes(), "\n")
}

// fail answers with the body {"error": text}, which X-Series and SmartConnect share.
func (x *exchange) fail(status int, text string) {
	x.json(status, map[string]string{"error": text})
}

// empty answers with a status and no body.
func (x *exchange) empty(status int) {
	x.status, x.out = status, nil
}

// html answers with a page.
func (x *exchange) html(status int, page string) {
	x.header.Set("Content-Type", "text/html; charset=utf-8")
	x.status, x.out = status, []byte(page)
}

// form reads a form from the body, never from the query string.
// It reports false when the content type is not that of a form or the body is not one.
func (x *exchange) form() (url.Values, bool) {
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		x.violate("content type is %q, must be application/x-www-form-urlencoded", x.r.Header.Get("Content-Type"))
		return nil, false
	}
	values, err := url.ParseQuery(string(x.body))
	if err != nil {
		x.violate("body is not a form: %v", err)
		return nil, false
	}
	for key, v := range values {
		if len(v) > 1 {
			x.violate("form field %s is given %d times", key, len(v))
		}
	}
	return values, true
}

// handler serves one system below prefix.
func (e *Engine) handler(name, prefix string, s system) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The body is drained before anything else: a handler that waits without having read it never learns
		// that the client left.
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		x := &exchange{r: r, path: strings.TrimPrefix(r.URL.EscapedPath(), prefix), body: body, header: http.Header{}}
		rec := &Request{
			System: name, Method: r.Method, Path: x.path, Query: r.URL.RawQuery,
			Header: r.Header.Clone(), Body: string(body), Time: e.now().UTC(),
		}
		if err != nil {
			e.record(rec)
			panic(http.ErrAbortHandler) // the client left in the middle of its body: the vendor never saw a request
		}
		fault := e.arrive(rec)
		if len(body) > maxBody {
			x.violate("body is longer than %d bytes", maxBody)
			x.fail(http.StatusRequestEntityTooLarge, "Request entity too large") // judgment: no vendor states a limit
			e.answered(rec, x)
			x.write(w)
			return
		}
		e.play(fault, rec, w, x, s)
	})
}

// play answers one request, with the fault that is scripted for it.
func (e *Engine) play(fault Fault, rec *Request, w http.ResponseWriter, x *exchange, s system) {
	switch fault.kind {
	case faultRefuse:
		panic(http.ErrAbortHandler)
	case faultStatus, faultRedirect:
		if fault.processed {
			s.handle(x)
		}
		x.header = http.Header{}
		fault.answer(x, e.now())
	case faultExpire:
		s.expire(x)
		s.handle(x)
	default:
		s.handle(x)
	}
	if err := e.keeper.failed(); err != nil {
		x.header = http.Header{}
		x.fail(http.StatusInternalServerError, err.Error())
	}
	switch fault.kind {
	case faultGarbled:
		x.out = garble(x.out)
	case faultExtra:
		x.out = addFields(x.out)
	default:
	}
	e.answered(rec, x)

	switch fault.kind {
	case faultLose:
		panic(http.ErrAbortHandler)
	case faultTruncate:
		x.writeHalf(w)
		panic(http.ErrAbortHandler)
	case faultDelay:
		timer := time.NewTimer(fault.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-x.r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	default:
	}
	x.write(w)
}

// record keeps a request on which no fault is played.
func (e *Engine) record(rec *Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = append(e.requests, rec)
}

// arrive keeps a request and returns the fault to play on it.
func (e *Engine) arrive(rec *Request) Fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = append(e.requests, rec)
	var fault Fault
	for _, f := range e.faults {
		if !f.on.covers(rec.System, rec.Method, rec.Path) {
			continue
		}
		f.matched++
		if fault.kind == "" && f.matched >= max(f.on.nth, 1) && (f.played == 0 || f.fault.always) {
			f.played++
			fault = f.fault
		}
	}
	rec.Fault = string(fault.kind)
	return fault
}

// answered completes the record of a request.
func (e *Engine) answered(rec *Request, x *exchange) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rec.Status, rec.Violations = x.status, x.violations
	for _, text := range x.violations {
		e.violations = append(e.violations, Violation{
			System: rec.System, Method: rec.Method, Path: rec.Path, Text: text, Time: e.now().UTC(),
		})
	}
}

// head sends the status line and the header.
func (x *exchange) head(w http.ResponseWriter) {
	maps.Copy(w.Header(), x.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(x.out)))
	w.WriteHeader(x.status)
}

// write sends the answer. A client that has left is no error here.
func (x *exchange) write(w http.ResponseWriter) {
	x.head(w)
	_, _ = w.Write(x.out)
}

// writeHalf sends the header with the full length and the first half of the body.
func (x *exchange) writeHalf(w http.ResponseWriter) {
	x.head(w)
	_, _ = w.Write(x.out[:len(x.out)/2])
	_ = http.NewResponseController(w).Flush()
}

// segments splits an escaped path into its unescaped segments. A trailing slash makes no segment.
func segments(path string) []string {
	var parts []string
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if plain, err := url.PathUnescape(part); err == nil {
			part = plain
		}
		parts = append(parts, part)
	}
	return parts
}
