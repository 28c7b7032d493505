package rest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
)

var (
	once = rest.Operation{Name: "Payments.Create", Method: http.MethodPost, Path: "/payments", Repeat: rest.Never}
	safe = rest.Operation{Name: "Payments.Put", Method: http.MethodPut, Path: "/payments/{}", Repeat: rest.Safe}
	read = rest.Operation{Name: "Payments.Get", Method: http.MethodGet, Path: "/payments/{}", Repeat: rest.Read}
)

// serve starts a server with a base path, and returns a client for it.
func serve(t *testing.T, handler http.HandlerFunc, change func(*rest.Config)) *rest.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return client(t, server.URL, change)
}

func client(t *testing.T, base string, change func(*rest.Config)) *rest.Client {
	t.Helper()
	config := rest.Config{System: "demo", BaseURL: base + "/base/"}
	transport := rest.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	config.HTTP.Transport = transport
	if change != nil {
		change(&config)
	}
	c, err := rest.New(config)
	require.NoError(t, err)
	return c
}

func asError(t *testing.T, err error) *tillroute.Error {
	t.Helper()
	e, ok := errors.AsType[*tillroute.Error](err)
	require.True(t, ok, "%T: %v", err, err)
	return e
}

// hangUp ends the connection without an answer.
func hangUp(t *testing.T, w http.ResponseWriter) {
	t.Helper()
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

func TestAPostWhoseAnswerIsLostIsSentOnce(t *testing.T) {
	t.Parallel()
	var processed atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		processed.Add(1)
		hangUp(t, w)
	}, nil)
	err := c.Do(t.Context(), &once, rest.Request{Form: url.Values{"amount": {"1"}}}, nil)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.EqualValues(t, 1, processed.Load())
}

func TestAPostIsNotRepeatedOnAnyStatusThatLeavesItOpen(t *testing.T) {
	t.Parallel()
	for _, status := range []int{408, 500, 502, 503, 504} {
		var processed atomic.Int32
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			processed.Add(1)
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(status)
		}, nil)
		err := c.Do(t.Context(), &once, rest.Request{}, nil)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "%d", status)
		require.EqualValues(t, 1, processed.Load(), "%d", status)
	}
}

func TestARefusedPostHasFailed(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]error{
		400: tillroute.ErrInvalid, 401: tillroute.ErrUnauthorized, 403: tillroute.ErrForbidden, 404: tillroute.ErrNotFound,
		409: tillroute.ErrConflict, 422: tillroute.ErrInvalid, 429: tillroute.ErrRateLimited, 418: tillroute.ErrInvalid,
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":"no"}`)
		}, nil)
		err := c.Do(t.Context(), &once, rest.Request{}, nil)
		require.ErrorIs(t, err, kind)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "%d", status)
		require.Equal(t, "no", asError(t, err).Message)
	}
}

func TestAPostThatNeverLeftIsTriedAgain(t *testing.T) {
	t.Parallel()
	var dials atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	c := client(t, server.URL, func(config *rest.Config) {
		transport := rest.NewTransport()
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) < 3 {
				return nil, errors.New("connection refused")
			}
			return dial(ctx, network, address)
		}
		config.HTTP.Transport = transport
	})
	var echoed map[string]int
	require.NoError(t, c.Do(t.Context(), &once, rest.Request{JSON: map[string]int{"amount": 5}}, &echoed))
	require.Equal(t, map[string]int{"amount": 5}, echoed)
	require.EqualValues(t, 3, dials.Load())
}

func TestAServerThatCannotBeReachedHasProcessedNothing(t *testing.T) {
	t.Parallel()
	c := client(t, "http://127.0.0.1:1", func(config *rest.Config) { config.HTTP.Retries = -1 })
	err := c.Do(t.Context(), &once, rest.Request{}, nil)
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "the server can't be reached")
	err = c.Do(t.Context(), &read, rest.Request{Args: []string{"x"}}, nil)
	require.ErrorContains(t, err, "the server can't be reached")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestATransportThatReportsNothingProvesNothing(t *testing.T) {
	t.Parallel()
	var sent atomic.Int32
	c := client(t, "http://x.test", func(config *rest.Config) {
		config.HTTP.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			sent.Add(1)
			return nil, errors.New("something broke")
		})
	})
	err := c.Do(t.Context(), &once, rest.Request{}, nil)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.EqualValues(t, 1, sent.Load())
}

