package xseries_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

// replies is a transport that gives one answer after the other, and then empty pages.
type replies struct {
	mu   sync.Mutex
	next []reply
	sent int
}

type reply struct {
	status int
	header map[string]string
}

func (t *replies) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	one := reply{status: http.StatusOK}
	if len(t.next) > 0 {
		one, t.next = t.next[0], t.next[1:]
	}
	header := http.Header{}
	for name, value := range one.header {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: one.status, Header: header, Body: io.NopCloser(strings.NewReader(emptyPage)), Request: r}, nil
}

func (t *replies) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

func paced(t *testing.T, transport *replies, longest time.Duration) *xseries.Client {
	t.Helper()
	client, err := xseries.New(xseries.Config{
		DomainPrefix: "acme", AccessToken: personalToken,
		HTTP: tillroute.HTTPOptions{Transport: transport, Retries: -1, MaxRetryAfter: longest},
	})
	require.NoError(t, err)
	return client
}

func date(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }

func unix(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }

func TestUsedUpLimitIsWaitedFor(t *testing.T) {
	type headers = map[string]string
	// The clock of a bubble begins at a full second.
	for name, test := range map[string]struct {
		status int
		header func() headers
		wait   time.Duration
	}{
		"429 with a date":  {429, func() headers { return headers{"Retry-After": date(90 * time.Second)} }, 90 * time.Second},
		"429 with seconds": {429, func() headers { return headers{"Retry-After": "90"} }, 90 * time.Second},
		"429 by the server's clock": {
			429, func() headers { return headers{"Retry-After": date(time.Hour + time.Minute), "Date": date(time.Hour)} }, time.Minute,
		},
		"429 with a reset":   {429, func() headers { return headers{"X-RateLimit-Reset": unix(time.Minute)} }, time.Minute},
		"429 in the past":    {429, func() headers { return headers{"Retry-After": date(-time.Minute)} }, 0},
		"429 negative":       {429, func() headers { return headers{"Retry-After": "-90"} }, 0},
		"429 without a hint": {429, func() headers { return headers{"X-RateLimit-Remaining": "0"} }, 0},
		"429 for ever":       {429, func() headers { return headers{"Retry-After": "99999999999"} }, 5 * time.Minute},
		"429 until 2099":     {429, func() headers { return headers{"Retry-After": "Thu, 01 Jan 2099 00:00:00 GMT"} }, 5 * time.Minute},
		"none left":          {200, func() headers { return headers{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": unix(time.Minute)} }, time.Minute},
		"none left, no end":  {200, func() headers { return headers{"X-RateLimit-Limit": "350", "X-RateLimit-Remaining": "0"} }, 0},
		"none left, no time": {200, func() headers { return headers{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"} }, 0},
		"none left, by the millisecond": {
			200, func() headers {
				return headers{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": unix(time.Minute) + "000"}
			}, 0,
		},
		"none left, no sense": {
			200, func() headers {
				return headers{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9223372036854775807"}
			}, 0,
		},
		"none left, too far": {200, func() headers { return headers{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": unix(time.Hour)} }, 5 * time.Minute},
		"one left":           {200, func() headers { return headers{"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": unix(time.Minute)} }, 0},
		"odd":                {200, func() headers { return headers{"X-RateLimit-Remaining": "-1", "X-RateLimit-Limit": "many"} }, 0},
		"503":                {503, func() headers { return headers{"Retry-After": "90"} }, 0},
		"nothing":            {200, func() headers { return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := &replies{next: []reply{{test.status, test.header()}}}
				client := paced(t, transport, 10*time.Minute)
				err := call(t.Context(), client)
				require.Equal(t, test.status == http.StatusOK, err == nil)
				var all sync.WaitGroup
				start := time.Now()
				for range 20 {
					all.Go(func() {
						if err := call(t.Context(), client); err != nil {
							t.Errorf("after the window: %v", err)
						}
					})
				}
				all.Wait()
				require.Equal(t, test.wait, time.Since(start))
				require.Equal(t, 21, transport.count())
			})
		})
	}
}

func TestUsedUpLimitThatIsTooFarAwayFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &replies{next: []reply{{429, map[string]string{"Retry-After": date(4 * time.Minute)}}}}
		client := paced(t, transport, 0)
		var e *tillroute.Error
		require.ErrorAs(t, call(t.Context(), client), &e)
		require.Equal(t, 4*time.Minute, e.RetryAfter)
		time.Sleep(time.Minute)
		start := time.Now()
		_, err := client.Webhooks.Create(t.Context(), xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://example.com/"})
		require.ErrorAs(t, err, &e)
		require.ErrorIs(t, err, tillroute.ErrRateLimited)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.Equal(t, 3*time.Minute, e.RetryAfter, "what is left of it")
		require.Equal(t, 1, transport.count(), "no attempt is wasted")
		require.Zero(t, time.Since(start))
		time.Sleep(160 * time.Second)
		require.NoError(t, call(t.Context(), client), "20 s can be waited for")
		require.Equal(t, 180*time.Second, time.Since(start))
	})
}

func TestWaitForTheLimitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &replies{next: []reply{{429, map[string]string{"Retry-After": "60"}}}}
		client := paced(t, transport, 10*time.Minute)
		require.Error(t, call(t.Context(), client))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		require.ErrorIs(t, call(ctx, client), context.Canceled)
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, 1, transport.count())
	})
}

func TestRateLimitIsOfTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &replies{next: []reply{
			{200, map[string]string{"X-RateLimit-Limit": "350", "X-RateLimit-Remaining": "349"}},
			{429, map[string]string{"X-RateLimit-Limit": "350", "X-RateLimit-Remaining": "0", "Retry-After": "60"}},
		}}
		one, two := paced(t, transport, time.Minute), paced(t, transport, time.Minute)
		require.Zero(t, one.RateLimit())
		require.NoError(t, call(t.Context(), one))
		require.Equal(t, xseries.RateLimit{Limit: 350, Remaining: 349, At: time.Now().UTC()}, one.RateLimit())
		require.ErrorIs(t, call(t.Context(), one), tillroute.ErrRateLimited)
		require.Equal(t, xseries.RateLimit{Limit: 350, At: time.Now().UTC(), ClosedUntil: time.Now().UTC().Add(time.Minute)}, one.RateLimit())
		start := time.Now()
		require.NoError(t, call(t.Context(), two), "another application may have another limit")
		require.Zero(t, time.Since(start))
		require.Zero(t, new(xseries.Client).RateLimit())
		odd := paced(t, &replies{next: []reply{{200, map[string]string{"X-RateLimit-Limit": "lots", "X-RateLimit-Remaining": "-1"}}}}, 0)
		require.NoError(t, call(t.Context(), odd))
		require.Zero(t, odd.RateLimit())
	})
}

func TestAnswersThatOvertakeEachOtherDoNotOpenTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent, both sync.WaitGroup
		sent.Add(2)
		var n atomic.Int32
		transport := transportFunc(func(r *http.Request) (*http.Response, error) {
			header, status := http.Header{}, http.StatusTooManyRequests
			switch n.Add(1) {
			case 1:
				header.Set("Retry-After", "60")
				sent.Done()
				sent.Wait()
			case 2:
				header.Set("Retry-After", "10")
				sent.Done()
				sent.Wait()
				time.Sleep(time.Second)
			default:
				status = http.StatusOK
			}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(emptyPage)), Request: r}, nil
		})
		client, err := xseries.New(xseries.Config{
			DomainPrefix: "acme", AccessToken: personalToken, HTTP: tillroute.HTTPOptions{Transport: transport, Retries: -1, MaxRetryAfter: time.Hour},
		})
		require.NoError(t, err)
		start := time.Now()
		for range 2 {
			both.Go(func() { assert.ErrorIs(t, call(t.Context(), client), tillroute.ErrRateLimited) })
		}
		both.Wait()
		require.NoError(t, call(t.Context(), client))
		require.Equal(t, time.Minute, time.Since(start))
	})
}
