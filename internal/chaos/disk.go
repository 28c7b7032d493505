package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// diskFaults are what strace does to the calls that a node makes for its database. "when=a..b" counts the calls, so that
// the disk works at first, then fails for a while or for good.
func diskFaults() []string {
	return []string{
		"fdatasync,fsync:error=EIO:when=60",
		"fdatasync,fsync:error=EIO:when=40..60",
		"fdatasync,fsync:error=EIO:when=80+",
		"pwrite64,write:error=ENOSPC:when=300..500",
		"pwrite64,write:error=ENOSPC:when=400+",
		"pwrite64,write:error=EIO:when=350..360",
		"fdatasync,fsync:error=ENOSPC:when=50..70",
	}
}

const (
	// diskTime is how long a node works on a disk that fails, at least.
	diskTime = 2500 * time.Millisecond
	// longDiskTime is how long a slow one may take until so many calls are made that one fails.
	longDiskTime = 15 * time.Second
)

// disk has the disk below a node fail, in another way each time it is started.
func disk(ctx context.Context, r *run) error {
	path, ok := strings.CutPrefix(r.dsn, "sqlite:")
	if !ok {
		return errors.New("this needs a database in a file: -store sqlite")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		return errors.New("this needs strace, which is a package of Debian")
	}
	faults := diskFaults()
	started := 0
	r.cluster.useCommand(func(ctx context.Context, number int) *exec.Cmd {
		node := self(ctx, number)
		fault := faults[started%len(faults)]
		started++
		calls, _, _ := strings.Cut(fault, ":")
		r.recorder.fault("disk", "", fault)
		// As a grandchild, strace leaves the node to be this process's child.
		return exec.CommandContext(ctx, "strace", append([]string{ //nolint:gosec // it is this program.
			"-D", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=" + calls, "-e", "inject=" + fault,
			"-P", path, "-P", path + "-wal", "--",
		}, node.Args...)...)
	})
	// The first node had a disk that works.
	for done := -1; done < r.Count && ctx.Err() == nil; done++ {
		if !r.ready(ctx) {
			return errors.New("no node is ready any more")
		}
		since := now()
		pause(ctx, diskTime)
		for done >= 0 && now() < since+longDiskTime && ctx.Err() == nil && !r.diskFailed(since) {
			pause(ctx, beat)
		}
		if v, ok := r.cluster.pickHealthy(); ok && !r.cluster.kill(v, "after its disk failed") {
			return fmt.Errorf("node %s can't be killed", v.name)
		}
	}
	r.cluster.useCommand(self)
	if v, ok := r.cluster.pickHealthy(); ok {
		r.cluster.kill(v, "for a disk that works")
	}
	return ctx.Err()
}

// diskFailed reports whether a caller was told since then that the disk has failed.
func (r *run) diskFailed(since time.Duration) (failed bool) {
	r.recorder.with(func(h *History) {
		for _, e := range slices.Backward(h.Events) {
			if e.To < since || failed {
				return
			}
			failed = diskError(e)
		}
	})
	return failed
}

// diskError reports whether a write failed because of the disk.
func diskError(e Event) bool { return strings.Contains(e.Error, "unavailable") }
