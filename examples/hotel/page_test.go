package main

import (
	"bufio"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pms/pmstest"
)

// visit asks the reception's page for something; header fields are given as name, value pairs.
func visit(t *testing.T, r *reception, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "http://hotel.example"+target, strings.NewReader("x=1"))
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	require.Equal(t, []string{"nosniff"}, w.Header().Values("X-Content-Type-Options"))
	require.Equal(t, []string{"same-origin"}, w.Header().Values("Referrer-Policy"))
	require.Equal(t, []string{"no-store"}, w.Header().Values("Cache-Control"))
	require.Len(t, w.Header().Values("Content-Security-Policy"), 1)
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'")
	return w
}

func TestOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	r := newReception(&desk{books: newBooks(t), pace: quick}, "http://restaurant.example")
	left := func() bool {
		rooms, err := r.desk.books.rooms(t.Context())
		require.NoError(t, err)
		return rooms[0].Left
	}
	for _, path := range []string{"/rooms/R-101/check-out", "/pace/slow"} {
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Origin", "https://evil.example"},
			{"Origin", "null"},
			{"Sec-Fetch-Site", "cross-site", "Origin", "http://hotel.example"},
		} {
			header = append(header, "Content-Type", "application/x-www-form-urlencoded")
			require.Equal(t, http.StatusForbidden, visit(t, r, http.MethodPost, path, header...).Code, header)
		}
		require.Equal(t, http.StatusMethodNotAllowed, visit(t, r, http.MethodGet, path).Code, "to look changes nothing")
	}
	require.False(t, left())
	require.Equal(t, quick, r.desk.at())
	require.Equal(t, http.StatusSeeOther, visit(t, r, http.MethodPost, "/rooms/R-101/check-out", "Sec-Fetch-Site", "same-origin", "Origin", "http://hotel.example").Code)
	require.True(t, left())
}

func TestNamesAreText(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	const name = `<img src=x onerror=alert(1)>"'</table>`
	_, err := b.db.ExecContext(t.Context(), `UPDATE rooms SET guest = ?`, name)
	require.NoError(t, err)
	require.NoError(t, b.post(t.Context(), parsed(t, pmstest.NewCharge("key").Set("payments.0.reservationId", "R-101").Set("name", name))))
	r := newReception(&desk{books: b, pace: quick}, "http://restaurant.example")
	text := func(page string) {
		require.NotContains(t, page, "<img")
		require.Equal(t, 4, strings.Count(page, "</table>"), "one for each room")
		require.Contains(t, html.UnescapeString(page), "Room 101: "+name)
		require.Contains(t, html.UnescapeString(page), name+", ", "the bill's")
	}
	text(visit(t, r, http.MethodGet, "/").Body.String())

	site := httptest.NewServer(r)
	defer site.Close()
	defer r.close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site.URL+"/events", nil)
	require.NoError(t, err)
	response, err := site.Client().Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadString('\n')
		require.NotErrorIs(t, err, io.EOF)
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var page string
			require.NoError(t, json.Unmarshal([]byte(data), &page))
			text(page)
			return
		}
	}
}
