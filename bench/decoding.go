package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	goccy "github.com/goccy/go-json"
	jsoniter "github.com/json-iterator/go"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/xseries"
)

func decodingQuestion() question {
	return question{
		"decoding", "What does reading a payload cost?",
		"Each receiver's payload, from the vendor's own example. Ours does more than the others: it takes IDs that are now numbers and now texts,\n" +
			"refuses what is there twice, keeps what it doesn't know, and leaves out the API key. The others decode into a plain struct with the\n" +
			"same fields and the same exact amounts.",
		"30 rows, of slices of 15 ms; builds this program once more for the second half",
		2 * time.Minute,
		decoding,
	}
}

// payload is one that a receiver gets.
type payload struct {
	name string
	data []byte
	// ours reads it, and into makes what the others decode into.
	ours func([]byte) error
	into func() any
}

func payloads(root string) ([]payload, error) {
	var err error
	fixture := func(path string) []byte {
		var compact bytes.Buffer
		text, readErr := os.ReadFile(filepath.Join(root, path)) //nolint:gosec // it is a file of the repository.
		if readErr == nil {
			readErr = json.Compact(&compact, text)
		}
		if readErr != nil {
			err = fmt.Errorf("%s: %w", path, readErr)
		}
		return compact.Bytes()
	}
	notification := func(data []byte) error {
		_, err := kseries.ParseNotification(data)
		return err
	}
	transaction := fixture("paysera/testdata/transaction_apiref_create_response_partial.json")
	all := []payload{
		{"`pms.ParseCharge`", fixture("pms/testdata/pms_charge_reference.json"), func(data []byte) error {
			_, err := pms.ParseCharge(data)
			return err
		}, func() any { return new(plainCharge) }},
		{
			"`kseries.ParseNotification`, of a payment", fixture("kseries/testdata/webhook_payment_success.json"), notification,
			func() any { return new(plainNotification) },
		},
		{
			"`kseries.ParseNotification`, with a check", fixture("kseries/testdata/webhook_order_success_with_account.json"), notification,
			func() any { return new(plainNotification) },
		},
		{
			"`paysera.ParseEvent`", fmt.Appendf(nil, `{"type":"confirmed","object":"transaction","data":%s}`, transaction),
			func(data []byte) error {
				_, err := paysera.ParseEvent(string(data))
				return err
			}, func() any { return new(plainEvent) },
		},
		{
			"`xseries.ParseMessage`, DATA", fixture("xseries/testdata/payments_data_response_docs_partial.json"), func(data []byte) error {
				_, err := xseries.ParseMessage(data)
				return err
			}, func() any { return new(plainData) },
		},
	}
	return all, err
}

// decoders are what reads a payload, by name. The names are the same in all ways of building this program, but that encoding/json/v2
// isn't in all.
func (p payload) decoders() map[string]func() error {
	all := map[string]func() error{
		ours:            func() error { return p.ours(p.data) },
		"encoding/json": func() error { return json.Unmarshal(p.data, p.into()) },
		"goccy/go-json": func() error { return goccy.Unmarshal(p.data, p.into()) },
		"jsoniter": func() error {
			return jsoniter.ConfigCompatibleWithStandardLibrary.Unmarshal(p.data, p.into())
		},
	}
	if unmarshalV2 != nil {
		all["encoding/json/v2"] = func() error { return unmarshalV2(p.data, p.into()) }
	}
	return all
}

const ours = "ours"

func decoding(ctx context.Context, b *bench, a *answer) error {
	all, err := payloads(b.root)
	if err != nil {
		return err
	}
	slice := b.slice(15 * time.Millisecond)
	t := a.table(timeEach())
	t.Counts = true
	for _, p := range all {
		decoders := p.decoders()
		for _, library := range []string{"encoding/json", "goccy/go-json", "jsoniter"} {
			what := fmt.Sprintf("%s, %d bytes", p.name, len(p.data))
			err := b.add(ctx, t, row{What: what}, b.rounds, slice, inBatches(ours, decoders[ours]), inBatches(library, decoders[library]))
			if err != nil {
				return err
			}
		}
	}

	if b.short {
		a.note("What encoding/json/v2 would bring is left out: building for it takes longer than -short may.")
		return nil
	}
	// Each way of building is a process of its own.
	program, err := b.build(ctx, filepath.Join(b.root, "bench"), ".", nil, "GOEXPERIMENT=jsonv2")
	if err != nil {
		return err
	}
	now, _, err := b.start(ctx, b.program, childConfig{Role: "decoding"})
	if err != nil {
		return err
	}
	later, _, err := b.start(ctx, program, childConfig{Role: "decoding"})
	if err != nil {
		return err
	}
	t = a.table(timeEach())
	t.Counts = true
	for _, p := range all {
		for _, r := range []struct{ left, right string }{
			{ours, ours}, {"encoding/json", "encoding/json"}, {"encoding/json/v2", "encoding/json"},
		} {
			left := later.side(r.left+" with GOEXPERIMENT=jsonv2", p.name+"\x00"+r.left, 1)
			if err := b.add(ctx, t, row{What: p.name}, b.rounds, slice, left, now.side(r.right, p.name+"\x00"+r.right, 1)); err != nil {
				return err
			}
		}
	}
	a.note("In the second table the left side is built with GOEXPERIMENT=jsonv2, as it will be without asking from Go 1.27 on: what is ours, " +
		"`encoding/json` as it will be, and `encoding/json/v2` itself.")
	if err := now.stop(); err != nil {
		return err
	}
	return later.stop()
}

func decodingChild(ctx context.Context, config childConfig) error {
	all, err := payloads(config.Root)
	if err != nil {
		return err
	}
	return sides(ctx, func(name string, _ int) (side, error) {
		for _, p := range all {
			for library, decode := range p.decoders() {
				if name == p.name+"\x00"+library {
					return inBatches(library, decode), nil
				}
			}
		}
		return side{}, fmt.Errorf("there is no decoder %q", name)
	})
}
