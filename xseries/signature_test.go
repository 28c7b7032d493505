package xseries_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

// The vectors were computed with another implementation.
const (
	vectorSecret = tillroute.Secret("unit-lightspeed-client-secret")
	vectorBody   = "payload=%7B%22a%22%3A1%7D&domain_prefix=x&environment=production"
	vectorHex    = "ffd4b298008c45ecd13f69c0239aa15fe7612ab480d36fe158c5f9f882c15e02"
	emptyHex     = "aa81478116f860a004add86213a9c206e42009d4a11575f044a9c18f7715f737"
)

func signed(value string) http.Header {
	return http.Header{"X-Signature": {"signature=" + value + ",algorithm=HMAC-SHA256"}}
}

func sum(secret tillroute.Secret, text string) []byte {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func TestSignatureVectors(t *testing.T) {
	require.NoError(t, xseries.VerifySignature(signed(vectorHex), []byte(vectorBody), xseries.SignatureScheme{}, vectorSecret))
	require.NoError(t, xseries.VerifySignature(signed(emptyHex), nil, xseries.SignatureScheme{}, vectorSecret))
	require.ErrorIs(t, xseries.VerifySignature(signed(vectorHex), nil, xseries.SignatureScheme{}, vectorSecret), xseries.ErrSignature)
}

func TestSignatureSchemes(t *testing.T) {
	raw, err := hex.DecodeString(vectorHex)
	require.NoError(t, err)
	payload := sum(vectorSecret, `{"a":1}`)
	for name, test := range map[string]struct {
		scheme xseries.SignatureScheme
		good   []string
	}{
		"hex": {xseries.SignatureScheme{}, []string{vectorHex, "FFD4B298008C45ECD13F69C0239AA15FE7612AB480D36FE158C5F9F882C15E02"}},
		"base64": {
			xseries.SignatureScheme{Encoding: xseries.SignatureBase64},
			[]string{base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw)},
		},
		"base64url": {
			xseries.SignatureScheme{Encoding: xseries.SignatureBase64URL},
			[]string{base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw)},
		},
		"payload": {xseries.SignatureScheme{Part: xseries.SignedPayload}, []string{hex.EncodeToString(payload)}},
		"payload in base64": {
			xseries.SignatureScheme{Part: xseries.SignedPayload, Encoding: xseries.SignatureBase64}, []string{base64.StdEncoding.EncodeToString(payload)},
		},
	} {
		for _, value := range test.good {
			require.NoError(t, xseries.VerifySignature(signed(value), []byte(vectorBody), test.scheme, vectorSecret), name)
			require.NoError(t, xseries.VerifySignature(signed(value), []byte(vectorBody), test.scheme, "old-secret", vectorSecret), name)
			require.NoError(t, xseries.VerifySignature(signed(value), []byte(vectorBody), test.scheme, vectorSecret, "new-secret"), name)
			require.ErrorIs(t, xseries.VerifySignature(signed(value), []byte(vectorBody), test.scheme, "another"), xseries.ErrSignature, name)
			require.ErrorIs(t, xseries.VerifySignature(signed(value), []byte("payload=%7B%22a%22%3A2%7D"), test.scheme, vectorSecret), xseries.ErrSignature, name)
		}
		for other, wrong := range map[string]xseries.SignatureScheme{
			"encoding": {Encoding: (test.scheme.Encoding + 1) % 3, Part: test.scheme.Part}, "part": {Encoding: test.scheme.Encoding, Part: 1 - test.scheme.Part},
		} {
			require.ErrorIs(t, xseries.VerifySignature(signed(test.good[0]), []byte(vectorBody), wrong, vectorSecret), xseries.ErrSignature, name+other)
		}
	}
	for _, body := range []string{"payload=1&payload=1", "other=1", "%zz"} {
		scheme := xseries.SignatureScheme{Part: xseries.SignedPayload}
		err := xseries.VerifySignature(signed(hex.EncodeToString(sum(vectorSecret, ""))), []byte(body), scheme, vectorSecret)
		require.ErrorIs(t, err, xseries.ErrSignature, body)
	}
}

