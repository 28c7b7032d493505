package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is what a run has found out.
type report struct {
	machine, end []fact
	questions    []*answer
	// short says that the figures mean nothing.
	short bool
}

// fact is a line about the machine.
type fact struct{ name, value string }

// answer is what was found out about one question.
type answer struct {
	title, text string
	tables      []*table
	notes       []string
}

func (a *answer) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// measure says what of a sample is compared.
type measure struct {
	name   string
	figure func(sample) float64
	show   func(float64) string
	// less says that less is better.
	less bool
}

// The measures. Each is a function because a measure holds functions.
func perSecond() measure { return measure{"a second", rate, showRate, false} }
func timeEach() measure  { return measure{"time", took, showTime, true} }
func middle() measure    { return measure{"p50", p50, showTime, true} }
func slowest() measure   { return measure{"p99", p99, showTime, true} }

// table compares one measure.
type table struct {
	measure measure
	// counts says that allocations were counted.
	counts bool
	// orders says that what was done in the wrong order was counted.
	orders bool
	rows   []row
}

// row compares two sides.
type row struct {
	what, ours, theirs string
	comparison         comparison
	// goal is what the ratio should reach: at least, or at most if less is better. 0 means that there is none.
	goal float64
	// limit is what our own figure should not exceed. 0 means that there is none.
	limit float64
	// why says what keeps the goal away, for the conclusion. It is shown only if the goal is missed.
	why string
}

func (a *answer) table(m measure) *table {
	t := &table{measure: m}
	a.tables = append(a.tables, t)
	return t
}

