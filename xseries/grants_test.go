package xseries_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
)

func newTokens() *memstore.Store { return memstore.New(memstore.Config{}) }

// shop is a store's server as a transport: it gives out token pairs, each refresh token once, and knows one good access token.
type shop struct {
	mu        sync.Mutex
	issued    int
	access    string
	refresh   string
	refreshes int
	refused   int
	calls     int
	// delay is how long a refresh takes, loseNext loses the next answer to one, dead refuses all.
	delay    time.Duration
	loseNext bool
	dead     bool
	lifetime int
}

func newShop() *shop { return &shop{access: "access-0", refresh: "refresh-0", lifetime: 3600} }

func (s *shop) RoundTrip(r *http.Request) (*http.Response, error) {
	var form url.Values
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if form, err = url.ParseQuery(string(body)); err != nil {
			return nil, err
		}
	}
	if strings.HasSuffix(r.URL.Path, "/token") {
		select {
		case <-time.After(s.delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := func(status int, body string) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: r,
		}, nil
	}
	if !strings.HasSuffix(r.URL.Path, "/token") {
		s.calls++
		if r.Header.Get("Authorization") != "Bearer "+s.access {
			s.refused++
			return reply(http.StatusUnauthorized, `{"error":"Access token is not valid"}`)
		}
		return reply(http.StatusOK, `{"data":[],"version":{"min":null,"max":null}}`)
	}
	s.refreshes++
	if s.dead || form.Get("refresh_token") != s.refresh {
		return reply(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"The refresh token is invalid."}`)
	}
	s.issued++
	s.access, s.refresh = fmt.Sprintf("access-%d", s.issued), fmt.Sprintf("refresh-%d", s.issued)
	if s.loseNext {
		s.loseNext = false
		return nil, io.ErrUnexpectedEOF
	}
	return reply(http.StatusOK, fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%d,"refresh_token":%q,"scope":""}`,
		s.access, s.lifetime, s.refresh))
}

func (s *shop) count() (refreshes, calls, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refreshes, s.calls, s.refused
}

// node returns a client that keeps its tokens in the store, like a process beside others.
func (s *shop) node(t *testing.T, tokens pairing.Tokens) *xseries.Client {
	t.Helper()
	client, err := xseries.New(xseries.Config{
		DomainPrefix: "acme",
		OAuth:        xseries.OAuth{ClientID: "id", ClientSecret: clientSecret},
		Tokens:       tokens,
		HTTP:         tillroute.HTTPOptions{Transport: s, Retries: -1},
	})
	require.NoError(t, err)
	return client
}

func connect(t *testing.T, tokens pairing.Tokens, expiry time.Time) {
	t.Helper()
	_, err := tokens.PutGrant(t.Context(), pairing.Grant{
		System: "xseries", Account: "acme", AccessToken: "access-0", RefreshToken: "refresh-0", Scope: "registers:read", Expiry: expiry,
	}, -1)
	require.NoError(t, err)
}

func call(ctx context.Context, client *xseries.Client) error {
	_, err := client.Registers.List(ctx, xseries.ListOptions{})
	return err
}

func TestGrantIsUsedAsLongAsItIsGood(t *testing.T) {
	for name, expiry := range map[string]time.Time{"lifetime not known": {}, "an hour": time.Now().Add(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			s, tokens := newShop(), newTokens()
			connect(t, tokens, expiry)
			client := s.node(t, tokens)
			for range 3 {
				require.NoError(t, call(t.Context(), client))
			}
			refreshes, calls, refused := s.count()
			require.Zero(t, refreshes)
			require.Equal(t, 3, calls)
			require.Zero(t, refused)
		})
	}
}

func TestGrantIsRenewedBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(), newTokens()
		connect(t, tokens, time.Now().Add(time.Minute))
		client := s.node(t, tokens)
		require.NoError(t, call(t.Context(), client))
		time.Sleep(55 * time.Second)
		require.NoError(t, call(t.Context(), client))
		refreshes, _, refused := s.count()
		require.Equal(t, 1, refreshes)
		require.Zero(t, refused)
		grant, err := tokens.Grant(t.Context(), "xseries", "acme")
		require.NoError(t, err)
		require.Equal(t, tillroute.Secret("access-1"), grant.AccessToken)
		require.Equal(t, tillroute.Secret("refresh-1"), grant.RefreshToken)
		require.Equal(t, "registers:read", grant.Scope)
		time.Sleep(30 * time.Minute)
		require.NoError(t, call(t.Context(), client))
		refreshes, _, _ = s.count()
		require.Equal(t, 1, refreshes)
	})
}

func TestGrantIsRenewedAfterARefusal(t *testing.T) {
	s, tokens := newShop(), newTokens()
	connect(t, tokens, time.Time{})
	client := s.node(t, tokens)
	require.NoError(t, call(t.Context(), client))
	s.mu.Lock()
	s.access = "revoked"
	s.mu.Unlock()
	require.NoError(t, call(t.Context(), client))
	refreshes, calls, refused := s.count()
	require.Equal(t, 1, refreshes)
	require.Equal(t, 3, calls)
	require.Equal(t, 1, refused)
}

func TestManyCallersRefreshOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(), newTokens()
		s.delay = time.Second
		connect(t, tokens, time.Now().Add(-time.Hour))
		nodes := []*xseries.Client{s.node(t, tokens), s.node(t, tokens), s.node(t, tokens)}
		var all sync.WaitGroup
		for i := range 90 {
			all.Go(func() {
				if err := call(t.Context(), nodes[i%len(nodes)]); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			})
		}
		all.Wait()
		refreshes, calls, refused := s.count()
		require.Equal(t, 1, refreshes, "a refresh token can be used once")
		require.Equal(t, 90, calls)
		require.Zero(t, refused)
	})
}

func TestNodesShareWhatOneOfThemRenewed(t *testing.T) {
	s, tokens := newShop(), newTokens()
	connect(t, tokens, time.Time{})
	one, two := s.node(t, tokens), s.node(t, tokens)
	require.NoError(t, call(t.Context(), one))
	require.NoError(t, call(t.Context(), two))
	s.mu.Lock()
	s.access = "revoked"
	s.mu.Unlock()
	require.NoError(t, call(t.Context(), one))
	require.NoError(t, call(t.Context(), two), "the refused token is not the stored one any more")
	refreshes, _, refused := s.count()
	require.Equal(t, 1, refreshes)
	require.Equal(t, 2, refused)
}

func TestConnectingAgainIsNoticed(t *testing.T) {
	s, tokens := newShop(), newTokens()
	connect(t, tokens, time.Time{})
	client := s.node(t, tokens)
	require.NoError(t, call(t.Context(), client))
	s.mu.Lock()
	s.access, s.refresh = "access-new", "refresh-new"
	s.mu.Unlock()
	require.ErrorIs(t, call(t.Context(), client), xseries.ErrReconnect)
	_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: "xseries", Account: "acme", AccessToken: "access-new", RefreshToken: "refresh-new"}, -1)
	require.NoError(t, err)
	require.NoError(t, call(t.Context(), client))
}

func TestDeadGrantSaysReconnect(t *testing.T) {
	s, tokens := newShop(), newTokens()
	client := s.node(t, tokens)
	err := call(t.Context(), client)
	require.ErrorIs(t, err, xseries.ErrReconnect, "never connected")
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.NotErrorIs(t, err, tillroute.ErrNotFound, "it isn't the register that is missing")

	s.dead = true
	connect(t, tokens, time.Now().Add(-time.Hour))
	err = call(t.Context(), client)
	require.ErrorIs(t, err, xseries.ErrReconnect)
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.ErrorContains(t, err, "Registers.List")
	require.ErrorContains(t, err, "reconnect")
	_, calls, _ := s.count()
	require.Zero(t, calls)

	_, err = tokens.PutGrant(t.Context(), pairing.Grant{System: "xseries", Account: "acme", AccessToken: "x"}, -1)
	require.NoError(t, err)
	require.ErrorIs(t, call(t.Context(), client), xseries.ErrReconnect, "no refresh token")
}

