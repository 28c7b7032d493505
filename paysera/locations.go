package paysera

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// LocationsService reads locations.
type LocationsService struct{ c *core }

// Location is where a merchant's spots are. Fields that the server left out, or wrote in a way that can't be read, are zero.
type Location struct {
	// ID is the one in the codes of its spots, and ProjectID the merchant's.
	ID, ProjectID               int64
	Title, Description, Address string
	// Lat and Lng are in degrees, and Radius is in metres.
	Lat, Lng decimal.Decimal
	Radius   int64
	// Status is active, inactive, or another.
	Status string
	// UpdatedAt is in UTC.
	UpdatedAt time.Time
	// Hours are when it is open, by the English name of the day in small letters.
	Hours map[string]Hours
	// Spots are those of the location, where the server says so.
	Spots []Spot
	// Raw is all of it, as it came: what can be paid there, its prices and its images, too.
	Raw json.RawMessage
}

// Hours are when a location opens and closes, as "15:04" in the location's own time.
type Hours struct{ Opening, Closing string }

// UnmarshalJSON reads a location as the API sends it.
func (l *Location) UnmarshalJSON(data []byte) error {
	var w struct {
		ID          wire.Int        `json:"id"`
		ProjectID   wire.Int        `json:"project_id"`
		Title       wire.Text       `json:"title"`
		Description wire.Text       `json:"description"`
		Address     wire.Text       `json:"address"`
		Lat         wire.Decimal    `json:"lat"`
		Lng         wire.Decimal    `json:"lng"`
		Radius      wire.Int        `json:"radius"`
		Status      wire.Text       `json:"status"`
		UpdatedAt   unixTime        `json:"updated_at"`
		Hours       json.RawMessage `json:"working_hours"`
		Spots       json.RawMessage `json:"spots"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID <= 0 {
		return errNoID
	}
	*l = Location{
		ID: int64(w.ID), ProjectID: int64(w.ProjectID), Title: string(w.Title), Description: string(w.Description), Address: string(w.Address),
		Lat: decimal.Decimal(w.Lat), Lng: decimal.Decimal(w.Lng), Radius: int64(w.Radius), Status: string(w.Status),
		UpdatedAt: w.UpdatedAt.time(), Raw: append(json.RawMessage(nil), data...),
	}
	var hours map[string]object[struct {
		Opening wire.Text `json:"opening_time"`
		Closing wire.Text `json:"closing_time"`
	}]
	_ = json.Unmarshal(w.Hours, &hours) // An empty map comes as a list.
	for day, h := range hours {
		if h.value == nil {
			continue
		}
		if l.Hours == nil {
			l.Hours = map[string]Hours{}
		}
		l.Hours[day] = Hours{string(h.value.Opening), string(h.value.Closing)}
	}
	_ = json.Unmarshal(w.Spots, &l.Spots) // What a spot is here isn't documented.
	return nil
}

// LocationFilter says which locations to list. The zero value lists all that are active, as far as the vendor documents it.
type LocationFilter struct {
	// Lat and Lng are in degrees, and Distance is how many metres around to look: 500 if it is 0. They go together.
	Lat, Lng decimal.Decimal
	Distance int64
	// UpdatedAfter leaves out what was changed before, to the second.
	UpdatedAfter time.Time
	// Statuses are active, inactive, or both.
	Statuses []string
	// Services are those that the location has to offer, such as pay and cash_in.
	Services []string
	// Locale is the language for texts, such as "lt".
	Locale string
}

func (f LocationFilter) query() url.Values {
	q := url.Values{}
	if f.Distance != 0 || !f.Lat.IsZero() || !f.Lng.IsZero() {
		q.Set("lat", f.Lat.String())
		q.Set("lng", f.Lng.String())
	}
	if f.Distance != 0 {
		q.Set("distance", formatID(f.Distance))
	}
	if !f.UpdatedAfter.IsZero() {
		q.Set("updated_after", formatID(f.UpdatedAfter.Unix()))
	}
	for name, values := range map[string][]string{"status": f.Statuses, "service": f.Services} {
		if len(values) > 0 {
			q.Set(name, strings.Join(values, ","))
		}
	}
	if f.Locale != "" {
		q.Set("locale", f.Locale)
	}
	return q
}

// List returns a page of locations, whoever they belong to.
//
// API reference: GET /rest/v1/locations, https://developers.paysera.com/api/wallet/get-locations
func (s LocationsService) List(ctx context.Context, f LocationFilter, o ListOptions, opts ...tillroute.CallOption) (Page[Location], error) {
	return listPage[Location](ctx, s.c, locationsList, "locations", f.query(), o, opts)
}

// All returns the locations page by page as they are needed. An error comes once, with a zero Location, and ends the walk.
//
// API reference: GET /rest/v1/locations, https://developers.paysera.com/api/wallet/get-locations
func (s LocationsService) All(ctx context.Context, f LocationFilter, o ListOptions, opts ...tillroute.CallOption) iter.Seq2[Location, error] {
	return all[Location](ctx, s.c, locationsList, "locations", f.query(), o, opts)
}

// Own returns the locations of the project that the client acts for: see [Parameters].
//
// API reference: GET /rest/v1/client/locations, https://github.com/paysera/lib-wallet-php-client
func (s LocationsService) Own(ctx context.Context, opts ...tillroute.CallOption) ([]Location, error) {
	return getLocations(ctx, s.c, locationsOwn, rest.Request{}, opts)
}

// OfProject returns the locations of a project.
//
// API reference: GET /rest/v1/project/{id}/locations, https://developers.paysera.com/guides/wallet/projects/locations
func (s LocationsService) OfProject(ctx context.Context, projectID int64, opts ...tillroute.CallOption) ([]Location, error) {
	return getLocations(ctx, s.c, locationsOfProject, rest.Request{Args: args(projectID)}, opts)
}

// getLocations makes a call that is answered with a bare list, or one in an object as other lists are.
func getLocations(ctx context.Context, c *core, op operation, r rest.Request, opts []tillroute.CallOption) ([]Location, error) {
	var answer json.RawMessage
	if err := c.do(ctx, op, r, &answer, opts); err != nil {
		return nil, err
	}
	var wrapped struct {
		Locations json.RawMessage `json:"locations"`
	}
	var locations []Location
	if json.Unmarshal(answer, &wrapped) == nil {
		answer = wrapped.Locations
	}
	if err := json.Unmarshal(answer, &locations); err != nil {
		return nil, notUnderstood(op.declare(), "the answer is no list of locations: "+err.Error())
	}
	return locations, nil
}

// PayCategory is a kind of place where people pay. ParentID is that of the kind which it belongs to, or 0.
type PayCategory struct {
	ID, ParentID int64
	Title        string
}

// Categories returns the kinds of places where people pay, with titles in the language of that locale, such as "lt", or the
// server's own if it is empty.
//
// API reference: GET /rest/v1/locations/pay-categories, https://developers.paysera.com/guides/wallet/projects/locations
func (s LocationsService) Categories(ctx context.Context, locale string, opts ...tillroute.CallOption) ([]PayCategory, error) {
	var query url.Values
	if locale != "" {
		query = url.Values{"locale": {locale}}
	}
	var answer list[struct {
		ID       wire.Int  `json:"id"`
		ParentID wire.Int  `json:"parent_id"`
		Title    wire.Text `json:"title"`
	}]
	if err := s.c.do(ctx, locationsCategories, rest.Request{Query: query}, &answer, opts); err != nil {
		return nil, err
	}
	var categories []PayCategory
	for _, c := range answer {
		categories = append(categories, PayCategory{int64(c.ID), int64(c.ParentID), string(c.Title)})
	}
	return categories, nil
}
