package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// build builds a program, once, and returns its path.
func (b *bench) build(ctx context.Context, folder, pkg string, flags []string, env ...string) (string, error) {
	key := strings.Join(append(append([]string{folder, pkg}, flags...), env...), "\x00")
	if path, ok := b.built[key]; ok {
		return path, nil
	}
	path := filepath.Join(b.folder, "program"+strconv.Itoa(len(b.built)))
	args := append([]string{"build", "-o", path}, flags...)
	command := exec.CommandContext(ctx, "go", append(args, pkg)...) //nolint:gosec // what is built is part of the repository.
	command.Dir, command.Env = folder, append(os.Environ(), env...)
	if text, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, text)
	}
	b.built[key] = path
	return path, nil
}
