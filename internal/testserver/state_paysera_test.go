package testserver

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// wallet sends a signed request to Paysera.
func (w *world) wallet(s signer, method, path, body string) answer {
	w.t.Helper()
	header := macHeader{id: s.id, ts: strconv.FormatInt(w.clock.now().Unix(), 10), nonce: newID()}
	if body != "" {
		sum := sha256.Sum256([]byte(body))
		header.ext = "body_hash=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sum[:]))
	}
	mac := macOf(s.key, macText(header, method, "/paysera"+path, "example.com", "80"))
	kind := "application/json"
	if strings.HasPrefix(path, "/oauth/") {
		kind = formType
	}
	return w.do(method, "/paysera"+path, body, "Content-Type", kind, "Authorization",
		`MAC id="`+header.id+`", ts="`+header.ts+`", nonce="`+header.nonce+`", mac="`+mac+`", ext="`+header.ext+`"`)
}

func (w *world) merchant() signer {
	d := w.Describe().Paysera
	return signer{id: d.ClientID, key: d.ClientSecret}
}

// walletTurn is one thing that happens around Paysera.
func (w *world) walletTurn(rng *rand.Rand) {
	pick := rng.IntN
	p := w.Paysera
	user := p.Users()[pick(2)]
	key := func() string {
		if n := len(p.world.Transactions); n > 0 {
			return p.world.Transactions[pick(n)].Key
		}
		return "x"
	}
	spot := func() string {
		if n := len(p.world.Spots); n > 0 {
			return strconv.FormatInt(p.world.Spots[pick(n)].ID, 10)
		}
		return "1"
	}
	rest := func(method, path, body string) { w.wallet(w.merchant(), method, "/rest/v1/"+path, body) }
	payment := `{"description":"<x>","price_decimal":"12.30","currency":"EUR","parameters":{"a":["b",1.50]},"price_rules":{"min":1},"freeze":{"for":60},
		"beneficiary":{"email":"new@example.com"},"password":{"type":"provided","value":"sesame"}}`
	turns := []func(){
		func() {
			_, err := user.CheckIn([]string{"PAYSERA*9975:A", "PAYSERA*3:B", "PAYSERA*48:C"}[pick(3)])
			require.NoError(w.t, err)
		},
		func() { _ = user.CheckOut() },
		func() { _ = user.Open(key()) },
		func() { _ = user.Pay(key()) },
		func() { _ = user.Decline(key()) },
		func() { _ = user.Unlock(key()) },
		func() { require.NoError(w.t, user.SetBalance(decimal.New(int64(pick(10_000)), -2))) },
		func() { require.NoError(w.t, user.Allow(pick(2) == 0)) },
		func() { _, _ = user.ReservationCode() },
		func() { _, _ = user.Token("balance") },
		func() { rest(http.MethodPost, "transaction", coffee(100)) },
		func() {
			rest(http.MethodPost, "transaction", `{"callback_uri":false,"reserve":{"for":60},"payments":[`+payment+`]}`)
		},
		func() { rest(http.MethodPost, "payment", payment) },
		func() { rest(http.MethodPost, "spot/"+spot()+"/order", `{"transaction":`+coffee(250)+`}`) },
		func() { rest(http.MethodPost, "spot/"+spot()+"/order", `{"transaction_key":"`+key()+`"}`) },
		func() { rest(http.MethodPut, "spot/"+spot()+"/close", "") },
		func() { rest(http.MethodPut, "transaction/"+key()+"/confirm", "") },
		func() { rest(http.MethodDelete, "transaction/"+key(), "") },
		func() { rest(http.MethodPost, "transaction/renew/"+key(), "") },
		func() { rest(http.MethodPost, "transaction/"+key()+"/request", `{"user_id":221}`) },
		func() { rest(http.MethodPut, "transaction/"+key()+"/flash/14471", "") },
		func() {
			rest(http.MethodPost, "project/123/location", `{"title":"Kiosk","working_hours":{"monday":{}}}`)
		},
		func() { rest(http.MethodPut, "project/123", `{"title":"Cafe"}`) },
		func() { w.clock.move(time.Duration(pick(100)) * time.Second) },
		func() { p.SetClock(time.Duration(pick(100)) * time.Second) },
		func() { p.SetCallbackURI("http://127.0.0.1:1/callback") },
		func() { p.HoldCallbacks() },
		func() { p.ReleaseCallbacks(pick(2) == 0) },
		func() { p.DuplicateCallbacks(pick(3)) },
		func() { p.LoseCallbacks(pick(3)) },
		func() {
			if d, _, _ := p.nextCallback(); d != nil { // nobody listens
				p.deliver(w.t.Context(), d)
			}
		},
		func() { p.RefuseNextAuthorization() },
		func() { p.GrantNextAuthorization("email") },
		func() { require.NoError(w.t, p.AuthorizeAs(222)) },
		func() {
			q := url.Values{"response_type": {"code"}, "client_id": {w.Describe().Paysera.AppID}, "redirect_uri": {"https://app.test/"}, "state": {"s"}}
			w.do(http.MethodGet, "/paysera/frontend/oauth?"+q.Encode(), "")
			d := w.Describe().Paysera
			w.wallet(signer{id: d.AppID, key: d.AppSecret}, http.MethodPost, "/oauth/v1/session", q.Encode())
		},
		func() { p.ExpireTokens() },
		func() {
			if pick(5) == 0 {
				p.RevokeTokens()
			}
		},
		func() {
			if pick(20) == 0 {
				w.Reset()
			}
		},
	}
	turns[pick(len(turns))]()
}

