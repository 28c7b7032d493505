package testserver

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// restRoutes lists the operations of the REST API with the scopes that they need.
func (s *XSeries) restRoutes() []xRoute {
	cursor := []string{"after", "before", "page_size"}
	withDeleted := append(slices.Clone(cursor), "deleted")
	return []xRoute{
		{http.MethodGet, "outlets", []string{"outlets:read"}, withDeleted, s.listOutlets},
		{http.MethodGet, "outlets/{id}", []string{"outlets:read"}, nil, s.getOutlet},
		{http.MethodGet, "registers", []string{"registers:read"}, withDeleted, s.listRegisters},
		{http.MethodGet, "registers/{id}", []string{"registers:read"}, nil, s.getRegister},
		{http.MethodPut, "registers/{id}/actions/open", []string{"register:open"}, nil, s.openRegister},
		{http.MethodPut, "registers/{id}/actions/close", []string{"register:close", "payment_types:read"}, nil, s.closeRegister},
		{http.MethodGet, "registers/{id}/payments_summary", []string{"payments:read"}, nil, s.paymentsSummary},
		{http.MethodGet, "payment_types", []string{"payment_types:read"}, append(slices.Clone(withDeleted), "outlet_id", "currency", "only_lspay"), s.listPaymentTypes},
		{http.MethodGet, "retailer", []string{"retailer:read", "payment_types:read"}, nil, s.getRetailer},
		{http.MethodGet, "sales", []string{"sales:read"}, cursor, s.listSales},
		{http.MethodGet, "sales/{id}", []string{"sales:read"}, nil, s.getSale},
		// Which scope it needs is a judgment.
		{http.MethodGet, "payments/{id}", []string{"payments:read"}, nil, s.getPayment},
	}
}

// wrapped is the envelope of one object.
type wrapped struct {
	Data any `json:"data"`
}

// versionRange are the lowest and the highest version of a page, null when it is empty.
type versionRange struct {
	Max *int64 `json:"max"`
	Min *int64 `json:"min"`
}

// versioned is one item of a collection, with what the pager must know.
type versioned struct {
	version int64
	deleted bool
	item    any
}

// page answers with one page of a collection, ascending by version.
// after is exclusive; before too, which is a judgment.
func (s *XSeries) page(x *exchange, items []versioned) {
	q := x.r.URL.Query()
	limits := map[string]int64{"after": 0, "before": 0, "page_size": int64(s.opts.PageSize)}
	for key := range limits {
		text := q.Get(key)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			x.violate("query parameter %s is %q, must be a whole number", key, text)
			x.fail(http.StatusBadRequest, textBadRequest) // judgment
			return
		}
		limits[key] = n
	}
	size := limits["page_size"]
	if size == 0 || size > int64(s.opts.PageSize) {
		size = int64(s.opts.PageSize)
	}
	slices.SortFunc(items, func(a, b versioned) int { return cmp.Compare(a.version, b.version) })
	out := struct {
		Data    []any        `json:"data"`
		Version versionRange `json:"version"`
	}{Data: []any{}}
	for i := range items {
		one := &items[i]
		if one.deleted && q.Get("deleted") != "true" || one.version <= limits["after"] ||
			limits["before"] > 0 && one.version >= limits["before"] || int64(len(out.Data)) == size {
			continue
		}
		out.Data = append(out.Data, one.item)
		if out.Version.Min == nil {
			out.Version.Min = &one.version
		}
		out.Version.Max = &one.version
	}
	x.json(http.StatusOK, out)
}

// missing answers 404. The vendor's example is "user not found"; the other nouns follow it by judgment.
func missing(x *exchange, noun string) {
	x.fail(http.StatusNotFound, noun+" not found")
}

func (s *XSeries) listOutlets(x *exchange, _ xCall) {
	var items []versioned
	for _, o := range s.shop.outlets {
		items = append(items, versioned{version: o.Version, item: o})
	}
	s.page(x, items)
}

func (s *XSeries) getOutlet(x *exchange, c xCall) {
	for _, o := range s.shop.outlets {
		if o.ID == c.id {
			x.json(http.StatusOK, wrapped{o})
			return
		}
	}
	missing(x, "outlet")
}

