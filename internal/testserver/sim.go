package testserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// maxWait is the longest that a call of the control API waits for something to happen.
const maxWait = time.Minute

// simError is a refusal of the control API.
type simError struct {
	status int
	text   string
}

// Error is the text of the refusal.
func (e *simError) Error() string { return e.text }

func refuse(status int, format string, args ...any) error {
	return &simError{status: status, text: fmt.Sprintf(format, args...)}
}

// simCall is one call of the control API. A nil answer without an error is 204 No Content.
type simCall func(r *http.Request) (any, error)

// simHandler serves the control API: what a person does at a terminal or at the sell screen, faults, and the books.
// It is no vendor's API. Requests to it are not recorded.
func (s *Systems) simHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, call simCall) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+simPrefix+path, s.serveSim(call))
	}
	handle("GET ", func(*http.Request) (any, error) { return s.Describe(), nil })
	handle("GET /{$}", func(*http.Request) (any, error) { return s.Describe(), nil })
	handle("POST /reset", simDo(s.Reset))
	handle("GET /requests", s.simRequests)
	handle("GET /violations", func(*http.Request) (any, error) { return listOf(s.Violations()), nil })
	handle("POST /faults", s.simAddFault)
	handle("GET /faults", func(*http.Request) (any, error) { return map[string][]string{"unused": s.UnusedFaults()}, nil })
	handle("DELETE /faults", simDo(s.ClearFaults))
	s.simSmartConnect(handle)
	s.simXSeries(handle)
	s.simPaysera(handle)
	s.simPMS(handle)
	s.simKSeries(handle)
	mux.Handle("/", s.serveSim(func(r *http.Request) (any, error) {
		return nil, refuse(http.StatusNotFound, "no such call: %s %s", r.Method, r.URL.Path)
	}))
	// A page of somebody else that is open in the same browser must not press the terminals' buttons.
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(s.serveSim(func(*http.Request) (any, error) {
		return nil, refuse(http.StatusForbidden, "the call comes from a page of another site")
	}))
	return protection.Handler(mux)
}

// serveSim turns a call into a handler.
func (s *Systems) serveSim(call simCall) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		answer, err := call(r)
		if broken := s.keeper.failed(); broken != nil {
			err = refuse(http.StatusInternalServerError, "%v", broken)
		}
		status := http.StatusOK
		if err != nil {
			status = http.StatusConflict
			if refusal, ok := errors.AsType[*simError](err); ok {
				status = refusal.status
			}
			answer = map[string]string{"error": err.Error()}
		}
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		out, err := json.Marshal(answer)
		if err != nil {
			status, out = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(append(out, '\n'))
	})
}

// listOf makes a nil list an empty one.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// readBody reads the JSON body of a call. No body is an empty object; an unknown field is refused.
func readBody(r *http.Request, v any) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return refuse(http.StatusBadRequest, "the body cannot be read: %v", err)
	}
	if strings.TrimSpace(string(raw)) == "" {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return refuse(http.StatusBadRequest, "the body is not what this call takes: %v", err)
	}
	return nil
}

// waitContext ends after the query parameter wait_ms, 0 by default, at most a minute.
func waitContext(r *http.Request) (context.Context, context.CancelFunc, error) {
	ms := 0
	if text := r.URL.Query().Get("wait_ms"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, nil, refuse(http.StatusBadRequest, "wait_ms is %q, must be a number of milliseconds", text)
		}
		ms = n
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(ms)*time.Millisecond, maxWait))
	return ctx, cancel, nil
}

// simRequests lists the recorded requests, filtered by the query parameters system, method and path.
func (s *Systems) simRequests(r *http.Request) (any, error) {
	q := r.URL.Query()
	return listOf(s.Requests(q.Get("system"), q.Get("method"), q.Get("path"))), nil
}

