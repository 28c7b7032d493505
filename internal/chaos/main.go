// Command chaos destroys clusters of routers, and has a park of simulated terminals judge whether anybody was charged
// twice, anything accepted was lost, or an order was not kept. See README.md.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		fail(runNode(os.Stdin, os.Stdout))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fail(command(ctx, os.Args[1:], os.Stdout))
}

func fail(err error) {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	var s Scenario
	flags.StringVar(&s.Name, "scenario", "kill", "what to do")
	flags.StringVar(&s.Store, "store", "", "sqlite, which is the default, or postgres")
	flags.IntVar(&s.Count, "n", 20, "how often to do it")
	flags.IntVar(&s.Nodes, "nodes", 1, "how many nodes")
	flags.IntVar(&s.Registers, "registers", 64, "how many registers")
	flags.IntVar(&s.Terminals, "terminals", 16, "how many terminals")
	flags.DurationVar(&s.Lease, "lease", time.Second, "the lease")
	flags.Uint64Var(&s.Seed, "seed", 0, "what to begin with; 0 takes the time")
	flags.DurationVar(&s.Most, "most", 0, "how long to do it at most; 0 is for ever")
	flags.DurationVar(&s.Slack, "slack", 0, "how much later than they should recoveries, first writes and sends may be, on a machine that has other work")
	flags.StringVar(&s.Break, "break", "", "break the nodes: blind, guard, order or overlap; or forget, for deliveries")
	whole := flags.String("plan", "", "play many scenarios, one after the other: short or full; -store then plays those on one store alone")
	replay := flags.String("replay", "", "judge a history that was kept again")
	again := flags.Bool("again", false, "with -replay: run its scenario again, with the same seed")
	dir := flags.String("keep", "histories", "where to keep histories that were judged bad")
	always := flags.Bool("keep-all", false, "keep every history")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *replay != "" {
		h, err := loadHistory(*replay)
		if err != nil {
			return err
		}
		if !*again {
			return report(h, out, "")
		}
		s = h.Scenario
	}
	if s.Seed == 0 {
		s.Seed = uint64(time.Now().UnixNano())
	}
	if *whole != "" {
		return follow(ctx, *whole, s, *dir, out)
	}
	s.Store = cmp.Or(s.Store, "sqlite")
	keep := *dir
	h, err := play(ctx, s, out)
	if err != nil {
		return err
	}
	if *always {
		if _, err := h.keep(keep); err != nil {
			return err
		}
	}
	return report(h, out, keep)
}

var errBad = errors.New("the judge found something: see above")

// report judges a history, prints the verdict, and keeps the history in dir if it is bad.
func report(h *History, out io.Writer, dir string) error {
	v := judge(h)
	_, _ = fmt.Fprintln(out, strings.ToUpper(h.Scenario.Name))
	v.print(out)
	if v.OK() {
		return nil
	}
	if dir != "" {
		path, err := h.keep(dir)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out, "  kept as", path, "(judge it again: -replay "+path+")")
	}
	return errBad
}