func TestReadsAreRepeatedAndLeaveNoOutcomeOpen(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			hangUp(t, w)
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		case 3:
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"id":`)
			hangUp(t, w)
		default:
			_, _ = fmt.Fprintf(w, `{"path":%q}`, r.URL.EscapedPath())
		}
	}, nil)
	var got struct{ Path string }
	require.NoError(t, c.Do(t.Context(), &read, rest.Request{Args: []string{"a/b c"}}, &got))
	require.Equal(t, "/base/payments/a%2Fb%20c", got.Path)

	asked.Store(0)
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w) }, func(c *rest.Config) { c.HTTP.Retries = 1 })
	err := c.Do(t.Context(), &read, rest.Request{Args: []string{"x"}}, nil)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Equal(t, 2, asError(t, err).Attempts)
}

func TestASafeWriteThatWasLostOnceStaysOpenWhenItIsThenRefused(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			hangUp(t, w)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
	}, nil)
	err := c.Do(t.Context(), &safe, rest.Request{Args: []string{"x"}}, nil)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{"seconds": "7", "date": "Sat, 21 Nov 2026 00:00:07 GMT"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked int
				c := client(t, "http://x.test", func(config *rest.Config) {
					config.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
						asked++
						if asked == 1 {
							return answer(r, 429, `{}`, "Retry-After", header, "Date", "Sat, 21 Nov 2026 00:00:00 GMT"), nil
						}
						return answer(r, 200, `{}`), nil
					})
				})
				start := time.Now()
				require.NoError(t, c.Do(t.Context(), &once, rest.Request{}, nil), "a 429 was refused, so even a POST may be tried again")
				require.Equal(t, 7*time.Second, time.Since(start))
			})
		})
	}
}

func answer(r *http.Request, status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}
}

func TestRetryAfterBeyondTheLimitIsReturned(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"86400": 24 * time.Hour, "Wed, 21 Oct 2099 07:28:00 GMT": 365 * 24 * time.Hour, "99999999999999": 365 * 24 * time.Hour,
	} {
		var asked atomic.Int32
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		}, nil)
		start := time.Now()
		err := c.Do(t.Context(), &read, rest.Request{Args: []string{"x"}}, nil)
		require.ErrorIs(t, err, tillroute.ErrRateLimited)
		require.Equal(t, want, asError(t, err).RetryAfter)
		require.Less(t, time.Since(start), 20*time.Second)
		require.EqualValues(t, 1, asked.Load())
	}
}

func TestAWaitThatTheCallerCannotAffordIsNotBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, "http://x.test", func(config *rest.Config) {
			config.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				return answer(r, 429, `{}`, "Retry-After", "20"), nil
			})
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err := c.Do(ctx, &read, rest.Request{Args: []string{"x"}}, nil)
		require.Equal(t, 20*time.Second, asError(t, err).RetryAfter)
		require.Zero(t, time.Since(start))
	})
}

func TestAnEndedContextReturnsAtOnce(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{}, 1)
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		change  func(*rest.Config)
	}{
		"while the server works": {handler: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			waiting <- struct{}{}
			<-r.Context().Done()
		}},
		"while it waits to try again": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "25")
			w.WriteHeader(http.StatusTooManyRequests)
		}, change: func(config *rest.Config) { config.HTTP.Logger = slog.New(logged{"trying again", waiting}) }},
		"while the body comes": {handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, change: func(config *rest.Config) {
			next := config.HTTP.Transport
			config.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				response, err := next.RoundTrip(r)
				waiting <- struct{}{}
				return response, err
			})
		}},
	} {
		c := serve(t, test.handler, test.change)
		ctx, cancel := context.WithCancel(t.Context())
		var ended time.Time
		go func() {
			<-waiting
			ended = time.Now()
			cancel()
		}()
		err := c.Do(ctx, &safe, rest.Request{Args: []string{"x"}, JSON: 1}, nil)
		require.ErrorIs(t, err, context.Canceled, name)
		require.ErrorIs(t, err, tillroute.ErrCanceled, name)
		require.Less(t, time.Since(ended), 10*time.Second, name)
		cancel()
	}
}

// logged is a log that tells when it gets a message.
type logged struct {
	message string
	tell    chan<- struct{}
}

func (l logged) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.message {
		l.tell <- struct{}{}
	}
	return nil
}

func (logged) Enabled(context.Context, slog.Level) bool { return true }
func (l logged) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l logged) WithGroup(string) slog.Handler          { return l }

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.Do(ctx, &once, rest.Request{}, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Zero(t, asked.Load())
}

func TestASlowAnswerTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, "http://x.test", func(config *rest.Config) {
			transport := rest.NewTransport()
			// A server that takes everything and says nothing.
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, far) }()
				return near, nil
			}
			config.HTTP.Transport, config.HTTP.Timeout = transport, 50*time.Millisecond
		})
		start := time.Now()
		err := c.Do(t.Context(), &once, rest.Request{}, nil)
		require.ErrorIs(t, err, tillroute.ErrTimeout)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.ErrorContains(t, err, "no answer within 50ms")
		require.Equal(t, 50*time.Millisecond, time.Since(start))
	})
}

func TestNoCredentialFollowsARedirect(t *testing.T) {
	t.Parallel()
	var leaked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, op := range []*rest.Operation{&once, &safe, &read} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.URL+"/?token=abc", status)
			}, func(config *rest.Config) { config.Authorize = bearer("SECRET-TOKEN") })
			err := c.Do(t.Context(), op, rest.Request{Args: []string{"x"}, Secrets: []string{"x"}}, nil)
			require.ErrorContains(t, err, "redirect")
			require.NotContains(t, err.Error(), "abc")
			require.Equal(t, status, asError(t, err).Status)
		}
	}
	require.Zero(t, leaked.Load())
}

func bearer(token string) func(*http.Request, []byte) error {
	return func(r *http.Request, _ []byte) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

func TestReadsFollowRedirectsOnTheSameHost(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there" {
			http.Redirect(w, r, "/there", http.StatusFound)
			return
		}
		_, _ = fmt.Fprintf(w, `%q`, r.Header.Get("Authorization"))
	}, func(config *rest.Config) { config.Authorize = bearer("T") })
	var got string
	require.NoError(t, c.Do(t.Context(), &read, rest.Request{Args: []string{"x"}}, &got))
	require.Equal(t, "Bearer T", got)
	err := c.Do(t.Context(), &once, rest.Request{}, nil)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "a POST must not become a GET that means something else")
}

// TestEachAttemptSendsTheBody refuses the first attempts in ways that have the call made again, with middleware that has read the
// body away.
func TestEachAttemptSendsTheBody(t *testing.T) {
	t.Parallel()
	var got []string
	statuses := []int{503, 401, 500, 200}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprint(r.ContentLength, " ", string(body)))
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(statuses[len(got)-1])
	}, func(config *rest.Config) {
		config.Renew = func(context.Context, *http.Request) (bool, error) { return true, nil }
		config.HTTP.Middleware = []tillroute.Middleware{func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				_, _ = io.Copy(io.Discard, r.Body)
				return next.RoundTrip(r)
			})
		}}
	})
	require.NoError(t, c.Do(t.Context(), &safe, rest.Request{Args: []string{"1"}, JSON: map[string]int{"a": 1}}, nil))
	require.Equal(t, []string{`7 {"a":1}`, `7 {"a":1}`, `7 {"a":1}`, `7 {"a":1}`}, got)
}

// TestARedirectIsFollowedWithoutABody has a read that sends something, as net/http follows it.
func TestARedirectIsFollowedWithoutABody(t *testing.T) {
	t.Parallel()
	var got []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.URL.Path+" "+string(body))
		if len(got) == 1 {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}, nil)
	require.NoError(t, c.Do(t.Context(), &read, rest.Request{Args: []string{"1"}, Body: []byte("x")}, nil))
	require.Equal(t, []string{"/base/payments/1 x", "/elsewhere "}, got)
}

// TestMiddlewareDoesNotSeeCredentials has middleware look at the request after it was sent.
func TestMiddlewareDoesNotSeeCredentials(t *testing.T) {
	t.Parallel()
	var sent string
	var seen http.Header
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { sent = r.Header.Get("Authorization") }, func(config *rest.Config) {
		config.Authorize = func(r *http.Request, _ []byte) error {
			r.Header.Set("Authorization", "Bearer s3cret")
			return nil
		}
		config.HTTP.Middleware = []tillroute.Middleware{func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				defer func() { seen = r.Header }()
				return next.RoundTrip(r)
			})
		}}
	})
	require.NoError(t, c.Do(t.Context(), &read, rest.Request{Args: []string{"1"}}, nil))
	require.Equal(t, "Bearer s3cret", sent)
	require.Equal(t, http.Header{"Accept": {"application/json"}, "User-Agent": {"tillroute-go"}}, seen)
}

// TestALostAnswerToAReadIsCalledThat has a server that takes the request and hangs up.
func TestALostAnswerToAReadIsCalledThat(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w) }, func(config *rest.Config) { config.HTTP.Retries = -1 })
	err := c.Do(t.Context(), &read, rest.Request{Args: []string{"1"}}, nil)
	require.ErrorContains(t, err, "the answer was lost")
}

// TestMaxBodyIsKeptToTheByte has answers of a length that nobody told, which come byte by byte or all at once.
func TestMaxBodyIsKeptToTheByte(t *testing.T) {
	t.Parallel()
	const limit = 2000
	for _, piece := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader, func(r io.Reader) io.Reader { return r }} {
		for _, told := range []bool{true, false} {
			for length, fits := range map[int]bool{2: true, limit - 1: true, limit: true, limit + 1: false, 2 * limit: false} {
				c := client(t, "http://nowhere", func(config *rest.Config) {
					config.HTTP.MaxBody = limit
					config.HTTP.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
						text := `"` + strings.Repeat("x", length-2) + `"`
						r := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(piece(strings.NewReader(text))), ContentLength: -1}
						if told {
							r.ContentLength = int64(length)
						}
						return r, nil
					})
				})
				var got string
				err := c.Do(t.Context(), &read, rest.Request{Args: []string{"1"}}, &got)
				if !fits {
					require.ErrorContains(t, err, "larger than the limit", "%d", length)
					continue
				}
				require.NoError(t, err, "%d", length)
				require.Len(t, got, length-2)
			}
		}
	}
}

func TestStatusAndBodySurviveAnAnswerThatIsNotJSON(t *testing.T) {
	t.Parallel()
	page := "<html><body>Bad Gateway, token=abc</body></html>"
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, page)
	}, nil)
	var response tillroute.Response
	err := c.Do(t.Context(), &once, rest.Request{}, nil, tillroute.WithResponse(&response))
	e := asError(t, err)
	require.Equal(t, 502, e.Status)
	require.Equal(t, page, string(e.Body))
	require.Equal(t, page, string(response.Body))
	require.Equal(t, 502, response.Status)
	require.ErrorContains(t, err, "the answer is text/html, not JSON")
	require.NotContains(t, err.Error(), "abc")
}

func TestAnswersThatCannotBeUnderstood(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"truncated": `{"id":"x`, "page": "<html></html>", "empty": "", "other shape": `{"id":[1]}`, "two": `{} {}`,
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }, nil)
		var got struct{ ID string }
		err := c.Do(t.Context(), &once, rest.Request{}, &got)
		require.ErrorIs(t, err, tillroute.ErrDecode, name)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "%s: it was processed", name)
		require.Equal(t, 200, asError(t, err).Status)
		err = c.Do(t.Context(), &read, rest.Request{Args: []string{"x"}}, &got)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, name)
	}
}

