package smartconnect_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestPollReadsTheVendorsExample(t *testing.T) {
	s := newServer(t,
		answer(http.StatusOK, fixture(t, "poll_pending_200.json")),
		answer(http.StatusOK, fixture(t, "poll_pending_delayed_200.json")),
		answer(http.StatusOK, fixture(t, "poll_completed_accepted_200.json")))
	client := s.client(t)
	transaction := s.transaction()

	status, err := client.Poll(t.Context(), transaction)
	require.NoError(t, err)
	require.False(t, status.Done)
	require.False(t, status.Delayed)
	require.Equal(t, tillroute.Unknown, status.Result.Outcome)

	status, err = client.Poll(t.Context(), transaction)
	require.NoError(t, err)
	require.False(t, status.Done)
	require.True(t, status.Delayed)

	status, err = client.Poll(t.Context(), transaction)
	require.NoError(t, err)
	require.True(t, status.Done)
	r := status.Result
	require.Equal(t, tillroute.Approved, r.Outcome)
	require.Empty(t, r.Reason, "the stale ResultText is no reason")
	require.Equal(t, "6.15", r.Amount.StringFixed(2), "charged is more than the 5.00 that were asked for")
	require.Equal(t, "0.15", r.Surcharge.StringFixed(2))
	require.Equal(t, "1.00", r.Tip.StringFixed(2))
	require.Equal(t, "f363c7de-102c-4d80-a902-ed37413ca599", r.TransactionID)
	require.Equal(t, "7070714000", r.DeviceID)
	require.Equal(t, "PIN147", r.AuthID)
	require.Equal(t, "000013", r.AcquirerRef)
	require.Equal(t, "79707014", r.TerminalRef)
	require.Equal(t, "....0138", r.CardPAN)
	require.Equal(t, "EMV TEST CARD", r.CardType)
	require.Equal(t, "CREDIT", r.AccountType)
	require.Equal(t, "20180919115520", r.Timestamp)
	require.True(t, strings.HasPrefix(r.Receipt, "         PAYMARK PKMS         \n"))
	require.True(t, strings.HasSuffix(r.Receipt, "*----------------------------*\n\n"))
	for _, got := range s.got() {
		require.Equal(t, http.MethodGet, got.method)
		require.Empty(t, got.form)
	}
}

func TestPollErrors(t *testing.T) {
	var elsewhere atomic.Int32
	tests := map[string]struct {
		answer http.HandlerFunc
		is     error
	}{
		"expired":   {answer(http.StatusUnauthorized, fixture(t, "poll_error_401_token_expired.json")), tillroute.ErrUnauthorized},
		"gone":      {answer(http.StatusGone, ""), tillroute.ErrNotFound},
		"limited":   {answer(http.StatusTooManyRequests, ""), tillroute.ErrRateLimited},
		"broken":    {answer(http.StatusBadGateway, "<html>"), tillroute.ErrUnavailable},
		"lost":      {lost, tillroute.ErrUnavailable},
		"truncated": {answer(http.StatusOK, `{"transactionStatus":"COMPLETED","data":{"TransactionResult":"OK-ACCEPTED","Result":"OK"`), tillroute.ErrDecode},
		"redirected": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				elsewhere.Add(1)
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, tillroute.ErrOutcomeUnknown},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.answer)
			_, err := s.client(t).Poll(t.Context(), s.transaction())
			require.ErrorIs(t, err, test.is)
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "a failed poll proves nothing about the transaction")
			require.Len(t, s.got(), 1, "repeating is for Await to pace")
		})
	}
	require.Zero(t, elsewhere.Load())
}

