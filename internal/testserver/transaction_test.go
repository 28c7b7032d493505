package testserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// vendorRig has the register of the vendor's examples paired to the terminal of the vendor's examples.
func vendorRig(t *testing.T, opts Options) (r *rig, device *Device) {
	t.Helper()
	r = newRig(t, opts)
	device = r.SmartConnect.Device("7070714000")
	r.pair("7444ae07-dc63-e49c-33e3-59a7c108cc80", device.ID())
	return r, device
}

const vendorRegister = "7444ae07-dc63-e49c-33e3-59a7c108cc80"

func TestPurchaseLooksLikeTheVendorsExample(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.SetExtras(15, 100)
	a := r.pos(http.MethodPost, "/POS/Transaction", transactionForm(vendorRegister, "Card.Purchase", "AmountTotal", "500"))
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	want := fixture(t, "smartconnect_transaction_initial_pending_200.json")
	require.ElementsMatch(t, keys(t, want), keys(t, a.body))
	require.ElementsMatch(t, dataKeys(t, want), dataKeys(t, a.body))
	posted := parse[envelope](t, a.body)
	require.Equal(t, "PENDING", posted.Status)
	require.Equal(t, "202603110908071234", posted.TransactionStamp)
	require.Equal(t, r.base+"/smartconnect/pos/transaction/"+posted.TransactionID+"?merchantAccessToken="+posted.MerchantAccessToken, posted.Data.PollingURL)

	r.clock.move(2 * time.Second)
	a = r.do(http.MethodGet, posted.Data.PollingURL, "")
	want = fixture(t, "smartconnect_poll_pending_200.json")
	require.ElementsMatch(t, keys(t, want), keys(t, a.body))
	require.ElementsMatch(t, dataKeys(t, want), dataKeys(t, a.body))

	device.Unplug()
	r.clock.move(2 * time.Second)
	a = r.do(http.MethodGet, posted.Data.PollingURL, "")
	want = fixture(t, "smartconnect_poll_pending_delayed_200.json")
	require.ElementsMatch(t, keys(t, want), keys(t, a.body))
	require.ElementsMatch(t, dataKeys(t, want), dataKeys(t, a.body))
	delayed, example := parse[envelope](t, a.body), parse[envelope](t, want)
	require.Equal(t, example.Status, delayed.Status)
	require.Equal(t, example.Data.TransactionResult, delayed.Data.TransactionResult)
	require.Equal(t, example.Data.Result, delayed.Data.Result)
	require.Equal(t, example.Data.ResultText, delayed.Data.ResultText)

	require.NoError(t, device.Approve())
	require.Equal(t, "OK-DELAYED", r.poll(posted).Data.TransactionResult, "charged, but the result is still on the terminal")
	require.Len(t, r.SmartConnect.Charges(), 1)
	device.Plug()
	r.clock.move(2 * time.Second)
	a = r.do(http.MethodGet, posted.Data.PollingURL, "")
	want = fixture(t, "smartconnect_poll_completed_accepted_200.json")
	require.ElementsMatch(t, keys(t, want), keys(t, a.body))
	require.ElementsMatch(t, dataKeys(t, want), dataKeys(t, a.body))
	done, example := parse[envelope](t, a.body), parse[envelope](t, want)
	require.Equal(t, "COMPLETED", done.Status)
	for field, pair := range map[string][2]string{
		"AmountTotal":       {example.Data.AmountTotal, done.Data.AmountTotal},
		"AmountSurcharge":   {example.Data.AmountSurcharge, done.Data.AmountSurcharge},
		"AmountTip":         {example.Data.AmountTip, done.Data.AmountTip},
		"TransactionResult": {example.Data.TransactionResult, done.Data.TransactionResult},
		"Result":            {example.Data.Result, done.Data.Result},
		"ResultText":        {example.Data.ResultText, done.Data.ResultText},
		"TerminalRef":       {example.Data.TerminalRef, done.Data.TerminalRef},
		"CardPan":           {example.Data.CardPan, done.Data.CardPan},
		"Merchant":          {example.Data.Merchant, done.Data.Merchant},
		"RequestId":         {done.TransactionID, done.Data.RequestID},
	} {
		require.Equal(t, pair[0], pair[1], field)
	}
	require.Equal(t, "20260311210811", done.Data.Timestamp, "the terminal's local time at the approval")
}

