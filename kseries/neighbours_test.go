package kseries_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
)

func at() url.Values { return url.Values{"businessLocationId": {"45454565682155"}} }

// neighbour is a call, what it sends, and what it makes of the answer.
type neighbour struct {
	call         func(context.Context, *kseries.Client) (any, error)
	method, path string
	query        url.Values
	body         string
	answer       string
	want         any
	// empty are other answers with nothing in them, and odd ones that are none.
	empty, odd []string
}

func neighbours(t *testing.T) map[string]neighbour {
	t.Helper()
	table := kseries.Table{
		ID: "141948669132977", Number: 1, Reference: "abcdefg123456", Description: "Table 1", Active: true, DefaultClientCount: 4,
	}
	profile := kseries.Profile{ID: 12454575601144, Code: "takeaway", Name: "Takeaway", DeliveryMode: kseries.TakeAway}
	list := []string{`{}`, `[7]`, `[{}]`, `"x"`, `[{"id":[]}]`, ``, `<html>`}
	bowl := kseries.Staff{
		ID: 42, Username: "jo", FirstName: "Jo", LastName: "Bowl", Active: true, BusinessID: 7, BusinessLocationID: location,
		CreatedAt: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
	}
	const person = `{"staffId":"42","username":"jo","firstName":"Jo","lastName":"Bowl","active":"true","businessId":7,
		"businessLocationId":45454565682155,"createdOn":"2024-05-06T07:08:09"}`
	return map[string]neighbour{
		"Businesses.List": {
			call:   func(ctx context.Context, c *kseries.Client) (any, error) { return c.Businesses.List(ctx) },
			method: http.MethodGet, path: "/o/op/data/businesses", answer: fixture(t, "businesses_200.json"),
			want: []kseries.Business{{
				ID: 454335871, Name: "My Awesome Business",
				Locations: []kseries.BusinessLocation{{ID: location, Name: "My Awesome Business - Location 1"}},
			}},
			empty: []string{`[]`}, odd: list,
		},
		"Tables.FloorPlans": {
			call:   func(ctx context.Context, c *kseries.Client) (any, error) { return c.Tables.FloorPlans(ctx, location) },
			method: http.MethodGet, path: "/o/op/data/45454565682155/floorplans", query: url.Values{"expandTables": {"true"}},
			answer: fixture(t, "floorplans_200.json"),
			want:   []kseries.FloorPlan{{ID: 141948669132976, Name: "Terrace", Tables: []kseries.Table{table}}},
			empty:  []string{`[]`}, odd: list,
		},
		"Tables.List": {
			call: func(ctx context.Context, c *kseries.Client) (any, error) {
				return c.Tables.List(ctx, location, 141948669132976)
			},
			method: http.MethodGet, path: "/o/op/data/45454565682155/floorplans/141948669132976/tables",
			answer: `[{"number":"1","reference":"abcdefg123456","id":141948669132977,"active":"true","description":"Table 1","defaultClientCount":4}]`,
			want:   []kseries.Table{table}, empty: []string{`[]`}, odd: list,
		},
		"Menus.List": {
			call:   func(ctx context.Context, c *kseries.Client) (any, error) { return c.Menus.List(ctx, location) },
			method: http.MethodGet, path: "/o/op/1/menu/list", query: at(), answer: fixture(t, "menus_200.json"),
			want: []kseries.MenuName{{ID: 141948669132851, Name: "Lunch Menu"}}, empty: []string{`[]`}, odd: list,
		},
		"Menus.Modifiers": {
			call:   func(ctx context.Context, c *kseries.Client) (any, error) { return c.Menus.Modifiers(ctx, location) },
			method: http.MethodGet, path: "/o/op/1/menu/modifiers", query: at(), answer: fixture(t, "modifiers_200.json"),
			want: []kseries.ModifierGroup{{
				ID: 236025632784487, Name: "Meat cooking",
				Modifiers: []kseries.Modifier{{ID: 236025632784488, Name: "Bleu"}, {ID: 236025632784490, Name: "Rare"}},
			}},
			empty: []string{`[]`}, odd: []string{`{}`, `[7]`, `"x"`},
		},
		"Menus.Discounts": {
			call:   func(ctx context.Context, c *kseries.Client) (any, error) { return c.Menus.Discounts(ctx, location) },
			method: http.MethodGet, path: "/o/op/1/menu/discounts", query: at(), answer: fixture(t, "discounts_200.json"),
			want: []kseries.Discount{
				{Code: "FREE", Name: "Free", Percent: valid("100")}, {Code: "TEN_OFF", Name: "Ten Euros Off", Amount: valid("10")},
			},
			empty: []string{`[]`}, odd: list,
		},
		"Items.Availability": {
			call: func(ctx context.Context, c *kseries.Client) (any, error) {
				return c.Items.Availability(ctx, location, []string{"SKU1", "SKU2"})
			},
			method: http.MethodPost, path: "/o/op/1/itemAvailability", query: url.Values{"businessLocationId": {"45454565682155"}, "size": {"50"}},
			body: `{"skus":["SKU1","SKU2"]}`,
			answer: `{"data":[{"sku":"SKU1","count":50,"updatedAt":"2025-07-08T14:20:00Z"},{"sku":"SKU2","count":null}],
				"metadata":{"warnings":[{"information":"too old","type":"APP"}],"current":{"page":0,"pageSize":25},"total":2,"totalPages":1}}`,
			want: kseries.Availability{
				Stock: []kseries.Stock{
					{SKU: "SKU1", Count: new(int64(50)), UpdatedAt: time.Date(2025, 7, 8, 14, 20, 0, 0, time.UTC)}, {SKU: "SKU2"},
				},
				Warnings: []kseries.Warning{{Type: "APP", Information: "too old"}},
			},
			empty: []string{`{"data":[]}`}, odd: []string{`{}`, `{"data":null}`, `[]`, `{"data":{}}`},
		},
		"Profiles.List": {
			call:   func(ctx context.Context, c *kseries.Client) (any, error) { return c.Profiles.List(ctx, location) },
			method: http.MethodGet, path: "/o/op/data/account-profiles", query: at(), answer: fixture(t, "account_profiles_200.json"),
			want: []kseries.Profile{profile}, empty: []string{`{"accountProfileList":[]}`}, odd: []string{`{}`, `[]`, `{"accountProfileList":[{}]}`},
		},
		"Profiles.Get": {
			call: func(ctx context.Context, c *kseries.Client) (any, error) {
				return c.Profiles.Get(ctx, location, "take/away")
			},
			method: http.MethodGet, path: "/o/op/data/45454565682155/account-profiles/tagcode/take%2Faway",
			answer: `{"id":"12454575601144","code":"takeaway","name":"Takeaway","deliveryMode":"TAKE_AWAY"}`,
			want:   profile, odd: []string{`{}`, `[]`, `null`},
		},
		"Finance.Businesses": {
			call:   func(ctx context.Context, c *kseries.Client) (any, error) { return c.Finance.Businesses(ctx, 0) },
			method: http.MethodGet, path: "/f/data/businesses", query: url.Values{"page": {"0"}, "size": {"1000"}},
			answer: fixture(t, "financial_businesses_200.json"),
			want: []kseries.FinanceBusiness{{
				ID: 1234, Name: "My Business", Currency: "GBP",
				Locations: []kseries.FinanceLocation{{ID: 1234567890, Name: "My Business Location 1", Country: "GB", TimeZone: "Europe/London"}},
			}},
			empty: []string{`{"_links":{}}`, `{"_embedded":{"businessList":[]}}`, `{"_embedded":{}}`},
			odd:   []string{`{}`, `[]`, `{"_embedded":[]}`, `{"_embedded":{"businessList":[{}]}}`},
		},
		"Finance.PaymentMethods": {
			call: func(ctx context.Context, c *kseries.Client) (any, error) {
				return c.Finance.PaymentMethods(ctx, location)
			},
			method: http.MethodGet, path: "/f/finance/45454565682155/paymentMethods", answer: fixture(t, "payment_methods_200.json"),
			want:  []kseries.PaymentMethod{{ID: 1234567890, Name: "Cash", Code: "CASH", AccountingReference: "cash-payment"}},
			empty: []string{`{"_links":{}}`}, odd: []string{`{}`, `[]`, `{"_embedded":{"paymentMethodList":[{}]}}`},
		},
		"Staff.List": {
			call: func(ctx context.Context, c *kseries.Client) (any, error) {
				return c.Staff.List(ctx, location, kseries.StaffOptions{Page: 2, PageSize: 20, Active: new(true)})
			},
			method: http.MethodGet, path: "/staff/v1/businessLocations/45454565682155/userTypes/POS",
			query:  url.Values{"page": {"2"}, "size": {"20"}, "isActive": {"true"}},
			answer: `{"data":{"staff":[` + person + `]},"page":{"page":2,"size":20,"totalElements":50,"totalPages":3}}`,
			want:   kseries.StaffPage{Staff: []kseries.Staff{bowl}, Next: 3},
			empty:  []string{`{"data":{"staff":[]},"page":{"totalPages":9}}`}, odd: []string{`{}`, `[]`, `{"data":{}}`, `{"data":{"staff":[{}]}}`},
		},
		"Staff.Get": {
			call:   func(ctx context.Context, c *kseries.Client) (any, error) { return c.Staff.Get(ctx, location, 42) },
			method: http.MethodGet, path: "/staff/v1/businessLocations/45454565682155/staff/42", answer: person, want: bowl,
			odd: []string{`{}`, `[]`},
		},
	}
}

