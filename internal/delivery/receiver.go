package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tillroute/tillroute/pairing"
)

// finishTime bounds writing down what became of a delivery to a [Receiver].
const finishTime = 5 * time.Second

// ReceiverConfig configures a [Receiver]. All of it is required.
type ReceiverConfig struct {
	// System and Source are in what is logged. Source names the receiver among those that share Deliveries, too.
	System, Source string
	// Word is what the vendor calls a delivery, such as webhook.
	Word       string
	Deliveries pairing.Deliveries
	// Timeout bounds claiming and handling a delivery, by the caller's context.
	Timeout time.Duration
	Logger  *slog.Logger
}

// Receiver is what receivers have in common whose vendors are told nothing but whether a delivery was handled. It handles each
// delivery once, and logs what a person may want to know, without what was posted.
type Receiver struct {
	config ReceiverConfig
	keeper *Keeper
}

// NewReceiver returns a receiver.
func NewReceiver(c ReceiverConfig) *Receiver {
	return &Receiver{config: c, keeper: New(Config{
		Deliveries: c.Deliveries, Source: c.Source,
		// The store's own calls take time too, before and after.
		Lease: c.Timeout + 2*finishTime, FinishTime: finishTime,
	})}
}

// Receive has a delivery handled, or finds that it was before. Its error says why it wasn't: the vendor is to deliver it again.
func (v *Receiver) Receive(ctx context.Context, d Delivery) error {
	result, err := v.keeper.Once(ctx, d)
	for _, unwritten := range result.Unwritten {
		if err != nil {
			// The delivery is free when its lease ends.
			err = fmt.Errorf("%w; and that was not written down: %w", err, unwritten)
			continue
		}
		// It was handled, and need not come again. If it does it is handled again.
		v.warn(ctx, v.config.Word+" handled, and that was not written down", unwritten)
	}
	return err
}

// Complain logs why a delivery was not handled.
func (v *Receiver) Complain(ctx context.Context, err error) {
	v.warn(ctx, v.config.Word+" not handled", err)
}

func (v *Receiver) warn(ctx context.Context, message string, err error) {
	v.config.Logger.LogAttrs(ctx, slog.LevelWarn, message,
		slog.String("system", v.config.System), slog.String("source", v.config.Source), slog.Any("error", err))
}
