package metrics_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pairing/metrics"
)

func ExampleNew() {
	store := memstore.New(memstore.Config{})
	counts, err := metrics.New(metrics.Config{Counter: store, Providers: []string{"acquirer"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Config.Observer of the router is counts.Observe: then this counts what that does.
	counts.Observe(pairing.Event{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(counts)
	families, err := registry.Gather() // promhttp.HandlerFor(registry, …) serves them
	for _, family := range families {
		fmt.Println(family.GetName())
	}
	fmt.Println(err)
	// Output:
	// tillroute_payment_steps_total
	// tillroute_payment_terminal_seconds
	// tillroute_payment_wait_seconds
	// tillroute_payments
	// tillroute_payments_ended_total
	// tillroute_payments_oldest_seconds
	// tillroute_store_up
	// <nil>
}
