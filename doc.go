// Package tillroute holds the vocabulary that the clients and the routing core of this module share.
//
// A point-of-sale system knows registers; a payment company knows terminals. The module pairs them and routes
// payments between them:
//
//   - [github.com/tillroute/tillroute/pairing] keeps the pairings, queues the payments of each terminal in order
//     and hands each of them to its terminal at most once;
//   - [github.com/tillroute/tillroute/xseries] is a client for Lightspeed Retail X-Series, and
//     [github.com/tillroute/tillroute/xseries/gateway] has the pages of a payment gateway for it;
//   - [github.com/tillroute/tillroute/smartconnect] is a client for Smartpay SmartConnect, and a driver that moves
//     money on its terminals;
//   - [github.com/tillroute/tillroute/paysera] is a client for the Paysera Wallet, whose spots are registers;
//   - [github.com/tillroute/tillroute/kseries] is a client for Lightspeed Restaurant K-Series, and
//     [github.com/tillroute/tillroute/pms] receives what it posts to hotel systems.
//
// # Errors
//
// Every error that comes from this module is, or wraps, an [*Error]; a method named Run alone returns the error of its context
// as it is. Its [Kind] says what a program can do about it, its text says what happened, to what, and what to do now:
//
//	_, err := client.Registers.Get(ctx, id)
//	switch {
//	case errors.Is(err, tillroute.ErrNotFound):
//		// no such register
//	case errors.Is(err, tillroute.ErrOutcomeUnknown):
//		// it may have happened: look it up, never send it again
//	}
//
// # Retries and idempotency
//
// A client repeats what provably never arrived, and what is safe to repeat. Everything else is sent once: an error that matches
// [ErrOutcomeUnknown] may have taken effect, and the call says how to find out. [HTTPOptions] bounds attempts, repetitions and
// waits. A payment's ID is what the routing core knows a repetition by.
//
// # Testing
//
// Each client has a simulated copy of its vendor's system beside it, to test your own program with:
// [github.com/tillroute/tillroute/smartconnect/smartconnecttest], [github.com/tillroute/tillroute/xseries/xseriestest],
// [github.com/tillroute/tillroute/paysera/payseratest], [github.com/tillroute/tillroute/kseries/kseriestest] and, for what is posted
// to hotels, [github.com/tillroute/tillroute/pms/pmstest]. They check requests strictly, and lose answers on demand.
//
// # Money
//
// Amounts are [decimal.Decimal] values in units of their currency: 12.50 is twelve dollars fifty. [ToMinor],
// [FromMinor] and [FormatAmount] convert them to the forms that the wire wants, exactly or with an error. No
// amount passes through a floating-point number.
//
// # Outcomes
//
// [Outcome] says how a payment ended. Its zero value is Unknown: what nobody can vouch for was neither approved
// nor declined.
package tillroute
