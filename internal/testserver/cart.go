package testserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// shirtSKU is the vendor's example product, which every sale of one thing is about.
const shirtSKU = "10001"

// Cart is what a sale is about.
type Cart struct {
	Lines []Line `json:"lines"`
	// CustomerID is the customer's, "" for a sale without one.
	CustomerID string `json:"customer_id"`
	// Discount is sent as register_sale.discount just as it is; nil leaves it out. It must be a JSON object, whose
	// members the vendor's page does not show, and changes no amount: what the cashier takes off is in the prices.
	Discount json.RawMessage `json:"discount"`
}

// Line is one line of a sale.
type Line struct {
	Name string `json:"name"`
	SKU  string `json:"sku"`
	// Quantity is how many, negative for a refund.
	Quantity decimal.Decimal `json:"quantity"`
	// UnitPrice is the price of one, with tax, and never negative.
	UnitPrice decimal.Decimal `json:"unit_price"`
}

// Total is what the cart costs, with tax. Every line is rounded to cents.
func (c Cart) Total() decimal.Decimal {
	sum := decimal.Zero
	for _, l := range c.Lines {
		sum = sum.Add(l.Total())
	}
	return sum
}

// Total is what the line costs, with tax, in cents; negative for a refund.
func (l Line) Total() decimal.Decimal {
	return l.Quantity.Mul(l.UnitPrice).Round(2)
}

// check reports what is wrong with a cart.
func (c Cart) check() error {
	if len(c.Lines) == 0 {
		return errors.New("testserver: the cart is empty: add a line with name, sku, quantity and unit_price")
	}
	for i, l := range c.Lines {
		switch {
		case l.Name == "":
			return fmt.Errorf("testserver: line %d of the cart has no name", i+1)
		case l.Quantity.IsZero():
			return fmt.Errorf("testserver: line %d of the cart (%s) has the quantity 0", i+1, l.Name)
		case l.UnitPrice.IsNegative():
			return fmt.Errorf("testserver: line %d of the cart (%s) has the unit price %s, must not be negative: a refund has a negative quantity",
				i+1, l.Name, l.UnitPrice)
		}
	}
	if c.Discount != nil && (!json.Valid(c.Discount) || !strings.HasPrefix(strings.TrimSpace(string(c.Discount)), "{")) {
		return fmt.Errorf("testserver: the discount must be a JSON object, not %s", c.Discount)
	}
	return checkAmount(c.Total())
}

// sold makes the lines of a sale.
func (c Cart) sold() []saleLine {
	lines := make([]saleLine, 0, len(c.Lines))
	for _, l := range c.Lines {
		product := productID
		if l.SKU != shirtSKU {
			product = uuid.NewSHA1(uuid.NameSpaceOID, []byte(l.SKU+"\n"+l.Name)).String() // the same product at every sale
		}
		lines = append(lines, saleLine{Line: l, id: newID(), productID: product})
	}
	return lines
}

// saleLine is a line of a sale in the books.
type saleLine struct {
	Line

	id, productID string
}

// beforeTax takes the tax out of a price: the simulated store has one of 15 %, included in the price.
func beforeTax(d decimal.Decimal) decimal.Decimal {
	return d.DivRound(decimal.New(115, -2), 5)
}

// unitPrice and unitTax split the price of one.
func (l saleLine) unitPrice() decimal.Decimal { return beforeTax(l.UnitPrice) }
func (l saleLine) unitTax() decimal.Decimal   { return l.UnitPrice.Sub(l.unitPrice()) }

// price and tax split the price of the line.
func (l saleLine) price() decimal.Decimal { return beforeTax(l.Total()) }
func (l saleLine) tax() decimal.Decimal   { return l.Total().Sub(l.price()) }
