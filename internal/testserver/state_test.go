package testserver

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

const worldURL = "http://world.test"

// world is simulated systems that keep their state in a file, without a network.
type world struct {
	*Systems

	t       *testing.T
	clock   *clock
	opts    Options
	handler http.Handler
}

func newWorld(t *testing.T, opts Options) *world {
	t.Helper()
	c := &clock{at: time.Date(2026, 3, 11, 9, 8, 7, 123_400_000, time.UTC)}
	opts.Now, opts.PublicURL = c.now, worldURL
	if opts.StateFile == "" {
		opts.StateFile = filepath.Join(t.TempDir(), "state.json")
	}
	return (&world{t: t, clock: c, opts: opts}).restart()
}

// restart is the next process after this one was killed.
func (w *world) restart() *world {
	w.t.Helper()
	next := *w
	next.Systems = New(w.opts)
	require.NoError(w.t, next.Load())
	next.handler = next.Handler()
	w.t.Cleanup(next.Close)
	return &next
}

// do sends a request.
func (w *world) do(method, path, body string, header ...string) answer {
	w.t.Helper()
	req := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	return answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
}

// rest calls the REST API with the personal token.
func (w *world) rest(method, path, body string) answer {
	w.t.Helper()
	return w.do(method, "/xseries"+path, body, "Authorization", "Bearer "+w.Describe().XSeries.PersonalToken, "Content-Type", "application/json")
}

// pos sends a form to SmartConnect.
func (w *world) pos(method, path string, form url.Values) answer {
	w.t.Helper()
	return w.do(method, "/smartconnect"+path, form.Encode(), "Content-Type", formType)
}

// pair pairs a register with a terminal.
func (w *world) pair(registerID string, d *Device) {
	w.t.Helper()
	code, err := d.ShowCode()
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, w.pos(http.MethodPut, "/POS/Pairing/"+code, register(registerID)).status)
}

