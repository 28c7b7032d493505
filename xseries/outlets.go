package xseries

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
)

// OutletsService reads outlets. It needs the scope outlets:read.
type OutletsService struct{ c *core }

// Get returns the outlet of that ID, or an error of kind NotFound.
//
// API reference: GET /api/{version}/outlets/{id}, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s OutletsService) Get(ctx context.Context, id string, opts ...tillroute.CallOption) (Outlet, error) {
	return get[Outlet](ctx, s.c, outletsGet, id, opts)
}

// List returns a page of outlets.
//
// API reference: GET /api/{version}/outlets, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s OutletsService) List(ctx context.Context, o ListOptions, opts ...tillroute.CallOption) (Page[Outlet], error) {
	return list[Outlet](ctx, s.c, outletsList, o, opts)
}

// All returns all outlets from o.After on, as [RegistersService.All] does registers.
//
// API reference: GET /api/{version}/outlets, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s OutletsService) All(ctx context.Context, o ListOptions, opts ...tillroute.CallOption) iter.Seq2[Outlet, error] {
	return all[Outlet](ctx, s.c, outletsList, o, opts)
}

// Changes returns the pages of outlets that were changed or deleted since the version after, as [RegistersService.Changes]
// does registers.
//
// API reference: GET /api/{version}/outlets, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s OutletsService) Changes(ctx context.Context, after int64, opts ...tillroute.CallOption) iter.Seq2[Page[Outlet], error] {
	return pages[Outlet](ctx, s.c, outletsList, ListOptions{After: after, Deleted: true}, opts)
}

// DisplayPrices says whether prices are shown with their tax. Values that are not named here are kept as they are.
type DisplayPrices string

// The documented values.
const (
	PricesInclusive DisplayPrices = "inclusive"
	PricesExclusive DisplayPrices = "exclusive"
)

// Outlet is a shop. Fields that the server left out, or wrote in a way that can't be read, are zero.
type Outlet struct {
	ID   string
	Name string
	// Currency is what its registers sell in, as ISO 4217 code.
	Currency, CurrencySymbol string
	// DisplayPrices says whether the prices that customers see are with tax.
	DisplayPrices DisplayPrices
	// TimeZone is a name of the IANA database, such as Pacific/Auckland, or empty.
	TimeZone string
	// DefaultTaxID is deprecated by the vendor.
	DefaultTaxID string

	Email, Phone        string
	Latitude, Longitude string

	PhysicalAddress1, PhysicalAddress2          string
	PhysicalSuburb, PhysicalCity, PhysicalState string
	PhysicalPostcode, PhysicalCountryID         string

	Attributes []Attribute
	// DeletedAt is in UTC. Zero means that the outlet isn't deleted.
	DeletedAt time.Time
	// Version grows with each change.
	Version int64
}

// Attribute is something that the vendor keeps with an outlet. What there is isn't documented.
type Attribute struct{ Key, Value string }

// UnmarshalJSON reads an outlet as the API sends it.
func (o *Outlet) UnmarshalJSON(data []byte) error {
	var w struct {
		ID                wire.Text       `json:"id"`
		Name              wire.Text       `json:"name"`
		Currency          wire.Text       `json:"currency"`
		CurrencySymbol    wire.Text       `json:"currency_symbol"`
		DisplayPrices     wire.Text       `json:"display_prices"`
		TimeZone          wire.Text       `json:"time_zone"`
		DefaultTaxID      wire.Text       `json:"default_tax_id"`
		Email             wire.Text       `json:"email"`
		Phone             wire.Text       `json:"phone"`
		Latitude          wire.Text       `json:"latitude"`
		Longitude         wire.Text       `json:"longitude"`
		PhysicalAddress1  wire.Text       `json:"physical_address_1"`
		PhysicalAddress2  wire.Text       `json:"physical_address_2"`
		PhysicalSuburb    wire.Text       `json:"physical_suburb"`
		PhysicalCity      wire.Text       `json:"physical_city"`
		PhysicalState     wire.Text       `json:"physical_state"`
		PhysicalPostcode  wire.Text       `json:"physical_postcode"`
		PhysicalCountryID wire.Text       `json:"physical_country_id"`
		Attributes        json.RawMessage `json:"attributes"`
		DeletedAt         wire.Time       `json:"deleted_at"`
		Version           wire.Int        `json:"version"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errNoID
	}
	*o = Outlet{
		ID:                string(w.ID),
		Name:              string(w.Name),
		Currency:          string(w.Currency),
		CurrencySymbol:    string(w.CurrencySymbol),
		DisplayPrices:     DisplayPrices(w.DisplayPrices),
		TimeZone:          string(w.TimeZone),
		DefaultTaxID:      string(w.DefaultTaxID),
		Email:             string(w.Email),
		Phone:             string(w.Phone),
		Latitude:          string(w.Latitude),
		Longitude:         string(w.Longitude),
		PhysicalAddress1:  string(w.PhysicalAddress1),
		PhysicalAddress2:  string(w.PhysicalAddress2),
		PhysicalSuburb:    string(w.PhysicalSuburb),
		PhysicalCity:      string(w.PhysicalCity),
		PhysicalState:     string(w.PhysicalState),
		PhysicalPostcode:  string(w.PhysicalPostcode),
		PhysicalCountryID: string(w.PhysicalCountryID),
		Attributes:        attributes(w.Attributes),
		DeletedAt:         time.Time(w.DeletedAt),
		Version:           int64(w.Version),
	}
	return nil
}

// attributes reads a list of attributes, and leaves it empty if it is anything else.
func attributes(data []byte) []Attribute {
	var list []struct {
		Key   wire.Text `json:"key"`
		Value wire.Text `json:"value"`
	}
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	var read []Attribute
	for _, a := range list {
		read = append(read, Attribute{string(a.Key), string(a.Value)})
	}
	return read
}
