package xseries_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

// paymentTypes are the vendor's example, with a payment type of the date versions.
const paymentTypes = `{"data":[
	{"id":"0adaafb3-6583-11e5-fb60-fd093076e9d3","name":"Gift Card","type_id":118,"version":1120194938},
	{"config":{"url":"/pay/dc85058a-a683-11e5-e112-51cc5a8ffc96"},"id":"dc85058a-a683-11e5-e112-51cc5a8ffc96","name":"Loyalty","type_id":106,"version":342955},
	{"config":{"print":true,"url":"https://sec.paymentexpress.com/pxmi/logon"},"id":"dc85058a-a683-11e5-ef46-0b1f0d167dea","name":"DPS","type_id":3,"version":297938},
	{"id":"x","name":"Card","type_id":"3","version":"1120194939","disabled":true,"internal":true,"gateway":true,"config":null,
	 "outlet_ids":["o1","o2"],"is_editable":null,"name_changed_by_user":true,"created_at":"2026-01-02T03:04:05Z","deleted_at":"2026-01-03T03:04:05Z",
	 "payment_type":{"id":3,"name":"Other","category":"card","subcategory":"other","internal":false,"platforms":["web","ios"],
	 "configuration_url":"https://pay.example.com/pair","show_banner":false}}
	],"version":{"max":1120194939,"min":297938}}`

func TestPaymentTypes(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, paymentTypes))
	client := s.client(t)
	page, err := client.PaymentTypes.List(t.Context(), xseries.ListOptions{Deleted: true})
	require.NoError(t, err)
	require.Equal(t, int64(1120194939), page.Next)
	require.Equal(t, "/base/api/2026-07/payment_types", s.got()[0].path)
	require.Equal(t, "deleted=true", s.got()[0].query.Encode())
	require.Len(t, page.Items, 4)
	require.Equal(t, xseries.PaymentType{ID: "0adaafb3-6583-11e5-fb60-fd093076e9d3", Name: "Gift Card", TypeID: 118, Version: 1120194938}, page.Items[0])
	require.Equal(t, "/pay/dc85058a-a683-11e5-e112-51cc5a8ffc96", page.Items[1].GatewayURL)
	require.False(t, page.Items[1].PrintReceipts)
	require.Equal(t, "https://sec.paymentexpress.com/pxmi/logon", page.Items[2].GatewayURL)
	require.True(t, page.Items[2].PrintReceipts)
	require.JSONEq(t, `{"print":true,"url":"https://sec.paymentexpress.com/pxmi/logon"}`, string(page.Items[2].Config))
	require.Equal(t, xseries.PaymentType{
		ID: "x", Name: "Card", TypeID: 3, IsGateway: true, Disabled: true, Internal: true, OutletIDs: []string{"o1", "o2"}, NameChangedByUser: true,
		Kind: xseries.PaymentKind{
			ID: 3, Name: "Other", Category: "card", Subcategory: "other", Platforms: []string{"web", "ios"}, ConfigurationURL: "https://pay.example.com/pair",
		},
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), DeletedAt: time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC), Version: 1120194939,
	}, page.Items[3])
}

func TestPaymentTypeIsReadTolerantly(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"data":[{"id":1,"config":["odd"],"outlet_ids":"all","payment_type":7,"gateway":"1"}],"version":{"max":1}}`),
		answer(http.StatusOK, emptyPage), answer(http.StatusOK, `{"data":[{"name":"x"}]}`))
	client := s.client(t)
	var all []xseries.PaymentType
	for p, err := range client.PaymentTypes.All(t.Context(), xseries.ListOptions{}) {
		require.NoError(t, err)
		all = append(all, p)
	}
	require.Len(t, all, 1)
	require.JSONEq(t, `["odd"]`, string(all[0].Config))
	all[0].Config = nil
	require.Equal(t, xseries.PaymentType{ID: "1", IsGateway: true}, all[0])
	_, err := client.PaymentTypes.List(t.Context(), xseries.ListOptions{})
	require.ErrorIs(t, err, tillroute.ErrDecode)
}
