package testserver

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestsAreRecorded(t *testing.T) {
	r := newRig(t, Options{})
	r.ExpectViolation("POSRegisterName is missing")
	form := register("r1")
	form.Del("POSRegisterName")
	r.pos(http.MethodPut, "/POS/Pairing/00000000", form)

	got := r.Requests("smartconnect", "PUT", "/pos/pairing")
	require.Len(t, got, 1)
	require.Equal(t, "/POS/Pairing/00000000", got[0].Path)
	require.Equal(t, form.Encode(), got[0].Body)
	require.Equal(t, http.StatusBadRequest, got[0].Status)
	require.Equal(t, formType, got[0].Header.Get("Content-Type"))
	require.Equal(t, r.clock.now(), got[0].Time)
	require.Equal(t, []string{"form field POSRegisterName is missing"}, got[0].Violations)
	require.Empty(t, r.Requests("xseries", "", ""))
	require.Empty(t, r.Requests("", "POST", ""))
	require.Equal(t, "smartconnect: PUT /POS/Pairing/00000000: form field POSRegisterName is missing", r.Violations()[0].String())
}

func TestBodyOverTheLimitIsRefused(t *testing.T) {
	r := newRig(t, Options{})
	r.ExpectViolation("body is longer than")
	a := r.do(http.MethodPost, r.base+"/smartconnect/POS/Transaction", strings.Repeat("a", maxBody+1), "Content-Type", formType)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
}

func TestComplaintsReachTheTest(t *testing.T) {
	tb := &fakeTB{}
	sys := Start(tb, Options{})
	sys.ExpectViolation("never happens")
	sys.ExpectViolation("no such operation")
	sys.Fault(On("xseries", "GET", "/api/*/registers").Nth(2), LoseReply())
	r := &rig{Systems: sys, t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	r.do(http.MethodGet, sys.PublicURL()+"/smartconnect/POS/Pairing/1", "")
	r.do(http.MethodGet, sys.PublicURL()+"/xseries/api/2.0/registers", "")
	tb.finish()
	require.Equal(t, []string{
		"testserver: violation: xseries: GET /api/2.0/registers: no bearer token",
		"testserver: expected violation did not happen: never happens",
		"testserver: fault was never played: lose_reply on xseries GET /api/*/registers #2",
	}, tb.errors)
}
