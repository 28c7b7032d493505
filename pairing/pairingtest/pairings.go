package pairingtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func pairingTests() []test {
	return []test{
		{"RoundTrip", pairingRoundTrip},
		{"NotFound", pairingNotFound},
		{"VersionZeroOnlyIfNotPaired", putPairingZero},
		{"VersionMustMatch", putPairingVersion},
		{"NegativeVersionReplaces", putPairingNegative},
		{"VersionIsNeverUsedTwice", versionNeverTwice},
		{"OneOfManyWins", putPairingRace},
		{"Delete", deletePairing},
		{"DeleteLeavesPayments", deletePairingPayments},
		{"ListInOrder", listPairingsOrder},
		{"ListPages", listPairingsPages},
		{"Move", moveRegister},
		{"MoveOnlyFrom", moveOnlyFrom},
		{"MoveKeepsOrder", moveKeepsOrder},
		{"MoveLeavesWhatWasHandedOver", moveLeavesInFlight},
		{"MoveGoesBehindWhatIsInFlight", moveBehindInFlight},
		{"MoveLeavesOtherRegisters", moveLeavesOthers},
	}
}

func pairingRoundTrip(k *kit) {
	long := strings.Repeat("ü", 200)
	for _, want := range []pairing.Pairing{
		{
			Register:     pairing.Register{System: "kseries", Account: "Käse & Söhne", ID: "Kasse 1/ä 🧾"},
			Terminal:     pairing.Terminal{Provider: "smartconnect", Serial: "N°7 'x' \"y\" \\ %_;--"},
			RegisterName: "Главная касса", TerminalName: "レジの端末", Identity: "s3cret/é",
		},
		{Register: register("plain"), Terminal: terminal("1")},
		{Register: register("long"), Terminal: terminal("1"), RegisterName: long, TerminalName: long, Identity: tillroute.Secret(long)},
	} {
		stored, err := k.store.PutPairing(k.Context(), want, 0)
		k.ok(err, "pairing")
		k.utc(stored.PairedAt, "PairedAt")
		want.Version, want.PairedAt = 1, stored.PairedAt
		k.same(stored, want, "PutPairing returns the pairing as stored, at version 1")
		got, err := k.store.Pairing(k.Context(), want.Register)
		k.ok(err, "looking up a pairing")
		k.same(got, want, "Pairing returns what PutPairing stored")
		k.utc(got.PairedAt, "PairedAt")
	}
}

func pairingNotFound(k *kit) {
	k.pair(register("1"), terminal("1"))
	for _, r := range []pairing.Register{
		register("2"), {System: "xseries", Account: "other", ID: "1"}, {System: "other", Account: "acme", ID: "1"}, {},
	} {
		_, err := k.store.Pairing(k.Context(), r)
		k.fails(err, tillroute.ErrNotFound, "Pairing of a register that isn't paired is NotFound")
	}
}

func putPairingZero(k *kit) {
	before := k.pair(register("1"), terminal("1"))
	_, err := k.store.PutPairing(k.Context(), pairing.Pairing{Register: register("1"), Terminal: terminal("2")}, 0)
	k.fails(err, tillroute.ErrConflict, "if ifVersion is 0 the register must not be paired yet")
	k.pairingIs(before, "a refused PutPairing changes nothing")
}

// pairingIs ends the test if the register's pairing isn't want.
func (k *kit) pairingIs(want pairing.Pairing, rule string) {
	k.Helper()
	got, err := k.store.Pairing(k.Context(), want.Register)
	k.ok(err, "looking up a pairing")
	k.same(got, want, rule)
}

func putPairingVersion(k *kit) {
	first := k.pair(register("1"), terminal("1"))
	second, err := k.store.PutPairing(k.Context(),
		pairing.Pairing{Register: register("1"), Terminal: terminal("2"), RegisterName: "new"}, first.Version)
	k.ok(err, "pairing anew at the right version")
	k.rule(second.Version == first.Version+1, "the version is one above the one it replaces",
		"%d after %d", second.Version, first.Version)
	k.rule(!second.PairedAt.Before(first.PairedAt), "PairedAt is when the pairing was last replaced",
		"%s after %s", second.PairedAt, first.PairedAt)
	for _, wrong := range []int64{first.Version, second.Version + 1, 1 << 40} {
		_, err := k.store.PutPairing(k.Context(), pairing.Pairing{Register: register("1"), Terminal: terminal("3")}, wrong)
		k.fails(err, tillroute.ErrConflict, "a pairing is replaced only at the version that ifVersion names")
	}
	k.pairingIs(second, "a refused PutPairing changes nothing")
	_, err = k.store.PutPairing(k.Context(), pairing.Pairing{Register: register("2"), Terminal: terminal("3")}, 1)
	k.fails(err, tillroute.ErrConflict, "a register that isn't paired has no version")
	_, err = k.store.Pairing(k.Context(), register("2"))
	k.fails(err, tillroute.ErrNotFound, "a refused PutPairing changes nothing")
}