func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	huge := bytes.Repeat([]byte("x"), 11<<20)
	for _, chunked := range []bool{false, true} {
		for _, status := range []int{200, 500} {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if !chunked {
					w.Header().Set("Content-Length", fmt.Sprint(len(huge)))
				}
				w.WriteHeader(status)
				_, _ = w.Write(huge)
			}, nil)
			err := c.Do(t.Context(), &once, rest.Request{}, nil)
			e := asError(t, err)
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			if status == 200 {
				require.ErrorContains(t, err, "larger than the limit")
				require.ErrorIs(t, err, tillroute.ErrDecode)
			} else {
				require.Equal(t, 500, e.Status)
				require.Len(t, e.Body, 64<<10)
			}
		}
	}
}

// room is a body that says how much room there was for it at most.
type room struct {
	io.Reader

	most int
}

func (r *room) Read(p []byte) (int, error) {
	r.most = max(r.most, len(p))
	return r.Reader.Read(p)
}

func (*room) Close() error { return nil }

func TestRoomForAnAnswerIsNotMadeOnItsWordAlone(t *testing.T) {
	t.Parallel()
	body := &room{Reader: strings.NewReader("{}")}
	c := client(t, "https://x.test", func(config *rest.Config) {
		config.HTTP.MaxBody = math.MaxInt64
		config.HTTP.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, ContentLength: 256 << 20, Body: body}, nil
		})
	})
	require.NoError(t, c.Do(t.Context(), &once, rest.Request{}, nil))
	require.Less(t, body.most, 32<<20)
}