func (s *XSeries) listRegisters(x *exchange, _ xCall) {
	var items []versioned
	for _, r := range s.shop.registers {
		items = append(items, versioned{version: r.Version, deleted: r.DeletedAt != "", item: *r})
	}
	s.page(x, items)
}

func (s *XSeries) getRegister(x *exchange, c xCall) {
	if r := s.shop.register(c.id); r != nil {
		x.json(http.StatusOK, wrapped{*r})
		return
	}
	missing(x, "register")
}

// openRegister opens a register. Opening an open one changes nothing, by judgment.
func (s *XSeries) openRegister(x *exchange, c xCall) {
	r := s.shop.register(c.id)
	if r == nil || r.DeletedAt != "" {
		missing(x, "register")
		return
	}
	var body struct {
		RegisterOpenTime string `json:"register_open_time"`
	}
	if !x.decode(&body) {
		return
	}
	opened := s.engine.now()
	if body.RegisterOpenTime != "" {
		at, err := time.Parse(time.RFC3339, body.RegisterOpenTime)
		if err != nil {
			x.violate("register_open_time is %q, must be RFC 3339", body.RegisterOpenTime)
			x.fail(http.StatusBadRequest, textBadRequest)
			return
		}
		opened = at
	}
	if !r.IsOpen {
		r.IsOpen, r.RegisterCloseTime = true, ""
		r.RegisterOpenTime = opened.UTC().Format(xTime)
		r.RegisterOpenSequenceID = newID()
		r.Version = s.shop.next()
	}
	x.json(http.StatusOK, wrapped{*r})
}

// closeRegister closes a register. Closing a closed one changes nothing, by judgment.
func (s *XSeries) closeRegister(x *exchange, c xCall) {
	r := s.shop.register(c.id)
	if r == nil || r.DeletedAt != "" {
		missing(x, "register")
		return
	}
	var body struct {
		Payments []struct {
			PaymentTypeID string `json:"payment_type_id"`
			Total         string `json:"total"`
		} `json:"payments"`
	}
	if !x.decode(&body) {
		return
	}
	for _, p := range body.Payments {
		_, err := decimal.NewFromString(p.Total)
		if err != nil || !slices.ContainsFunc(s.shop.paymentTypes, func(t paymentType) bool { return t.ID == p.PaymentTypeID }) {
			x.violate("payments: payment type %q with total %q", p.PaymentTypeID, p.Total)
			x.fail(http.StatusBadRequest, textBadRequest)
			return
		}
	}
	if r.IsOpen {
		opened, id := r.RegisterOpenTime, r.RegisterOpenSequenceID
		r.IsOpen, r.RegisterOpenTime, r.RegisterOpenSequenceID = false, "", ""
		r.RegisterCloseTime = s.engine.now().UTC().Format(xTime)
		r.Version = s.shop.next()
		r.closures++
		s.event(eventClosureCreate, closure(r, id, opened))
	}
	x.json(http.StatusOK, wrapped{*r})
}

// paymentsSummary sums the payments of a register since it was opened.
func (s *XSeries) paymentsSummary(x *exchange, c xCall) {
	r := s.shop.register(c.id)
	if r == nil || r.DeletedAt != "" {
		missing(x, "register")
		return
	}
	type line struct {
		Name  string `json:"payment_type_name"`
		Total string `json:"total"`
		ID    string `json:"payment_type_id"`
	}
	opened, err := time.Parse(xTime, r.RegisterOpenTime)
	cash, card := decimal.Zero, decimal.Zero
	for _, one := range s.shop.sales {
		for _, p := range one.payments {
			if p.RegisterID != r.ID || err != nil || p.Time.Before(opened) {
				continue
			}
			if p.Cash {
				cash = cash.Add(p.Amount)
			} else {
				card = card.Add(p.Amount)
			}
		}
	}
	x.json(http.StatusOK, wrapped{struct {
		Opened   string `json:"register_open_time"`
		Sequence int    `json:"register_closure_sequence_number"`
		Closure  string `json:"register_closure_id"`
		Payments []line `json:"payments"`
	}{
		r.RegisterOpenTime, r.closures + 1, r.RegisterOpenSequenceID,
		[]line{{"Cash", cash.StringFixed(2), paymentTypeCash}, {"Credit Card", card.StringFixed(2), paymentTypeCard}},
	}})
}

