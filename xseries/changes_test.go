package xseries_test

import (
	"iter"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

func TestChangesResumeFromWhatWasDealtWith(t *testing.T) {
	s := newServer(t, page(7, 5), page(9), answer(http.StatusOK, emptyPage))
	client := s.client(t)
	stored := int64(3)
	follow := func(dealWith func(xseries.Page[xseries.Register]) bool) {
		for page, err := range client.Registers.Changes(t.Context(), stored) {
			require.NoError(t, err)
			if !dealWith(page) {
				return
			}
			stored = page.Next
		}
	}
	follow(func(page xseries.Page[xseries.Register]) bool {
		require.NotEmpty(t, page.Items, "the page at the end is no change")
		return page.Next < 9
	})
	require.Equal(t, int64(7), stored, "what was interrupted is not behind us")
	follow(func(xseries.Page[xseries.Register]) bool { return true })
	require.Equal(t, int64(7), stored, "nothing new")
	var queries []string
	for _, got := range s.got() {
		queries = append(queries, got.query.Encode())
	}
	require.Equal(t, []string{"after=3&deleted=true", "after=7&deleted=true", "after=7&deleted=true"}, queries)
}

func TestChangesNeverGoBack(t *testing.T) {
	for name, odd := range map[string]http.HandlerFunc{
		"earlier": page(2), "the same": page(5), "missing": answer(http.StatusOK, `{"data":[{"id":"r3"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, odd)
			pages, last := 0, error(nil)
			for page, err := range s.client(t).Registers.Changes(t.Context(), 5) {
				if last = err; err == nil {
					pages++
					require.Equal(t, int64(5), page.Next)
				}
			}
			require.ErrorIs(t, last, tillroute.ErrDecode)
			require.Equal(t, 1, pages)
			require.Len(t, s.got(), 1)
		})
	}
}

func TestChangesEndWithAnError(t *testing.T) {
	s := newServer(t, page(7), answer(http.StatusBadGateway, ""))
	var nexts []int64
	var last error
	for page, err := range s.client(t).Registers.Changes(t.Context(), 0) {
		nexts, last = append(nexts, page.Next), err
	}
	require.ErrorIs(t, last, tillroute.ErrUnavailable)
	require.Equal(t, []int64{7, 0}, nexts)
	for _, err := range s.client(t).Registers.Changes(t.Context(), -1) {
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
}

func TestChangesOfTheOtherLists(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, emptyPage))
	client := s.client(t)
	require.Zero(t, countPages(t, client.Outlets.Changes(t.Context(), 1)))
	require.Zero(t, countPages(t, client.PaymentTypes.Changes(t.Context(), 1)))
	require.Zero(t, countPages(t, client.Sales.Changes(t.Context(), 1)))
	got := s.got()
	for i, want := range []string{"outlets?after=1&deleted=true", "payment_types?after=1&deleted=true", "sales?after=1"} {
		require.Equal(t, "/base/api/2026-07/"+want, got[i].path+"?"+got[i].query.Encode())
	}
}

func countPages[T any](t *testing.T, pages iter.Seq2[xseries.Page[T], error]) int {
	t.Helper()
	n := 0
	for _, err := range pages {
		require.NoError(t, err)
		n++
	}
	return n
}
