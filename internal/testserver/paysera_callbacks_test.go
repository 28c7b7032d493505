package testserver

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inbox collects the callbacks that come.
type inbox struct {
	*httptest.Server

	got    chan [2]string // event and sign
	status chan int       // what to answer, 200 when there is nothing
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{got: make(chan [2]string, 100), status: make(chan int, 100)}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.got <- [2]string{r.PostFormValue("event"), r.PostFormValue("sign")}
		select {
		case status := <-in.status:
			w.WriteHeader(status)
		default:
			_, _ = w.Write([]byte("OK"))
		}
	}))
	t.Cleanup(in.Close)
	return in
}

// verified reports whether an event is signed with the vendor's key.
func (w *wallet) verified(callback [2]string) bool {
	w.t.Helper()
	a := w.do(http.MethodGet, w.base+"/paysera/publickey", "")
	require.Equal(w.t, http.StatusOK, a.status)
	block, rest := pem.Decode([]byte(a.body))
	require.Empty(w.t, rest)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(w.t, err)
	public, ok := key.(*rsa.PublicKey)
	require.True(w.t, ok)
	require.Equal(w.t, 2048, public.N.BitLen())
	signature, err := base64.StdEncoding.DecodeString(callback[1])
	require.NoError(w.t, err)
	sum := sha256.Sum256([]byte(callback[0]))
	return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil
}

// settled waits until n callbacks are no longer pending and returns their types and states.
func (w *wallet) settled(n int) []string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), testPatience)
	defer cancel()
	list, err := w.Paysera.WaitCallbacks(ctx, n)
	require.NoError(w.t, err)
	texts := []string{}
	for _, c := range list {
		texts = append(texts, c.Type+" "+string(c.State))
	}
	return texts
}

func TestCallbacks(t *testing.T) {
	in := newInbox(t)
	w := newWallet(t, PayseraOptions{CallbackURI: in.URL, CallbackRetry: time.Millisecond})
	john := w.Paysera.User(221)
	key := w.transactionKey(coffee(100))
	require.NoError(t, john.Pay(key))
	got := <-in.got
	require.True(t, w.verified(got))
	event := parse[map[string]any](t, got[0])
	require.Equal(t, []any{"reserved", "transaction"}, []any{event["type"], event["object"]})
	require.Equal(t, key, event["data"].(map[string]any)["transaction_key"])
	w.ok(w.merchant, http.MethodPut, "transaction/"+key+"/confirm", "")

	byApp := w.transactionKey(coffee(100))
	w.ok(w.user(221), http.MethodPut, "transaction/"+byApp+"/reserve/me", "")
	w.ok(w.merchant, http.MethodDelete, "transaction/"+byApp, "")
	byMerchant := w.transactionKey(coffee(100))
	w.ok(w.merchant, http.MethodPut, "transaction/"+byMerchant+"/reserve/14471", `{"pin":"1234"}`)
	off := w.transactionKey(`{"callback_uri":false,` + coffee(100)[1:])
	require.NoError(t, john.Pay(off))
	require.NoError(t, john.Decline(w.transactionKey(coffee(100))))
	require.NoError(t, john.Pay(w.transactionKey(`{"auto_confirm":true,`+coffee(100)[1:])))
	require.NoError(t, john.Pay(w.transactionKey(coffee(1_000_000))))
	w.clock.move(24 * time.Hour)
	require.Equal(t, []string{"reserved delivered", "reserved delivered", "rejected delivered", "confirmed delivered", "waiting_funds delivered", "failed delivered"},
		w.settled(6), "nothing of what the client itself did, and no reserved before an automatic confirmed")
	list := w.Paysera.Callbacks()
	require.Equal(t, []any{"OK", 200, 1}, []any{list[0].Body, list[0].Status, list[0].Attempts})
	require.Empty(t, w.Violations())
}

func TestCallbacksThatGoWrong(t *testing.T) {
	in := newInbox(t)
	w := newWallet(t, PayseraOptions{CallbackURI: in.URL, CallbackRetry: time.Millisecond})
	decline := func() { require.NoError(t, w.Paysera.User(221).Decline(w.transactionKey(coffee(100)))) }
	w.Paysera.LoseCallbacks(1)
	decline()
	require.Equal(t, []string{"rejected lost"}, w.settled(1))
	w.Paysera.DuplicateCallbacks(1)
	decline()
	first, second := <-in.got, <-in.got
	require.Equal(t, first, second)
	in.status <- http.StatusInternalServerError
	decline()
	require.Equal(t, "rejected delivered", w.settled(4)[3])
	require.Equal(t, 2, w.Paysera.Callbacks()[3].Attempts)
	<-in.got
	<-in.got

	w.Paysera.ForgeCallbacks(1)
	decline()
	require.False(t, w.verified(<-in.got))
	decline()
	before := <-in.got
	require.True(t, w.verified(before))
	w.Paysera.RotateKey()
	require.False(t, w.verified(before))

	w.settled(6)
	w.Paysera.HoldCallbacks()
	require.NoError(t, w.Paysera.User(221).Pay(w.transactionKey(coffee(100))))
	decline()
	w.Paysera.ReleaseCallbacks(true)
	require.Contains(t, (<-in.got)[0], "rejected")
	require.Contains(t, (<-in.got)[0], "reserved")
	for range callbackRetries + 1 {
		in.status <- http.StatusBadGateway
	}
	decline()
	require.Equal(t, "rejected failed", w.settled(9)[8])
}
