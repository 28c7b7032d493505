package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is what was found out, in this run and in earlier ones. It is kept as JSON, and what is read is written from it.
type report struct {
	Answers []*answer `json:"answers"`
}

// fact is a line about the machine.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// answer is what one run has found out about one question.
type answer struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Text  string `json:"text"`
	// Began and Took say when it was measured, Commit says of what, and the loads are those of the machine.
	Began      time.Time     `json:"began"`
	Took       time.Duration `json:"took"`
	Commit     string        `json:"commit"`
	LoadBefore string        `json:"load_before"`
	LoadAfter  string        `json:"load_after"`
	Machine    []fact        `json:"machine"`
	// Short says that the figures mean nothing.
	Short bool `json:"short,omitempty"`
	// Broken says why it did not come to its end, if it didn't.
	Broken string   `json:"broken,omitempty"`
	Tables []*table `json:"tables"`
	Notes  []string `json:"notes,omitempty"`
}

func (a *answer) note(format string, args ...any) {
	a.Notes = append(a.Notes, fmt.Sprintf(format, args...))
}

// empty says that there is no row yet.
func (a *answer) empty() bool {
	return !slices.ContainsFunc(a.Tables, func(t *table) bool { return len(t.Rows) > 0 })
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
func perSecond() measure    { return measure{"a second", rate, showRate, false} }
func timeEach() measure     { return measure{"time", took, showTime, true} }
func middle() measure       { return measure{"p50", p50, showTime, true} }
func slowest() measure      { return measure{"p99", p99, showTime, true} }
func memoryThen() measure   { return measure{"memory", size, showBytes, true} }
func sizeOfBinary() measure { return measure{"size of the binary", size, showBytes, true} }

// MarshalText implements [encoding.TextMarshaler].
func (m measure) MarshalText() ([]byte, error) { return []byte(m.name), nil } //nolint:unparam // the interface has it.

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *measure) UnmarshalText(text []byte) error {
	for _, known := range []measure{perSecond(), timeEach(), middle(), slowest(), memoryThen(), sizeOfBinary()} {
		if known.name == string(text) {
			*m = known
			return nil
		}
	}
	return fmt.Errorf("nothing measures %q", text)
}

// table compares one measure.
type table struct {
	Measure measure `json:"measure"`
	// Counts says that allocations were counted.
	Counts bool `json:"counts,omitempty"`
	// Orders says that what was done in the wrong order was counted.
	Orders bool  `json:"orders,omitempty"`
	Rows   []row `json:"rows"`
}

// row compares two sides.
type row struct {
	What       string     `json:"what"`
	Ours       string     `json:"ours"`
	Theirs     string     `json:"theirs"`
	Comparison comparison `json:"comparison"`
	// Goal is what the ratio should reach: at least, or at most if less is better. 0 means that there is none.
	Goal float64 `json:"goal,omitempty"`
	// Limit is what our own figure should not exceed. 0 means that there is none.
	Limit float64 `json:"limit,omitempty"`
	// Why says what keeps the goal away, and how near one can come. It is shown only if the goal is missed.
	Why string `json:"why,omitempty"`
}

func (a *answer) table(m measure) *table {
	t := &table{Measure: m}
	a.Tables = append(a.Tables, t)
	return t
}

// find returns the row of those names. It returns nil if there is none, which is so when a rival could not be measured.
func (t *table) find(what, ours, theirs string) *row {
	for i := range t.Rows {
		if r := &t.Rows[i]; r.What == what && r.Ours == ours && r.Theirs == theirs {
			return r
		}
	}
	return nil
}

// because appends to why the row has missed its goal.
func (r *row) because(format string, args ...any) {
	if r.Why != "" {
		r.Why += "; "
	}
	r.Why += fmt.Sprintf(format, args...)
}

// put adds an answer, in the place of an earlier one of the same name.
func (r *report) put(a *answer) {
	for i, known := range r.Answers {
		if known.Name == a.Name {
			r.Answers[i] = a
			return
		}
	}
	r.Answers = append(r.Answers, a)
}