// listPaymentTypes has few fields in version 2.0 and more in the date versions.
func (s *XSeries) listPaymentTypes(x *exchange, c xCall) {
	var items []versioned
	for _, t := range s.shop.paymentTypes {
		item := map[string]any{"id": t.ID, "name": t.Name, "type_id": t.TypeID, "version": t.Version}
		if t.Gateway && s.gateway != "" {
			item["config"] = map[string]any{"url": s.gateway, "print": true}
		}
		if !c.legacy {
			item["disabled"], item["internal"], item["gateway"] = false, t.Internal, t.Gateway
		}
		items = append(items, versioned{version: t.Version, item: item})
	}
	s.page(x, items)
}

func (s *XSeries) getRetailer(x *exchange, _ xCall) {
	x.json(http.StatusOK, wrapped{map[string]any{
		"id": retailerID, "name": "Simulated Store", "domain_prefix": s.opts.DomainPrefix,
		"store_url": s.opts.Origin, "country": "NZ", "timezone": "Pacific/Auckland", "tax_exclusive": false,
		"currency":   map[string]string{"code": "NZD", "symbol": "$"},
		"version":    "6954012", // a string, unlike all other versions
		"created_at": "2014-06-11T01:02:03Z", "activated_at": "2014-06-12T01:02:03Z",
	}})
}

// listSales shows a sale from its first payment on: before, it exists on the sell screen only.
func (s *XSeries) listSales(x *exchange, c xCall) {
	var items []versioned
	for _, one := range s.shop.sales {
		if len(one.payments) > 0 {
			items = append(items, versioned{version: one.version, item: s.saleJSON(one, c)})
		}
	}
	s.page(x, items)
}

func (s *XSeries) getSale(x *exchange, c xCall) {
	if one := s.shop.sale(c.id); one != nil && len(one.payments) > 0 {
		x.json(http.StatusOK, wrapped{s.saleJSON(one, c)})
		return
	}
	missing(x, "sale")
}

// saleJSON writes a sale in the shape of the API version.
func (s *XSeries) saleJSON(one *sale, c xCall) map[string]any {
	if c.legacy {
		return s.sale20(one)
	}
	return s.saleDated(one)
}

// sale20 is the sale of version 2.0. A sale that is not paid in full is SAVED, by judgment.
func (s *XSeries) sale20(one *sale) map[string]any {
	status := "SAVED"
	if one.closed() {
		status = "CLOSED"
	}
	payments := []map[string]any{}
	for _, p := range one.payments {
		payments = append(payments, s.payment20(one, p))
	}
	lines := []map[string]any{}
	for i, l := range one.lines {
		quantity, price, tax := number(l.Quantity), number(l.price()), number(l.tax())
		unitPrice, unitTax := number(l.unitPrice()), number(l.unitTax())
		lines = append(lines, map[string]any{
			"id": l.id, "product_id": l.productID, "tax_id": taxID, "quantity": quantity,
			"discount": 0, "discount_total": 0, "price": unitPrice, "price_total": price, "tax": unitTax, "tax_total": tax,
			"cost": 0, "cost_total": 0, "loyalty_value": 0, "price_set": false, "status": "CONFIRMED", "sequence": i,
			"tax_components": []any{map[string]any{"rate_id": taxRateID, "total_tax": tax}},
			"unit_cost":      0, "unit_discount": 0, "unit_loyalty_value": 0, "unit_price": unitPrice, "unit_tax": unitTax,
			"total_cost": 0, "total_discount": 0, "total_loyalty_value": 0, "total_price": price, "total_tax": tax,
			"is_return": l.Quantity.IsNegative(),
		})
	}
	tax := number(one.tax())
	return map[string]any{
		"id": one.id, "outlet_id": one.outletID, "register_id": one.registerID, "user_id": userID,
		"invoice_number": one.invoiceNumber, "receipt_number": one.invoiceNumber, "status": status, "note": "",
		"short_code": one.shortCode, "total_price": number(one.price()), "total_tax": tax, "total_loyalty": 0, "customer_id": textOrNull(one.customerID),
		"created_at": one.created.Format(xTime), "updated_at": one.updated.Format(xTime), "sale_date": one.created.Format(xTime),
		"line_items": lines,
		"payments":   payments, "version": one.version, "adjustments": []any{},
		"taxes": []any{map[string]any{"amount": tax, "id": taxRateID}},
	}
}

