package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// maxErrorBody is how much is read of an answer that isn't 2xx.
	maxErrorBody = 64 << 10
	// maxAhead is how much room is made for an answer because it says that it is so long.
	maxAhead = 16 << 20
)

type readCloser = io.ReadCloser

// NewTransport returns a transport with enough idle connections for a busy client. It uses no proxy.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
	}
}

// retries runs a request through go-retryablehttp.
type retries struct{ client *retryablehttp.Client }

func (t retries) RoundTrip(r *http.Request) (*http.Response, error) {
	// Each attempt makes a body of its own.
	return t.client.Do(&retryablehttp.Request{Request: r})
}

// attempts carries one attempt: it authorizes it, bounds its time, watches whether it left, and reads the answer
// whole, so that a connection that breaks in the middle of a body counts as a failed attempt.
//
// It has no CloseIdleConnections on purpose: go-retryablehttp calls that on every failure, and the transport may be
// shared.
type attempts struct {
	client *Client
	next   http.RoundTripper
}

func (t *attempts) RoundTrip(r *http.Request) (*http.Response, error) {
	s := callOf(r.Context())
	if s == nil {
		return nil, notSent(r, errForeignRequest)
	}
	if err := r.Context().Err(); err != nil {
		return nil, notSent(r, err)
	}
	if t.client.config.Limit != nil {
		if err := t.client.waitForLimit(r.Context()); err != nil {
			return nil, notSent(r, err)
		}
	}
	s.attempts++
	s.answered = false
	ctx, cancel := context.WithTimeout(r.Context(), t.client.options.Timeout)
	defer cancel()
	// Its own variable for each attempt: a transport may still report on one that was given up.
	var w *way
	if s.op.Repeat != Read {
		w = &way{}
		ctx = httptrace.WithClientTrace(ctx, w.trace())
	}
	r = r.WithContext(ctx)
	if s.body != nil && r.Response == nil { // A redirect is followed without a body.
		r.Body, _ = s.newBody()
		r.GetBody, r.ContentLength = s.newBody, int64(len(s.body))
	}
	if t.client.config.Authorize != nil && !s.anonymous {
		// The header of an attempt that was given up may still be read.
		r.Header = maps.Clone(r.Header)
		if err := t.client.config.Authorize(r, s.body); err != nil {
			return nil, notSent(r, err)
		}
	}
	if s.noReplay || s.op.Repeat == Never && looksReplayable(r.Header) {
		// net/http replays what has no body, or one that it can get again. Now it is neither.
		r.GetBody = nil
		if r.Body == nil {
			r.Body = io.NopCloser(strings.NewReader(""))
		}
	}
	start := time.Now()
	response, err := t.next.RoundTrip(r)
	if err == nil {
		err = t.client.readWhole(response)
		s.answered = err == nil && !refused(response.StatusCode)
	}
	if err == nil && t.client.config.Limit != nil {
		t.client.config.Limit.Observe(response.StatusCode, response.Header)
	}
	if err != nil && !w.neverLeft() {
		s.mayHaveArrived = true
	}
	if err == nil && response.StatusCode/100 == 3 && (s.op.Repeat != Read || t.client.config.NoRedirects) {
		// It won't be followed, so nobody needs to understand it.
		response.Header.Del("Location")
	}
	t.log(ctx, s, response, err, time.Since(start))
	if err != nil {
		return nil, err
	}
	return response, nil
}

func (t *attempts) log(ctx context.Context, s *call, response *http.Response, err error, took time.Duration) {
	logger := t.client.options.Logger
	if !logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	status := 0
	if err == nil {
		status = response.StatusCode
	}
	logger.LogAttrs(ctx, slog.LevelDebug, "attempt", append(logAttrs(t.client, s),
		slog.Int("status", status), slog.Duration("duration", took))...)
}

func logAttrs(c *Client, s *call) []slog.Attr {
	return []slog.Attr{
		slog.String("system", c.config.System),
		slog.String("operation", s.op.Name),
		slog.Int("attempt", s.attempts),
	}
}

// looksReplayable reports whether net/http takes these headers for leave to repeat any request.
func looksReplayable(h http.Header) bool {
	return h["Idempotency-Key"] != nil || h["X-Idempotency-Key"] != nil
}

// way is what a transport reports about an attempt's way to the server.
type way struct{ looked, connected atomic.Bool }

func (w *way) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { w.looked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
	}
}

// neverLeft reports whether the attempt provably never left: the transport looked for a connection and got none. A
// transport that reports nothing proves nothing. Once there is a connection it may have been written to, even if
// the transport has not said so yet. Nil is a way that nobody watches.
func (w *way) neverLeft() bool { return w != nil && w.looked.Load() && !w.connected.Load() }

func notSent(r *http.Request, err error) error {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return &notSentError{err}
}

// notSentError is a failure before anything was sent.
type notSentError struct{ err error }

func (e *notSentError) Error() string { return e.err.Error() }
func (e *notSentError) Unwrap() error { return e.err }

// errForeignRequest is a request that middleware made anew: nobody knows any more what it is.
var errForeignRequest = errors.New("middleware sent a request of its own: it must keep the context of the one that it was given")

// errNoResponse is a transport or middleware that returned neither a response nor an error.
var errNoResponse = errors.New("the transport or middleware returned neither a response nor an error")

// refused reports whether a status says that the request was not carried out.
func refused(status int) bool {
	return status >= 400 && status <= 499 && status != http.StatusRequestTimeout
}

// errTooLarge is an answer beyond the limit.
var errTooLarge = errors.New("the answer is larger than the limit set by HTTP.MaxBody")

// whole is a body that was read already.
type whole struct {
	bytes.Reader

	body []byte
}

func (*whole) Close() error { return nil }

// readWhole replaces the response's body by its bytes.
func (c *Client) readWhole(response *http.Response) error {
	switch {
	case response == nil:
		return errNoResponse
	case response.Header == nil:
		response.Header = http.Header{}
	}
	if response.Body == nil {
		response.Body = http.NoBody
	}
	body, err := c.readLimited(response)
	_ = response.Body.Close()
	if err != nil {
		return err
	}
	w := &whole{body: body}
	w.Reset(body)
	response.Body = w
	return nil
}

// readBody returns the body of a response, which middleware may have replaced.
func (c *Client) readBody(response *http.Response) ([]byte, error) {
	if response.Body == nil {
		return nil, nil
	}
	if w, ok := response.Body.(*whole); ok {
		return w.body, nil
	}
	body, err := c.readLimited(response)
	_ = response.Body.Close()
	return body, err
}

func (c *Client) readLimited(response *http.Response) ([]byte, error) {
	limit, keepHead := c.options.MaxBody, false
	if response.StatusCode < 200 || response.StatusCode > 299 {
		limit, keepHead = min(limit, maxErrorBody), true
	}
	if response.ContentLength > limit && !keepHead {
		return nil, errTooLarge
	}
	// One byte more than there should be has room, so that the end is seen without growing.
	size := min(max(response.ContentLength, bytes.MinRead), limit, maxAhead) + 1
	body, err := make([]byte, 0, size), error(nil)
	for err == nil && int64(len(body)) <= limit {
		var n int
		body = slices.Grow(body, 1)
		n, err = response.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
	}
	switch n := int64(len(body)); {
	case n > limit && keepHead:
		return body[:limit], nil
	case n > limit:
		return nil, errTooLarge
	case err == io.EOF: //nolint:errorlint // It is what a reader says at its end.
		return body, nil
	case keepHead:
		// The status says more than the rest of the body would.
		return body, nil
	default:
		return body, err
	}
}
