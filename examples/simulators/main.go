// Command simulators serves simulated copies of the vendors' systems for programs in any language.
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

	"github.com/tillroute/tillroute/internal/testserver"
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
		fmt.Fprintln(os.Stderr, "simulators:", err)
		os.Exit(1)
	}
}

// errUsage is returned for flags that cannot be understood. What was wrong is already on stderr.
var errUsage = errors.New("usage")

// run serves the simulated systems until ctx ends. It prints their description, one line of JSON, on stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("simulators", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "host:port to listen on; port 0 takes a free one")
	state := flags.String("state", "", "file that keeps the state, so that the next start goes on where this one ends or is killed")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "simulators: unexpected argument %q\n", flags.Arg(0))
		flags.Usage()
		return errUsage
	}
	systems := testserver.New(testserver.Options{StateFile: *state})
	listener, err := systems.Listen(ctx, *addr)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(systems.Describe()); err != nil {
		return errors.Join(fmt.Errorf("cannot print the description: %w", err), listener.Close())
	}
	return systems.Serve(ctx, listener)
}
