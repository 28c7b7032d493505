// Package browsertest opens pages in a real browser for tests.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long one test may use the browser.
const patience = 20 * time.Minute

// program finds Chromium or Chrome.
func program(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no chromium, chromium-browser or google-chrome in PATH: the pages are not tested in a browser (Debian: apt-get install chromium)"
	if os.Getenv("CI") != "" {
		tb.Fatal(missing)
	}
	tb.Skip(missing)
	return ""
}

// start starts a browser and returns the context of its first tab.
func start(tb testing.TB, tolerated []string) context.Context {
	tb.Helper()
	options := append(append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...),
		chromedp.ExecPath(program(tb)), chromedp.NoSandbox, chromedp.DisableGPU, // root has no sandbox, and the pages are ours
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(stepTime), // a machine that is busy with other tests
	)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	tb.Cleanup(stop)
	// It would log each event of the browser that it does not know.
	tab, closeTab := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}),
		chromedp.WithBrowserOption(chromedp.WithDialTimeout(time.Minute)))
	tb.Cleanup(func() {
		_ = chromedp.Cancel(tab) // waits for the end of the browser
		closeTab()
	})
	watch(tb, tab, tolerated)
	return tab
}

// openTab opens a further tab of the browser to which ctx belongs.
func openTab(tb testing.TB, ctx context.Context, tolerated []string) context.Context { //nolint:revive // as in testing: the test comes first
	tb.Helper()
	tab, closeTab := chromedp.NewContext(ctx)
	tb.Cleanup(closeTab)
	watch(tb, tab, tolerated)
	return tab
}

// watch starts a tab and collects what is wrong in its pages until the end of the test.
func watch(tb testing.TB, tab context.Context, tolerated []string) { //nolint:revive // as in testing: the test comes first
	tb.Helper()
	var mu sync.Mutex
	var complaints []string
	tb.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, text := range complaints {
			tb.Errorf("browsertest: %s", text)
		}
	})
	chromedp.ListenTarget(tab, func(event any) {
		text := complaint(event)
		if text == "" || slices.ContainsFunc(tolerated, func(part string) bool { return strings.Contains(text, part) }) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		complaints = append(complaints, text)
	})
	// Without the emulation a page behind another tab would stand still.
	if err := chromedp.Run(tab, cdplog.Enable(), emulation.SetFocusEmulationEnabled(true)); err != nil {
		tb.Fatalf("browsertest: the browser does not start: %v", err)
	}
}

// complaint reads what is wrong in a page out of an event, "" for nothing.
func complaint(event any) string {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		return "exception: " + e.ExceptionDetails.Error()
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.APITypeError {
			return ""
		}
		var parts []string
		for _, arg := range e.Args {
			parts = append(parts, string(arg.Value)+arg.Description)
		}
		return "console: " + strings.Join(parts, " ")
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.LevelError {
			return "log: " + e.Entry.Text + " " + e.Entry.URL
		}
	}
	return ""
}