func TestEveryTransactionType(t *testing.T) {
	documented := parse[[]struct {
		Type      string
		Financial bool
		Params    map[string]string
	}](t, fixture(t, "smartconnect_transaction_types.json"))
	require.Len(t, txTypes(), len(documented))
	for _, one := range documented {
		kind, known := txTypes()[one.Type]
		require.True(t, known, one.Type)
		require.Equal(t, one.Financial, kind.financial(), one.Type)
		if one.Financial {
			require.Contains(t, one.Params, kind.amount, one.Type)
		}
		require.Equal(t, one.Params["AmountCash"] != "", kind.cash, one.Type)
		require.Equal(t, one.Params["TransactionReference"] != "", kind.reference, one.Type)
	}

	results := parse[struct {
		TransactionResult, Result []string
	}](t, fixture(t, "smartconnect_enums.json"))
	r, device := vendorRig(t, Options{})
	device.SetAuto(AutoApprove, 0)
	for _, req := range requestFixtures(t) {
		if req.Method != http.MethodPost {
			continue
		}
		a := r.do(http.MethodPost, r.base+"/smartconnect/POS/Transaction", req.Body, "Content-Type", req.ContentType)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", req.Name, a.body)
		done := r.poll(parse[envelope](t, a.body))
		require.Equal(t, "COMPLETED", done.Status, req.Name)
		require.Contains(t, results.Result, done.Data.Result, req.Name)
		if done.Data.TransactionResult != "" {
			require.Contains(t, results.TransactionResult, done.Data.TransactionResult, req.Name)
		}
	}
	var moved []int64
	for _, c := range r.SmartConnect.Charges() {
		moved = append(moved, c.Cents)
	}
	require.Equal(t, []int64{500, 500, 6000, 2000, 10000, 9500, 500, 500, 500}, moved)
}

func TestTransactionIsStrict(t *testing.T) {
	for name, tt := range map[string]struct {
		kind   string
		fields []string
		body   string
	}{
		"no mode":            {"Card.Purchase", []string{"AmountTotal", "500", "TransactionMode", ""}, textSyncMode},
		"sync mode":          {"Card.Purchase", []string{"AmountTotal", "500", "TransactionMode", "SYNC"}, textSyncMode},
		"unknown type":       {"Card.Void", nil, "Invalid TransactionType: Card.Void"},
		"type in lower case": {"card.purchase", []string{"AmountTotal", "500"}, "Invalid TransactionType: card.purchase"},
		"no amount":          {"Card.Purchase", nil, "Invalid amount: AmountTotal"},
		"zero":               {"Card.Purchase", []string{"AmountTotal", "0"}, "Invalid amount: AmountTotal"},
		"negative":           {"Card.Refund", []string{"AmountTotal", "-500"}, "Invalid amount: AmountTotal"},
		"dollars":            {"Card.Purchase", []string{"AmountTotal", "5.00"}, "Invalid amount: AmountTotal"},
		"leading zero":       {"Card.Purchase", []string{"AmountTotal", "0500"}, "Invalid amount: AmountTotal"},
		"spaces":             {"Card.Purchase", []string{"AmountTotal", " 500"}, "Invalid amount: AmountTotal"},
		"too much":           {"Card.Purchase", []string{"AmountTotal", "9223372036854775808"}, "Invalid amount: AmountTotal"},
		"no cash":            {"Card.PurchasePlusCash", []string{"AmountTotal", "500"}, "Invalid amount: AmountCash"},
		"cash over total":    {"Card.PurchasePlusCash", []string{"AmountTotal", "500", "AmountCash", "501"}, "Invalid amount: AmountCash"},
		"auth as total":      {"Card.Authorise", []string{"AmountTotal", "500", "TransactionReference", "x"}, "Invalid amount: AmountAuth"},
		"no reference":       {"Card.Finalise", []string{"AmountFinal", "500"}, "Missing mandatory parameter: TransactionReference"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := vendorRig(t, Options{})
			violation := tt.body
			if tt.body == textSyncMode {
				violation = "sync mode"
			}
			r.ExpectViolation(violation)
			a := r.pos(http.MethodPost, "/POS/Transaction", transactionForm(vendorRegister, tt.kind, tt.fields...))
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Equal(t, map[string]string{"error": tt.body}, parse[map[string]string](t, a.body))
			require.Empty(t, r.SmartConnect.Transactions())
		})
	}
}

