package xseriestest

import (
	"context"

	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/xseries"
)

// Delivery is something that the store posted, or tried to, to a webhook. The program makes those with a client, and its handler
// runs in an [net/http/httptest.Server].
type Delivery struct {
	// Type and URL are the webhook's.
	Type xseries.WebhookType
	URL  string
	// Payload is what was changed, as JSON.
	Payload string
	// Done deliveries are not tried again. Delivered ones were answered 2xx.
	Done, Delivered bool
	// Attempts is how often it was tried, and Status what the program answered last, or 0.
	Attempts, Status int
}

// WaitDeliveries waits until n deliveries at least are done, and returns all in order. It returns an error when ctx ends.
func (s *Server) WaitDeliveries(ctx context.Context, n int) ([]Delivery, error) {
	all, err := s.server.XSeries.WaitDeliveries(ctx, n)
	var list []Delivery
	for _, d := range all {
		list = append(list, Delivery{
			Type: xseries.WebhookType(d.Type), URL: d.URL, Payload: d.Payload, Attempts: d.Attempts, Status: d.Status,
			Done: d.State != testserver.DeliveryPending, Delivered: d.State == testserver.DeliveryDelivered,
		})
	}
	return list, err
}

// DuplicateDeliveries makes each of the next n deliveries twice.
func (s *Server) DuplicateDeliveries(n int) { s.server.XSeries.DuplicateDeliveries(n) }

// LoseDeliveries loses the next n deliveries: the vendor guarantees none.
func (s *Server) LoseDeliveries(n int) { s.server.XSeries.LoseDeliveries(n) }

// HoldDeliveries holds deliveries back until [Server.ReleaseDeliveries].
func (s *Server) HoldDeliveries() { s.server.XSeries.HoldDeliveries() }

// ReleaseDeliveries makes the deliveries that were held back, in their order or the other way round.
func (s *Server) ReleaseDeliveries(reversed bool) { s.server.XSeries.ReleaseDeliveries(reversed) }