func (r *report) write(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Results\n\nWritten by `make bench`; nothing in it is typed in by hand. Both sides of a row ran in turns within this run, one slice " +
		"of time each,\nand who begins changed with each round. A ratio is ours over theirs, round by round: its median, its quartiles, and its\nleast " +
		"and most. Where rates are compared more is better, where times are less is.\n\n")
	b.WriteString("| machine | |\n|---|---|\n")
	for _, f := range slices.Concat(r.machine, r.end) {
		fmt.Fprintf(&b, "| %s | %s |\n", f.name, f.value)
	}
	if !r.short {
		r.summary(&b)
	}
	for _, a := range r.questions {
		fmt.Fprintf(&b, "\n## %s\n", a.title)
		if a.text != "" {
			fmt.Fprintf(&b, "\n%s\n", a.text)
		}
		for _, t := range a.tables {
			t.write(&b)
		}
		if len(a.notes) > 0 {
			b.WriteString("\n")
		}
		for _, note := range a.notes {
			fmt.Fprintf(&b, "- %s\n", note)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *report) writeFile(path string) error {
	file, err := os.Create(path) //nolint:gosec // it is what the user asked for.
	if err != nil {
		return err
	}
	return errors.Join(r.write(file), file.Close())
}

// summary lists the goals.
func (r *report) summary(b *strings.Builder) {
	began := false
	for _, a := range r.questions {
		for _, t := range a.tables {
			for _, row := range t.rows {
				verdict, _ := t.verdict(row)
				if verdict == "" {
					continue
				}
				if !began {
					b.WriteString("\n## The goals\n\n| question | what | against | goal | result |\n|---|---|---|---|---|\n")
					began = true
				}
				fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", a.title, row.what, row.theirs, t.goal(row), verdict)
			}
		}
	}
}

func (t *table) goal(r row) string {
	var goals []string
	if r.goal != 0 {
		sign := "≥"
		if t.measure.less {
			sign = "≤"
		}
		goals = append(goals, fmt.Sprintf("%s %s %s", t.measure.name, sign, showRatio(r.goal)))
	}
	if r.limit != 0 {
		goals = append(goals, fmt.Sprintf("%s of ours ≤ %s", t.measure.name, t.measure.show(r.limit)))
	}
	return strings.Join(goals, ", ")
}

// verdict says whether the goal was reached, and by how much it wasn't. It is empty if there is no goal.
func (t *table) verdict(r row) (text string, reached bool) {
	var texts []string
	reached = true
	say := func(got, goal float64, more bool, show func(float64) string) {
		short := got/goal - 1
		if more {
			short = 1 - got/goal
		}
		if short <= 0 {
			texts = append(texts, "reached: "+show(got))
			return
		}
		reached = false
		text := fmt.Sprintf("**missed by %s**: %s", percent(short), show(got))
		if r.why != "" {
			text += "; " + r.why
		}
		texts = append(texts, text)
	}
	if r.goal != 0 {
		say(r.comparison.ratio(t.measure.figure).median, r.goal, !t.measure.less, showRatio)
	}
	if r.limit != 0 {
		say(median(r.comparison.ours, t.measure.figure), r.limit, false, t.measure.show)
	}
	return strings.Join(texts, "; "), reached
}

func (t *table) write(b *strings.Builder) {
	if len(t.rows) == 0 {
		return
	}
	head := []string{"what", "ours", "against", t.measure.name + ": ours", "theirs", "ratio", "quartiles", "least–most", "rounds"}
	if t.counts {
		head = append(head, "allocations: ours", "theirs", "bytes: ours", "theirs")
	}
	if t.orders {
		head = append(head, "out of order: ours", "theirs")
	}
	b.WriteString("\n")
	line(b, head)
	line(b, strings.Split(strings.Repeat("---,", len(head)-1)+"---", ","))
	for _, r := range t.rows {
		c := r.comparison
		ratio := c.ratio(t.measure.figure)
		cells := []string{
			r.what, r.ours, r.theirs,
			t.measure.show(median(c.ours, t.measure.figure)), t.measure.show(median(c.theirs, t.measure.figure)),
			"**" + showRatio(ratio.median) + "**", showRatio(ratio.low) + "–" + showRatio(ratio.high),
			showRatio(ratio.least) + "–" + showRatio(ratio.most), strconv.Itoa(len(c.ours)),
		}
		if t.counts {
			for _, figure := range []func(sample) float64{allocs, size} {
				cells = append(cells, showCount(median(c.ours, figure)), showCount(median(c.theirs, figure)))
			}
		}
		if t.orders {
			for _, samples := range [][]sample{c.ours, c.theirs} {
				wrong := 0
				for _, s := range samples {
					wrong += s.Wrong
				}
				cells = append(cells, strconv.Itoa(wrong))
			}
		}
		line(b, cells)
	}
}

func line(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func showRatio(r float64) string {
	if math.IsNaN(r) {
		return "–"
	}
	return significant(r)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func showRate(r float64) string { return significant(r) + "/s" }

func showCount(n float64) string {
	if n < 0 || math.IsNaN(n) {
		return "–"
	}
	return thousands(strconv.FormatFloat(math.Round(n), 'f', 0, 64))
}

// showBytes shows a number of bytes in MB.
func showBytes(n float64) string { return fmt.Sprintf("%.1f MB", n/1e6) }

func showTime(seconds float64) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"s", time.Second}, {"ms", time.Millisecond}, {"µs", time.Microsecond}} {
		if seconds >= unit.size.Seconds() {
			return significant(seconds/unit.size.Seconds()) + " " + unit.name
		}
	}
	return significant(seconds*float64(time.Second)) + " ns"
}

// significant shows three digits that matter.
func significant(f float64) string {
	const digits = 3
	if f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	decimals := digits - 1 - int(math.Floor(math.Log10(math.Abs(f))))
	if decimals < 0 {
		scale := math.Pow10(-decimals)
		return thousands(strconv.FormatFloat(math.Round(f/scale)*scale, 'f', 0, 64))
	}
	return thousands(strconv.FormatFloat(f, 'f', decimals, 64))
}

// thousands puts narrow spaces into a long number.
func thousands(text string) string {
	whole, fraction, point := strings.Cut(text, ".")
	const group = 3
	for i := len(whole) - group; i > 0 && len(whole) > group+1 && whole[i-1] != '-'; i -= group {
		whole = whole[:i] + " " + whole[i:]
	}
	if point {
		whole += "." + fraction
	}
	return whole
}
