package main

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"
)

// What a program decodes into that has no SDK: the vendors' fields, as their documentation gives them, with exact amounts. An ID that
// is now a number and now a text can't be told from the documentation's example, and isn't here.

type plainCharge struct {
	Name                      string              `json:"name"`
	OpenDate                  time.Time           `json:"openDate"`
	CloseDate                 time.Time           `json:"closeDate"`
	Covers                    decimal.NullDecimal `json:"covers"`
	OwnerID                   int64               `json:"ownerId"`
	OwnerName                 string              `json:"ownerName"`
	DeviceID                  int64               `json:"deviceId"`
	BusinessExternalReference string              `json:"businessExternalReference"`
	APIKey                    string              `json:"apiKey"`
	ReceiptID                 string              `json:"receiptId"`
	FiscID                    string              `json:"fiscId"`
	UUID                      string              `json:"uuid"`
	InitialAccountID          string              `json:"initialAccountId"`
	Identifier                string              `json:"identifier"`
	RevenueCenterID           int64               `json:"revenueCenterId"`
	RevenueCenterName         string              `json:"revenueCenterName"`
	Transactions              []plainLine         `json:"transactions"`
	Payments                  []plainPaid         `json:"payments"`
	ServiceCharge             struct {
		Amount decimal.NullDecimal `json:"amount"`
		Type   string              `json:"type"`
	} `json:"serviceCharge"`
}

type plainLine struct {
	UnitAmount                decimal.NullDecimal `json:"unitAmount"`
	Quantity                  decimal.NullDecimal `json:"quantity"`
	Amount                    decimal.NullDecimal `json:"amount"`
	Description               string              `json:"description"`
	StaffID                   int64               `json:"staffId"`
	StaffName                 string              `json:"staffName"`
	GroupID                   int64               `json:"groupId"`
	GroupName                 string              `json:"groupName"`
	TaxID                     int64               `json:"taxId"`
	TaxName                   string              `json:"taxName"`
	TaxRate                   decimal.NullDecimal `json:"taxRate"`
	TaxIncluded               *bool               `json:"taxIncluded"`
	SKU                       string              `json:"sku"`
	Type                      string              `json:"type"`
	ServiceChargeContribution decimal.NullDecimal `json:"serviceChargeContribution"`
	TaxLines                  []plainTax          `json:"taxLines"`
}

type plainTax struct {
	TaxID       string              `json:"taxId"`
	TaxName     string              `json:"taxName"`
	TaxAmount   decimal.NullDecimal `json:"taxAmount"`
	TaxRate     decimal.NullDecimal `json:"taxRate"`
	TaxIncluded *bool               `json:"taxIncluded"`
}

type plainPaid struct {
	PaymentDate   time.Time           `json:"paymentDate"`
	StaffID       int64               `json:"staffId"`
	StaffName     string              `json:"staffName"`
	Gratuity      decimal.NullDecimal `json:"gratuity"`
	Amount        decimal.NullDecimal `json:"amount"`
	MethodName    string              `json:"methodName"`
	MethodCode    string              `json:"methodCode"`
	ReservationID string              `json:"reservationId"`
}

type plainNotification struct {
	Type              string      `json:"type"`
	Status            string      `json:"status"`
	Reference         string      `json:"thirdPartyReference"`
	Location          int64       `json:"businessLocationId"`
	AccountIdentifier string      `json:"ikentooAccountIdentifier"`
	AccountID         json.Number `json:"ikentooAccountId"`
	Reason            string      `json:"reason"`
	Account           *plainCheck `json:"account"`
}

type plainCheck struct {
	Identifier    string              `json:"ikaccountId"`
	UUID          string              `json:"uuid"`
	Name          string              `json:"name"`
	Total         decimal.NullDecimal `json:"currentAmount"`
	Paid          decimal.NullDecimal `json:"paidAmount"`
	ServiceCharge decimal.Decimal     `json:"serviceCharge"`
	OpenDate      string              `json:"openDate"`
	ClientCount   int64               `json:"clientCount"`
	StaffID       int64               `json:"staffId"`
	StaffName     string              `json:"staffName"`
	TableNumber   int64               `json:"tableNumber"`
	POSID         int64               `json:"posId"`
	Sales         []struct {
		ID              int64             `json:"id"`
		UUID            string            `json:"uuid"`
		Name            string            `json:"itemName"`
		SKU             string            `json:"itemSku"`
		UnitAmount      decimal.Decimal   `json:"unitAmount"`
		Quantity        decimal.Decimal   `json:"quantity"`
		AmountWithTax   decimal.Decimal   `json:"amountWithTax"`
		AmountLessTax   decimal.Decimal   `json:"amountLessTax"`
		Discounted      decimal.Decimal   `json:"discountedAmount"`
		GrossUnitAmount decimal.Decimal   `json:"grossUnitAmount"`
		At              string            `json:"timeOfTransactionUtc"`
		Active          bool              `json:"active"`
		TaxIncluded     bool              `json:"taxIncluded"`
		Modifiers       []json.RawMessage `json:"modifiers"`
		SubLineItems    []json.RawMessage `json:"subLineItems"`
	} `json:"salesEntries"`
	Payments []json.RawMessage `json:"paymentEntries"`
}

