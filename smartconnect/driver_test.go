package smartconnect_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

// formCapture is a transport that keeps the form it is given and breaks off.
type formCapture struct{ form url.Values }

func (c *formCapture) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.form, err = url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

func till() pairing.Register {
	return pairing.Register{System: "xseries", Account: "acme", ID: "r 1/2"}
}

func payment() pairing.Payment {
	return pairing.Payment{
		Request: pairing.Request{
			ID: "p1", Register: till(), Kind: pairing.Purchase, Amount: decimal.RequireFromString("5.00"), Currency: "NZD",
		},
		Identity: registerID,
	}
}

func TestDriverPairsAndLearnsTheDevice(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"result":"success"}`), started(t))
	link, err := smartconnect.NewDriver(s.client(t)).Pair(t.Context(), pairing.PairRequest{
		Register: till(), Code: "63247216", RegisterName: "Main Register",
	})
	require.NoError(t, err)
	require.Equal(t, pairing.Terminal{Provider: "smartconnect", Serial: "7070714000"}, link.Terminal)
	id, err := uuid.Parse(link.Identity.Reveal())
	require.NoError(t, err)
	require.Equal(t, uuid.Version(4), id.Version())
	got := s.got()
	require.Len(t, got, 2)
	require.Equal(t, link.Identity.Reveal(), got[0].form.Get("POSRegisterID"))
	require.Equal(t, "Main Register", got[0].form.Get("POSRegisterName"))
	want := wireRequests(t)["terminal_get_status"]
	want.Body = strings.ReplaceAll(want.Body, registerID.Reveal(), link.Identity.Reveal())
	requireSame(t, want, got[1])
}

func TestDriverKeepsTheIdentity(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"result":"success"}`), started(t))
	link, err := smartconnect.NewDriver(s.client(t)).Pair(t.Context(), pairing.PairRequest{
		Register: till(), Code: "63247216", Identity: registerID,
	})
	require.NoError(t, err)
	require.Equal(t, registerID, link.Identity)
	require.Equal(t, "r 1/2", s.got()[0].form.Get("POSRegisterName"), "something has to be shown")
}

