package sqlitestore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

func TestSmoke(t *testing.T) {
	ctx := t.Context()
	s, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(t.TempDir(), "a b?c#d%.db")})
	require.NoError(t, err)
	reg := pairing.Register{System: "x", Account: "a", ID: "1"}
	term := pairing.Terminal{Provider: "p", Serial: "s"}
	_, err = s.Pairing(ctx, reg)
	require.ErrorIs(t, err, tillroute.ErrNotFound)
	p, err := s.PutPairing(ctx, pairing.Pairing{Register: reg, Terminal: term, Identity: "sec"}, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, p.Version)
	_, err = s.PutPairing(ctx, pairing.Pairing{Register: reg, Terminal: term, Identity: "sec"}, 0)
	require.ErrorIs(t, err, tillroute.ErrConflict)
	list, err := s.ListPairings(ctx, pairing.Register{}, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	req := pairing.Request{ID: "1", Register: reg, Kind: pairing.Purchase, Amount: decimal.RequireFromString("8.00"), Currency: "NZD", Data: []byte("x")}
	pay, err := s.AcceptPayment(ctx, req)
	require.NoError(t, err)
	req.ID = "2"
	_, err = s.AcceptPayment(ctx, req)
	require.NoError(t, err)
	n, err := s.CountAhead(ctx, "2")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	ready, err := s.ReadyTerminals(ctx, []string{"p"}, 10)
	require.NoError(t, err)
	require.Equal(t, []pairing.Terminal{term}, ready)
	c, ok, err := s.ClaimPayment(ctx, term, "me", time.Second)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, c.Fresh)
	require.NoError(t, s.SavePaymentHandle(ctx, c, pairing.Handle{TransactionID: "t"}))
	require.NoError(t, s.RenewClaim(ctx, c, time.Second, "note"))
	for _, st := range [][]pairing.State{nil, {pairing.Queued}, {pairing.Parked}, {pairing.Done, pairing.Sent}} {
		_, err := s.ListPayments(ctx, pairing.Filter{States: st}, 5)
		require.NoError(t, err)
		_, err = s.ListPayments(ctx, pairing.Filter{States: st, Terminal: term}, 5)
		require.NoError(t, err)
	}
	done, next, ok, err := s.FinishPayment(ctx, c, pairing.Result{Outcome: tillroute.Approved, Amount: pay.Amount}, time.Second)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "2", next.Payment.ID)
	require.Equal(t, pairing.Done, done.State)
	d, err := s.BeginDelivery(ctx, "s", "k", []byte("h"), time.Second)
	require.NoError(t, err)
	require.NoError(t, s.FinishDelivery(ctx, d, []byte("yes")))
	g, err := s.PutGrant(ctx, pairing.Grant{System: "s", Account: "a", AccessToken: "t", Expiry: time.Now()}, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, g.Version)
	_, err = s.ClaimRefresh(ctx, "s", "a", "me", time.Second)
	require.NoError(t, err)
	require.NoError(t, s.MoveRegister(ctx, reg, term, pairing.Terminal{Provider: "p", Serial: "q"}))
	_, err = s.PutCode(ctx, pairing.Code{Text: "ABCDEFGH", Terminal: term}, time.Minute)
	require.NoError(t, err)
	_, err = s.RedeemCode(ctx, "ABCDEFGH", pairing.Pairing{Register: reg}, pairing.Tries{Key: "k", Max: 3, Window: time.Minute})
	require.NoError(t, err)
	_, err = s.RedeemCode(ctx, "ABCDEFGH", pairing.Pairing{Register: reg}, pairing.Tries{Key: "k", Max: 1, Window: time.Minute})
	require.ErrorIs(t, err, pairing.ErrCodeUsed)
	_, err = s.RedeemCode(ctx, "ABCDEFGH", pairing.Pairing{Register: reg}, pairing.Tries{Key: "k", Max: 1, Window: time.Minute})
	require.ErrorIs(t, err, pairing.ErrTooManyTries)
	t.Log(err)
	n, err = s.PurgeDeliveries(ctx, -time.Second)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = s.Payment(ctx, "1")
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
}