type plainEvent struct {
	Type   string           `json:"type"`
	Object string           `json:"object"`
	Data   plainTransaction `json:"data"`
}

type plainTransaction struct {
	Key       string `json:"transaction_key"`
	CreatedAt int64  `json:"created_at"`
	Status    string `json:"status"`
	Type      string `json:"type"`
	Wallet    *int64 `json:"wallet"`
	ProjectID int64  `json:"project_id"`
	Payments  []struct {
		ID           int64           `json:"id"`
		Key          string          `json:"transaction_key"`
		CreatedAt    int64           `json:"created_at"`
		Status       string          `json:"status"`
		Price        int64           `json:"price"`
		Currency     string          `json:"currency"`
		PriceDecimal decimal.Decimal `json:"price_decimal"`
		Description  string          `json:"description"`
	} `json:"payments"`
}

type plainData struct {
	Success bool   `json:"success"`
	Step    string `json:"step"`
	Sale    struct {
		ID           string `json:"id"`
		ClientID     string `json:"client_id"`
		ClientSaleID string `json:"client_sale_id"`
		Totals       struct {
			Tax   decimal.Decimal `json:"total_tax"`
			Price decimal.Decimal `json:"total_price"`
			Paid  decimal.Decimal `json:"total_paid"`
			ToPay decimal.Decimal `json:"total_to_pay"`
		} `json:"totals"`
		LineItems []struct {
			ProductID string          `json:"product_id"`
			Name      string          `json:"name"`
			Quantity  decimal.Decimal `json:"quantity"`
			SKU       string          `json:"sku"`
			UnitPrice decimal.Decimal `json:"unit_price"`
			UnitTax   decimal.Decimal `json:"unit_tax"`
			TaxID     string          `json:"tax_id"`
			TaxRate   decimal.Decimal `json:"tax_rate"`
			ImageURL  string          `json:"image_url"`
			Discount  decimal.Decimal `json:"discount"`
		} `json:"line_items"`
		CustomerID string `json:"customer_id"`
	} `json:"register_sale"`
	Payment struct {
		RegisterID string `json:"register_id"`
		Amount     string `json:"amount"`
	} `json:"payment"`
}

type plainRegister struct {
	ID                       string     `json:"id"`
	Name                     string     `json:"name"`
	OutletID                 string     `json:"outlet_id"`
	IsOpen                   bool       `json:"is_open"`
	OpenTime                 *time.Time `json:"register_open_time"`
	CloseTime                *time.Time `json:"register_close_time"`
	OpenSequenceID           string     `json:"register_open_sequence_id"`
	DeletedAt                *time.Time `json:"deleted_at"`
	Version                  int64      `json:"version"`
	InvoicePrefix            string     `json:"invoice_prefix"`
	InvoiceSuffix            string     `json:"invoice_suffix"`
	InvoiceSequence          int64      `json:"invoice_sequence"`
	AskForNoteOnSave         int        `json:"ask_for_note_on_save"`
	AskForUserOnSale         bool       `json:"ask_for_user_on_sale"`
	PrintNoteOnReceipt       bool       `json:"print_note_on_receipt"`
	ShowDiscountsOnReceipts  bool       `json:"show_discounts_on_receipts"`
	PrintReceipt             bool       `json:"print_receipt"`
	EmailReceipt             bool       `json:"email_receipt"`
	IsQuickKeysEnabled       bool       `json:"is_quick_keys_enabled"`
	ReceiptTemplateID        string     `json:"receipt_template_id"`
	ButtonLayoutID           string     `json:"button_layout_id"`
	CashManagedPaymentTypeID string     `json:"cash_managed_payment_type_id"`
}

type plainRegisters struct {
	Data    []plainRegister `json:"data"`
	Version struct {
		Min int64 `json:"min"`
		Max int64 `json:"max"`
	} `json:"version"`
}

type plainStarted struct {
	TransactionID string `json:"transactionId"`
	Status        string `json:"transactionStatus"`
	DeviceID      string `json:"deviceId"`
	Data          struct {
		PollingURL string `json:"PollingUrl"`
	} `json:"data"`
}

type plainProvider struct {
	ID       int64    `json:"id"`
	Location int64    `json:"businessLocationId"`
	Name     string   `json:"name"`
	Endpoint string   `json:"endpoint"`
	APIKey   string   `json:"apiKey"`
	Features []string `json:"features"`
}