func TestNeighbours(t *testing.T) {
	for name, n := range neighbours(t) {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answer(http.StatusOK, n.answer))
			got, err := n.call(t.Context(), s.client(t))
			require.NoError(t, err)
			s.only(t, n.method, n.path, n.query, n.body)
			same(t, n.want, got)
			for _, text := range n.empty {
				_, err := n.call(t.Context(), newServer(t, answer(http.StatusOK, text)).client(t))
				require.NoError(t, err, text)
			}
			for _, text := range n.odd {
				_, err := n.call(t.Context(), newServer(t, answer(http.StatusOK, text)).client(t))
				require.ErrorIs(t, err, tillroute.ErrDecode, text)
				require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "it is a read: %s", text)
				require.ErrorContains(t, err, "kseries: "+name)
			}
			_, err = n.call(t.Context(), newServer(t, answer(http.StatusNotFound, "")).client(t))
			require.ErrorIs(t, err, tillroute.ErrNotFound)
			s = newServer(t, lost, answer(http.StatusOK, n.answer))
			_, err = n.call(t.Context(), s.client(t, persistent))
			require.NoError(t, err, "a read is repeated")
		})
	}
}

func TestNeighboursRefuseWhatCannotBeRight(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `[]`))
	client := s.client(t)
	for name, call := range map[string]func() error{
		"no SKUs": func() error { _, err := client.Items.Availability(t.Context(), location, nil); return err },
		"51 SKUs": func() error {
			_, err := client.Items.Availability(t.Context(), location, make([]string, 51))
			return err
		},
		"no location":     func() error { _, err := client.Menus.List(t.Context(), 0); return err },
		"no code":         func() error { _, err := client.Profiles.Get(t.Context(), location, ""); return err },
		"a negative page": func() error { _, err := client.Finance.Businesses(t.Context(), -1); return err },
		"another": func() error {
			_, err := client.Staff.List(t.Context(), location, kseries.StaffOptions{Page: -1})
			return err
		},
		"no message": func() error { return client.Messages.Print(t.Context(), location, "", true) },
	} {
		require.ErrorIs(t, call(), tillroute.ErrInvalid, name)
	}
	require.Empty(t, s.got())
}

