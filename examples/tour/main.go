// Command tour shows the whole way of a payment, from a register to a terminal and back, against simulated systems
// on this machine. Every step is checked against what the simulated systems recorded on their side.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
}

var (
	// errUsage is returned for flags that cannot be understood. What was wrong is already on stderr.
	errUsage = errors.New("usage")
	// errNotOK is returned when a step did not do what it should.
	errNotOK = errors.New("not every step did what it should")
)

// limit is how long the tour may take in all. It takes a few seconds.
const limit = 60 * time.Second

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("tour", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print one JSON object instead of showing the steps")
	worker := flags.String("worker", "", "used by the tour itself: take the payment of the JSON object `spec` and wait for it")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "tour: unexpected argument %q\n", flags.Arg(0))
		flags.Usage()
		return errUsage
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if *worker != "" {
		return work(ctx, *worker, stdout)
	}
	t := &tour{screen: newScreen(stdout)}
	if *asJSON {
		t.screen = silent{}
	}
	if err := t.take(ctx); err != nil {
		return err
	}
	if *asJSON {
		if err := json.NewEncoder(stdout).Encode(t.report()); err != nil {
			return fmt.Errorf("cannot print the report: %w", err)
		}
	} else {
		t.screen.table(t.steps)
	}
	if !t.report().OK {
		return errNotOK
	}
	return nil
}