// questions asks everything that can be asked without changing what is asked for, and returns the answers.
func (w *world) questions() []string {
	w.t.Helper()
	var answers []string
	ask := func(a answer) { answers = append(answers, fmt.Sprint(a.status, a.header, a.body)) }
	for _, version := range []string{"2.0", "2026-07"} {
		for _, path := range []string{"registers?deleted=true", "outlets", "payment_types", "sales", "webhooks", "retailer", "registers/" + RegisterMain + "/payments_summary"} {
			ask(w.rest(http.MethodGet, "/api/"+version+"/"+path, ""))
		}
	}
	for _, token := range slices.Sorted(mapKeys(w.XSeries.oauth.access)) {
		ask(w.do(http.MethodGet, "/xseries/api/2.0/registers", "", "Authorization", "Bearer "+token))
	}
	for _, t := range w.SmartConnect.transactions {
		ask(w.do(http.MethodGet, "/smartconnect/pos/transaction/"+t.id+"?merchantAccessToken="+t.token, ""))
	}
	for _, path := range []string{
		"", "/smartconnect/terminals", "/smartconnect/charges", "/smartconnect/transactions", "/smartconnect/overlaps",
		"/smartconnect/terminals/7070714000/served", "/xseries/registers", "/xseries/sales", "/xseries/deliveries",
	} {
		ask(w.do(http.MethodGet, "/_sim"+path, ""))
	}
	for _, m := range w.XSeries.modals {
		ask(w.do(http.MethodGet, "/_sim/xseries/modals/"+m.id, ""))
	}
	return answers
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

// differences compares all that two systems know, field by field. What belongs to the process is left out.
func differences(a, b any) []string {
	leftOut := map[string]bool{
		"XSeries.engine": true, "XSeries.routes": true, "XSeries.mu": true, "XSeries.given": true, "XSeries.changed": true,
		"delivery.sending":    true,
		"SmartConnect.engine": true, "SmartConnect.mu": true, "SmartConnect.changed": true, "SmartConnect.closed": true,
		"Device.timer":   true,
		"Paysera.engine": true, "Paysera.routes": true, "Paysera.mu": true, "Paysera.given": true, "Paysera.changed": true,
		"walletCallback.sending": true,
		"PMS.engine":             true, "PMS.mu": true, "PMS.given": true, "PMS.changed": true,
		"pmsPosting.sending": true,
		"KSeries.engine":     true, "KSeries.routes": true, "KSeries.mu": true, "KSeries.given": true, "KSeries.changed": true,
		"kNotification.sending": true,
	}
	var found []string
	type pointers struct{ a, b unsafe.Pointer }
	seen := map[pointers]bool{}
	var walk func(path string, a, b reflect.Value)
	note := func(path string, a, b any) { found = append(found, fmt.Sprintf("%s: %v, %v", path, a, b)) }
	walk = func(path string, a, b reflect.Value) {
		switch a.Kind() {
		case reflect.Pointer:
			if a.IsNil() || b.IsNil() {
				if a.IsNil() != b.IsNil() {
					note(path, a, b)
				}
				return
			}
			if key := (pointers{a.UnsafePointer(), b.UnsafePointer()}); !seen[key] {
				seen[key] = true
				walk(path, a.Elem(), b.Elem())
			}
		case reflect.Struct:
			switch a.Type() {
			case reflect.TypeFor[time.Time]():
				if at, bt := value[time.Time](a), value[time.Time](b); !at.Equal(bt) {
					note(path, at, bt)
				}
			case reflect.TypeFor[decimal.Decimal]():
				if ad, bd := value[decimal.Decimal](a), value[decimal.Decimal](b); !ad.Equal(bd) {
					note(path, ad, bd)
				}
			default:
				for i := range a.NumField() {
					name := a.Type().Name() + "." + a.Type().Field(i).Name
					if !leftOut[name] {
						walk(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
					}
				}
			}
		case reflect.Slice:
			if a.Len() != b.Len() {
				note(path, a.Len(), b.Len())
				return
			}
			for i := range a.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i))
			}
		case reflect.Map:
			if a.Len() != b.Len() {
				note(path, a.Len(), b.Len())
			}
			for _, key := range a.MapKeys() {
				if !b.MapIndex(key).IsValid() {
					note(path, key, "nothing")
					continue
				}
				walk(path+"["+key.String()+"]", a.MapIndex(key), b.MapIndex(key))
			}
		case reflect.Func, reflect.Chan, reflect.Interface:
			note(path, "cannot be compared: say in this test whether it is state", a.Kind())
		default:
			if !a.Equal(b) {
				note(path, a, b)
			}
		}
	}
	walk("", reflect.ValueOf(a), reflect.ValueOf(b))
	return found
}

// value reads a field that reflect would not hand out.
func value[T any](v reflect.Value) T {
	return *(*T)(unsafe.Pointer(v.UnsafeAddr()))
}

