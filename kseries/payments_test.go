package kseries_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
)

// payment is that of the vendor's example, with the least that it needs.
func payment() kseries.Payment {
	return kseries.Payment{
		BusinessLocationID: location, AccountIdentifier: "A1234.56", Reference: "12345678901234", EndpointID: "MY-AWESOME-ENDPOINT-ID",
		Amount: d("20.06"),
	}
}

func TestApplySendsWhatTheVendorDocuments(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "pay_response_200.json")))
	p := payment()
	p.Tip, p.TTL, p.Method, p.StaffID, p.DeviceID, p.PrinterProfileID = d("2.5"), time.Minute, "OOPAYMENT", 42, 12345678980, 1773881235
	before := time.Now()
	submitted, err := s.client(t).Payments.Apply(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, "12345678901234", submitted.Reference)
	require.Equal(t, kseries.TakenNow, submitted.Taken)
	require.WithinRange(t, submitted.Until, before.Add(time.Minute), time.Now().Add(time.Minute))
	require.Equal(t, time.UTC, submitted.Until.Location())
	s.only(t, http.MethodPost, "/o/op/1/pay", nil, strings.Replace(fixture(t, "pay_request.json"), `"iKaccountId": 0,`, "", 1))
	require.NotContains(t, s.got()[0].body, `"iKaccountId"`, "it is deprecated")
}

func TestApplyLeavesOutWhatIsNotSaid(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"status":"OK"}`))
	submitted, err := s.client(t).Payments.Apply(t.Context(), payment())
	require.NoError(t, err)
	require.Zero(t, submitted.Until, "the vendor's time to live isn't documented")
	require.JSONEq(t, `{"iKaccountIdentifier":"A1234.56","thirdPartyPaymentReference":"12345678901234",`+
		`"endpointId":"MY-AWESOME-ENDPOINT-ID","businessLocationId":45454565682155,"paymentAmount":20.06}`, s.got()[0].body)
}

func TestAmountsGoOutExactly(t *testing.T) {
	for _, test := range []struct{ amount, tip, want string }{
		{"20.06", "0", `"paymentAmount":20.06}`},
		{"0.1", "0.2", `"paymentAmount":0.1,"tipAmount":0.2}`},
		{"100", "0.00", `"paymentAmount":100}`},
		{"1e3", "0", `"paymentAmount":1000}`},
		{"20.00", "0", `"paymentAmount":20}`},
		{"0", "5", `"paymentAmount":0,"tipAmount":5}`},
		{"9999999999999.99", "0", `"paymentAmount":9999999999999.99}`},
		{"0.005", "0", `"paymentAmount":0.005}`},
	} {
		s := newServer(t, answer(http.StatusOK, `{"status":"ok"}`))
		p := payment()
		p.Amount, p.Tip = d(test.amount), d(test.tip)
		_, err := s.client(t).Payments.Apply(t.Context(), p)
		require.NoError(t, err, test.amount)
		require.Contains(t, s.got()[0].body, test.want)
	}
}

func TestApplyRefusesWhatCannotBeRight(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"status":"ok"}`))
	client := s.client(t)
	for name, test := range map[string]struct {
		change func(*kseries.Payment)
		says   string
	}{
		"no location":       {func(p *kseries.Payment) { p.BusinessLocationID = 0 }, "BusinessLocationID"},
		"no check":          {func(p *kseries.Payment) { p.AccountIdentifier = "" }, "AccountIdentifier"},
		"no reference":      {func(p *kseries.Payment) { p.Reference = "" }, "Reference is missing"},
		"long reference":    {func(p *kseries.Payment) { p.Reference = strings.Repeat("é", 51) }, "51 characters, and may have 50"},
		"spaced reference":  {func(p *kseries.Payment) { p.Reference = "a " }, "Reference has characters"},
		"odd reference":     {func(p *kseries.Payment) { p.Reference = "a\nb" }, "Reference has characters"},
		"invalid reference": {func(p *kseries.Payment) { p.Reference = "a\xffb" }, "Reference has characters"},
		"no endpoint":       {func(p *kseries.Payment) { p.EndpointID = "" }, "EndpointID"},
		"short TTL":         {func(p *kseries.Payment) { p.TTL = 59_999 * time.Millisecond }, "TTL"},
		"negative TTL":      {func(p *kseries.Payment) { p.TTL = -time.Minute }, "TTL"},
		"long TTL":          {func(p *kseries.Payment) { p.TTL = (1 << 31) * time.Millisecond }, "TTL"},
		"odd TTL":           {func(p *kseries.Payment) { p.TTL = time.Minute + time.Microsecond }, "TTL"},
		"no amount":         {func(p *kseries.Payment) { p.Amount = decimal.Zero }, "Amount is missing"},
		"negative amount":   {func(p *kseries.Payment) { p.Amount = d("-1") }, "Amount"},
		"negative tip":      {func(p *kseries.Payment) { p.Tip = d("-0.01") }, "Tip"},
		"long amount":       {func(p *kseries.Payment) { p.Amount = d("99999999999999.99") }, "digits"},
		"huge amount":       {func(p *kseries.Payment) { p.Amount = decimal.New(1, 1_000_000_000) }, "digits"},
		"tiny amount":       {func(p *kseries.Payment) { p.Amount = decimal.New(1, -1_000_000_000) }, "digits"},
	} {
		t.Run(name, func(t *testing.T) {
			p := payment()
			test.change(&p)
			_, err := client.Payments.Apply(t.Context(), p)
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			require.ErrorContains(t, err, test.says)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		})
	}
	require.Empty(t, s.got())
	for _, change := range []func(*kseries.Payment){
		func(p *kseries.Payment) { p.Reference = strings.Repeat("é", 50) },
		func(p *kseries.Payment) { p.TTL = time.Minute },
		func(p *kseries.Payment) { p.TTL = (1<<31 - 1) * time.Millisecond },
	} {
		p := payment()
		change(&p)
		_, err := client.Payments.Apply(t.Context(), p)
		require.NoError(t, err)
	}
}

