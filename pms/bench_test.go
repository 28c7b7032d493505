package pms_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/benchtest"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/pms"
)

// nowhere posts nothing.
type nowhere struct{ pms.Unimplemented }

func (nowhere) Charge(context.Context, pms.Charge) error { return nil }

// bare decodes the same JSON into the same struct, and answers. It is what a program without this package begins with.
func bare(w http.ResponseWriter, r *http.Request) {
	var c pms.Charge
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

// BenchmarkHandler compares the handler with a bare one, in turns within one run: the ratio is that of their requests a second,
// the median of all rounds. Every request is another charge.
func BenchmarkHandler(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) pairing.Deliveries{
		"memstore": func(*testing.B) pairing.Deliveries { return newStore() },
		"sqlitestore": func(b *testing.B) pairing.Deliveries {
			b.Helper()
			store, err := sqlitestore.Open(b.Context(), sqlitestore.Config{Path: filepath.Join(b.TempDir(), "bench.db")})
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, store.Close()) })
			return store
		},
	} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d callers", name, callers), func(b *testing.B) {
				handler, err := pms.NewHandler(pms.Config{Backend: nowhere{}, Keys: []pms.Key{{APIKey: "quickbooks-key-345"}}, Deliveries: open(b)})
				require.NoError(b, err)
				ours, theirs := httptest.NewServer(handler), httptest.NewServer(http.HandlerFunc(bare))
				b.Cleanup(ours.Close)
				b.Cleanup(theirs.Close)
				client := &http.Client{Transport: rest.NewTransport()}
				b.Cleanup(client.CloseIdleConnections)
				benchtest.Compare(b, callers, poster(b, client, ours.URL), poster(b, client, theirs.URL))
			})
		}
	}
}

// poster returns what posts a charge of its own each time.
func poster(b *testing.B, client *http.Client, url string) func() error {
	b.Helper()
	var compact bytes.Buffer
	require.NoError(b, json.Compact(&compact, []byte(fixture(b, "pms_charge_reference.json"))))
	before, after, ok := bytes.Cut(compact.Bytes(), []byte(`"fiscId":"A1234.5"`))
	require.True(b, ok)
	var last atomic.Int64
	return func() error {
		n := last.Add(1)
		body := slices.Concat(before, fmt.Appendf(nil, `"fiscId":"A1234.%d"`, n), after)
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/pms/charge", bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("X-Lightspeed-Idempotency-Key", fmt.Sprintf("LS1_123e4567-e89b-12d3-a456-%012d", n))
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", answer.StatusCode)
		}
		return nil
	}
}

// BenchmarkParse reads the vendor's example.
func BenchmarkParse(b *testing.B) {
	var compact bytes.Buffer
	require.NoError(b, json.Compact(&compact, []byte(fixture(b, "pms_charge_reference.json"))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pms.ParseCharge(compact.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}
