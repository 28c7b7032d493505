package testserver

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFields(t *testing.T) {
	thing := func() document {
		order := document{plain: map[string]any{"id": 2, "status": "pending"}, extra: map[string]any{
			"transaction": document{plain: map[string]any{"key": "k", "wallet": nil}, extra: map[string]any{"project": "p"}},
		}}
		return document{plain: map[string]any{"id": 1, "orders": []document{order}, "place": map[string]any{"title": "t", "address": "a"}}}
	}
	for fields, want := range map[string]string{
		"*":                        `{"id":1,"orders":[{"id":2,"status":"pending"}],"place":{"title":"t","address":"a"}}`,
		"id":                       `{"id":1}`,
		"id,place.title":           `{"id":1,"place":{"title":"t"}}`,
		"orders":                   `{"orders":[{"id":2,"status":"pending"}]}`,
		"orders.id":                `{"orders":[{"id":2}]}`,
		"orders.transaction":       `{"orders":[{"transaction":{"key":"k","wallet":null}}]}`,
		"orders.transaction.key":   `{"orders":[{"transaction":{"key":"k"}}]}`,
		"*,orders.transaction":     `{"id":1,"orders":[{"id":2,"status":"pending","transaction":{"key":"k","wallet":null}}],"place":{"title":"t","address":"a"}}`,
		"*,orders.transaction.key": `{"id":1,"orders":[{"id":2,"status":"pending","transaction":{"key":"k","wallet":null}}],"place":{"title":"t","address":"a"}}`,
		"orders.transaction.project,orders.*,nothing": `{"orders":[{"id":2,"status":"pending","transaction":{"key":"k","wallet":null,"project":"p"}}]}`,
		"": `{}`,
	} {
		parsed, err := parseFields([]string{fields})
		require.NoError(t, err)
		x := &exchange{header: http.Header{}}
		x.json(http.StatusOK, pick(thing(), parsed))
		require.JSONEq(t, want, string(x.out), fields)
	}
	x := &exchange{header: http.Header{}}
	x.json(http.StatusOK, pick(thing(), nil))
	require.JSONEq(t, `{"id":1,"orders":[{"id":2,"status":"pending"}],"place":{"title":"t","address":"a"}}`, string(x.out))
	_, err := parseFields([]string{"*,orders."})
	require.ErrorContains(t, err, "field cannot end with a dot")
}

func TestPagesOfAList(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	for range 23 {
		w.transactionKey(coffee(100))
	}
	list := func(query string) (int, any) {
		got := w.ok(w.merchant, http.MethodGet, "transactions"+query, "")
		return len(got["transactions"].([]any)), got["_metadata"]
	}
	n, metadata := list("")
	require.Equal(t, 20, n)
	require.Equal(t, map[string]any{"total": 23.0, "offset": 0.0, "limit": 20.0}, metadata)
	n, metadata = list("?offset=20")
	require.Equal(t, 3, n)
	require.Equal(t, map[string]any{"total": 23.0, "offset": 20.0, "limit": 20.0}, metadata)
	n, _ = list("?limit=200&offset=24")
	require.Zero(t, n)
	n, _ = list("?limit=0")
	require.Zero(t, n)
	require.Empty(t, w.Violations())
	for query, text := range map[string]string{
		"limit=201": "limit cannot exceed 200", "limit=-1": "limit cannot be negative", "offset=-1": "offset cannot be negative",
		"limit=x": "Invalid parameter: limit", "offset=": "Invalid parameter: offset",
	} {
		w.ExpectViolation(text)
		w.no(w.merchant, http.MethodGet, "transactions?"+query, "", http.StatusBadRequest, "invalid_parameters", text)
	}
}
