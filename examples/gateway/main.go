// Command gateway is a whole payment gateway for Lightspeed Retail X-Series on this machine: the pages of xseries/gateway on
// a router with storage in SQLite, and around them a simulated store and simulated terminals to try them with.
//
//	go run ./examples/gateway
//
// prints the address of a page with a till and two terminals. It can be killed at any moment and started again.
//
//	go run ./examples/gateway -dsn postgres://localhost/tillroute
//	go run ./examples/gateway -dsn postgres://localhost/tillroute -addr 127.0.0.1:8090 -join http://127.0.0.1:8080
//
// keeps everything in PostgreSQL, with a second one that shares the work. The simulated terminals are the first one's.
//
//	go run ./examples/gateway payments
//
// is for the person who looks after its payments, also while it runs: docs/operations.md tells when it is needed.
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
	"syscall"
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
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

// errUsage is returned for flags that cannot be understood. What was wrong is already on stderr.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "payments" {
		return payments(ctx, args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "host:port of the page; the gateway listens on the port after it, or on free ones for port 0")
	o.database.flags(flags)
	flags.StringVar(&o.join, "join", "", "`address` of another gateway's page, on whose simulated world and -dsn this one works too")
	flags.StringVar(&o.metrics, "metrics", "", "host:port of /metrics for Prometheus; none if it is empty")
	once := flags.Bool("once", false, "take one payment without a browser, on files and ports of its own unless -db and -addr say otherwise, and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "gateway: unexpected argument %q\n", flags.Arg(0))
		flags.Usage()
		return errUsage
	}
	if *once && o.join != "" {
		_, _ = fmt.Fprintln(stderr, "gateway: -once needs a world of its own: leave -join out")
		return errUsage
	}
	if *once {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["addr"] {
			o.addr = "127.0.0.1:0"
		}
		if !given["db"] {
			folder, err := os.MkdirTemp("", "tillroute-gateway-")
			if err != nil {
				return fmt.Errorf("there is no place for the database: %w", err)
			}
			defer func() { _ = os.RemoveAll(folder) }()
			o.database.file = filepath.Join(folder, "tillroute.db")
		}
	}
	d, err := start(ctx, o, stderr)
	if err != nil {
		return err
	}
	if *once {
		err = d.once(ctx, stdout)
	} else {
		_, err = fmt.Fprintf(stdout, "%s\n", d.url)
		if err == nil {
			err = d.wait(ctx)
		}
	}
	return errors.Join(err, d.stop(ctx))
}