func putPairingNegative(k *kit) {
	for version := int64(1); version <= 3; version++ {
		p, err := k.store.PutPairing(k.Context(),
			pairing.Pairing{Register: register("1"), Terminal: terminal(fmt.Sprint(version))}, -version)
		k.ok(err, "a negative ifVersion replaces whatever is there")
		k.rule(p.Version == version, "the version is one above the one it replaces", "%d, want %d", p.Version, version)
		k.pairingIs(p, "a negative ifVersion replaces whatever is there")
	}
}

func versionNeverTwice(k *kit) {
	last := int64(0)
	for range 3 {
		for _, ifVersion := range []int64{0, -1} {
			p, err := k.store.PutPairing(k.Context(), pairing.Pairing{Register: register("1"), Terminal: terminal("1")}, ifVersion)
			k.ok(err, "pairing")
			k.rule(p.Version > last, "a version is never used twice for a register, also after an unpairing",
				"version %d after %d", p.Version, last)
			last = p.Version
		}
		k.ok(k.store.DeletePairing(k.Context(), register("1"), last), "unpairing")
		_, err := k.store.PutPairing(k.Context(), pairing.Pairing{Register: register("1"), Terminal: terminal("1")}, last)
		k.fails(err, tillroute.ErrConflict, "after an unpairing no version matches")
	}
}

func putPairingRace(k *kit) {
	for _, ifVersion := range []int64{0, 1} {
		errs := together(20, func(i int) error {
			_, err := k.store.PutPairing(k.Context(),
				pairing.Pairing{Register: register("1"), Terminal: terminal(fmt.Sprint(i))}, ifVersion)
			return err
		})
		k.oneWins(errs, tillroute.ErrConflict, "of several that pair at one version, one succeeds")
	}
}

// oneWins ends the test unless all errors but one match target, and that one is nil.
func (k *kit) oneWins(errs []error, target error, rule string) {
	k.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		k.fails(err, target, rule)
	}
	k.rule(won == 1, rule, "%d of %d succeeded", won, len(errs))
}

func deletePairing(k *kit) {
	k.fails(k.store.DeletePairing(k.Context(), register("1"), 1), tillroute.ErrNotFound,
		"DeletePairing of a register that isn't paired is NotFound")
	p := k.pair(register("1"), terminal("1"))
	other := k.pair(register("2"), terminal("1"))
	k.fails(k.store.DeletePairing(k.Context(), register("1"), p.Version+1), tillroute.ErrConflict,
		"DeletePairing at another version is a Conflict")
	k.pairingIs(p, "a refused DeletePairing changes nothing")
	k.ok(k.store.DeletePairing(k.Context(), register("1"), p.Version), "unpairing")
	_, err := k.store.Pairing(k.Context(), register("1"))
	k.fails(err, tillroute.ErrNotFound, "a register that was unpaired has no pairing")
	k.fails(k.store.DeletePairing(k.Context(), register("1"), p.Version), tillroute.ErrNotFound,
		"DeletePairing of a register that was unpaired is NotFound")
	list, err := k.store.ListPairings(k.Context(), pairing.Register{}, 10)
	k.ok(err, "listing pairings")
	k.same(list, []pairing.Pairing{other}, "a register that was unpaired is not listed, and the others stay")
}

func deletePairingPayments(k *kit) {
	first := k.accept(register("1"), terminal("1"))
	second := k.accept(register("1"), terminal("1"))
	c := k.claim(terminal("1"), long)
	k.ok(k.store.DeletePairing(k.Context(), register("1"), 1), "unpairing")
	k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "payments that were accepted go on")
	next, ok, err := k.store.FinishPayment(k.Context(), c, pairing.Result{Outcome: tillroute.Approved}, long)
	k.ok(err, "payments that were accepted go on")
	k.rule(ok && next.Payment.ID == second.ID, "payments that were accepted go on", "after %s came %t %s", first.ID, ok, show(next))
}

