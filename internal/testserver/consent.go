package testserver

import (
	"maps"
	"net/http"
	"net/url"
)

// sendBack redirects somebody's browser from a page that asked for their consent to the application.
func (x *exchange) sendBack(redirect *url.URL, values url.Values) {
	target := *redirect
	query := target.Query()
	maps.Copy(query, values)
	target.RawQuery = query.Encode()
	x.header.Set("Location", target.String())
	x.empty(http.StatusFound)
}

// simConsent says what the merchant does with the next request for authorization.
func simConsent(merchant interface {
	RefuseNextAuthorization()
	GrantNextAuthorization(scopes ...string)
},
) simCall {
	return func(r *http.Request) (any, error) {
		var body struct {
			Refuse bool      `json:"refuse"`
			Grant  *[]string `json:"grant"`
		}
		if err := readBody(r, &body); err != nil {
			return nil, err
		}
		switch {
		case body.Refuse == (body.Grant != nil):
			return nil, refuse(http.StatusBadRequest, `give {"refuse": true} or {"grant": ["scope", …]}`)
		case body.Refuse:
			merchant.RefuseNextAuthorization()
		default:
			merchant.GrantNextAuthorization(*body.Grant...)
		}
		return nil, nil
	}
}
