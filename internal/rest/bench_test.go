package rest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/benchtest"
	"github.com/tillroute/tillroute/internal/rest"
)

// BenchmarkAgainstNetHTTP measures both sides in turns within one run and reports the median ratio of their rates:
// ours over bare net/http with the same transport settings, and, over TLS, ours over net/http's default transport.
func BenchmarkAgainstNetHTTP(b *testing.B) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	body := json.RawMessage(`{"text":"` + strings.Repeat("x", 1000) + `"}`)
	op := rest.Operation{Name: "Payments.Create", Method: http.MethodPost, Path: "/payments", Repeat: rest.Never}

	ours := func(b *testing.B, server *httptest.Server) func() error {
		b.Helper()
		transport := rest.NewTransport()
		b.Cleanup(transport.CloseIdleConnections)
		if server.TLS != nil {
			transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
		}
		config := rest.Config{System: "demo", BaseURL: server.URL}
		config.HTTP.Transport = transport
		client, err := rest.New(config)
		require.NoError(b, err)
		return func() error {
			var got json.RawMessage
			return client.Do(b.Context(), &op, rest.Request{Body: body, ContentType: "application/json"}, &got)
		}
	}
	bare := func(b *testing.B, server *httptest.Server, transport *http.Transport) func() error {
		b.Helper()
		b.Cleanup(transport.CloseIdleConnections)
		if server.TLS != nil {
			transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
		}
		client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
		return func() error {
			request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/payments", bytes.NewReader(body))
			if err != nil {
				return err
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := client.Do(request)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			text, err := io.ReadAll(response.Body)
			if err != nil {
				return err
			}
			var got json.RawMessage
			return json.Unmarshal(text, &got)
		}
	}

	b.Run("plain/64 callers", func(b *testing.B) {
		server := httptest.NewServer(echo)
		b.Cleanup(server.Close)
		benchtest.Compare(b, 64, ours(b, server), bare(b, server, rest.NewTransport()))
	})
	b.Run("plain/1 caller", func(b *testing.B) {
		server := httptest.NewServer(echo)
		b.Cleanup(server.Close)
		benchtest.Compare(b, 1, ours(b, server), bare(b, server, rest.NewTransport()))
	})
	b.Run("TLS/64 callers against the default transport", func(b *testing.B) {
		server := httptest.NewTLSServer(echo)
		b.Cleanup(server.Close)
		benchtest.Compare(b, 64, ours(b, server), bare(b, server, http.DefaultTransport.(*http.Transport).Clone()))
	})
}