// simFault is a fault as the control API takes it.
type simFault struct {
	System string `json:"system"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Nth    int    `json:"nth"`
	Always bool   `json:"always"`

	Fault           string     `json:"fault"`
	Status          int        `json:"status"`
	Body            string     `json:"body"`
	Shape           ErrorShape `json:"shape"`
	Text            string     `json:"text"`
	Location        string     `json:"location"`
	DelayMS         int64      `json:"delay_ms"`
	RetryAfterS     int64      `json:"retry_after_s"`
	RetryAfterDateS int64      `json:"retry_after_date_s"`
	AfterProcessing bool       `json:"after_processing"`
}

func (s *Systems) simAddFault(r *http.Request) (any, error) {
	var f simFault
	if err := readBody(r, &f); err != nil {
		return nil, err
	}
	switch f.System {
	case "", xseriesName, smartconnectName, payseraName, kseriesName, pmsName:
	default:
		return nil, refuse(http.StatusBadRequest, "system is %q, must be xseries, smartconnect, paysera, kseries, pms or empty for any", f.System)
	}
	fault, err := f.fault()
	if err != nil {
		return nil, err
	}
	if f.Always {
		fault = fault.Always()
	}
	if f.AfterProcessing {
		fault = fault.AfterProcessing()
	}
	s.Fault(On(f.System, f.Method, f.Path).Nth(f.Nth), fault)
	return nil, nil
}

// fault makes the fault that the fields describe.
func (f simFault) fault() (Fault, error) {
	switch kind := faultKind(f.Fault); kind {
	case faultStatus, "html_body", "error_body":
		if f.Status < 200 || f.Status > 599 {
			return Fault{}, refuse(http.StatusBadRequest, "status is %d, must be from 200 to 599", f.Status)
		}
		fault := Status(f.Status, f.Body)
		if kind == "html_body" {
			fault = HTMLBody(f.Status)
		}
		if kind == "error_body" {
			if f.Shape.body(f.Status, f.Text) == "" {
				return Fault{}, refuse(http.StatusBadRequest, "shape is %q, must be text, message, object, description, details or list", f.Shape)
			}
			fault = ErrorBody(f.Status, f.Shape, f.Text)
		}
		if f.RetryAfterS > 0 {
			fault = fault.RetryAfter(time.Duration(f.RetryAfterS) * time.Second)
		}
		if f.RetryAfterDateS > 0 {
			fault = fault.RetryAfterDate(time.Duration(f.RetryAfterDateS) * time.Second)
		}
		return fault, nil
	case faultRedirect:
		if f.Location == "" {
			return Fault{}, refuse(http.StatusBadRequest, "location is missing: the URL to redirect to")
		}
		return RedirectTo(f.Location), nil
	case faultDelay:
		if f.DelayMS <= 0 {
			return Fault{}, refuse(http.StatusBadRequest, "delay_ms is %d, must be positive", f.DelayMS)
		}
		return Delay(time.Duration(f.DelayMS) * time.Millisecond), nil
	case faultRefuse, faultLose, faultTruncate, faultGarbled, faultExtra, faultExpire:
		return Fault{kind: kind}, nil
	default:
		return Fault{}, refuse(http.StatusBadRequest, "fault is %q, must be one of status, html_body, error_body, redirect, delay, "+
			"refuse_before, lose_reply, truncate, garbled_json, extra_fields, expire_token", f.Fault)
	}
}

// simSmartConnect adds the calls of the simulated SmartConnect.
func (s *Systems) simSmartConnect(handle func(string, simCall)) {
	cloud := s.SmartConnect
	const terminal = "/smartconnect/terminals/{id}"
	device := func(call func(d *Device, r *http.Request) (any, error)) simCall {
		return func(r *http.Request) (any, error) {
			d := cloud.Device(r.PathValue("id"))
			if d == nil {
				return nil, refuse(http.StatusNotFound, "no terminal %q: GET %s/smartconnect/terminals lists them", r.PathValue("id"), simPrefix)
			}
			return call(d, r)
		}
	}
	// Every call that changes a terminal answers with what can be seen of it afterwards.
	act := func(do func(d *Device, r *http.Request) error) simCall {
		return device(func(d *Device, r *http.Request) (any, error) {
			if err := do(d, r); err != nil {
				return nil, err
			}
			return d.State(), nil
		})
	}
	plain := func(do func(d *Device)) simCall {
		return act(func(d *Device, _ *http.Request) error { do(d); return nil })
	}

	handle("GET /smartconnect/terminals", func(*http.Request) (any, error) {
		states := []DeviceState{}
		for _, d := range cloud.Devices() {
			states = append(states, d.State())
		}
		return states, nil
	})
	handle("GET "+terminal, plain(func(*Device) {}))
	handle("GET "+terminal+"/served", device(func(d *Device, _ *http.Request) (any, error) { return d.Served(), nil }))
	handle("GET "+terminal+"/transaction", device(simCurrent))
	handle("POST "+terminal+"/code", act(func(d *Device, _ *http.Request) error { _, err := d.ShowCode(); return err }))
	handle("POST "+terminal+"/approve", act(func(d *Device, _ *http.Request) error { return d.Approve() }))
	handle("POST "+terminal+"/decline", act(func(d *Device, _ *http.Request) error { return d.Decline() }))
	handle("POST "+terminal+"/cancel", act(func(d *Device, _ *http.Request) error { return d.Cancel() }))
	handle("POST "+terminal+"/finish", act(simFinish))
	handle("POST "+terminal+"/unplug", plain((*Device).Unplug))
	handle("POST "+terminal+"/plug", plain((*Device).Plug))
	handle("POST "+terminal+"/unpair", act(simUnpair))
	handle("POST "+terminal+"/auto", act(simAuto))
	handle("POST "+terminal+"/slow", act(simSlow))
	handle("POST "+terminal+"/extras", act(simExtras))
	handle("POST "+terminal+"/busy", act(simBusy))
	handle("POST "+terminal+"/refresh-code", act(simRefreshCode))

	handle("GET /smartconnect/charges", func(r *http.Request) (any, error) {
		charges := []Charge{}
		for _, c := range cloud.Charges() {
			if id := r.URL.Query().Get("terminal"); id == "" || id == c.Device {
				charges = append(charges, c)
			}
		}
		return charges, nil
	})
	handle("GET /smartconnect/transactions", func(*http.Request) (any, error) { return cloud.Transactions(), nil })
	handle("GET /smartconnect/overlaps", func(*http.Request) (any, error) { return listOf(cloud.Overlaps()), nil })
	handle("POST /smartconnect/expire-tokens", simDo(cloud.ExpireTokens))
	handle("POST /smartconnect/settings", s.simCloudSettings)
}

// simCurrent waits for a transaction on the screen.
func simCurrent(d *Device, r *http.Request) (any, error) {
	ctx, cancel, err := waitContext(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	t, err := d.WaitTransaction(ctx)
	if err != nil {
		return nil, refuse(http.StatusNotFound, "terminal %s has no transaction on its screen: post one, or wait with ?wait_ms=", d.ID())
	}
	return t, nil
}

func simFinish(d *Device, r *http.Request) error {
	var body struct {
		TransactionResult string `json:"transaction_result"`
		Result            string `json:"result"`
		Charged           bool   `json:"charged"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	return d.Finish(body.TransactionResult, body.Result, body.Charged)
}

