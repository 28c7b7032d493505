package kseries_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
)

const webhookPassword = tillroute.Secret("webhook-password-0001")

func endpoint() kseries.Endpoint {
	return kseries.Endpoint{
		ID: "MY-AWESOME-ENDPOINT-ID", URL: "https://webhook.site/1dc40b86-3d0d", Username: "username", Password: "password",
		ProvideAccount: true, ExpandTransactions: true, ExpandPayments: true, Subscriptions: []kseries.Subscription{kseries.DeliveredOrders()},
	}
}

func TestEndpointIsCreatedByPutAndUpdatedByPost(t *testing.T) {
	text := fixture(t, "webhook_endpoint.json")
	s := newServer(t, answer(http.StatusOK, text))
	got, err := s.client(t).Webhooks.Create(t.Context(), endpoint())
	require.NoError(t, err)
	require.Equal(t, endpoint(), got)
	s.only(t, http.MethodPut, "/o/wh/1/webhook", nil, text)

	s = newServer(t, answer(http.StatusOK, text))
	got, err = s.client(t).Webhooks.Update(t.Context(), endpoint())
	require.NoError(t, err)
	require.Equal(t, endpoint(), got)
	s.only(t, http.MethodPost, "/o/wh/1/webhook", nil, text)

	s = newServer(t, answer(http.StatusOK, text))
	got, err = s.client(t).Webhooks.Get(t.Context(), "MY-AWESOME-ENDPOINT-ID")
	require.NoError(t, err)
	require.Equal(t, endpoint(), got)
	s.only(t, http.MethodGet, "/o/wh/1/webhook/MY-AWESOME-ENDPOINT-ID", nil, "")

	s = newServer(t, answer(http.StatusOK, ""))
	require.NoError(t, s.client(t).Webhooks.Delete(t.Context(), "MY-AWESOME-ENDPOINT-ID"))
	s.only(t, http.MethodDelete, "/o/wh/1/webhook/MY-AWESOME-ENDPOINT-ID", nil, "")
}

func TestEndpointSaysAllThatItIsNot(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "webhook_endpoint_readiness_request.json")))
	got, err := s.client(t).Webhooks.Update(t.Context(), kseries.Endpoint{
		ID: "my-oo-readiness-endpoint", URL: "https://partner.example.com/webhooks/lightspeed",
		Subscriptions: []kseries.Subscription{kseries.OrderReadiness()},
	})
	require.NoError(t, err)
	require.Equal(t, []kseries.Subscription{kseries.OrderReadiness()}, got.Subscriptions)
	s.only(t, http.MethodPost, "/o/wh/1/webhook", nil, `{"endpointId":"my-oo-readiness-endpoint",
		"url":"https://partner.example.com/webhooks/lightspeed","withBasicAuth":false,"provideAccount":false,"expandTransactions":false,
		"expandPayments":false,"subscribeTo":[{"resource":"order_api","name":"ONLINE_ORDER_READINESS"}]}`)
	_, err = s.client(t).Webhooks.Update(t.Context(), kseries.Endpoint{ID: "x", URL: "https://example.com"})
	require.NoError(t, err)
	require.Contains(t, s.got()[1].body, `"subscribeTo":[]`)
}

func TestEndpointsRefuseWhatCannotBeRight(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{}`))
	client := s.client(t)
	for says, change := range map[string]func(*kseries.Endpoint){
		"ID is missing": func(e *kseries.Endpoint) { e.ID = "" }, "URL": func(e *kseries.Endpoint) { e.URL = "example.com" },
		"need each other": func(e *kseries.Endpoint) { e.Password = "" }, "Username": func(e *kseries.Endpoint) { e.Username = "" },
	} {
		e := endpoint()
		change(&e)
		_, err := client.Webhooks.Create(t.Context(), e)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorContains(t, err, says)
	}
	for _, id := range []string{"", "..", "."} {
		_, err := client.Webhooks.Get(t.Context(), id)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
	require.Empty(t, s.got())
	_, err := client.Webhooks.Get(t.Context(), "x")
	require.ErrorIs(t, err, tillroute.ErrDecode)
}

func TestEndpointErrors(t *testing.T) {
	s := newServer(t, answer(http.StatusNotFound, fixture(t, "webhook_endpoint_error_404.json")))
	_, err := s.client(t).Webhooks.Get(t.Context(), "MISSING-ENDPOINT")
	require.ErrorIs(t, err, tillroute.ErrNotFound)
	require.ErrorContains(t, err, "endpoint ID not found for MISSING-ENDPOINT")
	require.ErrorIs(t, s.client(t).Webhooks.Delete(t.Context(), "MISSING-ENDPOINT"), tillroute.ErrNotFound)

	s = newServer(t, answer(http.StatusBadRequest, strings.Replace(fixture(t, "webhook_endpoint_error_400.json"), "must not be null", "not "+webhookPassword.Reveal(), 1)))
	e := endpoint()
	e.Password = webhookPassword
	_, err = s.client(t).Webhooks.Create(t.Context(), e)
	require.ErrorContains(t, err, "endpointId not [redacted]")
}

func TestWhatIsGoneAfterALostAnswerWasDeleted(t *testing.T) {
	s := newServer(t, lost, answer(http.StatusNotFound, `{}`))
	require.NoError(t, s.client(t, persistent).Webhooks.Delete(t.Context(), "x"))
	s = newServer(t, lost, answer(http.StatusNotFound, `{}`))
	require.NoError(t, s.client(t, persistent).Webhooks.RemoveLocation(t.Context(), "x", 1))
	s = newServer(t, lost)
	_, err := s.client(t, persistent).Webhooks.Create(t.Context(), endpoint())
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Len(t, s.got(), 1, "what creating it twice does isn't known")
	s = newServer(t, lost, answer(http.StatusOK, fixture(t, "webhook_endpoint.json")))
	_, err = s.client(t, persistent).Webhooks.Update(t.Context(), endpoint())
	require.NoError(t, err)
}

func TestEndpointLocations(t *testing.T) {
	at := time.Date(2023, 11, 7, 19, 15, 5, 43e6, time.UTC)
	want := kseries.EndpointLocation{BusinessLocationID: location, CreatedAt: at, UpdatedAt: at}
	text := fixture(t, "webhook_endpoint_business_location.json")
	s := newServer(t, answer(http.StatusOK, text))
	got, err := s.client(t).Webhooks.AddLocation(t.Context(), "E1", location)
	require.NoError(t, err)
	same(t, want, withoutEmpty(got))
	s.only(t, http.MethodPut, "/o/wh/1/webhook/E1/business-locations/45454565682155", nil, "")

	s = newServer(t, answer(http.StatusOK, "["+text+"]"))
	list, err := s.client(t).Webhooks.Locations(t.Context(), "E1")
	require.NoError(t, err)
	require.Len(t, list, 1)
	same(t, want, withoutEmpty(list[0]))
	s.only(t, http.MethodGet, "/o/wh/1/webhook/E1/business-locations", nil, "")

	s = newServer(t, answer(http.StatusOK, ""))
	require.NoError(t, s.client(t).Webhooks.RemoveLocation(t.Context(), "E1", location))
	s.only(t, http.MethodDelete, "/o/wh/1/webhook/E1/business-locations/45454565682155", nil, "")
}

func withoutEmpty(l kseries.EndpointLocation) kseries.EndpointLocation {
	if len(l.Warnings) == 0 {
		l.Warnings = nil
	}
	return l
}
