package kseries

import (
	"context"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// BusinessesService reads businesses. It needs the scope orders-api.
type BusinessesService struct{ c *core }

// Business is a merchant with its locations.
type Business struct {
	ID        int64
	Name      string
	Locations []BusinessLocation
}

// BusinessLocation is a restaurant, a bar, a shop.
type BusinessLocation struct {
	ID   int64
	Name string
}

// List returns the businesses and locations that the access token is good for. Their currency is in
// [FinanceService.Businesses].
//
// API reference: GET /o/op/data/businesses, https://api-docs.lsk.lightspeed.app/operation/operation-apelookupbusinesses
func (s BusinessesService) List(ctx context.Context, opts ...tillroute.CallOption) ([]Business, error) {
	var answer []Business
	err := s.c.do(ctx, businessesList, rest.Request{}, &answer, opts)
	return answer, err
}

// UnmarshalJSON reads a business as the API sends it.
func (b *Business) UnmarshalJSON(data []byte) error {
	var w struct {
		ID        wire.Int  `json:"id"`
		Name      wire.Text `json:"name"`
		Locations []struct {
			ID   wire.Int  `json:"id"`
			Name wire.Text `json:"name"`
		} `json:"businessLocations"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.ID == 0 {
		return errNoID
	}
	*b = Business{ID: int64(w.ID), Name: string(w.Name)}
	for _, l := range w.Locations {
		b.Locations = append(b.Locations, BusinessLocation{int64(l.ID), string(l.Name)})
	}
	return nil
}
