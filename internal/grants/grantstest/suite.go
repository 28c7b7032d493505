// Package grantstest holds the tests that every client whose grants are kept by package grants passes.
package grantstest

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
)

// Account is the one that the tests use.
const Account = "acme"

// Call is a call of a client that reads something, and needs a token for it.
type Call func(context.Context) error

// System is a client that is tested.
type System struct {
	// Name is the system of its grants, and Scope something that they may have.
	Name, Scope string
	// Empty is the answer of its server to Call if there is nothing.
	Empty string
	// Operation is what its errors name Call, and Advice is in the text of those that match Reconnect.
	Operation, Advice string
	Reconnect         error
	// New returns the Call of a client for Account. The paths of its token requests end with /token.
	New func(tokens pairing.Tokens, http, oauth tillroute.HTTPOptions) (Call, error)
}

// Run runs the tests.
func Run(t *testing.T, y System) {
	t.Helper()
	for name, test := range map[string]func(*testing.T){
		"GrantIsUsedAsLongAsItIsGood":          y.testGrantIsUsedAsLongAsItIsGood,
		"GrantIsRenewedBeforeItEnds":           y.testGrantIsRenewedBeforeItEnds,
		"GrantIsRenewedAfterARefusal":          y.testGrantIsRenewedAfterARefusal,
		"ManyCallersRefreshOnce":               y.testManyCallersRefreshOnce,
		"ClientsOfAProcessShareNoCredentials":  y.testClientsOfAProcessShareNoCredentials,
		"NodesShareWhatOneOfThemRenewed":       y.testNodesShareWhatOneOfThemRenewed,
		"ConnectingAgainIsNoticed":             y.testConnectingAgainIsNoticed,
		"DeadGrantSaysReconnect":               y.testDeadGrantSaysReconnect,
		"LostRefreshDoesNotMakeTheCallUnknown": y.testLostRefreshDoesNotMakeTheCallUnknown,
		"ImpatientCallerDoesNotLoseTheRefresh": y.testImpatientCallerDoesNotLoseTheRefresh,
		"AnotherNodeMayBeRefreshing":           y.testAnotherNodeMayBeRefreshing,
		"NewPairIsStoredBeforeItIsUsed":        y.testNewPairIsStoredBeforeItIsUsed,
		"StoreOfTokensThatFails":               y.testStoreOfTokensThatFails,
		"ContextThatHasEndedGetsNoToken":       y.testContextThatHasEndedGetsNoToken,
		"ClaimThatCameTooLateIsGivenBack":      y.testClaimThatCameTooLateIsGivenBack,
		"DeadGrantIsNotAskedForAgainAndAgain":  y.testDeadGrantIsNotAskedForAgainAndAgain,
		"AnotherRefreshTokenIsTriedAtOnce":     y.testAnotherRefreshTokenIsTriedAtOnce,
		"TokenLimitIsHeeded":                   y.testTokenLimitIsHeeded,
		"DeletedGrantIsNoticed":                y.testDeletedGrantIsNoticed,
		"GrantThatWasReplacedIsNoticed":        y.testGrantThatWasReplacedIsNoticed,
		"LookThatWasOvertakenChangesNothing":   y.testLookThatWasOvertakenChangesNothing,
	} {
		t.Run(name, test)
	}
}

func newTokens() *memstore.Store { return memstore.New(memstore.Config{}) }

