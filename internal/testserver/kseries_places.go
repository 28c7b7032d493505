package testserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// The business locations. The first is that of the vendor's examples, and has the tables; the other has none.
const (
	KSeriesLocation      int64 = 45454565682155
	KSeriesOtherLocation int64 = 45454565682156

	businessID        int64 = 454335871
	businessName            = "My Awesome Business"
	locationName            = "My Awesome Business - Location 1"
	otherLocationName       = "My Awesome Business - Location 2"
	lunchMenuID       int64 = 141948669132851
	posID             int64 = 54321
	posDeviceID       int64 = 12345678980
)

// KSeriesProduct is something that the restaurant sells.
type KSeriesProduct struct {
	SKU   string          `json:"sku"`
	Name  string          `json:"name"`
	Price decimal.Decimal `json:"price"` // with tax
	Group string          `json:"group"`
}

// Products lists what the restaurant sells.
func (*KSeries) Products() []KSeriesProduct {
	return []KSeriesProduct{
		{"20001", "Soup of the day", decimal.New(650, -2), "Food"},
		{"20002", "Burger", decimal.New(1490, -2), "Food"},
		{"20003", "Salad", decimal.New(1120, -2), "Food"},
		{"20004", "Apple tart", decimal.New(600, -2), "Food"},
		{"30001", "House wine", decimal.New(550, -2), "Drinks"},
		{"30002", "Water", decimal.New(320, -2), "Drinks"},
		{"30003", "Espresso", decimal.New(250, -2), "Drinks"},
	}
}

// product finds what has a SKU.
func (k *KSeries) product(sku string) (KSeriesProduct, bool) {
	all := k.Products()
	i := slices.IndexFunc(all, func(p KSeriesProduct) bool { return p.SKU == sku })
	if i < 0 {
		return KSeriesProduct{}, false
	}
	return all[i], true
}

// kTable is a table as the API has it.
type kTable struct {
	Number             int    `json:"number"`
	Reference          string `json:"reference"`
	ID                 string `json:"id"`
	Active             bool   `json:"active"`
	Description        string `json:"description"`
	DefaultClientCount int    `json:"defaultClientCount"`
}

type kFloorPlan struct {
	ID     int64    `json:"id"`
	Name   string   `json:"name"`
	Tables []kTable `json:"tables,omitempty"`
}

// floorPlans lists the floors of the restaurant with their tables.
func floorPlans() []kFloorPlan {
	plans := []kFloorPlan{{ID: 141948669132976, Name: "Terrace"}, {ID: 141948669133076, Name: "Dining room"}}
	for n := range 8 {
		plan := &plans[n/4]
		plan.Tables = append(plan.Tables, kTable{
			Number: n + 1, Reference: "table-" + strconv.Itoa(n+1), ID: strconv.FormatInt(plan.ID+int64(n%4)+1, 10), Active: true,
			Description: "Table " + strconv.Itoa(n+1), DefaultClientCount: 4,
		})
	}
	return plans
}

func knownTable(number int) bool {
	return slices.ContainsFunc(floorPlans(), func(p kFloorPlan) bool {
		return slices.ContainsFunc(p.Tables, func(t kTable) bool { return t.Number == number })
	})
}

// kStaff is somebody at the point of sale.
type kStaff struct {
	ID                 int64  `json:"staffId"`
	Username           string `json:"username"`
	FirstName          string `json:"firstName"`
	LastName           string `json:"lastName"`
	Active             bool   `json:"active"`
	BusinessID         int64  `json:"businessId"`
	BusinessLocationID int64  `json:"businessLocationId"`
	CreatedOn          string `json:"createdOn"`
}

func staffList() []kStaff {
	list := []kStaff{
		{ID: 42, Username: "jane", FirstName: "Jane", LastName: "Smith", Active: true},
		{ID: 43, Username: "sam", FirstName: "Sam", LastName: "Jones", Active: true},
		{ID: 44, Username: "kim", FirstName: "Kim", LastName: "Brown"},
	}
	for i := range list {
		list[i].BusinessID, list[i].BusinessLocationID, list[i].CreatedOn = businessID, KSeriesLocation, "2024-05-06T07:08:09"
	}
	return list
}

// staffName is who has an ID, "" if nobody who works.
func staffName(id int64) string {
	for _, s := range staffList() {
		if s.ID == id && s.Active {
			return s.FirstName + " " + s.LastName
		}
	}
	return ""
}

// kMethod is a payment method as the Financial API has it.
type kMethod struct {
	Name string `json:"name"`
	Code string `json:"code"`
	ID   int64  `json:"pmId"`
}

// methodDefault is what is taken for a payment that names no method. The vendor's examples suggest it.
const methodDefault = "APM"

