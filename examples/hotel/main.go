// Command hotel is a small hotel on this machine: its property management system on package pms, with rooms, guests and folios in
// a database of its own, and beside it a simulated restaurant that charges to its rooms.
//
//	go run ./examples/hotel
//
// prints the addresses of two pages: the reception's, with the folios, and the waiter's. It can be killed at any moment and started
// again.
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
		fmt.Fprintln(os.Stderr, "hotel:", err)
		os.Exit(1)
	}
}

// errUsage is returned for flags that cannot be understood. What was wrong is already on stderr.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("hotel", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8095", "host:port of the hotel; the simulated restaurant listens on the port after it, or on a free one for port 0")
	db := flags.String("db", "hotel.db", "the SQLite `file` that remembers what was answered; the folios and the simulated world are kept beside it")
	once := flags.Bool("once", false, "let a few guests eat without asking, on files and ports of its own unless -db and -addr say otherwise, and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "hotel: unexpected argument %q\n", flags.Arg(0))
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
			folder, err := os.MkdirTemp("", "tillroute-hotel-")
			if err != nil {
				return fmt.Errorf("there is no place for the database: %w", err)
			}
			defer func() { _ = os.RemoveAll(folder) }()
			*db = filepath.Join(folder, "hotel.db")
		}
		stderr = io.Discard // What goes wrong there is meant to.
	}
	h, err := start(ctx, *addr, *db, stdout, stderr)
	if err != nil {
		return err
	}
	if *once {
		err = h.once(ctx)
	} else {
		h.say("Reception: %s/", h.url)
		h.say("Restaurant: %s", h.world.Describe().Sim.RestaurantURL)
		err = h.wait(ctx)
	}
	return errors.Join(err, h.stop(ctx))
}
