package paysera

import (
	"context"
	"encoding/json"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// OrdersService makes, changes and removes orders.
type OrdersService struct{ c *core }

// OrderStatus says what has become of an order. The vendor may know more than the ones that are named here.
type OrderStatus string

// The documented statuses.
const (
	// OrderPending orders are to be paid.
	OrderPending OrderStatus = "pending"
	// OrderReserved orders have a transaction that is reserved: the merchant has to confirm it.
	OrderReserved OrderStatus = "reserved"
	// OrderConfirmed orders are paid.
	OrderConfirmed OrderStatus = "confirmed"
	// OrderClosed orders were cancelled, or paid by other means.
	OrderClosed OrderStatus = "closed"
)

// Order is what guests are to pay at a spot.
type Order struct {
	// ID is the vendor's.
	ID int64
	// TransactionKey is that of what pays it.
	TransactionKey string
	Status         OrderStatus
	// UserID is the guest's, where the server says so.
	UserID string
	// Transaction is there if it was asked for with [WithFields].
	Transaction *Transaction
}

// UnmarshalJSON reads an order as the API sends it.
func (o *Order) UnmarshalJSON(data []byte) error {
	var w struct {
		ID             wire.Int            `json:"id"`
		TransactionKey wire.Text           `json:"transaction_key"`
		Status         wire.Text           `json:"status"`
		UserID         wire.Text           `json:"user_id"`
		Transaction    object[Transaction] `json:"transaction"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*o = Order{
		ID: int64(w.ID), TransactionKey: string(w.TransactionKey), Status: OrderStatus(w.Status), UserID: string(w.UserID),
		Transaction: w.Transaction.value,
	}
	return nil
}

// OrderRequest is the transaction that an order is about: exactly one of the two.
type OrderRequest struct {
	// TransactionKey is that of a transaction that was made before.
	TransactionKey string
	// Transaction is made with the order.
	Transaction *TransactionRequest
}

func (r OrderRequest) body(name string) (any, error) {
	switch {
	case (r.TransactionKey == "") == (r.Transaction == nil):
		return nil, tillroute.Invalid(System, name, "set one of TransactionKey and Transaction")
	case r.Transaction == nil:
		return struct {
			Key string `json:"transaction_key"`
		}{r.TransactionKey}, nil
	}
	transaction, err := r.Transaction.body(name)
	return map[string]any{"transaction": transaction}, err
}

// Create makes an order at a spot, which becomes open. It is for merchants.
//
// It is sent once. If the answer is lost, the error matches [tillroute.ErrOutcomeUnknown]: get the spot and look for the order.
// A waiting spot has none. One transaction can be paid only once, however many orders have its key; a second order with a
// transaction of its own is a second bill. Make the transaction first, therefore, and write its key down.
//
// API reference: POST /rest/v1/spot/{id}/order, https://developers.paysera.com/en/wallet/app/pos
func (s OrdersService) Create(ctx context.Context, spotID int64, r OrderRequest, opts ...tillroute.CallOption) (Order, error) {
	body, err := r.body(ordersCreate.declare().Name)
	if err != nil {
		return Order{}, err
	}
	return getOrder(ctx, s.c, ordersCreate, rest.Request{Args: args(spotID), JSON: body}, opts)
}

// Get returns the order, or an error of kind NotFound.
//
// API reference: GET /rest/v1/order/{id}, https://developers.paysera.com/en/wallet/app/pos
func (s OrdersService) Get(ctx context.Context, id int64, opts ...tillroute.CallOption) (Order, error) {
	return getOrder(ctx, s.c, ordersGet, rest.Request{Args: args(id)}, opts)
}

// Edit replaces the order's transaction. The one that it had stays what it is: revoke it first, or it may be paid too. It is
// for merchants.
//
// With a Transaction it is sent once; with a TransactionKey doing so twice is the same as once. If the answer is lost, the error
// matches [tillroute.ErrOutcomeUnknown]: get the order and see which transaction it has.
//
// API reference: PUT /rest/v1/order/{id}, https://developers.paysera.com/en/wallet/app/pos
func (s OrdersService) Edit(ctx context.Context, id int64, r OrderRequest, opts ...tillroute.CallOption) (Order, error) {
	op := ordersEdit
	if r.Transaction != nil {
		op = ordersEditNew
	}
	body, err := r.body(op.declare().Name)
	if err != nil {
		return Order{}, err
	}
	return getOrder(ctx, s.c, op, rest.Request{Args: args(id), JSON: body}, opts)
}

// Remove takes the order away. What becomes of its transaction isn't documented: revoke it first. It is for merchants. If the error
// matches [tillroute.ErrOutcomeUnknown], get the order and see.
//
// API reference: DELETE /rest/v1/order/{id}, https://developers.paysera.com/en/wallet/app/pos
func (s OrdersService) Remove(ctx context.Context, id int64, opts ...tillroute.CallOption) (Order, error) {
	return getOrder(ctx, s.c, ordersRemove, rest.Request{Args: args(id)}, opts)
}

func getOrder(ctx context.Context, c *core, op operation, r rest.Request, opts []tillroute.CallOption) (Order, error) {
	order, err := get[Order](ctx, c, op, r, opts)
	if err == nil && order.ID <= 0 {
		return Order{}, notUnderstood(op.declare(), "the order has no id")
	}
	return order, err
}