func listPairingsOrder(k *kit) {
	var want []pairing.Pairing
	// In the order of their bytes, which is not that of a dictionary.
	for _, r := range []pairing.Register{
		{System: "A", Account: "z", ID: "z"},
		{System: "a", Account: "B", ID: "1"},
		{System: "a", Account: "a", ID: "10"},
		{System: "a", Account: "a", ID: "9"},
		{System: "a", Account: "a", ID: "Z"},
		{System: "a", Account: "a", ID: "a"},
		{System: "a", Account: "a", ID: "a "},
		{System: "a", Account: "a", ID: "a-"},
		{System: "a", Account: "a", ID: "ab"},
		{System: "a", Account: "ab", ID: ""},
		{System: "aa", Account: "", ID: "a"},
		{System: "b", Account: "a", ID: "z"},
		{System: "b", Account: "a", ID: "é"},
		{System: "b", Account: "a", ID: "\uffee"},
		{System: "b", Account: "a", ID: "🧾"},
	} {
		want = append(want, pairing.Pairing{Register: r, Terminal: terminal("1")})
	}
	for i := range want { // not in that order: 7 and 15 have no common factor
		at := i * 7 % len(want)
		want[at] = k.pair(want[at].Register, want[at].Terminal)
	}
	got, err := k.store.ListPairings(k.Context(), pairing.Register{}, 100)
	k.ok(err, "listing pairings")
	k.same(got, want, "pairings are listed in the order of system, account and id, by bytes")
	for i := range want {
		got, err := k.store.ListPairings(k.Context(), want[i].Register, 100)
		k.ok(err, "listing pairings")
		k.same(got, want[i+1:], "the list begins with the register that follows after")
	}
	got, err = k.store.ListPairings(k.Context(), pairing.Register{System: "a", Account: "a", ID: "aa"}, 2)
	k.ok(err, "listing pairings")
	k.same(got, want[8:10], "after need not be paired")
}

func listPairingsPages(k *kit) {
	const n = 25
	for i := range n {
		k.pair(register(fmt.Sprintf("%02d", i)), terminal("1"))
	}
	for _, limit := range []int{1, 2, 7, n, n + 1} {
		var seen []string
		for after := (pairing.Register{}); ; {
			page, err := k.store.ListPairings(k.Context(), after, limit)
			k.ok(err, "listing pairings")
			k.rule(len(page) <= limit, "a list has up to limit pairings", "%d with limit %d", len(page), limit)
			if len(page) == 0 {
				break
			}
			for _, p := range page {
				seen = append(seen, p.Register.ID)
			}
			after = page[len(page)-1].Register
			if len(seen) > 1 && limit == 2 { // what comes before the page does not disturb those that follow
				k.pair(register(" before"), terminal("1"))
			}
		}
		k.rule(len(seen) == n || limit > 2 && len(seen) == n+1, "pages together hold every pairing once",
			"%d pairings with limit %d: %v", len(seen), limit, seen)
	}
	none, err := k.store.ListPairings(k.Context(), pairing.Register{}, 0)
	k.ok(err, "listing pairings")
	k.rule(len(none) == 0, "a list has up to limit pairings", "%d with limit 0", len(none))
}

func moveRegister(k *kit) {
	before := k.pair(register("1"), terminal("old"))
	queued := k.accept(register("1"), terminal("old"))
	k.ok(k.store.MoveRegister(k.Context(), register("1"), terminal("old"), terminal("new")), "moving a register")
	after, err := k.store.Pairing(k.Context(), register("1"))
	k.ok(err, "looking up a pairing")
	k.rule(after.Terminal == terminal("new"), "a register that is moved from a terminal is paired with the other",
		"%s", show(after))
	k.rule(after.Version == before.Version+1, "moving a register raises its version", "%d after %d", after.Version, before.Version)
	queued.Terminal = terminal("new")
	k.same(k.payment(queued.ID), queued, "what a register has queued moves with it, and changes in nothing else")
	k.noClaim(terminal("old"), "what has moved is not in the old queue")
	c := k.claim(terminal("new"), long)
	k.rule(c.Payment.ID == queued.ID && c.Fresh, "what has moved is in the new queue", "%s", show(c))
	k.accept(register("1"), terminal("new"))
}

func moveOnlyFrom(k *kit) {
	queued := k.accept(register("1"), terminal("1"))
	repaired := k.pair(register("1"), terminal("2"))
	for _, r := range []pairing.Register{register("1"), register("never paired")} {
		k.ok(k.store.MoveRegister(k.Context(), r, terminal("1"), terminal("3")),
			"moving a register that isn't paired with the terminal is no error")
	}
	k.pairingIs(repaired, "a register that isn't paired with the terminal is not moved")
	k.same(k.payment(queued.ID), queued, "if the register is not paired with from, its payments stay there")
	k.ok(k.store.DeletePairing(k.Context(), register("1"), repaired.Version), "unpairing")
	k.ok(k.store.MoveRegister(k.Context(), register("1"), terminal("2"), terminal("3")), "moving an unpaired register is no error")
	_, err := k.store.Pairing(k.Context(), register("1"))
	k.fails(err, tillroute.ErrNotFound, "an unpaired register is not moved")
}

