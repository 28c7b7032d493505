package xseries_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

func TestOutletsGet(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "rest20_outlet_get.json")))
	outlet, err := s.client(t).Outlets.Get(t.Context(), "b8ca3a65-0183-11e4-fbb5-2816d2677218")
	require.NoError(t, err)
	require.Equal(t, xseries.Outlet{
		ID:                "b8ca3a65-0183-11e4-fbb5-2816d2677218",
		Name:              "Second Outlet",
		Currency:          "NZD",
		CurrencySymbol:    "$",
		DisplayPrices:     xseries.PricesInclusive,
		TimeZone:          "Pacific/Auckland",
		DefaultTaxID:      "b1d192bc-f019-11e3-a0f5-b8ca3a64f8f4",
		PhysicalAddress1:  "Nuffield Street",
		PhysicalSuburb:    "Newmarket",
		PhysicalCity:      "Auckland",
		PhysicalPostcode:  "1023",
		PhysicalState:     "Auckland",
		PhysicalCountryID: "NZ",
		Version:           816974914,
	}, outlet)
	require.Equal(t, "/base/api/2026-07/outlets/b8ca3a65-0183-11e4-fbb5-2816d2677218", s.got()[0].path)
}

func TestOutletsList(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "rest20_outlets_list.json")))
	page, err := s.client(t).Outlets.List(t.Context(), xseries.ListOptions{})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
	require.Equal(t, int64(1690497245), page.Next)
	require.Equal(t, []xseries.Attribute{
		{Key: "order_reference", Value: "1"},
		{Key: "order_reference_prefix", Value: "SYD"},
		{Key: "return_reference", Value: "1"},
		{Key: "return_reference_prefix", Value: "SYD"},
	}, page.Items[2].Attributes)
	require.Equal(t, "/base/api/2026-07/outlets", s.got()[0].path)
}

func TestOutletIsReadTolerantly(t *testing.T) {
	s := newServer(t,
		answer(http.StatusOK, `{"data":{"id":"o1","time_zone":null,"display_prices":"both","attributes":{"a":1},"latitude":-36.8,"version":"7"}}`),
		answer(http.StatusOK, `{"data":null}`),
		answer(http.StatusOK, `{"data":{}}`))
	client := s.client(t)
	outlet, err := client.Outlets.Get(t.Context(), "o1")
	require.NoError(t, err)
	require.Equal(t, xseries.Outlet{ID: "o1", DisplayPrices: "both", Latitude: "-36.8", Version: 7}, outlet)
	for range 2 {
		_, err = client.Outlets.Get(t.Context(), "o1")
		require.ErrorIs(t, err, tillroute.ErrDecode)
	}
}
