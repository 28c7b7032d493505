// Command paytable is a restaurant on this machine whose guests pay at the table: a page shows the tables and their checks, a guest
// pays a check, or a part of it, at the terminal, and the check closes. The restaurant's side is kseries.Payments and a router with
// storage in SQLite; the point of sale, the terminals and the money are simulated.
//
//	go run ./examples/paytable
//
// prints the address of the page. It can be killed at any moment and started again.
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
	program.Main("paytable", func(ctx context.Context) error { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("paytable", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8100", "host:port of the page; the simulated systems listen on the port after it, or on free ones for port 0")
	db := flags.String("db", "paytable.db", "the SQLite `file` that keeps everything; the simulated world is kept beside it")
	once := flags.Bool("once", false, "let guests pay without a browser, on files and ports of its own unless -db and -addr say otherwise, and exit")
	if err := program.Parse(flags, args); err != nil {
		return err
	}
	if *once {
		clean, err := program.Aside(flags, addr, db)
		if err != nil {
			return err
		}
		defer clean()
	}
	r, err := start(ctx, *addr, *db, stderr)
	if err != nil {
		return err
	}
	if *once {
		err = r.once(ctx, stdout)
	} else {
		_, err = fmt.Fprintf(stdout, "%s\n", r.url)
		if err == nil {
			err = program.Wait(ctx, r.failed)
		}
	}
	return errors.Join(err, r.stop(ctx))
}
