// Package browsertest opens pages in a real browser for tests.
package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long one test may use the browser.
const patience = 2 * time.Minute

// Path finds Chromium or Chrome. Without one it skips the test, or fails it where the environment variable CI is set.
func Path(tb testing.TB) string {
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

// Open starts a browser with a profile of its own and returns the context of its first tab, for [chromedp.Run]. Both
// end with the test.
//
// An exception in a page, an error on its console or in its log (a violation of its Content-Security-Policy, an answer
// of 400 or more) fails the test at its end, unless its text contains one of tolerated.
func Open(tb testing.TB, tolerated ...string) context.Context {
	tb.Helper()
	options := append(append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...),
		chromedp.ExecPath(Path(tb)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(time.Minute), // a machine that is busy with other tests
	)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	tb.Cleanup(stop)
	// It would log each event of the browser that it does not know.
	tab, closeTab := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	tb.Cleanup(func() {
		_ = chromedp.Cancel(tab) // waits for the end of the browser
		closeTab()
	})
	watch(tb, tab, tolerated)
	return tab
}

// Tab opens a further tab of the browser to which ctx belongs, as [Open] does. It shares the cookies.
func Tab(tb testing.TB, ctx context.Context, tolerated ...string) context.Context { //nolint:revive // as in testing: the test comes first
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

// Until waits, within ctx, until a script in the page evaluates to true.
func Until(code string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for {
			var done bool
			err := chromedp.Evaluate("!!("+code+")", &done).Do(ctx)
			if err == nil && done {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("browsertest: %s: %w", code, errors.Join(ctx.Err(), err))
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
}

// InFrame runs a script in the frame of the tab's page whose URL begins with prefix, and stores what it evaluates to in
// result, unless that is nil. The script shares the frame's document, not its variables. It waits, within ctx, until
// there is such a frame and the script neither fails nor evaluates to undefined or null.
//
// The frame must be of the page's site, as all of 127.0.0.1 is whatever the port.
func InFrame(prefix, code string, result any) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for {
			done, err := evaluateIn(ctx, prefix, code, result)
			if done {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("browsertest: %s: in the frame %s: %w", code, prefix, errors.Join(ctx.Err(), err))
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
}

// evaluateIn reports whether a script could run in a frame.
func evaluateIn(ctx context.Context, prefix, code string, result any) (bool, error) {
	tree, err := page.GetFrameTree().Do(ctx)
	if err != nil {
		return false, err
	}
	id := frameAt(tree, prefix)
	if id == "" {
		return false, errors.New("there is no such frame")
	}
	world, err := page.CreateIsolatedWorld(id).WithWorldName("browsertest").Do(ctx)
	if err != nil {
		return false, err
	}
	value, exception, err := runtime.Evaluate(code).WithContextID(world).WithReturnByValue(true).WithAwaitPromise(true).WithUserGesture(true).Do(ctx)
	switch {
	case err != nil:
		return false, err
	case exception != nil:
		return false, exception
	case value.Type == runtime.TypeUndefined || value.Subtype == runtime.SubtypeNull:
		return false, errors.New("it evaluates to " + string(value.Type))
	case result == nil:
		return true, nil
	}
	return true, json.Unmarshal(value.Value, result)
}

// frameAt finds a frame by the beginning of its URL.
func frameAt(tree *page.FrameTree, prefix string) cdp.FrameID {
	for _, child := range tree.ChildFrames {
		if strings.HasPrefix(child.Frame.URL, prefix) {
			return child.Frame.ID
		}
		if id := frameAt(child, prefix); id != "" {
			return id
		}
	}
	return ""
}

// Size makes the page as wide and high as a screen of that many pixels.
func Size(width, height int64) chromedp.Action {
	return emulation.SetDeviceMetricsOverride(width, height, 1, false)
}

// Screenshot saves what the tab shows as name.png among the test's artifacts (go test -artifacts) and returns the path.
func Screenshot(tb testing.TB, ctx context.Context, name string) string { //nolint:revive // as in testing: the test comes first
	tb.Helper()
	var png []byte
	if err := chromedp.Run(ctx, page.BringToFront(), chromedp.CaptureScreenshot(&png)); err != nil {
		tb.Fatalf("browsertest: no screenshot %s: %v", name, err)
	}
	path := filepath.Join(tb.ArtifactDir(), name+".png")
	if err := os.WriteFile(path, png, 0o600); err != nil {
		tb.Fatalf("browsertest: %v", err)
	}
	return path
}
