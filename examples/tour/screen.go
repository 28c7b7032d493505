package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// screen shows what the tour does.
type screen interface {
	begin(system, step string)
	// note says what is going on within the step.
	note(text string)
	end(step)
	table([]step)
}

// silent shows nothing.
type silent struct{}

func (silent) begin(string, string) {}
func (silent) note(string)          {}
func (silent) end(step)             {}
func (silent) table([]step)         {}

// paper writes a line for each step. On a terminal the line of the step that is under way moves.
type paper struct {
	w    io.Writer
	live bool

	mu      sync.Mutex
	label   string
	noted   string
	spinner chan struct{}
	stopped chan struct{}
}

func newScreen(w io.Writer) *paper {
	p := &paper{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

func (p *paper) begin(system, name string) {
	p.mu.Lock()
	p.label, p.noted = fmt.Sprintf("%-12s  %s", system, name), ""
	p.mu.Unlock()
	if !p.live {
		return
	}
	p.spinner, p.stopped = make(chan struct{}), make(chan struct{})
	go p.spin(p.spinner, p.stopped)
}

func (p *paper) spin(stop <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	tick := time.NewTicker(80 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		p.mu.Lock()
		text := p.label
		if p.noted != "" {
			text += " · " + p.noted
		}
		p.mu.Unlock()
		p.printf("\r\x1b[K%c %s", frames[i%len(frames)], cut(text, 100))
		select {
		case <-tick.C:
		case <-stop:
			p.printf("\r\x1b[K")
			return
		}
	}
}

func (p *paper) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noted = text
}

func (p *paper) end(s step) {
	if p.live {
		close(p.spinner)
		<-p.stopped
	}
	p.printf("%s %s\n    %s\n", mark(s.OK), p.label, strings.ReplaceAll(s.Detail, "\n", "\n    "))
}

func (p *paper) table(steps []step) {
	_, _ = fmt.Fprintln(p.w)
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\tsystem\tstep\tms")
	good, total := 0, int64(0)
	for _, s := range steps {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", mark(s.OK), s.System, s.Step, s.MS)
		total += s.MS
		if s.OK {
			good++
		}
	}
	_ = w.Flush()
	p.printf("\n%d of %d steps did what they should, in %.1f s\n", good, len(steps), float64(total)/1000)
}

func (p *paper) printf(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format, args...) }

func mark(ok bool) string {
	if ok {
		return "✓"
	}
	return "✗"
}

func cut(text string, runes int) string {
	if r := []rune(text); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return text
}
