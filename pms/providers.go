package pms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// ProvidersService registers hotel systems. A business location has at most one. It needs the scope propertymanagement.
type ProvidersService struct{ c *core }

// Feature is what a provider can do, or wants. Values that are not named here are kept as they are.
type Feature string

// The documented values.
const (
	// SearchByName has guests searched for. The vendor's guide says that it is required.
	SearchByName Feature = "SEARCH_BY_NAME"
	// Mirroring has every bill sent, also those without a payment to a room.
	Mirroring Feature = "MIRRORING"
	// PartialPayments and MultiPayments allow to pay a part of a bill to a room, and parts to several.
	PartialPayments Feature = "PARTIAL_PAYMENTS"
	MultiPayments   Feature = "MULTI_PAYMENTS"
	// ServiceCharges and EnrichedPayload have more fields sent.
	ServiceCharges  Feature = "SERVICE_CHARGE"
	EnrichedPayload Feature = "ENRICHED_PAYLOAD"
)

// ProviderRequest says what a provider should be. Name, Endpoint and APIKey are required, with up to 255 characters each.
type ProviderRequest struct {
	// Name is for people.
	Name string
	// Endpoint is the URL under which a handler ([NewHandler]) is reached, without /charge and /search, which Lightspeed appends.
	// Use https: the API key is sent to it.
	Endpoint string
	// APIKey is a secret of your own making, which Lightspeed will prove itself with: see [Key]. Make it long and random.
	APIKey tillroute.Secret
	// Features are what the hotel system can do, or wants; none twice. Empty is sent as an empty list.
	Features []Feature
}

// Provider is a hotel system that was registered.
type Provider struct {
	// ID names it in Get, Update and Delete.
	ID int64
	// BusinessLocationID is the restaurant that it is registered with.
	BusinessLocationID int64
	// The rest is as in [ProviderRequest]. APIKey comes back in clear.
	Name     string
	Endpoint string
	APIKey   tillroute.Secret
	Features []Feature
}

// List returns the providers of the business location that this application registered.
//
// API reference: GET /pms/v1/providers, https://api-docs.lsk.lightspeed.app/
func (s ProvidersService) List(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) ([]Provider, error) {
	op := rest.Operation{Name: "Providers.List", Method: http.MethodGet, Path: "/pms/v1/providers", Repeat: rest.Read}
	var list *[]Provider
	r := rest.Request{Query: url.Values{"businessLocationId": {strconv.FormatInt(businessLocationID, 10)}}}
	if err := s.c.do(ctx, op, r, &list, opts); err != nil {
		return nil, err
	}
	if list == nil {
		return nil, &tillroute.Error{System: System, Operation: op.Name, Kind: tillroute.KindDecode, Outcome: tillroute.Failed, Message: "the answer has no list"}
	}
	return *list, nil
}

// Get returns the provider of that ID, or an error of kind NotFound.
//
// API reference: GET /pms/v1/providers/{id}, https://api-docs.lsk.lightspeed.app/
func (s ProvidersService) Get(ctx context.Context, id int64, opts ...tillroute.CallOption) (Provider, error) {
	op := rest.Operation{Name: "Providers.Get", Method: http.MethodGet, Path: "/pms/v1/providers/{}", Repeat: rest.Read}
	return s.one(ctx, op, rest.Request{Args: []string{strconv.FormatInt(id, 10)}}, opts)
}

// Create registers a provider with the business location. It isn't repeated once it may have arrived: if the error matches
// [tillroute.ErrOutcomeUnknown], look with [ProvidersService.List].
//
// API reference: POST /pms/v1/providers, https://api-docs.lsk.lightspeed.app/
func (s ProvidersService) Create(ctx context.Context, businessLocationID int64, p ProviderRequest, opts ...tillroute.CallOption) (Provider, error) {
	op := rest.Operation{Name: "Providers.Create", Method: http.MethodPost, Path: "/pms/v1/providers"}
	body, err := p.body(op.Name)
	if err != nil {
		return Provider{}, err
	}
	body.BusinessLocationID = &businessLocationID
	return s.one(ctx, op, rest.Request{JSON: body, Secrets: []string{body.APIKey}}, opts)
}

// Update replaces the provider of that ID, or is an error of kind NotFound. Doing so twice is the same as once, so it is repeated.
// If the error matches [tillroute.ErrOutcomeUnknown], repeat it or look with [ProvidersService.Get]. Before a new APIKey is
// registered the handler should accept it beside the old one: see [Config].
//
// API reference: PUT /pms/v1/providers/{id}, https://api-docs.lsk.lightspeed.app/
func (s ProvidersService) Update(ctx context.Context, id int64, p ProviderRequest, opts ...tillroute.CallOption) (Provider, error) {
	op := rest.Operation{Name: "Providers.Update", Method: http.MethodPut, Path: "/pms/v1/providers/{}", Repeat: rest.Safe}
	body, err := p.body(op.Name)
	if err != nil {
		return Provider{}, err
	}
	return s.one(ctx, op, rest.Request{Args: []string{strconv.FormatInt(id, 10)}, JSON: body, Secrets: []string{body.APIKey}}, opts)
}

