package testserver

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/browsertest"
)

func TestTablesInABrowser(t *testing.T) {
	browser := browsertest.Start(t, judged()...)
	b := newBistro(t, KSeriesOptions{})
	w := &till{t: t, Systems: b.Systems, page: browser.Open(b.PublicURL()+"/tables", 1280)}
	w.ready()
	const three = "[data-table='3']"
	on := func(text string) {
		t.Helper()
		w.until("[...document.querySelectorAll(`" + three + " [data-part]:not(select)`)].some((one) => one.innerText.includes(`" + text + "`))")
	}
	on("Free")
	w.choose(three+" [data-part=sku]", "20002")
	w.doubleClick(three + " [data-action=add]")
	on("29.80")
	require.Len(t, b.KSeries.Checks(), 1)
	account := b.KSeries.Checks()[0].Account

	b.ok(http.MethodPost, payPath, payFor(account, "part-1", "10", ""))
	on("19.80")
	w.choose("#pos", "offline")
	require.Eventually(t, func() bool { return b.KSeries.POS() == POSOffline }, testPatience, time.Millisecond)
	b.ok(http.MethodPost, payPath, payFor(account, "part-2", "5", ""))
	w.until("document.querySelector('#tasks').innerText.includes('Waiting')")
	for _, width := range []int64{320, 768, 1280} {
		w.page.Resize(width)
		require.True(t, script[bool](w, "document.documentElement.scrollWidth <= window.innerWidth"))
		w.page.Screenshot("tables-" + strconv.FormatInt(width, 10))
	}
	w.press(three + " [data-action=cash]")
	on("Free")
	w.choose("#pos", "online")
	w.until("document.querySelector('#tasks').innerText.includes('Account already closed')")
	w.press(three + " [data-action=cash]")
	w.until("document.querySelector('#tables-note').innerText.includes('Nothing is to be paid')")
	require.Len(t, b.KSeries.Applied(), 1)
}