func TestLostRefreshDoesNotMakeTheCallUnknown(t *testing.T) {
	s, tokens := newShop(), newTokens()
	s.loseNext = true
	connect(t, tokens, time.Now().Add(-time.Hour))
	client := s.node(t, tokens)
	err := call(t.Context(), client)
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "reading registers had no effect")
	require.ErrorIs(t, call(t.Context(), client), xseries.ErrReconnect, "the old token was used up; the claim was given back")
}

func TestImpatientCallerDoesNotLoseTheRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(), newTokens()
		s.delay = 5 * time.Second
		connect(t, tokens, time.Now().Add(-time.Hour))
		client := s.node(t, tokens)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := call(ctx, client)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, tillroute.ErrTimeout)
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, call(t.Context(), client), "the refresh went on")
		refreshes, _, _ := s.count()
		require.Equal(t, 1, refreshes)
		grant, err := tokens.Grant(t.Context(), "xseries", "acme")
		require.NoError(t, err)
		require.Equal(t, tillroute.Secret("refresh-1"), grant.RefreshToken)
	})
}

func TestAnotherNodeMayBeRefreshing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(), newTokens()
		connect(t, tokens, time.Now().Add(-time.Hour))
		_, err := tokens.ClaimRefresh(t.Context(), "xseries", "acme", "another", time.Hour)
		require.NoError(t, err)
		client := s.node(t, tokens)
		start := time.Now()
		err = call(t.Context(), client)
		require.ErrorIs(t, err, tillroute.ErrBusy)
		require.LessOrEqual(t, time.Since(start), time.Minute)

		// A node that died holds its claim until the lease ends.
		connect(t, tokens, time.Now().Add(-time.Hour))
		_, err = tokens.ClaimRefresh(t.Context(), "xseries", "acme", "another", 10*time.Second)
		require.NoError(t, err)
		start = time.Now()
		require.NoError(t, call(t.Context(), client))
		require.InDelta(t, 10, time.Since(start).Seconds(), 1)
	})
}

// faulty is a store of tokens that fails to put as often as it is told.
type faulty struct {
	pairing.Tokens

	mu    sync.Mutex
	fails int
}

func (f *faulty) PutGrant(ctx context.Context, g pairing.Grant, ifVersion int64) (pairing.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails > 0 {
		f.fails--
		return pairing.Grant{}, pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is full")
	}
	return f.Tokens.PutGrant(ctx, g, ifVersion)
}

func TestNewPairIsStoredBeforeItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		tokens := &faulty{Tokens: newTokens()}
		connect(t, tokens, time.Now().Add(-time.Hour))
		client := s.node(t, tokens)

		tokens.fails = 3
		require.NoError(t, call(t.Context(), client), "a store that comes back in time")

		connect(t, tokens, time.Now().Add(-time.Hour))
		s.mu.Lock()
		s.access, s.refresh = "access-0", "refresh-0"
		s.mu.Unlock()
		client = s.node(t, tokens)
		tokens.fails = 1000
		err := call(t.Context(), client)
		require.ErrorIs(t, err, tillroute.ErrUnavailable)
		require.ErrorContains(t, err, "disk is full")
		_, before, _ := s.count()
		refreshes, _, _ := s.count()

		tokens.mu.Lock()
		tokens.fails = 0
		tokens.mu.Unlock()
		require.NoError(t, call(t.Context(), client), "the pair was kept, and stored later")
		again, after, refused := s.count()
		require.Equal(t, refreshes, again, "without a second refresh")
		require.Equal(t, before+1, after)
		require.Zero(t, refused)
	})
}

func TestStoreOfTokensThatFails(t *testing.T) {
	s, tokens := newShop(), newTokens()
	require.NoError(t, tokens.Close())
	err := call(t.Context(), s.node(t, tokens))
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, xseries.ErrReconnect)
}

