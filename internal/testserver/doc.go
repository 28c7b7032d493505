// Package testserver is a stateful copy of each vendor system that the module talks to: what the vendor
// documents is answered as documented, what is not is answered in the least surprising way and marked as a
// judgment in a comment.
//
// It is an independent judge. It imports nothing from the module, checks every request strictly, and keeps its
// own books: the requests it got ([Engine.Requests]), what was wrong with them ([Engine.Violations]), the
// money that really moved ([SmartConnect.Charges], [XSeries.Sales], [Paysera.Charges]), what was really applied to
// checks ([KSeries.Applied]) and what was posted to a hotel ([PMS.Postings]). With [Options].StateFile the simulated
// world outlives its process, as the real one does.
//
//	sys := testserver.Start(t, testserver.Options{})
//	device := sys.SmartConnect.Device("7070714000")
//	code := device.ShowCode()
//	// … pair, post a transaction, then be the person at the terminal:
//	_, err := device.WaitTransaction(ctx)
//	err = device.Approve()
package testserver
