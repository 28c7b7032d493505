package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/tillroute/tillroute/internal/testserver"
)

const (
	// simulatedPoll is shorter than the vendor allows: the simulated terminal is on this machine.
	simulatedPoll = 200 * time.Millisecond
	// cardTime is how long the simulated customer takes.
	cardTime = 700 * time.Millisecond
)

// simulated is a simulated SmartConnect with a terminal at which a customer pays, and a place for the till's file.
type simulated struct {
	systems *testserver.Systems
	device  *testserver.Device
	baseURL string
	db      string
	stop    func() error
}

func simulate(ctx context.Context) (*simulated, error) {
	folder, err := os.MkdirTemp("", "tillroute-till-")
	if err != nil {
		return nil, err
	}
	systems := testserver.New(testserver.Options{
		SmartConnect: testserver.SmartConnectOptions{MinPoll: simulatedPoll / 2},
	})
	listener, err := systems.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	// It outlives ctx: what the till has begun when it is stopped is carried through.
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- systems.Serve(serving, listener) }()
	device := systems.SmartConnect.Devices()[0]
	device.SetAuto(testserver.AutoApprove, cardTime)
	return &simulated{
		systems: systems,
		device:  device,
		baseURL: systems.Describe().SmartConnect.BaseURL,
		db:      filepath.Join(folder, "till.db"),
		stop: func() error {
			cancel()
			return errors.Join(<-served, os.RemoveAll(folder))
		},
	}, nil
}
