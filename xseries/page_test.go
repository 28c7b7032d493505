package xseries_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

const emptyPage = `{"data":[],"version":{"min":null,"max":null}}`

// page answers with one register for each version.
func page(versions ...int64) http.HandlerFunc {
	items, most := "", int64(0)
	for _, version := range versions {
		if items != "" {
			items += ","
		}
		items += fmt.Sprintf(`{"id":"r%d","version":%d}`, version, version)
		most = max(most, version)
	}
	return answer(http.StatusOK, fmt.Sprintf(`{"data":[%s],"version":{"min":1,"max":%d}}`, items, most))
}

// walk collects IDs until the walk ends or stops being fun.
func walk(t *testing.T, client *xseries.Client, o xseries.ListOptions) (ids []string, err error) {
	t.Helper()
	for register, walkErr := range client.Registers.All(t.Context(), o) {
		require.NoError(t, err, "an error comes once")
		if err = walkErr; err != nil {
			require.Zero(t, register)
			continue
		}
		ids = append(ids, register.ID)
		require.Less(t, len(ids), 100)
	}
	return ids, err
}

func TestAllWalksToTheEmptyPage(t *testing.T) {
	s := newServer(t, page(3, 1), page(6220894162), answer(http.StatusOK, emptyPage))
	client := s.client(t)
	everything := client.Registers.All(t.Context(), xseries.ListOptions{PageSize: 2, Deleted: true})
	require.Empty(t, s.got(), "nothing is asked before it is needed")
	var ids []string
	for register, err := range everything {
		require.NoError(t, err)
		ids = append(ids, register.ID)
	}
	require.Equal(t, []string{"r3", "r1", "r6220894162"}, ids)
	var queries []string
	for _, got := range s.got() {
		queries = append(queries, got.query.Encode())
	}
	require.Equal(t, []string{
		"deleted=true&page_size=2", "after=3&deleted=true&page_size=2", "after=6220894162&deleted=true&page_size=2",
	}, queries)
}

func TestAllStartsAgain(t *testing.T) {
	s := newServer(t, page(1), answer(http.StatusOK, emptyPage), page(1), answer(http.StatusOK, emptyPage))
	everything := s.client(t).Registers.All(t.Context(), xseries.ListOptions{})
	for range 2 {
		n := 0
		for _, err := range everything {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 1, n)
	}
	require.Empty(t, s.got()[2].query.Get("after"))
}

func TestAllStops(t *testing.T) {
	s := newServer(t, page(1, 2), page(3))
	for _, err := range s.client(t).Registers.All(t.Context(), xseries.ListOptions{}) {
		require.NoError(t, err)
		break
	}
	require.Len(t, s.got(), 1, "nothing more is asked")
}

func TestAllRefusesACursorThatDoesNotAdvance(t *testing.T) {
	for name, second := range map[string]http.HandlerFunc{
		"the same":  page(2),
		"earlier":   page(1),
		"null":      answer(http.StatusOK, `{"data":[{"id":"r3"}],"version":{"min":null,"max":null}}`),
		"missing":   answer(http.StatusOK, `{"data":[{"id":"r3"}]}`),
		"no number": answer(http.StatusOK, `{"data":[{"id":"r3"}],"version":{"max":"x"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, page(1, 2), second)
			ids, err := walk(t, s.client(t), xseries.ListOptions{})
			require.ErrorIs(t, err, tillroute.ErrDecode)
			require.Len(t, ids, 3)
			require.Len(t, s.got(), 2)
		})
	}
}

func TestAllGivesAnErrorOnce(t *testing.T) {
	s := newServer(t, page(1), answer(http.StatusInternalServerError, ""))
	ids, err := walk(t, s.client(t), xseries.ListOptions{})
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.Equal(t, []string{"r1"}, ids)
	require.Len(t, s.got(), 2)
}

func TestAllHeedsTheContextBetweenPages(t *testing.T) {
	s := newServer(t, page(1), page(2))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range s.client(t).Registers.All(ctx, xseries.ListOptions{}) {
		last = err
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)
	require.Len(t, s.got(), 1)
}

func TestListKeepsTheCursorAtTheEnd(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, emptyPage), answer(http.StatusOK, `{"data":null}`))
	client := s.client(t)
	for range 2 {
		last, err := client.Registers.List(t.Context(), xseries.ListOptions{After: 42})
		require.NoError(t, err)
		require.Empty(t, last.Items)
		require.Equal(t, int64(42), last.Next, "so that the next look begins here")
	}
	_, err := client.Registers.List(t.Context(), xseries.ListOptions{After: -1})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = walk(t, client, xseries.ListOptions{PageSize: -1})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Len(t, s.got(), 2)
}

func TestOutletsAll(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "rest20_outlets_list.json")), answer(http.StatusOK, emptyPage))
	var names []string
	for outlet, err := range s.client(t).Outlets.All(t.Context(), xseries.ListOptions{}) {
		require.NoError(t, err)
		names = append(names, outlet.Name)
	}
	require.Equal(t, []string{"Second Outlet", "Main Outlet", "Sydney"}, names)
	require.Equal(t, "1690497245", s.got()[1].query.Get("after"))
}