func TestContextThatHasEndedGetsNoToken(t *testing.T) {
	s, tokens := newShop(), newTokens()
	connect(t, tokens, time.Now().Add(-time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, call(ctx, s.node(t, tokens)), context.Canceled)
	refreshes, _, _ := s.count()
	require.Zero(t, refreshes)
}

// overtaken is a store of tokens where another node refreshes just before each claim.
type overtaken struct{ *memstore.Store }

func (o overtaken) ClaimRefresh(ctx context.Context, system, account, owner string, lease time.Duration) (pairing.Grant, error) {
	_, err := o.PutGrant(ctx, pairing.Grant{System: system, Account: account, AccessToken: "access-0", RefreshToken: "refresh-9"}, -1)
	if err != nil {
		return pairing.Grant{}, err
	}
	return o.Store.ClaimRefresh(ctx, system, account, owner, lease)
}

func TestClaimThatCameTooLateIsGivenBack(t *testing.T) {
	s, tokens := newShop(), newTokens()
	connect(t, tokens, time.Now().Add(-time.Hour))
	require.NoError(t, call(t.Context(), s.node(t, overtaken{tokens})))
	refreshes, _, _ := s.count()
	require.Zero(t, refreshes, "the other node's tokens are good")
	_, err := tokens.ClaimRefresh(t.Context(), "xseries", "acme", "another", time.Second)
	require.NoError(t, err, "nobody has to wait for the lease")
}

func TestDeadGrantIsNotAskedForAgainAndAgain(t *testing.T) {
	for name, expiry := range map[string]time.Duration{"that has ended": -time.Hour, "that is refused": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, tokens := newShop(), newTokens()
				s.dead, s.access = true, "revoked"
				connect(t, tokens, time.Now().Add(expiry))
				one, two := s.node(t, tokens), s.node(t, tokens)
				for range 5 {
					require.ErrorIs(t, call(t.Context(), one), xseries.ErrReconnect)
				}
				refreshes, _, refused := s.count()
				require.Equal(t, 1, refreshes)
				require.LessOrEqual(t, refused, 1, "nor is the API asked")
				require.ErrorIs(t, call(t.Context(), two), xseries.ErrReconnect)
				require.ErrorIs(t, call(t.Context(), one), xseries.ErrReconnect)
				refreshes, _, _ = s.count()
				require.Equal(t, 2, refreshes, "another node's vain try changes nothing")

				time.Sleep(31 * time.Second)
				require.ErrorIs(t, call(t.Context(), one), xseries.ErrReconnect)
				refreshes, _, _ = s.count()
				require.Equal(t, 3, refreshes, "the vendor may have had a bad moment")

				s.mu.Lock()
				s.dead, s.access = false, "access-new"
				s.mu.Unlock()
				_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: "xseries", Account: "acme", AccessToken: "access-new", RefreshToken: "x"}, -1)
				require.NoError(t, err)
				require.NoError(t, call(t.Context(), one), "connected again, with no time lost")
			})
		})
	}
}

func TestAnotherRefreshTokenIsTriedAtOnce(t *testing.T) {
	s, tokens := newShop(), newTokens()
	s.dead = true
	connect(t, tokens, time.Now().Add(-time.Hour))
	client := s.node(t, tokens)
	require.ErrorIs(t, call(t.Context(), client), xseries.ErrReconnect)
	s.mu.Lock()
	s.dead, s.refresh = false, "refresh-new"
	s.mu.Unlock()
	_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: "xseries", Account: "acme", RefreshToken: "refresh-new"}, -1)
	require.NoError(t, err)
	require.NoError(t, call(t.Context(), client))
}

func TestTokenLimitIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, asked := newTokens(), 0
		connect(t, tokens, time.Now().Add(-time.Hour))
		o := tillroute.HTTPOptions{Retries: -1, Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			asked++
			return &http.Response{
				StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"20"}},
				Body: io.NopCloser(strings.NewReader(`{"error":"Too Many Requests"}`)), Request: r,
			}, nil
		})}
		client, err := xseries.New(xseries.Config{
			DomainPrefix: "acme", OAuth: xseries.OAuth{ClientID: "id", ClientSecret: clientSecret, HTTP: o}, Tokens: tokens, HTTP: o,
		})
		require.NoError(t, err)
		for range 3 {
			err := call(t.Context(), client)
			require.ErrorIs(t, err, tillroute.ErrRateLimited)
			require.NotErrorIs(t, err, xseries.ErrReconnect)
		}
		require.Equal(t, 1, asked)
		time.Sleep(20 * time.Second)
		require.Error(t, call(t.Context(), client))
		require.Equal(t, 2, asked)
	})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// watched is a store of tokens that counts looks, and can fail.
type watched struct {
	pairing.Tokens

	mu    sync.Mutex
	looks int
	err   error
}

func (w *watched) Grant(ctx context.Context, system, account string) (pairing.Grant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	if w.err != nil {
		return pairing.Grant{}, w.err
	}
	return w.Tokens.Grant(ctx, system, account)
}

func TestDeletedGrantIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(), &watched{Tokens: newTokens()}
		connect(t, tokens, time.Now().Add(24*time.Hour))
		client := s.node(t, tokens)
		for range 10 {
			require.NoError(t, call(t.Context(), client))
		}
		require.Equal(t, 1, tokens.looks, "a call costs no look into the store")

		time.Sleep(31 * time.Second)
		tokens.err = pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is gone")
		for range 10 {
			require.NoError(t, call(t.Context(), client), "the token is good, whatever becomes of the store")
		}
		require.Equal(t, 2, tokens.looks)
		tokens.err = nil

		time.Sleep(31 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tokens.err = context.Canceled
		require.ErrorIs(t, call(ctx, client), context.Canceled)
		tokens.err = nil
		require.NoError(t, tokens.DeleteGrant(t.Context(), "xseries", "acme"))
		_, before, _ := s.count()
		for range 3 {
			require.ErrorIs(t, call(t.Context(), client), xseries.ErrReconnect, "a caller who left has not looked for the others")
		}
		refreshes, after, _ := s.count()
		require.Equal(t, before, after)
		require.Zero(t, refreshes)
	})
}

func TestGrantThatWasReplacedIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(), newTokens()
		connect(t, tokens, time.Time{})
		client := s.node(t, tokens)
		require.NoError(t, call(t.Context(), client))
		_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: "xseries", Account: "acme", AccessToken: "access-new", RefreshToken: "x"}, -1)
		require.NoError(t, err)
		s.mu.Lock()
		s.access = "access-new"
		s.mu.Unlock()
		time.Sleep(31 * time.Second)
		require.NoError(t, call(t.Context(), client))
		_, _, refused := s.count()
		require.Zero(t, refused, "without a refusal first")
	})
}

// slow is a store of tokens that holds one look back until it is told to go on.
type slow struct {
	pairing.Tokens

	armed    atomic.Bool
	held, on chan struct{}
}

func (w *slow) Grant(ctx context.Context, system, account string) (pairing.Grant, error) {
	grant, err := w.Tokens.Grant(ctx, system, account)
	if w.armed.CompareAndSwap(true, false) {
		close(w.held)
		<-w.on
	}
	return grant, err
}

func TestLookThatWasOvertakenChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(), &slow{Tokens: newTokens(), held: make(chan struct{}), on: make(chan struct{})}
		connect(t, tokens, time.Time{})
		client := s.node(t, tokens)
		require.NoError(t, call(t.Context(), client))
		time.Sleep(31 * time.Second)
		tokens.armed.Store(true)
		var first sync.WaitGroup
		first.Go(func() { assert.NoError(t, call(t.Context(), client)) })
		<-tokens.held
		s.mu.Lock()
		s.access = "revoked"
		s.mu.Unlock()
		require.NoError(t, call(t.Context(), client), "renewed meanwhile")
		close(tokens.on)
		first.Wait()
		require.NoError(t, call(t.Context(), client))
		refreshes, _, refused := s.count()
		require.Equal(t, 1, refreshes)
		require.Equal(t, 1, refused, "nobody goes back to the old token")
	})
}