// turn is one thing that happens in the world.
func (w *world) turn(rng *rand.Rand) {
	pick := func(n int) int { return rng.IntN(n) }
	device := w.SmartConnect.Devices()[pick(2)]
	till := []string{"r1", "r2", "r3"}[pick(3)]
	registerID := []string{RegisterMain, RegisterSecond, RegisterThird}[pick(3)]
	var modal *Modal
	if n := len(w.XSeries.modals); n > 0 {
		modal = w.XSeries.modals[pick(n)]
	}
	message := func(text string) {
		if modal != nil && modal.State().Ended == "" {
			_, err := modal.Post(text)
			require.NoError(w.t, err)
		}
	}
	turns := []func(){
		func() {
			if code, err := device.ShowCode(); err == nil {
				w.pos(http.MethodPut, "/POS/Pairing/"+code, register(till))
			}
		},
		func() { _, _ = device.ShowCode() },
		func() { _ = device.Unpair(till) },
		func() {
			kinds := []string{"Card.Purchase", "Card.Refund", "Card.Authorise", "Card.Finalise", "Acquirer.Logon", "Acquirer.Settlement.Cutover"}
			form := transactionForm(till, kinds[pick(len(kinds))], "AmountTotal", "1250", "AmountAuth", "1000", "AmountFinal", "900", "TransactionReference", "ref")
			w.pos(http.MethodPost, "/POS/Transaction", form)
		},
		func() {
			w.pos(http.MethodPost, "/POS/Transaction", transactionForm(till, "Card.Purchase", "AmountTotal", "500"))
		},
		func() { _ = device.Approve() },
		func() { _ = device.Decline() },
		func() { _ = device.Cancel() },
		func() { device.Unplug() },
		func() { device.Plug() },
		func() { device.SetAuto(AutoApprove, time.Hour) },
		func() { device.SetAuto(AutoDecline, 0) },
		func() { device.SetAuto(Manual, 0) },
		func() { device.SetSlow(time.Duration(pick(20)) * time.Second) },
		func() { device.SetExtras(int64(pick(50)), int64(pick(50))) },
		func() { device.SetBusy([]Busy{BusyQueue, BusyRefuse}[pick(2)]) },
		func() { w.SmartConnect.SetLean(pick(2) == 0) },
		func() { w.SmartConnect.SetMinPoll(time.Duration(pick(3)) * time.Second) },
		func() {
			if n := len(w.SmartConnect.transactions); n > 0 {
				t := w.SmartConnect.transactions[pick(n)]
				w.do(http.MethodGet, "/smartconnect/pos/transaction/"+t.id+"?merchantAccessToken="+t.token, "")
			}
		},
		func() { w.SmartConnect.ExpireTokens() },
		func() { w.clock.move(time.Duration(pick(100)) * time.Second) },

		func() { _, _ = w.XSeries.OpenModal(registerID, decimal.New(int64(pick(5000)-2500)*10+1, -2)) },
		func() {
			if sale, err := w.XSeries.NewSaleOf(registerID, lunch()); err == nil {
				_, err = w.XSeries.OpenModalFor(sale.ID, decimal.New(500, -2))
				require.NoError(w.t, err)
			}
		},
		func() { message(`{"step":"SETUP","setup":{"enable_close":false}}`) },
		func() { message(`{"step":"ACCEPT","transaction_id":"4711","receipt_html_extra":"<b>ok</b>"}`) },
		func() { message(`{"step":"DECLINE"}`) },
		func() {
			if modal != nil {
				modal.Abandon()
			}
		},
		func() { w.XSeries.SetGatewayURL(fmt.Sprintf("https://gateway.test/%d", pick(9))) },
		func() {
			w.rest(http.MethodPut, "/api/2026-07/registers/"+registerID+"/actions/close", `{"payments":[]}`)
		},
		func() { w.rest(http.MethodPut, "/api/2026-07/registers/"+registerID+"/actions/open", `{}`) },
		func() {
			event := []string{"sale.update", "register_closure.create", "product.update"}[pick(3)]
			w.rest(http.MethodPost, "/api/2026-07/webhooks", fmt.Sprintf(`{"active":true,"type":"%s","url":"http://127.0.0.1:1/%d"}`, event, pick(4)))
		},
		func() { w.XSeries.HoldDeliveries() },
		func() { w.XSeries.ReleaseDeliveries(pick(2) == 0) },
		func() { w.XSeries.DuplicateDeliveries(pick(3)) },
		func() { w.XSeries.LoseDeliveries(pick(3)) },
		func() { w.XSeries.SetWebhooks(WebhookOptions{Encoding: SignatureBase64, Bare: pick(2) == 0}) },
		func() { require.NoError(w.t, w.XSeries.Deliver(w.t.Context())) }, // nobody listens
		func() {
			if n := len(w.XSeries.webhooks); n > 0 {
				w.rest(http.MethodDelete, "/api/2026-07/webhooks/"+w.XSeries.webhooks[pick(n)].ID, "")
			}
		},
		func() { w.authorize("registers:read sales:read") },
		func() { w.token(w.authorize("webhooks")) },
		func() {
			for token := range w.XSeries.oauth.refresh {
				w.refresh(token)
				return
			}
		},
		func() { w.XSeries.RefuseNextAuthorization() },
		func() { w.XSeries.GrantNextAuthorization("outlets:read") },
		func() { w.XSeries.ExpireTokens() },
		func() {
			if pick(5) == 0 {
				w.XSeries.RevokeTokens()
			}
		},
		func() {
			if pick(10) == 0 {
				w.Reset()
			}
		},
	}
	turns[pick(len(turns))]()
}

