// Package smartconnect is a client for Smartpay SmartConnect, which takes payments from points of sale to EFTPOS
// terminals in Australia and New Zealand, and a driver that plugs it into
// [github.com/tillroute/tillroute/pairing].
//
//	client, err := smartconnect.New(smartconnect.Config{
//		BusinessName: "Toys Shop",
//		VendorName:   "Till2Go",
//		Currency:     "NZD",
//	})
//	till := client.Register(registerID)
//	started, err := till.Purchase(ctx, decimal.RequireFromString("12.50"))
//	// Write started down, then:
//	result, err := client.Await(ctx, started, nil)
//
// # Authentication
//
// There is no key. A register may use the terminal that it was paired with ([Register.Pair]), and it proves who it is
// with three names: its register ID, the business name and the vendor name. Whoever knows them can start sales and
// refunds, so a register ID is a [tillroute.Secret]: use a random UUID for each register, and never reuse one, or a
// copy of production data in a test system will drive the live terminal. The names must stay the same, byte for byte:
// after a change each register has to be paired again. A [Register] holds them once, for pairing and for everything else.
//
// A transaction's polling URL holds a token of its own, which ends about 15 minutes after the start. It is a secret
// too.
//
// # Pairing
//
// A register is paired with at most one terminal; a terminal may serve many registers, each paired with a code of its own.
// Pairing again replaces the terminal, if it succeeds. SmartConnect has no call to list or end pairings, and doesn't say which
// terminal a register was paired with: the first transaction tells ([Transaction.DeviceID]), and so does [Register.Status].
//
// A lane that shall use several terminals has a virtual register for each: [Client.Lane].
//
// # Transactions
//
// Those that move money, from [Register.Purchase] to [Register.QRRefund], are started and then followed by [Client.Await]. The
// others, such as [Register.Status] and [Register.SettlementInquiry], wait for their answer, which is never read as a payment's.
// There is no call to cancel a transaction. It is cancelled at the terminal, and a context that ends only ends the waiting.
//
// # Errors
//
// Every error is, or wraps, a [*tillroute.Error]. Of note: kind Busy for a terminal that is occupied,
// [pairing.ErrNotPaired] for a register that no terminal knows under these names, [pairing.ErrWrongCode] for a pairing
// code that is wrong or has expired; SmartConnect doesn't say which.
//
// # Retries and idempotency
//
// Nothing that starts something is sent twice once it may have arrived: SmartConnect has no idempotency key. Such an
// error matches [tillroute.ErrOutcomeUnknown], and a person has to look at the terminal. Polling is repeated until the
// result is there or can't be had any more; then the outcome is [tillroute.Unknown], never Failed.
//
// A program that writes down what it is about to start, and the [Transaction] right after, may be killed at any time: while
// the polling URL lives, another one awaits the result with it. [Driver] under a [pairing.Router] does that. Where the
// polling URL was lost or has ended, a person decides. What the terminal remembers of its last transaction
// ([Register.LastTransaction], [Driver.Evidence]) may help them, and is never adopted by itself.
//
// # Money
//
// Amounts are decimals in units of Config.Currency, and whole cents on the wire. They are positive, also for refunds.
// The amount in a result is what was charged, surcharge and tip included: it may differ from what was asked for. An
// approval needs both of SmartConnect's results to say so; any value that the vendor doesn't document makes the outcome
// Unknown.
//
// # Testing
//
// [github.com/tillroute/tillroute/smartconnect/smartconnecttest] is a simulated SmartConnect with terminals to press the buttons of.
// Config.BaseURL takes the address of any other server; one on this machine may be polled as fast as you like. HTTP.Transport takes a
// transport that answers without any server.
//
// The paths in the references are below Config.BaseURL; {PollingUrl} is what a transaction was answered with.
//
// API reference: http://www.smartpaydev.com/
package smartconnect
