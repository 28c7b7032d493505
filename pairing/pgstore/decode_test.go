package pgstore_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// A payment is read as it was written, in whatever format the database sends it.
func TestFormats(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			c.DSN = with(c.DSN, "default_query_exec_mode="+mode)
			s := paired(t, c)
			request := benchRequest(0, 1)
			request.Amount, request.Data = decimal.RequireFromString("1250"), []byte("\x00\xff\\x'é")
			accepted, err := s.AcceptPayment(t.Context(), request)
			require.NoError(t, err)
			claim, ok, err := s.ClaimPayment(t.Context(), benchTerminal(0), "me", time.Hour)
			require.NoError(t, err)
			require.True(t, ok)
			require.True(t, claim.Fresh)
			require.Equal(t, int64(1), claim.Fence)
			require.Equal(t, request.Data, claim.Payment.Data)
			require.Equal(t, accepted.AcceptedAt, claim.Payment.AcceptedAt)
			require.WithinDuration(t, time.Now(), accepted.AcceptedAt, time.Hour)
			require.NoError(t, s.SavePaymentHandle(t.Context(), claim, pairing.Handle{TransactionID: "é", Token: "t", Serial: "9"}))
			result := pairing.Result{
				Outcome: tillroute.Approved, Amount: decimal.RequireFromString("1375.5"), Surcharge: decimal.RequireFromString("100.5"),
				Tip: decimal.RequireFromString("25"), TransactionID: "é", AuthCode: "1", Acquirer: "2", CardType: "3", CardNumber: "4",
				Receipt: "two\nlines", Reason: "6",
			}
			_, _, err = s.FinishPayment(t.Context(), claim, result, 0)
			require.NoError(t, err)
			p, err := s.MarkPayment(t.Context(), request.ID, "", "told")
			require.NoError(t, err)
			require.True(t, p.Amount.Equal(request.Amount))
			require.True(t, p.Result.Amount.Equal(result.Amount) && p.Result.Surcharge.Equal(result.Surcharge) && p.Result.Tip.Equal(result.Tip))
			for _, amount := range []*decimal.Decimal{&p.Amount, &p.Result.Amount, &p.Result.Surcharge, &p.Result.Tip} {
				*amount = decimal.Decimal{}
			}
			result.Amount, result.Surcharge, result.Tip = decimal.Decimal{}, decimal.Decimal{}, decimal.Decimal{}
			request.Amount = decimal.Decimal{}
			require.False(t, p.SentAt.Before(p.AcceptedAt))
			require.Equal(t, time.UTC, p.EndedAt.Location())
			require.WithinDuration(t, accepted.AcceptedAt, p.EndedAt, time.Hour)
			require.Equal(t, pairing.Payment{
				Request: request, Seq: accepted.Seq, Terminal: benchTerminal(0), State: pairing.Done, Result: result, Mark: "told",
				Handle:     pairing.Handle{TransactionID: "é", Token: "t", Serial: "9"},
				AcceptedAt: accepted.AcceptedAt, SentAt: p.SentAt, EndedAt: p.EndedAt,
			}, p)
		})
	}
}
