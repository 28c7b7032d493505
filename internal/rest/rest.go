// Package rest is the HTTP pipeline that all clients of this module share.
//
// A call passes, from the outside in: the caller's middleware (once), the retries of go-retryablehttp under a policy
// of our own, and for each attempt its authorization, its timeout and the transport.
//
// What may have been processed and is not safe to repeat is never repeated. Whether a request can have reached the
// server is taken from positive evidence alone: the transport reported that it looked for a connection, and never
// that it got one.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/operation"
	"github.com/tillroute/tillroute/internal/wire"
)

// Repeat says when an operation may be sent again.
type Repeat uint8

const (
	// Never repeats what may have been processed. It is the zero value.
	Never Repeat = iota
	// Safe operations change something, and doing so twice is the same as once.
	Safe
	// Read operations change nothing: their errors leave no outcome open.
	Read
)

// Operation declares a call once: its name as users know it, and what goes out.
type Operation struct {
	// Name is the method that makes the call, such as "Registers.Get".
	Name string
	// Method is the HTTP method.
	Method string
	// Path is relative to the base URL, with {} for each argument: "/registers/{}".
	Path string
	// Repeat says when it may be sent again.
	Repeat Repeat
}

// Request is what varies between the calls of an operation. At most one of Form, JSON and Body is set.
type Request struct {
	// Args fill the {} of the path, escaped.
	Args []string
	// URL, if set, is used instead of base URL and path. It may hold secrets: it is never shown.
	URL string
	// Query is appended to the path.
	Query url.Values
	// Form is sent as application/x-www-form-urlencoded.
	Form url.Values
	// JSON is encoded and sent as application/json.
	JSON any
	// Body is sent as ContentType.
	Body        []byte
	ContentType string
	// Secrets are removed from the texts of errors, should the server echo them.
	Secrets []string
	// Anonymous requests are sent without authorization.
	Anonymous bool
	// NoReplay keeps net/http from quietly repeating a read whose connection broke, at once and uncounted.
	NoReplay bool
}

// Config configures a Client.
type Config struct {
	// System names the client in errors and logs.
	System string
	// BaseURL is what paths are appended to. It may have a path of its own.
	BaseURL string
	// HTTP is the user's part.
	HTTP tillroute.HTTPOptions
	// Authorize adds credentials to an attempt, whose body is given. Optional.
	Authorize func(r *http.Request, body []byte) error
	// Renew is called after a 401 with the request that was refused; if it returns true the call is made once more.
	// Optional.
	Renew func(ctx context.Context, refused *http.Request) (bool, error)
	// Correct is asked, twice at most for a call, with the error of any other answer that refuses it (4xx but 408) whether
	// what the answer complains of was put right: the clock, say. If it returns true the call is made once more. Optional.
	Correct func(ctx context.Context, refused *tillroute.Error) (bool, error)
	// NoRedirects has even redirects of reads within a host refused. Others always are.
	NoRedirects bool
	// Explain refines the error of an answer whose status isn't 2xx. Optional.
	Explain func(e *tillroute.Error)
	// Limit keeps calls within what the server allows. Optional.
	Limit Limit
}

// Limit is what is known of a server's limit on requests. It is safe for concurrent use and doesn't block.
type Limit interface {
	// Closed returns how long no request should be sent, or 0.
	Closed() time.Duration
	// Observe sees the status and the header of each answer.
	Observe(status int, header http.Header)
	// Longest is the longest that a Retry-After of a 429 can mean.
	Longest() time.Duration
}

// Client makes calls. It is safe for concurrent use.
type Client struct {
	config  Config
	base    *url.URL
	prefix  string // base, as text
	options tillroute.HTTPOptions
	retry   *retryablehttp.Client
	handler http.RoundTripper
}

// New checks the configuration and returns a client. It sends nothing.
func New(c Config) (*Client, error) {
	base, err := ParseBaseURL(c.BaseURL)
	if err != nil {
		return nil, tillroute.Invalid(c.System, "New", "%s", err)
	}
	o, err := withDefaults(c.HTTP)
	if err != nil {
		return nil, tillroute.Invalid(c.System, "New", "%s", err)
	}
	client := &Client{config: c, base: base, prefix: base.Scheme + "://" + base.Host + base.EscapedPath(), options: o}
	client.retry = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     &attempts{client: client, next: o.Transport},
			CheckRedirect: client.checkRedirect,
		},
		RetryMax:     o.Retries,
		CheckRetry:   client.checkRetry,
		Backoff:      client.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	client.handler = retries{client.retry}
	for _, m := range slices.Backward(o.Middleware) {
		if client.handler = m(client.handler); client.handler == nil {
			return nil, tillroute.Invalid(c.System, "New", "HTTP.Middleware has one that returns nil")
		}
	}
	return client, nil
}

// ParseBaseURL reads an absolute http or https URL without query, fragment or credentials.
func ParseBaseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("the base URL is not an absolute https URL: write it like https://api.example.com/v1")
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("the base URL has a query, a fragment or credentials: leave them out")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// largest is more than an answer can have, and leaves room to count one byte more.
const largest = 1 << 40

