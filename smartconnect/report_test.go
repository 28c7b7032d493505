package smartconnect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestStatusReadsTheVendorsAnswer(t *testing.T) {
	s := newServer(t, started(t), answer(http.StatusOK, pending), answer(http.StatusOK, delayed),
		answer(http.StatusOK, fixture(t, "terminal_getstatus_completed_200.json")))
	var notes []smartconnect.Progress
	report, err := s.client(t).Register(registerID).Status(t.Context(), func(p smartconnect.Progress) { notes = append(notes, p) })
	require.NoError(t, err)
	require.True(t, report.OK)
	require.Empty(t, report.Reason)
	require.Equal(t, "READY", report.Status)
	require.Equal(t, "7070714000", report.DeviceID)
	require.Equal(t, "f363c7de-102c-4d80-a902-ed37413ca599", report.TransactionID)
	require.Equal(t, "OK", report.Result)
	require.Empty(t, report.TransactionResult)
	require.Equal(t, []smartconnect.Progress{smartconnect.Waiting, smartconnect.Delayed}, notes)
	require.JSONEq(t, fixture(t, "terminal_getstatus_completed_200.json"), string(report.Body))
	text, err := json.Marshal(report) //nolint:musttag // nobody is meant to do this; what it shows must be harmless.
	require.NoError(t, err)
	require.NotContains(t, string(text), "Body")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", report, report, report), "transactionStatus")
}

func TestReportsAreNoPayments(t *testing.T) {
	tests := map[string]struct {
		data   string
		ok     bool
		reason string
	}{
		"both":                   {`{"TransactionResult":"OK-ACCEPTED","Result":"OK","Receipt":"TOTAL"}`, true, ""},
		"Result alone":           {`{"Result":"OK"}`, true, ""},
		"declined":               {`{"TransactionResult":"OK-DECLINED","Result":"OK"}`, false, `"OK-DECLINED"`},
		"offline":                {`{"TransactionResult":"CANCELLED","Result":"FAILED-INTERFACE"}`, false, "the terminal is offline"},
		"failed":                 {`{"TransactionResult":"FAILED","Result":"FAILED"}`, false, `"FAILED"`},
		"TransactionResult only": {`{"TransactionResult":"OK-ACCEPTED"}`, false, `""`},
		"new":                    {`{"TransactionResult":"NEW","Result":"OK"}`, false, `"NEW"`},
		"nothing":                {`null`, false, `""`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, started(t), answer(http.StatusOK, completed(test.data)))
			report, err := s.client(t).Register(registerID).SettlementCutover(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, test.ok, report.OK)
			require.Equal(t, test.ok, report.Reason == "")
			require.Contains(t, report.Reason, test.reason)
		})
	}
}

func TestReportErrors(t *testing.T) {
	expired := answer(http.StatusUnauthorized, fixture(t, "poll_error_401_token_expired.json"))
	tests := map[string]struct {
		answers []http.HandlerFunc
		is      error
		sent    bool
	}{
		"busy":       {[]http.HandlerFunc{answer(http.StatusTooManyRequests, `{"error":"device is busy"}`)}, tillroute.ErrBusy, false},
		"lost":       {[]http.HandlerFunc{lost}, tillroute.ErrUnavailable, true},
		"garbled":    {[]http.HandlerFunc{answer(http.StatusOK, `{"transactionId":1,"transactionId":2}`)}, tillroute.ErrDecode, true},
		"no URL":     {[]http.HandlerFunc{answer(http.StatusOK, `{}`)}, tillroute.ErrDecode, true},
		"expired":    {[]http.HandlerFunc{started(t), expired}, tillroute.ErrUnauthorized, true},
		"never ends": {[]http.HandlerFunc{started(t), answer(http.StatusOK, pending)}, tillroute.ErrTimeout, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			fast := func(c *smartconnect.Config) { c.PollTimeout = 20 * time.Millisecond }
			ask := func(ask func(smartconnect.Register) error) error {
				return ask(newServer(t, test.answers...).client(t, fast).Register(registerID))
			}
			err := ask(func(r smartconnect.Register) error { _, err := r.SettlementCutover(t.Context(), nil); return err })
			require.ErrorIs(t, err, test.is)
			if test.sent {
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "it may have been done")
			} else {
				require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			}
			for name, question := range map[string]func(smartconnect.Register) error{
				"status":   func(r smartconnect.Register) error { _, err := r.Status(t.Context(), nil); return err },
				"card":     func(r smartconnect.Register) error { _, err := r.ReadCard(t.Context(), nil); return err },
				"receipt":  func(r smartconnect.Register) error { _, err := r.ReprintReceipt(t.Context(), nil); return err },
				"inquiry":  func(r smartconnect.Register) error { _, err := r.SettlementInquiry(t.Context(), nil); return err },
				"last one": func(r smartconnect.Register) error { _, err := r.LastTransaction(t.Context(), nil); return err },
			} {
				err := ask(question)
				require.ErrorIs(t, err, test.is, name)
				require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "%s: a question may be asked again", name)
			}
		})
	}
}

