package testserver

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// xseriesState is what a state file holds of X-Series. Outlets and payment types never change.
type xseriesState struct {
	ClientID      string              `json:"client_id"`
	ClientSecret  string              `json:"client_secret"`
	PersonalToken string              `json:"personal_token"`
	OAuth         savedOAuth          `json:"oauth"`
	Registers     []savedRegister     `json:"registers"`
	Sales         []savedSale         `json:"sales"`
	Version       int64               `json:"version"`
	Gateway       string              `json:"gateway"`
	Limits        map[string]savedUse `json:"limits"`
	TokenUse      savedUse            `json:"token_use"`
	Modals        []savedModal        `json:"modals"`
	Deliveries    []savedDelivery     `json:"deliveries"`
	Sending       sendingState        `json:"sending"`
	Webhooks      []savedWebhook      `json:"webhooks"`
}

type savedOAuth struct {
	Codes   map[string]savedCode    `json:"codes"`
	Access  map[string]savedAccess  `json:"access"`
	Refresh map[string]savedRefresh `json:"refresh"`
	Refuse  bool                    `json:"refuse"`
	Grant   *string                 `json:"grant"`
}

type savedCode struct {
	RedirectURI string    `json:"redirect_uri"`
	Scope       string    `json:"scope"`
	Expires     time.Time `json:"expires"`
}

type savedAccess struct {
	Scope   string    `json:"scope"`
	Expires time.Time `json:"expires"`
}

type savedRefresh struct {
	Scope  string `json:"scope"`
	Access string `json:"access"`
}

type savedRegister struct {
	xRegister

	Closures int `json:"closures"`
}

type savedUse struct {
	Start time.Time `json:"start"`
	Used  int       `json:"used"`
}

type savedSale struct {
	ID            string          `json:"id"`
	RegisterID    string          `json:"register_id"`
	OutletID      string          `json:"outlet_id"`
	Lines         []savedLine     `json:"lines"`
	CustomerID    string          `json:"customer_id"`
	Discount      json.RawMessage `json:"discount,omitempty"`
	Total         decimal.Decimal `json:"total"`
	InvoiceNumber string          `json:"invoice_number"`
	ShortCode     string          `json:"short_code"`
	Created       time.Time       `json:"created"`
	Updated       time.Time       `json:"updated"`
	Version       int64           `json:"version"`
	Payments      []SalePayment   `json:"payments"`
}

type savedLine struct {
	Line

	ID        string `json:"id"`
	ProductID string `json:"product_id"`
}

type savedModal struct {
	ID       string          `json:"id"`
	Sale     string          `json:"sale"`
	Amount   decimal.Decimal `json:"amount"`
	Origin   string          `json:"origin"`
	Closable bool            `json:"closable"`
	Ended    string          `json:"ended"`
	Messages []string        `json:"messages"`
}

type savedWebhook struct {
	webhook

	Application string `json:"application"`
}

type savedDelivery struct {
	Delivery

	Due time.Time `json:"due"`
}

// state is what the file holds. Called with the lock held.
func (s *XSeries) state() xseriesState {
	state := xseriesState{
		ClientID: s.opts.ClientID, ClientSecret: s.opts.ClientSecret, PersonalToken: s.opts.PersonalToken,
		OAuth:   s.oauth.saved(),
		Version: s.shop.version, Gateway: s.gateway,
		Sending: s.sending, Limits: map[string]savedUse{}, TokenUse: savedUse{Start: s.tokenUse.start, Used: s.tokenUse.used},
	}
	for name, w := range s.limits {
		state.Limits[name] = savedUse{Start: w.start, Used: w.used}
	}
	for _, r := range s.shop.registers {
		state.Registers = append(state.Registers, savedRegister{xRegister: *r, Closures: r.closures})
	}
	for _, one := range s.shop.sales {
		saved := savedSale{
			ID: one.id, RegisterID: one.registerID, OutletID: one.outletID, CustomerID: one.customerID, Discount: one.discount,
			Total: one.total, InvoiceNumber: one.invoiceNumber, ShortCode: one.shortCode,
			Created: one.created, Updated: one.updated, Version: one.version, Payments: one.payments,
		}
		for _, l := range one.lines {
			saved.Lines = append(saved.Lines, savedLine{Line: l.Line, ID: l.id, ProductID: l.productID})
		}
		state.Sales = append(state.Sales, saved)
	}
	for _, m := range s.modals {
		state.Modals = append(state.Modals, savedModal{
			ID: m.id, Sale: m.sale.id, Amount: m.amount, Origin: m.origin, Closable: m.closable, Ended: m.ended, Messages: m.messages,
		})
	}
	for _, d := range s.deliveries {
		state.Deliveries = append(state.Deliveries, savedDelivery{Delivery: d.Delivery, Due: d.due})
	}
	for _, h := range s.webhooks {
		state.Webhooks = append(state.Webhooks, savedWebhook{webhook: *h, Application: h.application})
	}
	return state
}

