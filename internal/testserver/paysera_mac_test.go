package testserver

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// macVector is a published signature.
type macVector struct {
	Source     string `json:"source"`
	ID         string `json:"id"`
	Key        string `json:"key"`
	TS         string `json:"ts"`
	Nonce      string `json:"nonce"`
	Method     string `json:"method"`
	Path       string `json:"path"`
	Host       string `json:"host"`
	Port       int    `json:"port"`
	Ext        string `json:"ext"`
	Body       string `json:"body"`
	Normalized string `json:"normalized_request_string"`
	MAC        string `json:"expected_mac"`
	Header     string `json:"authorization_header"`
}

func (v macVector) header() string {
	if v.Header != "" {
		return v.Header
	}
	text := `MAC id="` + v.ID + `", ts="` + v.TS + `", nonce="` + v.Nonce + `", mac="` + v.MAC + `"`
	if v.Ext != "" {
		text += `, ext="` + v.Ext + `"`
	}
	return text
}

func macVectors(t *testing.T) []macVector {
	t.Helper()
	vectors := parse[[]macVector](t, fixture(t, "paysera_mac_vectors.json"))
	require.Len(t, vectors, 14)
	return vectors
}

func TestTheStringThatIsSigned(t *testing.T) {
	for _, v := range macVectors(t) {
		header, err := parseMAC(v.header())
		require.NoError(t, err, v.Source)
		text := macText(header, v.Method, v.Path, v.Host, strconv.Itoa(v.Port))
		require.Equal(t, v.Normalized, text, v.Source)
		require.Equal(t, v.MAC, macOf(v.Key, text), v.Source)
		require.Equal(t, text, macText(header, strings.ToLower(v.Method), v.Path, strings.ToUpper(v.Host), strconv.Itoa(v.Port)))
	}
}

// TestTheWholeSystemTakesThePublishedRequests sends them as they were published, to the host for which they are signed.
func TestTheWholeSystemTakesThePublishedRequests(t *testing.T) {
	for _, v := range macVectors(t) {
		send := func(change func(r *http.Request)) (int, []string) {
			e := newEngine(func() time.Time { return time.Unix(1343811600, 0) })
			p := newPaysera(e, PayseraOptions{ClientID: v.ID, ClientSecret: v.Key})
			r := httptest.NewRequestWithContext(t.Context(), v.Method, v.Path, strings.NewReader(v.Body))
			r.Host, r.TLS = v.Host, &tls.ConnectionState{}
			r.Header.Set("Authorization", v.header())
			if v.Body != "" {
				r.Header.Set("Content-Type", "application/json;charset=utf-8")
			}
			change(r)
			rec := httptest.NewRecorder()
			e.handler(payseraName, "", p).ServeHTTP(rec, r)
			var texts []string
			for _, violation := range e.Violations() {
				texts = append(texts, violation.Text)
			}
			return rec.Code, texts
		}
		status, violations := send(func(*http.Request) {})
		require.NotEqual(t, http.StatusUnauthorized, status, v.Source)
		for _, text := range violations { // check-in needs a user, and the credential is a merchant's
			require.Contains(t, text, "this call needs the access token of a user", v.Source)
		}
		for name, change := range map[string]func(r *http.Request){
			"query":  func(r *http.Request) { r.RequestURI += "&" },
			"method": func(r *http.Request) { r.Method = http.MethodPatch },
			"host":   func(r *http.Request) { r.Host = "wallet.paysera.net" },
			"port":   func(r *http.Request) { r.Host += ":8443" },
			"scheme": func(r *http.Request) { r.TLS = nil },
			"ts": func(r *http.Request) {
				r.Header.Set("Authorization", strings.Replace(v.header(), v.TS, "1343811601", 1))
			},
			"ext": func(r *http.Request) {
				r.Header.Set("Authorization", strings.Replace(v.header(), `, ext="`, `, ext="x=1&`, 1)+strings.Repeat(`, ext="x=1"`, 1-min(len(v.Ext), 1)))
			},
		} {
			status, violations := send(change)
			if name == "method" && status == http.StatusMethodNotAllowed {
				continue // before the signature is looked at
			}
			require.Equal(t, http.StatusUnauthorized, status, v.Source+": "+name)
			require.Contains(t, strings.Join(violations, "\n"), "mac is wrong", v.Source+": "+name)
		}
		if v.Body != "" {
			status, violations := send(func(r *http.Request) { r.Body = http.NoBody })
			require.Equal(t, http.StatusUnauthorized, status)
			require.Equal(t, []string{"ext has a body_hash, but there is no body"}, violations)
		}
	}
}

