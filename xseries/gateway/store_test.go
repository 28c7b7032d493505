package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
)

// vendor answers by path.
type vendor struct {
	mu      sync.Mutex
	answers map[string]string
	asked   []string
	hang    bool
}

// set changes what is answered about the register.
func (v *vendor) set(body string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers["registers/r"] = body
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	v.asked = append(v.asked, path)
	body, ok := v.answers[path]
	hang := v.hang
	v.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status := http.StatusOK
	switch {
	case !ok:
		status, body = http.StatusNotFound, `{"error":"not found"}`
	case body == "":
		return nil, errors.New("no route to host")
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// vended returns a store of that vendor.
func vended(t *testing.T, v *vendor) *store {
	t.Helper()
	tokens := memstore.New(memstore.Config{})
	_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: xseries.System, Account: "acme", AccessToken: "token"}, 0)
	require.NoError(t, err)
	config := Config{
		Tokens: tokens, OAuth: xseries.OAuth{ClientID: "id", ClientSecret: "secret", RedirectURL: "https://x.example.com/callback"},
		HTTP: tillroute.HTTPOptions{Transport: v, Retries: -1},
	}
	h := &Handler{config: config, stores: map[string]*store{}}
	s, err := h.store("acme")
	require.NoError(t, err)
	again, err := h.store("acme")
	require.NoError(t, err)
	require.Same(t, s, again)
	return s
}

func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{answers: map[string]string{
			"registers/r": `{"data":{"id":"r","name":"Main","outlet_id":"o"}}`,
			"outlets/o":   `{"data":{"id":"o","name":"Shop","currency":"NZD"}}`,
		}}
		s := vended(t, v)
		get := func() register {
			t.Helper()
			r, err := s.register(t.Context(), "r")
			require.NoError(t, err)
			return r
		}
		require.Equal(t, "Shop – Main", get().label())
		require.Equal(t, "NZD", get().Currency)
		require.Equal(t, []string{"registers/r", "outlets/o"}, v.asked, "it is asked for once")

		v.set(`{"data":{"id":"r","name":"Other","outlet_id":"o"}}`)
		time.Sleep(registerTTL - time.Second)
		require.Equal(t, "Main", get().Name)
		time.Sleep(time.Second)
		require.Equal(t, "Other", get().Name)

		time.Sleep(registerTTL)
		v.set("")
		require.Equal(t, "Other", get().Name, "the vendor can't be reached")
		v.hang = true
		begun := time.Now()
		require.Equal(t, "Other", get().Name)
		require.LessOrEqual(t, time.Since(begun), registerTime)
		v.hang = false

		for name, body := range map[string]string{
			"deleted": `{"data":{"id":"r","name":"Main","outlet_id":"o","deleted_at":"2026-01-01T00:00:00Z"}}`,
			"another": `{"data":{"id":"q","name":"Main","outlet_id":"o"}}`,
		} {
			v.set(body)
			_, err := s.register(t.Context(), "r")
			require.ErrorIs(t, err, tillroute.ErrNotFound, name)
		}
		v.set("")
		_, err := s.register(t.Context(), "r")
		require.Error(t, err, "what is gone isn't remembered")
		require.NotErrorIs(t, err, tillroute.ErrNotFound)
	})
}

func TestLabels(t *testing.T) {
	list := []register{{ID: "2", Name: "Main", Outlet: "B"}, {ID: "3"}, {ID: "1", Name: "Main", Outlet: "B"}, {ID: "4", Name: "Main", Outlet: "A"}}
	sortByLabel(list)
	var labels []string
	for _, r := range list {
		labels = append(labels, r.ID+": "+r.label())
	}
	require.Equal(t, []string{"4: A – Main", "1: B – Main", "2: B – Main", "3: Register 3"}, labels)
}