func TestAnswersThatUnpackIntoMoreOrNeverEnd(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	_, err := packer.Write(make([]byte, 8<<20))
	require.NoError(t, err)
	require.NoError(t, packer.Close())
	require.Less(t, bomb.Len(), 1<<20)
	for name, send := range map[string]func(http.ResponseWriter){
		"packed": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		},
		"endless": func(w http.ResponseWriter) {
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 1<<20))
			}
		},
	} {
		ended := make(chan struct{}, 1)
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			send(w)
			ended <- struct{}{}
		}, func(config *rest.Config) { config.HTTP.MaxBody = 1 << 20 })
		err := c.Do(t.Context(), &read, rest.Request{Args: []string{"x"}}, nil)
		require.ErrorIs(t, err, tillroute.ErrDecode, name)
		require.ErrorContains(t, err, "larger than the limit", name)
		<-ended
	}
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2]string{
		`{"error":"permission denied"}`:                                                 {"", "permission denied"},
		`{"error":{"code":17,"message":"card expired"}}`:                                {"17", "card expired"},
		`{"error":"invalid_grant","error_description":"The refresh token is invalid."}`: {"invalid_grant", "The refresh token is invalid."},
		`{"error":"Too Many Requests","message":"Rate limiting enforced"}`:              {"", "Too Many Requests: Rate limiting enforced"},
		`{"error":"bad","details":"the name"}`:                                          {"", "bad: the name"},
		`{"errors":["one",{"message":"two"},3]}`:                                        {"", "one: two: 3"},
		`{"code":"E1","message":"no"}`:                                                  {"E1", "no"},
		`{"error":null}`:                                                                {"", "Bad Request"},
		`[]`:                                                                            {"", "Bad Request (the answer has another form than errors have)"},
		`<p>`:                                                                           {"", "Bad Request (the answer is text/plain, not JSON): check the base URL, and proxies on the way"},
		``:                                                                              {"", "Bad Request"},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, body)
		}, nil)
		e := asError(t, c.Do(t.Context(), &once, rest.Request{}, nil))
		require.Equal(t, want, [2]string{e.Code, e.Message}, body)
	}
}

func TestCredentialsAreRenewedOnce(t *testing.T) {
	t.Parallel()
	token, renewals := "old", 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(body)
	}, func(config *rest.Config) {
		config.Authorize = func(r *http.Request, _ []byte) error { return bearer(token)(r, nil) }
		config.Renew = func(context.Context, *http.Request) (bool, error) {
			renewals++
			token = "new"
			return true, nil
		}
	})
	var got int
	require.NoError(t, c.Do(t.Context(), &once, rest.Request{JSON: 5}, &got))
	require.Equal(t, 5, got)
	require.Equal(t, 1, renewals)

	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, func(config *rest.Config) {
		config.Renew = func(context.Context, *http.Request) (bool, error) {
			renewals++
			return true, nil
		}
	})
	require.ErrorIs(t, c.Do(t.Context(), &once, rest.Request{}, nil), tillroute.ErrUnauthorized)
	require.Equal(t, 2, renewals)
}

func TestFailingToAuthorizeSendsNothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, func(config *rest.Config) {
		config.Authorize = func(*http.Request, []byte) error {
			return &tillroute.Error{Kind: tillroute.KindTimeout, Message: "there is no token"} // Whatever became of the refresh.
		}
	})
	err := c.Do(t.Context(), &once, rest.Request{JSON: 1}, nil)
	require.ErrorContains(t, err, "there is no token")
	require.ErrorIs(t, err, tillroute.ErrTimeout)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Zero(t, asked.Load())
}

