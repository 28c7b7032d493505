package xseries

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
)

// PaymentTypesService reads payment types. It needs the scope payment_types:read. The API can't change them: the merchant
// does, and puts the gateway's URL there. It has no way to get a single one either.
type PaymentTypesService struct{ c *core }

// List returns a page of payment types. Version 2.0 of the API documents no Deleted for them.
//
// API reference: GET /api/{version}/payment_types, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s PaymentTypesService) List(ctx context.Context, o ListOptions, opts ...tillroute.CallOption) (Page[PaymentType], error) {
	return list[PaymentType](ctx, s.c, paymentTypesList, o, opts)
}

// All returns all payment types from o.After on, as [RegistersService.All] does registers.
//
// API reference: GET /api/{version}/payment_types, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s PaymentTypesService) All(ctx context.Context, o ListOptions, opts ...tillroute.CallOption) iter.Seq2[PaymentType, error] {
	return all[PaymentType](ctx, s.c, paymentTypesList, o, opts)
}

// Changes returns the pages of payment types that were changed or deleted since the version after, as
// [RegistersService.Changes] does registers.
//
// API reference: GET /api/{version}/payment_types, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s PaymentTypesService) Changes(ctx context.Context, after int64, opts ...tillroute.CallOption) iter.Seq2[Page[PaymentType], error] {
	return pages[PaymentType](ctx, s.c, paymentTypesList, ListOptions{After: after, Deleted: true}, opts)
}

// PaymentType is a way to pay that a store has set up. Fields that the server left out, or wrote in a way that can't be read,
// are zero; version 2.0 sends few of them.
type PaymentType struct {
	ID   string
	Name string
	// TypeID is that of the kind of payment, such as credit cards. Several payment types of a store may share one.
	TypeID int64
	// GatewayURL is what the merchant entered as the payment page that the Pay button opens, or empty. The vendor's own
	// payment types have relative ones.
	GatewayURL string
	// PrintReceipts says that receipts of this payment type are printed.
	PrintReceipts bool
	// Config is the configuration as it came. Its form depends on the payment type.
	Config json.RawMessage
	// IsGateway says that the payment type is one with a gateway.
	IsGateway bool
	// Disabled and Internal payment types are not offered to cashiers.
	Disabled, Internal bool
	// OutletIDs are the outlets that it is restricted to, if there are any.
	OutletIDs         []string
	IsEditable        bool
	NameChangedByUser bool
	// Kind is what the vendor knows about payments of this TypeID.
	Kind PaymentKind
	// CreatedAt and DeletedAt are in UTC. A zero DeletedAt means that it isn't deleted.
	CreatedAt, DeletedAt time.Time
	// Version grows with each change.
	Version int64
}

// PaymentKind is a kind of payment that the vendor offers to all stores.
type PaymentKind struct {
	ID                    int64
	Name                  string
	Category, Subcategory string
	Internal              bool
	Platforms             []string
	// ConfigurationURL is where the payment type is configured, or empty.
	ConfigurationURL string
}

// UnmarshalJSON reads a payment type as the API sends it.
func (p *PaymentType) UnmarshalJSON(data []byte) error {
	var w struct {
		ID                wire.Text       `json:"id"`
		Name              wire.Text       `json:"name"`
		TypeID            wire.Int        `json:"type_id"`
		Config            json.RawMessage `json:"config"`
		Gateway           wire.Bool       `json:"gateway"`
		Disabled          wire.Bool       `json:"disabled"`
		Internal          wire.Bool       `json:"internal"`
		OutletIDs         json.RawMessage `json:"outlet_ids"`
		IsEditable        wire.Bool       `json:"is_editable"`
		NameChangedByUser wire.Bool       `json:"name_changed_by_user"`
		Kind              json.RawMessage `json:"payment_type"`
		CreatedAt         wire.Time       `json:"created_at"`
		DeletedAt         wire.Time       `json:"deleted_at"`
		Version           wire.Int        `json:"version"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errNoID
	}
	var config struct {
		URL   wire.Text `json:"url"`
		Print wire.Bool `json:"print"`
	}
	_ = json.Unmarshal(w.Config, &config)
	*p = PaymentType{
		ID:                string(w.ID),
		Name:              string(w.Name),
		TypeID:            int64(w.TypeID),
		GatewayURL:        string(config.URL),
		PrintReceipts:     bool(config.Print),
		Config:            notNull(w.Config),
		IsGateway:         bool(w.Gateway),
		Disabled:          bool(w.Disabled),
		Internal:          bool(w.Internal),
		OutletIDs:         texts(w.OutletIDs),
		IsEditable:        bool(w.IsEditable),
		NameChangedByUser: bool(w.NameChangedByUser),
		Kind:              paymentKind(w.Kind),
		CreatedAt:         time.Time(w.CreatedAt),
		DeletedAt:         time.Time(w.DeletedAt),
		Version:           int64(w.Version),
	}
	return nil
}

func paymentKind(data json.RawMessage) PaymentKind {
	var w struct {
		ID               wire.Int        `json:"id"`
		Name             wire.Text       `json:"name"`
		Category         wire.Text       `json:"category"`
		Subcategory      wire.Text       `json:"subcategory"`
		Internal         wire.Bool       `json:"internal"`
		Platforms        json.RawMessage `json:"platforms"`
		ConfigurationURL wire.Text       `json:"configuration_url"`
	}
	_ = json.Unmarshal(data, &w)
	return PaymentKind{
		ID: int64(w.ID), Name: string(w.Name), Category: string(w.Category), Subcategory: string(w.Subcategory),
		Internal: bool(w.Internal), Platforms: texts(w.Platforms), ConfigurationURL: string(w.ConfigurationURL),
	}
}

// texts reads a list of texts, and leaves it empty if it is anything else.
func texts(data json.RawMessage) []string {
	var list []wire.Text
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	var read []string
	for _, text := range list {
		read = append(read, string(text))
	}
	return read
}

// notNull returns a value as it came, and nil for null.
func notNull(data json.RawMessage) json.RawMessage {
	if string(data) == "null" {
		return nil
	}
	return data
}