func (o *oauthState) saved() savedOAuth {
	saved := savedOAuth{
		Codes: map[string]savedCode{}, Access: map[string]savedAccess{}, Refresh: map[string]savedRefresh{},
		Refuse: o.refuse, Grant: o.grant,
	}
	for code, c := range o.codes {
		saved.Codes[code] = savedCode{RedirectURI: c.redirectURI, Scope: c.scope, Expires: c.expires}
	}
	for token, a := range o.access {
		saved.Access[token] = savedAccess{Scope: a.scope, Expires: a.expires}
	}
	for token, r := range o.refresh {
		saved.Refresh[token] = savedRefresh{Scope: r.scope, Access: r.access}
	}
	return saved
}

// restore makes the authorization server's memory of what a file holds.
func (o savedOAuth) restore() oauthState {
	state := newOAuthState()
	state.refuse, state.grant = o.Refuse, o.Grant
	for code, c := range o.Codes {
		state.codes[code] = &authCode{redirectURI: c.RedirectURI, scope: c.Scope, expires: c.Expires}
	}
	for token, a := range o.Access {
		state.access[token] = &accessGrant{scope: a.Scope, expires: a.Expires}
	}
	for token, r := range o.Refresh {
		state.refresh[token] = &refreshGrant{scope: r.Scope, access: r.Access}
	}
	return state
}

// restore puts the store into the state that a file holds. Credentials and the gateway that were given in the options
// stay.
func (s *XSeries) restore(state xseriesState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seed()
	s.opts.ClientID = orDefault(s.given.ClientID, state.ClientID)
	s.opts.ClientSecret = orDefault(s.given.ClientSecret, state.ClientSecret)
	s.opts.PersonalToken = orDefault(s.given.PersonalToken, state.PersonalToken)
	s.oauth = state.OAuth.restore()
	s.shop.version, s.gateway = state.Version, orDefault(s.given.GatewayURL, state.Gateway)
	s.tokenUse = window{start: state.TokenUse.Start, used: state.TokenUse.Used}
	for name, use := range state.Limits {
		s.limits[name] = &window{start: use.Start, used: use.Used}
	}
	s.shop.registers = nil
	for i := range state.Registers {
		r := state.Registers[i].xRegister
		r.closures = state.Registers[i].Closures
		s.shop.registers = append(s.shop.registers, &r)
	}
	for i := range state.Sales {
		saved := &state.Sales[i]
		one := &sale{
			id: saved.ID, registerID: saved.RegisterID, outletID: saved.OutletID, customerID: saved.CustomerID, discount: saved.Discount,
			total: saved.Total, invoiceNumber: saved.InvoiceNumber, shortCode: saved.ShortCode,
			created: saved.Created, updated: saved.Updated, version: saved.Version, payments: saved.Payments,
		}
		for _, l := range saved.Lines {
			one.lines = append(one.lines, saleLine{Line: l.Line, id: l.ID, productID: l.ProductID})
		}
		s.shop.sales = append(s.shop.sales, one)
	}
	for _, saved := range state.Modals {
		one := s.shop.sale(saved.Sale)
		if one == nil {
			return fmt.Errorf("it is damaged: a modal belongs to the sale %q, which is not there", saved.Sale)
		}
		s.modals = append(s.modals, &Modal{
			shop: s, id: saved.ID, sale: one, amount: saved.Amount, origin: saved.Origin, closable: saved.Closable,
			ended: saved.Ended, messages: saved.Messages,
		})
	}
	s.sending = state.Sending
	for i := range state.Deliveries {
		saved := &state.Deliveries[i]
		s.deliveries = append(s.deliveries, &delivery{Delivery: saved.Delivery, due: saved.Due})
	}
	for _, saved := range state.Webhooks {
		h := saved.webhook
		h.application = saved.Application
		s.webhooks = append(s.webhooks, &h)
	}
	return nil
}
