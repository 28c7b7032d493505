// Package pairingtest holds the tests that every [pairing.Store] passes, this module's own and yours:
//
//	func TestStore(t *testing.T) {
//		pairingtest.TestStore(t, pairingtest.Harness{
//			Open: func(t *testing.T) pairing.Store {
//				t.Helper()
//				return openMyStore(t, t.TempDir())
//			},
//		})
//	}
//
// There is a subtest for each rule that the documentation of [pairing.Store] states, and one that runs random
// operations beside a model. A failure says which rule was broken and what was seen.
//
// The tests wait for leases to end, a few milliseconds at a time. A store whose clock can be set needn't wait: see
// [Harness].
package pairingtest

import (
	"testing"
	"time"

	"github.com/tillroute/tillroute/pairing"
)

// Harness says how to get at the stores to be tested.
type Harness struct {
	// Open returns an empty store. The tests close it; closing it once more does no harm. Required.
	Open func(t *testing.T) pairing.Store

	// Reopen closes a store and returns another on the same data, as if the program had been started again. Leave
	// it nil if the store keeps nothing: what needs it is skipped.
	Reopen func(t *testing.T, s pairing.Store) pairing.Store

	// Sleep lets d pass on the clock of a store, and returns at once. Leave it nil if that is the real one:
	// what would take days is skipped.
	Sleep func(s pairing.Store, d time.Duration)
}

// group is the tests of one part of the store.
type group struct {
	name  string
	tests []test
}

type test struct {
	name string
	run  func(*kit)
}

func groups() []group {
	return []group{
		{"Pairings", pairingTests()},
		{"Codes", codeTests()},
		{"Payments", paymentTests()},
		{"Marks", markTests()},
		{"Claims", claimTests()},
		{"Backlog", backlogTests()},
		{"Deliveries", deliveryTests()},
		{"Tokens", tokenTests()},
		{"Rules", ruleTests()},
		{"Model", modelTests()},
	}
}

// TestStore runs the tests, each on a store of its own.
func TestStore(t *testing.T, h Harness) {
	t.Helper()
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) {
			for _, test := range g.tests {
				t.Run(test.name, func(t *testing.T) { test.run(newKit(t, h)) })
			}
		})
	}
}
