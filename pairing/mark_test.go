package pairing_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func TestMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, _ := node(t, newStore(t), &park{}, nil)
		pair(t, router, "T1")
		paid, err := router.Pay(t.Context(), request("a", 1))
		require.NoError(t, err)
		require.Empty(t, paid.Mark)
		orphans := pairing.Filter{
			States: []pairing.State{pairing.Done}, Outcomes: []tillroute.Outcome{tillroute.Approved}, Marks: []string{""},
		}
		list, err := router.Payments(t.Context(), orphans, 10)
		require.NoError(t, err)
		require.Equal(t, []pairing.Payment{paid}, list)

		for range 2 { // the first answer was lost
			p, err := router.Mark(t.Context(), "a", "", "erzählt: ja")
			require.NoError(t, err)
			want := paid
			want.Mark = "erzählt: ja"
			require.Equal(t, want, p)
		}
		list, err = router.Payments(t.Context(), orphans, 10)
		require.NoError(t, err)
		require.Empty(t, list)

		_, err = router.Mark(t.Context(), "a", "", "another")
		require.ErrorIs(t, err, tillroute.ErrConflict)
		require.ErrorContains(t, err, "erzählt: ja")
		_, err = router.Mark(t.Context(), "b", "", "told")
		require.ErrorIs(t, err, tillroute.ErrNotFound)
		p, err := router.Mark(t.Context(), "a", "erzählt: ja", strings.Repeat("é", 200))
		require.NoError(t, err)
		p, err = router.Mark(t.Context(), "a", p.Mark, "")
		require.NoError(t, err)
		require.Equal(t, paid, p, "nothing but the mark was changed")
	})
}

func TestMarkRefusesWhatCannotBePrinted(t *testing.T) {
	store := newStore(t)
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{provider: &park{}}})
	require.NoError(t, err)
	pair(t, router, "T1")
	_, err = router.Submit(t.Context(), request("a", 1))
	require.NoError(t, err)
	for _, bad := range []string{strings.Repeat("é", 201), "a\nb", "\x00", "\xff"} {
		_, err := router.Mark(t.Context(), "a", "", bad)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorContains(t, err, `payment "a"`)
		require.ErrorContains(t, err, "to ")
		_, err = router.Mark(t.Context(), "a", bad, "told")
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorContains(t, err, "from ")
	}
	p, err := store.Payment(t.Context(), "a")
	require.NoError(t, err)
	require.Empty(t, p.Mark)
}

func TestMarkWakesWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, err := pairing.New(pairing.Config{
			Store: newStore(t), Drivers: map[string]pairing.Driver{provider: &park{}}, PollInterval: time.Hour,
		})
		require.NoError(t, err)
		pair(t, router, "T1")
		_, err = router.Submit(t.Context(), request("a", 1))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		begin := time.Now()
		var seen []string
		var group sync.WaitGroup
		group.Go(func() {
			for progress, err := range router.Watch(ctx, "a") {
				if err != nil {
					t.Error(err)
					return
				}
				if seen = append(seen, progress.Payment.Mark); len(seen) == 2 {
					return
				}
			}
		})
		synctest.Wait()
		_, err = router.Mark(t.Context(), "a", "", "telling")
		require.NoError(t, err)
		group.Wait()
		require.Equal(t, []string{"", "telling"}, seen)
		require.Zero(t, time.Since(begin), "nobody waits for the next look at the store")
	})
}
