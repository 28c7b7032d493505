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
	"io"
	"os"

	"github.com/tillroute/tillroute/examples/internal/program"
)

func main() {
	program.Main("hotel", func(ctx context.Context) error { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("hotel", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8095", "host:port of the hotel; the simulated restaurant listens on the port after it, or on a free one for port 0")
	db := flags.String("db", "hotel.db", "the SQLite `file` that remembers what was answered; the folios and the simulated world are kept beside it")
	once := flags.Bool("once", false, "let a few guests eat without asking, on files and ports of its own unless -db and -addr say otherwise, and exit")
	times := usual()
	flags.DurationVar(&times.timeout, "timeout", times.timeout, "how long the hotel may think about a charge; longer with -once")
	if err := program.Parse(flags, args); err != nil {
		return err
	}
	if *once {
		clean, err := program.Aside(flags, addr, db)
		if err != nil {
			return err
		}
		defer clean()
		stderr = io.Discard // What goes wrong there is meant to.
		times = patient()
	}
	h, err := start(ctx, *addr, *db, times, stdout, stderr)
	if err != nil {
		return err
	}
	if *once {
		err = h.once(ctx)
	} else {
		h.say("Reception: %s/", h.url)
		h.say("Restaurant: %s", h.world.Describe().Sim.RestaurantURL)
		err = program.Wait(ctx, h.failed)
	}
	return errors.Join(err, h.stop(ctx))
}
