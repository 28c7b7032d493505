// Command cafe is a café with two tables on this machine. Guests scan the QR code of their table, and pay with the Paysera wallet
// on their phone, or at the table's terminal. The café's side is paysera.Merchant and a router with storage in SQLite, the
// guest's side a client of its own; the wallet, the terminal and the money are simulated.
//
//	go run ./examples/cafe
//
// prints the codes and takes commands. It can be killed at any moment and started again.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"

	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/paysera/qr"
)

func main() {
	program.Main("cafe", func(ctx context.Context) error { return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) })
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("cafe", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8090", "host:port of the simulated systems, whose pages show the terminal")
	db := flags.String("db", "cafe.db", "the SQLite `file` that keeps pairings, payments and tokens; the bills and the simulated world are kept beside it")
	once := flags.Bool("once", false, "let a few guests come and go without asking, on files and a port of its own unless -db and -addr say otherwise, and exit")
	light := flags.Bool("light", false, "draw the QR codes for a terminal with dark letters on a light ground")
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
	c, err := start(ctx, *addr, *db, &printer{w: stdout}, stderr)
	if err != nil {
		return err
	}
	ground := qr.Dark
	if *light {
		ground = qr.Light
	}
	if err = c.showCodes(ground); err == nil {
		if *once {
			err = c.once(ctx)
		} else {
			err = c.serve(ctx, stdin)
		}
	}
	return errors.Join(err, c.stop(ctx))
}