func moveKeepsOrder(k *kit) {
	k.pair(register("1"), terminal("old"))
	k.pair(register("2"), terminal("new"))
	var want []string
	for i := range 6 {
		r, t := register("1"), terminal("old")
		if i%2 == 1 {
			r, t = register("2"), terminal("new")
		}
		want = append(want, k.accept(r, t).ID)
	}
	k.ok(k.store.MoveRegister(k.Context(), register("1"), terminal("old"), terminal("new")), "moving a register")
	for i, id := range want {
		n := k.ahead(id)
		k.rule(n == i, "what has moved stands in the order in which all were accepted", "%s has %d ahead, want %d", id, n, i)
	}
	k.drain(terminal("new"), want, "what has moved is served in the order in which all were accepted")
}

// drain claims and finishes all payments of the terminal, which must come in that order.
func (k *kit) drain(t pairing.Terminal, want []string, rule string) {
	k.Helper()
	var got []string
	for {
		c, ok, err := k.store.ClaimPayment(k.Context(), t, "worker", long)
		k.ok(err, "claiming")
		if !ok {
			break
		}
		got = append(got, c.Payment.ID)
		k.finish(c, tillroute.Approved)
	}
	k.rule(strings.Join(got, " ") == strings.Join(want, " "), rule, "\n got %v\nwant %v", got, want)
}

func moveLeavesInFlight(k *kit) {
	for _, name := range []string{"sending", "sent"} {
		r, from, to := register(name), terminal("old "+name), terminal("new "+name)
		first, second := k.accept(r, from), k.accept(r, from)
		c := k.claim(from, long)
		if name == "sent" {
			k.ok(k.store.SavePaymentHandle(k.Context(), c, pairing.Handle{TransactionID: "t"}), "saving a handle")
		}
		k.ok(k.store.MoveRegister(k.Context(), r, from, to), "moving a register")
		k.rule(k.payment(first.ID).Terminal == from, "a payment that was handed over stays at its terminal", "%s", show(k.payment(first.ID)))
		k.rule(k.claim(to, long).Payment.ID == second.ID, "what was queued behind it moves", "%s", show(k.payment(second.ID)))
		k.ok(k.store.RenewClaim(k.Context(), c, long, "still here"), "the claim of a payment that stayed holds")
		k.finish(c, tillroute.Approved)
	}
}

func moveBehindInFlight(k *kit) {
	early := k.accept(register("1"), terminal("old"))
	late := k.accept(register("2"), terminal("new"))
	c := k.claim(terminal("new"), short)
	k.ok(k.store.MoveRegister(k.Context(), register("1"), terminal("old"), terminal("new")), "moving a register")
	k.rule(k.ahead(late.ID) == 0, "what is in flight is at the head", "%d ahead of it", k.ahead(late.ID))
	k.rule(k.ahead(early.ID) == 1, "what is in flight is ahead of what is queued, whatever came first", "%d ahead", k.ahead(early.ID))
	k.pass(short)
	again := k.claim(terminal("new"), long)
	k.rule(again.Payment.ID == late.ID && !again.Fresh, "what is in flight is at the head, whatever came first", "%s", show(again))
	k.noClaim(terminal("new"), "one payment is in flight at a terminal")
	k.fails(k.store.RequeuePayment(k.Context(), c, 0, ""), pairing.ErrFenced, "a claim that was taken over is fenced")
	k.ok(k.store.RequeuePayment(k.Context(), again, time.Hour, "busy"), "requeueing")
	k.noClaim(terminal("new"), "a requeued payment is at the head and holds its queue back")
	k.rule(len(k.ready()) == 0, "a terminal whose queue is held back is not ready", "%v", k.ready())
}

func moveLeavesOthers(k *kit) {
	k.pair(register("1"), terminal("old"))
	other := k.pair(register("2"), terminal("old"))
	moved, stayed := k.accept(register("1"), terminal("old")), k.accept(register("2"), terminal("old"))
	k.ok(k.store.MoveRegister(k.Context(), register("1"), terminal("old"), terminal("new")), "moving a register")
	k.pairingIs(other, "other registers of the terminal stay")
	k.same(k.payment(stayed.ID), stayed, "the payments of other registers stay")
	k.rule(k.payment(moved.ID).Terminal == terminal("new"), "the register's payments move", "%s", show(k.payment(moved.ID)))
}
