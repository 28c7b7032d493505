package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// machine says where the run takes place, and with what.
func (b *bench) machine() []fact {
	facts := []fact{
		{"processor", processor() + ", " + strconv.Itoa(runtime.NumCPU()) + " of them"},
		{"kernel", firstLine("/proc/sys/kernel/osrelease")},
		{"Go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		{"rounds", strconv.Itoa(b.rounds) + " where slices are short"},
	}
	if b.cluster != nil {
		facts = append(facts, fact{"PostgreSQL", b.cluster.version})
	}
	return append(facts, versions()...)
}

// versions lists the modules of this program that a user would know by name.
func versions() []fact {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	named := []string{
		"github.com/goccy/go-json", "github.com/hashicorp/go-retryablehttp", "github.com/jackc/pgx/v5", "github.com/json-iterator/go",
		"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "github.com/riverqueue/river", "github.com/shopspring/decimal",
		"modernc.org/sqlite",
	}
	var facts []fact
	for _, module := range info.Deps {
		if slices.Contains(named, module.Path) {
			facts = append(facts, fact{module.Path, module.Version})
		}
	}
	return facts
}

func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstLine(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // a file of /proc.
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func loadAverage() string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	return strings.Join(fields[:min(3, len(fields))], " ") //nolint:mnd // of 1, 5 and 15 minutes.
}

// commit says what of the repository is measured. The results are no part of that.
func commit(ctx context.Context, root string) string {
	name := output(ctx, root, "git", "describe", "--always")
	if output(ctx, root, "git", "status", "--porcelain", "--", ".", ":!bench/RESULTS.*") != "" {
		name += ", changed"
	}
	return name
}

func output(ctx context.Context, folder, name string, args ...string) string {
	command := exec.CommandContext(ctx, name, args...) //nolint:gosec // our own arguments.
	command.Dir = folder
	text, err := command.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
