package xseries

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tillroute/tillroute"
)

// ErrSignature is a webhook that none of the application's secrets signed: not the vendor's, or altered, or signed in another
// way than the [SignatureScheme] says.
var ErrSignature = errors.New("the signature is not the vendor's")

// SignatureScheme says how webhooks are signed. The vendor says that it is HMAC-SHA256 of the body with the application's
// client secret, and neither how that is written nor whether the body is the request's or its payload. The zero value is what
// its words say literally: the request's body as it came, in hexadecimal digits.
type SignatureScheme struct {
	// Encoding defaults to [SignatureHex], and Part to [SignedBody].
	Encoding SignatureEncoding
	Part     SignedPart
}

// SignatureEncoding says how a signature is written.
type SignatureEncoding int

// The ways to write a signature. Padding of base 64 may be there or not.
const (
	SignatureHex SignatureEncoding = iota
	SignatureBase64
	SignatureBase64URL
)

// SignedPart says what is signed.
type SignedPart int

// What may be signed.
const (
	// SignedBody is the whole body of the request as it came.
	SignedBody SignedPart = iota
	// SignedPayload is the value of the form's field payload.
	SignedPayload
)

func (s SignatureScheme) problem() string {
	if s.Encoding < SignatureHex || s.Encoding > SignatureBase64URL {
		return "Scheme.Encoding is not one of the known ones"
	}
	if s.Part < SignedBody || s.Part > SignedPayload {
		return "Scheme.Part is not one of the known ones"
	}
	return ""
}

// VerifySignature checks the signature of a webhook: body is the body of the request as it came, not yet parsed, and header
// has its X-Signature. It takes the same time wherever the signatures differ. Several secrets are for the time when one takes
// over from another; each of them will do.
//
// An error that matches [ErrSignature] is of kind Unauthorized. Secrets that are missing or empty are an error of kind
// Invalid.
//
// API reference: https://x-series-api.lightspeedhq.com/docs/webhooks
func VerifySignature(header http.Header, body []byte, scheme SignatureScheme, secrets ...tillroute.Secret) error {
	const operation = "VerifySignature"
	if problem := scheme.problem(); problem != "" {
		return tillroute.Invalid(System, operation, "%s", problem)
	}
	if problem := secretsProblem(secrets); problem != "" {
		return tillroute.Invalid(System, operation, "%s", problem)
	}
	refused := func(why string) error {
		return &tillroute.Error{
			System: System, Operation: operation, Kind: tillroute.KindUnauthorized, Outcome: tillroute.Failed, Message: why, Err: ErrSignature,
		}
	}
	text, why := signatureText(header.Values("X-Signature"))
	if why != "" {
		return refused(why)
	}
	signature, err := scheme.Encoding.decode(text)
	if err != nil {
		return refused("the signature is not written as expected: see SignatureScheme")
	}
	signed := body
	if scheme.Part == SignedPayload {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return refused("the body is not a form")
		}
		payload, ok, err := single(form, "payload")
		if err != nil || !ok {
			return refused("the form has not one payload")
		}
		signed = []byte(payload)
	}
	good := false
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write(signed)
		good = hmac.Equal(mac.Sum(nil), signature) || good
	}
	if !good {
		return refused("no secret of the application gives this signature: compare the client secret, and Scheme")
	}
	return nil
}

func secretsProblem(secrets []tillroute.Secret) string {
	if len(secrets) == 0 {
		return "Secrets are missing: the application's client secret, for one"
	}
	if slices.Contains(secrets, "") {
		return "Secrets has an empty one: look where it comes from"
	}
	return ""
}

// signatureText reads signature=…,algorithm=HMAC-SHA256, in any order.
func signatureText(values []string) (text, problem string) {
	switch len(values) {
	case 0:
		return "", "there is no X-Signature: look whether a proxy strips it, and who made the webhook"
	case 1:
	default:
		return "", "there is more than one X-Signature"
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(values[0], ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := fields[name]; !ok || twice {
			return "", "X-Signature can't be read"
		}
		fields[name] = value
	}
	if !strings.EqualFold(fields["algorithm"], "HMAC-SHA256") {
		return "", "X-Signature is not by HMAC-SHA256"
	}
	return fields["signature"], ""
}

func (e SignatureEncoding) decode(text string) ([]byte, error) {
	switch e {
	case SignatureBase64:
		return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	case SignatureBase64URL:
		return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	default:
		return hex.DecodeString(text)
	}
}
