package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// skew is by how much the clocks of the nodes are wrong, in turn.
const skew = time.Hour

// skewVariable is the environment variable with the seconds by which a skewed node's clock is wrong.
const skewVariable = "CHAOS_SKEW"

// skewSource is added to package time. libfaketime can't do this: Go asks the kernel without libc.
const skewSource = `package time

import "syscall"

var chaosSkew = func() (seconds int64) {
	text, _ := syscall.Getenv("` + skewVariable + `")
	negative := len(text) > 0 && text[0] == '-'
	for _, c := range text {
		if c >= '0' && c <= '9' {
			seconds = 10*seconds + int64(c-'0')
		}
	}
	if negative {
		return -seconds
	}
	return seconds
}()
`

// skewNodes has the cluster start nodes whose clocks are wrong, in either direction.
func (r *run) skewNodes(ctx context.Context) error {
	path, err := buildSkewed(ctx, r.dir)
	if err != nil {
		return err
	}
	r.cluster.useCommand(func(ctx context.Context, number int) *exec.Cmd {
		seconds := int64(skew / time.Second)
		if number%2 == 1 {
			seconds = -seconds
		}
		cmd := exec.CommandContext(ctx, path, "node")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", skewVariable, seconds))
		return cmd
	})
	return nil
}

// skews kills nodes whose clocks are wrong.
func skews(ctx context.Context, r *run) error {
	err := kills(ctx, r)
	r.checkSkew()
	return err
}

// checkSkew complains about clocks that were right.
func (r *run) checkSkew() {
	r.recorder.with(func(h *History) {
		for _, f := range h.Faults {
			if f.What == "up" && f.Skew.Abs() < skew*9/10 {
				h.Problems = append(h.Problems, "the clock of "+f.Node+" was right")
			}
		}
	})
}

// buildSkewed builds this program with a package time whose clock can be wrong. The monotonic clock stays right.
func buildSkewed(ctx context.Context, dir string) (string, error) {
	root := strings.TrimSpace(runGo(ctx, "env", "GOROOT"))
	if root == "" {
		root = runtime.GOROOT() //nolint:staticcheck // there is nothing better.
	}
	original := filepath.Join(root, "src", "time", "time.go")
	text, err := os.ReadFile(filepath.Clean(original))
	if err != nil {
		return "", err
	}
	const reading = "sec, nsec, mono := runtimeNow()"
	changed := strings.Replace(string(text), reading, reading+"\n\tsec += chaosSkew", 1)
	if changed == string(text) {
		return "", fmt.Errorf("%s reads its clock in another way than this program knows", original)
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {
		original: filepath.Join(dir, "time.go"),
		filepath.Join(filepath.Dir(original), "chaos_skew.go"): filepath.Join(dir, "skew.go"),
	}})
	if err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{"time.go": []byte(changed), "skew.go": []byte(skewSource), "overlay.json": list} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "skewed")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, //nolint:gosec // it is ours.
		"github.com/tillroute/tillroute/internal/chaos")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the nodes with a wrong clock can't be built; this has to be run in internal/chaos: %w\n%s", err, out)
	}
	return path, nil
}

func runGo(ctx context.Context, args ...string) string {
	out, err := exec.CommandContext(ctx, "go", args...).Output() //nolint:gosec // it is Go.
	if err != nil {
		return ""
	}
	return string(out)
}
