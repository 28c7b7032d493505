// Package xseries is a client for Lightspeed Retail X-Series (formerly Vend): OAuth; registers, outlets, payment types,
// sales and webhooks over REST; a receiver of webhooks; and the messages of the Payments API, by which the sell screen asks a
// payment page in an iframe for money. [github.com/tillroute/tillroute/xseries/gateway] has that page, and those on which merchants
// pair terminals.
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
// it. When the consent is gone, errors match [ErrReconnect]; a grant that was refused is tried again after half a minute, and
// a new one at once. A grant that is deleted is used for half a minute more at most. A personal token ([Config].AccessToken)
// needs none of this.
//
// # Errors
//
// Every error is, or wraps, a [*tillroute.Error]. The vendor has no published form for errors; its text is in Message, and
// the answer as it came in Body. Kind Forbidden usually means that a scope is missing: the message names those needed. An ID
// that is empty is of kind Invalid, and nothing is sent.
//
// # Retries and idempotency
//
// Reads are repeated after lost answers, on 429 as the server asks (it names a date), and on errors that pass. So are updating
// and deleting a webhook. Exchanging a code, refreshing a token, opening and closing a register, and creating a webhook are
// not, once they may have arrived: the error then matches [tillroute.ErrOutcomeUnknown], and each says how to find out. The
// Payments API has no key that tells one attempt from another: see [Sale.PaymentByTransaction] for what became of one.
//
// # Pagination
//
// Pages are ordered by version, a number that grows with each change in the store. List gets a page and the cursor of the
// next; All walks them all. Changes walks what was changed or deleted since a version that was kept:
// [RegistersService.Changes] says when to keep it. The last page is the empty one.
//
// # Rate limits
//
// A store takes 300 requests for each register and 50 more in five minutes. [Client.RateLimit] says what is left, and what
// happens when nothing is.
//
// # Webhooks
//
// [NewWebhookHandler] returns the receiver, [VerifySignature] the check alone. Delivery isn't guaranteed: follow Changes too.
//
// # Money
//
// Amounts are decimals in units of the outlet's currency, read from strings and numbers alike and never through a
// floating-point number. A DATA message names no currency: it is that of the register's outlet.
//
// # Testing
//
// [github.com/tillroute/tillroute/xseries/xseriestest] is a simulated store with a sell screen and webhooks. Config.BaseURL takes the
// address of any other server, such as what examples/simulators serves, and [Origins] its sell screen's. HTTP.Transport takes a
// transport that answers without any server.
//
// The paths in the references are below Config.BaseURL; {version} is Config.APIVersion.
//
// API reference: https://x-series-api.lightspeedhq.com/
package xseries
