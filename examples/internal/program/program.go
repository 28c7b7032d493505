// Package program is what the programs of this folder have in common around what they show: how they read their flags, open
// their ports, are told to stop, and say that they could not go on.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrUsage is returned for flags that cannot be understood. What was wrong is already on stderr.
var ErrUsage = errors.New("usage")

// stopTime is how long answers that are under way may take at the end.
const stopTime = 3 * time.Second

// Main runs a program, whose context ends when somebody wants it to stop, and exits with 1 if it failed, or with 2 if it was
// not understood.
func Main(name string, run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, ErrUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// Parse reads the flags of a program that takes no other arguments.
func Parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return ErrUsage
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(flags.Output(), "%s: unexpected argument %q\n", flags.Name(), flags.Arg(0))
		flags.Usage()
		return ErrUsage
	}
	return nil
}

// Aside has a program work on free ports and on files of its own, unless its flags -addr and -db say otherwise. clean removes
// the files.
func Aside(flags *flag.FlagSet, addr, db *string) (clean func(), err error) {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["addr"] {
		*addr = "127.0.0.1:0"
	}
	if given["db"] {
		return func() {}, nil
	}
	folder, err := os.MkdirTemp("", "tillroute-"+flags.Name()+"-")
	if err != nil {
		return nil, fmt.Errorf("there is no place for the database: %w", err)
	}
	*db = filepath.Join(folder, flags.Name()+".db")
	return func() { _ = os.RemoveAll(folder) }, nil
}

// Listen opens the port that -addr names and the one after it, or two free ones for port 0.
func Listen(ctx context.Context, addr string) (first, second net.Listener, err error) {
	var config net.ListenConfig
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, fmt.Errorf("-addr %q is not host:port: %w", addr, err)
	}
	if first, err = config.Listen(ctx, "tcp", addr); err != nil {
		return nil, nil, fmt.Errorf("can't listen on %s: choose another address with -addr: %w", addr, err)
	}
	next := "0"
	if n, err := strconv.Atoi(port); err == nil && n > 0 {
		next = strconv.Itoa(n + 1)
	}
	if second, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, next)); err != nil {
		_ = first.Close()
		return nil, nil, fmt.Errorf("can't listen on %s: choose another address with -addr: %w", net.JoinHostPort(host, next), err)
	}
	return first, second, nil
}

// Wait waits until ctx ends, or something that should run doesn't.
func Wait(ctx context.Context, failed <-chan error) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end.
		}
		return err
	}
}

// NewServer returns a server that doesn't wait for clients for ever: they may be slow on purpose. An answer may take two minutes,
// since to pair a terminal may take more than one.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

// Shutdown ends a server, with a moment for answers that are under way.
func Shutdown(ctx context.Context, server *http.Server) error {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}
