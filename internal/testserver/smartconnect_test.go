package testserver

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// request is one entry of the fixture with request bodies.
type requestFixture struct {
	Name, Method, URL, ContentType, Body string
}

func requestFixtures(t *testing.T) []requestFixture {
	t.Helper()
	return parse[[]requestFixture](t, fixture(t, "smartconnect_requests.json"))
}

func TestPairing(t *testing.T) {
	for _, req := range requestFixtures(t) {
		if req.Method != http.MethodPut {
			continue
		}
		t.Run(req.Name, func(t *testing.T) {
			r := newRig(t, Options{})
			device := r.SmartConnect.Device("7070714000")
			code, err := device.ShowCode()
			require.NoError(t, err)
			require.Len(t, code, 8)
			require.Equal(t, "PAIRING CODE\n"+code, device.Screen())

			put := func(code string) answer {
				return r.do(http.MethodPut, r.base+"/smartconnect/POS/Pairing/"+code, req.Body, "Content-Type", req.ContentType+"; charset=UTF-8")
			}
			a := put("1234")
			require.Equal(t, http.StatusBadRequest, a.status)
			require.JSONEq(t, fixture(t, "smartconnect_pairing_error_400_invalid_code.json"), a.body)
			require.Empty(t, device.State().Registers)

			a = put(code)
			require.Equal(t, http.StatusOK, a.status)
			require.Equal(t, "application/json", a.header.Get("Content-Type"))
			require.JSONEq(t, fixture(t, "smartconnect_pairing_success_200.json"), a.body)
			require.Equal(t, []PairedRegister{{"7444ae07-dc63-e49c-33e3-59a7c108cc80", "Main Register", "Toys Shop", "Till2Go"}}, device.State().Registers)
			require.Equal(t, "READY", device.Screen())

			require.Equal(t, http.StatusBadRequest, put(code).status, "a code is good once")
		})
	}
}

func TestPairingCodeIsRefreshedAndExpires(t *testing.T) {
	r := newRig(t, Options{})
	device := r.SmartConnect.Device("7070714000")
	old, err := device.ShowCode()
	require.NoError(t, err)
	code, err := device.ShowCode()
	require.NoError(t, err)
	require.NotEqual(t, old, code)
	require.Equal(t, http.StatusBadRequest, r.pos(http.MethodPut, "/POS/Pairing/"+old, register("r1")).status)
	r.clock.move(2 * time.Minute)
	require.Equal(t, http.StatusBadRequest, r.pos(http.MethodPut, "/POS/Pairing/"+code, register("r1")).status)
	require.Equal(t, "PAIRING CODE EXPIRED", device.Screen())
	require.Empty(t, device.State().PairingCode)

	_, err = device.ShowCode()
	require.NoError(t, err)
	device.Unplug()
	_, err = device.ShowCode()
	require.ErrorContains(t, err, "has no connection")
	device.Plug()
	require.Equal(t, "READY", device.Screen())
}

func TestPairingCodeThatExpiresIsFollowedByAnother(t *testing.T) {
	r := newRig(t, Options{})
	device := r.SmartConnect.Device("7070714000")
	device.SetRefresh(true)
	require.Equal(t, "READY", device.Screen(), "pairing begins at the terminal")
	old, err := device.ShowCode()
	require.NoError(t, err)
	r.clock.move(2*time.Minute - time.Nanosecond)
	require.Equal(t, old, device.State().PairingCode)
	r.clock.move(time.Nanosecond)
	require.Equal(t, http.StatusBadRequest, r.pos(http.MethodPut, "/POS/Pairing/"+old, register("r1")).status)
	fresh := device.State().PairingCode
	require.NotEmpty(t, fresh)
	require.NotEqual(t, old, fresh)
	require.Equal(t, "PAIRING CODE\n"+fresh, device.Screen())
	require.Equal(t, http.StatusOK, r.pos(http.MethodPut, "/POS/Pairing/"+fresh, register("r1")).status)
	r.clock.move(time.Hour)
	require.Equal(t, "READY", device.Screen(), "once it has been used it is over")

	require.Equal(t, http.StatusOK, r.do(http.MethodPost, r.base+"/_sim/smartconnect/terminals/7070714000/refresh-code", `{"on":false}`).status)
	require.False(t, device.State().Settings.RefreshCode)
	_, err = device.ShowCode()
	require.NoError(t, err)
	r.clock.move(time.Hour)
	require.Equal(t, "PAIRING CODE EXPIRED", device.Screen())
}

func TestRePairingReplacesOnlyOnSuccess(t *testing.T) {
	r := newRig(t, Options{})
	first, second := r.SmartConnect.Device("7070714000"), r.SmartConnect.Device("7070714001")
	r.pair("r1", first.ID())
	r.pair("r2", first.ID())
	require.Len(t, first.State().Registers, 2, "one terminal serves many registers")

	require.Equal(t, http.StatusBadRequest, r.pos(http.MethodPut, "/POS/Pairing/0", register("r1")).status)
	require.Equal(t, first.ID(), r.post("r1", "Card.Purchase", "AmountTotal", "500").DeviceID)

	r.pair("r1", second.ID())
	require.Len(t, first.State().Registers, 1)
	require.Equal(t, second.ID(), r.post("r1", "Card.Purchase", "AmountTotal", "500").DeviceID)

	require.NoError(t, second.Unpair("r1"))
	require.ErrorContains(t, second.Unpair("r1"), "is not paired to terminal 7070714001")
	a := r.pos(http.MethodPost, "/POS/Transaction", transactionForm("r1", "Card.Purchase", "AmountTotal", "500"))
	require.Equal(t, http.StatusBadRequest, a.status)
	require.JSONEq(t, fixture(t, "smartconnect_transaction_error_400_not_paired.json"), a.body)
}

