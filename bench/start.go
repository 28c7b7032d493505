package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func startQuestion() question {
	return question{
		"start", "What does starting cost?",
		"From the start of the process to the first request that it has served, and the memory that it has then (resident, from /proc).",
		"builds nine programs, and starts two of them 16 times in two ways",
		4 * time.Minute,
		starting,
	}
}

func starting(ctx context.Context, b *bench, a *answer) error {
	gateway, err := b.build(ctx, b.root, "./examples/gateway", nil)
	if err != nil {
		return err
	}
	module := filepath.Join(b.root, "bench")
	hello, err := b.build(ctx, module, "./programs/hello", nil)
	if err != nil {
		return err
	}
	kept := filepath.Join(b.folder, "kept")
	if err := os.Mkdir(kept, 0o750); err != nil {
		return err
	}
	times, sizes := a.table(timeEach()), a.table(memoryThen())
	floor := starter("a server of one line", func() (*exec.Cmd, error) { return exec.CommandContext(ctx, hello), nil })
	for _, r := range []struct {
		what   string
		folder func() (string, error)
	}{
		{"`examples/gateway`, a new database", func() (string, error) { return os.MkdirTemp(b.folder, "start-") }},
		{"`examples/gateway`, the database that it left", func() (string, error) { return kept, nil }},
	} {
		first := starter("the gateway, its simulated world, and SQLite", func() (*exec.Cmd, error) {
			folder, err := r.folder()
			return exec.CommandContext(ctx, gateway, "-addr", "127.0.0.1:0", "-db", filepath.Join(folder, "tillroute.db")), err //nolint:gosec // it was built here.
		})
		if err := b.add(ctx, times, row{What: r.what}, b.few(15), 0, first, floor); err != nil {
			return err
		}
		sizes.Rows = append(sizes.Rows, times.Rows[len(times.Rows)-1])
	}

	binaries := a.table(sizeOfBinary())
	ways := []struct {
		name  string
		flags []string
	}{{"as `go build` makes it", nil}, {"without symbols (-ldflags=-s)", []string{"-ldflags=-s"}}}
	for _, flags := range ways[:pick(b, len(ways), 1)] {
		sizeOf := func(program string) (sample, error) {
			path, err := b.build(ctx, module, "./programs/"+program, flags.flags)
			if err != nil {
				return sample{}, err
			}
			info, err := os.Stat(path)
			if err != nil {
				return sample{}, err
			}
			return sample{Bytes: float64(info.Size())}, nil
		}
		memory, err := sizeOf("memory")
		if err != nil {
			return err
		}
		for _, p := range []struct{ name, program string }{
			{"with SQLite", "sqlite"}, {"with pgx", "postgres"}, {"a server of one line", "hello"},
		} {
			got, err := sizeOf(p.program)
			if err != nil {
				return err
			}
			r := row{What: "the gateway, " + flags.name, Ours: p.name, Theirs: "without a database", Comparison: comparison{[]sample{got}, []sample{memory}}}
			if p.program == "hello" {
				r.Ours, r.Theirs, r.Comparison = "without a database", p.name, comparison{[]sample{memory}, []sample{got}}
			}
			binaries.Rows = append(binaries.Rows, r)
		}
	}
	a.note("A binary's size is not measured in rounds: it is what the compiler made.")
	return nil
}

// starter returns a side that starts a program which prints its address, and asks it for a page.
func starter(name string, command func() (*exec.Cmd, error)) side {
	return side{name, func(ctx context.Context, _ time.Duration) (s sample, err error) {
		program, err := command()
		if err != nil {
			return s, err
		}
		out, err := program.StdoutPipe()
		if err != nil {
			return s, err
		}
		client := &http.Client{Transport: &http.Transport{}, Timeout: goodbye}
		defer client.CloseIdleConnections()
		began := time.Now()
		if err := program.Start(); err != nil {
			return s, err
		}
		defer func() {
			_ = program.Process.Signal(syscall.SIGTERM)
			if waited := program.Wait(); waited != nil && !errors.As(waited, new(*exec.ExitError)) {
				err = errors.Join(err, waited)
			}
		}()
		address, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return s, err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSpace(address), http.NoBody)
		if err != nil {
			return s, err
		}
		response, err := client.Do(request)
		if err != nil {
			return s, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		elapsed := time.Since(began)
		if err != nil || response.StatusCode != http.StatusOK {
			return s, fmt.Errorf("the first request was answered %s: %w", response.Status, err)
		}
		resident, err := residentBytes(program.Process.Pid)
		return sample{Rate: 1 / elapsed.Seconds(), Allocs: -1, Bytes: resident}, err
	}}
}

// residentBytes reads how much memory a process has, of which there is a line such as "VmRSS:	   1234 kB".
func residentBytes(pid int) (float64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kilobytes * (1 << 10), err
		}
	}
	return 0, errors.New("/proc says nothing of resident memory")
}
