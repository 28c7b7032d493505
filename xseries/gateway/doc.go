// Package gateway has the pages that a payment gateway for Lightspeed Retail X-Series needs, as one [http.Handler]: a
// merchant pairs terminals with registers on some, and a cashier takes payments on another, which the sell screen shows in
// an iframe when its payment button is pressed.
//
//	pages, err := gateway.New(gateway.Config{
//		Router: router, // a pairing.Router, which runs
//		Tokens: store,  // the router's store
//		OAuth:  xseries.OAuth{ClientID: id, ClientSecret: secret},
//		URL:    "https://pay.example.com/xseries",
//		Key:    key, // 32 random bytes that you keep
//		Provider: smartconnect.Provider,
//	})
//	http.Handle("/xseries/", pages)
//
// Register URL + "/callback" as the application's redirect URL with the vendor. Merchants begin at [Handler.PairingURL], and
// enter [Handler.GatewayURL] as the gateway of a payment type.
//
// # Pairing
//
// The merchant starts, allows access to the store, types the code that a terminal shows (or a serial number, with
// [Config.Serial]), chooses a register, and is ready. Pairing again says what it replaces, and asks. Several registers may share
// a terminal, and one lane may have several registers.
//
// Only the browser in which a store has given its consent may see or change that store's pairings, for an hour.
//
// # Paying
//
// The page asks the sell screen what is to be paid, checks that against its own address, the store's grant, the register and its
// pairing, and submits a payment. It shows how that comes forward, and tells the sell screen ACCEPT or DECLINE on the word of the
// terminal alone, or of the person who resolved the payment. While nobody knows how a payment ended, the page stays open and says
// what to do; it goes on when somebody has found out, see [Config.CashierMayResolve] and [pairing.Router.Resolve].
//
// A page that is closed, reloaded or opened twice takes up the payment that is there. A new payment for a sale begins only when
// the one before it is settled: it moved no money, or the sale has it. How that is known is in [Handler]'s documentation.
//
// The sell screen can't be told of another amount than it asked for. A surcharge or a tip on top is accepted. If less was
// approved, the page says so and stays; the cashier closes it and asks for that part, and the payment is used for it without
// charging anew.
//
// # Running it
//
// Any number of nodes may serve the pages, with one store and one Key. Nothing that a browser says is signed by the vendor, and
// opening the Pay page has no effect: [Handler] says what is trusted, what a payment's mark means, and what the server in front
// must allow for.
//
// # Testing
//
// [github.com/tillroute/tillroute/xseries/xseriestest] is a simulated store whose merchant consents, and
// [github.com/tillroute/tillroute/smartconnect/smartconnecttest] has terminals; Config.Stores takes the sell screen's origin. The
// program examples/gateway of the module runs all of it with a simulated till and simulated terminals.
package gateway
