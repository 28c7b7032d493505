package kseries

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tillroute/tillroute/pairing"
)

// phase is how far the application of an approved payment to its check has come.
type phase string

const (
	// untouched is a payment that nothing was done about yet.
	untouched phase = ""
	// waiting is a try that is to be sent from a time on. Provably the vendor has not taken it.
	waiting phase = "waiting"
	// sending is a try that a node has claimed, and is sending for the first time. From a time on others may send it, too.
	sending phase = "sending"
	// resending is the same of a try that may have been sent before.
	resending phase = "resending"
	// submitted is a try that the vendor has taken. Its time to live ends at a time.
	submitted phase = "submitted"
	// applied is a payment that the check has: the end.
	applied phase = "applied"
	// refused is a try that the check has not got, and no other will follow unless a person says so.
	refused phase = "refused"
	// unclear is a try of which nobody knows whether the check has it.
	unclear phase = "unclear"
	// settled is a payment that a person has settled: the end.
	settled phase = "settled"
	// foreign is a mark that is not ours.
	foreign phase = "foreign"
)

// mark is what is kept of the application, in the payment's mark: "PHASE TRY AT GIVEUP WORD TEXT", with times in Unix seconds and
// - for what isn't there. It is replaced by compare-and-set alone, so that of several nodes one goes on.
type mark struct {
	phase phase
	// try counts the references that were used, from 1.
	try int
	// at is when a phase of sending or waiting ends, and when the time to live of a submitted one does.
	at time.Time
	// giveUp is when a try that was sent without any answer is taken for submitted; of a submitted one, when its check is first
	// looked at.
	giveUp time.Time
	// word is the node of sending, why a try that waits can't be sent by itself, how it is known that it was applied, why it was
	// refused or is unclear, or how it was settled.
	word string
	// text is for people.
	text string
}

const (
	// longestMark is what a payment's mark may have.
	longestMark = 200
	markParts   = 6
)

// nodeAndWhy stands between a node that tries once more and why it could not be sent before.
const nodeAndWhy = "."

// denied returns why a try that waits, or is tried once more, could not be sent: whyUnauthorized, whyForbidden, or nothing of that.
func (m mark) denied() string {
	why := m.word
	switch m.phase {
	case waiting:
	case sending:
		_, why, _ = strings.Cut(m.word, nodeAndWhy)
	default:
		return ""
	}
	if why != whyUnauthorized && why != whyForbidden {
		return ""
	}
	return why
}

// String returns the mark as it is kept.
func (m mark) String() string {
	if m.phase == untouched {
		return ""
	}
	text := strings.Join([]string{string(m.phase), strconv.Itoa(m.try), seconds(m.at), seconds(m.giveUp), word(m.word), printable(m.text)}, " ")
	return strings.TrimSpace(clip(text, longestMark))
}

// parseMark reads a mark.
func parseMark(text string) mark {
	if text == "" {
		return mark{}
	}
	parts := strings.SplitN(text, " ", markParts)
	if len(parts) < markParts-1 {
		return mark{phase: foreign, text: text}
	}
	m := mark{phase: phase(parts[0]), word: strings.TrimPrefix(parts[4], "-")}
	var errs [3]error
	m.try, errs[0] = strconv.Atoi(parts[1])
	m.at, errs[1] = parseSeconds(parts[2])
	m.giveUp, errs[2] = parseSeconds(parts[3])
	if len(parts) == markParts {
		m.text = parts[5]
	}
	switch m.phase {
	case waiting, sending, resending, submitted, applied, refused, unclear, settled:
		if errs == [3]error{} && m.try > 0 {
			return m
		}
	default:
	}
	return mark{phase: foreign, text: text}
}

func seconds(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func parseSeconds(text string) (time.Time, error) {
	if text == "-" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(n, 0).UTC(), err
}

const longestWord = 40

// word returns text if it is one short word, or else OTHER.
func word(text string) string {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-.", r))
	}
	switch {
	case text == "":
		return "-"
	case len(text) > longestWord || strings.TrimFunc(text, plain) != "":
		return "OTHER"
	default:
		return text
	}
}

// printable returns text as a mark may have it.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return ' '
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// clip cuts text to a number of characters.
func clip(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// A reference is "tr-SEQ-TRY-HASH": SEQ finds the payment in the store, and HASH makes it one that nobody else uses, not even another
// store whose payments have the same numbers and IDs for the same check: such as the one before this, which was lost.
const (
	referencePrefix = "tr-"
	hashLength      = 20
)

// reference returns what a try is called at the point of sale. It is the same whoever asks, and whenever.
func reference(p pairing.Payment, a application, try int) string {
	sum := sha256.Sum256([]byte(join(p.Register.Account, a.Account, p.ID, p.AcceptedAt.UnixMilli(), try)))
	return fmt.Sprintf("%s%d-%d-%s", referencePrefix, p.Seq, try, hex.EncodeToString(sum[:])[:hashLength])
}

// parseReference returns the payment's number in the store, and the try. It returns false for one that is not ours.
func parseReference(text string) (seq int64, try int, ok bool) {
	rest, ours := strings.CutPrefix(text, referencePrefix)
	parts := strings.Split(rest, "-")
	if !ours || len(parts) != 3 || len(parts[2]) != hashLength {
		return 0, 0, false
	}
	seq, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return 0, 0, false
	}
	try, err = strconv.Atoi(parts[1])
	return seq, try, err == nil && seq > 0 && try > 0
}
