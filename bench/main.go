// Command bench measures Tillroute beside what people would use in its place, and writes RESULTS.md:
//
//	cd bench && go run .
//
// On two quiet cores it takes about forty minutes; what it does and how long that may take is in its log. RESULTS.md is written
// after each row, together with RESULTS.json, from which it is made: a run that is broken off keeps every row that it has finished,
// and RESULTS.md says what is missing.
//
//	go run . -only queue,growth
//
// measures those questions alone, and keeps what earlier runs have found out about the others. -short shows in a minute that all
// works, and says nothing about speed: it prints its results, unless -o says otherwise.
//
// It is a module of its own, which nobody imports, so that what it compares with reaches no user. PostgreSQL is started from the
// machine's own binaries, in a cluster that is thrown away. Without them, and without strace, which makes the disk slow, the rows
// that need them are left out, and the results say so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Who asks a second time doesn't want to wait for the goodbyes.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errUsage is returned for flags that cannot be understood. What was wrong is already on stderr.
var errUsage = errors.New("usage")

// bench is one run.
type bench struct {
	short  bool
	rounds int
	// root is the root of the repository, folder is for what is thrown away, program is this program.
	root, folder, program string
	log                   io.Writer
	// began is when the run did, and save keeps what was found out since.
	began time.Time
	save  func() error
	// cluster is the database, once it was asked for, and slow another one whose disk is slow.
	cluster, slow *cluster
	// built are the programs that were built, by what they were built from.
	built map[string]string
	// stations are the databases of queues, so that each has a name of its own.
	stations []string
}

// question is one that the run answers.
type question struct {
	name, title, text string
	// plan says what is done, and takes how long that may take on two quiet cores.
	plan   string
	takes  time.Duration
	answer func(context.Context, *bench, *answer) error
}

func questions() []question {
	return []question{
		requestsQuestion(), decodingQuestion(), signingQuestion(), lookupQuestion(), queueQuestion(), growthQuestion(), receiverQuestion(),
		startQuestion(),
	}
}

func names(of []question) []string {
	all := make([]string, len(of))
	for i, q := range of {
		all[i] = q.name
	}
	return all
}

// choose returns the questions of those names, with commas between them, or all if there are none.
func choose(list string) ([]question, error) {
	all := questions()
	if list == "" {
		return all, nil
	}
	asked := strings.Split(list, ",")
	for i, name := range asked {
		asked[i] = strings.TrimSpace(name)
		if !slices.Contains(names(all), asked[i]) {
			return nil, fmt.Errorf("there is no question %q: -only takes some of %s", asked[i], strings.Join(names(all), ","))
		}
	}
	return slices.DeleteFunc(all, func(q question) bool { return !slices.Contains(asked, q.name) }), nil
}

func run(ctx context.Context, args []string, stderr io.Writer) (err error) {
	b := &bench{log: stderr, built: map[string]string{}, began: time.Now()}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&b.short, "short", false, "only show that it works; the figures mean nothing")
	flags.IntVar(&b.rounds, "rounds", 0, "`rounds` for each row, where slices are short; fewer where they are long (default 25, 1 with -short)")
	only := flags.String("only", "", "answer these `questions` alone, with commas between them, and keep what is known of the others: "+
		strings.Join(names(questions()), ","))
	out := flags.String("o", "", "the `file` to write, and the same name with .json beside it; - is standard output (default RESULTS.md, - with -short)")
	kid := flags.String("child", "", "for the program itself")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if *kid != "" {
		return runChild(ctx, *kid)
	}
	chosen, err := choose(*only)
	if err == nil && (flags.NArg() > 0 || b.rounds < 0) {
		err = errors.New("-rounds must not be negative, and there are no arguments")
	}
	if *out == "" {
		*out = pick(b, "RESULTS.md", "-")
	}
	if filepath.Ext(*out) == ".json" {
		err = errors.Join(err, errors.New("-o names what is read; the .json is written beside it"))
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return errUsage
	}
	if b.rounds == 0 {
		b.rounds = pick(b, 25, 1) //nolint:mnd // enough for quartiles.
	}
	r, files := &report{}, resultsAt(*out)
	if *out != "-" {
		if r, err = files.load(); err != nil {
			return err
		}
	}
	if b.program, err = os.Executable(); err != nil {
		return err
	}
	if b.root, err = root(); err != nil {
		return err
	}
	if b.folder, err = os.MkdirTemp("", "tillroute-bench-"); err != nil {
		return err
	}
	// The database runs as another user.
	if err := os.Chmod(b.folder, 0o755); err != nil { //nolint:gosec // it holds nothing but rows that are made up.
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()

	save := func() error { return files.save(r, names(questions())) }
	if *out == "-" {
		save = func() error { return nil }
		defer func() { err = errors.Join(err, r.write(os.Stdout, names(questions()))) }()
	}
	return b.ask(ctx, chosen, r, save)
}

