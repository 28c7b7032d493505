package clienttest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// complaints is a test that fails quietly.
type complaints struct {
	testing.TB

	all []string
}

func (*complaints) Helper() {}

func (c *complaints) Error(args ...any) { c.all = append(c.all, fmt.Sprint(args...)) }

func (c *complaints) Errorf(format string, args ...any) {
	c.all = append(c.all, fmt.Sprintf(format, args...))
}

func TestSecretsAreSeen(t *testing.T) {
	type credential struct{ key string }
	for name, v := range map[string]any{
		"field": credential{"secret-0001"}, "pointer": &credential{"secret-0001"}, "bytes": []byte("secret-0001"),
		"tagged": struct {
			Key string `json:"key"`
		}{"secret-0001"},
	} {
		var seen Seen
		seen.Show(v)
		var c complaints
		seen.Hides(&c, "secret-0001", "secret-0002")
		require.NotEmpty(t, c.all, name)
		for _, complaint := range c.all {
			require.Contains(t, complaint, "secret-0001 shows", name)
		}
	}
	var seen Seen
	var c complaints
	seen.Hides(&c, "secret-0001")
	require.Equal(t, []string{"nothing was shown"}, c.all)
	seen.Logger().Debug("logged", "key", "secret-0001")
	seen.Hides(&c, "secret-0001")
	require.Len(t, c.all, 2)
}

func TestServerAnswersInTurn(t *testing.T) {
	s := NewServer(t, func(r *http.Request, body string) string { return r.Method + " " + r.URL.Path + " " + body }, Answer(201, "1"), Answer(202, "2"))
	for i, status := range []int{201, 202, 202} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/%d", s.URL, i), http.NoBody)
		require.NoError(t, err)
		response, err := s.Client().Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode)
	}
	require.Equal(t, []string{"GET /0 ", "GET /1 ", "GET /2 "}, s.Requests())
}
