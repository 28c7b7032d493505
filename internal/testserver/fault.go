package testserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// Match says on which requests a fault is played. Make one with [On].
type Match struct {
	system, method, path string
	nth                  int
}

// On matches the requests to a system ("xseries", "smartconnect", "paysera", "kseries", "pms") by method and path. Empty means any. The path
// is the one below the system's base path, compared without regard to case; it covers everything below it, and
// a segment may be a pattern as in [path.Match]: "/api/*/registers" covers "/api/2.0/registers/123".
func On(system, method, path string) Match {
	return Match{system: system, method: method, path: path}
}

// Nth waits for the n-th matching request from now, counted from 1.
func (m Match) Nth(n int) Match {
	m.nth = n
	return m
}

// covers reports whether a request matches, leaving Nth aside.
func (m Match) covers(system, method, requestPath string) bool {
	if m.system != "" && m.system != system || m.method != "" && !strings.EqualFold(m.method, method) {
		return false
	}
	if strings.Trim(m.path, "/") == "" {
		return true
	}
	want, got := segments(strings.ToLower(m.path)), segments(strings.ToLower(requestPath))
	if len(want) > len(got) {
		return false
	}
	for i, pattern := range want {
		if ok, err := path.Match(pattern, got[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// faultKind names a fault, in Go as over HTTP.
type faultKind string

const (
	faultStatus   faultKind = "status"
	faultRedirect faultKind = "redirect"
	faultDelay    faultKind = "delay"
	faultRefuse   faultKind = "refuse_before"
	faultLose     faultKind = "lose_reply"
	faultTruncate faultKind = "truncate"
	faultGarbled  faultKind = "garbled_json"
	faultExtra    faultKind = "extra_fields"
	faultExpire   faultKind = "expire_token"
)

// Fault is something that goes wrong with one request. It is played once, unless made [Fault.Always].
type Fault struct {
	kind      faultKind
	status    int
	body      string
	html      bool
	location  string
	delay     time.Duration
	after     time.Duration
	afterDate bool
	processed bool
	always    bool
}

// Status answers with a status and a body instead of processing the request. A body that begins with "{" is sent
// as JSON, any other as plain text.
func Status(code int, body string) Fault {
	return Fault{kind: faultStatus, status: code, body: body}
}

// ErrorShape is one of the shapes in which X-Series writes errors. It publishes no schema; these are the ones in its
// pages and its clients.
type ErrorShape string

// The shapes, and where they were seen.
const (
	ErrorText        ErrorShape = "text"        // {"error":"…"}: most operations
	ErrorMessage     ErrorShape = "message"     // {"error":"…","message":"…"}: 429
	ErrorObject      ErrorShape = "object"      // {"error":{"code":…,"message":"…"}}: payments
	ErrorDescription ErrorShape = "description" // {"error":"…","error_description":"…"}: OAuth
	ErrorDetails     ErrorShape = "details"     // {"error":"…","details":"…"}: older operations
	ErrorList        ErrorShape = "list"        // {"errors":["…"]}: older operations; that the members are texts is a judgment
)

// body writes an error in the shape, "" for an unknown shape.
func (s ErrorShape) body(code int, text string) string {
	name := http.StatusText(code)
	shapes := map[ErrorShape]any{
		ErrorText:        map[string]any{"error": text},
		ErrorMessage:     map[string]any{"error": name, "message": text},
		ErrorObject:      map[string]any{"error": map[string]any{"code": code, "message": text}}, // its codes are not published
		ErrorDescription: map[string]any{"error": strings.ToLower(strings.ReplaceAll(name, " ", "_")), "error_description": text},
		ErrorDetails:     map[string]any{"error": name, "details": text},
		ErrorList:        map[string]any{"errors": []string{text}},
	}
	out, err := json.Marshal(shapes[s])
	if shapes[s] == nil || err != nil {
		return ""
	}
	return string(out)
}

// ErrorBody answers with a status and a text in one of the shapes of X-Series, instead of processing the request.
// An unknown shape has no body.
func ErrorBody(code int, shape ErrorShape, text string) Fault {
	return Status(code, shape.body(code, text))
}

// HTMLBody answers with a status and the HTML page of a proxy, instead of processing the request.
func HTMLBody(code int) Fault {
	page := fmt.Sprintf("<html><head><title>%d %s</title></head><body><h1>%s</h1></body></html>\n",
		code, http.StatusText(code), http.StatusText(code))
	return Fault{kind: faultStatus, status: code, body: page, html: true}
}

// RedirectTo answers 307 Temporary Redirect, which asks the client to send the same request elsewhere.
func RedirectTo(location string) Fault {
	return Fault{kind: faultRedirect, status: http.StatusTemporaryRedirect, location: location}
}

// Delay processes the request at once and holds the answer back for d, or until the client leaves.
func Delay(d time.Duration) Fault {
	return Fault{kind: faultDelay, delay: d}
}

// RefuseBefore drops the connection without processing the request.
func RefuseBefore() Fault { return Fault{kind: faultRefuse} }

// LoseReply processes the request and cuts the connection without an answer. Mind that net/http itself repeats a
// GET whose reused connection was cut before the first byte of an answer.
func LoseReply() Fault { return Fault{kind: faultLose} }

// Truncate processes the request and cuts the connection in the middle of the answer's body.
func Truncate() Fault { return Fault{kind: faultTruncate} }

// GarbledJSON processes the request and answers with a complete message whose JSON ends in the middle.
func GarbledJSON() Fault { return Fault{kind: faultGarbled} }

// ExtraFields processes the request and adds a field that no documentation knows to every object of the answer.
func ExtraFields() Fault { return Fault{kind: faultExtra} }

// ExpireToken ends the life of the token that the request carries, then processes the request.
func ExpireToken() Fault { return Fault{kind: faultExpire} }

// RetryAfter adds the header Retry-After in whole seconds to a [Status].
func (f Fault) RetryAfter(d time.Duration) Fault {
	f.after, f.afterDate = d, false
	return f
}

// RetryAfterDate adds the header Retry-After as the HTTP date d from the moment of the answer to a [Status].
func (f Fault) RetryAfterDate(d time.Duration) Fault {
	f.after, f.afterDate = d, true
	return f
}

// AfterProcessing makes a [Status], [HTMLBody] or [RedirectTo] process the request first: the money moves, the
// answer says otherwise.
func (f Fault) AfterProcessing() Fault {
	f.processed = true
	return f
}

// Always plays the fault on every matching request instead of one.
func (f Fault) Always() Fault {
	f.always = true
	return f
}

// answer replaces the answer of a request.
func (f Fault) answer(x *exchange, now time.Time) {
	x.status, x.out = f.status, []byte(f.body)
	switch {
	case f.html:
		x.header.Set("Content-Type", "text/html; charset=utf-8")
	case strings.HasPrefix(f.body, "{"):
		x.header.Set("Content-Type", "application/json")
	case f.body != "":
		x.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if f.location != "" {
		x.header.Set("Location", f.location)
	}
	switch {
	case f.after > 0 && f.afterDate:
		x.header.Set("Retry-After", now.Add(f.after).UTC().Format(http.TimeFormat))
	case f.after > 0:
		x.header.Set("Retry-After", strconv.Itoa(int((f.after+time.Second-1)/time.Second)))
	}
}

// plannedFault is a fault that waits for its request.
type plannedFault struct {
	on      Match
	fault   Fault
	matched int // requests that matched since it was planned
	played  int
}

// String describes the fault for a person.
func (p *plannedFault) String() string {
	text := string(p.fault.kind) + " on " + orAny(p.on.system) + " " + orAny(p.on.method) + " " + orAny(p.on.path)
	if p.on.nth > 1 {
		text += " #" + strconv.Itoa(p.on.nth)
	}
	return text
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}

// Fault scripts a fault. Faults are played in the order in which they were scripted, one per request.
func (e *Engine) Fault(on Match, f Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, &plannedFault{on: on, fault: f})
}

// UnusedFaults describes the faults that were never played.
func (e *Engine) UnusedFaults() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	unused := []string{}
	for _, f := range e.faults {
		if f.played == 0 {
			unused = append(unused, f.String())
		}
	}
	return unused
}

// ClearFaults forgets all faults, played or not.
func (e *Engine) ClearFaults() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = nil
}

// garble cuts a JSON text in half.
func garble(body []byte) []byte {
	if len(body) < 2 {
		return []byte("{")
	}
	return body[:len(body)/2]
}

// addFields adds an unknown field to every object of a JSON text. What is not JSON stays as it is.
func addFields(body []byte) []byte {
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return body
	}
	out, err := json.Marshal(withExtra(v))
	if err != nil {
		return body
	}
	return out
}

func withExtra(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			v[key] = withExtra(member)
		}
		v["x_unknown_to_this_version"] = map[string]any{"list": []any{1, "two", nil}}
		return v
	case []any:
		for i, member := range v {
			v[i] = withExtra(member)
		}
		return v
	default:
		return v
	}
}