func TestAwaitReportStopsWithItsContext(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, pending))
	transaction := s.transaction()
	transaction.Type = smartconnect.AcquirerSettlementCutover
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := s.client(t).AwaitReport(ctx, transaction, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
}

// TestWhatIsNoPaymentIsNeverApproved has each type answered with what approves a payment.
func TestWhatIsNoPaymentIsNeverApproved(t *testing.T) {
	for _, one := range vendorTypes(t) {
		s := newServer(t, answer(http.StatusOK, completed(fmt.Sprintf(
			`{"Function":%q,"TransactionResult":"OK-ACCEPTED","Result":"OK","AmountTotal":"500","ReferenceId":"T0"}`, one.Type))))
		client := s.client(t)
		transaction := s.transaction()
		transaction.Amount = decimal.NewFromInt(5)

		// A handle that has lost its type: the answer itself says what it is.
		r, err := client.Await(t.Context(), transaction, nil)
		require.NoError(t, err)
		require.Equal(t, one.Financial, r.Outcome == tillroute.Approved, one.Type)
		require.Equal(t, one.Financial, r.Amount.IsPositive(), one.Type)
		require.Equal(t, one.Financial, r.Reason == "", one.Type)

		transaction.Type = one.Type
		_, pollErr := client.Poll(t.Context(), transaction)
		_, awaitErr := client.Await(t.Context(), transaction, nil)
		_, reportErr := client.AwaitReport(t.Context(), transaction, nil)
		if one.Financial {
			require.NoError(t, pollErr)
			require.NoError(t, awaitErr)
			require.ErrorIs(t, reportErr, tillroute.ErrInvalid)
			require.ErrorContains(t, reportErr, "moves money")
			require.ErrorIs(t, reportErr, tillroute.ErrOutcomeUnknown)
			continue
		}
		for _, err := range []error{pollErr, awaitErr} {
			require.ErrorIs(t, err, tillroute.ErrInvalid, one.Type)
			require.ErrorContains(t, err, "moves no money")
		}
		require.NoError(t, reportErr)
	}
}

func FuzzReport(f *testing.F) {
	for _, name := range []string{
		"poll_completed_accepted_200.json", "poll_pending_delayed_200.json", "terminal_getstatus_completed_200.json",
		"transaction_initial_pending_200.json", "poll_error_401_token_expired.json",
	} {
		f.Add([]byte(fixture(f, name)))
	}
	f.Add([]byte(completed(`{"TransactionResult":"OK-ACCEPTED","Result":"OK","Status":7,"Status":8}`)))
	f.Add([]byte(completed(`{"Function":"Journal.GetTransResult","Result":"OK","TransactionResult":"OK-ACCEPTED","AmountTotal":"1"}`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		client, err := smartconnect.New(smartconnect.Config{
			BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: "http://127.0.0.1/POS",
			PollInterval: time.Nanosecond, PollTimeout: time.Microsecond, HTTP: tillroute.HTTPOptions{Transport: stub(body)},
		})
		require.NoError(t, err)
		transaction := smartconnect.Transaction{
			Type: smartconnect.AcquirerSettlementCutover, PollingURL: "http://127.0.0.1/pos/transaction/T1", Amount: decimal.NewFromInt(5),
		}
		report, err := client.AwaitReport(t.Context(), transaction, nil)
		switch {
		case err != nil:
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.Zero(t, report)
		case report.OK:
			require.Equal(t, "OK", report.Result)
			require.Contains(t, []string{"", "OK-ACCEPTED"}, report.TransactionResult)
			require.Empty(t, report.Reason)
		default:
			require.NotEmpty(t, report.Reason)
		}
		// The same answer to a payment.
		transaction.Type = ""
		result, err := client.Await(t.Context(), transaction, nil)
		require.NoError(t, err)
		if result.Outcome == tillroute.Approved {
			require.True(t, report.OK)
		}
	})
}
