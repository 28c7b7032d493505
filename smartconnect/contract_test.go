package smartconnect_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

// The tests in this file run against the simulated SmartConnect, which knows nothing of this package and keeps its own
// books.

func simulated(t *testing.T, o testserver.SmartConnectOptions) (*testserver.Systems, *smartconnect.Client) {
	t.Helper()
	if o.MinPoll == 0 {
		o.MinPoll = -1
	}
	sys := testserver.Start(t, testserver.Options{SmartConnect: o})
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "John Doe's Coffee Shop", VendorName: "Till2Go", Currency: "NZD",
		BaseURL:      sys.Describe().SmartConnect.BaseURL,
		PollInterval: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	return sys, client
}

func show(t *testing.T, device *testserver.Device) string {
	t.Helper()
	code, err := device.ShowCode()
	require.NoError(t, err)
	return code
}

// paired returns a terminal that knows the register.
func paired(t *testing.T, sys *testserver.Systems, client *smartconnect.Client) *testserver.Device {
	t.Helper()
	device := sys.SmartConnect.Devices()[0]
	require.NoError(t, client.Register(registerID).Pair(t.Context(), show(t, device), "Till 1", smartconnect.Contact{Name: "John Doe"}))
	return device
}

func TestContractPairing(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	one, two := sys.SmartConnect.Devices()[0], sys.SmartConnect.Devices()[1]
	_, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(1))
	require.ErrorIs(t, err, pairing.ErrNotPaired)
	require.ErrorIs(t, client.Register(registerID).Pair(t.Context(), "00000000", "Till 1", smartconnect.Contact{}), pairing.ErrWrongCode)

	code := show(t, one)
	require.NoError(t, client.Register(registerID).Pair(t.Context(), code, "Till 1", smartconnect.Contact{}))
	require.ErrorIs(t, client.Register(registerID).Pair(t.Context(), code, "Till 1", smartconnect.Contact{}), pairing.ErrWrongCode, "a code is good once")
	require.Len(t, one.State().Registers, 1)
	require.Equal(t, "Till 1", one.State().Registers[0].RegisterName)
	require.Equal(t, "John Doe's Coffee Shop", one.State().Registers[0].BusinessName)

	require.NoError(t, client.Register(registerID).Pair(t.Context(), show(t, two), "Till 1", smartconnect.Contact{}))
	require.Empty(t, one.State().Registers, "pairing again replaces")
	require.Len(t, two.State().Registers, 1)
}

func TestContractOutcomes(t *testing.T) {
	type person func(*testserver.Device) error
	for name, test := range map[string]struct {
		act     person
		outcome tillroute.Outcome
		charges int
	}{
		"approve": {(*testserver.Device).Approve, tillroute.Approved, 1},
		"decline": {(*testserver.Device).Decline, tillroute.Declined, 0},
		"cancel":  {(*testserver.Device).Cancel, tillroute.Cancelled, 0},
		"a new result": {func(d *testserver.Device) error {
			return d.Finish("OK-MAYBE", "OK", true)
		}, tillroute.Unknown, 1},
		"accepted, and not done": {func(d *testserver.Device) error {
			return d.Finish("OK-ACCEPTED", "FAILED", true)
		}, tillroute.Unknown, 1},
	} {
		for _, lean := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				sys, client := simulated(t, testserver.SmartConnectOptions{Lean: lean})
				device := paired(t, sys, client)
				started, err := client.Register(registerID).Purchase(t.Context(), decimal.RequireFromString("12.50"))
				require.NoError(t, err)
				require.Equal(t, device.ID(), started.DeviceID)
				_, err = device.WaitTransaction(t.Context())
				require.NoError(t, err)
				require.NoError(t, test.act(device))
				result, err := client.Await(t.Context(), started, nil)
				require.NoError(t, err)
				require.Equal(t, test.outcome, result.Outcome, result.Reason)
				require.Equal(t, started.ID, result.TransactionID)
				charges := sys.SmartConnect.Charges()
				require.Len(t, charges, test.charges)
				if test.outcome == tillroute.Approved {
					require.Equal(t, "12.50", result.Amount.StringFixed(2))
					require.Equal(t, int64(1250), charges[0].Cents)
					require.Equal(t, started.ID, charges[0].TransactionID)
					require.NotEmpty(t, result.Receipt)
					require.NotEmpty(t, result.AuthID)
				}
			})
		}
	}
}

