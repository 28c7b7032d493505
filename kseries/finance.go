package kseries

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// FinanceService reads from the vendor's Financial API what payments need. It needs the scope financial-api.
type FinanceService struct{ c *core }

// FinanceBusiness is a business with what its money is counted in.
type FinanceBusiness struct {
	ID   int64
	Name string
	// Currency is an ISO 4217 code.
	Currency  string
	Locations []FinanceLocation
}

// FinanceLocation is a business location with where it stands.
type FinanceLocation struct {
	ID   int64
	Name string
	// Country is an ISO 3166 code.
	Country string
	// TimeZone is a name of the IANA database, such as Europe/London.
	TimeZone string
}

// PaymentMethod is a way to pay that the merchant has set up.
type PaymentMethod struct {
	ID   int64
	Name string
	// Code is what [Payment] wants.
	Code string
	// AccountingReference is the merchant's. It may be empty.
	AccountingReference string
}

// mostBusinesses is how many businesses are sent at once.
const mostBusinesses = 1000

// Businesses returns the businesses that the access token is good for. page counts from 0; a page has 1000, and the last one
// fewer.
//
// API reference: GET /f/data/businesses, https://api-docs.lsk.lightspeed.app/operation/operation-financial-apigetbusinesses
func (s FinanceService) Businesses(ctx context.Context, page int, opts ...tillroute.CallOption) ([]FinanceBusiness, error) {
	if page < 0 {
		return nil, tillroute.Invalid(System, financeBusinesses.declare().Name, "page %d is below zero", page)
	}
	query := url.Values{"page": {strconv.Itoa(page)}, "size": {strconv.Itoa(mostBusinesses)}}
	var answer embedded[struct {
		List []FinanceBusiness `json:"businessList"`
	}]
	if err := s.c.do(ctx, financeBusinesses, rest.Request{Query: query}, &answer, opts); err != nil {
		return nil, err
	}
	return answer.content.List, answer.check(financeBusinesses)
}

// Currency returns the ISO 4217 code of what money is counted in at a business location, which checks don't say. It reads the list
// of businesses: keep the answer. Kind NotFound is a location that is in none of them.
//
// API reference: GET /f/data/businesses, https://api-docs.lsk.lightspeed.app/operation/operation-financial-apigetbusinesses
func (s FinanceService) Currency(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) (string, error) {
	for page := 0; ; page++ {
		list, err := s.Businesses(ctx, page, opts...)
		if err != nil {
			return "", err
		}
		for _, b := range list {
			for _, l := range b.Locations {
				if l.ID == businessLocationID && b.Currency != "" {
					return b.Currency, nil
				}
			}
		}
		if len(list) < mostBusinesses {
			return "", &tillroute.Error{
				System: System, Operation: "Finance.Currency", Kind: tillroute.KindNotFound, Outcome: tillroute.Failed,
				Message: fmt.Sprintf("no business that the access token is good for has the business location %d and a currency", businessLocationID),
			}
		}
	}
}

// PaymentMethods returns the payment methods of a business location.
//
// API reference: GET /f/finance/{businessLocationId}/paymentMethods, https://api-docs.lsk.lightspeed.app/operation/operation-financial-apigetpaymentmethods
func (s FinanceService) PaymentMethods(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) ([]PaymentMethod, error) {
	var answer embedded[struct {
		List []PaymentMethod `json:"paymentMethodList"`
	}]
	if err := s.c.do(ctx, financePaymentMethods, rest.Request{Args: path(businessLocationID)}, &answer, opts); err != nil {
		return nil, err
	}
	return answer.content.List, answer.check(financePaymentMethods)
}

// embedded is how the Financial API wraps lists. Its links are malformed at times, and are not followed.
type embedded[T any] struct {
	content T
	there   bool
}

// UnmarshalJSON implements [json.Unmarshaler].
func (e *embedded[T]) UnmarshalJSON(data []byte) error {
	var w struct {
		Embedded json.RawMessage `json:"_embedded"`
		Links    json.RawMessage `json:"_links"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	// This form leaves an empty list out.
	e.there = w.Embedded != nil || w.Links != nil
	if w.Embedded == nil {
		return nil
	}
	return json.Unmarshal(w.Embedded, &e.content)
}

func (e *embedded[T]) check(op operation) error {
	if !e.there {
		return noData(op, "list")
	}
	return nil
}

// UnmarshalJSON reads a business as the Financial API sends it.
func (b *FinanceBusiness) UnmarshalJSON(data []byte) error {
	var w struct {
		ID        wire.Int  `json:"businessId"`
		Name      wire.Text `json:"businessName"`
		Currency  wire.Text `json:"currencyCode"`
		Locations []struct {
			ID       wire.Int  `json:"blID"`
			Name     wire.Text `json:"blName"`
			Country  wire.Text `json:"country"`
			TimeZone wire.Text `json:"timezone"`
		} `json:"businessLocations"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.ID == 0 {
		return errNoID
	}
	*b = FinanceBusiness{ID: int64(w.ID), Name: string(w.Name), Currency: string(w.Currency)}
	for _, l := range w.Locations {
		b.Locations = append(b.Locations, FinanceLocation{int64(l.ID), string(l.Name), string(l.Country), string(l.TimeZone)})
	}
	return nil
}

// UnmarshalJSON reads a payment method as the Financial API sends it.
func (m *PaymentMethod) UnmarshalJSON(data []byte) error {
	var w struct {
		ID                  wire.Int  `json:"pmId"`
		Name                wire.Text `json:"name"`
		Code                wire.Text `json:"code"`
		AccountingReference wire.Text `json:"accountingReference"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.Code == "" {
		return errNoID
	}
	*m = PaymentMethod{int64(w.ID), string(w.Name), string(w.Code), string(w.AccountingReference)}
	return nil
}
