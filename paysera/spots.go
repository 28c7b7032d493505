package paysera

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// SpotsService reads spots, lets guests in and out, and closes spots.
type SpotsService struct{ c *core }

// SpotStatus says whether somebody is at a spot. The vendor may know more than the ones that are named here.
type SpotStatus string

// The documented statuses.
const (
	// SpotClosed spots are free.
	SpotClosed SpotStatus = "closed"
	// SpotWaiting spots have a guest, and no order yet.
	SpotWaiting SpotStatus = "waiting"
	// SpotOpen spots have a guest, and had an order. A list in the vendor's documentation calls it opened, its examples
	// and applications open; whichever comes, this is it.
	SpotOpen SpotStatus = "open"
)

// Spot is a place where guests check in and pay.
type Spot struct {
	// ID is the vendor's.
	ID     int64
	Status SpotStatus
	// Identifier names the spot within its location, as in its QR code. It may be sent to the merchant alone, and is empty
	// otherwise.
	Identifier string
	Place      Place
	// Orders are those of the guests that are there now. Who sees them isn't documented beyond doubt: a client that is
	// checked in does.
	Orders []Order
}

// Place says where a spot is. Its texts may be empty.
type Place struct {
	Title, Description, Address string
	// LogoURL is that of the location's logo, or empty.
	LogoURL string
	// LocationID is 0 if the server didn't say.
	LocationID int64
}

// Register returns the name under which the routing core knows the spot, so that it can be paired with a terminal and paid
// there. It is false for a spot that was sent without its identifier or its location.
func (s Spot) Register() (pairing.Register, bool) {
	if s.Identifier == "" || s.Place.LocationID == 0 {
		return pairing.Register{}, false
	}
	return RegisterKey(s.Place.LocationID, s.Identifier), true
}

// UnmarshalJSON reads a spot as the API sends it.
func (s *Spot) UnmarshalJSON(data []byte) error {
	var w struct {
		ID         wire.Int    `json:"id"`
		Status     wire.Text   `json:"status"`
		Identifier wire.Text   `json:"identifier"`
		Orders     list[Order] `json:"orders"`
		Place      object[struct {
			Title       wire.Text `json:"title"`
			Description wire.Text `json:"description"`
			Address     wire.Text `json:"address"`
			LogoURL     wire.Text `json:"logo_uri"`
			LocationID  wire.Int  `json:"location_id"`
		}] `json:"place_info"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID <= 0 {
		return errNoID
	}
	*s = Spot{ID: int64(w.ID), Status: SpotStatus(w.Status), Identifier: string(w.Identifier), Orders: w.Orders}
	if s.Status == "opened" {
		s.Status = SpotOpen
	}
	if p := w.Place.value; p != nil {
		s.Place = Place{
			Title: string(p.Title), Description: string(p.Description), Address: string(p.Address), LogoURL: string(p.LogoURL),
			LocationID: int64(p.LocationID),
		}
	}
	return nil
}

// ByCode returns the spot of a code: usually all that was read from a QR code. A code of a location with an identifier that was
// never seen makes a spot.
//
// API reference: GET /rest/v1/spot, https://developers.paysera.com/en/wallet/app/pos
func (s SpotsService) ByCode(ctx context.Context, code string, opts ...tillroute.CallOption) (Spot, error) {
	if code == "" {
		return Spot{}, tillroute.Invalid(System, spotsByCode.declare().Name, "the code is missing")
	}
	return get[Spot](ctx, s.c, spotsByCode, rest.Request{Query: url.Values{"code": {code}}}, opts)
}

// Get returns the spot, or an error of kind NotFound. It takes [WithFields].
//
// API reference: GET /rest/v1/spot/{id}, https://developers.paysera.com/en/wallet/app/pos
func (s SpotsService) Get(ctx context.Context, id int64, opts ...tillroute.CallOption) (Spot, error) {
	return get[Spot](ctx, s.c, spotsGet, rest.Request{Args: args(id)}, opts)
}

// CheckIn checks the user in, and out of the spot where they were before. A closed spot becomes waiting. It is for users, and
// takes [WithFields]. Doing so twice is the same as once: if the error matches [tillroute.ErrOutcomeUnknown], repeat it.
//
// API reference: PUT /rest/v1/spot/{id}/check-in, https://developers.paysera.com/en/wallet/app/pos
func (s SpotsService) CheckIn(ctx context.Context, id int64, opts ...tillroute.CallOption) (Spot, error) {
	return get[Spot](ctx, s.c, spotsCheckIn, rest.Request{Args: args(id)}, opts)
}

// CheckOut checks the user out. The spot is closed when nobody else is there. It is for users. If the error matches
// [tillroute.ErrOutcomeUnknown], repeat it.
//
// API reference: PUT /rest/v1/spot/{id}/check-out, https://developers.paysera.com/en/wallet/app/pos
func (s SpotsService) CheckOut(ctx context.Context, id int64, opts ...tillroute.CallOption) (Spot, error) {
	return get[Spot](ctx, s.c, spotsCheckOut, rest.Request{Args: args(id)}, opts)
}

// List returns a page of the merchant's spots that have the status, or of all if it is empty. It is for merchants.
// The server takes 60 requests a minute, and 1000 an hour: don't list more often than every 5 seconds.
//
// API reference: GET /rest/v1/spots, https://developers.paysera.com/en/wallet/app/pos
func (s SpotsService) List(ctx context.Context, status SpotStatus, o ListOptions, opts ...tillroute.CallOption) (Page[Spot], error) {
	return listPage[Spot](ctx, s.c, spotsList, "spots", spotsQuery(status), o, opts)
}

// All returns the merchant's spots that have the status, or all if it is empty, page by page as they are needed. An error comes
// once, with a zero Spot, and ends the walk. It is for merchants.
//
// API reference: GET /rest/v1/spots, https://developers.paysera.com/en/wallet/app/pos
func (s SpotsService) All(ctx context.Context, status SpotStatus, o ListOptions, opts ...tillroute.CallOption) iter.Seq2[Spot, error] {
	return all[Spot](ctx, s.c, spotsList, "spots", spotsQuery(status), o, opts)
}

func spotsQuery(status SpotStatus) url.Values {
	if status == "" {
		return nil
	}
	return url.Values{"status": {string(status)}}
}

// Close closes the spot and its pending orders. Guests have to check in again. It is for merchants. If the error matches
// [tillroute.ErrOutcomeUnknown], get the spot before closing it again: other guests may have come.
//
// API reference: PUT /rest/v1/spot/{id}/close, https://developers.paysera.com/en/wallet/app/pos
func (s SpotsService) Close(ctx context.Context, id int64, opts ...tillroute.CallOption) (Spot, error) {
	return get[Spot](ctx, s.c, spotsClose, rest.Request{Args: args(id)}, opts)
}
