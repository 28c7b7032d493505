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

	"github.com/tillroute/tillroute/examples/internal/program"
)

func main() {
	program.Main("gateway", func(ctx context.Context) error { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "payments" {
		return payments(ctx, args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := options{lease: usualLease}
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "host:port of the page; the gateway listens on the port after it, or on free ones for port 0")
	o.database.flags(flags)
	flags.StringVar(&o.join, "join", "", "`address` of another gateway's page, on whose simulated world and -dsn this one works too")
	flags.StringVar(&o.metrics, "metrics", "", "host:port of /metrics for Prometheus; none if it is empty")
	once := flags.Bool("once", false, "take one payment without a browser, on files and ports of its own unless -db and -addr say otherwise, and exit")
	if err := program.Parse(flags, args); err != nil {
		return err
	}
	if *once && o.join != "" {
		_, _ = fmt.Fprintln(stderr, "gateway: -once needs a world of its own: leave -join out")
		return program.ErrUsage
	}
	if *once {
		clean, err := program.Aside(flags, &o.addr, &o.database.file)
		if err != nil {
			return err
		}
		defer clean()
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
			err = program.Wait(ctx, d.failed)
		}
	}
	return errors.Join(err, d.stop(ctx))
}
