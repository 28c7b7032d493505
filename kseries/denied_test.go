package kseries_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// authority is where tokens are renewed.
type authority func() (status int, body string, err error)

func (a authority) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body, err := a()
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// connected returns a node whose client has a grant that has to be renewed.
func (f *floor) connected(a authority, changes ...func(*kseries.PaymentsConfig)) (*kseries.Payments, pairing.Tokens) {
	f.t.Helper()
	tokens := memstore.New(memstore.Config{})
	_, err := tokens.PutGrant(f.t.Context(), pairing.Grant{
		System: kseries.System, Account: "bistro", AccessToken: "old", RefreshToken: "refresh-1", Expiry: time.Now().Add(-time.Hour),
	}, 0)
	require.NoError(f.t, err)
	client, err := kseries.New(kseries.Config{
		OAuth:  kseries.OAuth{ClientID: "id", ClientSecret: "s3cr3t-s3cr3t", HTTP: tillroute.HTTPOptions{Transport: a, Retries: -1}},
		Tokens: tokens, Account: "bistro", HTTP: tillroute.HTTPOptions{Transport: f.pos, Retries: -1},
	})
	require.NoError(f.t, err)
	return f.node(append(changes, func(c *kseries.PaymentsConfig) { c.Client = client })...), tokens
}

// TestAPaymentWithoutConsentWaitsForAPerson is about a merchant who has taken the consent back when a card is charged.
func TestAPaymentWithoutConsentWaitsForAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		tokens authority
		grant  func(context.Context, pairing.Tokens) error
		stage  kseries.Stage
	}{
		"the grant is gone": {nil, func(ctx context.Context, tokens pairing.Tokens) error {
			return tokens.DeleteGrant(ctx, kseries.System, "bistro")
		}, kseries.StageHeldUp},
		"the consent is revoked": {func() (int, string, error) { return 400, `{"error":"invalid_grant"}`, nil }, nil, kseries.StageHeldUp},
		"nobody renews tokens":   {func() (int, string, error) { return 0, "", errors.New("no route to host") }, nil, kseries.StageApplying},
		"nobody renews one that K-Series doesn't take": {
			func() (int, string, error) { return 0, "", errors.New("no route to host") },
			func(ctx context.Context, tokens pairing.Tokens) error {
				_, err := tokens.PutGrant(ctx, pairing.Grant{System: kseries.System, Account: "bistro", AccessToken: "bad", RefreshToken: "refresh-2"}, -1)
				return err
			}, kseries.StageApplying,
		},
		"that server is ill": {func() (int, string, error) { return 503, "{}", nil }, nil, kseries.StageApplying},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				var log bytes.Buffer
				p, tokens := f.connected(c.tokens, func(c *kseries.PaymentsConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				f.listen(p)
				if c.grant != nil {
					require.NoError(t, c.grant(t.Context(), tokens))
				}
				f.pos.status = func(string) int { return http.StatusUnauthorized }
				f.submit(p)
				f.run(time.Hour, p)
				s := f.status(p)
				require.Equal(t, c.stage, s.Stage, s.Payment.Mark)
				require.Equal(t, c.stage == kseries.StageHeldUp, s.Stage.NeedsPerson())
				require.Empty(t, f.pos.references)
				open, err := p.Open(t.Context(), 0, 10)
				require.NoError(t, err)
				require.Len(t, open, 1)
				if c.stage == kseries.StageHeldUp {
					for _, part := range []string{"20.00 EUR were charged at terminal card/1 for check " + account, "connect it again", "applied by itself", "give the money back"} {
						require.Contains(t, s.Reason, part)
					}
					require.Equal(t, 1, strings.Count(log.String(), `level=ERROR msg="an approved payment waits for a person"`), "once is enough")
				}
				// The consent comes back.
				f.pos.status = func(string) int { return http.StatusOK }
				_, err = tokens.PutGrant(t.Context(), pairing.Grant{System: kseries.System, Account: "bistro", AccessToken: "new"}, -1)
				require.NoError(t, err)
				f.run(2*time.Minute, p)
				require.Equal(t, kseries.StagePaid, f.status(p).Stage)
				require.Len(t, f.pos.references, 1)
				require.Equal(t, 1, f.active())
			})
		})
	}
}

// TestWhoIsNeededIsNeededWhileItIsTriedAgain looks every second.
func TestWhoIsNeededIsNeededWhileItIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		f.pos.latency = 5 * time.Second
		f.pos.status = only("pay", http.StatusUnauthorized)
		p := f.node()
		f.submit(p)
		var group sync.WaitGroup
		group.Go(func() { f.run(10*time.Minute, p) })
		time.Sleep(10 * time.Second)
		seen := map[string]bool{}
		for range 500 {
			s := f.status(p)
			require.Equal(t, kseries.StageHeldUp, s.Stage, s.Payment.Mark)
			seen[strings.Fields(s.Payment.Mark)[0]] = true
			time.Sleep(time.Second)
		}
		require.Equal(t, map[string]bool{"waiting": true, "sending": true}, seen)
		group.Wait()
	})
}