func TestParseMAC(t *testing.T) {
	const good = `MAC id="i", ts="1", nonce="n o", mac="m"`
	header, err := parseMAC(good + `, ext="a=1&b=2"`)
	require.NoError(t, err)
	require.Equal(t, macHeader{id: "i", ts: "1", nonce: "n o", mac: "m", ext: "a=1&b=2", hasExt: true}, header)
	header, err = parseMAC(`mac nonce="n",mac="m" ,  ts="1",id="i",ext=""`)
	require.NoError(t, err, "order and space do not matter, an empty ext is sent by the vendor's own programs")
	require.True(t, header.hasExt)
	for text, want := range map[string]string{
		"":                                      "scheme",
		"Bearer x":                              "scheme",
		"MAC":                                   "scheme",
		"MAC x":                                 "no attribute begins at",
		`MAC id="i", ts="1", nonce="n"`:         "mac of Authorization is missing",
		`MAC id="", ts="1", nonce="n", mac="m"`: "id of Authorization is missing or empty",
		good + `,`:                              "nothing after the last comma",
		good + ` id="i"`:                        "no comma",
		good + `, id="i"`:                       "twice",
		good + `, bodyhash="x"`:                 `unknown attribute "bodyhash"`,
		good + `, ext="x`:                       "has no end",
		good + `, ext="\x"`:                     "backslash",
		good + ", ext=\"\x7f\"":                 "printable",
		`MAC id="i", ts="-1", nonce="n", mac="m"`:            "UNIX seconds",
		`MAC id="i", ts="1.5", nonce="n", mac="m"`:           "UNIX seconds",
		`MAC id="i", ts="1000000000000", nonce="n", mac="m"`: "UNIX seconds",
	} {
		_, err := parseMAC(text)
		require.ErrorContains(t, err, want, text)
	}
}

// wallet is the rig with the three who call: the merchant, the app, and users through it.
type wallet struct {
	*rig

	merchant signer
	app      signer
	nonces   int
}

// signer signs requests.
type signer struct{ id, key, ext string }

func newWallet(t *testing.T, opts PayseraOptions) *wallet {
	t.Helper()
	r := newRig(t, Options{Paysera: opts})
	d := r.Describe().Paysera
	return &wallet{rig: r, merchant: signer{id: d.ClientID, key: d.ClientSecret}, app: signer{id: d.AppID, key: d.AppSecret}}
}

// user is somebody with an access token.
func (w *wallet) user(id int64) signer {
	w.t.Helper()
	token, err := w.Paysera.User(id).Token()
	require.NoError(w.t, err)
	return signer{id: token.AccessToken, key: token.MACKey}
}

// authorization is a fresh Authorization header for a request.
func (w *wallet) authorization(s signer, method, path, body string) string {
	w.t.Helper()
	u, err := url.Parse(w.base + "/paysera" + path)
	require.NoError(w.t, err)
	ext := []string{}
	if body != "" {
		sum := sha256.Sum256([]byte(body))
		ext = append(ext, "body_hash="+url.QueryEscape(base64.StdEncoding.EncodeToString(sum[:])))
	}
	if s.ext != "" {
		ext = append(ext, s.ext)
	}
	w.nonces++
	header := macHeader{id: s.id, ts: strconv.FormatInt(w.clock.now().Unix(), 10), nonce: "n" + strconv.Itoa(w.nonces), ext: strings.Join(ext, "&")}
	mac := macOf(s.key, macText(header, method, u.RequestURI(), u.Hostname(), u.Port()))
	return `MAC id="` + header.id + `", ts="` + header.ts + `", nonce="` + header.nonce + `", mac="` + mac + `", ext="` + header.ext + `"`
}

// call sends a signed request.
func (w *wallet) call(s signer, method, path, body string) answer {
	w.t.Helper()
	header := []string{"Authorization", w.authorization(s, method, path, body)}
	if body != "" {
		kind := "application/json"
		if strings.HasPrefix(path, "/oauth/") {
			kind = formType
		}
		header = append(header, "Content-Type", kind)
	}
	return w.do(method, w.base+"/paysera"+path, body, header...)
}

// ok is a call that must be answered with 200.
func (w *wallet) ok(s signer, method, path, body string) map[string]any {
	w.t.Helper()
	a := w.call(s, method, "/rest/v1/"+path, body)
	require.Equal(w.t, http.StatusOK, a.status, a.body)
	require.Equal(w.t, "application/json;charset=utf-8", a.header.Get("Content-Type"))
	require.NotEmpty(w.t, a.header.Get("Paysera-Correlation-Id"))
	return parse[map[string]any](w.t, a.body)
}

