package smartconnect_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
)

// sale is the one of testdata/saledata_v1_request.json.
func sale() smartconnect.SaleData {
	return smartconnect.SaleData{
		SaleID: "sale-0001", InvoiceNumber: "INV-1001",
		CreatedAt:   time.Date(2026, 3, 11, 0, 0, 0, 999, time.UTC),
		UpdatedAt:   time.Date(2026, 3, 11, 13, 1, 0, 0, time.FixedZone("NZDT", 13*60*60)),
		TotalAmount: "10.00", TotalTax: "1.30", UserID: "u1", UserName: "Jo",
		LineItems: []smartconnect.LineItem{{
			LineID: "1", SequenceNumber: "1", ProductID: "p1", ProductName: "Widget", Quantity: "2",
			UnitPrice: "5.00", UnitTax: "0.65", TotalPrice: "10.00", TotalTax: "1.30", SKUCode: "W-1",
			Categories: []smartconnect.Category{{CategoryName: "Hardware"}},
		}},
	}
}

func TestSaleDataGoesInOneField(t *testing.T) {
	s := newServer(t, started(t))
	data := sale()
	till := s.client(t).Register(registerID).WithSale(data)
	data.LineItems[0].ProductName = "changed later"
	_, err := till.Purchase(t.Context(), decimal.NewFromInt(10))
	require.NoError(t, err)
	require.JSONEq(t, fixture(t, "saledata_v1_request.json"), s.got()[0].form.Get("SaleData"))
}

func TestSaleDataNamesEveryFieldAsTheVendorDoes(t *testing.T) {
	s := newServer(t, started(t))
	at := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	_, err := s.client(t).Register(registerID).WithSale(smartconnect.SaleData{
		"a", "b", at, at, "c", "d", "e", "f", "g", "h", "i", "j", "k", []smartconnect.LineItem{{
			"a", "b", "c", "d", "e", []smartconnect.Category{{"a", "b", "c", "d"}}, "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
		}},
	}).Refund(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	require.JSONEq(t, `{"version":"1.0.0","saleData":{"saleId":"a","invoiceNumber":"b","createdAt":"2026-03-11T00:00:00Z",
		"updatedAt":"2026-03-11T00:00:00Z","totalAmount":"c","totalTax":"d","totalTips":"e","totalSurcharge":"f","returnFor":"g",
		"userId":"h","userName":"i","customerId":"j","customerName":"k","lineItems":[{"lineId":"a","sequenceNumber":"b",
		"productId":"c","productName":"d","productDescription":"e","categories":[{"categoryId":"a","categoryName":"b",
		"departmentId":"c","departmentName":"d"}],"brandId":"f","brandName":"g","quantity":"h","unitPrice":"i","unitTax":"j",
		"unitDiscount":"k","totalPrice":"l","totalTax":"m","totalDiscount":"n","modifierFor":"o","skuCode":"p","barcode":"q"}]}}`,
		s.got()[0].form.Get("SaleData"))
}

func TestSaleDataNeedsWhatTheVendorRequires(t *testing.T) {
	s := newServer(t, started(t))
	till := s.client(t).Register(registerID)
	_, err := till.WithSale(smartconnect.SaleData{
		LineItems: []smartconnect.LineItem{{Categories: []smartconnect.Category{{}}}},
	}).Purchase(t.Context(), decimal.NewFromInt(5))
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "SaleData lacks TotalAmount, TotalTax, LineItems[0].ProductName, LineItems[0].Quantity, "+
		"LineItems[0].UnitPrice, LineItems[0].UnitTax, LineItems[0].TotalPrice, LineItems[0].TotalTax, LineItems[0].Categories[0].CategoryName")
	year := sale()
	year.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = till.WithSale(year).Purchase(t.Context(), decimal.NewFromInt(5))
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Empty(t, s.got())
	_, err = till.WithSale(smartconnect.SaleData{TotalAmount: "5", TotalTax: "0"}).Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	require.JSONEq(t, `{"version":"1.0.0","saleData":{"totalAmount":"5","totalTax":"0"}}`, s.got()[0].form.Get("SaleData"))
}
