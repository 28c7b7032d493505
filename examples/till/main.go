// Command till is a small till on the command line, with a SmartConnect terminal:
//
//	go run ./examples/till pair 'buy 12.50' 'refund 12.50' status settle
//
// runs these commands and ends; without any it reads them, one a line. The terminal is a simulated one that approves by itself.
// With -dev it is the vendor's virtual terminal, or a test terminal, on their development host; then the till keeps what it
// has to know in a file, and takes up at the next start what it was killed in.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/smartconnect"
)

func main() {
	program.Main("till", func(ctx context.Context) error { return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) })
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("till", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintf(stderr, "Usage: till [flags] [command …]\n\n%s\nFlags:\n", help)
		flags.PrintDefaults()
	}
	dev := flags.Bool("dev", false, "use the vendor's development host instead of a simulated terminal")
	db := flags.String("db", "till.db", "with -dev, the SQLite `file` that keeps everything")
	business := flags.String("business", "Toys Shop", "the merchant's name: after a change the register has to be paired again")
	vendor := flags.String("vendor", "Till2Go", "the name of the till's maker: after a change the register has to be paired again")
	currency := flags.String("currency", "NZD", "what the terminal charges in: NZD or AUD")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return program.ErrUsage
	}
	config := smartconnect.Config{
		BusinessName: *business, VendorName: *vendor, Currency: *currency, BaseURL: smartconnect.DevelopmentURL,
	}
	path := *db
	var terminal *simulated
	if !*dev {
		if terminal, err = simulate(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, terminal.stop()) }()
		config.BaseURL, config.PollInterval, path = terminal.baseURL, simulatedPoll, terminal.db
	}
	t, err := open(ctx, config, path, newLine(stdout))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	t.simulated = terminal
	if err := t.takeUp(ctx); err != nil {
		return err
	}
	for _, command := range flags.Args() {
		if err := t.do(ctx, command); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
	}
	if flags.NArg() > 0 {
		return nil
	}
	return t.read(ctx, stdin)
}

// read takes commands from in until it ends, or somebody wants to quit.
func (t *till) read(ctx context.Context, in io.Reader) error {
	t.line.say(help)
	commands, failed := make(chan string), make(chan error, 1)
	go func() {
		defer close(commands)
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			select {
			case commands <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
		failed <- scanner.Err()
	}()
	for {
		select {
		case command, ok := <-commands:
			if !ok {
				return <-failed
			}
			err := t.do(ctx, command)
			if errors.Is(err, errQuit) {
				return nil
			}
			if err != nil {
				t.line.say("✗ " + err.Error())
			}
		case <-ctx.Done():
			return nil
		}
	}
}