// no is a call that must be refused.
func (w *wallet) no(s signer, method, path, body string, status int, code, description string) {
	w.t.Helper()
	a := w.call(s, method, "/rest/v1/"+path, body)
	require.Equal(w.t, status, a.status, a.body)
	got := parse[map[string]any](w.t, a.body)
	require.Equal(w.t, code, got["error"], a.body)
	require.Contains(w.t, got["error_description"], description)
}

func TestWhatIsWrongWithASignature(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	const path = "/rest/v1/client"
	try := func(header ...string) (int, string) {
		a := w.do(http.MethodGet, w.base+"/paysera"+path, "", header...)
		code, _ := parse[map[string]any](t, a.body)["error"].(string)
		return a.status, code
	}
	refused := func(violation string, header ...string) {
		w.ExpectViolation(violation)
		before := len(w.Violations())
		status, code := try(header...)
		require.Equal(t, http.StatusUnauthorized, status)
		require.Equal(t, "unauthorized", code)
		require.Contains(t, w.Violations()[before].Text, violation)
	}
	good := w.authorization(w.merchant, http.MethodGet, path, "")
	status, _ := try("Authorization", good)
	require.Equal(t, http.StatusOK, status)
	refused("nonce was used before", "Authorization", good)
	refused("no Authorization")
	refused("scheme of Authorization is not MAC", "Authorization", "Bearer x")
	refused("mac is wrong", "Authorization", w.authorization(signer{id: w.merchant.id, key: "wrong"}, http.MethodGet, path, ""))
}

func TestSignaturesBehindAPublicURL(t *testing.T) {
	for public, want := range map[string]struct{ uri, port string }{
		"":                        {"/paysera/rest/v1/client", "80"},
		"http://sims.test":        {"/paysera/rest/v1/client", "80"},
		"https://sims.test/demo/": {"/demo/paysera/rest/v1/client", "443"},
	} {
		sys := New(Options{PublicURL: public})
		d := sys.Describe().Paysera
		header := macHeader{id: d.ClientID, ts: strconv.FormatInt(time.Now().Unix(), 10), nonce: "n"}
		mac := macOf(d.ClientSecret, macText(header, http.MethodGet, want.uri, "sims.test", want.port))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/paysera/rest/v1/client", nil)
		r.Host = "Sims.test"
		r.Header.Set("Authorization", `MAC id="`+header.id+`", ts="`+header.ts+`", nonce="n", mac="`+mac+`"`)
		rec := httptest.NewRecorder()
		sys.Handler().ServeHTTP(rec, r)
		require.Equal(t, http.StatusOK, rec.Code, public)
	}
}

func TestBodiesAreSigned(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	const path, body = "/rest/v1/transaction/x/request", `{"user_id":221}`
	send := func(authorization, body string) answer {
		return w.do(http.MethodPost, w.base+"/paysera"+path, body, "Authorization", authorization, "Content-Type", "application/json")
	}
	require.Equal(t, http.StatusNotFound, send(w.authorization(w.merchant, http.MethodPost, path, body), body).status)
	w.ExpectViolation("body_hash is wrong")
	require.Equal(t, http.StatusUnauthorized, send(w.authorization(w.merchant, http.MethodPost, path, body), body+" ").status)
	w.ExpectViolation("ext has no body_hash, but there is a body")
	require.Equal(t, http.StatusUnauthorized, send(w.authorization(w.merchant, http.MethodPost, path, ""), body).status)
	w.ExpectViolation("ext has a body_hash, but there is no body")
	require.Equal(t, http.StatusUnauthorized, send(w.authorization(w.merchant, http.MethodPost, path, body), "").status)

	sum := sha256.Sum256([]byte(body))
	hash := "body_hash=" + strings.ReplaceAll(url.QueryEscape(base64.StdEncoding.EncodeToString(sum[:])), "%2F", "/")
	unescaped := signer{id: w.merchant.id, key: w.merchant.key, ext: "&" + hash + "&project_id=123"}
	require.Equal(t, http.StatusNotFound, send(w.authorization(signer{unescaped.id, unescaped.key, hash}, http.MethodPost, path, ""), body).status, "as Swift does")
	w.ExpectViolation("body_hash is not the first parameter of ext")
	require.Equal(t, http.StatusNotFound, send(w.authorization(unescaped, http.MethodPost, path, ""), body).status)
}

