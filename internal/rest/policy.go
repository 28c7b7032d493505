package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
)

const (
	firstWait = 200 * time.Millisecond
	lastWait  = 5 * time.Second
	// maxRedirects is more than any of the systems needs.
	maxRedirects = 5
)

// checkRedirect follows redirects of reads within the same scheme and host. Anything else would carry credentials to
// a stranger, or turn a POST into a GET whose answer means something else: then the redirect itself is the answer.
func (c *Client) checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0]
	same := r.URL.Scheme == first.URL.Scheme && strings.EqualFold(r.URL.Host, first.URL.Host)
	read := first.Method == http.MethodGet || first.Method == http.MethodHead
	if c.config.NoRedirects || !same || !read || len(via) > maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// checkRetry decides whether an attempt is repeated: always if it provably never arrived, on a status that says
// "later" or on a lost answer if the operation is safe to repeat, never otherwise.
func (c *Client) checkRetry(ctx context.Context, response *http.Response, err error) (bool, error) {
	s := callOf(ctx)
	if s == nil || ctx.Err() != nil || s.attempts > c.options.Retries || !c.worthwhile(ctx, s, response, err) {
		return false, nil //nolint:nilerr // the attempt's own error comes back all the same.
	}
	attrs := logAttrs(c, s)
	if response != nil {
		attrs = append(attrs, slog.Int("status", response.StatusCode))
	}
	c.options.Logger.LogAttrs(ctx, slog.LevelWarn, "trying again", attrs...)
	return true, nil
}

func (c *Client) worthwhile(ctx context.Context, s *call, response *http.Response, err error) bool {
	if err != nil {
		return !permanent(err) && !s.answered && (s.op.Repeat != Never || !s.mayHaveArrived)
	}
	return c.later(ctx, s, response)
}

// later reports whether a status says to come back, in a time that can be waited for.
func (c *Client) later(ctx context.Context, s *call, response *http.Response) bool {
	retry := false
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		// Refused before it was processed; without a hint when to come back the caller of an unsafe operation
		// knows better what to do than we.
		retry = s.op.Repeat != Never || response.Header.Get("Retry-After") != ""
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		s.mayHaveArrived = true
		retry = s.op.Repeat != Never
	}
	wait := c.retryAfter(response.StatusCode, response.Header)
	return retry && wait <= c.options.MaxRetryAfter && inTime(ctx, max(wait, firstWait))
}

func inTime(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > wait
}

// waitForLimit waits until the server takes requests again. If that is later than may be waited for, it returns an error at
// once: a request would only be refused.
func (c *Client) waitForLimit(ctx context.Context) error {
	for left := c.options.MaxRetryAfter; ; {
		wait := c.config.Limit.Closed()
		if wait <= 0 {
			return nil
		}
		if wait > left || !inTime(ctx, wait) {
			return &tillroute.Error{
				Kind: tillroute.KindRateLimited, Outcome: tillroute.Failed, RetryAfter: wait,
				Message: "the server's limit on requests is used up for another " + max(time.Second, wait.Round(time.Second)).String(),
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		left -= wait
	}
}

// permanent reports whether trying again can't help.
func permanent(err error) bool {
	var (
		notSent     *notSentError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
	)
	return errors.Is(err, errTooLarge) || errors.As(err, &notSent) ||
		errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &hostname)
}

// backoff waits as long as the server asks, or else a random time that grows with the attempts.
func (c *Client) backoff(_, _ time.Duration, attempt int, response *http.Response) time.Duration {
	if response != nil {
		if wait := c.retryAfter(response.StatusCode, response.Header); wait > 0 {
			return min(wait, c.options.MaxRetryAfter)
		}
	}
	most := min(firstWait<<min(attempt, 10), lastWait)
	return most/2 + rand.N(most/2) //nolint:gosec // jitter needs no secrecy.
}

// retryAfter reads Retry-After, as seconds or as a date. A date is taken against the server's own clock if it tells
// the time. What can't be read, and what has passed, is 0.
func (c *Client) retryAfter(status int, h http.Header) time.Duration {
	longest := maxWait
	if status == http.StatusTooManyRequests && c.config.Limit != nil {
		longest = c.config.Limit.Longest()
	}
	return RetryAfter(h, longest)
}

// RetryAfter reads the header of that name, as [Limit] implementations do too. It returns longest at most.
func RetryAfter(h http.Header, longest time.Duration) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(max(0, min(seconds, int64(longest/time.Second)))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(ServerTime(h)), longest))
}

// ServerTime returns what time it is by the clock of the server that an answer came from, as far as it says so.
func ServerTime(h http.Header) time.Time {
	if server, err := http.ParseTime(h.Get("Date")); err == nil {
		return server
	}
	return time.Now()
}

// maxWait keeps an absurd Retry-After from overflowing.
const maxWait = 365 * 24 * time.Hour