// TestWhatWasOnItsWayIsUnconfirmedWithoutConsent is about payments that may have been taken before the consent was gone.
func TestWhatWasOnItsWayIsUnconfirmedWithoutConsent(t *testing.T) {
	for name, c := range map[string]struct {
		mark string
		has  bool
	}{
		"submitted, and applied":                          {"submitted 1 LATER SOON -", true},
		"submitted, and not applied":                      {"submitted 1 LATER SOON -", false},
		"sent by a node that is gone":                     {"sending 1 SOON LATER ABCDEFGH", true},
		"sent by a node that is gone when it was held up": {"sending 1 SOON LATER ABCDEFGH.UNAUTHORIZED no", false},
		"sent again, by nobody's leave":                   {"resending 1 SOON LATER ABCDEFGH no answer", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				var log bytes.Buffer
				p := f.node(func(c *kseries.PaymentsConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				f.submit(p)
				f.approve()
				times := strings.NewReplacer("SOON", seconds(15*time.Second), "LATER", seconds(5*time.Minute))
				f.marked(times.Replace(c.mark))
				if c.has {
					f.pos.entries = []map[string]any{{"externalReference": f.status(p).Reference, "amountPaid": 20, "active": true}}
				}
				f.pos.status = func(string) int { return http.StatusUnauthorized }
				f.run(12*time.Minute+30*time.Second, p)
				s := f.status(p)
				require.Equal(t, kseries.StageUnconfirmed, s.Stage, s.Payment.Mark)
				require.Contains(t, s.Reason, "can't be read")
				mark := s.Payment.Mark
				f.run(time.Hour, p)
				require.Equal(t, mark, f.status(p).Payment.Mark)
				require.Equal(t, 1, strings.Count(log.String(), "waits for a person"), "once is enough")
				// The consent comes back.
				f.pos.status = func(string) int { return http.StatusOK }
				f.run(2*time.Minute, p)
				s = f.status(p)
				require.Empty(t, f.pos.references, "what may have been taken is not sent again so late")
				if c.has {
					require.Equal(t, kseries.StagePaid, s.Stage, s.Payment.Mark)
					return
				}
				require.Equal(t, kseries.StageUnconfirmed, s.Stage)
				require.Contains(t, s.Reason, "the check doesn't show it")
				reads := f.pos.reads
				f.run(10*time.Minute, p)
				require.Equal(t, reads, f.pos.reads, "the check has decided")
			})
		})
	}
}

// seconds writes a time to come as a mark has it.
func seconds(ahead time.Duration) string { return fmt.Sprint(time.Now().Add(ahead).Unix()) }

// TestWhatMayBeThereIsNotSentAgainUnseen is about a check that has what the point of sale has refused, and can't be read.
func TestWhatMayBeThereIsNotSentAgainUnseen(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				p := f.node()
				f.listen(p)
				f.pos.fails = []string{"UPDATE_FAILED"}
				f.pos.status = only("check", status)
				f.submit(p)
				f.run(10*time.Minute, p)
				require.Len(t, f.pos.references, 1)
				require.Equal(t, kseries.StageHeldUp, f.status(p).Stage)
				f.pos.entries = []map[string]any{{"externalReference": f.pos.references[0], "amountPaid": 20, "active": true}}
				f.pos.status = only("check", http.StatusOK)
				f.run(2*time.Minute, p)
				require.Equal(t, kseries.StagePaid, f.status(p).Stage)
				require.Len(t, f.pos.references, 1)
			})
		})
	}
}

func TestPeopleSettleWhatIsHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, back := range []bool{false, true} {
			f := newFloor(t)
			p := f.node()
			f.listen(p)
			f.pos.status = only("pay", http.StatusForbidden)
			f.submit(p)
			f.run(10*time.Second, p)
			held := f.status(p)
			require.Equal(t, kseries.StageHeldUp, held.Stage)
			require.Contains(t, held.Reason, "scopes and rights")
			waited, err := p.Wait(t.Context(), "pay-1")
			require.NoError(t, err)
			require.Equal(t, kseries.StageHeldUp, waited.Stage, "nobody waits for a person")
			f.pos.status = only("pay", http.StatusOK)
			if back {
				_, err := p.Resolve(t.Context(), "pay-1", kseries.Settlement{By: "Ann", Reason: "given back in cash"})
				require.NoError(t, err)
				f.run(10*time.Minute, p)
				require.Equal(t, kseries.StageGivenBack, f.status(p).Stage)
				require.Empty(t, f.pos.references)
				continue
			}
			var group sync.WaitGroup
			group.Go(func() { f.run(20*time.Second, p) })
			time.Sleep(10 * time.Second)
			require.Equal(t, kseries.StageHeldUp, f.status(p).Stage, "it is not time yet")
			s, err := p.Retry(t.Context(), "pay-1", "Ann")
			require.NoError(t, err)
			require.Equal(t, kseries.StageApplying, s.Stage)
			_, err = p.Retry(t.Context(), "pay-1", "Ann")
			require.ErrorIs(t, err, tillroute.ErrConflict, "it is under way")
			group.Wait()
			require.Equal(t, kseries.StagePaid, f.status(p).Stage, "at once")
			require.Equal(t, []string{held.Reference}, f.pos.references)
		}
	})
}
