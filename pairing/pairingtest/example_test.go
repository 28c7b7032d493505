package pairingtest_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pairing/pairingtest"
)

// myStore is the store that is tested: here one in memory, whose clock the tests set.
type myStore struct {
	*memstore.Store

	ahead atomic.Int64
}

func newMyStore() *myStore {
	s := &myStore{}
	s.Store = memstore.New(memstore.Config{Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }})
	return s
}

func myHarness() pairingtest.Harness {
	return pairingtest.Harness{
		Open: func(*testing.T) pairing.Store { return newMyStore() },
		Sleep: func(s pairing.Store, d time.Duration) {
			if mine, ok := s.(*myStore); ok {
				mine.ahead.Add(int64(d))
			}
		},
	}
}

// What a file store_test.go has for a store of your own. It needs a test to run in, and therefore isn't run as an example: a test of
// this package runs the same.
func ExampleTestStore() {
	_ = func(t *testing.T) { // func TestStore(t *testing.T)
		t.Helper()
		pairingtest.TestStore(t, myHarness())
	}
}