func TestReferenceThatWasUsed(t *testing.T) {
	order := kseries.LocalOrder{Order: order()}
	for name, body := range map[string]struct {
		status int
		text   string
	}{
		"payments' form": {http.StatusBadRequest, fixture(t, "pay_error_400_reference_used.json")},
		"orders' form":   {http.StatusConflict, fixture(t, "order_error_409_reference_used.json")},
		"in capitals":    {http.StatusBadRequest, `{"message":"Reference HAS already been used x"}`},
		"as a success":   {http.StatusOK, fixture(t, "order_error_409_reference_used.json")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answer(body.status, body.text))
			client := s.client(t)
			_, paid := client.Payments.Apply(t.Context(), payment())
			_, ordered := client.Orders.Local(t.Context(), order)
			for _, err := range []error{paid, ordered} {
				require.ErrorIs(t, err, kseries.ErrReferenceUsed)
				require.ErrorIs(t, err, tillroute.ErrConflict)
				require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "this call had no effect")
			}
			again := payment()
			again.Again = true
			submitted, err := client.Payments.Apply(t.Context(), again)
			require.NoError(t, err, "then it proves that an earlier call had one")
			require.Equal(t, kseries.TakenEarlier, submitted.Taken)
		})
	}
	s := newServer(t, answer(http.StatusBadRequest, fixture(t, "check_error_400_identifier.json")))
	_, err := s.client(t).Payments.Apply(t.Context(), payment())
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.NotErrorIs(t, err, kseries.ErrReferenceUsed)
}

