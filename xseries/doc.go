// Package xseries is a client for Lightspeed Retail X-Series (formerly Vend): OAuth, registers and outlets over REST,
// and the messages of the Payments API, by which the sell screen asks a payment page in an iframe for money.
//
//	app := xseries.OAuth{ClientID: id, ClientSecret: secret, RedirectURL: callback, Scopes: []string{"registers:read"}}
//	client, err := xseries.New(xseries.Config{DomainPrefix: "acme", OAuth: app, Tokens: store})
//	for register, err := range client.Registers.All(ctx, xseries.ListOptions{}) {
//		…
//	}
//
// # Authentication
//
// A store consents by OAuth: send the merchant to [OAuth.AuthCodeURL], read where they come back with
// [OAuth.ParseCallback], turn the code into a grant with [OAuth.Exchange] and keep it in a [pairing.Tokens]. A client
// with OAuth and Tokens renews the access token before it ends and after it was refused. Refresh tokens can be used
// once: clients of one store of tokens, in one process or many, take turns, and write a new pair down before they use
// it. When the consent is gone, errors match [ErrReconnect].
//
// A personal token ([Config].AccessToken) needs none of this.
//
// # Errors
//
// Every error is, or wraps, a [*tillroute.Error]. The vendor has no published form for errors; its text is in Message.
// Kind Forbidden usually means that a scope is missing: the message names it.
//
// # Retries
//
// Reads are repeated after lost answers, on 429 as the server asks (it names a date), and on errors that pass. Exchanging
// a code and refreshing a token is not, once it may have arrived: both use up what they send.
//
// # Pagination
//
// Pages are ordered by version, a number that grows with each change in the store. List gets a page and the cursor of the
// next; All walks them all. A cursor that is kept is a change feed: ask again from there, with Deleted. The last page is
// the empty one.
//
// # Money
//
// Amounts are decimals in units of the outlet's currency, read from strings and numbers alike and never through a
// floating-point number. A DATA message names no currency: it is that of the register's outlet.
//
// API reference: https://x-series-api.lightspeedhq.com/
package xseries
