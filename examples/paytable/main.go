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
		fmt.Fprintln(os.Stderr, "paytable:", err)
		os.Exit(1)
	}
}

// errUsage is returned for flags that cannot be understood. What was wrong is already on stderr.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("paytable", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8100", "host:port of the page; the simulated systems listen on the port after it, or on free ones for port 0")
	db := flags.String("db", "paytable.db", "the SQLite `file` that keeps everything; the simulated world is kept beside it")
	once := flags.Bool("once", false, "let guests pay without a browser, on files and ports of its own unless -db and -addr say otherwise, and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "paytable: unexpected argument %q\n", flags.Arg(0))
		flags.Usage()
		return errUsage
	}
	if *once {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["addr"] {
			*addr = "127.0.0.1:0"
		}
		if !given["db"] {
			folder, err := os.MkdirTemp("", "tillroute-paytable-")
			if err != nil {
				return fmt.Errorf("there is no place for the database: %w", err)
			}
			defer func() { _ = os.RemoveAll(folder) }()
			*db = filepath.Join(folder, "paytable.db")
		}
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
			err = r.wait(ctx)
		}
	}
	return errors.Join(err, r.stop(ctx))
}