func TestContractSurchargeAndTip(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	device.SetExtras(15, 100)
	device.SetAuto(testserver.AutoApprove, 0)
	started, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	result, err := client.Await(t.Context(), started, nil)
	require.NoError(t, err)
	require.Equal(t, "6.15", result.Amount.StringFixed(2))
	require.Equal(t, "0.15", result.Surcharge.StringFixed(2))
	require.Equal(t, "1.00", result.Tip.StringFixed(2))
	require.Equal(t, int64(615), sys.SmartConnect.Charges()[0].Cents)

	started, err = client.Register(registerID).Refund(t.Context(), decimal.RequireFromString("6.15"))
	require.NoError(t, err)
	result, err = client.Await(t.Context(), started, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, result.Outcome)
	require.Equal(t, "6.15", result.Amount.StringFixed(2), "a refund is positive")
	require.Equal(t, "Card.Refund", sys.SmartConnect.Charges()[1].Type)
}

func TestContractOffline(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	device.Unplug()
	started, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	result, err := client.Await(t.Context(), started, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Failed, result.Outcome)
	require.Equal(t, "the terminal is offline", result.Reason)
	require.Empty(t, sys.SmartConnect.Charges())
}

func TestContractBusy(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	device.SetBusy(testserver.BusyRefuse)
	first, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	_, err = client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(6))
	require.ErrorIs(t, err, tillroute.ErrBusy)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.NoError(t, device.Approve())
	result, err := client.Await(t.Context(), first, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, result.Outcome)
	require.Len(t, sys.SmartConnect.Charges(), 1)
}

func TestContractLostPaymentIsSentOnce(t *testing.T) {
	for name, fault := range map[string]testserver.Fault{
		"lost":      testserver.LoseReply(),
		"truncated": testserver.Truncate(),
		"garbled":   testserver.GarbledJSON(),
		"proxy":     testserver.HTMLBody(502).AfterProcessing(),
	} {
		t.Run(name, func(t *testing.T) {
			sys, client := simulated(t, testserver.SmartConnectOptions{})
			device := paired(t, sys, client)
			device.SetAuto(testserver.AutoApprove, 0)
			sys.Fault(testserver.On("smartconnect", "POST", "/POS/Transaction"), fault)
			_, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			_, err = sys.SmartConnect.WaitCharges(t.Context(), 1)
			require.NoError(t, err)
			require.Len(t, sys.Requests("smartconnect", "POST", "/POS/Transaction"), 1)
			require.Len(t, sys.SmartConnect.Charges(), 1)
		})
	}
}

func TestContractPollingGoesThroughFaults(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	polls := testserver.On("smartconnect", "GET", "")
	for _, fault := range []testserver.Fault{
		testserver.LoseReply(), testserver.Truncate(), testserver.GarbledJSON(), testserver.HTMLBody(503), testserver.Status(429, ""),
		testserver.RedirectTo("/elsewhere"), testserver.ExtraFields(),
	} {
		sys.Fault(polls, fault)
	}
	device.SetAuto(testserver.AutoApprove, 0)
	started, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	var notes []smartconnect.Progress
	result, err := client.Await(t.Context(), started, func(note smartconnect.Progress) { notes = append(notes, note) })
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, result.Outcome)
	require.Equal(t, smartconnect.NoContact, notes[0])
	require.Len(t, sys.SmartConnect.Charges(), 1)
	for _, request := range sys.Requests("smartconnect", "", "") {
		require.NotContains(t, request.Path, "elsewhere")
	}
}

func TestContractExpiredTokenIsUnknown(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	paired(t, sys, client)
	started, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	sys.SmartConnect.ExpireTokens()
	result, err := client.Await(t.Context(), started, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Unknown, result.Outcome)
	require.Contains(t, result.Reason, "Token expired")
}

