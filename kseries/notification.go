package kseries

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery"
	"github.com/tillroute/tillroute/internal/wire"
)

// NotificationType is what a notification is about. Values that are not named here are kept as they are.
type NotificationType string

// The documented values.
const (
	// AboutPayment tells what became of a [Payment].
	AboutPayment NotificationType = "PAYMENT"
	// AboutOrder tells what became of an order, or of its check.
	AboutOrder NotificationType = "ORDER"
	// AboutItem tells that an item is sold out, or isn't any longer.
	AboutItem NotificationType = "ITEM"
	// AboutReadiness tells that a business location takes online orders, or doesn't any longer.
	AboutReadiness NotificationType = "ORDER_API"
)

// NotificationStatus is what happened. Values that are not named here are kept as they are.
type NotificationStatus string

// The documented values. Those of items are [Restricted] and [NotRestricted]; those of readiness are a [ReadyStatus], see
// Notification.Readiness.
const (
	// Success is a payment that was applied to its check, or an order that was taken and has a check.
	Success NotificationStatus = "SUCCESS"
	// Failure is one that was not, and won't be: the next try needs a new reference.
	Failure NotificationStatus = "FAILURE"

	InDelivery     NotificationStatus = "IN_DELIVERY"
	ReadyForPickup NotificationStatus = "READY_FOR_PICKUP"
	Delivered      NotificationStatus = "DELIVERED"
	CheckClosed    NotificationStatus = "CLOSED"
	Abandoned      NotificationStatus = "ABANDONED"
	Cancelled      NotificationStatus = "CANCELLED"
	// CheckUpdated says that a check has changed, as often as it does: read it again.
	CheckUpdated NotificationStatus = "CHECK_WAS_UPDATED"

	Restricted    NotificationStatus = "RESTRICTED"
	NotRestricted NotificationStatus = "NOT_RESTRICTED"
)

// AccountError is why a payment could not be applied to its check. Values that are not named here are kept as they are.
type AccountError string

// The documented values.
const (
	AccountNotFound           AccountError = "ACCOUNT_NOT_FOUND"
	AccountAlreadyClosed      AccountError = "ACCOUNT_ALREADY_CLOSED"
	InvalidTask               AccountError = "INVALID_TASK"
	ItemNotAdded              AccountError = "ITEM_NOT_ADDED"
	ItemNotFound              AccountError = "ITEM_NOT_FOUND"
	MissingStaff              AccountError = "MISSING_STAFF"
	NativePaymentNotSupported AccountError = "NATIVE_PAYMENT_NOT_SUPPORTED"
	Overpaid                  AccountError = "OVERPAID"
	PaymentIDNotFound         AccountError = "PAYMENT_ID_NOT_FOUND"
	PaymentMethodNotFound     AccountError = "PAYMENT_METHOD_NOT_FOUND"
	StaffNotFound             AccountError = "STAFF_NOT_FOUND"
	UpdateFailed              AccountError = "UPDATE_FAILED"
	UnknownAccountError       AccountError = "UNKNOWN"
)

// TaskTimeout is the key of the timeout of a payment whose time to live ended.
const TaskTimeout = "errors.payment.pos.task_timeout"

// Notification is what the vendor posts to an [Endpoint]. Any field may be missing in any of them: then it is zero.
type Notification struct {
	// Type is empty if the vendor didn't say, which it leaves out at times: tell a payment from an order by its Reference.
	Type NotificationType
	// Status is what happened.
	Status NotificationStatus
	// Reference is that of the [Payment] or the [Order].
	Reference string
	// BusinessLocationID is where it happened. It may be 0.
	BusinessLocationID int64
	// AccountIdentifier names the check, such as A1234.56.
	AccountIdentifier string
	// AccountID is an older name for the check.
	AccountID string
	// Reason is why something failed, for people. There may be one and no other sign of why, and the other way round.
	Reason string
	// AccountError is why a payment could not be applied.
	AccountError AccountError
	// TimeoutKey is set if the time to live ended, to [TaskTimeout] as far as known, and TimeoutMessage is for people.
	TimeoutKey, TimeoutMessage string
	// Check is the check as it was then, if the [Endpoint] asks for it.
	Check *Check
	// CompletionMode isn't documented. IMMEDIATE and MANUALLY were seen.
	CompletionMode string
	// Stock is there if Type is AboutItem.
	Stock *Stock
	// Readiness is there if Type is AboutReadiness.
	Readiness *Readiness
	// Payload is all that was posted.
	Payload json.RawMessage
}

