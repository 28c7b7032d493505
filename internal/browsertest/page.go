package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// stepTime is how long a step of a test waits for what should happen.
const stepTime = time.Minute

// height is how high a page's window is.
const height = 800

// Browser is a running browser, whose tabs are at hand as a [Page] each.
type Browser struct {
	tb        testing.TB
	tab       context.Context //nolint:containedctx // a browser is handed around by a context.
	tolerated []string
}

// Start starts a browser with a profile of its own, which ends with the test. Without a browser on the machine it skips
// the test, or fails it where the environment variable CI is set.
//
// An exception in a page, an error on its console or in its log (a violation of its Content-Security-Policy, an answer
// of 400 or more) fails the test at its end, unless its text contains one of tolerated.
func Start(tb testing.TB, tolerated ...string) *Browser {
	tb.Helper()
	return &Browser{tb, start(tb, tolerated), tolerated}
}

// For returns the browser for a subtest: what fails in it fails there.
func (b *Browser) For(tb testing.TB) *Browser {
	tb.Helper()
	return &Browser{tb, b.tab, b.tolerated}
}

// Page is a tab.
type Page struct {
	tb  testing.TB
	ctx context.Context //nolint:containedctx // that is how a tab is handed around.
}

// Open opens a page in a tab of its own that is width pixels wide.
func (b *Browser) Open(url string, width int64) *Page {
	b.tb.Helper()
	p := &Page{b.tb, openTab(b.tb, b.tab, b.tolerated)}
	p.run(resize(width), chromedp.Navigate(url))
	return p
}

// OpenLink waits for the tab that act opens, and returns it.
func (p *Page) OpenLink(width int64, act func()) *Page {
	p.tb.Helper()
	opened := chromedp.WaitNewTarget(p.ctx, func(*target.Info) bool { return true })
	act()
	select {
	case id := <-opened:
		ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(id))
		p.tb.Cleanup(cancel)
		tab := &Page{p.tb, ctx}
		watch(p.tb, ctx, nil)
		tab.run(resize(width))
		return tab
	case <-time.After(stepTime):
		p.tb.Fatal("no new tab was opened")
		return nil
	}
}

func (p *Page) run(actions ...chromedp.Action) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.tb.Fatalf("the browser: %v", err)
	}
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.tb.Helper()
	p.Main().Do("document.documentElement.dataset.before = 'true'; location.reload()")
	p.Main().Until("document.readyState === 'complete' && !document.documentElement.dataset.before")
}

// Close closes the tab.
func (p *Page) Close() {
	p.tb.Helper()
	if err := chromedp.Cancel(p.ctx); err != nil {
		p.tb.Errorf("the tab does not close: %v", err)
	}
}

// Press presses a key, or types a text, where the focus is.
func (p *Page) Press(keys string) {
	p.tb.Helper()
	p.run(page.BringToFront(), chromedp.KeyEvent(keys))
}

// Tap clicks the middle of an element with the mouse, as soon as it is visible: what covers it gets the click.
func (p *Page) Tap(selector string) {
	p.tb.Helper()
	p.run(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// Resize makes the window as wide as that.
func (p *Page) Resize(width int64) {
	p.tb.Helper()
	p.run(resize(width))
}

// resize makes a page as wide as a screen of that many pixels.
func resize(width int64) chromedp.Action {
	return emulation.SetDeviceMetricsOverride(width, height, 1, false)
}

// Screenshot saves what the whole page looks like, as an artifact of the test.
func (p *Page) Screenshot(name string) {
	p.tb.Helper()
	var picture []byte
	// A tab in the background is not painted.
	p.run(page.BringToFront(), chromedp.FullScreenshot(&picture, 100))
	if err := os.WriteFile(filepath.Join(p.tb.ArtifactDir(), name+".png"), picture, 0o600); err != nil {
		p.tb.Errorf("the screenshot could not be saved: %v", err)
	}
}

// Frame is a document: the page's own, or that of a frame in it.
type Frame struct {
	page *Page
	// part is a part of the frame's URL; empty for the page's own.
	part string
}

// Main returns the page's own document.
func (p *Page) Main() Frame { return Frame{p, ""} }

// Frame returns the frame whose URL contains part. It need not be there yet.
func (p *Page) Frame(part string) Frame { return Frame{p, part} }

// find returns the frame's name in the browser, or "".
func (f Frame) find(tree *page.FrameTree, top bool) string {
	if (f.part == "" && top) || (f.part != "" && !top && strings.Contains(tree.Frame.URL, f.part)) {
		return string(tree.Frame.ID)
	}
	// The newest frame is the last.
	for _, child := range slices.Backward(tree.ChildFrames) {
		if id := f.find(child, false); id != "" {
			return id
		}
	}
	return ""
}

// try evaluates an expression in the frame, and returns its value as JSON.
func (f Frame) try(ctx context.Context, expression string) (json.RawMessage, error) {
	var value json.RawMessage
	err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		tree, err := page.GetFrameTree().Do(ctx)
		if err != nil {
			return err
		}
		id := f.find(tree, true)
		if id == "" {
			return fmt.Errorf("there is no frame %q", f.part)
		}
		world, err := page.CreateIsolatedWorld(cdp.FrameID(id)).Do(ctx)
		if err != nil {
			return err
		}
		result, problem, err := runtime.Evaluate(expression).WithContextID(world).WithReturnByValue(true).WithAwaitPromise(true).Do(ctx)
		switch {
		case err != nil:
			return err
		case problem != nil:
			return problem
		}
		value = json.RawMessage(result.Value)
		return nil
	}))
	return value, err
}

// Until waits until an expression is true in the frame.
func (f Frame) Until(expression string) {
	f.page.tb.Helper()
	ctx, cancel := context.WithTimeout(f.page.ctx, stepTime)
	defer cancel()
	for {
		value, err := f.try(ctx, "!!("+expression+")")
		if err == nil && string(value) == "true" {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.page.Screenshot("failed")
			now, _ := f.page.Main().try(f.page.ctx, "document.body.innerText")
			f.page.tb.Fatalf("it does not come true in frame %q: %s (%v)\nthe page shows: %s", f.part, expression, err, now)
		}
	}
}

// Text returns an expression's value as a text.
func (f Frame) Text(expression string) string {
	f.page.tb.Helper()
	value, err := f.try(f.page.ctx, "String("+expression+")")
	var text string
	if err == nil {
		err = json.Unmarshal(value, &text)
	}
	if err != nil {
		f.page.tb.Fatalf("in frame %q: %s: %v", f.part, expression, err)
	}
	return text
}

// Do carries out statements.
func (f Frame) Do(statements string) {
	f.page.tb.Helper()
	if _, err := f.try(f.page.ctx, "(() => { "+statements+" })()"); err != nil {
		f.page.tb.Fatalf("in frame %q: %s: %v", f.part, statements, err)
	}
}

// shows is an expression for the visible element that a selector and a text pick out.
func shows(selector, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].find(e => e.innerText.includes(%q) && e.offsetParent !== null)`, selector, text)
}

// Shows waits until the frame shows an element with that text.
func (f Frame) Shows(selector, text string) {
	f.page.tb.Helper()
	f.Until(shows(selector, text))
}

// Click waits for an element with that text that can be clicked, and clicks it.
func (f Frame) Click(selector, text string) {
	f.page.tb.Helper()
	f.Until(shows(selector, text) + "?.disabled !== true && " + shows(selector, text))
	f.Do(shows(selector, text) + ".click()")
}
