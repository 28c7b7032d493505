package smartconnect_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
)

func completed(data string) string {
	return `{"transactionId":"T1","transactionStatus":"COMPLETED","data":` + data + `}`
}

func poll(t *testing.T, body string) (smartconnect.Status, error) {
	t.Helper()
	s := newServer(t, answer(http.StatusOK, body))
	transaction := s.transaction()
	transaction.Amount = decimal.RequireFromString("5")
	return s.client(t).Poll(t.Context(), transaction)
}

func TestOutcomes(t *testing.T) {
	// Every known value with every known value, those that don't exist, and none.
	transactionResults := []string{
		"OK-ACCEPTED", "OK-DECLINED", "OK-UNAVAILABLE", "OK-DELAYED", "CANCELLED", "FAILED", "FAILED-INTERFACE", "", "NEW", "ok-accepted", "OK-ACCEPTED ",
	}
	results := []string{"OK", "CANCELLED", "DELAYED-TRANSACTION", "FAILED", "FAILED-INTERFACE", "", "NEW", "ok"}
	want := func(transactionResult, result string) tillroute.Outcome {
		if result == "NEW" || result == "ok" {
			return tillroute.Unknown // Nobody knows what it says about the money.
		}
		switch transactionResult {
		case "OK-ACCEPTED":
			if result == "OK" {
				return tillroute.Approved
			}
		case "OK-DECLINED":
			if result == "OK" {
				return tillroute.Declined
			}
		case "CANCELLED":
			if result == "FAILED-INTERFACE" {
				return tillroute.Failed
			}
			return tillroute.Cancelled
		case "OK-UNAVAILABLE", "FAILED", "FAILED-INTERFACE":
			return tillroute.Failed
		}
		return tillroute.Unknown
	}
	for _, transactionResult := range transactionResults {
		for _, result := range results {
			t.Run(transactionResult+"+"+result, func(t *testing.T) {
				body := completed(fmt.Sprintf(`{"TransactionResult":%q,"Result":%q,"AmountTotal":"500"}`, transactionResult, result))
				status, err := poll(t, body)
				require.NoError(t, err)
				require.True(t, status.Done)
				require.Equal(t, want(transactionResult, result), status.Result.Outcome)
				require.Equal(t, transactionResult, status.Result.TransactionResult)
				require.Equal(t, result, status.Result.Result)
				if status.Result.Outcome == tillroute.Approved {
					require.Equal(t, "5.00", status.Result.Amount.StringFixed(2))
					require.Empty(t, status.Result.Reason)
				} else {
					require.True(t, status.Result.Amount.IsZero(), "nothing is known to be charged")
					require.NotEmpty(t, status.Result.Reason)
				}
			})
		}
	}
	status, err := poll(t, completed(`{"TransactionResult":"CANCELLED","Result":"FAILED-INTERFACE"}`))
	require.NoError(t, err)
	require.Equal(t, "the terminal is offline", status.Result.Reason)
}