func TestSignatureHeader(t *testing.T) {
	for value, ok := range map[string]bool{
		"signature=" + vectorHex + ",algorithm=HMAC-SHA256":                    true,
		"signature=" + vectorHex + ", algorithm=HMAC-SHA256":                   true,
		"algorithm=HMAC-SHA256,signature=" + vectorHex:                         true,
		"signature=" + vectorHex + ",algorithm=hmac-sha256":                    true,
		"signature=" + vectorHex + ",algorithm=HMAC-SHA256,version=2":          true,
		"signature=" + vectorHex:                                               false,
		"signature=" + vectorHex + ",algorithm=none":                           false,
		"signature=" + vectorHex + ",algorithm=HMAC-SHA1":                      false,
		"signature=" + vectorHex + ",algorithm=HMAC-SHA256,algorithm=HMAC-MD5": false,
		"algorithm=HMAC-MD5,algorithm=HMAC-SHA256,signature=" + vectorHex:      false,
		"signature=,algorithm=HMAC-SHA256":                                     false,
		"algorithm=HMAC-SHA256":                                                false,
		"signature=" + vectorHex[:62] + ",algorithm=HMAC-SHA256":               false,
		"signature=" + vectorHex + "00,algorithm=HMAC-SHA256":                  false,
		vectorHex: false,
		"":        false,
		",":       false,
	} {
		err := xseries.VerifySignature(http.Header{"X-Signature": {value}}, []byte(vectorBody), xseries.SignatureScheme{}, vectorSecret)
		if ok {
			require.NoError(t, err, value)
			continue
		}
		require.ErrorIs(t, err, xseries.ErrSignature, value)
		require.ErrorIs(t, err, tillroute.ErrUnauthorized, value)
	}
	good := signed(vectorHex)["X-Signature"][0]
	for _, values := range [][]string{nil, {good, good}} {
		err := xseries.VerifySignature(http.Header{"X-Signature": values}, []byte(vectorBody), xseries.SignatureScheme{}, vectorSecret)
		require.ErrorIs(t, err, xseries.ErrSignature)
	}
}

func TestSignatureNeedsSecrets(t *testing.T) {
	empty := hex.EncodeToString(sum("", vectorBody))
	for _, secrets := range [][]tillroute.Secret{nil, {""}, {vectorSecret, ""}} {
		err := xseries.VerifySignature(signed(empty), []byte(vectorBody), xseries.SignatureScheme{}, secrets...)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.NotErrorIs(t, err, xseries.ErrSignature, "it is not the vendor's fault")
	}
	for _, scheme := range []xseries.SignatureScheme{{Encoding: 3}, {Encoding: -1}, {Part: 2}, {Part: -1}} {
		require.ErrorIs(t, xseries.VerifySignature(signed(vectorHex), []byte(vectorBody), scheme, vectorSecret), tillroute.ErrInvalid)
	}
}

func FuzzVerifySignature(f *testing.F) {
	f.Add("signature="+vectorHex+",algorithm=HMAC-SHA256", vectorBody, 0, 0)
	f.Add("signature==,algorithm=HMAC-SHA256", "payload=1", 1, 1)
	f.Fuzz(func(t *testing.T, header, body string, encoding, part int) {
		scheme := xseries.SignatureScheme{Encoding: xseries.SignatureEncoding(encoding), Part: xseries.SignedPart(part)}
		err := xseries.VerifySignature(http.Header{"X-Signature": {header}}, []byte(body), scheme, vectorSecret)
		if err != nil || body == vectorBody || body == "" {
			return
		}
		form, err := url.ParseQuery(body)
		if err != nil || form.Get("payload") != `{"a":1}` {
			t.Errorf("%q was taken for the signature of %q", header, body)
		}
	})
}
