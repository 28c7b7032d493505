package smartconnect_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

func encoded(t *testing.T, d smartconnect.PaymentData) []byte {
	t.Helper()
	data, err := d.Encode()
	require.NoError(t, err)
	return data
}

func TestDriverKnowsEveryKindThatMovesMoney(t *testing.T) {
	cash := encoded(t, smartconnect.PaymentData{Cash: decimal.NewFromInt(20)})
	reference := encoded(t, smartconnect.PaymentData{Reference: "preauth-77"})
	tests := map[smartconnect.Type]struct {
		kind   pairing.Kind
		amount string
		data   []byte
	}{
		"Card.Purchase":         {pairing.Purchase, "5", nil},
		"Card.Refund":           {pairing.Refund, "5", nil},
		"Card.PurchasePlusCash": {smartconnect.KindPurchasePlusCash, "60", cash},
		"Card.CashAdvance":      {smartconnect.KindCashAdvance, "20", nil},
		"Card.Authorise":        {smartconnect.KindAuthorise, "100", reference},
		"Card.Finalise":         {smartconnect.KindFinalise, "95", reference},
		"QR.Merchant.Purchase":  {smartconnect.KindQRMerchantPurchase, "5", nil},
		"QR.Consumer.Purchase":  {smartconnect.KindQRConsumerPurchase, "5", nil},
		"QR.Refund":             {smartconnect.KindQRRefund, "5", nil},
	}
	bodies := map[smartconnect.Type]wireRequest{}
	for _, want := range wireRequests(t) {
		form, err := url.ParseQuery(want.Body)
		require.NoError(t, err)
		bodies[smartconnect.Type(form.Get("TransactionType"))] = want
	}
	for _, one := range vendorTypes(t) {
		if !one.Financial {
			continue
		}
		t.Run(string(one.Type), func(t *testing.T) {
			test, ok := tests[one.Type]
			require.True(t, ok)
			s := newServer(t, started(t), answer(http.StatusOK, completed(`{"TransactionResult":"OK-ACCEPTED","Result":"OK"}`)))
			driver := smartconnect.NewDriver(s.client(t))
			p := payment()
			p.Kind, p.Amount, p.Data = test.kind, decimal.RequireFromString(test.amount), test.data
			var err error
			p.Handle, err = driver.Start(t.Context(), p)
			require.NoError(t, err)
			requireSame(t, bodies[one.Type], s.got()[0])
			result, err := driver.Await(t.Context(), p, func(string) {})
			require.NoError(t, err)
			require.Equal(t, tillroute.Approved, result.Outcome)
			require.True(t, p.Amount.Equal(result.Amount))
		})
	}
}

func TestPaymentDataIsStrict(t *testing.T) {
	s := newServer(t, started(t))
	driver := smartconnect.NewDriver(s.client(t))
	tests := map[string]struct {
		kind pairing.Kind
		data string
	}{
		"no cash":                        {smartconnect.KindPurchasePlusCash, ``},
		"cash in no object":              {smartconnect.KindPurchasePlusCash, `20`},
		"cash under another name":        {smartconnect.KindPurchasePlusCash, `{"Smartconnect":{"cash":"2"}}`},
		"cash under no name":             {smartconnect.KindPurchasePlusCash, `{"cash":"2"}`},
		"data twice":                     {smartconnect.KindPurchasePlusCash, `{"smartconnect":{"cash":"2"},"smartconnect":{"cash":"2"}}`},
		"cash spelled wrong":             {smartconnect.KindPurchasePlusCash, `{"smartconnect":{"Kash":"2"}}`},
		"cash that is none":              {smartconnect.KindPurchasePlusCash, `{"smartconnect":{"cash":"two"}}`},
		"more cash than total":           {smartconnect.KindPurchasePlusCash, `{"smartconnect":{"cash":"5.01"}}`},
		"negative cash":                  {smartconnect.KindPurchasePlusCash, `{"smartconnect":{"cash":"-1"}}`},
		"cash with a purchase":           {pairing.Purchase, `{"smartconnect":{"cash":"1"}}`},
		"cash with an advance":           {smartconnect.KindCashAdvance, `{"smartconnect":{"cash":"1"}}`},
		"no reference":                   {smartconnect.KindAuthorise, ``},
		"no reference to finalise":       {smartconnect.KindFinalise, `{"smartconnect":{}}`},
		"a reference with a refund":      {pairing.Refund, `{"smartconnect":{"reference":"preauth-77"}}`},
		"a reference with cash":          {smartconnect.KindPurchasePlusCash, `{"smartconnect":{"cash":"1","reference":"preauth-77"}}`},
		"an unknown name":                {pairing.Purchase, `{"smartconnect":{"note":"x"}}`},
		"an array":                       {pairing.Purchase, `{"smartconnect":[]}`},
		"a sale without what it needs":   {pairing.Purchase, `{"smartconnect":{"sale":{}}}`},
		"a kind that moves no money":     {"Acquirer.Settlement.Cutover", ``},
		"the vendor's name for its kind": {"Card.Purchase", ``},
	}
	for name, test := range tests {
		p := payment()
		p.Kind, p.Data = test.kind, []byte(test.data)
		_, err := driver.Start(t.Context(), p)
		require.ErrorIs(t, err, tillroute.ErrInvalid, name)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, name)
	}
	require.Empty(t, s.got())
}