func TestRoutes(t *testing.T) {
	r := newRig(t, Options{})
	r.pair("r1", "7070714000")
	form := transactionForm("r1", "Terminal.GetStatus")
	for _, path := range []string{"/POS/Transaction", "/pos/transaction/", "/Pos/TRANSACTION"} {
		require.Equal(t, http.StatusOK, r.pos(http.MethodPost, path, form).status, path)
	}
	r.ExpectViolation("no such operation")
	for _, wrong := range [][2]string{
		{http.MethodGet, "/POS/Pairing/1"},
		{http.MethodPost, "/POS/Pairing/1"},
		{http.MethodPut, "/POS/Transaction"},
		{http.MethodGet, "/POS/Transaction"},
		{http.MethodPost, "/POS"},
		{http.MethodPost, "/Transaction"},
	} {
		a := r.pos(wrong[0], wrong[1], form)
		require.Equal(t, http.StatusNotFound, a.status, wrong)
		require.Empty(t, a.body, wrong)
		require.NotEqual(t, "application/json", a.header.Get("Content-Type"))
	}
}

func TestPairingIsStrict(t *testing.T) {
	for name, tt := range map[string]struct {
		violation, body string
		send            func(r *rig) answer
	}{
		"json": {"must be application/x-www-form-urlencoded", textNotForm, func(r *rig) answer {
			return r.do(http.MethodPut, r.base+"/smartconnect/POS/Pairing/1", `{}`, "Content-Type", "application/json")
		}},
		"no content type": {`content type is ""`, textNotForm, func(r *rig) answer {
			return r.do(http.MethodPut, r.base+"/smartconnect/POS/Pairing/1", register("r1").Encode())
		}},
		"query": {"not a query string", "Missing mandatory parameter: POSRegisterID", func(r *rig) answer {
			r.ExpectViolation("POSRegisterID is missing")
			return r.pos(http.MethodPut, "/POS/Pairing/1?"+register("r1").Encode(), nil)
		}},
		"no vendor": {"POSVendorName is missing", "Missing mandatory parameter: POSVendorName", func(r *rig) answer {
			form := register("r1")
			form.Del("POSVendorName")
			return r.pos(http.MethodPut, "/POS/Pairing/1", form)
		}},
		"twice": {"POSRegisterID is given 2 times", textBadCode, func(r *rig) answer {
			form := register("r1")
			form.Add("POSRegisterID", "r2")
			return r.pos(http.MethodPut, "/POS/Pairing/1", form)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.ExpectViolation(tt.violation)
			a := tt.send(r)
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Equal(t, map[string]string{"error": tt.body}, parse[map[string]string](t, a.body))
		})
	}
}

func TestSpacesAsPlusOrPercent(t *testing.T) {
	r := newRig(t, Options{})
	r.pair("r1", "7070714000")
	body := strings.ReplaceAll(transactionForm("r1", "Card.Purchase", "AmountTotal", "500").Encode(), "+", "%20")
	a := r.do(http.MethodPost, r.base+"/smartconnect/POS/Transaction", body, "Content-Type", formType)
	require.Equal(t, http.StatusOK, a.status)
}

func TestIdentityIsComparedByteByByte(t *testing.T) {
	for field, value := range map[string]string{"POSBusinessName": "toys shop", "POSVendorName": "Till2Go "} {
		r := newRig(t, Options{})
		r.ExpectViolation("differs from the pairing's")
		r.pair("r1", "7070714000")
		a := r.pos(http.MethodPost, "/POS/Transaction", transactionForm("r1", "Card.Purchase", "AmountTotal", "500", field, value))
		require.Equal(t, http.StatusBadRequest, a.status)
		require.JSONEq(t, fixture(t, "smartconnect_transaction_error_400_not_paired.json"), a.body)
	}
	r := newRig(t, Options{})
	r.pair("r1", "7070714000")
	require.Equal(t, http.StatusBadRequest, r.pos(http.MethodPost, "/POS/Transaction", transactionForm("R1", "Card.Purchase", "AmountTotal", "500")).status)
}

func TestPublicURLIsTakenFromTheRequestUntilItIsKnown(t *testing.T) {
	sys := New(Options{})
	require.Equal(t, "http://pay.test/smartconnect", sys.SmartConnect.base(&http.Request{Host: "pay.test"}))
	require.Equal(t, "https://pay.test/smartconnect", sys.SmartConnect.base(&http.Request{Host: "pay.test", TLS: &tls.ConnectionState{}}))
	sys.SetPublicURL("https://pay.test/simulated/")
	require.Equal(t, "https://pay.test/simulated/smartconnect", sys.SmartConnect.base(&http.Request{Host: "other.test"}))
	require.Equal(t, "https://pay.test/simulated/smartconnect/POS", sys.Describe().SmartConnect.BaseURL)
}