// TestTheNextProcessKnowsAllOfPaysera kills the process after every change, whatever has happened before.
func TestTheNextProcessKnowsAllOfPaysera(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 43))
			w := newWorld(t, Options{})
			w.Paysera.world.PrivateKey = "not needed" // making one takes long
			for i := range 120 {
				w.walletTurn(rng)
				next := w.restart()
				require.Empty(t, differences(w.Paysera, next.Paysera), "after %d turns", i)
				w = next
			}
		})
	}
}

func TestAReservationSurvives(t *testing.T) {
	w := newWorld(t, Options{})
	_, err := w.Paysera.User(221).CheckIn("PAYSERA*9975:A")
	require.NoError(t, err)
	token, err := w.Paysera.User(221).Token()
	require.NoError(t, err)
	before := w.Describe().Paysera

	w = w.restart()
	require.Equal(t, before, w.Describe().Paysera)
	john := signer{id: token.AccessToken, key: token.MACKey}
	spot := strconv.FormatInt(w.Paysera.Spots()[0].ID, 10)
	a := w.wallet(w.merchant(), http.MethodPost, "/rest/v1/spot/"+spot+"/order", `{"transaction":`+coffee(100)+`}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	key := parse[map[string]any](t, a.body)["transaction_key"].(string)
	require.Equal(t, http.StatusOK, w.wallet(john, http.MethodPut, "/rest/v1/transaction/"+key+"/reserve/me", "").status)

	w = w.restart()
	require.Equal(t, http.StatusOK, w.wallet(w.merchant(), http.MethodPut, "/rest/v1/transaction/"+key+"/confirm", "").status)
	w = w.restart()
	require.Equal(t, http.StatusConflict, w.wallet(w.merchant(), http.MethodPut, "/rest/v1/transaction/"+key+"/confirm", "").status)
	require.Len(t, w.Paysera.Charges(), 1, "charged once")
	pem := w.do(http.MethodGet, "/paysera/publickey", "").body
	require.Contains(t, pem, "BEGIN PUBLIC KEY")
	require.Equal(t, pem, w.restart().do(http.MethodGet, "/paysera/publickey", "").body)

	w.opts.Paysera = PayseraOptions{ClientID: "mine", ClientSecret: "sesame", AppID: "app", AppSecret: "s", CallbackURI: "https://shop.test/"}
	w = w.restart()
	d := w.Describe().Paysera
	require.Equal(t, []string{"mine", "sesame", "app", "s"}, []string{d.ClientID, d.ClientSecret, d.AppID, d.AppSecret})
	require.Equal(t, "https://shop.test/", w.Paysera.world.Sending.URI)
}

func TestStatesOfPayseraThatCannotBeUsed(t *testing.T) {
	w := newWorld(t, Options{})
	_, err := w.Paysera.User(221).CheckIn("PAYSERA*9975:A")
	require.NoError(t, err)
	spot := strconv.FormatInt(w.Paysera.Spots()[0].ID, 10)
	require.Equal(t, http.StatusOK, w.wallet(w.merchant(), http.MethodPost, "/rest/v1/spot/"+spot+"/order", `{"transaction":`+coffee(100)+`}`).status)
	raw, err := os.ReadFile(w.opts.StateFile)
	require.NoError(t, err)
	good := string(raw)
	for old, tt := range map[string]struct{ replacement, want string }{
		`"Location":9975`:              {`"Location":1`, "paysera: it is damaged: a spot is at the location 1"},
		`"Project":123,"Location":0`:   {`"Project":1,"Location":0`, "paysera: it is damaged: a transaction is of the project 1"},
		`"Orders":[{"ID":2004,"Key":"`: {`"Orders":[{"ID":2004,"Key":"x`, "paysera: it is damaged: an order has the transaction"},
		`"Payments":[2003]`:            {`"Payments":[1]`, "paysera: it is damaged: a transaction has the payment 1"},
		`"Wallet":14471`:               {`"Wallet":1`, "paysera: it is damaged: a user has the wallet 1"},
		`"Minutes":{}`:                 {`"Minutes":null`, "paysera: it is damaged: a part is missing"},
		`"NextID"`:                     {`"Next"`, `paysera: it is damaged: json: unknown field "Next"`},
	} {
		require.Contains(t, good, old)
		require.NoError(t, os.WriteFile(w.opts.StateFile, []byte(strings.Replace(good, old, tt.replacement, 1)), 0o600))
		require.ErrorContains(t, New(w.opts).Load(), tt.want, old)
	}
	// A file of a program that did not simulate Paysera.
	without, _, found := strings.Cut(good, `,"paysera":`)
	require.True(t, found)
	require.NoError(t, os.WriteFile(w.opts.StateFile, []byte(without+"}"), 0o600))
	require.Empty(t, w.restart().Paysera.Spots())
}
