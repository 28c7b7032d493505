package rest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
)

// fail completes an error with what is known of the call.
func (c *Client) fail(s *call, e *tillroute.Error) *tillroute.Error {
	e.System, e.Operation, e.Attempts = c.config.System, s.op.Name, s.attempts
	for _, secret := range s.secrets {
		// A short one would tear words apart, and is no secret worth the name.
		if len(secret) >= 6 {
			e.Message = strings.ReplaceAll(e.Message, secret, "[redacted]")
			e.Code = strings.ReplaceAll(e.Code, secret, "[redacted]")
			if e.Err != nil && strings.Contains(e.Err.Error(), secret) {
				e.Err = &redactedError{strings.ReplaceAll(e.Err.Error(), secret, "[redacted]"), e.Err}
			}
		}
	}
	return e
}

// redactedError is an error whose text had a secret in it.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string        { return e.text }
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }

// transportError is a call that got no answer.
func (c *Client) transportError(ctx context.Context, s *call, err error) *tillroute.Error {
	// The text of a url.Error holds the URL, and with it what may be secret.
	var outer *url.Error
	for errors.As(err, &outer) {
		err = outer.Err
	}
	e := &tillroute.Error{Outcome: tillroute.Failed, Err: err}
	if s.mayHaveArrived || s.answered {
		e.Outcome = s.unsettled()
	}
	var notSent *notSentError
	var timeout interface{ Timeout() bool }
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		e.Kind, e.Err = tillroute.KindCanceled, ctx.Err()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			e.Kind = tillroute.KindTimeout
		}
	case errors.As(err, &notSent):
		if inner, ok := errors.AsType[*tillroute.Error](notSent.err); ok {
			// Whatever it leaves open, this call has had no effect.
			harmless := *inner
			harmless.Outcome = tillroute.Failed
			e.Kind, e.RetryAfter, notSent.err = inner.Kind, inner.RetryAfter, &harmless
		}
		e.Err, e.Message = notSent.err, "no request was sent"
		if s.attempts > 0 {
			e.Message = "the request was not sent again"
		}
	case errors.Is(err, errTooLarge):
		e.Kind, e.Err = tillroute.KindDecode, nil
		e.Message = fmt.Sprintf("%s (%d bytes)", errTooLarge, c.options.MaxBody)
	case s.answered:
		e.Kind, e.Message = tillroute.KindDecode, "the answer came and could not be used"
		if s.op.Repeat == Read {
			// A redirect to an address that is none, most likely; the cause would show it.
			e.Err = nil
		}
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Kind, e.Message = tillroute.KindTimeout, fmt.Sprintf("no answer within %s (HTTP.Timeout)", c.options.Timeout)
	case errors.Is(err, http.ErrSchemeMismatch):
		e.Kind, e.Message = tillroute.KindUnavailable, "the server speaks http, not https: check the base URL"
	case errors.As(err, &certificate):
		e.Kind, e.Message = tillroute.KindUnavailable, "the server can't prove that it is the one: check the base URL, and the certificates that this machine trusts"
	case s.mayHaveArrived && !unreachable(err):
		e.Kind, e.Message = tillroute.KindUnavailable, "the answer was lost"
	default:
		e.Kind, e.Message = tillroute.KindUnavailable, "the server can't be reached"
	}
	return c.fail(s, e)
}