func TestApprovedOnlyIfBothFieldsSaySo(t *testing.T) {
	for name, body := range map[string]string{
		"Result absent":            completed(`{"TransactionResult":"OK-ACCEPTED"}`),
		"TransactionResult absent": completed(`{"Result":"OK"}`),
		"Result null":              completed(`{"TransactionResult":"OK-ACCEPTED","Result":null}`),
		"Result is an object":      completed(`{"TransactionResult":"OK-ACCEPTED","Result":{"Result":"OK"}}`),
		"Result in other letters":  completed(`{"TransactionResult":"OK-ACCEPTED","result":"OK"}`),
		"no data":                  `{"transactionStatus":"COMPLETED","TransactionResult":"OK-ACCEPTED","Result":"OK"}`,
		"null data":                completed(`null`),
		"empty data":               completed(`{}`),
		"data is a string":         completed(`"{\"TransactionResult\":\"OK-ACCEPTED\",\"Result\":\"OK\"}"`),
		"data is an array":         completed(`[{"TransactionResult":"OK-ACCEPTED","Result":"OK"}]`),
		"status of the terminal":   fixture(t, "terminal_getstatus_completed_200.json"),
	} {
		t.Run(name, func(t *testing.T) {
			status, err := poll(t, body)
			require.NoError(t, err)
			require.True(t, status.Done)
			require.Equal(t, tillroute.Unknown, status.Result.Outcome)
		})
	}
	for name, body := range map[string]string{
		"Result twice": completed(`{"TransactionResult":"OK-ACCEPTED","Result":"FAILED","Result":"OK"}`),
		"status twice": `{"transactionStatus":"PENDING","transactionStatus":"COMPLETED","data":{"TransactionResult":"OK-ACCEPTED","Result":"OK"}}`,
		"data twice":   `{"transactionStatus":"COMPLETED","data":{},"data":{"TransactionResult":"OK-ACCEPTED","Result":"OK"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := poll(t, body)
			require.ErrorIs(t, err, tillroute.ErrDecode)
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		})
	}
}

func TestNotDoneUnlessItSaysCompleted(t *testing.T) {
	for _, state := range []string{`"PENDING"`, `"completed"`, `"DONE"`, `""`, `null`, `7`, `{}`} {
		status, err := poll(t, `{"transactionStatus":`+state+`,"data":{"TransactionResult":"OK-ACCEPTED","Result":"OK","AmountTotal":"500"}}`)
		require.NoError(t, err)
		require.False(t, status.Done, state)
		require.Equal(t, tillroute.Unknown, status.Result.Outcome)
		require.True(t, status.Result.Amount.IsZero())
	}
	status, err := poll(t, `{"transactionStatus":"PENDING","data":{"TransactionResult":"","Result":""}}`)
	require.NoError(t, err)
	require.False(t, status.Done)
	require.False(t, status.Delayed)
}

func TestAmountsAsCharged(t *testing.T) {
	tests := map[string]struct {
		fields                 string
		amount, surcharge, tip string
		odd                    bool
	}{
		"strings":           {`"AmountTotal":"615","AmountSurcharge":"15","AmountTip":"100"`, "6.15", "0.15", "1.00", false},
		"numbers":           {`"AmountTotal":615,"AmountSurcharge":15,"AmountTip":100.0`, "6.15", "0.15", "1.00", false},
		"nothing added":     {`"AmountTotal":"500"`, "5.00", "0.00", "0.00", false},
		"empty extras":      {`"AmountTotal":"500","AmountSurcharge":"","AmountTip":null`, "5.00", "0.00", "0.00", false},
		"beyond 2^53":       {`"AmountTotal":9007199254740993`, "90071992547409.93", "0.00", "0.00", false},
		"no amount":         {`"AmountTip":"100"`, "5.00", "0.00", "1.00", true},
		"empty amount":      {`"AmountTotal":""`, "5.00", "0.00", "0.00", true},
		"garbled amount":    {`"AmountTotal":"5OO"`, "5.00", "0.00", "0.00", true},
		"fraction of cents": {`"AmountTotal":"500.5"`, "5.00", "0.00", "0.00", true},
		"negative amount":   {`"AmountTotal":"-500"`, "5.00", "0.00", "0.00", true},
		"zero amount":       {`"AmountTotal":"0"`, "5.00", "0.00", "0.00", true},
		"huge amount":       {`"AmountTotal":1e400`, "5.00", "0.00", "0.00", true},
		"object":            {`"AmountTotal":{}`, "5.00", "0.00", "0.00", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, err := poll(t, completed(`{"TransactionResult":"OK-ACCEPTED","Result":"OK",`+test.fields+`}`))
			require.NoError(t, err)
			r := status.Result
			require.Equal(t, tillroute.Approved, r.Outcome, "an odd amount doesn't undo the payment")
			require.Equal(t, test.amount, r.Amount.StringFixed(2))
			require.Equal(t, test.surcharge, r.Surcharge.StringFixed(2))
			require.Equal(t, test.tip, r.Tip.StringFixed(2))
			require.Equal(t, test.odd, r.Reason != "")
		})
	}
}

// lean is the shape that was seen live: without PosVendor, PosRegisterID, PosBusinessName, Company, ResultText and the
// request's times, with RecordExpiry, whose type isn't known.
func lean(t *testing.T, expiry any) string {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal([]byte(fixture(t, "poll_completed_accepted_200.json")), &root))
	data, ok := root["data"].(map[string]any)
	require.True(t, ok)
	for _, name := range []string{
		"PosVendor", "PosRegisterID", "PosBusinessName", "Company", "ResultText", "RequestTimestamp", "ResponseTimestamp",
	} {
		delete(data, name)
	}
	root["RecordExpiry"] = expiry
	body, err := json.Marshal(root)
	require.NoError(t, err)
	return string(body)
}

func TestLeanLiveShape(t *testing.T) {
	for _, expiry := range []any{"2027-01-20T00:00:00Z", 1800000000, nil, map[string]any{"at": 1}} {
		status, err := poll(t, lean(t, expiry))
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, status.Result.Outcome)
		require.Equal(t, "6.15", status.Result.Amount.StringFixed(2))
		require.Empty(t, status.Result.ResultText)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, name := range []string{
		"poll_completed_accepted_200.json", "poll_pending_200.json", "poll_pending_delayed_200.json",
		"terminal_getstatus_completed_200.json", "transaction_initial_pending_200.json", "poll_error_401_token_expired.json",
	} {
		f.Add([]byte(fixture(f, name)))
	}
	f.Add([]byte(completed(`{"TransactionResult":"OK-ACCEPTED","Result":"OK","AmountTotal":1e40}`)))
	f.Add([]byte(completed(`{"TransactionResult":"OK-ACCEPTED","Result":"OK","Result":"FAILED"}`)))
	f.Add([]byte(`{"transactionStatus":"COMPLETED","data":{"TransactionResult":"OK-ACCEPTED","Result":"\u004fK"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		client, err := smartconnect.New(smartconnect.Config{
			BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD",
			HTTP: tillroute.HTTPOptions{Transport: stub(body)},
		})
		require.NoError(t, err)
		asked := decimal.RequireFromString("5")
		status, err := client.Poll(t.Context(), smartconnect.Transaction{
			PollingURL: "https://api.smart-connect.cloud/pos/transaction/T1", Amount: asked,
		})
		if err != nil {
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		}
		if status.Result.Outcome != tillroute.Approved {
			require.True(t, status.Result.Amount.IsZero())
		} else {
			require.True(t, status.Done)
			require.Equal(t, "OK-ACCEPTED", status.Result.TransactionResult)
			require.Equal(t, "OK", status.Result.Result)
			require.True(t, status.Result.Amount.IsPositive())
			require.True(t, json.Valid(body))
		}
		// A payment that is answered with the same body is either taken with a polling URL, or its outcome is open.
		started, err := client.Register(registerID).Purchase(t.Context(), asked)
		if err != nil {
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		} else {
			require.NotEmpty(t, started.PollingURL.Reveal())
		}
	})
}

func FuzzAmount(f *testing.F) {
	for _, amount := range []string{"0.01", "5", "19.99", "-1", "1e2", "0.001", "92233720368547758.07"} {
		f.Add(amount)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := decimal.NewFromString(text)
		if err != nil || amount.Exponent() > 1000 || amount.Exponent() < -1000 {
			return
		}
		capture := &formCapture{}
		client, err := smartconnect.New(smartconnect.Config{
			BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "AUD", HTTP: tillroute.HTTPOptions{Transport: capture},
		})
		require.NoError(t, err)
		_, err = client.Register(registerID).Refund(t.Context(), amount)
		if capture.form == nil {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			return
		}
		cents, err := decimal.NewFromString(capture.form.Get("AmountTotal"))
		require.NoError(t, err)
		require.True(t, cents.IsPositive())
		require.True(t, cents.Equal(amount.Shift(2)), "%s became %s", amount, cents)
	})
}