func paymentMethods() []kMethod {
	return []kMethod{
		{"Cash", "CASH", 1234567890}, {"Card", "CARD", 1234567891}, {"API Payment", methodDefault, 1234567892}, {"Online payment", "OOPAYMENT", 1234567893},
	}
}

// methodName is the name of a payment method, "" for none.
func methodName(code string) string {
	for _, m := range paymentMethods() {
		if m.Code == code {
			return m.Name
		}
	}
	return ""
}

// KSeriesStock is how much there is of a product that is counted.
type KSeriesStock struct {
	SKU   string    `json:"sku"`
	Count int64     `json:"count"`
	Time  time.Time `json:"time"`
}

// KSeriesMessage is a message that was shown at the point of sale, and printed.
type KSeriesMessage struct {
	Text    string    `json:"text"`
	Printed bool      `json:"printed"`
	Time    time.Time `json:"time"`
}

// placeRoutes lists the operations on what does not change, or is not paid.
func (k *KSeries) placeRoutes() []kRoute {
	at := []string{"businessLocationId"}
	get := func(path, scope string, query []string, do func(c *kCall) (any, error)) kRoute {
		return kRoute{http.MethodGet, path, scope, query, do}
	}
	return []kRoute{
		get("o/op/data/businesses", scopeOrders, nil, k.businesses),
		get("o/op/data/{bl}/floorplans", scopeOrders, []string{"expandTables"}, k.floorPlansCall),
		get("o/op/data/{bl}/floorplans/{plan}/tables", scopeOrders, nil, k.tablesCall),
		get("o/op/data/account-profiles", scopeOrders, at, k.profiles),
		get("o/op/data/{bl}/account-profiles/tagcode/{code}", scopeOrders, nil, k.profile),
		get("o/op/1/menu/list", scopeOrders, at, k.menus),
		get("o/op/2/menu/load/{menu}", scopeOrders, []string{"businessLocationId", "accountProfile", "richContent"}, k.menu),
		get("o/op/1/menu/modifiers", scopeOrders, at, k.modifiers),
		get("o/op/1/menu/discounts", scopeOrders, at, k.discounts),
		{http.MethodPost, "o/op/1/itemAvailability", scopeOrders, []string{"businessLocationId", "page", "size"}, k.availability},
		get("o/op/1/onlineOrderReadiness", scopeOrders, at, k.readinessCall),
		{http.MethodPost, "o/op/1/printMsg", scopeOrders, at, k.print},
		get("f/data/businesses", scopeFinance, []string{"page", "size"}, k.financeBusinesses),
		get("f/finance/{bl}/paymentMethods", scopeFinance, nil, k.methods),
		get("staff/v1/businessLocations/{bl}/userTypes/POS", scopeStaff, []string{"page", "size", "isActive", "startDate", "endDate"}, k.staff),
		get("staff/v1/businessLocations/{bl}/staff/{staff}", scopeStaff, nil, k.member),
	}
}

func (*KSeries) businesses(*kCall) (any, error) {
	return []any{map[string]any{"name": businessName, "id": businessID, "businessLocations": []any{
		map[string]any{"id": KSeriesLocation, "name": locationName}, map[string]any{"id": KSeriesOtherLocation, "name": otherLocationName},
	}}}, nil
}

// floorPlansCall lists the floors: 404 if there are none, as documented. The text is a judgment, like those of all that is not
// found here.
func (*KSeries) floorPlansCall(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	if location != KSeriesLocation {
		return nil, kRefuse(http.StatusNotFound, "no floor plans found for BL %d", location)
	}
	plans := floorPlans()
	if c.r.URL.Query().Get("expandTables") != "true" {
		for i := range plans {
			plans[i].Tables = nil
		}
	}
	return plans, nil
}

func (*KSeries) tablesCall(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	plan, err := c.number("plan")
	if err != nil {
		return nil, err
	}
	for _, p := range floorPlans() {
		if location == KSeriesLocation && p.ID == plan {
			return p.Tables, nil
		}
	}
	return nil, kRefuse(http.StatusNotFound, "floor plan %d not found for BL %d", plan, location)
}

// kProfile is an order profile.
type kProfile struct {
	ID           int64  `json:"id"`
	Code         string `json:"code"`
	Name         string `json:"name"`
	DeliveryMode string `json:"deliveryMode"`
}

func profiles(location int64) []kProfile {
	if location != KSeriesLocation {
		return []kProfile{}
	}
	return []kProfile{{12454575601144, "takeaway", "Takeaway", "TAKE_AWAY"}, {12454575601145, "delivery", "Delivery", "DELIVERY"}}
}

func (*KSeries) profiles(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	return map[string]any{"businessLocationId": location, "accountProfileList": profiles(location)}, nil
}

func (*KSeries) profile(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	for _, p := range profiles(location) {
		if p.Code == c.vars["code"] {
			return p, nil
		}
	}
	return nil, kRefuse(http.StatusNotFound, "account profile %s not found for BL %d", c.vars["code"], location)
}

