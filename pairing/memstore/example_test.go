package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// terminals is a driver that this example never calls.
type terminals struct{ pairing.Driver }

// A test that sets the clock needn't wait for a pairing code to expire.
func ExampleNew() {
	now := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	store := memstore.New(memstore.Config{Now: func() time.Time { return now }})
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{"acquirer": terminals{}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	code, err := router.IssueCode(ctx, pairing.Terminal{Provider: "acquirer", Serial: "0042"}, "at the door")
	if err != nil {
		fmt.Println(err)
		return
	}
	now = now.Add(time.Hour)
	till := pairing.Register{System: "mypos", Account: "toys", ID: "till-1"}
	_, err = router.Pair(ctx, pairing.PairRequest{Register: till, Code: code.String()})
	fmt.Println(errors.Is(err, pairing.ErrCodeExpired))
	// Output: true
}
