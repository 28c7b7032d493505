package smartconnect

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// saleDataVersion is the version of the format that SaleData has.
const saleDataVersion = "1.0.0"

// SaleData tells SmartConnect what is being sold; see [Register.WithSale]. TotalAmount and TotalTax are required, all else
// is optional, and what is empty is not sent. It decides nothing: what is charged is the transaction's amount alone. Don't rely
// on getting it back.
//
// Numbers are text, and sent as they are, because the vendor doesn't say whether amounts are decimals or cents: agree on it with
// them.
//
// API reference: http://smartpaydev.com/reference/sale-data.html
type SaleData struct {
	SaleID        string `json:"saleId,omitempty"`
	InvoiceNumber string `json:"invoiceNumber,omitempty"`
	// CreatedAt and UpdatedAt are sent in UTC, in whole seconds.
	CreatedAt      time.Time `json:"createdAt,omitzero"`
	UpdatedAt      time.Time `json:"updatedAt,omitzero"`
	TotalAmount    string    `json:"totalAmount"`
	TotalTax       string    `json:"totalTax"`
	TotalTips      string    `json:"totalTips,omitempty"`
	TotalSurcharge string    `json:"totalSurcharge,omitempty"`
	// ReturnFor is the sale that goods are brought back from.
	ReturnFor    string     `json:"returnFor,omitempty"`
	UserID       string     `json:"userId,omitempty"`
	UserName     string     `json:"userName,omitempty"`
	CustomerID   string     `json:"customerId,omitempty"`
	CustomerName string     `json:"customerName,omitempty"`
	LineItems    []LineItem `json:"lineItems,omitempty"`
}

// LineItem is one line of a sale. ProductName, Quantity, UnitPrice, UnitTax, TotalPrice and TotalTax are required;
// TotalPrice is negative for what is brought back.
type LineItem struct {
	LineID             string     `json:"lineId,omitempty"`
	SequenceNumber     string     `json:"sequenceNumber,omitempty"`
	ProductID          string     `json:"productId,omitempty"`
	ProductName        string     `json:"productName"`
	ProductDescription string     `json:"productDescription,omitempty"`
	Categories         []Category `json:"categories,omitempty"`
	BrandID            string     `json:"brandId,omitempty"`
	BrandName          string     `json:"brandName,omitempty"`
	Quantity           string     `json:"quantity"`
	UnitPrice          string     `json:"unitPrice"`
	UnitTax            string     `json:"unitTax"`
	UnitDiscount       string     `json:"unitDiscount,omitempty"`
	TotalPrice         string     `json:"totalPrice"`
	TotalTax           string     `json:"totalTax"`
	TotalDiscount      string     `json:"totalDiscount,omitempty"`
	// ModifierFor is the line that this one modifies.
	ModifierFor string `json:"modifierFor,omitempty"`
	SKUCode     string `json:"skuCode,omitempty"`
	Barcode     string `json:"barcode,omitempty"`
}

// Category is what a product is sorted under. CategoryName is required.
type Category struct {
	CategoryID     string `json:"categoryId,omitempty"`
	CategoryName   string `json:"categoryName"`
	DepartmentID   string `json:"departmentId,omitempty"`
	DepartmentName string `json:"departmentName,omitempty"`
}

// encode returns the text of the form field SaleData.
func (s SaleData) encode() (string, error) {
	if missing := s.missing(); len(missing) > 0 {
		return "", errors.New("SaleData lacks " + strings.Join(missing, ", "))
	}
	s.CreatedAt, s.UpdatedAt = inSeconds(s.CreatedAt), inSeconds(s.UpdatedAt)
	text, err := json.Marshal(struct {
		Version  string   `json:"version"`
		SaleData SaleData `json:"saleData"`
	}{saleDataVersion, s})
	if err != nil {
		return "", fmt.Errorf("SaleData can't be written as JSON: %w", err)
	}
	return string(text), nil
}

func inSeconds(at time.Time) time.Time {
	if at.IsZero() {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Second)
}

// missing lists what the vendor requires and isn't there.
func (s SaleData) missing() []string {
	var missing []string
	need := func(where string, fields ...[2]string) {
		for _, f := range fields {
			if f[1] == "" {
				missing = append(missing, where+f[0])
			}
		}
	}
	need("", [2]string{"TotalAmount", s.TotalAmount}, [2]string{"TotalTax", s.TotalTax})
	for i, item := range s.LineItems {
		where := fmt.Sprintf("LineItems[%d].", i)
		need(where, [2]string{"ProductName", item.ProductName}, [2]string{"Quantity", item.Quantity},
			[2]string{"UnitPrice", item.UnitPrice}, [2]string{"UnitTax", item.UnitTax},
			[2]string{"TotalPrice", item.TotalPrice}, [2]string{"TotalTax", item.TotalTax})
		for j, category := range item.Categories {
			need(fmt.Sprintf("%sCategories[%d].", where, j), [2]string{"CategoryName", category.CategoryName})
		}
	}
	return missing
}