func TestPrint(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"status":"ok"}`))
	require.NoError(t, s.client(t).Messages.Print(t.Context(), location, "Table 2 has paid", true))
	s.only(t, http.MethodPost, "/o/op/1/printMsg", at(), `{"message":"Table 2 has paid","alsoToPrinter":true}`)

	s = newServer(t, lost)
	err := s.client(t, persistent).Messages.Print(t.Context(), location, "Table 2 has paid", false)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Len(t, s.got(), 1, "nobody wants it twice")
}

func TestAllStaff(t *testing.T) {
	page := func(text string) http.HandlerFunc { return answer(http.StatusOK, text) }
	s := newServer(t, page(`{"data":{"staff":[{"staffId":1},{"staffId":2}]},"page":{"totalPages":3}}`),
		page(`{"data":{"staff":[{"staffId":3}]},"page":{"totalPages":3}}`), page(`{"data":{"staff":[]},"page":{"totalPages":4}}`))
	var ids []int64
	for person, err := range s.client(t).Staff.All(t.Context(), location, kseries.StaffOptions{}) {
		require.NoError(t, err)
		ids = append(ids, person.ID)
	}
	require.Equal(t, []int64{1, 2, 3}, ids)
	var queries []string
	for _, r := range s.got() {
		queries = append(queries, r.query)
	}
	require.Equal(t, []string{"page=1", "page=2", "page=3"}, queries)

	again := newServer(t, page(`{"data":{"staff":[{"staffId":1}]},"page":{"totalPages":2}}`), page(`{"data":{"staff":[{"staffId":2}]},"page":{"totalPages":2}}`),
		page(`{"data":{"staff":[{"staffId":1}]},"page":{"totalPages":2}}`), page(`{"data":{"staff":[{"staffId":2}]},"page":{"totalPages":2}}`))
	everybody := again.client(t).Staff.All(t.Context(), location, kseries.StaffOptions{})
	for range 2 {
		ids = nil
		for person, err := range everybody {
			require.NoError(t, err)
			ids = append(ids, person.ID)
		}
		require.Equal(t, []int64{1, 2}, ids, "it starts anew")
	}
	require.Equal(t, "page=1", again.got()[2].query)

	s = newServer(t, page(`{"data":{"staff":[{"staffId":1}]},"page":{"totalPages":2}}`), answer(http.StatusNotFound, ""))
	failed := 0
	for _, err := range s.client(t).Staff.All(t.Context(), location, kseries.StaffOptions{}) {
		if err != nil {
			failed++
		}
	}
	require.Equal(t, 1, failed)
	for _, err := range newServer(t, page(`{"data":{"staff":[{"staffId":1}]}}`)).client(t).Staff.All(t.Context(), location, kseries.StaffOptions{}) {
		require.NoError(t, err)
		break
	}
}

// menu is put together from the vendor's schema, with its spelling.
//
//nolint:misspell // see above.
const menu = `{"menuName":"Main Menu","ikentooMenuId":141948669132851,"richDataMissing":true,"conditionalTaxRules":"true","menuEntryGroups":[
	{"@type":"group","id":"141948669133028","name":"Mains","color":"blue","menuEntry":[
		{"@type":"menuItem","productName":"Burger","productPrice":10.0,"extraPrice":"1.99","color":"red","sku":"25","customItemNameEnabled":true,
			"pricingStrategy":"CUSTOMIZED_ITEM_PRICE_WILL_BE_POSTIVE","defaultTaxAmount":1.5,"defaultTaxPercentage":15.0,"taxIncludedInPrice":true,
			"conditionalTaxRules":true,"taxes":[{"description":"5% GST","amount":0.5,"percentage":5.0}],"asSubItem":true,
			"itemRichData":{"squareImageUrl":"s","rawImageUrl":"r","previewImageUrl":"p","containsAlcohol":true,"alcoholPercentage":13.0,
				"texts":[{"locale":"en","friendlyDisplayName":"Burger","description":"<p>b</p>"}],"allergenCodes":["mustard"]},
			"productionInstructionList":[{"multiSelectionPermitted":true,"productionInstructionGroupName":"Meat","productionIntructionGroupId":1,
				"productionInstructionList":[{"instruction":"Rare","ikentooModifierId":2}]}],
			"menuModifierGroups":[{"description":"Milk","sku":"30","mustSelectAnItem":true,"multiSelectionPermitted":true,"minimumSelection":0,
				"maximumSelection":null,"productModifiers":[{"@type":"menuProductModifier","productName":"Oat","productPrice":0.5,"sku":"31"}]}]},
		{"type":"menuDeal","productName":"Combo","sku":"40","menuDealGroups":[{"description":"Sides","maximumSelection":3,
			"items":[{"@type":"menuItem","productName":"Fries","sku":"41"}]}],"items":[{"@type":"menuItem","productName":"Cola","sku":"42"}]},
		{"@type":"group","name":"More","menuEntry":[{"@type":"somethingNew","name":"?"}]}]}]}`

func wantedMenu() kseries.Menu {
	return kseries.Menu{ID: 141948669132851, Name: "Main Menu", RichDataMissing: true, ConditionalTaxRules: true, Groups: []kseries.MenuEntry{{
		Type: kseries.MenuGroup, GroupID: "141948669133028", Name: "Mains", Color: "blue", Entries: []kseries.MenuEntry{
			{
				Type: kseries.MenuItem, Name: "Burger", Price: valid("10"), ExtraPrice: valid("1.99"), Color: "red", SKU: "25", NameCanChange: true,
				PricingStrategy: kseries.PricePositive, DefaultTaxAmount: valid("1.5"), DefaultTaxPercent: valid("15"), TaxIncluded: true,
				ConditionalTaxRules: true, Taxes: []kseries.MenuTax{{Description: "5% GST", Amount: valid("0.5"), Percent: valid("5")}},
				SubItemOnly: true,
				RichData: &kseries.RichData{
					ImageURL: "s", RawImageURL: "r", PreviewImageURL: "p", ContainsAlcohol: true, AlcoholPercent: d("13"),
					Texts: []kseries.ItemText{{Locale: "en", Name: "Burger", Description: "<p>b</p>"}}, AllergenCodes: []string{"mustard"},
				},
				Instructions: []kseries.ModifierGroup{{ID: 1, Name: "Meat", Multiple: true, Modifiers: []kseries.Modifier{{ID: 2, Name: "Rare"}}}},
				Modifiers: []kseries.MenuChoice{{
					Description: "Milk", SKU: "30", Required: true, Multiple: true, Minimum: new(int64(0)),
					Entries: []kseries.MenuEntry{{Type: kseries.MenuModifier, Name: "Oat", Price: valid("0.5"), SKU: "31"}},
				}},
			},
			{
				Type: kseries.MenuDeal, Name: "Combo", SKU: "40", Items: []kseries.MenuEntry{{Type: kseries.MenuItem, Name: "Cola", SKU: "42"}},
				Choices: []kseries.MenuChoice{{
					Description: "Sides", Maximum: new(int64(3)), Entries: []kseries.MenuEntry{{Type: kseries.MenuItem, Name: "Fries", SKU: "41"}},
				}},
			},
			{Type: kseries.MenuGroup, Name: "More", Entries: []kseries.MenuEntry{{Type: "somethingNew", Name: "?"}}},
		},
	}}}
}

func TestMenu(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, menu))
	got, err := s.client(t).Menus.Get(t.Context(), location, 141948669132851, kseries.MenuOptions{ProfileCode: "TAKEAWAY", RichContent: true})
	require.NoError(t, err)
	same(t, wantedMenu(), got)
	s.only(t, http.MethodGet, "/o/op/2/menu/load/141948669132851", url.Values{
		"businessLocationId": {"45454565682155"}, "accountProfile": {"TAKEAWAY"}, "richContent": {"true"},
	}, "")

	s = newServer(t, answer(http.StatusOK, `{"ikentooMenuId":1,"menuEntryGroups":{"@type":"group"}}`), answer(http.StatusOK, `{}`))
	client := s.client(t)
	got, err = client.Menus.Get(t.Context(), location, 1, kseries.MenuOptions{})
	require.NoError(t, err)
	require.Empty(t, got.Groups)
	require.Equal(t, "businessLocationId=45454565682155", s.got()[0].query)
	_, err = client.Menus.Get(t.Context(), location, 1, kseries.MenuOptions{})
	require.ErrorIs(t, err, tillroute.ErrDecode)
}

// TestDeepNestingCostsNoMoreThanItsLength would take far longer than it may if each level read all of what is below once more.
func TestDeepNestingCostsNoMoreThanItsLength(t *testing.T) {
	const depth = 4500
	padding := `"` + strings.Repeat("x", 2<<20) + `"`
	text := `{"ikentooMenuId":1,"menuEntryGroups":` + strings.Repeat(`[{"menuEntry":`, depth) + padding + strings.Repeat(`}]`, depth) + `}`
	start := time.Now()
	var read kseries.Menu
	require.NoError(t, json.Unmarshal([]byte(text), &read))
	text = `{"salesEntries":` + strings.Repeat(`[{"subLineItems":`, depth) + padding + strings.Repeat(`}]`, depth) + `}`
	var check kseries.Check
	require.NoError(t, json.Unmarshal([]byte(text), &check))
	require.Less(t, time.Since(start), time.Minute)
}

func FuzzMenu(f *testing.F) {
	f.Add([]byte(menu))
	f.Fuzz(func(t *testing.T, data []byte) {
		var read kseries.Menu
		if json.Unmarshal(data, &read) == nil {
			require.NotZero(t, read.ID)
		}
	})
}