// authorize is the merchant consenting; the code is "" after a refusal.
func (w *world) authorize(scope string) string {
	w.t.Helper()
	q := url.Values{
		"response_type": {"code"}, "client_id": {w.Describe().XSeries.ClientID}, "redirect_uri": {"https://app.test/back"},
		"state": {"12345678"}, "scope": {scope},
	}
	a := w.do(http.MethodGet, "/xseries/connect?"+q.Encode(), "")
	require.Equal(w.t, http.StatusFound, a.status, a.body)
	back, err := url.Parse(a.header.Get("Location"))
	require.NoError(w.t, err)
	return back.Query().Get("code")
}

func (w *world) token(code string) answer {
	w.t.Helper()
	d := w.Describe().XSeries
	return w.do(http.MethodPost, "/xseries/api/1.0/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {d.ClientID}, "client_secret": {d.ClientSecret},
		"code": {code}, "redirect_uri": {"https://app.test/back"},
	}.Encode(), "Content-Type", formType)
}

func (w *world) refresh(token string) answer {
	w.t.Helper()
	d := w.Describe().XSeries
	return w.do(http.MethodPost, "/xseries/api/1.0/token", url.Values{
		"grant_type": {"refresh_token"}, "client_id": {d.ClientID}, "client_secret": {d.ClientSecret}, "refresh_token": {token},
	}.Encode(), "Content-Type", formType)
}

// TestTheNextProcessKnowsAllThatTheLastOneKnew kills the process after every change, whatever has happened before.
func TestTheNextProcessKnowsAllThatTheLastOneKnew(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 42))
			w := newWorld(t, Options{XSeries: XSeriesOptions{RateLimit: 1_000_000, TokenLimit: 1_000_000}})
			for i := range 80 {
				w.turn(rng)
				next := w.restart()
				require.Empty(t, differences(w.XSeries, next.XSeries), "after %d turns", i)
				require.Empty(t, differences(w.SmartConnect, next.SmartConnect), "after %d turns", i)
				if i%10 == 9 {
					// Each asks itself; what they write meanwhile, into the same file, is the same.
					require.Equal(t, w.questions(), next.questions())
				}
				w = next
			}
		})
	}
}

func TestATransactionOnTheScreenSurvives(t *testing.T) {
	w := newWorld(t, Options{})
	w.pair("r1", w.SmartConnect.Device("7070714000"))
	a := w.pos(http.MethodPost, "/POS/Transaction", transactionForm("r1", "Card.Purchase", "AmountTotal", "1250"))
	posted := parse[envelope](t, a.body)
	w.pos(http.MethodPost, "/POS/Transaction", transactionForm("r1", "Card.Purchase", "AmountTotal", "700"))

	w = w.restart()
	device := w.SmartConnect.Device("7070714000")
	require.Contains(t, device.Screen(), "NZ$ 12.50")
	require.Len(t, device.State().Queue, 1)
	require.NoError(t, device.Approve())

	w = w.restart()
	a = w.do(http.MethodGet, strings.TrimPrefix(posted.Data.PollingURL, worldURL), "")
	require.Equal(t, "COMPLETED", parse[envelope](t, a.body).Status, a.body)
	require.Len(t, w.SmartConnect.Charges(), 1, "charged once")
	require.Contains(t, w.SmartConnect.Device("7070714000").Screen(), "NZ$ 7.00", "the next one came up")
}