func TestMiddlewareSeesEachCallOnceAndKnowsItsName(t *testing.T) {
	t.Parallel()
	var seen []string
	trace := func(name string) tillroute.Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				seen = append(seen, name+" "+tillroute.Operation(r.Context()))
				response, err := next.RoundTrip(r.Clone(r.Context()))
				if err == nil {
					// A body that is not ours any more.
					response.Body = io.NopCloser(response.Body)
				}
				return response, err
			})
		}
	}
	var asked atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(body)
	}, func(config *rest.Config) {
		config.HTTP.Middleware = []tillroute.Middleware{trace("outer"), trace("inner")}
	})
	var got int
	require.NoError(t, c.Do(t.Context(), &safe, rest.Request{Args: []string{"x"}, JSON: 7}, &got))
	require.Equal(t, 7, got)
	require.Equal(t, []string{"outer demo.Payments.Put", "inner demo.Payments.Put"}, seen)
	require.EqualValues(t, 2, asked.Load())
}

func TestNothingSecretIsShown(t *testing.T) {
	t.Parallel()
	secret := rand.Text()
	var logged bytes.Buffer
	var mu sync.Mutex
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `{"error":"your token %s is bad","code":%q}`, r.URL.Query().Get("token"), secret)
	}, func(config *rest.Config) {
		config.HTTP.Logger = slog.New(slog.NewJSONHandler(&lockedWriter{w: &logged, mu: &mu}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		config.HTTP.Retries = 1
		config.Authorize = bearer(secret)
	})
	target := c.BaseURL().String() + "/poll?token=" + secret
	err := c.Do(t.Context(), &read, rest.Request{URL: target, Secrets: []string{secret}}, nil)
	require.Error(t, err)
	dead := client(t, "http://127.0.0.1:1", func(config *rest.Config) { config.HTTP.Retries = -1 })
	unreachable := dead.Do(t.Context(), &read, rest.Request{URL: "http://127.0.0.1:1/poll?token=" + secret}, nil)
	require.Error(t, unreachable)
	broken := dead.Do(t.Context(), &read, rest.Request{URL: "http://127.0.0.1:1/\x00?token=" + secret}, nil)
	require.Error(t, broken)
	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, logged.String(), `"attempt":2`)
	for _, text := range []string{err.Error(), unreachable.Error(), broken.Error(), logged.String(), fmt.Sprintf("%+v %#v", err, unreachable)} {
		require.NotContains(t, text, secret)
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "example.com", "ftp://x", "https://", "https://x/?q=1", "https://x/#f", "https://u:p@x/", "https://x\x00"} {
		_, err := rest.New(rest.Config{System: "demo", BaseURL: base})
		require.ErrorIs(t, err, tillroute.ErrInvalid, base)
	}
	for _, options := range []tillroute.HTTPOptions{{Timeout: -1}, {MaxBody: -1}, {MaxRetryAfter: -1}, {Middleware: []tillroute.Middleware{nil}}} {
		_, err := rest.New(rest.Config{System: "demo", BaseURL: "https://x", HTTP: options})
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
}

func TestPathsCannotClimb(t *testing.T) {
	t.Parallel()
	c := client(t, "http://127.0.0.1:1", nil)
	for _, arg := range []string{"", ".", ".."} {
		err := c.Do(t.Context(), &read, rest.Request{Args: []string{arg}}, nil)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	}
}

func TestTheUsersTransportIsLeftAlone(t *testing.T) {
	t.Parallel()
	transport := &http.Transport{}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w) }, func(config *rest.Config) {
		config.HTTP.Transport, config.HTTP.Retries = transport, -1
	})
	require.Error(t, c.Do(t.Context(), &once, rest.Request{}, nil))
	require.Nil(t, transport.DialContext)
	require.Zero(t, transport.MaxIdleConnsPerHost)
}

func TestManyCallersShareAClient(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}, func(config *rest.Config) { config.Authorize = bearer("T") })
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			var got int
			if err := c.Do(t.Context(), &once, rest.Request{JSON: i}, &got); err != nil || got != i {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	group.Wait()
}

func TestAnAnswerThatCannotBeUsedIsNoReasonToSendAgain(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"https://%%/?token=s3cr3t", "http://exa mple/?token=s3cr3t", ":s3cr3t"} {
		var asked atomic.Int32
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header()["Location"] = []string{location}
			w.WriteHeader(http.StatusFound)
		}, nil)
		err := c.Do(t.Context(), &once, rest.Request{JSON: 1}, nil)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.EqualValues(t, 1, asked.Load())
		require.NotContains(t, err.Error(), "s3cr3t")
		err = c.Do(t.Context(), &read, rest.Request{Args: []string{"x"}}, nil)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3cr3t")
	}
	var asked atomic.Int32
	picky := func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if _, err := next.RoundTrip(r); err != nil {
				return nil, err
			}
			return nil, errors.New("middleware didn't like the answer")
		})
	}
	c := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, func(config *rest.Config) {
		config.HTTP.Middleware = []tillroute.Middleware{picky}
	})
	err := c.Do(t.Context(), &once, rest.Request{JSON: 1}, nil)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "didn't like")
	require.EqualValues(t, 1, asked.Load())
}

