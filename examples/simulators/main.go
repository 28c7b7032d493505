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

	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/internal/testserver"
)

func main() {
	program.Main("simulators", func(ctx context.Context) error { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

// run serves the simulated systems until ctx ends. It prints their description, one line of JSON, on stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("simulators", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "host:port to listen on; port 0 takes a free one")
	state := flags.String("state", "", "file that keeps the state, so that the next start goes on where this one ends or is killed")
	if err := program.Parse(flags, args); err != nil {
		return err
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
