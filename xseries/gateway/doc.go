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
// the one before it is settled: it moved no money, or the sale has it. The sell screen doesn't acknowledge an ACCEPT. That the sale
// has an approved payment follows from two things together: a page was about to say so, and the sale's paid sum has since grown by
// at least as much. Where these contradict each other, the cashier is asked. (Cash of the same amount, taken after an ACCEPT was
// lost, looks the same as that payment; reconcile with [xseries.SalesService].) The [pairing.Payment] keeps how far it has come as
// its Mark: "", "told …", "recorded: …" or "given back: …". Approved payments whose mark is empty were not handed to a sale as far as
// is known: list them with [pairing.Router.Payments], and look at the sale before giving anything back. (A page that can't reach
// the gateway for five seconds hands an approved payment over all the same, and nobody can write that down.)
//
// The sell screen can't be told of another amount than it asked for. A surcharge or a tip on top is accepted. If less was
// approved, the page says so and stays; the cashier closes it and asks for that part, and the payment is used for it without
// charging anew.
//
// # What is trusted
//
// The vendor signs nothing: whoever knows the address of the Pay page can open it with any register and amount. Opening it has no
// effect. To begin a payment takes a token of a page that was opened, and a message that says the same as its address; the register
// must be the store's, and paired. That keeps other sites and mistakes away, not somebody who talks to the gateway directly: they
// can have a terminal ask for a card, which somebody has to present there. [Config.Check] is where a company that knows more says no.
//
// Messages go to the sell screen's exact origin, and only those from there are heard. Other sites can't frame the pages, nor send
// forms. There is no inline script, and nothing is loaded from elsewhere. No cookie is needed in the iframe.
//
// # Running it
//
// Any number of nodes may serve the pages, with one store and one Key, also in turns for the same page. Progress comes as
// server-sent events that last 25 s at most; through proxies that hold them back the page asks every 1.5 s instead. A Pay page may
// wait 12 hours for a pairing, and follow a payment for 7 days. Under another Key, merchants connect again and open Pay pages are
// opened again; payments go on. What is known of a register, such as its currency, is asked for again after ten minutes.
// Register [Handler.Close] with [http.Server.RegisterOnShutdown].
//
// Clients that are slow on purpose are for the server: set the timeouts of [http.Server]. That for writing must be above 70 s,
// which pairing a terminal may take; streams of progress see to their own.
//
// # Testing
//
// [github.com/tillroute/tillroute/xseries/xseriestest] is a simulated store whose merchant consents, and
// [github.com/tillroute/tillroute/smartconnect/smartconnecttest] has terminals; Config.Stores takes the sell screen's origin. The
// program examples/gateway of the module runs all of it with a simulated till and simulated terminals.
package gateway
