package gateway

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
)

// purpose says what a token is for. One that was made for another purpose is not accepted.
type purpose string

const (
	forState   purpose = "state"   // the cookie of a connection that was begun
	forSession purpose = "session" // the cookie of a merchant who has connected
	forForm    purpose = "form"    // what a form must bring back
	forPage    purpose = "page"    // what a Pay page was opened with
	forPayment purpose = "payment" // the payment that a Pay page follows
)

// keys has one key for each purpose. It is a function so that fmt shows an address.
type keys func(purpose) []byte

func newKeys(master tillroute.Secret) keys {
	of := map[purpose][]byte{}
	for _, p := range []purpose{forState, forSession, forForm, forPage, forPayment} {
		// The length is valid, and nothing else can fail.
		of[p], _ = hkdf.Key(sha256.New, []byte(master.Reveal()), nil, "tillroute xseries gateway "+string(p), sha256.Size)
	}
	return func(p purpose) []byte { return of[p] }
}

// errToken is a token that this handler did not make, or that has expired.
var errToken = errors.New("the token is not valid, or no longer")

// envelope is the content of a token.
type envelope[T any] struct {
	Until   int64 `json:"u"` // Unix seconds
	Content T     `json:"c"`
}

// seal makes a signed token of the content, which whoever has the token can read.
func seal[T any](k keys, p purpose, content T, ttl time.Duration) string {
	body := base64.RawURLEncoding.EncodeToString(encoded(envelope[T]{Until: time.Now().Add(ttl).Unix(), Content: content}))
	return body + "." + base64.RawURLEncoding.EncodeToString(sign(k, p, body))
}

// open returns the content of a token that seal made for the same purpose.
func open[T any](k keys, p purpose, token string) (T, error) {
	var e envelope[T]
	body, signature, _ := strings.Cut(token, ".")
	got, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(got, sign(k, p, body)) {
		return e.Content, errToken
	}
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(text, &e) != nil || time.Now().Unix() >= e.Until {
		var none T
		return none, errToken
	}
	return e.Content, nil
}

func sign(k keys, p purpose, body string) []byte {
	mac := hmac.New(sha256.New, k(p))
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

// nonce is a name that nobody guesses.
func nonce() string { return rand.Text() }
