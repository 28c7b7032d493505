package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// What porcupine can check in a moment.
const (
	maxOperations = 60
	maxAtOnce     = 4
	linearTime    = 5 * time.Second
	maxSegments   = 2000
)

// queueStep is an operation on a terminal's queue: a payment is put into it, or taken from its head.
type queueStep struct {
	put bool
	id  string
}

// queueModel is a queue. Its state is the names in it, each followed by a space.
func queueModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			queue, _ := state.(string)
			step, _ := input.(queueStep)
			if step.put {
				return true, queue + step.id + " "
			}
			rest, ok := strings.CutPrefix(queue, step.id+" ")
			return ok, rest
		},
	}
}

// linear has porcupine look at the queues, in segments: between two of them the queue was empty and nothing happened.
func (c *collated) linear() Finding {
	f := Finding{Name: notLinear}
	checked, skipped, open := 0, 0, 0
	for terminal, q := range c.queues() {
		for _, segment := range segments(q) {
			operations := steps(segment)
			if len(operations) > maxOperations || atOnce(operations) > maxAtOnce || checked >= maxSegments {
				skipped++
				continue
			}
			checked++
			switch porcupine.CheckOperationsTimeout(queueModel(), operations, linearTime) {
			case porcupine.Illegal:
				f.add("%s, from %s to %s", terminal, segment[0].id, segment[len(segment)-1].id)
			case porcupine.Unknown:
				open++
			case porcupine.Ok:
			}
		}
	}
	f.Text = fmt.Sprintf("%d (%d stretches checked, %d too long or too busy, %d undecided)", f.Bad, checked, skipped, open)
	return f
}

// segments divides what a terminal took where its queue was empty.
func segments(q []served) [][]served {
	byCall := slices.Clone(q)
	slices.SortFunc(byCall, func(a, b served) int { return cmp.Compare(a.called, b.called) })
	var all [][]served
	var segment []served
	end := time.Duration(0)
	for _, one := range byCall {
		if len(segment) > 0 && one.called > end {
			all, segment = append(all, segment), nil
		}
		segment = append(segment, one)
		end = max(end, one.took)
	}
	if len(segment) > 0 {
		all = append(all, segment)
	}
	return all
}

// steps returns the operations of a segment. A payment was taken from the queue between when the one before it came
// to the terminal and when it came itself.
func steps(segment []served) []porcupine.Operation {
	byTaken := slices.Clone(segment)
	slices.SortFunc(byTaken, func(a, b served) int { return cmp.Compare(a.took, b.took) })
	var operations []porcupine.Operation
	before := time.Duration(0)
	for i, one := range byTaken {
		operations = append(operations,
			porcupine.Operation{ClientId: i + 1, Input: queueStep{true, one.id}, Call: int64(one.called), Return: int64(one.returned)},
			porcupine.Operation{ClientId: 0, Input: queueStep{false, one.id}, Call: int64(before), Return: int64(one.took)})
		before = one.took
	}
	return operations
}

// atOnce returns how many payments were being accepted at once at most.
func atOnce(operations []porcupine.Operation) int {
	type edge struct {
		at   int64
		step int
	}
	var edges []edge
	for _, o := range operations {
		if step, _ := o.Input.(queueStep); step.put {
			edges = append(edges, edge{o.Call, 1}, edge{o.Return, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
	most, open := 0, 0
	for _, e := range edges {
		open += e.step
		most = max(most, open)
	}
	return most
}
