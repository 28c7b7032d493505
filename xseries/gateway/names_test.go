package gateway

import (
	"bytes"
	"context"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile is a name that would like to be a header, a line of a log, markup, and another site.
const hostile = "//evil.example/\r\nSet-Cookie: tillroute_session=x\r\n\r\n<script>1</script>\nlevel=ERROR msg=forged\x1b[2J"

func TestNamesGetIntoNoHeader(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	escaped := url.QueryEscape(hostile)
	mine := s.sealed(session{ID: "mine", Store: "acme"})
	for _, target := range []string{
		"/?register=" + escaped, "/pair?register=" + escaped, "/paired?register=" + escaped, "/unpair?register=" + escaped, "/terminals?register=" + escaped,
		"/callback?state=" + escaped + "&code=" + escaped + "&domain_prefix=" + escaped, "/callback?error=" + escaped + "&error_description=" + escaped,
		"/pay?amount=" + escaped + "&origin=" + escaped + "&register_id=" + escaped, "/pay?amount=1&origin=https%3A%2F%2Facme.retail.lightspeed.app&register_id=" + escaped,
		"/" + url.PathEscape(hostile), "/assets/" + url.PathEscape(hostile), "//evil.example", "/pair//evil.example/..",
	} {
		for _, cookie := range []string{"", mine} {
			w := s.get(t, target, cookie)
			require.NotContains(t, w.Body.String(), "<script>1", target)
			for name, values := range w.Header() {
				for _, value := range values {
					require.NotContains(t, value, "\n", name)
					require.NotContains(t, value, "\r", name)
				}
			}
			if to := w.Header().Get("Location"); to != "" {
				u, err := url.Parse(to)
				require.NoError(t, err)
				require.Empty(t, u.Host, "%s leads to %s", target, to)
				require.True(t, strings.HasPrefix(u.Path, "/lightspeed/"), "%s leads to %s", target, to)
			}
		}
	}
	w := s.get(t, "/pair?register="+escaped, "")
	to, err := url.Parse(w.Header().Get("Location"))
	require.NoError(t, err)
	require.Equal(t, hostile, to.Query().Get("register"), "it is kept as it is")
}

// messages is a log of which only the messages are kept, as a handler might write them that quotes values alone.
type messages struct {
	slog.Handler

	list []string
}

func (*messages) Enabled(context.Context, slog.Level) bool { return true }

func (m *messages) Handle(_ context.Context, r slog.Record) error {
	m.list = append(m.list, r.Message)
	return nil
}

func TestNamesMakeNoLineOfALog(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteURL, siteKey)
	log := &messages{}
	s.log = slog.New(log)
	w := s.get(t, "/pay?amount=1&origin=https%3A%2F%2Facme.retail.lightspeed.app&register_id="+url.QueryEscape(hostile), "")
	require.Equal(t, http.StatusOK, w.Code)
	token := html.UnescapeString(regexp.MustCompile(`data-token="([^"]*)"`).FindStringSubmatch(w.Body.String())[1])
	for _, data := range []string{
		`{"success":true,"step":"DATA","register_sale":{"id":"s"},"payment":{"register_id":"another","amount":"1"}}`,
		string(encoded(map[string]any{"step": hostile})),
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/pay/start"), bytes.NewReader(encoded(map[string]string{"token": token, "data": data})))
		r.Header.Set("Content-Type", "application/json")
		require.Equal(t, http.StatusOK, s.do(t, r, "").Code)
	}
	s.get(t, "/callback?state="+url.QueryEscape(hostile), "")
	require.Len(t, log.list, 2)
	for _, message := range log.list {
		require.NotContains(t, message, "evil")
		require.NotContains(t, message, "\n")
	}
}
