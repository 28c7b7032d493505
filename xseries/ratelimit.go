package xseries

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillroute/tillroute/internal/rest"
)

// rateWindow is how long the vendor's window for counting requests is. When it begins isn't told, so it only bounds waits.
const rateWindow = 5 * time.Minute

// RateLimit is how many requests the store takes, as far as its answers have said. The limit is one of the application at the
// store, and shared by all processes: others may use it up too.
type RateLimit struct {
	// Limit is how many requests fit into a window of five minutes, or 0 if that isn't known. Remaining is how many were left
	// of them at the time At, in UTC; it isn't known if At is zero.
	Limit, Remaining int
	At               time.Time
	// ClosedUntil is until when calls wait, or fail, in UTC. It has passed, or is zero, if they don't.
	ClosedUntil time.Time
}

// RateLimit returns what is known of the store's limit on requests.
//
// Once the limit is used up and the store has said until when, calls send nothing before that time. They wait for it if it is
// no longer than HTTP.MaxRetryAfter and within their context's deadline, and are otherwise at once an error of kind
// RateLimited with RetryAfter, and without an effect. A wait is five minutes at most, whatever the store says. If it doesn't
// say until when, calls are sent, and refused.
//
// API reference: https://x-series-api.lightspeedhq.com/docs/rate_limiting
func (c *Client) RateLimit() RateLimit {
	if c == nil || c.c == nil {
		return RateLimit{}
	}
	b := c.c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known
}

// budget keeps the calls of a client within the limit of its store.
type budget struct {
	mu    sync.Mutex
	known RateLimit
}

var _ rest.Limit = (*budget)(nil)

func (b *budget) Longest() time.Duration { return rateWindow }

func (b *budget) Closed() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Until(b.known.ClosedUntil)
}

func (b *budget) Observe(status int, header http.Header) {
	limit, hasLimit := count(header, "X-Ratelimit-Limit")
	remaining, hasRemaining := count(header, "X-Ratelimit-Remaining")
	refused := status == http.StatusTooManyRequests
	if !refused && !hasLimit && !hasRemaining {
		return
	}
	var wait time.Duration
	if refused {
		wait = rest.RetryAfter(header, rateWindow)
	}
	if wait == 0 && (refused || hasRemaining && remaining == 0) {
		wait = untilReset(header)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now().UTC()
	if hasLimit {
		b.known.Limit = limit
	}
	if hasRemaining {
		b.known.Remaining, b.known.At = remaining, now
	}
	// Answers overtake each other: one that was sent before the end of the budget doesn't open it again.
	if until := now.Add(wait); wait > 0 && until.After(b.known.ClosedUntil) {
		b.known.ClosedUntil = until
	}
}

// untilReset returns how long it is to the end of the window, or 0 if that isn't told. The vendor documents the header for
// tokens alone.
func untilReset(header http.Header) time.Duration {
	at, err := strconv.ParseInt(strings.TrimSpace(header.Get("X-Ratelimit-Reset")), 10, 64)
	// What is thousands of years away counts something else than seconds.
	if err != nil || at > 1<<37 {
		return 0
	}
	return max(0, min(time.Unix(at, 0).Sub(rest.ServerTime(header)), rateWindow))
}

// count reads a number of requests.
func count(header http.Header, name string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(header.Get(name)))
	return n, err == nil && n >= 0
}
