package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// plan returns the scenarios of a plan, or none if there is no plan of that name.
func plan(name string) []Scenario {
	const lease = 600 * time.Millisecond
	one := Scenario{Store: "sqlite", Nodes: 1, Registers: 64, Terminals: 16, Lease: lease}
	two, four := one, one
	two.Nodes = 2
	four.Store, four.Nodes = "postgres", 4
	var all []Scenario
	add := func(s Scenario, name string, count int) {
		s.Name, s.Count = name, count
		all = append(all, s)
	}
	switch name {
	case "short":
		add(one, "kill", 20)
		add(two, "freeze", 8)
		add(one, "replies", 300)
		add(two, "toxic", 1)
		add(one, "disk", 7)
		add(one, "deliveries", 20_000)
		add(four, "kill", 80)
		add(four, "freeze", 8)
		add(four, "replies", 300)
		add(four, "restart", 3)
		add(four, "toxic", 1)
		add(four, "skew", 4)
		add(four, "deliveries", 20_000)
	case "full":
		add(one, "kill", 500)
		add(two, "kill", 100)
		add(two, "freeze", 50)
		add(one, "replies", 5000)
		add(two, "toxic", 20)
		add(one, "disk", 50)
		add(one, "deliveries", 1_000_000)
		add(four, "kill", 1000)
		add(four, "freeze", 200)
		add(four, "replies", 5000)
		add(four, "restart", 50)
		add(four, "toxic", 20)
		add(four, "skew", 40)
		add(four, "deliveries", 1_000_000)
	}
	return all
}

// follow plays the scenarios of a plan and reports each as it ends. It goes on after a bad one. If common has a Store,
// those on another one are left out; each has its Seed and its Slack, and takes its Most at most.
func follow(ctx context.Context, name string, common Scenario, keep string, out io.Writer) error {
	scenarios := plan(name)
	if len(scenarios) == 0 {
		return fmt.Errorf("there is no plan %q: short or full", name)
	}
	var table []string
	var bad error
	for _, s := range scenarios {
		if common.Store != "" && s.Store != common.Store {
			continue
		}
		s.Seed, s.Most, s.Slack = common.Seed, common.Most, common.Slack
		began := time.Now()
		h, err := play(ctx, s, io.Discard)
		if err != nil {
			err = fmt.Errorf("%s on %s: %w", s.Name, s.Store, err)
		} else {
			err = report(h, out, keep)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		verdict := "ok"
		if err != nil {
			verdict, bad = "BAD", errors.Join(bad, err)
		}
		table = append(table, fmt.Sprintf("%-4s %-10s on %-8s %8d times %8s", verdict, s.Name, s.Store, s.Count,
			time.Since(began).Round(time.Second)))
	}
	_, _ = fmt.Fprintln(out)
	for _, line := range table {
		_, _ = fmt.Fprintln(out, line)
	}
	return bad
}