// shop is a store's server as a transport: it gives out token pairs, each refresh token once, and knows one good access token.
type shop struct {
	system    System
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

func newShop(y System) *shop {
	return &shop{system: y, access: "access-0", refresh: "refresh-0", lifetime: 3600}
}

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
		return reply(http.StatusOK, s.system.Empty)
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

// node returns the call of a client that keeps its tokens in the store, like a process beside others.
func (s *shop) node(t *testing.T, tokens pairing.Tokens) Call {
	t.Helper()
	client, err := s.system.New(tokens, tillroute.HTTPOptions{Transport: s, Retries: -1}, tillroute.HTTPOptions{})
	require.NoError(t, err)
	return client
}

// Connect stores a grant, as a merchant's consent does.
func (y System) Connect(t *testing.T, tokens pairing.Tokens, expiry time.Time) {
	t.Helper()
	_, err := tokens.PutGrant(t.Context(), pairing.Grant{
		System: y.Name, Account: Account, AccessToken: "access-0", RefreshToken: "refresh-0", Scope: y.Scope, Expiry: expiry,
	}, -1)
	require.NoError(t, err)
}

func call(ctx context.Context, client Call) error { return client(ctx) }

func (y System) testGrantIsUsedAsLongAsItIsGood(t *testing.T) {
	for name, expiry := range map[string]time.Time{"lifetime not known": {}, "an hour": time.Now().Add(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			s, tokens := newShop(y), newTokens()
			y.Connect(t, tokens, expiry)
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

func (y System) testGrantIsRenewedBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(y), newTokens()
		y.Connect(t, tokens, time.Now().Add(time.Minute))
		client := s.node(t, tokens)
		require.NoError(t, call(t.Context(), client))
		time.Sleep(55 * time.Second)
		require.NoError(t, call(t.Context(), client))
		refreshes, _, refused := s.count()
		require.Equal(t, 1, refreshes)
		require.Zero(t, refused)
		grant, err := tokens.Grant(t.Context(), y.Name, Account)
		require.NoError(t, err)
		require.Equal(t, tillroute.Secret("access-1"), grant.AccessToken)
		require.Equal(t, tillroute.Secret("refresh-1"), grant.RefreshToken)
		require.Equal(t, y.Scope, grant.Scope)
		time.Sleep(30 * time.Minute)
		require.NoError(t, call(t.Context(), client))
		refreshes, _, _ = s.count()
		require.Equal(t, 1, refreshes)
	})
}

func (y System) testGrantIsRenewedAfterARefusal(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	y.Connect(t, tokens, time.Time{})
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

func (y System) testManyCallersRefreshOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(y), newTokens()
		s.delay = time.Second
		y.Connect(t, tokens, time.Now().Add(-time.Hour))
		nodes := []Call{s.node(t, tokens), s.node(t, tokens), s.node(t, tokens)}
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

// ownerKey is the key of a context's value that says whose client makes a call.
type ownerKey struct{}

func (y System) testClientsOfAProcessShareNoCredentials(t *testing.T) {
	var calls, mixed atomic.Int32
	server := transportFunc(func(r *http.Request) (*http.Response, error) {
		owner, ok := r.Context().Value(ownerKey{}).(string)
		good, body := ok, y.Empty
		if strings.HasSuffix(r.URL.Path, "/token") {
			text, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			good = good && strings.Contains(string(text), "refresh_token=refresh-"+owner)
			body = fmt.Sprintf(`{"access_token":"access-%s","token_type":"Bearer","expires_in":3600,"refresh_token":"again-%s"}`, owner, owner)
		} else {
			calls.Add(1)
			good = good && r.Header.Get("Authorization") == "Bearer access-"+owner
		}
		if !good {
			mixed.Add(1)
		}
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	})
	var all sync.WaitGroup
	for _, owner := range []string{"one", "two"} {
		tokens := newTokens()
		_, err := tokens.PutGrant(t.Context(), pairing.Grant{
			System: y.Name, Account: Account, AccessToken: "old", RefreshToken: tillroute.Secret("refresh-" + owner), Expiry: time.Now().Add(-time.Hour),
		}, -1)
		require.NoError(t, err)
		client, err := y.New(tokens, tillroute.HTTPOptions{Transport: server, Retries: -1}, tillroute.HTTPOptions{})
		require.NoError(t, err)
		ctx := context.WithValue(t.Context(), ownerKey{}, owner)
		for range 100 {
			all.Go(func() { assert.NoError(t, call(ctx, client)) })
		}
	}
	all.Wait()
	require.EqualValues(t, 200, calls.Load())
	require.Zero(t, mixed.Load(), "requests with the credentials of another client")
}

func (y System) testNodesShareWhatOneOfThemRenewed(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	y.Connect(t, tokens, time.Time{})
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

func (y System) testConnectingAgainIsNoticed(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	y.Connect(t, tokens, time.Time{})
	client := s.node(t, tokens)
	require.NoError(t, call(t.Context(), client))
	s.mu.Lock()
	s.access, s.refresh = "access-new", "refresh-new"
	s.mu.Unlock()
	require.ErrorIs(t, call(t.Context(), client), y.Reconnect)
	_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: y.Name, Account: Account, AccessToken: "access-new", RefreshToken: "refresh-new"}, -1)
	require.NoError(t, err)
	require.NoError(t, call(t.Context(), client))
}

func (y System) testDeadGrantSaysReconnect(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	client := s.node(t, tokens)
	err := call(t.Context(), client)
	require.ErrorIs(t, err, y.Reconnect, "never connected")
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.NotErrorIs(t, err, tillroute.ErrNotFound, "it isn't what was asked for that is missing")

	s.dead = true
	y.Connect(t, tokens, time.Now().Add(-time.Hour))
	err = call(t.Context(), client)
	require.ErrorIs(t, err, y.Reconnect)
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.ErrorContains(t, err, y.Operation)
	require.ErrorContains(t, err, y.Advice)
	_, calls, _ := s.count()
	require.Zero(t, calls)

	_, err = tokens.PutGrant(t.Context(), pairing.Grant{System: y.Name, Account: Account, AccessToken: "x"}, -1)
	require.NoError(t, err)
	require.ErrorIs(t, call(t.Context(), client), y.Reconnect, "no refresh token")
}

func (y System) testLostRefreshDoesNotMakeTheCallUnknown(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	s.loseNext = true
	y.Connect(t, tokens, time.Now().Add(-time.Hour))
	client := s.node(t, tokens)
	err := call(t.Context(), client)
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "reading had no effect")
	require.ErrorIs(t, call(t.Context(), client), y.Reconnect, "the old token was used up; the claim was given back")
}