// ParseNotification reads what was posted. It is an error of kind Invalid if it isn't a JSON object, or has a member twice with
// different values: nobody could say which one is meant. All else is tolerated. It checks nobody's identity:
// [NewNotificationHandler] does.
//
// API reference: https://api-docs.lsk.lightspeed.app/
func ParseNotification(payload []byte) (Notification, error) {
	members, err := fold(payload)
	if err != nil {
		return Notification{}, tillroute.Invalid(System, "ParseNotification", "the notification can't be read: %s", err)
	}
	text := func(name string) string { return wire.Scalar(members[name]) }
	n := Notification{
		Type:              NotificationType(text("type")),
		Status:            NotificationStatus(text("status")),
		Reference:         text("thirdpartyreference"),
		AccountIdentifier: text("ikentooaccountidentifier"),
		AccountID:         text("ikentooaccountid"),
		Reason:            text("reason"),
		CompletionMode:    text("completionmode"),
		Payload:           append(json.RawMessage(nil), payload...),
	}
	var location wire.Int
	_ = location.UnmarshalJSON(members["businesslocationid"])
	n.BusinessLocationID = int64(location)
	var failed failure
	if object(members["errors"], &failed) == nil {
		n.TimeoutKey, n.TimeoutMessage = string(failed.Timeout.Key), string(failed.Timeout.Message)
		n.AccountError = AccountError(failed.Account.Type)
	}
	// What isn't an object is no check.
	if check := new(Check); check.UnmarshalJSON(members["account"]) == nil {
		n.Check = check
	}
	switch n.Type {
	case AboutItem:
		n.Stock = new(Stock)
		_ = n.Stock.UnmarshalJSON(payload)
	case AboutReadiness:
		n.Readiness = new(Readiness)
		_ = n.Readiness.UnmarshalJSON(payload)
	default:
	}
	return n, nil
}

// failure is what went wrong. It is newer than notifications are, and may be missing.
type failure struct {
	Timeout struct {
		Key     wire.Text `json:"errorKey"`
		Message wire.Text `json:"message"`
	} `json:"timeout"`
	Account struct {
		Type wire.Text `json:"type"`
	} `json:"account"`
}

// fold reads a JSON object with its names in lower case: the vendor writes iKentooAccountId and ikentooAccountId.
func fold(data []byte) (map[string]json.RawMessage, error) {
	object, err := wire.Object(data)
	if err != nil {
		return nil, err
	}
	folded := make(map[string]json.RawMessage, len(object))
	for name, value := range object {
		name = strings.ToLower(name)
		if other, twice := folded[name]; twice && (wire.Scalar(other) == "" || wire.Scalar(other) != wire.Scalar(value)) {
			return nil, errors.New("a name is there twice, with different values")
		}
		folded[name] = value
	}
	return folded, nil
}

// maxKey bounds what becomes a key in the store.
const maxKey = 150

// key names what the notification says among all of the same source. It returns false if it may say the same again with a new
// meaning, so that a repetition can't be told from news.
func (n Notification) key() (string, bool) {
	var key string
	switch {
	case n.Stock != nil:
		if n.Stock.UpdatedAt.IsZero() {
			return "", false
		}
		key = join(n.Type, n.BusinessLocationID, n.Stock.SKU, n.Status, n.Stock.UpdatedAt.UnixNano())
	case n.Readiness != nil:
		if n.Readiness.UpdatedAt.IsZero() {
			return "", false
		}
		key = join(n.Type, n.BusinessLocationID, n.Status, n.Readiness.UpdatedAt.UnixNano())
	case n.Reference == "" || !n.happensOnce():
		return "", false
	default:
		key = join(n.Type, n.BusinessLocationID, n.Reference, n.Status, n.AccountIdentifier, n.Reason)
	}
	if len(key) > maxKey {
		key = delivery.Digest([]byte(key))
	}
	return key, true
}

// happensOnce reports whether the status is one that a reference has once at most.
func (n Notification) happensOnce() bool {
	switch n.Status {
	case Success, Failure, CheckClosed, Abandoned, Cancelled, Delivered:
		return true
	default:
		return false
	}
}

// join writes parts so that different ones never look the same.
func join(parts ...any) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('/')
		}
		text := fmt.Sprint(part)
		if strings.ContainsAny(text, `/"`) || strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
			text = strconv.Quote(text)
		}
		b.WriteString(text)
	}
	return b.String()
}