func TestTheSellScreenSurvives(t *testing.T) {
	w := newWorld(t, Options{XSeries: XSeriesOptions{GatewayURL: "https://gateway.test/pay"}})
	m, err := w.XSeries.OpenModal(RegisterMain, amount("24.30"))
	require.NoError(t, err)
	_, err = m.Post(`{"step":"SETUP","setup":{"enable_close":false}}`)
	require.NoError(t, err)

	w = w.restart()
	m = w.XSeries.Modal(m.ID())
	require.ErrorContains(t, m.Close(), "shows no close button")
	require.Equal(t, "24.30", ask(t, m).Payment.Amount)
	_, err = m.Post(`{"step":"ACCEPT","transaction_id":"1"}`)
	require.NoError(t, err)
	sale, ok := w.restart().XSeries.Sale(m.SaleID())
	require.True(t, ok)
	require.True(t, sale.Closed)
	require.Equal(t, "accepted", w.restart().XSeries.Modal(m.ID()).State().Ended)
}

func TestGrantsAndCredentialsSurvive(t *testing.T) {
	w := newWorld(t, Options{})
	before := w.Describe().XSeries
	grant := parse[tokenResponse](t, w.token(w.authorize("registers:read")).body)
	code := w.authorize("outlets:read")

	w = w.restart()
	require.Equal(t, before, w.Describe().XSeries)
	a := w.do(http.MethodGet, "/xseries/api/2.0/registers", "", "Authorization", "Bearer "+grant.AccessToken)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, http.StatusOK, w.token(code).status)
	require.Equal(t, http.StatusOK, w.refresh(grant.RefreshToken).status)
	w = w.restart()
	require.Equal(t, http.StatusBadRequest, w.token(code).status, "used")
	require.Equal(t, http.StatusBadRequest, w.refresh(grant.RefreshToken).status, "used")

	w.XSeries.SetGatewayURL("https://gateway.test/a")
	w = w.restart()
	require.Equal(t, "https://gateway.test/a", w.XSeries.GatewayURL())

	w.opts.XSeries = XSeriesOptions{ClientID: "mine", ClientSecret: "sesame", PersonalToken: "token", GatewayURL: "https://gateway.test/b"}
	w = w.restart()
	require.Equal(t, "https://gateway.test/b", w.XSeries.GatewayURL())
	given := w.Describe().XSeries
	require.Equal(t, []string{"mine", "sesame", "token"}, []string{given.ClientID, given.ClientSecret, given.PersonalToken})
	info, err := os.Stat(w.opts.StateFile)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "it holds credentials")
}

func TestDelaysGoOnWithWhatRemains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		device := w.SmartConnect.Device("7070714000")
		device.SetAuto(AutoApprove, time.Minute)
		w.pair("r1", device)
		w.pos(http.MethodPost, "/POS/Transaction", transactionForm("r1", "Card.Purchase", "AmountTotal", "1250"))
		time.Sleep(40 * time.Second)
		w.Close() // an orderly end, this time

		w = w.restart()
		time.Sleep(19 * time.Second)
		synctest.Wait()
		require.Empty(t, w.SmartConnect.Charges())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Len(t, w.SmartConnect.Charges(), 1)

		w.pos(http.MethodPost, "/POS/Transaction", transactionForm("r1", "Card.Purchase", "AmountTotal", "700"))
		w.Close()
		time.Sleep(time.Hour)
		w = w.restart()
		synctest.Wait()
		require.Len(t, w.SmartConnect.Charges(), 2, "the terminal did it in the meantime")
	})
}

func TestPollingGoesOnAtTheSameAddress(t *testing.T) {
	opts := Options{StateFile: filepath.Join(t.TempDir(), "state.json"), SmartConnect: SmartConnectOptions{MinPoll: -1}}
	serve := func(addr string) (sys *Systems, stop func()) {
		sys = New(opts)
		ctx, cancel := context.WithCancel(t.Context())
		ln, err := sys.Listen(ctx, addr)
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- sys.Serve(ctx, ln) }()
		return sys, func() {
			cancel()
			require.NoError(t, <-served)
		}
	}
	sys, stop := serve("127.0.0.1:0")
	r := &rig{Systems: sys, t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, base: sys.PublicURL()}
	r.pair("r1", "7070714000")
	posted := r.post("r1", "Card.Purchase", "AmountTotal", "1250")
	stop()

	sys, stop = serve(strings.TrimPrefix(sys.PublicURL(), "http://"))
	defer stop()
	require.NoError(t, sys.SmartConnect.Device("7070714000").Approve())
	a := r.do(http.MethodGet, posted.Data.PollingURL, "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "COMPLETED", parse[envelope](t, a.body).Status)
}