func (y System) testImpatientCallerDoesNotLoseTheRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(y), newTokens()
		s.delay = 5 * time.Second
		y.Connect(t, tokens, time.Now().Add(-time.Hour))
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
		grant, err := tokens.Grant(t.Context(), y.Name, Account)
		require.NoError(t, err)
		require.Equal(t, tillroute.Secret("refresh-1"), grant.RefreshToken)
	})
}

func (y System) testAnotherNodeMayBeRefreshing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(y), newTokens()
		y.Connect(t, tokens, time.Now().Add(-time.Hour))
		_, err := tokens.ClaimRefresh(t.Context(), y.Name, Account, "another", time.Hour)
		require.NoError(t, err)
		client := s.node(t, tokens)
		start := time.Now()
		err = call(t.Context(), client)
		require.ErrorIs(t, err, tillroute.ErrBusy)
		require.LessOrEqual(t, time.Since(start), time.Minute)

		// A node that died holds its claim until the lease ends.
		y.Connect(t, tokens, time.Now().Add(-time.Hour))
		_, err = tokens.ClaimRefresh(t.Context(), y.Name, Account, "another", 10*time.Second)
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

func (y System) testNewPairIsStoredBeforeItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(y)
		tokens := &faulty{Tokens: newTokens()}
		y.Connect(t, tokens, time.Now().Add(-time.Hour))
		client := s.node(t, tokens)

		tokens.fails = 3
		require.NoError(t, call(t.Context(), client), "a store that comes back in time")

		y.Connect(t, tokens, time.Now().Add(-time.Hour))
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

func (y System) testStoreOfTokensThatFails(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	require.NoError(t, tokens.Close())
	err := call(t.Context(), s.node(t, tokens))
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, y.Reconnect)
}