func simUnpair(d *Device, r *http.Request) error {
	var body struct {
		RegisterID string `json:"register_id"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	return d.Unpair(body.RegisterID)
}

func simAuto(d *Device, r *http.Request) error {
	var body struct {
		Mode    Auto  `json:"mode"`
		DelayMS int64 `json:"delay_ms"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	switch body.Mode {
	case Manual, AutoApprove, AutoDecline, AutoCancel:
		d.SetAuto(body.Mode, time.Duration(body.DelayMS)*time.Millisecond)
		return nil
	default:
		return refuse(http.StatusBadRequest, "mode is %q, must be manual, approve, decline or cancel", body.Mode)
	}
}

func simSlow(d *Device, r *http.Request) error {
	var body struct {
		DelayMS int64 `json:"delay_ms"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	if body.DelayMS < 0 {
		return refuse(http.StatusBadRequest, "delay_ms is %d, must not be negative", body.DelayMS)
	}
	d.SetSlow(time.Duration(body.DelayMS) * time.Millisecond)
	return nil
}

func simExtras(d *Device, r *http.Request) error {
	var body struct {
		Surcharge int64 `json:"surcharge_cents"`
		Tip       int64 `json:"tip_cents"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	if body.Surcharge < 0 || body.Tip < 0 {
		return refuse(http.StatusBadRequest, "surcharge_cents and tip_cents must not be negative")
	}
	d.SetExtras(body.Surcharge, body.Tip)
	return nil
}

func simBusy(d *Device, r *http.Request) error {
	var body struct {
		Mode Busy `json:"mode"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	switch body.Mode {
	case BusyQueue, BusyRefuse:
		d.SetBusy(body.Mode)
		return nil
	default:
		return refuse(http.StatusBadRequest, "mode is %q, must be queue or refuse", body.Mode)
	}
}

func simRefreshCode(d *Device, r *http.Request) error {
	var body struct {
		On bool `json:"on"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	d.SetRefresh(body.On)
	return nil
}

// simCloudSettings changes what holds for all terminals. A field that is left out stays as it is.
func (s *Systems) simCloudSettings(r *http.Request) (any, error) {
	var body struct {
		Lean      *bool  `json:"lean"`
		MinPollMS *int64 `json:"min_poll_ms"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	if body.Lean != nil {
		s.SmartConnect.SetLean(*body.Lean)
	}
	if body.MinPollMS != nil {
		s.SmartConnect.SetMinPoll(time.Duration(*body.MinPollMS) * time.Millisecond)
	}
	return nil, nil
}

// simXSeries adds the calls of the simulated X-Series.
func (s *Systems) simXSeries(handle func(string, simCall)) {
	shop := s.XSeries
	modal := func(call func(m *Modal, r *http.Request) (any, error)) simCall {
		return func(r *http.Request) (any, error) {
			m := shop.Modal(r.PathValue("id"))
			if m == nil {
				return nil, refuse(http.StatusNotFound, "no modal %q: POST %s/xseries/modals opens one", r.PathValue("id"), simPrefix)
			}
			return call(m, r)
		}
	}
	handle("GET /xseries/registers", func(*http.Request) (any, error) { return shop.Registers(), nil })
	handle("DELETE /xseries/registers/{id}", func(r *http.Request) (any, error) {
		if err := shop.RemoveRegister(r.PathValue("id")); err != nil {
			return nil, refuse(http.StatusNotFound, "%v", err)
		}
		return nil, nil
	})
	handle("GET /xseries/sales", s.simSales)
	handle("POST /xseries/sales", s.simNewSale)
	handle("GET /xseries/sales/{id}", func(r *http.Request) (any, error) {
		sale, ok := shop.Sale(r.PathValue("id"))
		if !ok {
			return nil, refuse(http.StatusNotFound, "no sale %q", r.PathValue("id"))
		}
		return sale, nil
	})
	handle("POST /xseries/sales/{id}/cash", s.simPayCash)
	handle("POST /xseries/modals", s.simOpenModal)
	handle("GET /xseries/modals/{id}", modal(func(m *Modal, _ *http.Request) (any, error) { return m.State(), nil }))
	handle("POST /xseries/modals/{id}/messages", modal(simMessage))
	handle("POST /xseries/modals/{id}/close", modal(func(m *Modal, _ *http.Request) (any, error) {
		if err := m.Close(); err != nil {
			return nil, err
		}
		return m.State(), nil
	}))
	handle("POST /xseries/modals/{id}/abandon", modal(func(m *Modal, _ *http.Request) (any, error) { m.Abandon(); return m.State(), nil }))
	handle("GET /xseries/gateway", func(*http.Request) (any, error) { return map[string]string{"url": shop.GatewayURL()}, nil })
	handle("POST /xseries/gateway", simURL(shop.SetGatewayURL))
	handle("POST /xseries/authorization", simConsent(s.XSeries))
	handle("GET /xseries/deliveries", s.simDeliveries)
	handle("POST /xseries/deliveries/duplicate", simCount(shop.DuplicateDeliveries))
	handle("POST /xseries/deliveries/lose", simCount(shop.LoseDeliveries))
	handle("POST /xseries/deliveries/hold", simDo(shop.HoldDeliveries))
	handle("POST /xseries/deliveries/release", simRelease(shop.ReleaseDeliveries))
	handle("POST /xseries/deliveries/settings", s.simWebhookSettings)
	handle("POST /xseries/expire-tokens", simDo(shop.ExpireTokens))
	handle("POST /xseries/revoke-tokens", simDo(shop.RevokeTokens))
}

// simDeliveries lists the deliveries, see [settledList].
func (s *Systems) simDeliveries(r *http.Request) (any, error) {
	return settledList(r, "deliveries", s.XSeries.WaitDeliveries)
}

// settledList lists what the simulated systems post. With the query parameters settled and wait_ms it waits until so many
// of them are no longer pending.
func settledList[T any](r *http.Request, what string, wait func(context.Context, int) ([]T, error)) (any, error) {
	settled := 0
	if text := r.URL.Query().Get("settled"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, refuse(http.StatusBadRequest, "settled is %q, must be a number of %s", text, what)
		}
		settled = n
	}
	ctx, cancel, err := waitContext(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	list, err := wait(ctx, settled)
	if err != nil {
		return nil, refuse(http.StatusConflict, "%v", err)
	}
	return list, nil
}

// simDo is a call that takes nothing.
func simDo(do func()) simCall {
	return func(*http.Request) (any, error) { do(); return nil, nil }
}

// simRelease is a call that sends what was held, in its order or reversed.
func simRelease(release func(reversed bool)) simCall {
	return func(r *http.Request) (any, error) {
		var body struct {
			Reversed bool `json:"reversed"`
		}
		if err := readBody(r, &body); err != nil {
			return nil, err
		}
		release(body.Reversed)
		return nil, nil
	}
}

// simURL is a call that takes an absolute URL, or none.
func simURL(set func(string)) simCall {
	return func(r *http.Request) (any, error) {
		var body struct {
			URL string `json:"url"`
		}
		if err := readBody(r, &body); err != nil {
			return nil, err
		}
		if u, err := url.Parse(body.URL); err != nil || body.URL != "" && !u.IsAbs() {
			return nil, refuse(http.StatusBadRequest, "url is %q, must be absolute, or empty for none", body.URL)
		}
		set(body.URL)
		return nil, nil
	}
}

// simCount is a call that takes a number.
func simCount(set func(int)) simCall {
	return func(r *http.Request) (any, error) {
		var body struct {
			Count int `json:"count"`
		}
		if err := readBody(r, &body); err != nil {
			return nil, err
		}
		if body.Count < 0 {
			return nil, refuse(http.StatusBadRequest, "count is %d, must not be negative", body.Count)
		}
		set(body.Count)
		return nil, nil
	}
}

// simWebhookSettings says how webhooks are delivered; what is left out goes back to its default.
func (s *Systems) simWebhookSettings(r *http.Request) (any, error) {
	var body struct {
		Encoding    SignatureEncoding `json:"encoding"`
		SignPayload bool              `json:"sign_payload"`
		Bare        bool              `json:"bare"`
		RetryMS     int64             `json:"retry_ms"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	switch body.Encoding {
	case "", SignatureHex, SignatureBase64, SignatureBase64URL:
	default:
		return nil, refuse(http.StatusBadRequest, "encoding is %q, must be hex, base64 or base64url", body.Encoding)
	}
	if body.RetryMS < 0 {
		return nil, refuse(http.StatusBadRequest, "retry_ms is %d, must not be negative", body.RetryMS)
	}
	s.XSeries.SetWebhooks(WebhookOptions{
		Encoding: body.Encoding, SignPayload: body.SignPayload, Bare: body.Bare, Retry: time.Duration(body.RetryMS) * time.Millisecond,
	})
	return nil, nil
}

// simNewSale begins a sale of one thing or of a cart.
func (s *Systems) simNewSale(r *http.Request) (any, error) {
	var body struct {
		Cart

		RegisterID string           `json:"register_id"`
		Total      *decimal.Decimal `json:"total"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	var sale Sale
	var err error
	switch {
	case (body.Total == nil) == (body.Lines == nil):
		return nil, refuse(http.StatusBadRequest, "give total for a sale of one thing or lines for a cart, not both")
	case body.Total != nil && (body.CustomerID != "" || body.Discount != nil):
		return nil, refuse(http.StatusBadRequest, "customer_id and discount go with lines")
	case body.Total != nil:
		sale, err = s.XSeries.NewSale(body.RegisterID, *body.Total)
	default:
		sale, err = s.XSeries.NewSaleOf(body.RegisterID, body.Cart)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	return sale, nil
}

// openedModal tells how to go on with a modal.
type openedModal struct {
	ModalState

	// Parameters are what the sell screen appends to the gateway's URL, Query the same encoded, URL the whole ("" when
	// the merchant has entered no gateway).
	Parameters map[string]string `json:"parameters"`
	Query      string            `json:"query"`
	URL        string            `json:"url"`
}

// simOpenModal opens a modal on a new sale, or on the sale named.
func (s *Systems) simOpenModal(r *http.Request) (any, error) {
	var body struct {
		RegisterID string          `json:"register_id"`
		SaleID     string          `json:"sale_id"`
		Amount     decimal.Decimal `json:"amount"`
		Origin     string          `json:"origin"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	var m *Modal
	var err error
	switch {
	case (body.RegisterID == "") == (body.SaleID == ""):
		return nil, refuse(http.StatusBadRequest, "give register_id for a new sale or sale_id for the next payment of one, not both")
	case body.SaleID != "":
		m, err = s.XSeries.OpenModalFor(body.SaleID, body.Amount)
	default:
		m, err = s.XSeries.OpenModal(body.RegisterID, body.Amount)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	if body.Origin != "" {
		if err := m.SetOrigin(body.Origin); err != nil {
			m.Abandon()
			return nil, refuse(http.StatusBadRequest, "%v", err)
		}
	}
	opened := openedModal{ModalState: m.State(), Parameters: map[string]string{}, Query: m.Query().Encode(), URL: m.URL()}
	for key := range m.Query() {
		opened.Parameters[key] = m.Query().Get(key)
	}
	return opened, nil
}

// simMessage takes the text that a gateway's page would give to postMessage and answers with the text that it would
// get back, if any.
func simMessage(m *Modal, r *http.Request) (any, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body cannot be read: %v", err)
	}
	reply, err := m.Post(string(raw))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	if reply == "" {
		return nil, nil
	}
	return json.RawMessage(reply), nil
}
