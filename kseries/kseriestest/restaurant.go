package kseriestest

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
)

// Product is something that the restaurant sells.
type Product struct {
	SKU, Name string
	// Price is with tax.
	Price decimal.Decimal
}

// Products returns what the restaurant sells.
func (s *Server) Products() []Product {
	var list []Product
	for _, p := range s.server.KSeries.Products() {
		list = append(list, Product{p.SKU, p.Name, p.Price})
	}
	return list
}

// Check is a check in the restaurant's books.
type Check struct {
	AccountIdentifier string
	// Table is the number of the table, or 0.
	Table int
	// Total is what was ordered, and Paid what was paid of it.
	Total, Paid decimal.Decimal
	// Closed checks are paid in full.
	Closed bool
}

// OpenCheck has a waiter open a check at a table, with one of each of the products that are named by their SKU. It is an error if there
// is no such table or product.
func (s *Server) OpenCheck(table int, skus ...string) (Check, error) {
	return check(s.server.KSeries.OpenCheck(table, skus...))
}

// AddItem has a waiter add so many of a product to an open check. It is an error if there is no such check or product.
func (s *Server) AddItem(accountIdentifier, sku string, quantity int) (Check, error) {
	return check(s.server.KSeries.AddItem(accountIdentifier, sku, quantity))
}

// PayAtPOS has a waiter take money at the point of sale itself, by the method of that code, such as CASH.
func (s *Server) PayAtPOS(accountIdentifier, method string, amount decimal.Decimal) (Check, error) {
	return check(s.server.KSeries.PayAtPOS(accountIdentifier, method, amount))
}

// Check returns the check of that identifier, and whether there is one.
func (s *Server) Check(accountIdentifier string) (Check, bool) {
	one, ok := s.server.KSeries.Check(accountIdentifier)
	c, _ := check(one, nil)
	return c, ok
}

func check(c testserver.KSeriesCheck, err error) (Check, error) {
	return Check{AccountIdentifier: c.Account, Table: c.Table, Total: c.Total, Paid: c.Paid, Closed: c.Closed}, err
}

// POS is the state of the point of sale.
type POS string

// The states. Only a point of sale that is Online takes payments and orders; one whose app is in the Background doesn't.
const (
	Online     POS = "online"
	Offline    POS = "offline"
	Background POS = "background"
)

// SetPOS says what state the point of sale is in.
func (s *Server) SetPOS(p POS) { s.server.KSeries.SetPOS(testserver.KSeriesPOS(p)) }

// FailNext has the point of sale fail the next n payments and orders that it gets, for that reason.
func (s *Server) FailNext(n int, why kseries.AccountError) {
	s.server.KSeries.FailNext(n, string(why), "")
}

// ExpireWaiting ends the time to live of all payments and orders that wait for the point of sale.
func (s *Server) ExpireWaiting() { s.server.KSeries.ExpireTasks() }

// Notification is something that the vendor posted, or tried to, to an endpoint. The program makes those with a client, and its handler
// runs in an [net/http/httptest.Server].
type Notification struct {
	Type      kseries.NotificationType
	Status    kseries.NotificationStatus
	Reference string
	// EndpointID is the endpoint that it was posted to, and Payload what was posted.
	EndpointID, Payload string
	// Done notifications are not posted again. Delivered ones were answered 2xx.
	Done, Delivered bool
	// Attempts is how often it was tried, and Answered what the program answered last, or 0.
	Attempts, Answered int
}

// WaitNotifications waits until n notifications at least are done, and returns all in order. It returns an error when ctx ends.
func (s *Server) WaitNotifications(ctx context.Context, n int) ([]Notification, error) {
	all, err := s.server.KSeries.WaitNotifications(ctx, n)
	var list []Notification
	for _, one := range all {
		list = append(list, Notification{
			Type: kseries.NotificationType(one.Type), Status: kseries.NotificationStatus(one.Status), Reference: one.Reference,
			EndpointID: one.Endpoint, Payload: one.Payload, Attempts: one.Attempts, Answered: one.Answered,
			Done: one.State != testserver.DeliveryPending, Delivered: one.State == testserver.DeliveryDelivered,
		})
	}
	return list, err
}

// DuplicateNotifications posts each of the next n notifications twice.
func (s *Server) DuplicateNotifications(n int) { s.server.KSeries.DuplicateNotifications(n) }

// LoseNotifications loses the next n notifications.
func (s *Server) LoseNotifications(n int) { s.server.KSeries.LoseNotifications(n) }

// HoldNotifications holds notifications back until [Server.ReleaseNotifications].
func (s *Server) HoldNotifications() { s.server.KSeries.HoldNotifications() }

// ReleaseNotifications posts the notifications that were held back, in their order or the other way round.
func (s *Server) ReleaseNotifications(reversed bool) { s.server.KSeries.ReleaseNotifications(reversed) }