func (y System) testContextThatHasEndedGetsNoToken(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	y.Connect(t, tokens, time.Now().Add(-time.Hour))
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

func (y System) testClaimThatCameTooLateIsGivenBack(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	y.Connect(t, tokens, time.Now().Add(-time.Hour))
	require.NoError(t, call(t.Context(), s.node(t, overtaken{tokens})))
	refreshes, _, _ := s.count()
	require.Zero(t, refreshes, "the other node's tokens are good")
	_, err := tokens.ClaimRefresh(t.Context(), y.Name, Account, "another", time.Second)
	require.NoError(t, err, "nobody has to wait for the lease")
}

func (y System) testDeadGrantIsNotAskedForAgainAndAgain(t *testing.T) {
	for name, expiry := range map[string]time.Duration{"that has ended": -time.Hour, "that is refused": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, tokens := newShop(y), newTokens()
				s.dead, s.access = true, "revoked"
				y.Connect(t, tokens, time.Now().Add(expiry))
				one, two := s.node(t, tokens), s.node(t, tokens)
				for range 5 {
					require.ErrorIs(t, call(t.Context(), one), y.Reconnect)
				}
				refreshes, _, refused := s.count()
				require.Equal(t, 1, refreshes)
				require.LessOrEqual(t, refused, 1, "nor is the API asked")
				require.ErrorIs(t, call(t.Context(), two), y.Reconnect)
				require.ErrorIs(t, call(t.Context(), one), y.Reconnect)
				refreshes, _, _ = s.count()
				require.Equal(t, 2, refreshes, "another node's vain try changes nothing")

				time.Sleep(31 * time.Second)
				require.ErrorIs(t, call(t.Context(), one), y.Reconnect)
				refreshes, _, _ = s.count()
				require.Equal(t, 3, refreshes, "the vendor may have had a bad moment")

				s.mu.Lock()
				s.dead, s.access = false, "access-new"
				s.mu.Unlock()
				_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: y.Name, Account: Account, AccessToken: "access-new", RefreshToken: "x"}, -1)
				require.NoError(t, err)
				require.NoError(t, call(t.Context(), one), "connected again, with no time lost")
			})
		})
	}
}

func (y System) testAnotherRefreshTokenIsTriedAtOnce(t *testing.T) {
	s, tokens := newShop(y), newTokens()
	s.dead = true
	y.Connect(t, tokens, time.Now().Add(-time.Hour))
	client := s.node(t, tokens)
	require.ErrorIs(t, call(t.Context(), client), y.Reconnect)
	s.mu.Lock()
	s.dead, s.refresh = false, "refresh-new"
	s.mu.Unlock()
	_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: y.Name, Account: Account, RefreshToken: "refresh-new"}, -1)
	require.NoError(t, err)
	require.NoError(t, call(t.Context(), client))
}

func (y System) testTokenLimitIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, asked := newTokens(), 0
		y.Connect(t, tokens, time.Now().Add(-time.Hour))
		o := tillroute.HTTPOptions{Retries: -1, Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			asked++
			return &http.Response{
				StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"20"}},
				Body: io.NopCloser(strings.NewReader(`{"error":"Too Many Requests"}`)), Request: r,
			}, nil
		})}
		client, err := y.New(tokens, o, o)
		require.NoError(t, err)
		for range 3 {
			err := call(t.Context(), client)
			require.ErrorIs(t, err, tillroute.ErrRateLimited)
			require.NotErrorIs(t, err, y.Reconnect)
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

func (y System) testDeletedGrantIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(y), &watched{Tokens: newTokens()}
		y.Connect(t, tokens, time.Now().Add(24*time.Hour))
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
		require.NoError(t, tokens.DeleteGrant(t.Context(), y.Name, Account))
		_, before, _ := s.count()
		for range 3 {
			require.ErrorIs(t, call(t.Context(), client), y.Reconnect, "a caller who left has not looked for the others")
		}
		refreshes, after, _ := s.count()
		require.Equal(t, before, after)
		require.Zero(t, refreshes)
	})
}

func (y System) testGrantThatWasReplacedIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(y), newTokens()
		y.Connect(t, tokens, time.Time{})
		client := s.node(t, tokens)
		require.NoError(t, call(t.Context(), client))
		_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: y.Name, Account: Account, AccessToken: "access-new", RefreshToken: "x"}, -1)
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

func (y System) testLookThatWasOvertakenChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tokens := newShop(y), &slow{Tokens: newTokens(), held: make(chan struct{}), on: make(chan struct{})}
		y.Connect(t, tokens, time.Time{})
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
