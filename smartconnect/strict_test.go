package smartconnect_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestAnotherTransactionsAnswerIsNone(t *testing.T) {
	other := `{"transactionId":"T2","transactionStatus":"COMPLETED","data":{"TransactionResult":"OK-ACCEPTED","Result":"OK","AmountTotal":"900"}}`
	s := newServer(t, answer(http.StatusOK, other))
	transaction := s.transaction()
	transaction.ID = "T1"
	_, err := s.client(t).Poll(t.Context(), transaction)
	require.ErrorIs(t, err, tillroute.ErrDecode)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)

	synctest.Test(t, func(t *testing.T) {
		r, _, _, err := await(t.Context(), t, &script{answers: []reply{
			{200, other, ""}, {200, `{"transactionId":"t1",` + accepted[1:], ""},
		}})
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, r.Outcome)
		require.Equal(t, "5.00", r.Amount.StringFixed(2), "one's own answer may still come")
	})
	synctest.Test(t, func(t *testing.T) {
		r, _, _, err := await(t.Context(), t, &script{answers: []reply{{200, other, ""}}})
		require.NoError(t, err)
		require.Equal(t, tillroute.Unknown, r.Outcome)
		require.Equal(t, "T1", r.TransactionID)
	})
}

func TestStartKeepsItsFieldsInAnySpelling(t *testing.T) {
	s := newServer(t, started(t))
	_, err := s.client(t).Register(registerID).Start(t.Context(), "Card.New", url.Values{
		"posregisterid": {"another"}, "transactionmode": {"SYNC"}, "TRANSACTIONTYPE": {"Card.Refund"}, "AmountTotal": {"500"},
	})
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"POSRegisterID": {registerID.Reveal()}, "POSBusinessName": {"Toys Shop"}, "POSVendorName": {"Till2Go"},
		"TransactionMode": {"ASYNC"}, "TransactionType": {"Card.New"}, "AmountTotal": {"500"},
	}, s.got()[0].form)
}

func TestApprovalOfAnAmountThatNobodyNames(t *testing.T) {
	s := newServer(t, started(t), answer(http.StatusOK, `{"transactionStatus":"COMPLETED","data":{"TransactionResult":"OK-ACCEPTED","Result":"OK"}}`))
	client := s.client(t)
	transaction, err := client.Register(registerID).Start(t.Context(), "Card.New", url.Values{"AmountTotal": {"500"}})
	require.NoError(t, err)
	r, err := client.Await(t.Context(), transaction, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, r.Outcome)
	require.True(t, r.Amount.IsZero())
	require.NotContains(t, r.Reason, "this is the amount that was asked for", "it isn't")
	require.Contains(t, r.Reason, "look at the receipt")
}

func TestReportThatProvesNothingSaysSo(t *testing.T) {
	for data, conclusive := range map[string]bool{
		`{"TransactionResult":"FAILED","Result":"FAILED"}`:              true,
		`{"TransactionResult":"CANCELLED","Result":"CANCELLED"}`:        true,
		`{"TransactionResult":"CANCELLED","Result":"FAILED-INTERFACE"}`: true,
		`{"TransactionResult":"OK-UNAVAILABLE","Result":"OK"}`:          true,
		`{"TransactionResult":"NEW","Result":"OK"}`:                     false,
		`{"TransactionResult":"OK-ACCEPTED","Result":"FAILED"}`:         false,
		`{"TransactionResult":"OK-ACCEPTED"}`:                           false,
		`{}`:                                                            false,
	} {
		s := newServer(t, started(t), answer(http.StatusOK, `{"transactionStatus":"COMPLETED","data":`+data+`}`))
		report, err := s.client(t).Register(registerID).SettlementCutover(t.Context(), nil)
		require.NoError(t, err, data)
		require.False(t, report.OK, data)
		require.Equal(t, !conclusive, strings.Contains(report.Reason, "look at the terminal"), "%s: %s", data, report.Reason)
	}
}

