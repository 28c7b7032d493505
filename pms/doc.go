// Package pms receives what Lightspeed Restaurant (K-Series) sends to a hotel's property management system: bills that were
// charged to a room, and searches for the guest to charge. It also registers the system with K-Series.
//
//	handler, err := pms.NewHandler(pms.Config{
//		Backend:    hotel, // implements pms.Backend, embeds pms.Unimplemented
//		Keys:       []pms.Key{{APIKey: key}},
//		Deliveries: store, // a sqlitestore.Store, for one
//	})
//	http.Handle("/pms/", handler) // the endpoint is registered as https://hotel.example/pms
//
// # Charges
//
// Everything is a charge: a void is a bill of its own with the lines negated, and a correction of a tip is such a bill and then
// the bill again. What to post is in [Charge.Postings]; a payment that is not to a room is information. See [Charge.IsReversal],
// [Charge.IsTipCorrection] and [Charge.Corrects]. Money is exact, and never a float.
//
// The bill is closed when the charge is sent. If it fails the waiter is told, and nobody sends it again by himself: it has to be
// posted by hand, or the waiter tries again.
//
// # Retries and idempotency
//
// A charge is known by its idempotency key, within the [Key.Business] of its API key, and its bill by its number (FiscID, or else
// UUID). Both are kept in Config.Deliveries together with a hash of what came with them:
//
//   - what was posted is answered the same again and not posted again: by this process, after a restart, on another node, and
//     under another idempotency key if it is the same bill;
//   - what comes again while it is being posted waits, and is told to try again if that takes too long;
//   - a key or a bill that comes again with other content is refused, and logged at error level for a person to compare. The API
//     key doesn't count as content: it may have been replaced;
//   - what was refused or failed is forgotten, and may be tried again.
//
// # What a backend must do
//
// Between a posting in the hotel system and its record here, the process can die, the store can fail, a node can stall. Only the hotel
// system can close that gap, which knows what it has posted: [Backend.Charge] must write down Charge.Key and [Charge.Account] in the
// same transaction as the posting, each of them unique, and return nil for what is there already. Then nothing is posted twice.
// [Backend] says what happens otherwise, and how long a charge is refused after a process died.
//
// How long the point of sale waits for an answer, and whether it sends the same key when a waiter tries again, is not documented.
//
// # Authentication
//
// Lightspeed proves itself with an API key: in the body of charges, and in the query of searches. So keep queries out of the logs
// of requests ([LogURL] helps), serve https alone, and register a long random key. Keys are compared in constant time. Neither
// the handler's log nor its answers have one, and [Charge.Raw] has none either. To replace a key, accept both, register the new one
// ([ProvidersService.Update]), and drop the old one.
//
// # Errors
//
// The point of sale takes 200 alone for success. Otherwise it shows and prints a message of up to 50 characters, which a backend
// gives with a [Refusal]. Other errors and panics have a message that is safe; what really happened is in the log.
//
// # Registration
//
// [Client] registers the endpoint, with an access token of K-Series of the scope propertymanagement. In the restaurant's back office
// a payment method with the code IKPMS ("Charge to Room") is needed, the PMS server "Other", and the method must be enabled for the
// devices.
//
// Errors of a Client are, or wrap, a [*tillroute.Error]. Reads are repeated after lost answers and on errors that pass, and so are
// updating and deleting a provider. Registering one isn't: see [ProvidersService.Create].
//
// # Testing
//
// [github.com/tillroute/tillroute/pms/pmstest] builds what Lightspeed sends, right and wrong. A handler is an [http.Handler]: call it
// with that. examples/simulators serves a simulated restaurant that charges to rooms.
//
// The paths in the references are below ClientConfig.BaseURL.
//
// API reference: https://api-docs.lsk.lightspeed.app/
package pms
