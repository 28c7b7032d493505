// Package pairing knows which terminal stands beside which register, and routes payments from the one to the other. It
// never hands a payment to a terminal twice, and never loses one that it accepted.
//
// It knows no point of sale and no terminal itself: a [Driver] moves money on the terminals of one provider, a [Store]
// keeps what must survive, and the [Router] joins them:
//
//	router, err := pairing.New(pairing.Config{
//		Store:   store,
//		Drivers: map[string]pairing.Driver{smartconnect.Provider: driver},
//	})
//	go router.Run(ctx)
//	payment, err := router.Pay(ctx, pairing.Request{ID: "sale-1001", Register: till, Amount: amount, Currency: "NZD"})
//
// # Pairing
//
// A register is paired with one terminal; a terminal may serve many registers. Terminals whose makers use this package
// show a code of ours ([Router.IssueCode]). A provider that pairs on its own side shows its own, and its driver hands it
// on. Either way [Router.Pair] takes what a person typed. Pairing again replaces the pairing, once it has succeeded.
//
// To use several terminals from one physical lane, give it several registers, one for each.
//
// # The way of a payment
//
// A payment is [Queued] when it is accepted, [Sending] from before the driver is called, [Sent] when the terminal's
// handle is written down, and [Done] with its outcome. Each step is durable before the next begins. A payment that may
// have been sent is never sent again: it is looked up, and what can't be learned is [Parked] with the outcome Unknown,
// until a person resolves it with [Router.Resolve].
//
// Each terminal serves its payments in the order in which they were accepted, one at a time. One that is queued can be
// withdrawn. One that finds its terminal busy keeps its place.
//
// Each has a mark, where what speaks to the register's side keeps how far it has come with telling that side the
// outcome: the router does not read it, and [Router.Mark] sets it. [Router.Payments] with a [Filter] of Done, Approved
// and the mark "" lists those that were approved and never marked as told.
//
// # Several nodes
//
// Any number of routers may run on one store. The one that works on a payment holds a lease on it, and a fence keeps a
// node that stalled past its lease from changing anything afterwards. When a node dies, another takes its payments over
// once their leases have ended; a node that is started again does the same.
//
// # Watching over it
//
// [Config.Logger] gets what an operator needs to know, [Config.Observer] hears of every step, and package metrics counts
// them for Prometheus, with what waits in the store ([Counter]). docs/operations.md of the module is for the person who
// looks after all this at night.
//
// # Errors
//
// Errors are [*tillroute.Error] values. The ones to tell apart are [ErrNotPaired], [ErrWrongCode], [ErrCodeExpired],
// [ErrCodeUsed], [ErrTooManyTries], and above all [tillroute.ErrOutcomeUnknown]: the caller stopped waiting, or nobody
// knows. The payment's ID is the handle with which to ask again.
//
// # Retries and idempotency
//
// Submitting the same [Request] again, under the same ID, never moves money again: it tells how the first one stands. So whoever
// doesn't know whether a payment was accepted submits it once more.
//
// # Pagination
//
// [Router.Payments] and [Router.Pairings] return up to a limit. The next ones follow the last: its Seq is [Filter].After, and its
// Register what Pairings begins after. In package pgstore the newest payments may become visible in another order: see there.
//
// # Testing
//
// The memstore package is a store for tests, and smartconnect/smartconnecttest has simulated terminals. The pairingtest package
// holds the tests that every store passes; run them on a store of your own.
package pairing