func TestTheClock(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	for _, tt := range []struct {
		ahead time.Duration
		text  string
	}{
		{5*time.Minute + time.Second, textTooOld}, {-5*time.Minute - time.Second, textFuture}, {5*time.Minute - time.Second, ""}, {-5 * time.Minute, ""},
	} {
		w.Paysera.SetClock(tt.ahead)
		a := w.do(http.MethodGet, w.base+"/paysera/rest/v1/server", "")
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, w.clock.now().Add(tt.ahead).Unix(), parse[map[string]int64](t, a.body)["time"])
		if tt.text == "" {
			w.ok(w.merchant, http.MethodGet, "client", "")
			continue
		}
		w.no(w.merchant, http.MethodGet, "client", "", http.StatusUnauthorized, "invalid_timestamp", tt.text)
	}
	require.Empty(t, w.Violations(), "a wrong clock happens to a correct client")

	header := w.authorization(w.merchant, http.MethodGet, "/rest/v1/client", "")
	require.Equal(t, http.StatusOK, w.do(http.MethodGet, w.base+"/paysera/rest/v1/client", "", "Authorization", header).status)
	w.ExpectViolation("nonce was used before")
	for range 10 { // as long as the timestamp is good
		w.clock.move(time.Minute)
		status := w.do(http.MethodGet, w.base+"/paysera/rest/v1/client", "", "Authorization", header).status
		require.Equal(t, http.StatusUnauthorized, status)
	}
}

func TestWhatTheClientRepresents(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	as := func(ext string) signer { return signer{id: w.merchant.id, key: w.merchant.key, ext: ext} }
	w.ok(as("project_id=123&location_id=9975&something=else"), http.MethodGet, "client", "")
	w.no(as("project_id=124"), http.MethodGet, "client", "", http.StatusForbidden, "forbidden", textOtherProject)
	w.no(as("location_id=48"), http.MethodGet, "client", "", http.StatusForbidden, "forbidden", textOtherProject)
	w.ExpectViolation("Invalid parameter: project_id")
	w.no(as("project_id=x"), http.MethodGet, "client", "", http.StatusBadRequest, "invalid_parameters", "project_id")
	w.ExpectViolation("ext has the parameter project_id 2 times")
	w.ok(as("project_id=123&project_id=123"), http.MethodGet, "client", "")
}

func TestClientCertificates(t *testing.T) {
	sys := New(Options{})
	call := func(name string, header ...string) (int, []Violation) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/paysera/rest/v1/spots", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: name}}}}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		sys.Handler().ServeHTTP(rec, r)
		return rec.Code, sys.Violations()
	}
	id := sys.Describe().Paysera.ClientID
	status, violations := call(id, "Wallet-Api-Project-Id", "123", "Wallet-Api-Location-Id", "9975")
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, violations)
	status, _ = call(id, "Wallet-Api-Project-Id", "124")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = call("somebody")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestHeadersOfCertificatesDoNotGoWithSignatures(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	w.ExpectViolation("header Wallet-Api-Project-Id goes with client certificates")
	a := w.do(http.MethodGet, w.base+"/paysera/rest/v1/client", "", "Wallet-Api-Project-Id", "123",
		"Authorization", w.authorization(w.merchant, http.MethodGet, "/rest/v1/client", ""))
	require.Equal(t, http.StatusOK, a.status)
}

func TestRateLimitsOfTokensAndAccounts(t *testing.T) {
	w := newWallet(t, PayseraOptions{RateLimit: 2, AccountLimit: 4})
	john := w.user(221)
	for range 2 {
		w.ok(john, http.MethodGet, "client", "")
	}
	w.no(john, http.MethodGet, "client", "", http.StatusTooManyRequests, "rate_limit_exceeded", "access token")
	w.ok(w.user(221), http.MethodGet, "client", "")
	w.clock.move(time.Minute)
	w.ok(john, http.MethodGet, "client", "")
	w.no(john, http.MethodGet, "client", "", http.StatusTooManyRequests, "rate_limit_exceeded", "account")
	w.clock.move(time.Hour)
	w.ok(w.user(221), http.MethodGet, "client", "")

	for range 4 {
		w.ok(w.merchant, http.MethodGet, "client", "")
	}
	w.no(w.merchant, http.MethodGet, "client", "", http.StatusTooManyRequests, "rate_limit_exceeded", "account")
	require.Empty(t, w.Violations())
}