func (*KSeries) menus(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil || location != KSeriesLocation {
		return []any{}, err
	}
	return []any{map[string]any{"menuName": "Lunch Menu", "ikentooMenuId": lunchMenuID}}, nil
}

// menu answers with a menu of version 2, as far as its fields are known.
func (k *KSeries) menu(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	id, err := c.number("menu")
	if err != nil {
		return nil, err
	}
	if location != KSeriesLocation || id != lunchMenuID {
		return nil, kRefuse(http.StatusNotFound, "menu %d not found for BL %d", id, location)
	}
	var groups []any
	for _, group := range []string{"Food", "Drinks"} {
		var items []any
		for _, p := range k.Products() {
			if p.Group == group {
				items = append(items, map[string]any{
					"@type": "menuItem", "productName": p.Name, "productPrice": json.Number(p.Price.StringFixed(2)), "sku": p.SKU,
					"taxIncludedInPrice": true, "asSubItem": false,
				})
			}
		}
		groups = append(groups, map[string]any{"@type": "group", "name": group, "menuEntry": items})
	}
	return map[string]any{"menuName": "Lunch Menu", "ikentooMenuId": id, "menuEntryGroups": groups}, nil
}

// modifiers answers with the vendor's example, misspelling included.
func (*KSeries) modifiers(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil || location != KSeriesLocation {
		return []any{}, err
	}
	return []any{map[string]any{
		"multiSelectionPermitted": false, "productionInstructionGroupName": "Meat cooking", "productionIntructionGroupId": 236025632784487,
		"productionInstructionList": []any{
			map[string]any{"instruction": "Bleu", "ikentooModifierId": 236025632784488},
			map[string]any{"instruction": "Rare", "ikentooModifierId": 236025632784490},
		},
	}}, nil
}

func (*KSeries) discounts(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil || location != KSeriesLocation {
		return []any{}, err
	}
	return []any{
		map[string]any{"name": "Free", "code": "FREE", "discountPercentage": json.Number("100.0")},
		map[string]any{"name": "Ten Euros Off", "code": "TEN_OFF", "discountAmount": json.Number("10.0")},
	}, nil
}

// page reads where a page begins and ends.
func (c *kCall) page(first, size, most int) (page, from, length int, err error) {
	page, length = first, size
	for name, at := range map[string]*int{"page": &page, "size": &length} {
		if text := c.r.URL.Query().Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				c.violate("query parameter %s is %q, must be a number", name, text)
				return 0, 0, 0, kRefuse(http.StatusBadRequest, "Failed to convert value of type 'java.lang.String' to required type 'int'")
			}
			*at = n
		}
	}
	if length < 1 || length > most || page < first {
		c.violate("page %d of size %d: pages begin with %d and have up to %d", page, length, first, most)
		length, page = min(max(length, 1), most), max(page, first)
	}
	return page, (page - first) * length, length, nil
}

// slicePage is what of a list is on a page.
func slicePage[T any](list []T, from, length int) []T {
	from = min(from, len(list))
	return list[from:min(from+length, len(list))]
}