// Delete deletes the provider of that ID, or is an error of kind NotFound. It is repeated if the answer is lost; that the provider
// is gone by then is success. If the error matches [tillroute.ErrOutcomeUnknown], repeat it.
//
// API reference: DELETE /pms/v1/providers/{id}, https://api-docs.lsk.lightspeed.app/
func (s ProvidersService) Delete(ctx context.Context, id int64, opts ...tillroute.CallOption) error {
	op := rest.Operation{Name: "Providers.Delete", Method: http.MethodDelete, Path: "/pms/v1/providers/{}", Repeat: rest.Safe}
	err := s.c.do(ctx, op, rest.Request{Args: []string{strconv.FormatInt(id, 10)}}, nil, opts)
	if errors.Is(err, tillroute.ErrNotFound) && errors.Is(err, tillroute.ErrOutcomeUnknown) {
		return nil
	}
	return err
}

func (s ProvidersService) one(ctx context.Context, op rest.Operation, r rest.Request, opts []tillroute.CallOption) (Provider, error) {
	var p Provider
	err := s.c.do(ctx, op, r, &p, opts)
	return p, err
}

// maxText is the vendor's limit.
const maxText = 255

type providerBody struct {
	BusinessLocationID *int64    `json:"businessLocationId,omitempty"`
	Name               string    `json:"name"`
	Endpoint           string    `json:"endpoint"`
	APIKey             string    `json:"apiKey"`
	Features           []Feature `json:"features"`
}

// body checks the request, and returns what to send. Its error names every field that is wrong.
func (p ProviderRequest) body(operation string) (providerBody, error) {
	body := providerBody{Name: p.Name, Endpoint: p.Endpoint, APIKey: p.APIKey.Reveal(), Features: []Feature{}}
	var problems []string
	for _, field := range []struct{ name, text string }{{"Name", body.Name}, {"Endpoint", body.Endpoint}, {"APIKey", body.APIKey}} {
		switch n := utf8.RuneCountInString(field.text); {
		case n == 0:
			problems = append(problems, field.name+" is missing")
		case n > maxText:
			problems = append(problems, fmt.Sprintf("%s has %d characters, and may have %d", field.name, n, maxText))
		}
	}
	if p.Endpoint != "" {
		if u, err := rest.ParseBaseURL(p.Endpoint); err != nil || strings.HasSuffix(p.Endpoint, "/") || u.Host == "" {
			problems = append(problems, "Endpoint is not an absolute https URL without a query and without a slash at its end: /charge is appended")
		}
	}
	seen := map[Feature]bool{}
	for _, f := range p.Features {
		if f == "" || seen[f] {
			problems = append(problems, fmt.Sprintf("Features has an empty one, or %.70q twice", string(f)))
		}
		seen[f] = true
		body.Features = append(body.Features, f)
	}
	if len(problems) > 0 {
		return providerBody{}, tillroute.Invalid(System, operation, "%s", strings.Join(problems, "; "))
	}
	return body, nil
}

// errNoID is an item that nobody could refer to.
var errNoID = errors.New("an item has no id")

// UnmarshalJSON reads a provider as the API sends it.
func (p *Provider) UnmarshalJSON(data []byte) error {
	if err := wire.CheckObject[Provider](data, ""); err != nil {
		return err
	}
	var read Provider
	for m := wire.Members(data); m.Next(); {
		switch {
		case m.Is("id"):
			read.ID = m.Int()
		case m.Is("businessLocationId"):
			read.BusinessLocationID = m.Int()
		case m.Is("name"):
			read.Name = m.Text()
		case m.Is("endpoint"):
			read.Endpoint = m.Text()
		case m.Is("apiKey"):
			read.APIKey = tillroute.Secret(m.Text())
		case m.Is("features"):
			if err := wire.CheckList[[]Feature](m.Value, "features"); err != nil {
				return err
			}
			read.Features = nil
			for f := wire.Elements(m.Value); f.Next(); {
				read.Features = append(read.Features, Feature(f.Text()))
			}
		}
	}
	if read.ID == 0 {
		return errNoID
	}
	*p = read
	return nil
}

// RevenueCentersService reads the configurations of the point of sale. It needs the scope propertymanagement.
type RevenueCentersService struct{ c *core }

// RevenueCenter is a configuration of the point of sale: a bar, a terrace. Its ID is RevenueCenterID of a [Charge].
type RevenueCenter struct {
	ID   int64
	Name string
}

// List returns the revenue centers of the business location.
//
// API reference: GET /pms/v1/business-locations/{businessLocationId}/revenue-centers, https://api-docs.lsk.lightspeed.app/
func (s RevenueCentersService) List(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) ([]RevenueCenter, error) {
	op := rest.Operation{
		Name: "RevenueCenters.List", Method: http.MethodGet, Path: "/pms/v1/business-locations/{}/revenue-centers", Repeat: rest.Read,
	}
	var list revenueCenters
	err := s.c.do(ctx, op, rest.Request{Args: []string{strconv.FormatInt(businessLocationID, 10)}}, &list, opts)
	return list, err
}

// revenueCenters is a list, or one alone as in a copy of the vendor's reference.
type revenueCenters []RevenueCenter

// UnmarshalJSON implements [json.Unmarshaler].
func (l *revenueCenters) UnmarshalJSON(data []byte) error {
	type center struct {
		ID   wire.Int  `json:"id"`
		Name wire.Text `json:"name"`
	}
	var list []center
	if err := json.Unmarshal(data, &list); err != nil || list == nil {
		list = make([]center, 1)
		if err := json.Unmarshal(data, &list[0]); err != nil {
			return err
		}
	}
	*l = revenueCenters{}
	for _, c := range list {
		if c.ID == 0 {
			return errNoID
		}
		*l = append(*l, RevenueCenter{int64(c.ID), string(c.Name)})
	}
	return nil
}