func TestContractAnotherProcessAwaits(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	started, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = client.Await(ctx, started, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.NoError(t, device.Approve())

	again, err := smartconnect.New(smartconnect.Config{
		BusinessName: "John Doe's Coffee Shop", VendorName: "Till2Go", Currency: "NZD",
		BaseURL: sys.Describe().SmartConnect.BaseURL, PollInterval: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	result, err := again.Await(t.Context(), smartconnect.Transaction{ID: started.ID, PollingURL: started.PollingURL}, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, result.Outcome)
	require.Len(t, sys.SmartConnect.Charges(), 1)
}

func TestContractDriver(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	driver := smartconnect.NewDriver(client)
	device := sys.SmartConnect.Devices()[1]
	link, err := driver.Pair(t.Context(), pairing.PairRequest{Register: till(), Code: show(t, device), RegisterName: "Till 1"})
	require.NoError(t, err)
	require.Equal(t, device.ID(), link.Terminal.Serial)

	device.SetAuto(testserver.AutoApprove, 0)
	p := payment()
	p.Identity = link.Identity
	p.Handle, err = driver.Start(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, device.ID(), p.Handle.Serial)
	result, err := driver.Await(t.Context(), p, func(string) {})
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, result.Outcome)
	charges := sys.SmartConnect.Charges()
	require.Len(t, charges, 1)
	require.Equal(t, int64(500), charges[0].Cents)
	require.Equal(t, device.ID(), charges[0].Device)
	require.Equal(t, p.Handle.TransactionID, result.TransactionID)

	second, err := driver.Pair(t.Context(), pairing.PairRequest{
		Register: pairing.Register{System: "xseries", Account: "acme", ID: "r2"}, Code: show(t, device),
	})
	require.NoError(t, err)
	require.Equal(t, link.Terminal, second.Terminal, "two registers at one terminal share it")
	require.NotEqual(t, link.Identity, second.Identity)
}

func TestContractDriverFindsALostPairing(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := sys.SmartConnect.Devices()[0]
	sys.Fault(testserver.On("smartconnect", "PUT", ""), testserver.LoseReply())
	link, err := smartconnect.NewDriver(client).Pair(t.Context(), pairing.PairRequest{Register: till(), Code: show(t, device)})
	require.NoError(t, err)
	require.Equal(t, device.ID(), link.Terminal.Serial)
	require.Len(t, device.State().Registers, 1)
	require.True(t, strings.EqualFold(device.State().Registers[0].RegisterID, link.Identity.Reveal()))
}

func TestContractEveryPaymentType(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	device.SetAuto(testserver.AutoApprove, 0)
	device.SetExtras(15, 100)
	till := client.Register(registerID).WithSale(sale()).WithCallback("https://till.example/done")
	dollars := decimal.NewFromInt
	// In the order in which a person would: an authorisation is finalised once.
	for i, test := range []struct {
		kind   smartconnect.Type
		call   func(context.Context) (smartconnect.Transaction, error)
		amount string
		extras bool
	}{
		{"Card.Purchase", func(ctx context.Context) (smartconnect.Transaction, error) { return till.Purchase(ctx, dollars(5)) }, "5.00", true},
		{"Card.Refund", func(ctx context.Context) (smartconnect.Transaction, error) { return till.Refund(ctx, dollars(4)) }, "4.00", false},
		{"Card.PurchasePlusCash", func(ctx context.Context) (smartconnect.Transaction, error) {
			return till.PurchasePlusCash(ctx, dollars(60), dollars(20))
		}, "60.00", true},
		{"Card.CashAdvance", func(ctx context.Context) (smartconnect.Transaction, error) { return till.CashAdvance(ctx, dollars(20)) }, "20.00", false},
		{"Card.Authorise", func(ctx context.Context) (smartconnect.Transaction, error) {
			return till.Authorise(ctx, dollars(100), "preauth-77")
		}, "100.00", false},
		{"Card.Finalise", func(ctx context.Context) (smartconnect.Transaction, error) {
			return till.Finalise(ctx, dollars(95), "preauth-77")
		}, "95.00", false},
		{"QR.Merchant.Purchase", func(ctx context.Context) (smartconnect.Transaction, error) {
			return till.QRMerchantPurchase(ctx, dollars(6))
		}, "6.00", true},
		{"QR.Consumer.Purchase", func(ctx context.Context) (smartconnect.Transaction, error) {
			return till.QRConsumerPurchase(ctx, dollars(7))
		}, "7.00", true},
		{"QR.Refund", func(ctx context.Context) (smartconnect.Transaction, error) { return till.QRRefund(ctx, dollars(8)) }, "8.00", false},
	} {
		started, err := test.call(t.Context())
		require.NoError(t, err, test.kind)
		result, err := client.Await(t.Context(), started, nil)
		require.NoError(t, err, test.kind)
		require.Equal(t, tillroute.Approved, result.Outcome, "%s: %s", test.kind, result.Reason)
		charges := sys.SmartConnect.Charges()
		require.Len(t, charges, i+1)
		asked, charged := decimal.RequireFromString(test.amount), decimal.RequireFromString(test.amount)
		if test.extras {
			charged = charged.Add(decimal.RequireFromString("1.15"))
		}
		require.Equal(t, charged.StringFixed(2), result.Amount.StringFixed(2), test.kind)
		require.Equal(t, string(test.kind), charges[i].Type)
		require.Equal(t, asked.Shift(2).IntPart(), charges[i].AskedCents, test.kind)
		require.Equal(t, charged.Shift(2).IntPart(), charges[i].Cents, test.kind)
		require.Equal(t, started.ID, charges[i].TransactionID)
	}
	transactions := sys.SmartConnect.Transactions()
	require.Equal(t, int64(2000), transactions[2].CashCents, "the cash is in the total")
	require.Equal(t, "preauth-77", transactions[5].Reference)

	started, err := till.Finalise(t.Context(), dollars(95), "preauth-77")
	require.NoError(t, err)
	result, err := client.Await(t.Context(), started, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Declined, result.Outcome, "nothing is left to finalise")
}

func TestContractEverythingElse(t *testing.T) {
	for _, lean := range []bool{false, true} {
		sys, client := simulated(t, testserver.SmartConnectOptions{Lean: lean})
		device := paired(t, sys, client)
		device.SetAuto(testserver.AutoApprove, 0)
		till := client.Register(registerID)

		status, err := till.Status(t.Context(), nil)
		require.NoError(t, err)
		require.True(t, status.OK, status.Reason)
		require.Equal(t, "READY", status.Status)
		require.Equal(t, device.ID(), status.DeviceID)

		none, err := till.LastTransaction(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, none.Subject, "it has no memory yet")

		started, err := till.Purchase(t.Context(), decimal.RequireFromString("7.50"))
		require.NoError(t, err)
		last, err := till.LastTransaction(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, started.ID, last.Subject)
		require.NotEqual(t, started.ID, last.TransactionID)
		require.Equal(t, "7.50", last.Amount.StringFixed(2))
		require.Equal(t, "OK-ACCEPTED", last.TransactionResult)

		receipt, err := till.ReprintReceipt(t.Context(), nil)
		require.NoError(t, err)
		require.True(t, receipt.OK, receipt.Reason)
		require.Contains(t, receipt.Receipt, "******DUPLICATE  RECEIPT******")

		card, err := till.ReadCard(t.Context(), nil)
		require.NoError(t, err)
		require.True(t, card.OK, card.Reason)
		require.Equal(t, "....0138", card.CardPAN)

		logon, err := till.Logon(t.Context(), nil)
		require.NoError(t, err)
		require.True(t, logon.OK, logon.Reason)
		require.NotEmpty(t, logon.AcquirerRef)

		inquiry, err := till.SettlementInquiry(t.Context(), nil)
		require.NoError(t, err)
		require.True(t, inquiry.OK, inquiry.Reason)
		require.Contains(t, inquiry.Receipt, "NZ$ 7.50")
		require.Zero(t, device.State().Settlement.Cutovers)
		cutover, err := till.SettlementCutover(t.Context(), nil)
		require.NoError(t, err)
		require.True(t, cutover.OK, cutover.Reason)
		require.Contains(t, cutover.Receipt, "NZ$ 7.50")
		require.Equal(t, 1, device.State().Settlement.Cutovers)

		device.Unplug()
		off, err := till.Status(t.Context(), nil)
		require.NoError(t, err)
		require.False(t, off.OK)
		require.Equal(t, "the terminal is offline", off.Reason)
		require.Len(t, sys.SmartConnect.Charges(), 1, "only the purchase moved money")
	}
}

func TestContractCutoverIsDoneOnce(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	sys.Fault(testserver.On("smartconnect", "POST", "/POS/Transaction"), testserver.LoseReply())
	_, err := client.Register(registerID).SettlementCutover(t.Context(), nil)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Equal(t, 1, device.State().Settlement.Cutovers)

	started, err := client.Register(registerID).Start(t.Context(), smartconnect.AcquirerSettlementCutover, nil)
	require.NoError(t, err)
	report, err := client.AwaitReport(t.Context(), smartconnect.Transaction{ID: started.ID, Type: started.Type, PollingURL: started.PollingURL}, nil)
	require.NoError(t, err)
	require.True(t, report.OK, "what was written down can be awaited by another process")
	require.Equal(t, 2, device.State().Settlement.Cutovers)
}

func TestContractRegistersAreServedInOrderOfArrival(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := sys.SmartConnect.Devices()[0]
	var started []smartconnect.Transaction
	for _, id := range []tillroute.Secret{"register-a", "register-b", "register-c"} {
		till := client.Register(id)
		require.NoError(t, till.Pair(t.Context(), show(t, device), "Till", smartconnect.Contact{}))
		one, err := till.Purchase(t.Context(), decimal.NewFromInt(5))
		require.NoError(t, err)
		started = append(started, one)
	}
	require.Len(t, device.State().Registers, 3, "each with a code of its own")
	require.Len(t, device.State().Queue, 2)
	waiting := make(chan smartconnect.Progress, 10)
	ended := make(chan error, 1)
	go func() {
		_, err := client.Await(t.Context(), started[2], func(p smartconnect.Progress) { waiting <- p })
		ended <- err
	}()
	require.Equal(t, smartconnect.Waiting, <-waiting, "a queued payment can be shown")
	for range started {
		require.NoError(t, device.Approve())
	}
	require.NoError(t, <-ended)
	for i, served := range device.Served() {
		require.Equal(t, started[i].ID, served.ID)
	}
}

func TestContractDelayedTerminalComesBack(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	started, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	device.Unplug()
	require.NoError(t, device.Approve(), "the card holder pays while the terminal has no connection")
	notes := make(chan smartconnect.Progress, 10)
	type end struct {
		smartconnect.Result
		error
	}
	ended := make(chan end, 1)
	go func() {
		r, err := client.Await(t.Context(), started, func(p smartconnect.Progress) { notes <- p })
		ended <- end{r, err}
	}()
	require.Equal(t, smartconnect.Delayed, <-notes)
	device.Plug()
	got := <-ended
	require.NoError(t, got.error)
	require.Equal(t, tillroute.Approved, got.Outcome)
	require.Len(t, sys.SmartConnect.Charges(), 1)
}

func TestContractSlowTerminal(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	device := paired(t, sys, client)
	device.SetSlow(30 * time.Millisecond)
	device.SetAuto(testserver.AutoApprove, 0)
	started, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	result, err := client.Await(t.Context(), started, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, result.Outcome)
}

func TestContractIdentityMismatchIsNotPaired(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	paired(t, sys, client)
	sys.ExpectViolation("differs from the pairing's")
	renamed, err := smartconnect.New(smartconnect.Config{
		BusinessName: "John Doe's Tea Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: sys.Describe().SmartConnect.BaseURL,
	})
	require.NoError(t, err)
	_, err = renamed.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.ErrorIs(t, err, pairing.ErrNotPaired)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
}

func TestContractWrongAddressIsSaid(t *testing.T) {
	sys, _ := simulated(t, testserver.SmartConnectOptions{})
	sys.ExpectViolation("no such operation")
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: sys.Describe().SmartConnect.BaseURL + "/v2",
	})
	require.NoError(t, err)
	err = client.Register(registerID).Pair(t.Context(), "1", "Till", smartconnect.Contact{})
	require.ErrorIs(t, err, tillroute.ErrNotFound, "a 404 without a body")
	require.ErrorContains(t, err, "check BaseURL")
}

func TestContractLane(t *testing.T) {
	sys, client := simulated(t, testserver.SmartConnectOptions{})
	lane, err := client.Lane(smartconnect.Virtual{Name: "counter", ID: "id-1"}, smartconnect.Virtual{Name: "window", ID: "id-2"})
	require.NoError(t, err)
	for i, name := range lane.Names() {
		till, err := lane.Select(name)
		require.NoError(t, err)
		require.NoError(t, till.Pair(t.Context(), show(t, sys.SmartConnect.Devices()[i]), "Lane 1, "+name, smartconnect.Contact{}))
	}
	for i, name := range lane.Names() {
		till, err := lane.Select(name)
		require.NoError(t, err)
		started, err := till.Purchase(t.Context(), decimal.NewFromInt(5))
		require.NoError(t, err)
		require.Equal(t, sys.SmartConnect.Devices()[i].ID(), started.DeviceID, "each has its own terminal")
	}
}