func TestDriverPairsARegisterOfALongName(t *testing.T) {
	register := func(end string) pairing.Register {
		return pairing.Register{System: "xseries", Account: "acme", ID: strings.Repeat("касса", 39) + end}
	}
	serials := map[string]bool{}
	for _, r := range []pairing.Register{register("1"), register("2"), register("1")} {
		s := newServer(t, answer(http.StatusOK, `{"result":"success"}`), answer(http.StatusTooManyRequests, `{"error":"device is busy"}`))
		link, err := smartconnect.NewDriver(s.client(t)).Pair(t.Context(), pairing.PairRequest{Register: r, Code: "1", RegisterName: "x"})
		require.NoError(t, err)
		require.LessOrEqual(t, len(link.Terminal.Serial), 200, "no router takes a longer one")
		serials[link.Terminal.Serial] = true
	}
	require.Len(t, serials, 2, "each register's own, and the same again")
}

func TestDriverNamesATerminalThatItDoesNotKnow(t *testing.T) {
	pair := func(probe http.HandlerFunc) pairing.Link {
		s := newServer(t, answer(http.StatusOK, `{"result":"success"}`), probe)
		link, err := smartconnect.NewDriver(s.client(t)).Pair(t.Context(), pairing.PairRequest{Register: till(), Code: "1"})
		require.NoError(t, err)
		return link
	}
	require.Equal(t, "SmartConnect terminal", pair(lost).TerminalName, "the serial is nothing for people")
	require.Empty(t, pair(started(t)).TerminalName, "the serial is on the device")
}

func TestPaymentDataIsRefusedIfItSaysTwoThings(t *testing.T) {
	s := newServer(t, started(t))
	for _, data := range []string{
		`{"smartconnect":{"cash":"1","cash":"2"}}`, `{"smartconnect":{"cash":"1","Cash":"2"}}`, `{"smartconnect":{"Cash":"2"}}`,
	} {
		p := payment()
		p.Kind, p.Data = smartconnect.KindPurchasePlusCash, []byte(data)
		_, err := smartconnect.NewDriver(s.client(t)).Start(t.Context(), p)
		require.ErrorIs(t, err, tillroute.ErrInvalid, data)
	}
	require.Empty(t, s.got())
}

// counter is a transport that notes when polls came, from any goroutine.
type counter struct {
	mu   sync.Mutex
	at   []time.Time
	last int
}

func (c *counter) RoundTrip(*http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
	body := pending
	if len(c.at) >= c.last {
		body = accepted
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func TestSeveralAwaitsOfOneTransactionShareItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &counter{last: 10}
		client, err := smartconnect.New(smartconnect.Config{
			BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", HTTP: tillroute.HTTPOptions{Transport: transport},
		})
		require.NoError(t, err)
		one := smartconnect.Transaction{PollingURL: "https://api.smart-connect.cloud/pos/transaction/T1?merchantAccessToken=1"}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				r, err := client.Await(ctx, one, nil)
				assert.NoError(t, err) //nolint:testifylint // on another goroutine.
				assert.Equal(t, tillroute.Approved, r.Outcome)
			})
		}
		gaveUp, stop := context.WithTimeout(ctx, 10*time.Second)
		defer stop()
		_, err = client.Await(gaveUp, one, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		group.Wait()
		cancel()
		for i := range transport.at[1:] {
			require.GreaterOrEqual(t, transport.at[i+1].Sub(transport.at[i]), 3*time.Second, "poll %d", i+1)
		}
	})
}

func TestNoTextShowsAnEscapedToken(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusUnauthorized, fmt.Sprintf(`{"error":"what is %s"}`, strings.TrimPrefix(r.URL.RawQuery, "merchantAccessToken=")))(w, r)
	})
	transaction := s.transaction()
	transaction.PollingURL = tillroute.Secret(s.URL + "/pos/transaction/T1?merchantAccessToken=abcd%2Befgh%2F")
	_, err := s.client(t).Poll(t.Context(), transaction)
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.NotContains(t, err.Error(), "abcd")
}
