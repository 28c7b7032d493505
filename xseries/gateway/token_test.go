package gateway

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pairing"
)

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(testKey)
		want := ask{Store: "acme", Register: "r", Kind: pairing.Refund, Amount: amount("10.5"), Page: nonce(), Opened: 7}
		token := seal(k, forPage, want, time.Minute)
		require.NotContains(t, token, "=", "it fits into a header and a page")
		got, err := open[ask](k, forPage, token)
		require.NoError(t, err)
		require.Equal(t, want, got)

		for _, p := range []purpose{forState, forSession, forForm, forPayment} {
			_, err := open[ask](k, p, token)
			require.ErrorIs(t, err, errToken, p)
		}
		_, err = open[ask](newKeys(testKey+"x"), forPage, token)
		require.ErrorIs(t, err, errToken, "another key")
		for i := range token {
			changed := []byte(token)
			changed[i] ^= 1
			if got, err := open[ask](k, forPage, string(changed)); err == nil {
				require.Equal(t, want, got, "the last character has bits that mean nothing")
				require.Equal(t, len(token)-1, i)
			}
		}
		body, signature, _ := strings.Cut(token, ".")
		for _, forged := range []string{
			"", ".", body, body + ".", "." + signature, body + "." + signature[:10], token + "." + signature, token + "=",
			base64.RawURLEncoding.EncodeToString([]byte(`{"u":99999999999,"c":{}}`)) + "." + signature,
		} {
			got, err := open[ask](k, forPage, forged)
			require.ErrorIs(t, err, errToken, forged)
			require.Zero(t, got)
		}

		time.Sleep(time.Minute - time.Second)
		_, err = open[ask](k, forPage, token)
		require.NoError(t, err)
		time.Sleep(time.Second)
		got, err = open[ask](k, forPage, token)
		require.ErrorIs(t, err, errToken, "expired")
		require.Zero(t, got)
	})
}

func TestNoncesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		n := nonce()
		require.GreaterOrEqual(t, len(n), 26)
		require.False(t, seen[n])
		seen[n] = true
	}
}

func TestKeysAreNotShown(t *testing.T) {
	k := newKeys(testKey)
	seen := map[string]bool{}
	for _, p := range []purpose{forState, forSession, forForm, forPage, forPayment} {
		require.Len(t, k(p), 32)
		require.False(t, seen[string(k(p))], "each purpose has its own")
		seen[string(k(p))] = true
	}
	h := newBench(t, func(c *Config) { c.OAuth.ClientSecret = "the-secret-of-the-application" }).Handler
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{h, h.keys, struct{ H *Handler }{h}} {
			text := fmt.Sprintf(verb, value)
			for _, secret := range []string{testKey.Reveal(), "the-secret-of-the-application", fmt.Sprintf("%v", h.keys(forPage)), string(h.keys(forPage))} {
				require.NotContains(t, text, secret, verb)
				require.NotContains(t, text, hex.EncodeToString([]byte(secret)), verb)
			}
		}
	}
	require.Equal(t, "gateway at https://pay.example.com/x", fmt.Sprint(h))
}

func FuzzOpen(f *testing.F) {
	k := newKeys(testKey)
	valid := seal(k, forPayment, follow{ID: "p", Kind: pairing.Purchase, Amount: amount("1"), Page: "page"}, time.Hour)
	for _, token := range []string{valid, "", ".", "a.b", valid[:len(valid)-1], valid + "A", seal(k, forPage, ask{}, time.Hour)} {
		f.Add(token)
	}
	sealed, err := open[follow](k, forPayment, valid)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, token string) {
		got, err := open[follow](k, forPayment, token)
		if err != nil {
			require.Equal(t, errToken, err)
			require.Zero(t, got)
			return
		}
		// The token may be that of another process, which sealed the same a second earlier.
		require.Equal(t, sealed, got, "only what was sealed is opened")
	})
}
