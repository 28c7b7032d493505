package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func TestShow(t *testing.T) {
	type change = func(*pairing.Payment, *follow)
	for name, test := range map[string]struct {
		state   pairing.State
		outcome tillroute.Outcome
		change  change
		ahead   int

		kind, title, text string
		details           string
		close, end, claim bool
		tell              string
		actions           int
	}{
		"waits": {state: pairing.Queued, kind: "wait", title: "Waiting for Till 1", actions: 1},
		"one before it": {
			state: pairing.Queued, ahead: 1, kind: "wait", title: "Waiting for Till 1", text: "One payment is before this one.", actions: 1,
		},
		"some before it": {state: pairing.Queued, ahead: 3, kind: "wait", title: "Waiting for Till 1", text: "3 payments are before this one.", actions: 1},
		"waits, busy": {
			state: pairing.Queued, change: func(p *pairing.Payment, _ *follow) { p.Note = "the terminal is busy" },
			kind: "wait", title: "Waiting for Till 1", text: "The terminal is busy.", actions: 1,
		},
		"being sent": {state: pairing.Sending, kind: "wait", title: "Present the card at Till 1", text: "To cancel, cancel at the terminal."},
		"slow": {
			state: pairing.Sent, change: func(p *pairing.Payment, _ *follow) { p.Note = "taking longer than usual" },
			kind: "wait", title: "Present the card at Till 1", text: "Taking longer than usual.",
		},
		"a refund": {
			state: pairing.Sent, change: func(p *pairing.Payment, f *follow) { p.Kind, f.Kind = pairing.Refund, pairing.Refund },
			kind: "wait", title: "Present the card at Till 1", text: "It is giving back NZD\u00a010.00.",
		},
		"an earlier one": {
			state: pairing.Sent, change: func(_ *pairing.Payment, f *follow) { f.Amount = amount("7") },
			kind: "wait", title: "Present the card at Till 1", text: "An earlier payment of NZD\u00a010.00 for this sale is still under way.",
		},
		"nobody knows": {
			state: pairing.Parked, change: func(p *pairing.Payment, _ *follow) { p.Result.Reason = "the reply was lost" },
			kind: "doubt", title: "It is not known whether the card was charged", details: "The reply was lost.",
		},
		"a state that is new": {
			state: "paused", kind: "doubt", title: "It is not known whether the card was charged", details: "Payment: p/1",
		},
		"declined": {
			state: pairing.Done, outcome: tillroute.Declined, change: func(p *pairing.Payment, _ *follow) {
				p.Result.Reason, p.Result.Receipt = "no funds", "DECLINED <05>"
			},
			kind: "bad", title: "Declined", text: "No funds.", end: true,
			tell: `{"step":"DECLINE","print":true,"receipt_html_extra":"<pre>DECLINED &lt;05&gt;</pre>"}`,
		},
		"cancelled": {state: pairing.Done, outcome: tillroute.Cancelled, kind: "bad", title: "Cancelled", text: "No money moved.", end: true, tell: `{"step":"DECLINE","print":true}`},
		"failed":    {state: pairing.Done, outcome: tillroute.Failed, kind: "bad", title: "Not possible", text: "No money moved.", end: true, tell: `{"step":"DECLINE","print":true}`},
		"approved": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, _ *follow) {
				p.Result.TransactionID, p.Result.Receipt = "t-1", "<b>"
			},
			kind: "good", title: "Approved", text: "NZD\u00a010.00 was charged.", end: true, claim: true,
			tell: `{"step":"ACCEPT","transaction_id":"t-1","receipt_html_extra":"<pre>&lt;b&gt;</pre>"}`,
		},
		"approved, without a name": {
			state: pairing.Done, outcome: tillroute.Approved,
			kind: "good", title: "Approved", end: true, claim: true, tell: `{"step":"ACCEPT","transaction_id":"p/1"}`,
		},
		"approved, told by this page": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, f *follow) { p.Mark = toldBy("mine", f.Paid) },
			kind: "good", title: "Approved", end: true, claim: true, tell: `{"step":"ACCEPT","transaction_id":"p/1"}`,
		},
		"approved, told by another page": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, _ *follow) { p.Mark = markTold + "other" },
			kind: "good", title: "Approved", text: "Another window of this till", close: true, end: true,
		},
		"approved, recorded": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, _ *follow) { p.Mark = recordedBySale },
			kind: "good", title: "Approved", text: "Another window of this till", close: true, end: true,
		},
		"approved, to be used": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, f *follow) {
				p.Mark, f.From = markTold+"other", markTold+"other"
			},
			kind: "good", title: "Approved", end: true, claim: true, tell: `{"step":"ACCEPT","transaction_id":"p/1"}`,
		},
		"approved, to be used, and told by a third page since": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, f *follow) {
				p.Mark, f.From = markTold+"third", markTold+"other"
			},
			kind: "good", title: "Approved", text: "Another window of this till", close: true, end: true,
		},
		"approved for a part": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, _ *follow) { p.Result.Amount = amount("8") },
			kind: "doubt", title: "Only NZD\u00a08.00 was charged", text: "enter NZD\u00a08.00 as the amount", close: true, end: true, actions: 1,
		},
		"approved for a part, of a refund": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, f *follow) {
				p.Kind, f.Kind, p.Result.Amount = pairing.Refund, pairing.Refund, amount("8")
			},
			kind: "doubt", title: "Only NZD\u00a08.00 was refunded", close: true, end: true, actions: 1,
		},
		"approved, of another kind": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(_ *pairing.Payment, f *follow) { f.Kind = pairing.Refund },
			kind: "doubt", title: "This sale has an approved payment of NZD\u00a010.00", close: true, end: true, actions: 1,
		},
		"approved, with a surcharge": {
			state: pairing.Done, outcome: tillroute.Approved, change: func(p *pairing.Payment, _ *follow) {
				p.Result.Amount, p.Result.Surcharge = amount("10.15"), amount("0.15")
			},
			kind: "good", title: "Approved", text: "That is NZD\u00a00.15 more", end: true, claim: true, tell: `{"step":"ACCEPT","transaction_id":"p/1"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := attempted(test.state, test.outcome, nil)
			f := follow{ID: p.ID, Kind: p.Kind, Amount: p.Amount, Page: "mine", Terminal: "Till 1"}
			if test.change != nil {
				test.change(&p, &f)
			}
			s := (&Handler{}).show(pairing.Progress{Payment: p, Ahead: test.ahead}, f)
			require.Equal(t, test.kind, s.Kind)
			require.Equal(t, test.title, s.Title)
			require.Contains(t, strings.Join(s.Text, "\n"), test.text)
			require.Contains(t, strings.Join(s.Details, "\n"), test.details)
			require.Equal(t, test.close, s.Close)
			require.Equal(t, test.end, s.End)
			require.Equal(t, test.claim, s.Claim)
			require.Equal(t, test.tell, s.Tell)
			require.Len(t, s.Actions, test.actions)
			if s.Tell != "" && !s.Claim {
				require.Equal(t, readAgain, s.After)
			}
		})
	}
}

func TestShowDoubt(t *testing.T) {
	p := attempted(pairing.Done, tillroute.Approved, func(p *pairing.Payment, _ *detail) {
		p.Mark, p.EndedAt = markTold+"other", time.Now().Add(-5*time.Minute)
	})
	s := showDoubt(p, ask{Kind: pairing.Purchase, Amount: amount("10")})
	require.Contains(t, s.Text[0], "It was approved 5 minutes ago")
	require.Len(t, s.Actions, 2)
	require.Equal(t, action{
		Do: "start", Use: "p/1", Mark: markTold + "other", Label: "No: use it now", Sure: s.Actions[0].Sure,
	}, s.Actions[0])
	require.Equal(t, "p/1", s.Actions[1].Settled)
	require.Contains(t, s.Actions[1].Sure, "charged NZD\u00a010.00 anew")

	s = showDoubt(p, ask{Kind: pairing.Refund, Amount: amount("3")})
	require.Len(t, s.Actions, 1, "it is not what the page was opened for")
	require.Contains(t, s.Actions[0].Sure, "Another NZD\u00a03.00 will be given back")
	require.Empty(t, s.Tell)
	require.False(t, s.End)
}

func TestWords(t *testing.T) {
	require.Equal(t, "JPY\u00a0500", money(amount("500"), "JPY"))
	require.Equal(t, "10.005", money(amount("10.005"), ""))
	require.Equal(t, "Über alles.", sentence(" über alles... "))
	require.Empty(t, sentence(" . "))
	for text, d := range map[string]time.Duration{
		"a moment ago": -time.Hour, "2 minutes ago": 2 * time.Minute, "119 minutes ago": 2*time.Hour - 1,
		"2 hours ago": 2 * time.Hour, "47 hours ago": 48*time.Hour - 1, "2 days ago": 48 * time.Hour, "40 days ago": 40 * 24 * time.Hour,
	} {
		require.Equal(t, text, ago(d))
	}
}

func FuzzReadSale(f *testing.F) {
	valid := `{"success":true,"step":"DATA","register_sale":{"id":"sale","client_sale_id":"c","totals":{"total_paid":"3.50"}},"payment":{"register_id":"r","amount":"10.00"}}`
	for _, data := range []string{
		valid, "", "null", "{}", "[]", `{"step":"DATA"}`, `{"step":"ACCEPT"}`, strings.Replace(valid, "10.00", "-10", 1),
		strings.Replace(valid, `"10.00"`, "1e1", 1), strings.Replace(valid, "true", "false", 1), strings.Replace(valid, `"3.50"`, `{}`, 1),
		strings.Replace(valid, `"sale"`, `null`, 1), strings.Replace(valid, `"r"`, "7", 1), strings.Replace(valid, "10.00", "1e40", 1),
	} {
		f.Add(data, "r")
		f.Add(data, "")
	}
	f.Fuzz(func(t *testing.T, data, register string) {
		a := ask{Store: "acme", Register: register, Kind: pairing.Purchase, Amount: amount("10")}
		charge, paid, err := readSale(data, a)
		if err != nil {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			require.Zero(t, charge)
			require.True(t, paid.IsZero())
			return
		}
		require.Equal(t, pairing.Purchase, charge.Kind)
		require.True(t, charge.Amount.Equal(a.Amount))
		require.NotEmpty(t, charge.RegisterID)
		if register != "" {
			require.Equal(t, register, charge.RegisterID)
		}
		require.Less(t, len(paid.String()), 100, "it is kept with the payment")
		ids := chain(a.Store, charge.RegisterID, charge.SaleID)
		require.Regexp(t, `^xseries/acme/@?[a-zA-Z0-9_-]{1,40}/$`, ids)
	})
}

func TestReadSale(t *testing.T) {
	a := ask{Kind: pairing.Refund, Amount: amount("10"), Register: "r"}
	read := func(sale string) (string, string) {
		charge, paid, err := readSale(`{"success":true,"step":"DATA","register_sale":`+sale+`,"payment":{"register_id":"r","amount":"-10.0"}}`, a)
		require.NoError(t, err)
		return charge.SaleID, paid.String()
	}
	for sale, want := range map[string][2]string{
		`{"id":"s","client_sale_id":"c","totals":{"total_paid":"-5.00","total_to_pay":"-15"}}`: {"s", "-5"},
		`{"client_sale_id":"c"}`: {"c", "0"},
		`{"id":""}`:              {"", "0"},
		`null`:                   {"", "0"},
		`[]`:                     {"", "0"},
	} {
		id, paid := read(sale)
		require.Equal(t, want, [2]string{id, paid}, sale)
	}
	_, _, err := readSale(strings.Repeat(" ", 1<<20+1), a)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}
