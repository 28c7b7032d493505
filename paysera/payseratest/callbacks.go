package payseratest

import (
	"context"

	"github.com/tillroute/tillroute/internal/testserver"
)

// Callback is something that the server called back with, or tried to.
type Callback struct {
	// Type is what happened, such as reserved.
	Type, TransactionKey, URL string
	// Done callbacks are not made again. Delivered ones were answered as they should be.
	Done, Delivered bool
	// Attempts is how often it was tried, and Status what the program answered last, or 0.
	Attempts, Status int
}

// SetCallbackURL says where changes of transactions are posted to that name no other place: the program's handler, in an
// [net/http/httptest.Server]. What the merchant's own client does is not called back.
func (s *Server) SetCallbackURL(url string) { s.server.Paysera.SetCallbackURI(url) }

// WaitCallbacks waits until n callbacks at least are done, and returns all in order. It returns an error when ctx ends.
func (s *Server) WaitCallbacks(ctx context.Context, n int) ([]Callback, error) {
	all, err := s.server.Paysera.WaitCallbacks(ctx, n)
	var list []Callback
	for _, c := range all {
		list = append(list, Callback{
			Type: c.Type, TransactionKey: c.TransactionKey, URL: c.URL, Attempts: c.Attempts, Status: c.Status,
			Done: c.State != testserver.DeliveryPending, Delivered: c.State == testserver.DeliveryDelivered,
		})
	}
	return list, err
}

// DuplicateCallbacks makes each of the next n callbacks twice.
func (s *Server) DuplicateCallbacks(n int) { s.server.Paysera.DuplicateCallbacks(n) }

// LoseCallbacks loses the next n callbacks.
func (s *Server) LoseCallbacks(n int) { s.server.Paysera.LoseCallbacks(n) }

// ForgeCallbacks signs the next n with a key that isn't the vendor's. Each is made again, with the right one.
func (s *Server) ForgeCallbacks(n int) { s.server.Paysera.ForgeCallbacks(n) }

// HoldCallbacks holds callbacks back until [Server.ReleaseCallbacks].
func (s *Server) HoldCallbacks() { s.server.Paysera.HoldCallbacks() }

// ReleaseCallbacks makes the callbacks that were held back, in their order or the other way round.
func (s *Server) ReleaseCallbacks(reversed bool) { s.server.Paysera.ReleaseCallbacks(reversed) }
