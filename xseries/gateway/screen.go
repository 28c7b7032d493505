package gateway

import (
	"cmp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// screen is what a Pay page shows and says. The page itself decides nothing.
type screen struct {
	// Kind is for the page's looks: "wait", "good", "bad" or "doubt".
	Kind  string   `json:"kind"`
	Title string   `json:"title"`
	Text  []string `json:"text,omitempty"`
	// Details are for whoever is asked for help.
	Details []string `json:"details,omitempty"`
	// Link is a page to open in a window of its own.
	Link    *link    `json:"link,omitempty"`
	Actions []action `json:"actions,omitempty"`
	// Close shows the sell screen's close button: true on screens that don't end by themselves and on which nothing is
	// under way.
	Close bool `json:"close"`
	// Tell is the message to post to the sell screen: ACCEPT or DECLINE. An ACCEPT is claimed first, so that of several
	// pages one says it.
	Tell  string `json:"tell,omitempty"`
	Claim bool   `json:"claim,omitempty"`
	// After is how long to show the screen before Tell is posted, in milliseconds.
	After int `json:"after,omitempty"`
	// End says that nothing more will come of itself.
	End bool `json:"end,omitempty"`
	// Retry is when to begin again by itself, in milliseconds.
	Retry int `json:"retry,omitempty"`
}

type link struct {
	URL   string `json:"url"`
	Label string `json:"label"`
}

// action is a button.
type action struct {
	// Do is "start", "withdraw" or "resolve".
	Do    string `json:"do"`
	Label string `json:"label"`
	// Sure is what to ask before it is done.
	Sure string `json:"sure,omitempty"`
	// Use and Settled name the payment that the cashier decides about, Mark is its mark, and Outcome says how it ended.
	Use     string            `json:"use,omitempty"`
	Settled string            `json:"settled,omitempty"`
	Mark    string            `json:"mark,omitempty"`
	Outcome tillroute.Outcome `json:"outcome,omitzero"`
}

// follow is the payment that a page follows.
type follow struct {
	// ID is the payment's.
	ID string `json:"i"`
	// Kind, Amount and Page are those of the page.
	Kind   pairing.Kind    `json:"k"`
	Amount decimal.Decimal `json:"a"`
	Page   string          `json:"p"`
	// Paid is what the sell screen had recorded of the sale when the page was opened.
	Paid decimal.Decimal `json:"d"`
	// Terminal is its name, for people.
	Terminal string `json:"t"`
	// From is the mark of the payment when the cashier decided to use it.
	From string `json:"f,omitempty"`
}

// readAgain is how long a refusal is shown before the cashier is taken back to the sale, in milliseconds.
const readAgain = 4000

// show says what a page shows of the payment that it follows.
func (h *Handler) show(progress pairing.Progress, f follow) screen {
	p := progress.Payment
	amount := money(p.Amount, p.Currency)
	switch p.State {
	case pairing.Queued:
		return h.showQueued(progress, f)
	case pairing.Sending, pairing.Sent:
		s := screen{Kind: "wait", Title: "Present the card at " + f.Terminal, Text: []string{"To cancel, cancel at the terminal."}}
		if p.Kind == pairing.Refund {
			s.Text = append([]string{"It is giving back " + amount + "."}, s.Text...)
		}
		if !p.Amount.Equal(f.Amount) || p.Kind != f.Kind {
			s.Text = append([]string{"An earlier payment of " + amount + " for this sale is still under way."}, s.Text...)
		}
		if p.Note != "" {
			s.Text = append(s.Text, sentence(p.Note))
		}
		return s
	case pairing.Done:
		s := h.showEnd(p, f)
		s.End = true
		return s
	default:
		return h.showUnknown(p, f)
	}
}

func (h *Handler) showQueued(progress pairing.Progress, f follow) screen {
	s := screen{
		Kind: "wait", Title: "Waiting for " + f.Terminal,
		Actions: []action{{Do: "withdraw", Label: "Cancel this payment"}},
	}
	switch {
	case progress.Ahead == 1:
		s.Text = append(s.Text, "One payment is before this one.")
	case progress.Ahead > 1:
		s.Text = append(s.Text, decimal.NewFromInt(int64(progress.Ahead)).String()+" payments are before this one.")
	}
	if progress.Payment.Note != "" {
		s.Text = append(s.Text, sentence(progress.Payment.Note))
	}
	return s
}

func (h *Handler) showUnknown(p pairing.Payment, f follow) screen {
	s := screen{
		Kind: "doubt", Title: "It is not known whether the card was charged",
		Text: []string{
			"Take no other payment for this sale until it is. This window goes on by itself as soon as somebody has found out.",
			"Look at " + f.Terminal + ": its screen, its last receipt or its journal shows what became of " + money(p.Amount, p.Currency) + ".",
		},
		Details: details(p),
	}
	if h.config.CashierMayResolve {
		s.Actions = []action{
			{
				Do: "resolve", Outcome: tillroute.Approved, Label: "The terminal shows: approved",
				Sure: "The sale will count as paid. Have you seen at the terminal that " + money(p.Amount, p.Currency) + " was approved?",
			},
			{
				Do: "resolve", Outcome: tillroute.Declined, Label: "The terminal shows: declined, or nothing",
				Sure: "The card can then be charged anew. Have you seen at the terminal that this payment was not approved?",
			},
		}
	}
	return s
}

func (h *Handler) showEnd(p pairing.Payment, f follow) screen {
	if p.Outcome() == tillroute.Approved {
		return h.showApproved(p, f)
	}
	title := map[tillroute.Outcome]string{tillroute.Declined: "Declined", tillroute.Cancelled: "Cancelled"}[p.Outcome()]
	if title == "" {
		title = "Not possible"
	}
	s := screen{Kind: "bad", Title: title, Text: []string{"No money moved."}, After: readAgain}
	if p.Result.Reason != "" {
		s.Text = append(s.Text, sentence(p.Result.Reason))
	}
	s.Tell = encode(xseries.Decline{Print: true, ReceiptHTML: receipt(p)})
	return s
}

func (h *Handler) showApproved(p pairing.Payment, f follow) screen {
	charged := money(p.Result.Amount, p.Currency)
	verb := "charged"
	if p.Kind == pairing.Refund {
		verb = "refunded"
	}
	switch {
	case !covers(p, f.Kind, f.Amount):
		// The sell screen can't be told of another amount, so a person makes the two agree.
		part := money(base(p), p.Currency)
		title := "This sale has an approved payment of " + part
		if p.Kind == f.Kind && base(p).LessThan(f.Amount) {
			title = "Only " + part + " was " + verb
		}
		return screen{
			Kind: "doubt", Title: title, Close: true,
			Text: []string{
				"This window was opened for " + money(f.Amount, p.Currency) + ". The card was " + verb + " " + charged + ", and the sale doesn't have it yet.",
				"Close this window, enter " + part + " as the amount, and press the same payment button again: what was " + verb +
					" is then used, and nothing is " + verb + " anew.",
				"Or undo it at the terminal.",
			},
			Details: details(p),
			Actions: []action{{
				Do: "start", Settled: p.ID, Mark: p.Mark, Label: "It was undone at the terminal: take a new payment",
				Sure: "Have you seen at the terminal that the " + charged + " was undone? The next payment is for " + money(f.Amount, p.Currency) + ".",
			}},
		}
	case p.Mark != f.From && p.Mark != toldBy(f.Page, f.Paid):
		return screen{
			Kind: "good", Title: "Approved", Close: true,
			Text: []string{"Another window of this till has handed the payment to the sale. Close this one."},
		}
	}
	s := screen{Kind: "good", Title: "Approved", Text: []string{charged + " was " + verb + "."}, Claim: true}
	if extra := p.Result.Amount.Sub(f.Amount); extra.IsPositive() {
		s.Text = append(s.Text, "That is "+money(extra, p.Currency)+" more than the sale asks for: a surcharge or a tip.")
	}
	if p.Result.Reason != "" {
		s.Text = append(s.Text, sentence(p.Result.Reason))
	}
	s.Tell = encode(xseries.Accept{TransactionID: acceptedAs(p), ReceiptHTML: receipt(p)})
	return s
}

// showDoubt asks the cashier about an approved payment of which nobody knows whether the sale has it.
func showDoubt(p pairing.Payment, a ask) screen {
	what := money(base(p), p.Currency)
	s := screen{
		Kind: "doubt", Title: "Does the sale have the card payment of " + what + "?", Close: true,
		Text: []string{
			"It was approved " + ago(time.Since(p.EndedAt)) + ", and it can't be seen from here whether the till recorded it. Look at the payments of this sale.",
		},
		Details: details(p),
	}
	if covers(p, a.Kind, a.Amount) {
		s.Actions = append(s.Actions, action{
			Do: "start", Use: p.ID, Mark: p.Mark, Label: "No: use it now",
			Sure: "The sale will count as paid with it, and the card is not charged again. Is it missing from the sale?",
		})
	}
	s.Actions = append(s.Actions, action{
		Do: "start", Settled: p.ID, Label: "Yes, or it was given back: take a new payment",
		Sure: "The card will be charged " + money(a.Amount, p.Currency) + " anew. Is the earlier payment settled?",
	})
	if a.Kind == pairing.Refund {
		s.Actions[len(s.Actions)-1].Sure = "Another " + money(a.Amount, p.Currency) + " will be given back. Is the earlier refund settled?"
	}
	return s
}

// acceptedAs is the name of a payment that the sell screen is told, and by which it is found again over REST.
func acceptedAs(p pairing.Payment) string { return cmp.Or(p.Result.TransactionID, p.ID) }

// details are what support needs to find a payment.
func details(p pairing.Payment) []string {
	list := []string{"Payment: " + p.ID}
	id := cmp.Or(p.Result.TransactionID, p.Handle.TransactionID)
	if id != "" {
		list = append(list, "Transaction: "+id)
	}
	if p.Result.Reason != "" {
		list = append(list, sentence(p.Result.Reason))
	}
	return list
}

// money writes an amount for people.
func money(amount decimal.Decimal, currency string) string {
	text, err := tillroute.FormatAmount(amount, currency)
	if err != nil {
		text = amount.String()
	}
	return strings.TrimSpace(currency + "\u00a0" + text)
}

// sentence makes a reason, as errors write them, one to read.
func sentence(text string) string {
	text = strings.TrimRight(strings.TrimSpace(text), ".")
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// ago says how long ago something was, as people do.
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return "a moment ago"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " minutes ago"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " hours ago"
	default:
		return strconv.Itoa(int(d.Hours())/24) + " days ago"
	}
}

// receipt is the terminal's receipt as the sell screen prints it.
func receipt(p pairing.Payment) string {
	if p.Result.Receipt == "" {
		return ""
	}
	return xseries.ReceiptHTML(p.Result.Receipt)
}

// encode returns the text of a message that is made of texts alone, and so can be encoded.
func encode(m xseries.Message) string {
	text, _ := xseries.EncodeMessage(m)
	return text
}
