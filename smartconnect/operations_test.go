package smartconnect_test

import (
	"context"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/operationtest"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestCommentsNameWhatGoesOut(t *testing.T) {
	const polling = "https://api-dev.smart-connect.cloud/pos/transaction/f363c7de"
	sent := &operationtest.Recorder{Body: `{"result":"success","transactionId":"f363c7de","transactionStatus":"COMPLETED",
		"data":{"PollingUrl":"` + polling + `","TransactionResult":"OK-ACCEPTED","Result":"OK"}}`}
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: smartconnect.DevelopmentURL,
		PollInterval: 2 * time.Second, HTTP: tillroute.HTTPOptions{Transport: sent},
	})
	require.NoError(t, err)
	till, amount := client.Register(registerID), decimal.NewFromInt(5)
	payment := smartconnect.Transaction{Type: smartconnect.CardPurchase, PollingURL: polling}
	question := smartconnect.Transaction{Type: smartconnect.TerminalGetStatus, PollingURL: polling}
	operations := operationtest.Client{
		Dir: ".", System: smartconnect.Provider, BaseURLs: []string{smartconnect.DevelopmentURL}, Links: map[string]string{"{PollingUrl}": polling},
		// What they return is not the subject here.
		Calls: map[string]func(context.Context){
			"Client.Poll":                 func(ctx context.Context) { _, _ = client.Poll(ctx, payment) },
			"Client.Await":                func(ctx context.Context) { _, _ = client.Await(ctx, payment, nil) },
			"Client.AwaitReport":          func(ctx context.Context) { _, _ = client.AwaitReport(ctx, question, nil) },
			"Register.Pair":               func(ctx context.Context) { _ = till.Pair(ctx, "63247216", "Main", smartconnect.Contact{}) },
			"Register.Purchase":           func(ctx context.Context) { _, _ = till.Purchase(ctx, amount) },
			"Register.Refund":             func(ctx context.Context) { _, _ = till.Refund(ctx, amount) },
			"Register.PurchasePlusCash":   func(ctx context.Context) { _, _ = till.PurchasePlusCash(ctx, amount, amount) },
			"Register.CashAdvance":        func(ctx context.Context) { _, _ = till.CashAdvance(ctx, amount) },
			"Register.Authorise":          func(ctx context.Context) { _, _ = till.Authorise(ctx, amount, "hold-1") },
			"Register.Finalise":           func(ctx context.Context) { _, _ = till.Finalise(ctx, amount, "hold-1") },
			"Register.QRMerchantPurchase": func(ctx context.Context) { _, _ = till.QRMerchantPurchase(ctx, amount) },
			"Register.QRConsumerPurchase": func(ctx context.Context) { _, _ = till.QRConsumerPurchase(ctx, amount) },
			"Register.QRRefund":           func(ctx context.Context) { _, _ = till.QRRefund(ctx, amount) },
			"Register.Start":              func(ctx context.Context) { _, _ = till.Start(ctx, "Card.New", url.Values{}) },
			"Register.Status":             func(ctx context.Context) { _, _ = till.Status(ctx, nil) },
			"Register.ReadCard":           func(ctx context.Context) { _, _ = till.ReadCard(ctx, nil) },
			"Register.ReprintReceipt":     func(ctx context.Context) { _, _ = till.ReprintReceipt(ctx, nil) },
			"Register.Logon":              func(ctx context.Context) { _, _ = till.Logon(ctx, nil) },
			"Register.SettlementInquiry":  func(ctx context.Context) { _, _ = till.SettlementInquiry(ctx, nil) },
			"Register.SettlementCutover":  func(ctx context.Context) { _, _ = till.SettlementCutover(ctx, nil) },
			"Register.LastTransaction":    func(ctx context.Context) { _, _ = till.LastTransaction(ctx, nil) },
		},
	}
	synctest.Test(t, func(t *testing.T) { operationtest.Check(t, operations, sent) })
}