func TestStateFilesThatCannotBeUsed(t *testing.T) {
	w := newWorld(t, Options{})
	w.pair("r1", w.SmartConnect.Device("7070714002"))
	w.pos(http.MethodPost, "/POS/Transaction", transactionForm("r1", "Card.Purchase", "AmountTotal", "1250"))
	_, err := w.XSeries.OpenModal(RegisterMain, amount("1"))
	require.NoError(t, err)
	raw, err := os.ReadFile(w.opts.StateFile)
	require.NoError(t, err)
	good := string(raw)
	swap := func(old, replacement string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, replacement, 1)
	}
	for _, tt := range []struct{ name, content, want string }{
		{"empty", "", "it is damaged: EOF"},
		{"cut", good[:len(good)/2], "it is damaged: unexpected EOF"},
		{"with a tail", good + good, "it is damaged: there is something after its end"},
		{"foreign", `{"format":"SQLite"}`, "it is not a state of the simulated systems"},
		{"foreign with other fields", `{"name":"x"}`, `it is damaged: json: unknown field "name"`},
		{"other version", swap(`"version":1,`, `"version":2,`), "it has the version 2, this program writes 1"},
		{"unknown field", swap(`"gateway":`, `"gate":`), `xseries: it is damaged: json: unknown field "gate"`},
		{"unknown terminal", strings.ReplaceAll(good, "7070714002", "1"), `smartconnect: it has the terminal "1", which this simulation has not`},
		{"lost transaction", swap(`"current":"`, `"current":"x`), "smartconnect: it is damaged: a terminal has the transaction"},
		{"lost sale", swap(`"sale":"`, `"sale":"x`), "xseries: it is damaged: a modal belongs to the sale"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(w.opts.StateFile, []byte(tt.content), 0o600))
			sys := New(w.opts)
			err := sys.Load()
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, w.opts.StateFile)
			require.ErrorContains(t, err, "delete it to begin with a fresh simulated world")
			_, err = sys.Listen(t.Context(), "127.0.0.1:0")
			require.ErrorContains(t, err, tt.want)
			var config net.ListenConfig
			ln, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			require.ErrorContains(t, sys.Serve(t.Context(), ln), tt.want)
			kept, err := os.ReadFile(w.opts.StateFile)
			require.NoError(t, err)
			require.Equal(t, tt.content, string(kept), "it is not overwritten")
		})
	}
	w.opts.StateFile = t.TempDir()
	require.ErrorContains(t, New(w.opts).Load(), "the state file cannot be read")
}

func TestNothingIsAnsweredThatIsNotWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o700))
	w := newWorld(t, Options{StateFile: filepath.Join(dir, "state.json")})
	require.NoError(t, os.Rename(dir, dir+"-gone"))
	a := w.rest(http.MethodPut, "/api/2026-07/registers/"+RegisterMain+"/actions/close", `{"payments":[]}`)
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.Contains(t, a.body, "the state file cannot be written")
	require.Equal(t, http.StatusInternalServerError, w.do(http.MethodGet, "/_sim/xseries/registers", "").status)
	require.Contains(t, strings.Join(w.Complaints(), "\n"), "the state file cannot be written")

	require.NoError(t, os.Rename(dir+"-gone", dir))
	require.Equal(t, http.StatusOK, w.rest(http.MethodGet, "/api/2026-07/registers/"+RegisterMain, "").status, "it can be again")
	require.Empty(t, differences(w.XSeries, w.restart().XSeries))
	require.ErrorContains(t, New(Options{StateFile: filepath.Join(dir, "none", "state.json")}).Load(), "the state file cannot be written")
}