// payment20 is the payment of version 2.0.
func (s *XSeries) payment20(one *sale, p SalePayment) map[string]any {
	kind := s.shop.paidBy(p)
	return map[string]any{
		"id": p.ID, "register_id": p.RegisterID, "outlet_id": one.outletID,
		"retailer_payment_type_id": kind.ID, "payment_type_id": strconv.Itoa(kind.TypeID), "name": kind.Name,
		"amount": number(p.Amount), "payment_date": p.Time.Format(xTime), "deleted_at": nil,
		"source_id": textOrNull(p.TransactionID), "external_attributes": []any{},
	}
}

// getPayment answers with one payment, which version 2.0 alone has.
func (s *XSeries) getPayment(x *exchange, c xCall) {
	if !c.legacy {
		x.violate("no such operation in a date version: GET payments/{id}")
		x.fail(http.StatusNotFound, textRouteUnknown)
		return
	}
	for _, one := range s.shop.sales {
		for _, p := range one.payments {
			if p.ID == c.id {
				payment := s.payment20(one, p)
				payment["fee"] = nil
				x.json(http.StatusOK, wrapped{payment})
				return
			}
		}
	}
	missing(x, "payment")
}

// saleDated is the sale of the date versions. A sale that is not paid in full is parked, by judgment.
func (s *XSeries) saleDated(one *sale) map[string]any {
	state := "parked"
	if one.closed() {
		state = "closed"
	}
	openSequence := ""
	if r := s.shop.register(one.registerID); r != nil {
		openSequence = r.RegisterOpenSequenceID
	}
	payments := []map[string]any{}
	for _, p := range one.payments {
		kind := s.shop.paidBy(p)
		payments = append(payments, map[string]any{
			"id": p.ID, "amount": number(p.Amount), "date": p.Time.Format(xTime),
			"type": map[string]any{"config_id": kind.ID, "id": strconv.Itoa(kind.TypeID), "name": kind.Name},
			// That ACCEPT's transaction_id arrives here is very likely, but the vendor does not say so.
			"source":              map[string]any{"id": textOrNull(p.TransactionID), "outlet_id": one.outletID, "register_id": p.RegisterID},
			"external_attributes": []any{}, "external_applications": []any{},
			"_metadata": map[string]any{"register_open_sequence_id": openSequence},
		})
	}
	lines := []map[string]any{}
	for _, l := range one.lines {
		lines = append(lines, map[string]any{
			"id": l.id, "product": map[string]any{"id": l.productID}, "quantity": number(l.Quantity), "status": "CONFIRMED",
			"pricing": map[string]any{"price": number(l.unitPrice()), "total": number(l.price())},
			"tax":     map[string]any{"id": taxID, "amount": number(l.unitTax()), "total": number(l.tax())},
			"return":  map[string]any{"is_return": l.Quantity.IsNegative()},
		})
	}
	tax := number(one.tax())
	out := map[string]any{
		"id": one.id, "state": state, "date": one.created.Format(xTime),
		"created_at": one.created.Format(xTime), "updated_at": one.updated.Format(xTime),
		"invoice_number": one.invoiceNumber, "receipt_number": one.invoiceNumber, "short_code": one.shortCode, "note": "",
		"source": map[string]any{
			"id": one.id, "author": map[string]any{"id": userID}, "outlet_id": one.outletID, "register_id": one.registerID,
		},
		"totals": map[string]any{
			"price": number(one.price()), "tax": tax, "price_incl_tax": number(one.total), "loyalty": 0, "surcharge": 0,
		},
		"line_items": lines,
		"payments":   payments, "adjustments": []any{}, "taxes": []any{map[string]any{"id": taxRateID, "tax": tax}},
		"_metadata": map[string]any{"version": one.version},
	}
	if one.customerID != "" {
		out["customer_id"] = one.customerID // by judgment left out for a sale without one
	}
	return out
}

// textOrNull is null for "".
func textOrNull(s string) any {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	return s
}