func TestUnknownExtrasAreTolerated(t *testing.T) {
	r, _ := vendorRig(t, Options{})
	r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500", "POSReferenceID", "x", "AmountCash", "-1",
		"PosNotificationCallbackUrl", "https://my-web-service.com/notify")
	r.ExpectViolation("PosNotificationCallbackUrl")
	r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500", "PosNotificationCallbackUrl", "/notify")
}

func TestSaleDataIsChecked(t *testing.T) {
	r, _ := vendorRig(t, Options{})
	good := fixture(t, "smartconnect_saledata_v1_request.json")
	r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500", "SaleData", good)
	require.Empty(t, r.Violations())
	for bad, want := range map[string]string{
		"{": "SaleData: unexpected end", `{"version":"1.0.0"}`: "SaleData needs version",
		strings.Replace(good, `"unitPrice": "5.00"`, `"unitPrice": 5`, 1): "line item 0 needs the string unitPrice",
		strings.Replace(good, `"totalTax"`, `"totalTaxes"`, 1):            "SaleData needs version",
	} {
		r.ExpectViolation(want)
		r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500", "SaleData", bad)
	}
}

func TestPollingTooFast(t *testing.T) {
	r, _ := vendorRig(t, Options{})
	r.ExpectViolation("polled again after 1.999s, must wait 2s")
	posted := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	other := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	poll := func(e envelope) int { return r.do(http.MethodGet, e.Data.PollingURL, "").status }
	require.Equal(t, http.StatusOK, poll(posted), "the first poll may come at once")
	r.clock.move(1999 * time.Millisecond)
	require.Equal(t, http.StatusTooManyRequests, poll(posted))
	require.Equal(t, http.StatusOK, poll(other), "each transaction has its own interval")
	r.clock.move(time.Millisecond)
	require.Equal(t, http.StatusOK, poll(posted))
	r.SmartConnect.SetMinPoll(0)
	require.Equal(t, http.StatusOK, poll(posted))
}

func TestTokenExpiresFifteenMinutesAfterThePost(t *testing.T) {
	r, device := vendorRig(t, Options{})
	posted := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	require.NoError(t, device.Approve())
	r.clock.move(14*time.Minute + 41*time.Second)
	for range 2 {
		require.Equal(t, "COMPLETED", r.poll(posted).Status, "polling again changes nothing")
	}
	r.clock.move(time.Minute)
	a := r.do(http.MethodGet, posted.Data.PollingURL, "")
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.JSONEq(t, fixture(t, "smartconnect_poll_error_401_token_expired.json"), a.body)
}

func TestPollOfAnotherTransaction(t *testing.T) {
	r, _ := vendorRig(t, Options{})
	posted := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	u, err := url.Parse(posted.Data.PollingURL)
	require.NoError(t, err)
	r.ExpectViolation("merchantAccessToken is not that of the transaction")
	u.RawQuery = "merchantAccessToken=guess"
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, u.String(), "").status)
	u.Path = "/smartconnect/pos/transaction/unknown"
	a := r.do(http.MethodGet, u.String(), "")
	require.Equal(t, http.StatusNotFound, a.status)
	require.Empty(t, a.body)
}

