package xseries

import (
	"net/url"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

const (
	storeHosts  = ".retail.lightspeed.app"
	legacyHosts = ".vendhq.com"
)

// Origins says which sell screens a payment page talks to. The zero value allows https://*.retail.lightspeed.app.
type Origins struct {
	// Legacy also allows https://*.vendhq.com, where stores were until 2025.
	Legacy bool
	// Also allows these, exactly as they are written: for tests and simulators.
	Also []string
}

// Allowed reports whether a sell screen may have that origin. An origin is a scheme and a host, and a port if it isn't the
// usual one, without a slash at the end: https://acme.retail.lightspeed.app.
func (o Origins) Allowed(origin string) bool {
	if origin == "" {
		return false
	}
	return slices.Contains(o.Also, origin) || storeOf(origin, storeHosts) != "" || (o.Legacy && storeOf(origin, legacyHosts) != "")
}

// storeOf returns the domain prefix of a store's origin under one of the vendor's domains, or "".
func storeOf(origin, hosts string) string {
	host, https := strings.CutPrefix(origin, "https://")
	prefix, ok := strings.CutSuffix(host, hosts)
	if !https || !ok || !validPrefix(prefix) {
		return ""
	}
	return prefix
}

// Query is what the sell screen adds to the URL of a payment page. Nothing in it is signed: anybody can open the page with
// any of it. Charge what the [Data] message says.
type Query struct {
	// Kind and Amount are what the page says is to be paid. Amount is above zero.
	Kind   pairing.Kind
	Amount decimal.Decimal
	// Origin is where to post messages to, and what the origin of those that come must equal.
	Origin string
	// RegisterID is the register, or empty: it isn't always sent.
	RegisterID string
}

// ParseQuery reads the query of a payment page's URL. An amount that is missing, zero or no number, an origin that isn't
// allowed, and anything that is there twice, are errors of kind Invalid.
func ParseQuery(query url.Values, origins Origins) (Query, error) {
	const operation = "ParseQuery"
	var q Query
	amount := ""
	for name, value := range map[string]*string{"amount": &amount, "origin": &q.Origin, "register_id": &q.RegisterID} {
		var err error
		if *value, _, err = single(query, name); err != nil {
			return Query{}, tillroute.Invalid(System, operation, "%s", err)
		}
	}
	if !origins.Allowed(q.Origin) {
		return Query{}, tillroute.Invalid(System, operation, "the origin %.100q is not that of a store", q.Origin)
	}
	var err error
	if q.Kind, q.Amount, err = readAmount(operation, "amount", amount); err != nil {
		return Query{}, err
	}
	return q, nil
}

// DomainPrefix returns the domain prefix of the store that the origin belongs to, or "" for an origin that was allowed by
// name.
func (q Query) DomainPrefix() string {
	if prefix := storeOf(q.Origin, storeHosts); prefix != "" {
		return prefix
	}
	return storeOf(q.Origin, legacyHosts)
}
