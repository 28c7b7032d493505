// Package paysera is a client for the Paysera Wallet API, as far as a point of sale needs it: spots where guests check in with
// their phones, the orders that are put before them, and the transactions that pay these; and a [Merchant], which does a
// merchant's side of all that for a till.
//
//	client, err := paysera.New(paysera.Config{ClientID: id, ClientSecret: secret})
//	merchant, err := paysera.NewMerchant(paysera.MerchantConfig{Client: client, Till: till})
//	err = merchant.Run(ctx)
//
// A spot is a register of [github.com/tillroute/tillroute/pairing] ([Spot.Register]), so that it can be paired with a terminal
// and paid there instead, once [Merchant.Withdraw] has said that it can't be paid by phone any more.
//
// # Authentication
//
// Each request is signed with a MAC over what goes out, byte by byte, with a timestamp and a nonce of its own: also a repeated one.
// A merchant's client signs with its ID and secret, or has a TLS certificate instead. A user's client signs with the access token
// of a grant, and the key that came with it: send the user to [OAuth.AuthCodeURL], read where they come back with
// [OAuth.ParseCallback], turn the code into a grant with [OAuth.Exchange] and keep it in a [pairing.Tokens]. The client renews the
// grant when it has ended; clients of one store of tokens, in one process or many, take turns, and write a new one down
// before they use it. When the consent is gone, errors match [ErrReconnect].
//
// [Parameters] say in whose name a client acts, for all calls or, by [Client.With], for some. A clock that is wrong is put right
// by the server's when it is complained of, once for a call. [Signer] signs requests of your own.
//
// # Errors
//
// Every error is, or wraps, a [*tillroute.Error], whose Code is the vendor's: [ErrorCodeNotEnoughFunds], for one. [DetailsOf] returns
// what else the vendor said. Of note: kind Conflict for a transaction or a spot in another state than is needed. The header
// Paysera-Correlation-Id of an answer, which the vendor may ask for, is in [tillroute.WithResponse].
//
// # Retries and idempotency
//
// Reads are repeated after lost answers, on 429, and on errors that pass. So are check-in, check-out, closing a spot, removing an
// order, giving it another transaction that was made before, revoking, and taking back a payment or that somebody was asked to
// pay. What makes something, or moves money, is sent once: the API has no key that tells a repetition from a second request. If
// the last answer was lost, the error matches [tillroute.ErrOutcomeUnknown], and each method says what to do. A repetition may be
// refused because an earlier attempt has done it: such an error, of kind Conflict or NotFound, matches
// [tillroute.ErrOutcomeUnknown], too. A transaction can be paid once, whatever happens to the orders that have its key: make it
// first, write its key down, and then make the order. Redirects are refused.
//
// # Pagination
//
// List gets a page, by limit and offset; All walks the items of all pages.
//
// # Rate limits
//
// The server takes 60 requests a minute with one access token, and 1000 an hour from an account. Polling faster than every 4
// seconds uses that up; a [Merchant] keeps within it by itself.
//
// # Callbacks
//
// [NewCallbackHandler] returns the receiver, [VerifyCallback] the check alone. Whether the vendor calls back again what was not
// answered isn't documented: poll, too.
//
// # Money
//
// Amounts are decimals in units of their currency. They are sent as decimals, with as many digits as the currency has, and read
// from decimals or hundredths, whichever comes.
//
// # Testing
//
// [github.com/tillroute/tillroute/paysera/payseratest] is a simulated Paysera with guests and their phones. Config.BaseURL takes the
// address of any other server, such as what examples/simulators serves.
// HTTP.Transport takes a transport that answers without any server; Now and Nonce make signatures the same each time.
//
// The paths in the references are below Config.BaseURL.
//
// API reference: https://developers.paysera.com/en/wallet/app/pos
package paysera
