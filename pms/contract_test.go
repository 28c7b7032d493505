package pms_test

import (
	"context"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

// simulated is a client of the simulated restaurant.
func simulated(t *testing.T) (*testserver.Systems, *pms.Client, int64) {
	t.Helper()
	world := testserver.Start(t, testserver.Options{})
	at := world.Describe().PMS
	client, err := pms.NewClient(pms.ClientConfig{
		Token:   func(context.Context) (tillroute.Secret, error) { return tillroute.Secret(world.PMS.Token()), nil },
		BaseURL: at.BaseURL,
	})
	require.NoError(t, err)
	return world, client, at.BusinessLocationID
}

func TestSimulatedProviders(t *testing.T) {
	t.Parallel()
	world, client, location := simulated(t)
	centers, err := client.RevenueCenters.List(t.Context(), location)
	require.NoError(t, err)
	require.Len(t, centers, 2)

	wanted := pms.ProviderRequest{Name: "Inn", Endpoint: "https://inn.example/pms", APIKey: "key", Features: []pms.Feature{pms.Mirroring}}
	world.Fault(testserver.On("pms", "POST", "/pms/v1/providers"), testserver.LoseReply())
	_, err = client.Providers.Create(t.Context(), location, wanted)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Len(t, world.Requests("pms", "POST", ""), 1, "it is not repeated once it may have arrived")
	list, err := client.Providers.List(t.Context(), location)
	require.NoError(t, err)
	require.Len(t, list, 1, "it had arrived")
	_, err = client.Providers.Create(t.Context(), location, wanted)
	require.ErrorIs(t, err, tillroute.ErrInvalid, "a location has one")

	wanted.APIKey = "another key"
	world.Fault(testserver.On("pms", "PUT", ""), testserver.LoseReply())
	changed, err := client.Providers.Update(t.Context(), list[0].ID, wanted)
	require.NoError(t, err)
	require.Equal(t, tillroute.Secret("another key"), changed.APIKey)
	world.Fault(testserver.On("pms", "GET", ""), testserver.ExtraFields())
	got, err := client.Providers.Get(t.Context(), changed.ID)
	require.NoError(t, err)
	require.Equal(t, changed, got)
	world.Fault(testserver.On("pms", "DELETE", ""), testserver.LoseReply())
	require.NoError(t, client.Providers.Delete(t.Context(), changed.ID))
	_, err = client.Providers.Get(t.Context(), changed.ID)
	require.ErrorIs(t, err, tillroute.ErrNotFound)
	world.Fault(testserver.On("pms", "GET", ""), testserver.ExpireToken())
	_, err = client.Providers.List(t.Context(), location)
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
}

// TestSimulatedCharges has the simulated restaurant, which shares no code with the handler, send all kinds of bills.
func TestSimulatedCharges(t *testing.T) {
	t.Parallel()
	world, client, location := simulated(t)
	var failing atomic.Bool
	hotel := &pmstest.Recorder{Reservations: []pms.Reservation{
		{RoomID: "12", ClientName: "Mike Test", ReservationID: "001", CreditLimit: decimal.NewNullDecimal(decimal.RequireFromString("250.5"))},
	}}
	hotel.Before = func(context.Context, pms.Charge) error {
		if failing.Load() {
			return pms.Refuse("Zimmer 12 ist ausgecheckt, bitte an der Rezeption fragen")
		}
		return nil
	}
	handler, err := pms.NewHandler(pms.Config{Backend: hotel, Keys: []pms.Key{{APIKey: "key"}}, Deliveries: newStore()})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	_, err = client.Providers.Create(t.Context(), location, pms.ProviderRequest{
		Name: "Inn", Endpoint: server.URL + "/pms", APIKey: "key",
		Features: []pms.Feature{pms.SearchByName, pms.Mirroring, pms.PartialPayments, pms.MultiPayments, pms.ServiceCharges, pms.EnrichedPayload},
	})
	require.NoError(t, err)

	found, err := world.PMS.Search(t.Context(), "mike")
	require.NoError(t, err)
	require.Equal(t, "250.5", found[0].CreditLimit.Decimal.String())
	require.Equal(t, "mike", hotel.Searches()[0].Term)

	room := testserver.PMSPayment{Method: testserver.RoomMethod, ReservationID: "001", Amount: decimal.New(11, 0), Tip: decimal.New(1, 0)}
	order := testserver.PMSOrder{
		Items: []testserver.PMSItem{{SKU: "F07", Quantity: 2}}, Discount: decimal.New(1, 0), ServiceCharge: decimal.New(2, 0),
		Payments: []testserver.PMSPayment{room, {Method: testserver.CashMethod, Amount: decimal.New(2, 0)}},
	}
	settle := func(n int) testserver.PMSPosting {
		t.Helper()
		list, err := world.PMS.WaitPostings(t.Context(), n)
		require.NoError(t, err)
		return list[n-1]
	}
	world.PMS.DuplicatePostings(1, true)
	first, err := world.PMS.CloseBill(order)
	require.NoError(t, err)
	require.Equal(t, testserver.PMSPosted, settle(1).State)
	_, corrected, err := world.PMS.CorrectTip(first.Account, 0, decimal.New(3, 0))
	require.NoError(t, err)
	world.PMS.SetBare(true)
	void, err := world.PMS.Void(corrected.Account)
	require.NoError(t, err)
	settle(4)
	_, err = world.PMS.CloseBill(testserver.PMSOrder{Items: []testserver.PMSItem{{SKU: "B01", Quantity: 1}}})
	require.NoError(t, err)
	require.Equal(t, testserver.PMSPosted, settle(5).State)

	posted := hotel.Posted()
	require.Len(t, posted, 5, "each once")
	for i, want := range []struct {
		debit            string
		reversal, second bool
	}{{"12", false, false}, {"-12", true, false}, {"14", false, true}, {"-14", true, false}, {"0", false, false}} {
		c := posted[i]
		require.Empty(t, c.Unknown())
		require.Equal(t, want.debit, c.Totals().RoomDebit.String())
		require.Equal(t, want.reversal, c.IsReversal())
		require.Equal(t, want.second, c.IsTipCorrection())
		_, ok := c.ParseUUID()
		require.True(t, ok)
		require.False(t, c.CloseDate.IsZero())
	}
	require.Equal(t, "2", posted[0].ServiceCharge.Amount.Decimal.String())
	require.Equal(t, void.Account, posted[3].Account())
	corrects, ok := posted[3].Corrects()
	require.True(t, ok)
	require.Equal(t, first.Account, corrects)
	postings, err := posted[3].Postings()
	require.NoError(t, err)
	require.Empty(t, postings[0].ReservationID, "it may be missing")

	failing.Store(true)
	refused, err := world.PMS.CloseBill(order)
	require.NoError(t, err)
	require.Equal(t, "Zimmer 12 ist ausgecheckt, bitte an der Rezeption ", settle(6).Message)
	failing.Store(false)
	require.NoError(t, world.PMS.PostAgain(refused.Account, true))
	require.Equal(t, testserver.PMSPosted, settle(6).State, "what was refused may be tried again")
	require.NoError(t, world.PMS.PostAgain(refused.Account, true))
	require.Equal(t, testserver.PMSPosted, settle(6).State)
	require.Len(t, hotel.Posted(), 6)
}