func TestWhatCannotBeSentIsRefused(t *testing.T) {
	t.Parallel()
	c := client(t, "http://127.0.0.1:1", nil)
	for _, option := range []tillroute.CallOption{
		tillroute.WithHeader("X A", "v"), tillroute.WithHeader("", "v"), tillroute.WithHeader("X-A", "a\r\nX-B: b"), tillroute.WithHeader("X-A", "a\x00"),
	} {
		err := c.Do(t.Context(), &once, rest.Request{}, nil, option, nil)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	}
	_, err := rest.New(rest.Config{System: "demo", BaseURL: "https://x", HTTP: tillroute.HTTPOptions{UserAgent: "a\nb"}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func TestMiddlewareThatLosesTheContextIsTold(t *testing.T) {
	t.Parallel()
	c := client(t, "http://127.0.0.1:1", func(config *rest.Config) {
		config.HTTP.Middleware = []tillroute.Middleware{func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) { return next.RoundTrip(r.WithContext(t.Context())) })
		}}
	})
	err := c.Do(t.Context(), &once, rest.Request{}, nil)
	require.ErrorContains(t, err, "it must keep the context")
}

func TestAPostIsNotReplayedBehindOurBack(t *testing.T) {
	t.Parallel()
	for _, body := range []any{nil, 7} {
		for _, key := range []string{"Accept-Language", "Idempotency-Key", "X-Idempotency-Key"} {
			var asked atomic.Int32
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if asked.Add(1) == 1 {
					_, _ = io.WriteString(w, "{}") // The connection is kept, and used again.
					return
				}
				hangUp(t, w)
			}, nil)
			header := tillroute.WithHeader(key, "k")
			require.NoError(t, c.Do(t.Context(), &once, rest.Request{JSON: body}, nil, header))
			require.ErrorIs(t, c.Do(t.Context(), &once, rest.Request{JSON: body}, nil, header), tillroute.ErrOutcomeUnknown)
			require.EqualValues(t, 2, asked.Load(), "%s, body %v", key, body)
		}
	}
}

func TestAReadIsNotReplayedBehindOurBack(t *testing.T) {
	t.Parallel()
	for _, noReplay := range []bool{false, true} {
		// On a slow machine net/http may not keep the first connection. Then nothing is seen.
		for kept := false; !kept; {
			var mu sync.Mutex
			var sizes, connections []string
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				sizes, connections = append(sizes, fmt.Sprint(r.ContentLength, r.TransferEncoding)), append(connections, r.RemoteAddr)
				first := len(connections) == 1
				mu.Unlock()
				if first {
					_, _ = io.WriteString(w, "{}") // The connection is kept, and used again.
					return
				}
				hangUp(t, w)
			}, func(config *rest.Config) { config.HTTP.Retries = -1 })
			request := rest.Request{Args: []string{"x"}, NoReplay: noReplay}
			require.NoError(t, c.Do(t.Context(), &read, request, nil))
			require.Error(t, c.Do(t.Context(), &read, request, nil))
			mu.Lock()
			if kept = connections[0] == connections[1]; kept {
				want := 3 // net/http repeats it on a new connection.
				if noReplay {
					want = 2
				}
				require.Len(t, connections, want)
			}
			require.Equal(t, "0 []", sizes[0], "the request has no body on the wire")
			mu.Unlock()
		}
	}
}

func TestNoCredentialGoesOutInClear(t *testing.T) {
	t.Parallel()
	var asked []string
	c := client(t, "https://x.test", func(config *rest.Config) {
		config.Authorize = bearer("T")
		config.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.String())
			return answer(r, 302, "", "Location", "http://x.test/there"), nil
		})
	})
	require.Error(t, c.Do(t.Context(), &read, rest.Request{Args: []string{"x"}}, nil))
	require.Len(t, asked, 1)
}

func TestA429OnAPost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var header []string
		c := client(t, "http://x.test", func(config *rest.Config) {
			config.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				asked++
				return answer(r, 429, `{}`, header...), nil
			})
		})
		err := c.Do(t.Context(), &once, rest.Request{}, nil)
		require.ErrorIs(t, err, tillroute.ErrRateLimited)
		require.Equal(t, 1, asked, "without a hint when to come back it is for the caller to decide")

		header = []string{"Retry-After", "20"}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		err = c.Do(ctx, &once, rest.Request{}, nil)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "it was refused")
		require.Equal(t, 2, asked)
	})
}

func TestWhatAnEarlierAttemptLeftOpenStaysOpen(t *testing.T) {
	t.Parallel()
	noToken := &tillroute.Error{Kind: tillroute.KindUnauthorized, Outcome: tillroute.Failed, Message: "there is no token"}
	for _, repeat := range []rest.Repeat{rest.Safe, rest.Read} {
		asked := 0
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			// The first one may have taken effect, and the second says nothing about it.
			status := http.StatusUnauthorized
			if asked++; asked == 1 {
				status = http.StatusBadGateway
			}
			w.WriteHeader(status)
		}, func(config *rest.Config) {
			config.Renew = func(context.Context, *http.Request) (bool, error) { return false, noToken }
		})
		err := c.Do(t.Context(), &rest.Operation{Name: "Put", Method: http.MethodPut, Path: "/x", Repeat: repeat}, rest.Request{JSON: 1}, nil)
		require.ErrorContains(t, err, "there is no token")
		require.ErrorIs(t, err, tillroute.ErrUnauthorized)
		require.Equal(t, repeat == rest.Safe, errors.Is(err, tillroute.ErrOutcomeUnknown))
		require.Equal(t, 2, asked)
	}
}