// unreachable reports whether there was no connection. It is for the text alone: reads aren't watched on their way.
func unreachable(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// statusError is an answer that isn't 2xx.
func (c *Client) statusError(s *call, answer tillroute.Response) *tillroute.Error {
	e := &tillroute.Error{
		System:     c.config.System,
		Operation:  s.op.Name,
		Kind:       kindOf(answer.Status),
		Status:     answer.Status,
		RetryAfter: c.retryAfter(answer.Status, answer.Header),
		Outcome:    tillroute.Failed,
		Body:       head(answer.Body),
	}
	if !refused(answer.Status) || s.mayHaveArrived {
		e.Outcome = s.unsettled()
	}
	switch {
	case answer.Status >= 300 && answer.Status <= 399:
		e.Message = "the server redirects elsewhere, and the redirect was not followed: check the base URL"
	default:
		e.Code, e.Message = errorText(answer)
	}
	if c.config.Explain != nil {
		c.config.Explain(e)
	}
	return c.fail(s, e)
}

func kindOf(status int) tillroute.Kind {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge,
		http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotAcceptable:
		return tillroute.KindInvalid
	case http.StatusUnauthorized:
		return tillroute.KindUnauthorized
	case http.StatusForbidden:
		return tillroute.KindForbidden
	case http.StatusNotFound, http.StatusGone:
		return tillroute.KindNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return tillroute.KindConflict
	case http.StatusLocked:
		return tillroute.KindBusy
	case http.StatusTooManyRequests:
		return tillroute.KindRateLimited
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return tillroute.KindTimeout
	}
	switch {
	case status >= 500:
		return tillroute.KindUnavailable
	case status >= 400:
		return tillroute.KindInvalid
	default:
		return tillroute.KindOther
	}
}

// errorText finds the code and the message in the shapes that the systems use: {"error": "…"},
// {"error": {"code": …, "message": "…"}}, {"error": "…", "error_description": "…"}, {"error": "…", "message": "…"},
// {"error": "…", "details": "…"}, {"errors": [...]}. What isn't JSON is only named: a page says nothing worth
// repeating.
func errorText(answer tillroute.Response) (code, message string) {
	var body struct {
		Error            json.RawMessage `json:"error"`
		Code             json.RawMessage `json:"code"`
		Message          json.RawMessage `json:"message"`
		ErrorDescription json.RawMessage `json:"error_description"`
		Details          json.RawMessage `json:"details"`
		Errors           json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		if len(answer.Body) == 0 {
			return "", http.StatusText(answer.Status)
		}
		if json.Valid(answer.Body) {
			return "", http.StatusText(answer.Status) + " (the answer has another form than errors have)"
		}
		text := http.StatusText(answer.Status) + " (the answer is " + contentType(answer) + ", not JSON)"
		if answer.Status < http.StatusInternalServerError {
			text += ": " + notTheAPI
		}
		return "", text
	}
	code = wire.Scalar(body.Code)
	name := wire.Scalar(body.Error)
	if name == "" {
		var inner struct {
			Code    json.RawMessage `json:"code"`
			Message json.RawMessage `json:"message"`
		}
		if json.Unmarshal(body.Error, &inner) == nil {
			code, name = wire.Scalar(inner.Code), wire.Scalar(inner.Message)
		}
	}
	description := wire.Scalar(body.ErrorDescription)
	if description != "" && code == "" {
		return name, description
	}
	parts := []string{name, wire.Scalar(body.Message), description, wire.Scalar(body.Details)}
	var list []json.RawMessage
	if json.Unmarshal(body.Errors, &list) == nil {
		for _, item := range list {
			var inner struct {
				Message json.RawMessage `json:"message"`
			}
			_ = json.Unmarshal(item, &inner)
			parts = append(parts, wire.Scalar(item), wire.Scalar(inner.Message))
		}
	}
	message = join(parts)
	if message == "" {
		message = http.StatusText(answer.Status)
	}
	return code, message
}

// notTheAPI is what to do about an answer that the API doesn't give.
const notTheAPI = "check the base URL, and proxies on the way"

// Advise adds what to do to what an error says.
func Advise(e *tillroute.Error, advice string) {
	e.Message = strings.TrimSuffix(e.Message, ".") + ": " + advice
}

func join(parts []string) string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ": ")
}

func contentType(answer tillroute.Response) string {
	kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	if kind = strings.TrimSpace(kind); kind == "" {
		return "of no named type"
	}
	return kind
}

func notUnderstood(answer tillroute.Response, err error) string {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		text := fmt.Sprintf("the answer (%s, %d bytes) is not complete JSON", contentType(answer), len(answer.Body))
		if kind := contentType(answer); kind == "text/html" || kind == "text/plain" {
			text += ": " + notTheAPI
		}
		return text
	}
	return "the answer has another form than expected: " + err.Error()
}
