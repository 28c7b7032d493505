package smartconnect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// The kinds of payment that [Driver] knows, besides [pairing.Purchase] and [pairing.Refund]. An approved KindAuthorise
// holds its amount and takes none.
const (
	KindPurchasePlusCash   pairing.Kind = "purchase-plus-cash"
	KindCashAdvance        pairing.Kind = "cash-advance"
	KindAuthorise          pairing.Kind = "authorise"
	KindFinalise           pairing.Kind = "finalise"
	KindQRMerchantPurchase pairing.Kind = "qr-merchant-purchase"
	KindQRConsumerPurchase pairing.Kind = "qr-consumer-purchase"
	KindQRRefund           pairing.Kind = "qr-refund"
)

// PaymentData is what a payment needs beyond its amount. [Driver] reads it from [pairing.Request.Data]: a JSON object that
// has it under the name "smartconnect", as [PaymentData.Encode] writes it. Under other names the object may hold what is
// somebody else's, and Data that is no JSON object holds nothing for the driver. A name that the driver doesn't know, and what
// the payment's kind has no use for, is an error of kind Invalid of [Driver.Start].
type PaymentData struct {
	// Cash is the part of a KindPurchasePlusCash's amount that is handed out, in the payment's currency. Required for that kind.
	Cash decimal.Decimal `json:"cash,omitzero"`
	// Reference is what a KindAuthorise is finalised by, and a KindFinalise finds it by. Required for these kinds.
	Reference string `json:"reference,omitempty"`
	// Sale is what is being sold, for any kind.
	Sale *SaleData `json:"sale,omitempty"`
}

// Encode returns the data for [pairing.Request.Data].
func (d PaymentData) Encode() ([]byte, error) {
	data, err := json.Marshal(map[string]PaymentData{Provider: d})
	if err != nil {
		return nil, tillroute.Invalid(Provider, "Encode", "the payment's data can't be written as JSON: %s", err)
	}
	return data, nil
}

// paymentData reads the data of a payment. A name that it doesn't know is refused: cash that is spelled wrong must not be
// left out.
func paymentData(data []byte) (PaymentData, error) {
	var d PaymentData
	object, err := wire.Object(data)
	if err != nil || object[Provider] == nil {
		return d, nil //nolint:nilerr // it is somebody else's.
	}
	if names, err := wire.Object(object[Provider]); err == nil {
		for name := range names {
			// encoding/json would also take them in other letters, and the last of several.
			if name != "cash" && name != "reference" && name != "sale" {
				return d, fmt.Errorf("its data has the unknown name %.40q", name)
			}
		}
	} else if string(object[Provider]) != "null" {
		return d, errors.New("its data is not what PaymentData.Encode writes: " + err.Error())
	}
	decoder := json.NewDecoder(bytes.NewReader(object[Provider]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return PaymentData{}, errors.New("its data is not what PaymentData.Encode writes: " + err.Error())
	}
	return d, nil
}

// typeOf returns the type of transaction that a kind of payment is, or "".
func typeOf(kind pairing.Kind) Type {
	switch kind {
	case pairing.Purchase:
		return CardPurchase
	case pairing.Refund:
		return CardRefund
	case KindPurchasePlusCash:
		return CardPurchasePlusCash
	case KindCashAdvance:
		return CardCashAdvance
	case KindAuthorise:
		return CardAuthorise
	case KindFinalise:
		return CardFinalise
	case KindQRMerchantPurchase:
		return QRMerchantPurchase
	case KindQRConsumerPurchase:
		return QRConsumerPurchase
	case KindQRRefund:
		return QRRefund
	default:
		return ""
	}
}

// startPayment starts the transaction that a payment is. An error whose outcome is Failed says that nothing was sent.
func (r Register) startPayment(ctx context.Context, p pairing.Payment) (Transaction, error) {
	const operation = "Start"
	kind := typeOf(p.Kind)
	if kind == "" {
		return Transaction{}, tillroute.Invalid(Provider, operation, "a SmartConnect terminal can't do a payment of kind %q", p.Kind)
	}
	data, err := paymentData(p.Data)
	if err != nil {
		return Transaction{}, tillroute.Invalid(Provider, operation, "%s", err)
	}
	if !data.Cash.IsZero() && kind != CardPurchasePlusCash {
		return Transaction{}, tillroute.Invalid(Provider, operation, "a payment of kind %q hands out no cash", p.Kind)
	}
	if data.Reference != "" && kind != CardAuthorise && kind != CardFinalise {
		return Transaction{}, tillroute.Invalid(Provider, operation, "a payment of kind %q has no use for a reference in its data", p.Kind)
	}
	if data.Sale != nil {
		r = r.WithSale(*data.Sale)
	}
	switch kind {
	case CardPurchasePlusCash:
		return r.PurchasePlusCash(ctx, p.Amount, data.Cash)
	case CardAuthorise:
		return r.Authorise(ctx, p.Amount, data.Reference)
	case CardFinalise:
		return r.Finalise(ctx, p.Amount, data.Reference)
	default:
		return r.pay(ctx, operation, kind, nil, total(p.Amount))
	}
}
