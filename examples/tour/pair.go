package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
)

const (
	terminalA = "7070714000"
	terminalB = "7070714001"
)

// pair pairs the first register with terminal A and the second with terminal B.
func (t *tour) pair(ctx context.Context) {
	codes := map[string]string{}
	t.do(ctx, smartconnect.Provider, "two terminals show a pairing code", func(context.Context, func(string)) (string, error) {
		for _, id := range []string{terminalA, terminalB} {
			code, err := t.systems.SmartConnect.Device(id).ShowCode()
			if err != nil {
				return "", err
			}
			codes[id] = code
		}
		return fmt.Sprintf("%s shows %s, %s shows %s", terminalA, codes[terminalA], terminalB, codes[terminalB]), check(
			should(codes[terminalA] != codes[terminalB], "the codes differ"))
	})

	t.do(ctx, "pairing", "a wrong code is refused and changes nothing", func(ctx context.Context, _ func(string)) (string, error) {
		_, err := t.pairRegister(ctx, testserver.RegisterMain, "12345")
		_, pairingErr := t.shop.router.Pairing(ctx, t.register(testserver.RegisterMain))
		if err == nil {
			return "", errors.New("not so: a wrong code is refused")
		}
		return err.Error(), check(
			should(errors.Is(err, tillroute.ErrInvalid), "the error is of kind invalid: %v", err),
			should(errors.Is(pairingErr, tillroute.ErrNotFound), "nothing was stored"),
			should(t.paired(terminalA)+t.paired(terminalB) == 0, "no terminal was paired"),
		)
	})

	for _, p := range []struct{ register, terminal string }{
		{testserver.RegisterMain, terminalA},
		{testserver.RegisterSecond, terminalB},
	} {
		t.do(ctx, "pairing", "a register is paired with terminal "+p.terminal, func(ctx context.Context, _ func(string)) (string, error) {
			before := t.paired(p.terminal)
			paired, err := t.pairRegister(ctx, p.register, codes[p.terminal])
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s → %s", paired.Register, paired.Terminal), check(
				should(t.paired(p.terminal) == before+1, "the terminal has one register more"),
				should(paired.Terminal.Serial == p.terminal, "the device is known: %s", paired.Terminal.Serial),
			)
		})
	}
}

func (t *tour) pairRegister(ctx context.Context, registerID, code string) (pairing.Pairing, error) {
	return t.shop.router.Pair(ctx, pairing.PairRequest{
		Register:     t.register(registerID),
		RegisterName: "Till " + registerID[:4],
		Provider:     smartconnect.Provider,
		Code:         code,
	})
}

// paired returns how many registers the terminal says it is paired with.
func (t *tour) paired(terminal string) int {
	return len(t.systems.SmartConnect.Device(terminal).State().Registers)
}

func (t *tour) register(id string) pairing.Register {
	return xseries.RegisterKey(t.systems.Describe().XSeries.DomainPrefix, id)
}