func withDefaults(o tillroute.HTTPOptions) (tillroute.HTTPOptions, error) {
	if o.Timeout < 0 || o.MaxRetryAfter < 0 || o.MaxBody < 0 {
		return o, errors.New("HTTP.Timeout, HTTP.MaxRetryAfter and HTTP.MaxBody must not be negative")
	}
	for i, m := range o.Middleware {
		if m == nil {
			return o, fmt.Errorf("HTTP.Middleware[%d] is nil", i)
		}
	}
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	switch {
	case o.Retries == 0:
		o.Retries = 3
	case o.Retries < 0:
		o.Retries = 0
	}
	if o.MaxRetryAfter == 0 {
		o.MaxRetryAfter = 30 * time.Second
	}
	if o.MaxBody == 0 {
		o.MaxBody = 10 << 20
	}
	o.MaxBody = min(o.MaxBody, largest)
	if o.UserAgent == "" {
		o.UserAgent = "tillroute-go"
	}
	if err := checkHeader(http.Header{"User-Agent": {o.UserAgent}}); err != nil {
		return o, fmt.Errorf("HTTP.UserAgent: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Middleware = append([]tillroute.Middleware(nil), o.Middleware...)
	return o, nil
}

// BaseURL returns the base URL without a trailing slash. The caller must not change it.
func (c *Client) BaseURL() *url.URL { return c.base }

// Do makes the call and decodes its answer, which must be 2xx and JSON, into out unless that is nil. It returns a
// *tillroute.Error.
func (c *Client) Do(ctx context.Context, op *Operation, r Request, out any, opts ...tillroute.CallOption) error {
	options := optionsOf(opts)
	s := &call{system: c.config.System, op: op, secrets: r.Secrets, anonymous: r.Anonymous, noReplay: r.NoReplay}
	r.Query = merge(r.Query, options.Query)
	request, err := c.newRequest(ctx, s, r, options.Header)
	if err != nil {
		return c.fail(s, &tillroute.Error{Kind: tillroute.KindInvalid, Message: err.Error(), Outcome: tillroute.Failed})
	}
	answer, err := c.send(request, s)
	if options.Response != nil {
		*options.Response = answer
	}
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := decode(answer.Body, out); err != nil {
		return c.fail(s, &tillroute.Error{
			Kind:    tillroute.KindDecode,
			Status:  answer.Status,
			Message: notUnderstood(answer, err),
			Body:    head(answer.Body),
			Outcome: s.unsettled(),
		})
	}
	return nil
}

func optionsOf(opts []tillroute.CallOption) tillroute.Call {
	if len(opts) == 0 {
		return tillroute.Call{}
	}
	var options tillroute.Call
	for _, set := range opts {
		if set != nil {
			set(&options)
		}
	}
	return options
}

// decode is json.Unmarshal, but looks at what reads itself once.
func decode(body []byte, out any) error {
	if _, ok := out.(json.Unmarshaler); ok && json.Valid(body) {
		return wire.Unmarshal(bytes.TrimSpace(body), out)
	}
	return json.Unmarshal(body, out)
}

// call is the state of one call. Its attempts run one after the other.
type call struct {
	system string
	op     *Operation
	body   []byte
	// newBody returns another reader of body.
	newBody   func() (readCloser, error)
	secrets   []string
	anonymous bool
	noReplay  bool
	attempts  int
	// answered says that the current attempt got an answer, whatever became of it on its way up.
	answered bool
	// mayHaveArrived says that some attempt without an answer, or with one that leaves it open, may have been processed.
	mayHaveArrived bool
}

// unsettled returns Unknown, or Failed if the operation can't have had an effect.
func (s *call) unsettled() tillroute.Outcome {
	if s.op.Repeat == Read {
		return tillroute.Failed
	}
	return tillroute.Unknown
}

// OperationName implements [operation.Operation].
func (s *call) OperationName() string { return s.system + "." + s.op.Name }

func callOf(ctx context.Context) *call {
	s, _ := operation.Of(ctx).(*call)
	return s
}

func (c *Client) newRequest(ctx context.Context, s *call, r Request, header http.Header) (*http.Request, error) {
	target := r.URL
	if target == "" {
		var err error
		if target, err = c.target(s.op.Path, r); err != nil {
			return nil, err
		}
	}
	contentType := r.ContentType
	switch {
	case r.JSON != nil:
		body, err := json.Marshal(r.JSON)
		if err != nil {
			return nil, fmt.Errorf("the request can't be written as JSON: %w", err)
		}
		s.body, contentType = body, "application/json"
	case r.Form != nil:
		s.body, contentType = []byte(r.Form.Encode()), "application/x-www-form-urlencoded"
	default:
		s.body = r.Body
	}
	request, err := http.NewRequestWithContext(operation.With(ctx, s), s.op.Method, target, nil)
	if err != nil {
		return nil, errors.New("the URL of the request is not valid")
	}
	if s.body != nil {
		s.newBody = func() (readCloser, error) { return io.NopCloser(bytes.NewReader(s.body)), nil }
		request.GetBody = s.newBody
		request.Body, _ = s.newBody()
		request.ContentLength = int64(len(s.body))
	}
	if err := checkHeader(header); err != nil {
		return nil, err
	}
	maps.Copy(request.Header, header)
	// One allocation for the values of all three. None has room for a second one.
	values := []string{"application/json", c.options.UserAgent, contentType}
	request.Header["Accept"] = values[0:1:1]
	request.Header["User-Agent"] = values[1:2:2]
	if contentType != "" {
		request.Header["Content-Type"] = values[2:3:3]
	}
	return request, nil
}

// target returns the URL of a request.
func (c *Client) target(path string, r Request) (string, error) {
	var b strings.Builder
	b.Grow(len(c.prefix) + len(path) + 64)
	b.WriteString(c.prefix)
	if err := fill(&b, path, r.Args); err != nil {
		return "", err
	}
	if len(r.Query) > 0 {
		b.WriteByte('?')
		b.WriteString(r.Query.Encode())
	}
	return b.String(), nil
}

// merge returns the query with what it doesn't have of more. It changes neither.
func merge(query, more url.Values) url.Values {
	if len(more) == 0 {
		return query
	}
	merged := maps.Clone(more)
	maps.Copy(merged, query)
	return merged
}

// checkHeader refuses what can't be sent. The transport would too, in a way that leaves open whether it was sent.
func checkHeader(header http.Header) error {
	for key, values := range header {
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }) {
			return fmt.Errorf("%q can't be the name of a header", key)
		}
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fmt.Errorf("the value of the header %s has characters that can't be sent", key)
			}
		}
	}
	return nil
}

