package xseries

import (
	"html"
	"strings"
)

// ReceiptHTML turns the text of a terminal's receipt into HTML for a message: the lines and columns stay, everything that
// HTML would take for its own is escaped, and control characters are dropped. Empty text gives "".
func ReceiptHTML(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	text = strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\n' && r != '\t') || (r >= 0x7f && r < 0xa0) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return "<pre>" + html.EscapeString(text) + "</pre>"
}
