package pms_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pms"
)

const token = tillroute.Secret("access-token-0001")

// kseries remembers what it was asked.
type kseries struct{ *clienttest.Server[string] }

func newKseries(t *testing.T, answers ...http.HandlerFunc) *kseries {
	t.Helper()
	return &kseries{clienttest.NewServer(t, func(r *http.Request, body string) string {
		return fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), body)
	}, answers...)}
}

func (s *kseries) got() []string { return s.Requests() }

func (s *kseries) client(t *testing.T, changes ...func(*pms.ClientConfig)) *pms.Client {
	t.Helper()
	config := pms.ClientConfig{
		Token: func(context.Context) (tillroute.Secret, error) { return token, nil }, BaseURL: s.URL,
		HTTP: tillroute.HTTPOptions{Transport: s.Client().Transport, Retries: -1},
	}
	for _, change := range changes {
		change(&config)
	}
	client, err := pms.NewClient(config)
	require.NoError(t, err)
	return client
}

func answer(status int, body string) http.HandlerFunc { return clienttest.Answer(status, body) }

// lost takes the request and gives no answer.
func lost(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func request() pms.ProviderRequest {
	return pms.ProviderRequest{
		Name: "My PMS Provider", Endpoint: "http://integration.com/pms/endpoint", APIKey: "fake-secret", Features: []pms.Feature{pms.Mirroring},
	}
}

func TestProviders(t *testing.T) {
	provider := fixture(t, "pms_provider_200.json")
	s := newKseries(t,
		answer(200, provider), answer(200, provider), answer(200, provider), answer(200, "["+provider+"]"), answer(200, "[]"), answer(200, "3012455645"))
	c := s.client(t)
	want := pms.Provider{
		ID: 3012455645, BusinessLocationID: 45454565682155, Name: "My PMS Provider", Endpoint: "http://integration.com/pms/endpoint",
		APIKey: "fake-secret", Features: []pms.Feature{"MIRRORING"},
	}
	got, err := c.Providers.Create(t.Context(), 45454565682155, request())
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = c.Providers.Get(t.Context(), want.ID)
	require.NoError(t, err)
	require.Equal(t, want, got)
	noFeatures := request()
	noFeatures.Features = nil
	got, err = c.Providers.Update(t.Context(), want.ID, noFeatures)
	require.NoError(t, err)
	require.Equal(t, want, got)
	list, err := c.Providers.List(t.Context(), 45454565682155)
	require.NoError(t, err)
	require.Equal(t, []pms.Provider{want}, list)
	list, err = c.Providers.List(t.Context(), 1)
	require.NoError(t, err)
	require.Empty(t, list)
	require.NoError(t, c.Providers.Delete(t.Context(), want.ID))

	var created bytes.Buffer
	require.NoError(t, json.Compact(&created, []byte(fixture(t, "pms_provider_create_request.json"))))
	require.Equal(t, []string{
		"POST /pms/v1/providers Bearer access-token-0001 " + created.String(),
		"GET /pms/v1/providers/3012455645 Bearer access-token-0001 ",
		`PUT /pms/v1/providers/3012455645 Bearer access-token-0001 {"name":"My PMS Provider","endpoint":"http://integration.com/pms/endpoint","apiKey":"fake-secret","features":[]}`,
		"GET /pms/v1/providers?businessLocationId=45454565682155 Bearer access-token-0001 ",
		"GET /pms/v1/providers?businessLocationId=1 Bearer access-token-0001 ",
		"DELETE /pms/v1/providers/3012455645 Bearer access-token-0001 ",
	}, s.got())
}

func TestRevenueCenters(t *testing.T) {
	s := newKseries(t, answer(200, fixture(t, "pms_revenue_centers_200.json")), answer(200, `{"id":"7","name":"Bar"}`), answer(200, "[]"), answer(200, `[{"name":"x"}]`), answer(200, "null"))
	c := s.client(t)
	for _, want := range [][]pms.RevenueCenter{{{ID: 343243933, Name: "Bar"}}, {{ID: 7, Name: "Bar"}}, {}} {
		list, err := c.RevenueCenters.List(t.Context(), 45454565682155)
		require.NoError(t, err)
		require.Equal(t, want, list)
	}
	_, err := c.RevenueCenters.List(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrDecode)
	require.Contains(t, s.got()[0], "GET /pms/v1/business-locations/45454565682155/revenue-centers ")
}

func TestProviderErrors(t *testing.T) {
	s := newKseries(t, answer(400, `{"status":"BAD_REQUEST","timestamp":"x","message":"Validation error","apiSubExceptions":[`+
		`{"field":"apiKey","rejectedValue":"fake-secret","message":"fake-secret is too short"},{"field":"name","rejectedValue":1,"message":"no"}]}`))
	_, err := s.client(t).Providers.Create(t.Context(), 1, request())
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.ErrorContains(t, err, "Validation error; apiKey: [redacted] is too short; name: no")
	require.NotContains(t, err.Error(), "fake-secret")

	_, err = newKseries(t, answer(403, `{}`)).client(t).Providers.Get(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	require.ErrorContains(t, err, "propertymanagement")

	for body, is := range map[string]error{"{}": tillroute.ErrDecode, "[": tillroute.ErrDecode, `{"id":"x"}`: tillroute.ErrDecode} {
		_, err = newKseries(t, answer(200, body)).client(t).Providers.Get(t.Context(), 1)
		require.ErrorIs(t, err, is, body)
	}
	_, err = newKseries(t, answer(200, "null")).client(t).Providers.List(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrDecode)
}

func TestCreateIsNotRepeated(t *testing.T) {
	s := newKseries(t, lost)
	c := s.client(t, func(c *pms.ClientConfig) { c.HTTP.Retries = 3 })
	_, err := c.Providers.Create(t.Context(), 1, request())
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Len(t, s.got(), 1)
}

func TestDeleteIsRepeatedAndGoneIsSuccess(t *testing.T) {
	s := newKseries(t, lost, answer(404, `{"message":"no such provider"}`))
	require.NoError(t, s.client(t, func(c *pms.ClientConfig) { c.HTTP.Retries = 1 }).Providers.Delete(t.Context(), 1))
	require.Len(t, s.got(), 2)
	s = newKseries(t, answer(404, `{"message":"no such provider"}`))
	require.ErrorIs(t, s.client(t).Providers.Delete(t.Context(), 1), tillroute.ErrNotFound)
}

func TestProviderRequestIsChecked(t *testing.T) {
	s := newKseries(t, answer(200, fixture(t, "pms_provider_200.json")))
	c := s.client(t)
	_, err := c.Providers.Create(t.Context(), 1, pms.ProviderRequest{})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, field := range []string{"Name", "Endpoint", "APIKey"} {
		require.ErrorContains(t, err, field+" is missing")
	}
	for name, change := range map[string]func(*pms.ProviderRequest){
		"Name has 256":     func(p *pms.ProviderRequest) { p.Name = strings.Repeat("é", 256) },
		"APIKey has 256":   func(p *pms.ProviderRequest) { p.APIKey = tillroute.Secret(strings.Repeat("k", 256)) },
		"Endpoint is not":  func(p *pms.ProviderRequest) { p.Endpoint = "hotel.example" },
		"slash at its end": func(p *pms.ProviderRequest) { p.Endpoint = "https://hotel.example/" },
		"without a query":  func(p *pms.ProviderRequest) { p.Endpoint = "https://hotel.example?x=y" },
		"twice":            func(p *pms.ProviderRequest) { p.Features = []pms.Feature{"A", "A"} },
		"an empty one":     func(p *pms.ProviderRequest) { p.Features = []pms.Feature{""} },
	} {
		r := request()
		change(&r)
		_, err := c.Providers.Update(t.Context(), 1, r)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "kkkk")
	}
	require.Empty(t, s.got())
	long := request()
	long.Name = strings.Repeat("é", 255)
	_, err = c.Providers.Update(t.Context(), 1, long)
	require.NoError(t, err)
}

func TestNewClientNamesEveryProblem(t *testing.T) {
	_, err := pms.NewClient(pms.ClientConfig{BaseURL: "nowhere"})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.ErrorContains(t, err, "Token")
	require.ErrorContains(t, err, "BaseURL")
	_, err = pms.NewClient(pms.ClientConfig{Token: func(context.Context) (tillroute.Secret, error) { return token, nil }, HTTP: tillroute.HTTPOptions{Timeout: -1}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	var zero pms.Client
	_, err = zero.Providers.Get(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = zero.RevenueCenters.List(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func TestNoTokenSendsNothing(t *testing.T) {
	s := newKseries(t, answer(200, "[]"))
	c := s.client(t, func(c *pms.ClientConfig) {
		c.Token = func(context.Context) (tillroute.Secret, error) { return "", errors.New("reconnect") }
	})
	_, err := c.Providers.Create(t.Context(), 1, request())
	require.ErrorContains(t, err, "no request was sent for want of an access token: reconnect")
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Empty(t, s.got())
}

func TestClientShowsNoSecret(t *testing.T) {
	var seen clienttest.Seen
	echo := func(w http.ResponseWriter, r *http.Request) {
		answer(400, `{"message":"`+r.Header.Get("Authorization")+` fake-secret"}`)(w, r)
	}
	for _, reply := range []http.HandlerFunc{echo, lost, answer(200, fixture(t, "pms_provider_200.json"))} {
		s := newKseries(t, reply)
		c := s.client(t, func(c *pms.ClientConfig) {
			c.HTTP.Logger = seen.Logger()
		})
		created, err := c.Providers.Create(t.Context(), 1, request())
		seen.Show(c, *c, c.Providers, created, err, request())
	}
	seen.Hides(t, "fake-secret", token.Reveal())
}

func TestClientsOfAProcessShareNoTokens(t *testing.T) {
	var mixed atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-"+r.URL.Query().Get("businessLocationId") {
			mixed.Add(1)
		}
		_, _ = io.WriteString(w, "[]")
	}))
	t.Cleanup(server.Close)
	var callers sync.WaitGroup
	for _, location := range []int64{1, 2} {
		client, err := pms.NewClient(pms.ClientConfig{
			BaseURL: server.URL, HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
			Token: func(context.Context) (tillroute.Secret, error) {
				return tillroute.Secret(fmt.Sprint("token-", location)), nil
			},
		})
		require.NoError(t, err)
		for range 100 {
			callers.Go(func() {
				_, err := client.Providers.List(t.Context(), location)
				assert.NoError(t, err)
			})
		}
	}
	callers.Wait()
	require.Zero(t, mixed.Load(), "requests with the token of another client")
}

// plainProvider reads a provider as encoding/json does.
func plainProvider(data []byte, p *pms.Provider) error {
	var w struct {
		ID                 wire.Int    `json:"id"`
		BusinessLocationID wire.Int    `json:"businessLocationId"`
		Name               wire.Text   `json:"name"`
		Endpoint           wire.Text   `json:"endpoint"`
		APIKey             wire.Text   `json:"apiKey"`
		Features           []wire.Text `json:"features"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == 0 {
		return errors.New("no id")
	}
	*p = pms.Provider{
		ID: int64(w.ID), BusinessLocationID: int64(w.BusinessLocationID), Name: string(w.Name), Endpoint: string(w.Endpoint),
		APIKey: tillroute.Secret(w.APIKey),
	}
	for _, f := range w.Features {
		p.Features = append(p.Features, pms.Feature(f))
	}
	return nil
}

// FuzzProvider compares how a provider is read with what encoding/json makes of it.
func FuzzProvider(f *testing.F) {
	for _, text := range []string{
		fixture(f, "pms_provider_200.json"), `{"ID":"7","businesslocationid":1.0,"name":null,"endpoint":5,"apiKey":true,"features":["a",null,["b"],1]}`,
		`{"id":1,"features":["a","b"],"features":["c"]}`, `{"id":1,"features":["a"],"features":null}`, `{"id":1,"features":"a"}`, `{"id":1,"features":{}}`,
		`{"features":5}`, `{"id":0}`, `{"id":1,"features":[]}`, `null`, `[]`, `5`, `{"id":1`, `{"id":1,"a\u0070iKey":"x"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want pms.Provider
		err := json.Unmarshal(text, &got)
		wantErr := plainProvider(text, &want)
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		require.Equal(t, want, got)
	})
}