// TestLostAnswer has what a second request with the same reference proves.
func TestLostAnswer(t *testing.T) {
	used := answer(http.StatusBadRequest, fixture(t, "pay_error_400_reference_used.json"))
	ok := answer(http.StatusOK, `{"status":"ok"}`)
	broken := answer(http.StatusBadGateway, "")
	for name, test := range map[string]struct {
		answers []http.HandlerFunc
		taken   kseries.Taken
		is      error
		outcome tillroute.Outcome
		sent    int
	}{
		"it had not arrived":           {[]http.HandlerFunc{lost, ok}, kseries.TakenNow, nil, 0, 2},
		"it had arrived":               {[]http.HandlerFunc{lost, used}, kseries.TakenEarlier, nil, 0, 2},
		"a server error, not arrived":  {[]http.HandlerFunc{broken, ok}, kseries.TakenNow, nil, 0, 2},
		"a server error, arrived":      {[]http.HandlerFunc{broken, lost, used}, kseries.TakenEarlier, nil, 0, 3},
		"nobody knows":                 {[]http.HandlerFunc{lost}, 0, tillroute.ErrUnavailable, tillroute.Unknown, 3},
		"nobody knows, server error":   {[]http.HandlerFunc{broken}, 0, tillroute.ErrUnavailable, tillroute.Unknown, 3},
		"refused for something else":   {[]http.HandlerFunc{lost, answer(400, `{"message":"no"}`)}, 0, tillroute.ErrInvalid, tillroute.Unknown, 2},
		"refused without any doubt":    {[]http.HandlerFunc{answer(400, `{"message":"no"}`)}, 0, tillroute.ErrInvalid, tillroute.Failed, 1},
		"refused, used":                {[]http.HandlerFunc{used}, 0, kseries.ErrReferenceUsed, tillroute.Failed, 1},
		"an answer that isn't ok":      {[]http.HandlerFunc{answer(200, `{"status":"fail","msg":"?"}`)}, 0, tillroute.ErrDecode, tillroute.Unknown, 1},
		"an answer that says nothing":  {[]http.HandlerFunc{answer(200, `{}`)}, 0, tillroute.ErrDecode, tillroute.Unknown, 1},
		"an answer that isn't JSON":    {[]http.HandlerFunc{answer(200, `ok`)}, 0, tillroute.ErrDecode, tillroute.Unknown, 1},
		"unauthorized without a doubt": {[]http.HandlerFunc{answer(401, `{}`)}, 0, tillroute.ErrUnauthorized, tillroute.Failed, 1},
		"unauthorized after a doubt":   {[]http.HandlerFunc{lost, answer(401, `{}`)}, 0, tillroute.ErrUnauthorized, tillroute.Unknown, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.answers...)
			submitted, err := s.client(t, persistent).Payments.Apply(t.Context(), payment())
			sent := s.got()
			require.Len(t, sent, test.sent)
			for _, r := range sent {
				require.Equal(t, sent[0].body, r.body, "the same payment, with the same reference")
			}
			if test.is == nil {
				require.NoError(t, err)
				require.Equal(t, test.taken, submitted.Taken)
				return
			}
			require.ErrorIs(t, err, test.is)
			require.Equal(t, test.outcome == tillroute.Unknown, errors.Is(err, tillroute.ErrOutcomeUnknown))
			require.Zero(t, submitted)
		})
	}
}

// TestRefreshThatFailsDoesNotSettleAPayment is about a payment that may have arrived before its token was refused.
func TestRefreshThatFailsDoesNotSettleAPayment(t *testing.T) {
	for name, test := range map[string]struct {
		answers []http.HandlerFunc
		outcome tillroute.Outcome
	}{
		"it may have arrived": {[]http.HandlerFunc{lost}, tillroute.Unknown},
		"it was refused":      {nil, tillroute.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, append(test.answers, answer(401, `{"error":"expired"}`), answer(400, `{"error":"invalid_grant"}`))...)
			tokens := newTokens()
			_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: "kseries", Account: "acme", AccessToken: "a", RefreshToken: "refresh-0"}, -1)
			require.NoError(t, err)
			client := s.client(t, persistent, func(c *kseries.Config) {
				c.AccessToken, c.Tokens, c.Account, c.OAuth = "", tokens, "acme", s.app()
			})
			_, err = client.Payments.Apply(t.Context(), payment())
			require.ErrorIs(t, err, kseries.ErrReconnect)
			require.ErrorIs(t, err, tillroute.ErrUnauthorized)
			var e *tillroute.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "Payments.Apply", e.Operation)
			require.Equal(t, test.outcome, e.Outcome)
			require.Equal(t, test.outcome == tillroute.Unknown, errors.Is(err, tillroute.ErrOutcomeUnknown))
		})
	}
}

func TestCallerWhoLeavesGetsNoRefusal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}, answer(http.StatusBadRequest, fixture(t, "pay_error_400_reference_used.json")))
	client := s.client(t, persistent)
	_, err := client.Payments.Apply(ctx, payment())
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Len(t, s.got(), 1)
	again := payment()
	again.Again = true
	submitted, err := client.Payments.Apply(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, kseries.TakenEarlier, submitted.Taken)
}

func TestTakenSaysWhat(t *testing.T) {
	require.Equal(t, "now earlier Taken(0)", kseries.TakenNow.String()+" "+kseries.TakenEarlier.String()+" "+kseries.Taken(0).String())
}
