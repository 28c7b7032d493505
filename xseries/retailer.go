package xseries

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// RetailerService reads the retailer. It needs the scopes retailer:read and payment_types:read.
type RetailerService struct{ c *core }

// Get returns the merchant that the store belongs to.
//
// API reference: GET /api/{version}/retailer, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s RetailerService) Get(ctx context.Context, opts ...tillroute.CallOption) (Retailer, error) {
	return one[Retailer](ctx, s.c, retailerGet, rest.Request{}, opts)
}

// Retailer is a merchant with all their outlets. Fields that the server left out, or wrote in a way that can't be read, are
// zero.
type Retailer struct {
	ID   string
	Name string
	// DomainPrefix names the store, as in [Config].
	DomainPrefix string
	StoreURL     string
	// Country has two letters. Currency is an ISO 4217 code; an outlet may have another one.
	Country, Currency, CurrencySymbol string
	// TimeZone is a name of the IANA database. An outlet may have another one.
	TimeZone string
	// TaxExclusive says that prices are without tax.
	TaxExclusive bool
	// AccountStatus, AccountType and Culture are in the vendor's words, which aren't documented.
	AccountStatus, AccountType, Culture string
	// CreatedAt and ActivatedAt are in UTC. A zero ActivatedAt is that of a store to try things in.
	CreatedAt, ActivatedAt time.Time
	// Version grows with each change.
	Version int64
	// Raw is the retailer as it came, with the fields that aren't here.
	Raw json.RawMessage
}

// UnmarshalJSON reads a retailer as the API sends it.
func (r *Retailer) UnmarshalJSON(data []byte) error {
	var w struct {
		ID            wire.Text       `json:"id"`
		Name          wire.Text       `json:"name"`
		DomainPrefix  wire.Text       `json:"domain_prefix"`
		StoreURL      wire.Text       `json:"store_url"`
		Country       wire.Text       `json:"country"`
		Currency      json.RawMessage `json:"currency"`
		TimeZone      wire.Text       `json:"timezone"`
		TaxExclusive  wire.Bool       `json:"tax_exclusive"`
		AccountStatus wire.Text       `json:"account_status"`
		AccountType   wire.Text       `json:"account_type"`
		Culture       wire.Text       `json:"culture"`
		CreatedAt     wire.Time       `json:"created_at"`
		ActivatedAt   wire.Time       `json:"activated_at"`
		Version       wire.Int        `json:"version"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errNoID
	}
	var currency struct {
		Code   wire.Text `json:"code"`
		Symbol wire.Text `json:"symbol"`
	}
	_ = json.Unmarshal(w.Currency, &currency)
	*r = Retailer{
		ID:             string(w.ID),
		Name:           string(w.Name),
		DomainPrefix:   string(w.DomainPrefix),
		StoreURL:       string(w.StoreURL),
		Country:        string(w.Country),
		Currency:       string(currency.Code),
		CurrencySymbol: string(currency.Symbol),
		TimeZone:       string(w.TimeZone),
		TaxExclusive:   bool(w.TaxExclusive),
		AccountStatus:  string(w.AccountStatus),
		AccountType:    string(w.AccountType),
		Culture:        string(w.Culture),
		CreatedAt:      time.Time(w.CreatedAt),
		ActivatedAt:    time.Time(w.ActivatedAt),
		Version:        int64(w.Version),
		Raw:            bytes.Clone(data),
	}
	return nil
}
