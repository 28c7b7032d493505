package delivery_test

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tillroute/tillroute/internal/delivery"
	"github.com/tillroute/tillroute/internal/delivery/deliverytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReceiver(t *testing.T) {
	deliverytest.Run(t, deliverytest.System{
		Word: "letter", Posted: "key-0001", Handled: http.StatusAccepted, Timeout: 3 * time.Second,
		New: func(c deliverytest.Config) (http.Handler, error) {
			timeout := cmp.Or(c.Timeout, 3*time.Second)
			receiver := delivery.NewReceiver(delivery.ReceiverConfig{
				System: "demo", Source: cmp.Or(c.Source, "demo"), Word: "letter", Deliveries: c.Deliveries, Timeout: timeout, Logger: c.Logger,
			})
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := delivery.Detach(r.Context(), timeout)
				defer cancel()
				_, err := delivery.Body(w, r, 1<<20)
				if err == nil {
					err = receiver.Receive(ctx, delivery.Delivery{Keys: []string{"letter"}, Handle: c.Handle})
				}
				if err != nil {
					receiver.Complain(ctx, err)
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				w.WriteHeader(http.StatusAccepted)
			}), nil
		},
		Request: func(ctx context.Context) *http.Request {
			return httptest.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
		},
	})
}
