// Command bench measures Tillroute beside what people would use in its place, and writes RESULTS.md:
//
//	cd bench && go run .
//
// It takes about half an hour; -short shows in less than a minute that it works, and says nothing about speed. It is a module of its
// own, which nobody imports, so that what it compares with reaches no user.
//
// PostgreSQL is started from the machine's own binaries, in a cluster that is thrown away. Without them, and without strace, which
// makes the disk slow, the questions that need them are left out, and the results say so.
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
	"regexp"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
	answer            func(context.Context, *bench, *answer) error
}

func questions() []question {
	return []question{
		requestsQuestion(), decodingQuestion(), signingQuestion(), lookupQuestion(), queueQuestion(), growthQuestion(), receiverQuestion(),
		startQuestion(),
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) (err error) {
	b := &bench{log: stderr, built: map[string]string{}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&b.short, "short", false, "only show that it works; the figures mean nothing")
	flags.IntVar(&b.rounds, "rounds", 0, "`rounds` for each row, where slices are short; fewer where they are long (default 25, 1 with -short)")
	only := flags.String("only", "", "answer the questions alone whose names match this `regexp`: requests, decoding, signing, lookup, queue, growth, receiver, start")
	out := flags.String("o", "RESULTS.md", "the `file` to write; - is standard output")
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
	matches, err := regexp.Compile(*only)
	if err != nil || flags.NArg() > 0 || b.rounds < 0 {
		_, _ = fmt.Fprintln(stderr, "bench: -only must be a regular expression, -rounds must not be negative, and there are no arguments")
		return errUsage
	}
	if b.rounds == 0 {
		b.rounds = 25
		if b.short {
			b.rounds = 1
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

	r := &report{machine: machine(ctx, b), short: b.short}
	began := time.Now()
	for _, q := range questions() {
		if !matches.MatchString(q.name) {
			continue
		}
		_, _ = fmt.Fprintf(stderr, "%s: %s\n", time.Since(began).Round(time.Second), q.name)
		a := &answer{title: q.title, text: q.text}
		if err := q.answer(ctx, b, a); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		r.questions = append(r.questions, a)
		r.end = []fact{{"load at the end, and how long it took", loadAverage() + ", " + time.Since(began).Round(time.Second).String()}}
		if b.cluster != nil {
			r.end = append(r.end, fact{"PostgreSQL", b.cluster.version})
		}
		// After each, so that what was found out isn't lost with a run that is broken off.
		if *out != "-" {
			if err := r.writeFile(*out); err != nil {
				return err
			}
		}
	}
	if *out == "-" {
		return r.write(os.Stdout)
	}
	return nil
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

// add compares two sides and appends a row.
func (b *bench) add(ctx context.Context, t *table, r row, rounds int, d time.Duration, ours, theirs side) error {
	c, err := compare(ctx, rounds, d, ours, theirs)
	if err != nil {
		return fmt.Errorf("%s: %w", r.what, err)
	}
	r.ours, r.theirs, r.comparison = ours.name, theirs.name, c
	t.rows = append(t.rows, r)
	_, _ = fmt.Fprintf(b.log, "  %s: %s against %s: %s\n", r.what, r.ours, r.theirs, showRatio(c.ratio(t.measure.figure).median))
	return nil
}