func TestPollRefusesForeignURLs(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{}`))
	client := s.client(t)
	for _, u := range []tillroute.Secret{"", "x", "https://evil.example/?merchantAccessToken=" + pollToken} {
		_, err := client.Poll(t.Context(), smartconnect.Transaction{PollingURL: u})
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		_, err = client.Await(t.Context(), smartconnect.Transaction{PollingURL: u}, nil)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	}
	require.Empty(t, s.got())
}

const (
	pending  = `{"transactionStatus":"PENDING","data":{}}`
	delayed  = `{"transactionStatus":"PENDING","data":{"TransactionResult":"OK-DELAYED","Result":"DELAYED-TRANSACTION"}}`
	accepted = `{"transactionStatus":"COMPLETED","data":{"TransactionResult":"OK-ACCEPTED","Result":"OK","AmountTotal":500}}`
)

// script is a transport that answers one poll after the other, the last again and again, and notes when they came.
type script struct {
	answers []reply
	at      []time.Time
}

// reply is an answer; one without a status is a connection that breaks.
type reply struct {
	status     int
	body       string
	retryAfter string
}

func (s *script) RoundTrip(*http.Request) (*http.Response, error) {
	s.at = append(s.at, time.Now())
	answer := s.answers[min(len(s.at), len(s.answers))-1]
	if answer.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	header := http.Header{}
	if answer.retryAfter != "" {
		header.Set("Retry-After", answer.retryAfter)
	}
	return &http.Response{StatusCode: answer.status, Header: header, Body: io.NopCloser(strings.NewReader(answer.body))}, nil
}

// await runs Await in a bubble, where time costs nothing.
func await(ctx context.Context, t *testing.T, s *script) (r smartconnect.Result, notes []smartconnect.Progress, took time.Duration, err error) {
	t.Helper()
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD",
		HTTP: tillroute.HTTPOptions{Transport: s},
	})
	require.NoError(t, err)
	start := time.Now()
	r, err = client.Await(ctx, smartconnect.Transaction{
		ID: "T1", Amount: decimal.RequireFromString("5"), DeviceID: "D1",
		PollingURL: "https://api.smart-connect.cloud/pos/transaction/T1?merchantAccessToken=" + pollToken,
	}, func(note smartconnect.Progress) { notes = append(notes, note) })
	return r, notes, time.Since(start), err
}

func TestAwaitKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []reply{
			{200, pending, ""}, {200, delayed, ""}, {200, delayed, ""}, {200, pending, ""}, {200, accepted, ""},
		}}
		start := time.Now()
		r, notes, _, err := await(t.Context(), t, s)
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, r.Outcome)
		require.Equal(t, []smartconnect.Progress{smartconnect.Waiting, smartconnect.Delayed, smartconnect.Waiting}, notes)
		last := start
		for _, at := range s.at {
			require.GreaterOrEqual(t, at.Sub(last), 3*time.Second)
			require.LessOrEqual(t, at.Sub(last), 3600*time.Millisecond)
			last = at
		}
	})
}

func TestAwaitGoesOnThroughWhatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []reply{
			{},
			{200, "<html>", ""},
			{200, "", ""},
			{200, `{}`, ""},
			{200, `{"transactionStatus":"SOMETHING-NEW","data":{"TransactionResult":"OK-ACCEPTED","Result":"OK"}}`, ""},
			{500, "x", ""},
			{502, "x", ""},
			{408, "", ""},
			{302, "", ""},
			{429, "", "20"},
			{503, "", "86400"},
			{200, accepted, ""},
		}}
		r, notes, took, err := await(t.Context(), t, s)
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, r.Outcome)
		require.Equal(t, []smartconnect.Progress{smartconnect.NoContact, smartconnect.Waiting, smartconnect.NoContact}, notes)
		require.Len(t, s.at, 12)
		require.GreaterOrEqual(t, s.at[10].Sub(s.at[9]), 20*time.Second, "Retry-After is honoured")
		require.Equal(t, time.Minute, s.at[11].Sub(s.at[10]), "within reason")
		require.Less(t, took, 3*time.Minute)
	})
}

func TestAwaitEndsAsUnknown(t *testing.T) {
	for name, test := range map[string]struct {
		answer reply
		reason string
		most   time.Duration
	}{
		"expired":       {reply{401, `{"error":"Token expired"}`, ""}, "Token expired", 4 * time.Second},
		"forbidden":     {reply{403, "", ""}, "no longer works", 4 * time.Second},
		"not found":     {reply{404, "", ""}, "no longer works", 4 * time.Second},
		"gone":          {reply{410, "", ""}, "no longer works", 4 * time.Second},
		"never ends":    {reply{200, pending, ""}, "no result within 10m0s", 10 * time.Minute},
		"never reached": {reply{}, "no result within 10m0s", 10 * time.Minute},
		"always later":  {reply{429, "", "3600"}, "no result within 10m0s", 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _, took, err := await(t.Context(), t, &script{answers: []reply{test.answer}})
				require.NoError(t, err)
				require.Equal(t, tillroute.Unknown, r.Outcome)
				require.Contains(t, r.Reason, test.reason)
				require.NotContains(t, r.Reason, pollToken)
				require.Equal(t, "T1", r.TransactionID)
				require.Equal(t, "D1", r.DeviceID)
				require.LessOrEqual(t, took, test.most)
			})
		})
	}
}

func TestContextThatEndsIsNoOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		r, _, took, err := await(ctx, t, &script{answers: []reply{{200, pending, ""}}})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.Equal(t, tillroute.Unknown, r.Outcome)
		require.Equal(t, 7*time.Second, took)
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := &script{answers: []reply{{200, accepted, ""}}}
		_, _, took, err := await(ctx, t, s)
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, took)
		require.Empty(t, s.at)
	})
}

func TestAwaitWithoutReport(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, delayed), answer(http.StatusOK, accepted))
	r, err := s.client(t).Await(t.Context(), s.transaction(), nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, r.Outcome)
}

func TestPollIsNotReplayedOnABrokenConnection(t *testing.T) {
	// net/http by itself repeats a read whose reused connection broke, at once: faster than the server allows.
	s := newServer(t, answer(http.StatusOK, pending), lost, answer(http.StatusOK, accepted))
	client := s.client(t)
	_, err := client.Poll(t.Context(), s.transaction())
	require.NoError(t, err)
	_, err = client.Poll(t.Context(), s.transaction())
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.Len(t, s.got(), 2)
}
