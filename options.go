package tillroute

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/tillroute/tillroute/internal/operation"
)

// HTTPOptions says how a client talks HTTP. The zero value is ready for production. A client copies it; nothing
// in it is changed. Durations and sizes that are negative are refused when the client is made.
type HTTPOptions struct {
	// Transport carries the requests. Defaults to a transport of the client's own that keeps up to 64 idle
	// connections to a host and uses no proxy: for one, set an [http.Transport] whose Proxy says which. It must not
	// retry what it may have sent.
	Transport http.RoundTripper

	// Timeout bounds one attempt, from signing it and looking for a connection to the last byte of the answer. Defaults
	// to 30 s. The context of a call bounds the call as a whole.
	Timeout time.Duration

	// Retries is how many times an attempt may be repeated, where repeating is safe. Defaults to 3; negative
	// means never. The attempt that follows when a refused token was renewed, or the clock was put right, is made all
	// the same.
	Retries int

	// MaxRetryAfter is the longest wait that a server may ask for with Retry-After and get. An answer that asks
	// for more comes back as an error with RetryAfter set. Defaults to 30 s.
	MaxRetryAfter time.Duration

	// MaxBody is the largest answer in bytes that is read; a larger one is an error of [KindDecode]. Defaults to 10 MiB.
	// Of an answer whose status isn't 2xx, the first 64 KiB are read.
	MaxBody int64

	// UserAgent is sent with each request. Defaults to "tillroute-go".
	UserAgent string

	// Logger gets a record for each attempt at debug level, with the keys system, operation, attempt, status (0 if there was
	// no answer) and duration, and one before each repetition at warn level, with the first three and the status. No URL,
	// query, header or body is logged. Defaults to silence.
	Logger *slog.Logger

	// Middleware wraps each call, outside of its retries; the first is outermost. It sees a call again if a refused token was
	// renewed, or the clock put right. [Operation] tells it what the call is.
	Middleware []Middleware
}

// Middleware wraps a RoundTripper. The one that it returns must not modify the request it is given, must keep its context in a
// request that it sends in its place, and must close the response's body or pass it on.
type Middleware func(http.RoundTripper) http.RoundTripper

// Operation returns the name of the client operation that a request belongs to, such as "xseries.Registers.List",
// or "" outside of one. It is meant for middleware and transports that trace or measure.
func Operation(ctx context.Context) string { return operation.Name(ctx) }

// Call collects what the options of one call ask for. Programs use the With functions.
type Call struct {
	// Header is added to the request.
	Header http.Header
	// Query is added to the query of the request's URL.
	Query url.Values
	// Response, if set, is filled with what the server answered, on success and on error.
	Response *Response
}

// CallOption changes one call.
type CallOption func(*Call)

// WithHeader adds a header to the request. It can't replace a header that the client sets itself. A name or a value that can't be
// sent is an error of [KindInvalid].
func WithHeader(key, value string) CallOption {
	return func(c *Call) {
		if c.Header == nil {
			c.Header = http.Header{}
		}
		c.Header.Add(key, value)
	}
}

// WithQuery adds a parameter to the query of the request's URL, such as one that this module doesn't know yet. It can't
// replace a parameter that the client sets itself.
func WithQuery(key, value string) CallOption {
	return func(c *Call) {
		if c.Query == nil {
			c.Query = url.Values{}
		}
		c.Query.Add(key, value)
	}
}

// WithResponse fills r with what the server answered, also when the call returns an error. A call that is refused before anything is
// sent leaves r as it is.
func WithResponse(r *Response) CallOption {
	return func(c *Call) { c.Response = r }
}

// Response is the answer of a server as it came.
type Response struct {
	// Status is the HTTP status, or 0 if there was no answer.
	Status int
	// Header is the answer's header, or nil.
	Header http.Header
	// Body is the answer's body: of one whose status isn't 2xx, the first 64 KiB. It may hold secrets.
	Body []byte
	// Attempts is how many times the request was tried, the first time included.
	Attempts int
}
