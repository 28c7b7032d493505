package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

// line is where the till says what is going on. On a terminal what is under way moves on one line; elsewhere each change
// is a line.
type line struct {
	w    io.Writer
	live bool
}

func newLine(w io.Writer) *line {
	l := &line{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		l.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return l
}

func (l *line) say(text string) { _, _ = fmt.Fprintln(l.w, plain(text)) }

// plain takes out what would do something to the window: receipts and reasons are shown as the vendor sends them.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\r':
			return -1
		case r != '\n' && !unicode.IsPrint(r):
			return unicode.ReplacementChar
		default:
			return r
		}
	}, text)
}

// follow shows what act reports, with the time that it takes, until act returns.
func (l *line) follow(what string, act func(report func(string)) error) error {
	if !l.live {
		return act(func(text string) { l.say("· " + what + ": " + text) })
	}
	var mu sync.Mutex
	now := ""
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		begin, frames := time.Now(), []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
		tick := time.NewTicker(80 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			mu.Lock()
			text := now
			mu.Unlock()
			_, _ = fmt.Fprintf(l.w, "\r\x1b[K%c %s: %s (%d s)", frames[i%len(frames)], what, plain(text), int(time.Since(begin).Seconds()))
			select {
			case <-tick.C:
			case <-stop:
				_, _ = fmt.Fprint(l.w, "\r\x1b[K")
				return
			}
		}
	}()
	defer func() {
		close(stop)
		<-stopped
	}()
	return act(func(text string) {
		mu.Lock()
		defer mu.Unlock()
		now = text
	})
}
