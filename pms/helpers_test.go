package pms_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const apiKey = tillroute.Secret("fake-api-key-0001")

// hotel is a handler, what it posts and what it logs.
type hotel struct {
	http.Handler
	pmstest.Recorder

	log clienttest.Seen
}

func newHotel(tb testing.TB, store pairing.Deliveries, changes ...func(*pms.Config)) *hotel {
	tb.Helper()
	h := &hotel{}
	config := pms.Config{
		Backend: &h.Recorder, Keys: []pms.Key{{APIKey: apiKey}}, Deliveries: store,
		Logger: slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, change := range changes {
		change(&config)
	}
	var err error
	h.Handler, err = pms.NewHandler(config)
	require.NoError(tb, err)
	return h
}

func newStore() *memstore.Store { return memstore.New(memstore.Config{}) }

func (h *hotel) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (h *hotel) post(c *pmstest.Charge) *httptest.ResponseRecorder {
	return h.send(c.Request(context.Background(), "/pms"))
}

// told returns the message that the waiter reads.
func told(tb testing.TB, w *httptest.ResponseRecorder) string {
	tb.Helper()
	require.Equal(tb, "application/json", w.Header().Get("Content-Type"))
	text, ok := strings.CutPrefix(w.Body.String(), `{"customerErrorMessage":"`)
	require.True(tb, ok, w.Body.String())
	text, ok = strings.CutSuffix(text, `"}`)
	require.True(tb, ok, w.Body.String())
	require.LessOrEqual(tb, len([]rune(text)), pms.MaxMessage)
	require.NotEmpty(tb, text)
	return text
}

func fixture(tb testing.TB, name string) string {
	tb.Helper()
	return clienttest.Fixture(tb, name)
}

func number(text string) decimal.NullDecimal {
	return decimal.NullDecimal{Decimal: decimal.RequireFromString(text), Valid: true}
}

// faulty is a store whose methods can be replaced.
type faulty struct {
	*memstore.Store

	begin        func(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error)
	finish, fail func(ctx context.Context, d pairing.Delivery) error
}

func (f *faulty) BeginDelivery(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error) {
	if f.begin != nil {
		return f.begin(ctx, source, key, hash, lease)
	}
	return f.Store.BeginDelivery(ctx, source, key, hash, lease)
}

func (f *faulty) FinishDelivery(ctx context.Context, d pairing.Delivery, answer []byte) error {
	if f.finish != nil {
		if err := f.finish(ctx, d); err != nil {
			return err
		}
	}
	return f.Store.FinishDelivery(ctx, d, answer)
}

func (f *faulty) FailDelivery(ctx context.Context, d pairing.Delivery) error {
	if f.fail != nil {
		if err := f.fail(ctx, d); err != nil {
			return err
		}
	}
	return f.Store.FailDelivery(ctx, d)
}

func down() error { return pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is gone") }
