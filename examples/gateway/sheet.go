package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// width is how many characters a line has, but for those that hold something longer in one piece.
const width = 80

// labelled is where the texts of fields begin.
const labelled = 14

// sheet is text for a person at a terminal window. Secrets are not for it.
type sheet struct{ strings.Builder }

func (s *sheet) line(text string) { _, _ = s.WriteString(text + "\n") }

// text writes a paragraph.
func (s *sheet) text(text string) { s.wrap("", "", text) }

// field writes a value with its name, unless it is empty.
func (s *sheet) field(name, value string) {
	if value == "" {
		return
	}
	s.wrap(fmt.Sprintf("  %-*s", labelled-2, name), strings.Repeat(" ", labelled), value) //nolint:mnd // the two that it begins with.
}

// wrap breaks a text into lines between its words.
func (s *sheet) wrap(first, next, text string) {
	line, began := first, false
	for word := range strings.FieldsSeq(plain(text)) {
		if began && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			s.line(line)
			line, began = next, false
		}
		if began {
			line += " "
		}
		line += word
		began = true
	}
	s.line(line)
}

// command writes a command for a shell, in several lines if it is long.
func (s *sheet) command(parts ...string) {
	line := "  " + parts[0]
	for _, part := range parts[1:] {
		if utf8.RuneCountInString(line+" "+part+` \`) > width {
			s.line(line + ` \`)
			line = "     "
		}
		line += " " + part
	}
	s.line(line)
}

// summary writes what a person needs to recognize a payment, and what is known of it.
func (s *sheet) summary(p pairing.Payment) {
	s.line(plain(p.ID))
	what := fmt.Sprintf("%s of %s", p.Kind, money(p.Amount, p.Currency))
	switch p.State {
	case pairing.Done:
		what += ": " + p.Outcome().String()
		if p.Outcome() == tillroute.Approved && !p.Result.Amount.Equal(p.Amount) {
			what += ", " + money(p.Result.Amount, p.Currency) + " in all"
		}
	case pairing.Parked:
		what += ": outcome unknown"
	default:
		what += ": " + string(p.State)
	}
	s.field("payment", what)
	s.field("sale", p.Reference)
	s.field("register", p.Register.String())
	s.field("terminal", terminal(p))
	s.field("accepted", at(p.AcceptedAt))
	s.field("sent", at(p.SentAt))
	if p.State == pairing.Parked {
		s.field("given up", at(p.EndedAt))
	} else {
		s.field("ended", at(p.EndedAt))
	}
	s.field("transaction", cmp.Or(p.Result.TransactionID, p.Handle.TransactionID))
	s.field("note", p.Note)
	s.field("reason", p.Result.Reason)
	s.field("mark", p.Mark)
}

// details writes all that is known of a payment.
func (s *sheet) details(p pairing.Payment) {
	s.summary(p)
	s.field("number", fmt.Sprintf("%d (seq)", p.Seq))
	if p.Outcome() == tillroute.Approved {
		s.field("charged", money(p.Result.Amount, p.Currency))
		if !p.Result.Surcharge.IsZero() {
			s.field("surcharge", money(p.Result.Surcharge, p.Currency))
		}
		if !p.Result.Tip.IsZero() {
			s.field("tip", money(p.Result.Tip, p.Currency))
		}
	}
	s.field("resolved by", p.ResolvedBy)
	s.field("auth code", p.Result.AuthCode)
	s.field("card", strings.TrimSpace(p.Result.CardType+" "+p.Result.CardNumber))
	s.field("acquirer", p.Result.Acquirer)
	if p.Result.Receipt != "" {
		s.line("  receipt")
		for line := range strings.Lines(p.Result.Receipt) {
			s.line("    " + plain(strings.TrimRight(line, "\r\n")))
		}
	}
}

// terminal names the device that took the payment, if that is another than the one that it was for.
func terminal(p pairing.Payment) string {
	name := p.Terminal.String()
	if p.Handle.Serial != "" && p.Handle.Serial != p.Terminal.Serial {
		name += " (device " + p.Handle.Serial + ")"
	}
	return name
}

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04:05 MST")
}

func money(amount decimal.Decimal, currency string) string {
	text, err := tillroute.FormatAmount(amount, currency)
	if err != nil {
		text = amount.String()
	}
	return text + " " + currency
}

// count says how many there are, or that there are more.
func count(n int, more bool, what string) string {
	if n != 1 || more {
		what += "s"
	}
	if more {
		return fmt.Sprintf("more than %d %s", n, what)
	}
	return fmt.Sprintf("%d %s", n, what)
}

// plain takes out what would do something to the window that it is shown in.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r':
			return ' '
		case !unicode.IsPrint(r) && r != ' ':
			return '\uFFFD'
		default:
			return r
		}
	}, text)
}

// named returns a payment's ID as a command takes it, also where it looks like a flag.
func named(id string) string {
	if strings.HasPrefix(id, "-") {
		return "-- " + quote(id)
	}
	return quote(id)
}

// quote makes one argument of a text for a shell.
func quote(text string) string {
	safe := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("_./:@%+=,-", r)
	}
	if text != "" && strings.TrimFunc(text, safe) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
