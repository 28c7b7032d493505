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
	"time"

	"github.com/tillroute/tillroute/examples/internal/program"
)

func main() {
	program.Main("tour", func(ctx context.Context) error { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

// errNotOK is returned when a step did not do what it should.
var errNotOK = errors.New("not every step did what it should")

// limit is how long the tour may take in all. It takes a few seconds.
const limit = 5 * time.Minute

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("tour", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print one JSON object instead of showing the steps")
	worker := flags.String("worker", "", "used by the tour itself: take the payment of the JSON object `spec` and wait for it")
	if err := program.Parse(flags, args); err != nil {
		return err
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
