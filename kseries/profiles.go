package kseries

import (
	"context"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// ProfilesService reads order profiles, which the vendor also calls account profiles. It needs the scope orders-api.
type ProfilesService struct{ c *core }

// DeliveryMode says how an order is handed over. Values that are not named here are kept as they are.
type DeliveryMode string

// The documented values.
const (
	NoDelivery DeliveryMode = "NONE"
	TakeAway   DeliveryMode = "TAKE_AWAY"
	Delivery   DeliveryMode = "DELIVERY"
)

// Profile is a way to order, with prices of its own.
type Profile struct {
	ID int64
	// Code is what orders and menus name it by.
	Code         string
	Name         string
	DeliveryMode DeliveryMode
}

// List returns the active order profiles of a business location.
//
// API reference: GET /o/op/data/account-profiles, https://api-docs.lsk.lightspeed.app/operation/operation-apeaccountprofiles
func (s ProfilesService) List(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) ([]Profile, error) {
	var answer struct {
		Profiles list[Profile] `json:"accountProfileList"`
	}
	if err := s.c.located(ctx, profilesList, businessLocationID, rest.Request{}, &answer, opts); err != nil {
		return nil, err
	}
	if !answer.Profiles.there {
		return nil, noData(profilesList, "accountProfileList")
	}
	return answer.Profiles.items, nil
}

// Get returns the active order profile of that code, or an error of kind NotFound.
//
// API reference: GET /o/op/data/{businessLocationId}/account-profiles/tagcode/{code}, https://api-docs.lsk.lightspeed.app/operation/operation-apegetaccountprofile
func (s ProfilesService) Get(ctx context.Context, businessLocationID int64, code string, opts ...tillroute.CallOption) (Profile, error) {
	var answer Profile
	err := s.c.do(ctx, profilesGet, rest.Request{Args: []string{id(businessLocationID), code}}, &answer, opts)
	return answer, err
}

// UnmarshalJSON reads an order profile as the API sends it.
func (p *Profile) UnmarshalJSON(data []byte) error {
	var w struct {
		ID           wire.Int  `json:"id"`
		Code         wire.Text `json:"code"`
		Name         wire.Text `json:"name"`
		DeliveryMode wire.Text `json:"deliveryMode"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.Code == "" {
		return errNoID
	}
	*p = Profile{int64(w.ID), string(w.Code), string(w.Name), DeliveryMode(w.DeliveryMode)}
	return nil
}
