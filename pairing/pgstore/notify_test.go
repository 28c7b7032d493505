package pgstore

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pairing"
)

// Each message is a transaction: the steps of a payment are told together, its end and what is work at once.
func TestStepsAreToldTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type told = map[pairing.Terminal]bool
		var all []told
		var when []time.Duration
		began := time.Now()
		n := newNews(func(changed map[pairing.Terminal]bool) {
			all, when = append(all, changed), append(when, time.Since(began))
			time.Sleep(time.Millisecond)
		})
		one, two := pairing.Terminal{Serial: "1"}, pairing.Terminal{Serial: "2"}
		n.mention(one)
		n.mention(two)
		n.mention(one)
		time.Sleep(time.Millisecond)
		require.Empty(t, all, "a step waits for the next")
		n.tell(one, false)
		synctest.Wait()
		n.tell(one, true) // while the first message is under way
		n.mention(one)
		time.Sleep(time.Minute)
		n.mention(two)
		time.Sleep(time.Minute)
		n.mention(one)
		n.close()
		n.mention(one)
		time.Sleep(time.Minute)
		require.Equal(t, []told{{one: false, two: false}, {one: true}, {two: false}, {one: false}}, all)
		require.Equal(t, []time.Duration{
			time.Millisecond, 2 * time.Millisecond, time.Minute + time.Millisecond + lull, 2*time.Minute + time.Millisecond,
		}, when)
	})
}