func TestDriverPairsWithoutTheProbe(t *testing.T) {
	for name, probe := range map[string]http.HandlerFunc{
		"busy":       answer(http.StatusTooManyRequests, `{"error":"device is busy"}`),
		"not paired": answer(http.StatusBadRequest, `{"error":"This register is not paired to a device, please pair it first."}`),
		"lost":       lost,
		"broken":     answer(http.StatusBadGateway, "<html>"),
		"no device":  answer(http.StatusOK, `{"transactionStatus":"PENDING","data":{}}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answer(http.StatusOK, `{"result":"success"}`), probe)
			link, err := smartconnect.NewDriver(s.client(t)).Pair(t.Context(), pairing.PairRequest{Register: till(), Code: "1"})
			require.NoError(t, err)
			require.Equal(t, "register:xseries/acme/r%201%2F2", link.Terminal.Serial)
			require.NotContains(t, link.Terminal.Serial, link.Identity.Reveal())
			require.Len(t, s.got(), 2)
		})
	}
}

func TestDriverPairErrors(t *testing.T) {
	s := newServer(t, answer(http.StatusBadRequest, fixture(t, "pairing_error_400_invalid_code.json")))
	_, err := smartconnect.NewDriver(s.client(t)).Pair(t.Context(), pairing.PairRequest{Register: till(), Code: "1"})
	require.ErrorIs(t, err, pairing.ErrWrongCode)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Len(t, s.got(), 1, "no probe after a refusal")
}

func TestDriverPairAfterALostReply(t *testing.T) {
	tests := map[string]struct {
		identity tillroute.Secret
		probe    http.HandlerFunc
		paired   bool
		serial   string
	}{
		"a terminal answers to the new name": {"", started(t), true, "7070714000"},
		"a terminal is busy under it":        {"", answer(http.StatusTooManyRequests, `{"error":"device is busy"}`), true, "register:xseries/acme/r%201%2F2"},
		"nobody knows it":                    {"", answer(http.StatusBadRequest, `{"error":"This register is not paired to a device"}`), false, ""},
		"nobody can say":                     {"", lost, false, ""},
		"the old terminal may be answering":  {registerID, started(t), false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, lost, test.probe)
			link, err := smartconnect.NewDriver(s.client(t)).Pair(t.Context(), pairing.PairRequest{
				Register: till(), Code: "1", Identity: test.identity,
			})
			if !test.paired {
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
				require.Zero(t, link)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.serial, link.Terminal.Serial)
			require.Equal(t, s.got()[0].form.Get("POSRegisterID"), link.Identity.Reveal())
		})
	}
}

func TestDriverStart(t *testing.T) {
	s := newServer(t, started(t))
	driver := smartconnect.NewDriver(s.client(t))
	handle, err := driver.Start(t.Context(), payment())
	require.NoError(t, err)
	require.Equal(t, "f363c7de-102c-4d80-a902-ed37413ca599", handle.TransactionID)
	require.Equal(t, "7070714000", handle.Serial)
	require.Contains(t, handle.Token.Reveal(), pollToken)
	refund := payment()
	refund.Kind = pairing.Refund
	_, err = driver.Start(t.Context(), refund)
	require.NoError(t, err)
	want := wireRequests(t)
	requireSame(t, want["purchase"], s.got()[0])
	requireSame(t, want["refund"], s.got()[1])
}

func TestDriverStartRefuses(t *testing.T) {
	s := newServer(t, started(t))
	driver := smartconnect.NewDriver(s.client(t))
	for name, change := range map[string]func(*pairing.Payment){
		"another currency": func(p *pairing.Payment) { p.Currency = "AUD" },
		"unknown kind":     func(p *pairing.Payment) { p.Kind = "void" },
		"no kind":          func(p *pairing.Payment) { p.Kind = "" },
		"no identity":      func(p *pairing.Payment) { p.Identity = "" },
		"zero":             func(p *pairing.Payment) { p.Amount = decimal.Zero },
		"fraction":         func(p *pairing.Payment) { p.Amount = decimal.RequireFromString("0.005") },
	} {
		p := payment()
		change(&p)
		_, err := driver.Start(t.Context(), p)
		require.ErrorIs(t, err, tillroute.ErrInvalid, name)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, name)
	}
	require.Empty(t, s.got())
	_, err := smartconnect.NewDriver(nil).Start(t.Context(), payment())
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func TestDriverStartErrorsSayWhatToDo(t *testing.T) {
	tests := map[string]struct {
		answer  http.HandlerFunc
		is      error
		outcome tillroute.Outcome
	}{
		"busy":         {answer(http.StatusTooManyRequests, `{"error":"device is busy"}`), tillroute.ErrBusy, tillroute.Failed},
		"rate limited": {answer(http.StatusTooManyRequests, `{"error":"slow down"}`), tillroute.ErrBusy, tillroute.Failed},
		"not paired":   {answer(http.StatusBadRequest, `{"error":"This register is not paired"}`), pairing.ErrNotPaired, tillroute.Failed},
		"lost":         {lost, tillroute.ErrUnavailable, tillroute.Unknown},
		"broken":       {answer(http.StatusBadGateway, ""), tillroute.ErrUnavailable, tillroute.Unknown},
		"no URL":       {answer(http.StatusOK, `{}`), tillroute.ErrDecode, tillroute.Unknown},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.answer)
			_, err := smartconnect.NewDriver(s.client(t)).Start(t.Context(), payment())
			require.ErrorIs(t, err, test.is)
			var e *tillroute.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.outcome, e.Outcome)
			require.Len(t, s.got(), 1)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newServer(t, started(t))
	_, err := smartconnect.NewDriver(s.client(t)).Start(ctx, payment())
	require.ErrorIs(t, err, tillroute.ErrBusy, "what was provably not sent keeps its place")
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, s.got())
}

func TestDriverAwait(t *testing.T) {
	s := newServer(t,
		answer(http.StatusOK, fixture(t, "poll_pending_200.json")),
		answer(http.StatusOK, fixture(t, "poll_pending_delayed_200.json")),
		answer(http.StatusOK, fixture(t, "poll_pending_200.json")),
		answer(http.StatusOK, fixture(t, "poll_completed_accepted_200.json")))
	p := payment()
	p.Handle = pairing.Handle{TransactionID: "f363c7de-102c-4d80-a902-ed37413ca599", Token: s.transaction().PollingURL}
	var notes []string
	result, err := smartconnect.NewDriver(s.client(t)).Await(t.Context(), p, func(note string) { notes = append(notes, note) })
	require.NoError(t, err)
	require.Equal(t, []string{"taking longer than usual", "waiting for the terminal"}, notes, "that it waits at first is known")
	require.Equal(t, tillroute.Approved, result.Outcome)
	require.Equal(t, "6.15", result.Amount.StringFixed(2))
	require.Equal(t, "0.15", result.Surcharge.StringFixed(2))
	require.Equal(t, "1.00", result.Tip.StringFixed(2))
	require.Equal(t, "f363c7de-102c-4d80-a902-ed37413ca599", result.TransactionID)
	require.Equal(t, "PIN147", result.AuthCode)
	require.Equal(t, "000013", result.Acquirer)
	require.Equal(t, "EMV TEST CARD", result.CardType)
	require.Equal(t, "....0138", result.CardNumber)
	require.Contains(t, result.Receipt, "******DUPLICATE  RECEIPT******")
}

func TestDriverAwaitEnds(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, pending))
	driver := smartconnect.NewDriver(s.client(t, func(c *smartconnect.Config) { c.PollTimeout = 20 * time.Millisecond }))
	p := payment()
	for name, token := range map[string]tillroute.Secret{
		"no handle":          "",
		"of another server":  "https://api.smart-connect.cloud/pos/transaction/T1?merchantAccessToken=" + pollToken,
		"longer than it may": s.transaction().PollingURL,
	} {
		p.Handle = pairing.Handle{TransactionID: "T1", Token: token}
		result, err := driver.Await(t.Context(), p, func(string) {})
		require.NoError(t, err, name)
		require.Equal(t, tillroute.Unknown, result.Outcome, name)
		require.Contains(t, result.Reason, "look at the terminal", name)
		require.NotContains(t, result.Reason, pollToken, name)
		require.Equal(t, "T1", result.TransactionID, name)
	}
	p.Handle.Token = s.transaction().PollingURL
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	_, err := smartconnect.NewDriver(s.client(t)).Await(ctx, p, func(string) {})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
}

func TestDriverStartThatWasInterruptedIsNotSafeToRepeat(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := smartconnect.NewDriver(s.client(t)).Start(ctx, payment())
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, tillroute.ErrBusy, "it would be sent again")
	require.Len(t, s.got(), 1)
}
