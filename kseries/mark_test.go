package kseries

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pairing"
)

func TestMarksAreReadAsTheyWereWritten(t *testing.T) {
	at, giveUp := time.Unix(4_000_000_000, 0).UTC(), time.Unix(4_000_000_300, 0).UTC()
	for _, text := range []string{
		"", "-", "- -", "a text", " around ", "two  spaces", "a\x00b\nc\td\xff", "\u2028\u200b", "é", "🍕🍕", "…",
		strings.Repeat("long ", 200), strings.Repeat("é", 300), strings.Repeat(" ", 300), strings.Repeat("a", 160) + " - -",
	} {
		for _, about := range []string{"", "-", "OVERPAID", givenBackAfter, "node1234", "two words", strings.Repeat("W", 300), "é", "a\nb"} {
			for _, m := range []mark{
				{phase: resending, try: math.MaxInt32, at: at, giveUp: giveUp, word: about, text: text},
				{phase: waiting, try: 1, at: at, word: about, text: text},
				{phase: settled, try: 1, word: about, text: text},
			} {
				written := m.String()
				require.LessOrEqual(t, utf8.RuneCountInString(written), 200, "%+v", m)
				require.False(t, strings.ContainsFunc(written, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", written)
				read := parseMark(written)
				require.Equal(t, written, read.String(), "%+v", m)
				read.word, read.text = m.word, m.text
				require.Equal(t, m, read, "%q", written)
			}
		}
	}
	for _, text := range []string{
		"paid", "told page-7 20", "sending", "sending 1 - -", "sending x - - -", "sending 0 - - -", "sending -1 - - -", "sending 1 soon - -",
		"sending 1 - 99999999999999999999 -", "SENDING 1 - - -", "later 1 - - -", " sending 1 - - -", "foreign 1 - - -",
	} {
		require.Equal(t, foreign, parseMark(text).phase, text)
	}
	require.Equal(t, untouched, parseMark("").phase)
}

func TestReferencesFit(t *testing.T) {
	p := pairing.Payment{Seq: math.MaxInt64}
	p.ID, p.Register = strings.Repeat("x", 200), RegisterKey(math.MaxInt64, "table-12")
	for _, try := range []int{1, 3, 999_999} {
		text := reference(p, application{Account: strings.Repeat("A", 200)}, try)
		require.LessOrEqual(t, len(text), 50)
		seq, read, ok := parseReference(text)
		require.True(t, ok)
		require.Equal(t, p.Seq, seq)
		require.Equal(t, try, read)
	}
	for _, text := range []string{"", "tr-", "tr-1-1", "tr-1-1-short", "tr-0-1-00000000000000000000", "tr-1-0-00000000000000000000", "tr--1-1-00000000000000000000", "ref-1-1-00000000000000000000"} {
		_, _, ok := parseReference(text)
		require.False(t, ok, text)
	}
}
