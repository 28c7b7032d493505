package delivery_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/delivery"
)

func TestBody(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, test := range map[string]struct {
		body   string
		length int64
		limit  int64
		want   string
		err    string
	}{
		"of the length that was said":   {"abc", 3, 10, "abc", ""},
		"length unsaid":                 {"abc", -1, 10, "abc", ""},
		"length unknown to a client":    {"abc", 0, 10, "abc", ""},
		"empty":                         {"", 0, 10, "", ""},
		"as large as it may be":         {"abc", 3, 3, "abc", ""},
		"too large":                     {"abcd", 4, 3, "", "too large"},
		"too large, unsaid":             {"abcd", -1, 3, "", "too large"},
		"too large, and a lie":          {"abcd", 3, 3, "", "too large"},
		"broken off":                    {"ab", 3, 10, "", "unexpected EOF"},
		"broken off at the beginning":   {"", 3, 10, "", "EOF"},
		"unpacked on the way":           {long, 3, 1 << 20, long, ""},
		"long":                          {long, int64(len(long)), 1 << 20, long, ""},
		"not as long as it says by far": {"abc", 1 << 60, 10, "abc", ""},
	} {
		for reader, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader, "with its end": iotest.DataErrReader,
		} {
			t.Run(name+", "+reader, func(t *testing.T) {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
				r.Body, r.ContentLength = io.NopCloser(wrap(strings.NewReader(test.body))), test.length
				body, err := delivery.Body(httptest.NewRecorder(), r, test.limit)
				if test.err != "" {
					require.ErrorContains(t, err, test.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, test.want, string(body))
			})
		}
	}
}

func TestBodyThatWasReadBefore(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int{"small": 10, "large": 100_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(strings.Repeat("x", length)))
			_, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			_, err = delivery.Body(httptest.NewRecorder(), r, 1<<20)
			require.ErrorContains(t, err, "hand the request on as it came")
		})
	}
}
