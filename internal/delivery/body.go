package delivery

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// sensible is the largest length that is believed before the bytes are there.
const sensible = 64 << 10

// errRead is a body that somebody has read before us.
var errRead = fmt.Errorf("nothing is left of it: hand the request on as it came: %w", io.EOF)

// Body reads the body of a request. One that is larger than limit in bytes is an [*http.MaxBytesError].
func Body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, limit)
	if r.ContentLength <= 0 || r.ContentLength > sensible {
		body, err := io.ReadAll(limited)
		if err == nil && len(body) == 0 && r.ContentLength > 0 {
			err = errRead
		}
		return body, err
	}
	// One byte more than was said, to see that there isn't.
	body := make([]byte, r.ContentLength+1)
	n, err := io.ReadFull(limited, body)
	switch {
	case err == nil:
		rest, err := io.ReadAll(limited)
		return slices.Concat(body, rest), err
	case errors.Is(err, io.ErrUnexpectedEOF) && int64(n) == r.ContentLength:
		return body[:n], nil
	case errors.Is(err, io.EOF), errors.Is(err, http.ErrBodyReadAfterClose):
		// A sender who hangs up leaves an unexpected end.
		return nil, errRead
	default:
		return body[:n], err
	}
}