func TestAnonymousCallsRenewNothing(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("an anonymous request has credentials")
		}
		w.WriteHeader(http.StatusUnauthorized)
	}, func(config *rest.Config) {
		config.Authorize = bearer("T")
		config.Renew = func(context.Context, *http.Request) (bool, error) {
			t.Error("an anonymous request has its credentials renewed")
			return true, nil
		}
	})
	require.ErrorIs(t, c.Do(t.Context(), &once, rest.Request{Anonymous: true}, nil), tillroute.ErrUnauthorized)
}

func TestOddTransports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		response *http.Response
		ok       bool
	}{
		"no body, as mocks answer": {&http.Response{StatusCode: http.StatusNoContent}, true},
		"nothing at all":           {nil, false},
	} {
		client := client(t, "https://x.test", func(config *rest.Config) {
			config.HTTP.Transport = roundTripper(func(*http.Request) (*http.Response, error) { return c.response, nil })
		})
		err := client.Do(t.Context(), &once, rest.Request{}, nil)
		require.Equal(t, c.ok, err == nil, "%s: %v", name, err)
	}
	_, err := rest.New(rest.Config{System: "demo", BaseURL: "https://x", HTTP: tillroute.HTTPOptions{
		Middleware: []tillroute.Middleware{func(http.RoundTripper) http.RoundTripper { return nil }},
	}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func TestTheAnswerIsHandedOnAsItCame(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/pay/17")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "{}")
	}, func(config *rest.Config) { config.HTTP.MaxBody = math.MaxInt64 })
	var response tillroute.Response
	var got struct{}
	require.NoError(t, c.Do(t.Context(), &once, rest.Request{}, &got, tillroute.WithResponse(&response)))
	require.Equal(t, 201, response.Status)
	require.Equal(t, "/pay/17", response.Header.Get("Location"))
	require.Equal(t, "{}", string(response.Body))
}

// gate is a limit that is closed as a test says.
type gate struct {
	mu     sync.Mutex
	until  time.Time
	seen   []int
	asked  int
	extend time.Duration
}

func (g *gate) Longest() time.Duration { return 5 * time.Minute }

func (g *gate) Closed() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	wait := time.Until(g.until)
	if g.extend > 0 && wait <= 0 {
		g.until, wait = time.Now().Add(g.extend), g.extend
	}
	return wait
}

func (g *gate) Observe(status int, _ http.Header) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, status)
}

// canned answers with one status after the other, and the last one again and again.
type canned struct {
	mu       sync.Mutex
	statuses []int
	header   http.Header
	sent     int
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	status := c.statuses[0]
	if len(c.statuses) > 1 {
		c.statuses = c.statuses[1:]
	}
	if status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: status, Header: c.header.Clone(), Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

func limited(t *testing.T, g *gate, transport *canned) *rest.Client {
	t.Helper()
	return client(t, "https://api.example.com", func(c *rest.Config) { c.Limit, c.HTTP.Transport = g, transport })
}

func TestALimitHoldsAttemptsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, transport := &gate{until: time.Now().Add(20 * time.Second)}, &canned{statuses: []int{503, 200}}
		start := time.Now()
		require.NoError(t, limited(t, g, transport).Do(t.Context(), &read, rest.Request{Args: []string{"1"}}, nil))
		require.GreaterOrEqual(t, time.Since(start), 20*time.Second)
		require.Less(t, time.Since(start), 21*time.Second)
		require.Equal(t, []int{503, 200}, g.seen, "every answer is seen")
		require.Equal(t, 2, transport.sent)
	})
}

func TestALimitThatIsClosedForTooLongFailsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, set := range map[string]func(*gate, context.Context) (context.Context, context.CancelFunc){
			"longer than MaxRetryAfter": func(g *gate, ctx context.Context) (context.Context, context.CancelFunc) {
				g.until = time.Now().Add(31 * time.Second)
				return ctx, func() {}
			},
			"longer than the caller waits": func(g *gate, ctx context.Context) (context.Context, context.CancelFunc) {
				g.until = time.Now().Add(20 * time.Second)
				return context.WithTimeout(ctx, 10*time.Second)
			},
		} {
			g, transport := &gate{}, &canned{statuses: []int{200}}
			ctx, cancel := set(g, t.Context())
			start := time.Now()
			e := asError(t, limited(t, g, transport).Do(ctx, &once, rest.Request{}, nil))
			cancel()
			require.Equal(t, tillroute.KindRateLimited, e.Kind, name)
			require.Equal(t, tillroute.Failed, e.Outcome, name)
			require.Equal(t, time.Until(g.until), e.RetryAfter, name)
			require.Zero(t, e.Attempts, name)
			require.Regexp(t, "^demo: Payments.Create: rate limited: no request was sent: rate limited: the server's limit on requests is used up for another [23][01]s$",
				e.Error(), name)
			require.Zero(t, time.Since(start), name)
			require.Zero(t, transport.sent, name)
		}
	})
}

func TestALimitThatNeverOpensEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, transport := &gate{extend: 9 * time.Second}, &canned{statuses: []int{200}}
		start := time.Now()
		e := asError(t, limited(t, g, transport).Do(t.Context(), &once, rest.Request{}, nil))
		require.Equal(t, tillroute.KindRateLimited, e.Kind)
		require.Equal(t, 27*time.Second, time.Since(start))
		require.Zero(t, transport.sent)
	})
}

func TestACallerLeavesAClosedLimitAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, transport := &gate{until: time.Now().Add(20 * time.Second)}, &canned{statuses: []int{200}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		e := asError(t, limited(t, g, transport).Do(ctx, &once, rest.Request{}, nil))
		require.ErrorIs(t, e, context.Canceled)
		require.Equal(t, tillroute.Failed, e.Outcome)
		require.Equal(t, time.Second, time.Since(start))
		require.Zero(t, transport.sent)
	})
}

func TestALimitDoesNotHideThatACallMayHaveArrived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, transport := &gate{}, &canned{statuses: []int{0}}
		c := client(t, "https://api.example.com", func(c *rest.Config) {
			c.Limit, c.HTTP.Transport = g, transport
			c.HTTP.Middleware = []tillroute.Middleware{func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					time.AfterFunc(10*time.Millisecond, func() {
						g.mu.Lock()
						defer g.mu.Unlock()
						g.until = time.Now().Add(time.Hour)
					})
					return next.RoundTrip(r)
				})
			}}
		})
		e := asError(t, c.Do(t.Context(), &safe, rest.Request{Args: []string{"1"}, Body: []byte("{}")}, nil))
		require.Equal(t, 1, transport.sent)
		require.Equal(t, tillroute.KindRateLimited, e.Kind)
		require.Equal(t, tillroute.Unknown, e.Outcome, "the first attempt got no answer")
		require.ErrorContains(t, e, "not sent again")
	})
}

func TestALimitBoundsRetryAfter(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]time.Duration{429: 5 * time.Minute, 503: time.Hour} {
		transport := &canned{statuses: []int{status}, header: http.Header{"Retry-After": {"3600"}}}
		e := asError(t, limited(t, &gate{}, transport).Do(t.Context(), &read, rest.Request{Args: []string{"1"}}, nil))
		require.Equal(t, want, e.RetryAfter)
		require.Equal(t, 1, transport.sent)
	}
}

func TestWhatWasRefusedIsCorrectedTwiceAtMost(t *testing.T) {
	t.Parallel()
	for refusals := range 4 {
		asked, corrections := 0, 0
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked++
			body, _ := io.ReadAll(r.Body)
			if asked <= refusals {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":"invalid_timestamp","error_description":"Timestamp is in future"}`)
				return
			}
			_, _ = w.Write(body)
		}, func(config *rest.Config) {
			config.Correct = func(_ context.Context, refused *tillroute.Error) (bool, error) {
				corrections++
				if refused.Code != "invalid_timestamp" || refused.Outcome != tillroute.Failed {
					t.Error(refused)
				}
				return true, nil
			}
		})
		var got int
		err := c.Do(t.Context(), &once, rest.Request{JSON: 5}, &got)
		require.Equal(t, refusals <= 2, err == nil, "%d refusals: %v", refusals, err)
		require.Equal(t, min(refusals, 2), corrections)
		require.Equal(t, min(refusals, 2)+1, asked)
	}
}

func TestCorrectingIsForRefusalsAlone(t *testing.T) {
	t.Parallel()
	status := 0
	wrong := errors.New("no way to put it right")
	answer := func() (bool, error) { return false, nil }
	corrections := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }, func(config *rest.Config) {
		config.HTTP.Retries = -1
		config.Correct = func(context.Context, *tillroute.Error) (bool, error) {
			corrections++
			return answer()
		}
	})
	for _, status = range []int{http.StatusFound, http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway} {
		require.Error(t, c.Do(t.Context(), &once, rest.Request{}, nil))
	}
	require.Zero(t, corrections, "nobody knows whether it was carried out")
	status = http.StatusBadRequest
	require.ErrorIs(t, c.Do(t.Context(), &once, rest.Request{}, nil), tillroute.ErrInvalid)
	require.Error(t, c.Do(t.Context(), &once, rest.Request{Anonymous: true}, nil))
	require.Equal(t, 1, corrections, "an anonymous request has nothing to put right")
	answer = func() (bool, error) { return false, wrong }
	require.ErrorIs(t, c.Do(t.Context(), &once, rest.Request{}, nil), wrong)
	status = http.StatusOK
	require.NoError(t, c.Do(t.Context(), &once, rest.Request{}, nil))
	require.Equal(t, 2, corrections)
}

func TestQueryOfACallCantReplaceTheClients(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "%q", r.URL.RawQuery) }, nil)
	query := url.Values{"status": {"waiting"}}
	for _, option := range []struct {
		query url.Values
		want  string
	}{{query, "fields=%2A%2Corders&fields=x&status=waiting"}, {nil, "fields=%2A%2Corders&fields=x&status=open"}} {
		var got string
		require.NoError(t, c.Do(t.Context(), &once, rest.Request{Query: option.query}, &got,
			tillroute.WithQuery("fields", "*,orders"), tillroute.WithQuery("status", "open"), tillroute.WithQuery("fields", "x")))
		require.Equal(t, option.want, got)
	}
	require.Equal(t, url.Values{"status": {"waiting"}}, query)
}