func TestLeanShape(t *testing.T) {
	r, device := vendorRig(t, Options{SmartConnect: SmartConnectOptions{Lean: true}})
	posted := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	require.Empty(t, posted.RecordExpiry)
	require.Equal(t, "2026-09-07T09:08:07Z", r.poll(posted).RecordExpiry)
	require.NoError(t, device.Approve())
	done := r.poll(posted)
	require.Equal(t, "COMPLETED", done.Status)
	for _, value := range []string{
		done.Data.PosVendor, done.Data.PosRegisterID, done.Data.PosBusinessName, done.Data.Company,
		done.Data.ResultText, done.Data.RequestTimestamp, done.Data.ResponseTimestamp,
	} {
		require.Empty(t, value)
	}
	require.Equal(t, "OK-ACCEPTED", done.Data.TransactionResult)
	r.SmartConnect.SetLean(false)
	require.Equal(t, "Till2Go", r.poll(posted).Data.PosVendor)
}

func TestStatusAndJournal(t *testing.T) {
	r, device := vendorRig(t, Options{})
	r.clock.move(time.Second)
	posted := r.post(vendorRegister, "Terminal.GetStatus")
	a := r.do(http.MethodGet, posted.Data.PollingURL, "")
	want := fixture(t, "smartconnect_terminal_getstatus_completed_200.json")
	require.ElementsMatch(t, keys(t, want), keys(t, a.body))
	require.ElementsMatch(t, dataKeys(t, want), dataKeys(t, a.body))
	require.Equal(t, "READY", parse[envelope](t, a.body).Data.Status)

	empty := r.poll(r.post(vendorRegister, "Journal.GetTransResult"))
	require.Equal(t, "FAILED", empty.Data.Result)
	require.Empty(t, empty.Data.ReferenceID)

	r.pair("other", device.ID())
	sale := r.post("other", "Card.Purchase", "AmountTotal", "750")
	require.NoError(t, device.Approve())
	journal := r.poll(r.post(vendorRegister, "Journal.GetTransResult"))
	require.Equal(t, sale.TransactionID, journal.Data.ReferenceID, "the terminal's last transaction, whoever posted it")
	require.NotEqual(t, sale.TransactionID, journal.TransactionID)
	require.Equal(t, "750", journal.Data.AmountTotal)
	require.Equal(t, "Journal.GetTransResult", journal.Data.Function)

	receipt := r.poll(r.post(vendorRegister, "Journal.ReprintReceipt")).Data.Receipt
	require.Contains(t, receipt, "******DUPLICATE  RECEIPT******")
	require.Contains(t, receipt, "NZ$ 7.50")
	card := r.poll(r.post(vendorRegister, "Terminal.ReadCard"))
	require.Equal(t, "....0138", card.Data.CardPan)
	require.Empty(t, card.Data.TransactionResult)
}

func TestSettlement(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.SetAuto(AutoApprove, 0)
	r.post(vendorRegister, "Card.Purchase", "AmountTotal", "750")
	r.post(vendorRegister, "Card.Refund", "AmountTotal", "1000")
	logon := r.poll(r.post(vendorRegister, "Acquirer.Logon")).Data
	require.Equal(t, "OK-ACCEPTED", logon.TransactionResult)
	require.NotEmpty(t, logon.AcquirerRef)
	require.Contains(t, logon.Receipt, "LOGON")
	for range 2 {
		require.Contains(t, r.poll(r.post(vendorRegister, "Acquirer.Settlement.Inquiry")).Data.Receipt, "-NZ$ 2.50")
	}
	require.Contains(t, r.poll(r.post(vendorRegister, "Acquirer.Settlement.Cutover")).Data.Receipt, "-NZ$ 2.50")
	require.Equal(t, DeviceSettlement{Cents: 0, Cutovers: 1}, device.State().Settlement)
}
