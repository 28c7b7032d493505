// Package kseries is a client for Lightspeed Restaurant K-Series: OAuth; Order & Pay, by which an app shows a check at the
// table and applies a payment to it; what of the Financial and Staff APIs that needs; and a receiver of notifications.
//
//	app := kseries.OAuth{ClientID: id, ClientSecret: secret, RedirectURL: callback, Scopes: []string{"orders-api", "offline_access"}}
//	client, err := kseries.New(kseries.Config{OAuth: app, Tokens: store, Account: "my-bistro"})
//	check, err := client.Checks.ByTable(ctx, location, 12)
//	due, ok := check.Due()
//	…
//	submitted, err := client.Payments.Apply(ctx, kseries.Payment{
//		BusinessLocationID: location, AccountIdentifier: check.AccountIdentifier, Reference: reference,
//		EndpointID: endpoint, Amount: due, TTL: 5 * time.Minute,
//	})
//
// # Payments
//
// Applying a payment moves no money: the customer has paid already, and the check is to say so. The vendor answers that it will
// try to tell a point of sale. [PaymentsService.Apply] returns a [Submission] and no result: a [Notification] says that the
// payment was applied, or why not, and the check proves it ([Check.Payment]). A point of sale that is offline, or whose app is
// in the background, takes nothing; then the time to live ends.
//
// A payment that failed is lost to the check and not to the customer, whose card was charged: keep it, and try again with a new
// reference or have a person look.
//
// [Payments] does all that: it takes payments for checks at the terminals that tables are paired with, applies what was approved,
// follows it until it is known what became of it, and keeps what a person has to see to. Its example shows the whole of it.
//
// # Authentication
//
// A merchant consents by OAuth: send them to [OAuth.AuthCodeURL], read where they come back with [OAuth.ParseCallback], turn
// the code into a grant with [OAuth.Exchange] and keep it in a [pairing.Tokens]. A client with OAuth and Tokens renews the
// access token before it ends and after it was refused; refresh tokens can be used once, and clients of one store of tokens take
// turns, in one process or many. When the consent is gone, errors match [ErrReconnect].
//
// # Errors
//
// Every error is, or wraps, a [*tillroute.Error]. The vendor writes errors in several forms; its text is in Message, and the
// answer as it came in Body. [ErrReferenceUsed] is a reference that was sent before. Kind Forbidden usually means that a scope
// is missing: the message names it.
//
// # Retries and idempotency
//
// Reads are repeated after lost answers and on errors that pass. So are payments and orders, with the same reference, which the
// vendor takes once: [Taken] says what that proved. So are updating and deleting an endpoint, and its locations. Exchanging a
// code, refreshing a token, creating an endpoint and printing a message are not, once they may have arrived: the error then
// matches [tillroute.ErrOutcomeUnknown].
//
// The vendor documents no limit on requests. 429 is heeded.
//
// # Notifications
//
// [NewNotificationHandler] returns the receiver, [ParseNotification] the decoder alone. The vendor proves itself by Basic
// authentication and signs nothing. Whether it posts again what was not answered isn't documented.
//
// # Money
//
// Amounts are decimals in units of the business's currency, read from strings and numbers alike, written as exact JSON numbers,
// and never through a floating-point number. Neither checks nor payments name a currency: [FinanceService.Businesses] does. The
// tip comes on top of the amount of a [Payment], and is in the total of an [OrderPayment].
//
// # Pagination
//
// The API's lists come whole, but for staff and the finance businesses: [StaffService.List] and [FinanceService.Businesses] get a
// page, [StaffService.All] walks all people. [Payments.Open] goes through the payments that somebody has to see to.
//
// # Testing
//
// [github.com/tillroute/tillroute/kseries/kseriestest] is a simulated restaurant with tables and a point of sale. [Config].BaseURL and
// [OAuth].TokenURL take the address of any other server. HTTP.Transport takes a transport that answers without any server.
//
// The paths in the references are below Config.BaseURL, those of [OAuth] on the host of its TokenURL.
//
// API reference: https://api-docs.lsk.lightspeed.app/
package kseries
