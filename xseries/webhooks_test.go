package xseries_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

func TestWebhooks(t *testing.T) {
	one := fixture(t, "webhook_create_response_201.synthetic.json")
	s := newServer(t, answer(http.StatusCreated, one), answer(http.StatusOK, one), answer(http.StatusOK, one), answer(http.StatusOK, ""),
		answer(http.StatusOK, `{"data":[{"id":"w1","type":"new.type","active":1}]}`))
	hooks := s.client(t).Webhooks
	request := xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://example.com/hooks/xseries", Active: true}
	want := xseries.Webhook{
		ID: "0af7b240-ab83-11e7-eddc-7311972c4cab", RetailerID: "b1c50056-f019-11e3-a0f5-b8ca3a64f8f4", Type: xseries.ProductUpdate,
		URL: "https://example.com/hooks/xseries", Active: true,
	}
	hook, err := hooks.Create(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, want, hook)
	hook, err = hooks.Get(t.Context(), "w1")
	require.NoError(t, err)
	require.Equal(t, want, hook)
	request.Active = false
	hook, err = hooks.Update(t.Context(), "w1", request)
	require.NoError(t, err)
	require.Equal(t, want, hook)
	require.NoError(t, hooks.Delete(t.Context(), "w1"))
	list, err := hooks.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []xseries.Webhook{{ID: "w1", Type: "new.type", Active: true}}, list)

	got := s.got()
	for i, want := range [][2]string{
		{"POST", "/base/api/2026-07/webhooks"},
		{"GET", "/base/api/2026-07/webhooks/w1"},
		{"PUT", "/base/api/2026-07/webhooks/w1"},
		{"DELETE", "/base/api/2026-07/webhooks/w1"},
		{"GET", "/base/api/2026-07/webhooks"},
	} {
		require.Equal(t, want, [2]string{got[i].method, got[i].path})
	}
	require.JSONEq(t, fixture(t, "webhook_create_request.json"), got[0].body)
	require.Equal(t, "application/json", got[0].header.Get("Content-Type"))
	require.JSONEq(t, `{"active":false,"type":"sale.update","url":"https://example.com/hooks/xseries"}`, got[2].body)
}

func TestWebhookOfTheOldAPI(t *testing.T) {
	var hook xseries.Webhook
	require.NoError(t, json.Unmarshal([]byte(fixture(t, "webhook_legacy09_object.json")), &hook))
	require.Equal(t, "bc305bf6-6183-11e4-f15a-190c6647efc2", hook.UserID)
	require.Equal(t, "https://12345678.ngrok.io", hook.URL)
}

func TestWebhookErrors(t *testing.T) {
	request := xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://example.com/"}
	s := newServer(t, answer(http.StatusConflict, fixture(t, "webhook_conflict_409.json")))
	_, err := s.client(t).Webhooks.Create(t.Context(), request)
	require.ErrorIs(t, err, tillroute.ErrConflict)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "A webhook with this type and URL already exists.")

	for name, bad := range map[string]xseries.WebhookRequest{
		"no type": {URL: "https://example.com/"}, "no URL": {Type: xseries.SaleUpdate}, "relative": {Type: xseries.SaleUpdate, URL: "/hooks"},
		"ftp": {Type: xseries.SaleUpdate, URL: "ftp://example.com/"},
	} {
		_, err := s.client(t).Webhooks.Create(t.Context(), bad)
		require.ErrorIs(t, err, tillroute.ErrInvalid, name)
		_, err = s.client(t).Webhooks.Update(t.Context(), "w1", bad)
		require.ErrorIs(t, err, tillroute.ErrInvalid, name)
	}
	require.Len(t, s.got(), 1)

	retrying := func(c *xseries.Config) { c.HTTP.Retries = 1 }
	s = newServer(t, lost)
	_, err = s.client(t, retrying).Webhooks.Create(t.Context(), request)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Len(t, s.got(), 1, "its own webhook would be a conflict")
	_, err = s.client(t, retrying).Webhooks.Update(t.Context(), "w1", request)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Len(t, s.got(), 3, "updating is repeated")

	for name, reply := range map[string]http.HandlerFunc{"no data": answer(http.StatusOK, `{}`), "html": answer(http.StatusOK, "<html>")} {
		s = newServer(t, reply)
		_, err = s.client(t).Webhooks.List(t.Context())
		require.ErrorIs(t, err, tillroute.ErrDecode, name)
	}
}

func TestDeletingAWebhook(t *testing.T) {
	gone := answer(http.StatusNotFound, `{"error":"webhook not found"}`)
	s := newServer(t, gone)
	err := s.client(t).Webhooks.Delete(t.Context(), "w1")
	require.ErrorIs(t, err, tillroute.ErrNotFound, "it was never there")

	s = newServer(t, lost, gone)
	err = s.client(t, func(c *xseries.Config) { c.HTTP.Retries = 1 }).Webhooks.Delete(t.Context(), "w1")
	require.NoError(t, err, "the first attempt deleted it")
	require.Len(t, s.got(), 2)

	s = newServer(t, lost)
	require.ErrorIs(t, s.client(t).Webhooks.Delete(t.Context(), "w1"), tillroute.ErrOutcomeUnknown)
}
