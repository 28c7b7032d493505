// Package smartconnect is a client for Smartpay SmartConnect, which takes payments from points of sale to EFTPOS
// terminals in Australia and New Zealand, and a driver that plugs it into
// [github.com/tillroute/tillroute/pairing].
//
//	client, err := smartconnect.New(smartconnect.Config{
//		BusinessName: "Toys Shop",
//		VendorName:   "Till2Go",
//		Currency:     "NZD",
//	})
//	started, err := client.Purchase(ctx, registerID, decimal.RequireFromString("12.50"))
//	// Write started down, then:
//	result, err := client.Await(ctx, started, nil)
//
// # Authentication
//
// There is no key. A register may use the terminal that it was paired with ([Client.Pair]), and it proves who it is
// with three names: its register ID, the business name and the vendor name. Whoever knows them can start sales and
// refunds, so a register ID is a [tillroute.Secret]: use a random UUID for each register, and never reuse one, or a
// copy of production data in a test system will drive the live terminal. The names must stay the same, byte for byte:
// after a change each register has to be paired again.
//
// A transaction's polling URL holds a token of its own, which ends about 15 minutes after the start. It is a secret
// too.
//
// # Pairing
//
// A register is paired with at most one terminal; a terminal may serve many registers. Pairing again replaces the
// terminal, if it succeeds. SmartConnect has no call to list, check or end pairings: they are ended at the terminal.
// It doesn't tell which terminal it was either; the first transaction does ([Transaction.DeviceID]).
//
// # Errors
//
// Every error is, or wraps, a [*tillroute.Error]. Of note: kind Busy for a terminal that is occupied,
// [pairing.ErrNotPaired] for a register that no terminal knows under these names, [pairing.ErrWrongCode] for a pairing
// code that is wrong or has expired; SmartConnect doesn't say which.
//
// # Retries
//
// Nothing that starts something is sent twice once it may have arrived: SmartConnect has no idempotency key. Such an
// error matches [tillroute.ErrOutcomeUnknown], and a person has to look at the terminal. Polling is repeated until the
// result is there or can't be had any more; then the outcome is [tillroute.Unknown], never Failed.
//
// There is no call to cancel a transaction. It is cancelled at the terminal, and a context that ends only ends the
// waiting.
//
// # Money
//
// Amounts are decimals in units of Config.Currency, and whole cents on the wire. They are positive, also for refunds.
// The amount in a result is what was charged, surcharge and tip included: it may differ from what was asked for.
//
// API reference: http://www.smartpaydev.com/
package smartconnect