// availability answers for the items that are counted.
func (k *KSeries) availability(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	var body struct {
		SKUs []string `json:"skus"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if len(body.SKUs) == 0 || len(body.SKUs) > 50 {
		return nil, kInvalid("itemAvailabilityRequest", []kWrong{{"Size", "skus", "java.util.List", "size must be between 1 and 50"}})
	}
	page, from, length, err := c.page(0, 25, 100)
	if err != nil {
		return nil, err
	}
	found := []any{}
	for _, s := range k.world.Stock {
		if location == KSeriesLocation && slices.Contains(body.SKUs, s.SKU) {
			found = append(found, map[string]any{"sku": s.SKU, "count": s.Count, "updatedAt": s.Time.UTC().Format(time.RFC3339)})
		}
	}
	return map[string]any{"data": slicePage(found, from, length), "metadata": map[string]any{
		"warnings": []any{}, "current": map[string]any{"page": page, "pageSize": length},
		"total": len(found), "totalPages": (len(found) + length - 1) / length,
	}}, nil
}

// SetStock counts a product. With none left it is restricted.
func (k *KSeries) SetStock(sku string, count int64) error {
	k.begin()
	defer k.mu.Unlock()
	if _, ok := k.product(sku); !ok {
		return refuse(http.StatusNotFound, "no product %q", sku)
	}
	s := KSeriesStock{SKU: sku, Count: count, Time: k.engine.now().UTC()}
	k.world.Stock = append(slices.DeleteFunc(k.world.Stock, func(other KSeriesStock) bool { return other.SKU == sku }), s)
	k.aboutItem(s)
	return nil
}

// readinessCall tells whether the location takes online orders.
func (k *KSeries) readinessCall(c *kCall) (any, error) {
	if _, err := c.location(); err != nil {
		return nil, err
	}
	return k.readiness(time.RFC3339Nano), nil
}

// readiness is the state of the point of sale: ready if all is.
func (k *KSeries) readiness(layout string) map[string]any {
	status := "NOT_READY"
	if k.world.POS == POSOnline {
		status = "READY"
	}
	return map[string]any{
		"status": status, "lastUpdatedAt": k.world.POSSince.UTC().Format(layout),
		"onlineOrderingApiConfiguration": map[string]any{"enabled": true, "orderProfileId": 12454575601144, "staffId": 42},
		"posStatus":                      map[string]any{"salesPeriod": "OPENED", "acceptingOnlineOrders": true, "availableDevices": k.world.POS == POSOnline},
	}
}

// print keeps a message. It is not said whether it was shown yet.
func (k *KSeries) print(c *kCall) (any, error) {
	if _, err := c.location(); err != nil {
		return nil, err
	}
	var body struct {
		Message       *string `json:"message"`
		AlsoToPrinter bool    `json:"alsoToPrinter"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if body.Message == nil {
		return nil, kInvalid("printMessage", []kWrong{{"NotNull", "message", "java.lang.String", "must not be null"}})
	}
	k.world.Messages = append(k.world.Messages, KSeriesMessage{Text: *body.Message, Printed: body.AlsoToPrinter, Time: k.engine.now().UTC()})
	k.notify()
	return map[string]string{"status": "ok"}, nil
}

// Messages returns the messages to the point of sale, in order.
func (k *KSeries) Messages() []KSeriesMessage {
	k.begin()
	defer k.mu.Unlock()
	return slices.Clone(k.world.Messages)
}

// financeBusinesses answers with the one business. Its link is malformed, as in the vendor's example.
func (k *KSeries) financeBusinesses(c *kCall) (any, error) {
	_, from, length, err := c.page(0, 20, 1000)
	if err != nil {
		return nil, err
	}
	place := func(id int64, name string) any {
		return map[string]any{"blName": name, "blID": id, "country": "LT", "timezone": "Europe/Vilnius"}
	}
	list := slicePage([]any{map[string]any{
		"businessName": businessName, "businessId": businessID, "currencyCode": k.opts.Currency,
		"businessLocations": []any{place(KSeriesLocation, locationName), place(KSeriesOtherLocation, otherLocationName)},
	}}, from, length)
	return embedded("businessList", list, "https:///api.ikentoo.com/data/businesses"), nil
}

// embedded wraps a list. An empty one is left out, which is usual in this form and a judgment.
func embedded[T any](name string, list []T, link string) map[string]any {
	answer := map[string]any{"_links": map[string]any{"self": map[string]string{"href": link}}}
	if len(list) > 0 {
		answer["_embedded"] = map[string]any{name: list}
	}
	return answer
}

func (*KSeries) methods(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	list := paymentMethods()
	if location != KSeriesLocation {
		list = nil
	}
	return embedded("paymentMethodList", list, "https:///api.ikentoo.com/finance/"+c.vars["bl"]+"/paymentMethodss"), nil
}

func (*KSeries) staff(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	page, from, length, err := c.page(1, 20, 100)
	if err != nil {
		return nil, err
	}
	active := c.r.URL.Query().Get("isActive")
	if active != "" && active != "true" && active != "false" {
		c.violate("query parameter isActive is %q, must be true or false", active)
	}
	list := slices.DeleteFunc(staffList(), func(s kStaff) bool {
		return location != KSeriesLocation || active != "" && strconv.FormatBool(s.Active) != active
	})
	return map[string]any{
		"data": map[string]any{"staff": slicePage(list, from, length)},
		"page": map[string]any{"page": page, "size": length, "totalElements": len(list), "totalPages": (len(list) + length - 1) / length},
	}, nil
}

func (*KSeries) member(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	for _, s := range staffList() {
		if location == KSeriesLocation && strconv.FormatInt(s.ID, 10) == c.vars["staff"] {
			return s, nil
		}
	}
	return nil, kRefuse(http.StatusNotFound, "staff %s not found", strings.TrimSpace(c.vars["staff"]))
}

// KSeriesTable is a table of the restaurant.
type KSeriesTable struct {
	Number    int    `json:"number"`
	Name      string `json:"name"`
	FloorPlan string `json:"floor_plan"`
}

// Tables lists the tables of [KSeriesLocation].
func (*KSeries) Tables() []KSeriesTable {
	var list []KSeriesTable
	for _, p := range floorPlans() {
		for _, t := range p.Tables {
			list = append(list, KSeriesTable{t.Number, t.Description, p.Name})
		}
	}
	return list
}
