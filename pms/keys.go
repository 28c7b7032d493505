package pms

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"

	"github.com/tillroute/tillroute"
)

// Key is what Lightspeed proves itself with: the API key that the provider was registered with ([Provider]).
type Key struct {
	// APIKey is the key. Required.
	APIKey tillroute.Secret
	// Business restricts the key to this BusinessExternalReference. Empty allows each. Keys of different businesses are
	// independent: what is delivered with one is never taken for a repetition of what is delivered with another. So a key that
	// takes over from another has the same Business.
	Business string
}

// keys are the keys of a handler, hashed, so that comparing them tells nothing, not even their lengths.
type keys []hashedKey

type hashedKey struct {
	hash     [sha256.Size]byte
	business string
}

func hashKeys(list []Key) keys {
	hashed := make(keys, len(list))
	for i, k := range list {
		hashed[i] = hashedKey{sha256.Sum256([]byte(k.APIKey.Reveal())), k.Business}
	}
	return hashed
}

// check returns the business whose key it is, which is empty for a key of all, and whether it is one. It takes the same time
// whichever key it is.
func (k keys) check(apiKey, reference string) (business string, ok bool) {
	hash := sha256.Sum256([]byte(apiKey))
	for i := range k {
		good := subtle.ConstantTimeCompare(hash[:], k[i].hash[:]) == 1 && (k[i].business == "" || k[i].business == reference)
		// A key of the business goes before one of all, whatever their order.
		if good && (!ok || business == "") {
			business, ok = k[i].business, true
		}
	}
	return business, ok
}

func unauthorized() *Refusal {
	return &Refusal{Message: "The API key is wrong: check the PMS settings", Status: http.StatusUnauthorized}
}

// LogURL returns the path and the query of a URL, with "[redacted]" for the API key, for logs of requests: searches have the key
// in their query. A query that can't be read is left out.
func LogURL(u *url.URL) string {
	path := u.EscapedPath()
	if u.RawQuery == "" {
		return path
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return path + "?[redacted]"
	}
	for name := range query {
		if strings.EqualFold(name, "apiKey") {
			query.Set(name, "[redacted]")
		}
	}
	return path + "?" + query.Encode()
}