// ask answers the questions, one after the other, and has each row saved as soon as it is known. What keeps one from being answered
// doesn't keep the others.
func (b *bench) ask(ctx context.Context, chosen []question, r *report, save func() error) error {
	all := time.Duration(0)
	for _, q := range chosen {
		all += q.takes
	}
	if !b.short {
		b.say("%s: %s or less in all, on two quiet cores", strings.Join(names(chosen), ", "), all)
	}
	commit := commit(ctx, b.root)
	var errs []error
	for _, q := range chosen {
		if ctx.Err() != nil {
			break
		}
		began := time.Now()
		b.say("%s: %s", q.name, q.plan)
		if !b.short {
			b.say("%s: %s or less", q.name, q.takes)
		}
		a := &answer{Name: q.name, Title: q.title, Text: q.text, Began: began, Commit: commit, LoadBefore: loadAverage(), Short: b.short}
		a.Broken = "it did not come to its end"
		b.save = func() error {
			if a.empty() && a.Broken != "" {
				return nil // what is known from before is better than nothing
			}
			a.Took, a.LoadAfter, a.Machine = time.Since(began), loadAverage(), b.machine()
			r.put(a)
			return save()
		}
		err := q.answer(ctx, b, a)
		switch {
		case err == nil:
			a.Broken = ""
		case ctx.Err() != nil:
			a.Broken = context.Cause(ctx).Error()
		default:
			a.Broken = strings.Join(strings.Fields(err.Error()), " ")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", q.name, err))
			b.say("%s: broken off: %s", q.name, err)
		}
		b.say("%s: took %s", q.name, time.Since(began).Round(time.Second))
		// What has nothing to show says why, too.
		if err := b.save(); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errs...)
}

// say writes a line into the log.
func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, "%8s  %s\n", time.Since(b.began).Round(time.Second), fmt.Sprintf(format, args...))
}

// step says in the log what is about to be done, and how long it took unless that is no time.
func (b *bench) step(what string, do func() error) error {
	b.say("  %s …", what)
	began := time.Now()
	err := do()
	if took := time.Since(began).Round(time.Second); took > 0 {
		b.say("  … took %s", took)
	}
	return err
}

// root finds the root of the repository from the folder of this module, or from a folder within it.
func root() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "pms", "testdata")); err == nil {
			return folder, nil
		}
		up := filepath.Dir(folder)
		if up == folder {
			return "", errors.New("the root of the repository is not above: run it as cd bench && go run")
		}
		folder = up
	}
}

func (b *bench) close() error {
	var errs []error
	for _, c := range []*cluster{b.cluster, b.slow} {
		if c != nil {
			errs = append(errs, c.stop())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(b.folder))...)
}

// slice is how long one side works at a time.
func (b *bench) slice(usual time.Duration) time.Duration {
	if b.short {
		return min(usual, 20*time.Millisecond) //nolint:mnd // long enough to do something.
	}
	return usual
}

// few is how many rounds there are where a slice takes seconds.
func (b *bench) few(usual int) int {
	if b.short {
		return 1
	}
	return min(usual, b.rounds)
}

// pick returns the first, or with -short the second.
func pick[T any](b *bench, usual, short T) T {
	if b.short {
		return short
	}
	return usual
}

// add compares two sides, and appends a row, which is saved at once.
func (b *bench) add(ctx context.Context, t *table, r row, rounds int, d time.Duration, ours, theirs side) error {
	began := time.Now()
	c, err := compare(ctx, rounds, d, ours, theirs)
	if err != nil {
		return fmt.Errorf("%s: %w", r.What, err)
	}
	r.Ours, r.Theirs, r.Comparison = ours.name, theirs.name, c
	t.Rows = append(t.Rows, r)
	b.say("  %s: %s against %s: %s, %d rounds in %s", r.What, r.Ours, r.Theirs, showRatio(c.ratio(t.Measure.figure).median), len(c.Ours),
		time.Since(began).Round(time.Millisecond))
	return b.save()
}
