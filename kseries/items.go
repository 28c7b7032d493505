package kseries

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// ItemsService reads whether items can be had. It needs the scope orders-api.
type ItemsService struct{ c *core }

// mostSKUs is how many items can be asked for at once.
const mostSKUs = 50

// Availability is how much there is of the items that were asked for.
type Availability struct {
	// Stock has the items of which the vendor keeps count.
	Stock []Stock
	// Warnings are what the vendor says for people, such as that the app at the location is too old.
	Warnings []Warning
}

// Stock is how much there is of an item.
type Stock struct {
	SKU string
	// Count is nil if the vendor didn't say.
	Count *int64
	// UpdatedAt is in UTC.
	UpdatedAt time.Time
}

// Warning is something that the vendor has people know.
type Warning struct{ Type, Information string }

// Availability returns how much there is of items, of which 1 to 50 can be asked for at once.
//
// API reference: POST /o/op/1/itemAvailability, https://api-docs.lsk.lightspeed.app/operation/operation-apegetrestricteditemsbypost
func (s ItemsService) Availability(ctx context.Context, businessLocationID int64, skus []string, opts ...tillroute.CallOption) (Availability, error) {
	if len(skus) == 0 || len(skus) > mostSKUs {
		return Availability{}, tillroute.Invalid(System, itemsAvailability.declare().Name, "%d SKUs: between 1 and %d can be asked for at once", len(skus), mostSKUs)
	}
	body := struct {
		SKUs []string `json:"skus"`
	}{skus}
	// A page of that size has them all.
	query := url.Values{"size": {strconv.Itoa(mostSKUs)}}
	var answer struct {
		Data     list[Stock] `json:"data"`
		Metadata struct {
			Warnings []Warning `json:"warnings"`
		} `json:"metadata"`
	}
	if err := s.c.located(ctx, itemsAvailability, businessLocationID, rest.Request{JSON: body, Query: query}, &answer, opts); err != nil {
		return Availability{}, err
	}
	if !answer.Data.there {
		return Availability{}, noData(itemsAvailability, "data")
	}
	return Availability{answer.Data.items, answer.Metadata.Warnings}, nil
}

// UnmarshalJSON reads a stock as the API sends it, and as notifications do.
func (s *Stock) UnmarshalJSON(data []byte) error {
	var w struct {
		SKU            wire.Text `json:"sku"`
		Count          count     `json:"count"`
		UpdatedAt      wire.Time `json:"updatedAt"`
		CountUpdatedAt wire.Time `json:"countUpdatedAt"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	*s = Stock{string(w.SKU), w.Count.value, time.Time(w.UpdatedAt)}
	if s.UpdatedAt.IsZero() {
		s.UpdatedAt = time.Time(w.CountUpdatedAt)
	}
	return nil
}

// UnmarshalJSON reads a warning as the API sends it.
func (w *Warning) UnmarshalJSON(data []byte) error {
	var read struct {
		Type        wire.Text `json:"type"`
		Information wire.Text `json:"information"`
	}
	if err := object(data, &read); err != nil {
		return err
	}
	*w = Warning{string(read.Type), string(read.Information)}
	return nil
}
