package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/paysera"
)

const (
	// account is what the guest's tokens are kept under.
	account = "guest"
	// glance is how often the guest looks at the phone.
	glance = 200 * time.Millisecond
	// patience is how long the guest waits for the waiter.
	patience = time.Minute
)

var (
	errNowhere = errors.New("the guest is at no table: sit down first")
	errNoBill  = errors.New("there is no bill on the phone")
)

// guest is somebody with the wallet's application on the phone. It is used by one goroutine.
type guest struct {
	client *paysera.Client
	spotID int64
}

// newGuest has the guest allow the application what it needs, unless that was done before.
func newGuest(ctx context.Context, oauth paysera.OAuth, tokens pairing.Tokens) (*guest, error) {
	_, err := tokens.Grant(ctx, paysera.System, account)
	if errors.Is(err, tillroute.ErrNotFound) {
		err = connect(ctx, oauth, tokens)
	}
	if err != nil {
		return nil, fmt.Errorf("the guest can't use the wallet: %w", err)
	}
	client, err := paysera.New(paysera.Config{OAuth: oauth, Tokens: tokens, Account: account})
	return &guest{client: client}, err
}

func connect(ctx context.Context, oauth paysera.OAuth, tokens pairing.Tokens) error {
	state := paysera.NewState()
	page, err := oauth.AuthCodeURL(state)
	if err != nil {
		return err
	}
	// Somebody's browser goes to the page and comes back. The simulated page consents at once.
	back, err := simulated.Consent(ctx, page)
	if err != nil {
		return err
	}
	callback, err := oauth.ParseCallback(back, state)
	if err != nil {
		return err
	}
	grant, err := oauth.Exchange(ctx, callback, account)
	if err != nil {
		return err
	}
	_, err = tokens.PutGrant(ctx, grant, 0)
	return err
}

// scan checks the guest in to the spot of a QR code.
func (g *guest) scan(ctx context.Context, text string) (paysera.Spot, error) {
	code, err := paysera.ParseSpotCode(text)
	if err != nil {
		return paysera.Spot{}, err
	}
	spot, err := g.client.Spots.ByCode(ctx, code.String())
	if err != nil {
		return paysera.Spot{}, err
	}
	if spot, err = g.client.Spots.CheckIn(ctx, spot.ID); err == nil {
		g.spotID = spot.ID
	}
	return spot, err
}

// leave checks the guest out.
func (g *guest) leave(ctx context.Context) error {
	if g.spotID == 0 {
		return errNowhere
	}
	_, err := g.client.Spots.CheckOut(ctx, g.spotID)
	return err
}

// until looks at the guest's spot until it is as it should be.
func (g *guest) until(ctx context.Context, good func(paysera.Spot) bool, otherwise error) error {
	if g.spotID == 0 {
		return errNowhere
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, otherwise)
	defer cancel()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		spot, err := g.client.Spots.Get(ctx, g.spotID, paysera.WithFields("*", "orders.transaction"))
		if err == nil && good(spot) {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// bill waits for a bill, and returns its transaction.
func (g *guest) bill(ctx context.Context) (paysera.Transaction, error) {
	var bill paysera.Transaction
	err := g.until(ctx, func(spot paysera.Spot) bool {
		for _, order := range spot.Orders {
			if order.Status == paysera.OrderPending && order.Transaction != nil {
				bill = *order.Transaction
				return true
			}
		}
		return false
	}, errNoBill)
	return bill, err
}

// pay sets the money for the bill aside. The café takes it, or gives it back.
func (g *guest) pay(ctx context.Context) (paysera.Transaction, error) {
	bill, err := g.bill(ctx)
	if err != nil {
		return bill, err
	}
	return g.reserve(ctx, bill.Key)
}

func (g *guest) reserve(ctx context.Context, key string) (paysera.Transaction, error) {
	return g.client.Transactions.Reserve(ctx, key, paysera.Reservation{Wallet: paysera.Me})
}

// sentAway waits until the guest's spot is closed.
func (g *guest) sentAway(ctx context.Context) error {
	return g.until(ctx, func(spot paysera.Spot) bool { return spot.Status == paysera.SpotClosed }, errors.New("the spot is still open"))
}
