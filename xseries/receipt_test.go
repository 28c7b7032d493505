package xseries_test

import (
	"html"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/xseries"
)

func TestReceiptHTML(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		" \n\t":                             "",
		"ACCEPTED":                          "<pre>ACCEPTED</pre>",
		"  A\r\n B\r":                       "<pre>  A\n B\n</pre>",
		"</pre><script>alert('x')</script>": "<pre>&lt;/pre&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;</pre>",
		`a & "b"`:                           "<pre>a &amp; &#34;b&#34;</pre>",
		"\x1b@cut\x00\u0085me":              "<pre>@cutme</pre>",
		"bad \xff utf-8":                    "<pre>bad � utf-8</pre>",
		"TOTAL   NZ$ 6.15 \u20ac":           "<pre>TOTAL   NZ$ 6.15 €</pre>",
	} {
		require.Equal(t, want, xseries.ReceiptHTML(text))
	}
}

func FuzzReceiptHTML(f *testing.F) {
	f.Add("</pre><img src=x onerror=alert(1)>")
	f.Fuzz(func(t *testing.T, text string) {
		got := xseries.ReceiptHTML(text)
		if got == "" {
			return
		}
		inner, ok := strings.CutPrefix(got, "<pre>")
		require.True(t, ok)
		inner, ok = strings.CutSuffix(inner, "</pre>")
		require.True(t, ok)
		require.False(t, strings.ContainsAny(inner, `<>"'`))
		require.Equal(t, inner, html.EscapeString(html.UnescapeString(inner)))
	})
}