// answer returns the answer of that name, or nil.
func (r *report) answer(name string) *answer {
	for _, a := range r.Answers {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// write writes the answers in the order of names, which are those of all questions, and what is missing.
func (r *report) write(w io.Writer, names []string) error {
	var b strings.Builder
	b.WriteString("# Results\n\nWritten by `make bench`; nothing in it is typed in by hand. Both sides of a row ran in turns within one run, one slice " +
		"of time each,\nand who begins changed with each round. A ratio is ours over theirs, round by round: its median, its quartiles, and its\nleast " +
		"and most. Where rates are compared more is better, where times are less is.\n")
	r.missing(&b, names)
	var answers []*answer
	for _, name := range names {
		if a := r.answer(name); a != nil {
			answers = append(answers, a)
		}
	}
	machine := latest(answers)
	if len(machine) > 0 {
		b.WriteString("\n| machine | |\n|---|---|\n")
	}
	for _, f := range machine {
		fmt.Fprintf(&b, "| %s | %s |\n", f.Name, f.Value)
	}
	summary(&b, answers)
	for _, a := range answers {
		a.write(&b, machine)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// latest returns what the latest answers say of the machine, of each fact that any of them knows.
func latest(answers []*answer) []fact {
	sorted := slices.SortedStableFunc(slices.Values(answers), func(a, b *answer) int { return b.Began.Compare(a.Began) })
	var machine []fact
	for _, a := range sorted {
		for _, f := range a.Machine {
			if !slices.ContainsFunc(machine, func(known fact) bool { return known.Name == f.Name }) {
				machine = append(machine, f)
			}
		}
	}
	return machine
}

// missing says what is not there, and how to have it.
func (r *report) missing(b *strings.Builder, names []string) {
	var texts, again []string
	for _, name := range names {
		a := r.answer(name)
		switch {
		case a == nil:
			texts = append(texts, name+" was not measured")
		case a.Broken != "":
			texts = append(texts, fmt.Sprintf("%s was broken off (%s)", name, a.Broken))
		default:
			continue
		}
		again = append(again, name)
	}
	if len(again) > 0 {
		fmt.Fprintf(b, "\n**Not all is here**: %s. `go run . -only %s` measures it, and keeps the rest.\n",
			strings.Join(texts, "; "), strings.Join(again, ","))
	}
}

// write writes one answer. machine is what the report has said of the machine.
func (a *answer) write(b *strings.Builder, machine []fact) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", a.Title, a.Text)
	fmt.Fprintf(b, "Measured %s UTC, of %s, in %s; load before %s, and after %s.", a.Began.UTC().Format(time.DateTime), a.Commit,
		a.Took.Round(time.Second), a.LoadBefore, a.LoadAfter)
	for _, f := range a.Machine {
		if !slices.Contains(machine, f) {
			fmt.Fprintf(b, " Not as above, %s was %s.", f.Name, f.Value)
		}
	}
	if a.Short {
		b.WriteString(" **With -short: the figures mean nothing.**")
	}
	b.WriteString("\n")
	for _, t := range a.Tables {
		t.write(b)
	}
	if len(a.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, note := range a.Notes {
		fmt.Fprintf(b, "- %s\n", note)
	}
}

// summary lists the goals.
func summary(b *strings.Builder, answers []*answer) {
	began := false
	for _, a := range answers {
		if a.Short {
			continue
		}
		for _, t := range a.Tables {
			for _, row := range t.Rows {
				verdict, _ := t.verdict(row)
				if verdict == "" {
					continue
				}
				if !began {
					b.WriteString("\n## The goals\n\n| question | what | ours | against | goal | result |\n|---|---|---|---|---|---|\n")
					began = true
				}
				fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", a.Title, row.What, row.Ours, row.Theirs, t.goal(row), verdict)
			}
		}
	}
}

func (t *table) goal(r row) string {
	var goals []string
	if r.Goal != 0 {
		sign := "≥"
		if t.Measure.less {
			sign = "≤"
		}
		goals = append(goals, fmt.Sprintf("%s %s %s", t.Measure.name, sign, showRatio(r.Goal)))
	}
	if r.Limit != 0 {
		goals = append(goals, fmt.Sprintf("%s of ours ≤ %s", t.Measure.name, t.Measure.show(r.Limit)))
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
		if r.Why != "" {
			text += "; " + r.Why
		}
		texts = append(texts, text)
	}
	if r.Goal != 0 {
		say(r.Comparison.ratio(t.Measure.figure).median, r.Goal, !t.Measure.less, showRatio)
	}
	if r.Limit != 0 {
		say(median(r.Comparison.Ours, t.Measure.figure), r.Limit, false, t.Measure.show)
	}
	return strings.Join(texts, "; "), reached
}

func (t *table) write(b *strings.Builder) {
	if len(t.Rows) == 0 {
		return
	}
	head := []string{"what", "ours", "against", t.Measure.name + ": ours", "theirs", "ratio", "quartiles", "least–most", "rounds"}
	if t.Counts {
		head = append(head, "allocations: ours", "theirs", "bytes: ours", "theirs")
	}
	if t.Orders {
		head = append(head, "out of order: ours", "theirs")
	}
	b.WriteString("\n")
	line(b, head)
	line(b, strings.Split(strings.Repeat("---,", len(head)-1)+"---", ","))
	for _, r := range t.Rows {
		c := r.Comparison
		ratio := c.ratio(t.Measure.figure)
		cells := []string{
			r.What, r.Ours, r.Theirs,
			t.Measure.show(median(c.Ours, t.Measure.figure)), t.Measure.show(median(c.Theirs, t.Measure.figure)),
			"**" + showRatio(ratio.median) + "**", showRatio(ratio.low) + "–" + showRatio(ratio.high),
			showRatio(ratio.least) + "–" + showRatio(ratio.most), strconv.Itoa(len(c.Ours)),
		}
		if t.Counts {
			for _, figure := range []func(sample) float64{allocs, size} {
				cells = append(cells, showCount(median(c.Ours, figure)), showCount(median(c.Theirs, figure)))
			}
		}
		if t.Orders {
			for _, samples := range [][]sample{c.Ours, c.Theirs} {
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
