package pms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// The hosts of K-Series. A client of an application is of one of them and never works with the other.
const (
	ProductionURL = "https://api.lsk.lightspeed.app"
	TrialURL      = "https://api.trial.lsk.lightspeed.app"
)

// Scope is the OAuth scope that a [Client] needs.
const Scope = "propertymanagement"

// ClientConfig configures a [Client].
type ClientConfig struct {
	// Token returns an access token of K-Series with the scope [Scope]. Required. It is asked before each call, with the call's
	// context, and must be safe for concurrent use. If it returns an error no request is sent, and that is the call's error.
	Token func(context.Context) (tillroute.Secret, error)
	// BaseURL is the server, without /pms/v1. Defaults to [ProductionURL].
	BaseURL string
	// HTTP says how to talk HTTP.
	HTTP tillroute.HTTPOptions
}

// Client registers a hotel system with K-Series. It is safe for concurrent use. The zero value is not usable: its methods return
// an error.
type Client struct {
	// Providers are the hotel systems that were registered.
	Providers ProvidersService
	// RevenueCenters are the configurations of the point of sale.
	RevenueCenters RevenueCentersService
}

// core is what a client's services share.
type core struct {
	rest  *rest.Client
	token func(context.Context) (tillroute.Secret, error)
}

// NewClient checks the configuration and returns a client. It sends nothing. Its error names every field that is wrong.
func NewClient(config ClientConfig) (*Client, error) {
	const operation = "NewClient"
	if config.BaseURL == "" {
		config.BaseURL = ProductionURL
	}
	var problems []string
	if config.Token == nil {
		problems = append(problems, "Token is missing")
	}
	if _, err := rest.ParseBaseURL(config.BaseURL); err != nil {
		problems = append(problems, "BaseURL: "+err.Error())
	}
	if len(problems) > 0 {
		return nil, tillroute.Invalid(System, operation, "%s", strings.Join(problems, "; "))
	}
	c := &core{token: config.Token}
	var err error
	c.rest, err = rest.New(rest.Config{
		System: System, BaseURL: config.BaseURL, HTTP: config.HTTP, Authorize: authorize, Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	return &Client{ProvidersService{c}, RevenueCentersService{c}}, nil
}

// do makes a call and decodes its answer into out.
func (c *core) do(ctx context.Context, op rest.Operation, r rest.Request, out any, opts []tillroute.CallOption) error {
	if c == nil {
		return tillroute.Invalid(System, op.Name, "this client was not made by NewClient")
	}
	token, err := c.token(ctx)
	if err != nil {
		kind := tillroute.KindUnauthorized
		if e, ok := errors.AsType[*tillroute.Error](err); ok {
			kind = e.Kind
		}
		return &tillroute.Error{
			System: System, Operation: op.Name, Kind: kind, Outcome: tillroute.Failed, Message: "no request was sent for want of an access token", Err: err,
		}
	}
	r.Secrets = append(r.Secrets, token.Reveal())
	return c.rest.Do(context.WithValue(ctx, tokenKey{}, &token), &op, r, out, opts...)
}

type tokenKey struct{}

func authorize(r *http.Request, _ []byte) error {
	if token, ok := r.Context().Value(tokenKey{}).(*tillroute.Secret); ok {
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	return nil
}

// explain adds which fields were refused, and why. Their values may be secret.
func explain(e *tillroute.Error) {
	if e.Kind == tillroute.KindForbidden {
		rest.Advise(e, "the access token needs the scope "+Scope)
	}
	var body struct {
		Exceptions []struct {
			Field   wire.Text `json:"field"`
			Message wire.Text `json:"message"`
		} `json:"apiSubExceptions"`
	}
	if json.Unmarshal(e.Body, &body) != nil {
		return
	}
	for _, x := range body.Exceptions {
		e.Message += fmt.Sprintf("; %s: %s", x.Field, x.Message)
	}
}