func TestPaymentDataLeavesAloneWhatIsSomebodyElses(t *testing.T) {
	for _, data := range []string{``, `x`, `[]`, `{}`, `{"cash":"1","sale":"s1"}`, `{"smartconnect":null}`, `{"smartconnect":{}}`, `{"sale":1,"smartconnect":{"cash":0}}`} {
		s := newServer(t, started(t))
		p := payment()
		p.Data = []byte(data)
		_, err := smartconnect.NewDriver(s.client(t)).Start(t.Context(), p)
		require.NoError(t, err, data)
		requireSame(t, wireRequests(t)["purchase"], s.got()[0])
	}
}

func TestPaymentDataCarriesTheSale(t *testing.T) {
	s := newServer(t, started(t))
	p := payment()
	p.Data = encoded(t, smartconnect.PaymentData{Sale: new(sale())})
	_, err := smartconnect.NewDriver(s.client(t)).Start(t.Context(), p)
	require.NoError(t, err)
	require.JSONEq(t, fixture(t, "saledata_v1_request.json"), s.got()[0].form.Get("SaleData"))

	late := sale()
	late.CreatedAt = late.CreatedAt.AddDate(10000, 0, 0)
	_, err = smartconnect.PaymentData{Sale: &late}.Encode()
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.JSONEq(t, `{"smartconnect":{}}`, string(encoded(t, smartconnect.PaymentData{})))
}

func TestDriverEvidence(t *testing.T) {
	s := newServer(t, started(t), answer(http.StatusOK, completed(`{"TransactionResult":"OK-ACCEPTED","Result":"OK","ReferenceId":"T0","AmountTotal":"500"}`)))
	driver := smartconnect.NewDriver(s.client(t))
	evidence, err := driver.Evidence(t.Context(), payment())
	require.NoError(t, err)
	require.Equal(t, "T0", evidence.Subject)
	require.Equal(t, "Journal.GetTransResult", s.got()[0].form.Get("TransactionType"))

	p := payment()
	p.Identity = ""
	_, err = driver.Evidence(t.Context(), p)
	require.ErrorIs(t, err, pairing.ErrNotPaired)
	_, err = smartconnect.NewDriver(nil).Evidence(t.Context(), p)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Len(t, s.got(), 2)
}

func FuzzPaymentData(f *testing.F) {
	f.Add([]byte(`{"smartconnect":{"cash":"20"}}`))
	f.Add([]byte(`{"smartconnect":{"cash":1e9999,"reference":"x","sale":{"totalAmount":"1","totalTax":"0"}}}`))
	f.Add([]byte(`{"other":1,"smartconnect":{"cash":0.5,"sale":{"createdAt":"9999-12-31T23:59:59-23:59","lineItems":[{}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		capture := &formCapture{}
		client, err := smartconnect.New(smartconnect.Config{
			BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "AUD", HTTP: tillroute.HTTPOptions{Transport: capture},
		})
		require.NoError(t, err)
		p := payment()
		p.Kind, p.Currency, p.Data = smartconnect.KindPurchasePlusCash, "AUD", data
		_, err = smartconnect.NewDriver(client).Start(t.Context(), p)
		require.Error(t, err)
		if capture.form == nil {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			return
		}
		cash, err := decimal.NewFromString(capture.form.Get("AmountCash"))
		require.NoError(t, err)
		require.True(t, cash.IsPositive())
		require.True(t, cash.LessThanOrEqual(decimal.NewFromInt(500)), cash)
		require.Equal(t, "500", capture.form.Get("AmountTotal"))
	})
}