// fill writes the path with the arguments in it. An argument is one path segment: it can't be empty or climb.
func fill(b *strings.Builder, path string, args []string) error {
	for _, arg := range args {
		before, after, found := strings.Cut(path, "{}")
		if !found {
			break
		}
		if arg == "" || arg == "." || arg == ".." {
			return fmt.Errorf("%q can't be part of the path %s", arg, path)
		}
		b.WriteString(before)
		b.WriteString(url.PathEscape(arg))
		path = after
	}
	b.WriteString(path)
	return nil
}

// maxCorrections is how often something may be put right within a call.
const maxCorrections = 2

// send makes the call, and again if what it was refused for could be put right.
func (c *Client) send(request *http.Request, s *call) (tillroute.Response, error) {
	answer, err := c.renewing(request, s)
	for range maxCorrections {
		e, ok := errors.AsType[*tillroute.Error](err)
		if !ok || c.config.Correct == nil || s.anonymous || !refused(answer.Status) {
			break
		}
		again, correctErr := c.config.Correct(request.Context(), e)
		if correctErr != nil {
			return answer, c.leftOpen(s, correctErr)
		}
		if !again {
			break
		}
		answer, err = c.renewing(request, s)
	}
	return answer, err
}

// renewing makes the call, and once more if its credentials were refused and could be renewed.
func (c *Client) renewing(request *http.Request, s *call) (tillroute.Response, error) {
	answer, err := c.once(request, s)
	if answer.Status != http.StatusUnauthorized || c.config.Renew == nil || s.anonymous {
		return answer, err
	}
	renewed, renewErr := c.config.Renew(request.Context(), request)
	if renewErr != nil {
		return answer, c.leftOpen(s, renewErr)
	}
	if !renewed {
		return answer, err
	}
	return c.once(request, s)
}

// leftOpen keeps open what an earlier attempt left open, whatever kept the call from being made once more.
func (c *Client) leftOpen(s *call, err error) error {
	if !s.mayHaveArrived || s.unsettled() != tillroute.Unknown {
		return err
	}
	open := &tillroute.Error{
		System: c.config.System, Operation: s.op.Name, Outcome: tillroute.Unknown, Attempts: s.attempts, Err: err,
		Message: "an earlier attempt may have taken effect, and the request could not be made again",
	}
	if e, ok := errors.AsType[*tillroute.Error](err); ok {
		open.Kind, open.RetryAfter = e.Kind, e.RetryAfter
	}
	return open
}

func (c *Client) once(request *http.Request, s *call) (tillroute.Response, error) {
	response, err := c.handler.RoundTrip(request)
	answer := tillroute.Response{Attempts: s.attempts}
	if err == nil && response == nil {
		err = errNoResponse
	}
	if err != nil {
		if response != nil && response.Body != nil {
			_ = response.Body.Close()
		}
		return answer, c.transportError(request.Context(), s, err)
	}
	answer.Status, answer.Header = response.StatusCode, response.Header
	answer.Body, err = c.readBody(response)
	if err != nil {
		return answer, c.transportError(request.Context(), s, err)
	}
	if answer.Status < 200 || answer.Status > 299 {
		return answer, c.statusError(s, answer)
	}
	return answer, nil
}

func head(body []byte) []byte {
	if len(body) > maxErrorBody {
		body = body[:maxErrorBody]
	}
	return bytes.Clone(body)
}
