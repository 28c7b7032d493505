package kseries

import (
	"context"
	"net/url"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// MenusService reads what can be ordered. It needs the scope orders-api.
type MenusService struct{ c *core }

// MenuName is a menu without what is on it.
type MenuName struct {
	ID   int64
	Name string
}

// MenuOptions say how to read a menu. The zero value is fine.
type MenuOptions struct {
	// ProfileCode is that of the [Profile] whose prices to show.
	ProfileCode string
	// RichContent includes pictures, texts and allergens.
	RichContent bool
}

// Menu is what is on a menu.
type Menu struct {
	ID   int64
	Name string
	// Groups are the screens at the point of sale.
	Groups []MenuEntry
	// RichDataMissing says that rich content was asked for and isn't all there.
	RichDataMissing bool
	// ConditionalTaxRules says that the tax may turn out otherwise at the point of sale.
	ConditionalTaxRules bool
}

// MenuEntryType is what an entry of a menu is. Values that are not named here are kept as they are.
type MenuEntryType string

// The documented values.
const (
	MenuGroup    MenuEntryType = "group"
	MenuItem     MenuEntryType = "menuItem"
	MenuDeal     MenuEntryType = "menuDeal"
	MenuModifier MenuEntryType = "menuProductModifier"
)

// PricingStrategy is whether the price of an item can be changed when it is ordered. Values that are not named here are kept as
// they are.
type PricingStrategy string

// The documented values, spelled as the vendor does.
const (
	PriceNegative   PricingStrategy = "CUSTOMIZED_ITEM_PRICE_WILL_BE_NEGATIVE"
	PricePositive   PricingStrategy = "CUSTOMIZED_ITEM_PRICE_WILL_BE_POSTIVE" //nolint:misspell // it is the vendor's spelling.
	PricePercentage PricingStrategy = "CUSTOMIZED_ITEM_PRICE_WILL_BE_A_PERCENTAGE_OF_TOTAL"
	PriceFixed      PricingStrategy = "PRICE_CANNOT_BE_CUSTOMIZED"
)

// MenuEntry is an entry of a menu: a group of others, an item, a deal of several, or a modifier of an item. Fields that its
// type doesn't have are zero.
type MenuEntry struct {
	Type  MenuEntryType
	Name  string
	Color string

	// GroupID and Entries are a group's.
	GroupID string
	Entries []MenuEntry

	// What follows is for all others.

	SKU string
	// Price is not valid if the server left it out. ExtraPrice comes on top if the entry is chosen in a deal.
	Price, ExtraPrice decimal.NullDecimal
	PricingStrategy   PricingStrategy
	// NameCanChange says that an order may name the item otherwise.
	NameCanChange bool
	// TaxIncluded says that Price is with tax.
	TaxIncluded                         bool
	DefaultTaxAmount, DefaultTaxPercent decimal.NullDecimal
	ConditionalTaxRules                 bool
	Taxes                               []MenuTax
	RichData                            *RichData

	// SubItemOnly says that an item isn't sold alone.
	SubItemOnly bool
	// Instructions are how an item or a modifier may be done.
	Instructions []ModifierGroup
	// Modifiers are the groups of modifiers of an item, and Choices the groups of items of a deal.
	Modifiers, Choices []MenuChoice
	// Items are a deal's.
	Items []MenuEntry
}

// MenuChoice is a group of entries to choose from.
type MenuChoice struct {
	Description, SKU string
	// Required says that something must be chosen, and Multiple that more than one entry may be.
	Required, Multiple bool
	// Minimum and Maximum are how many to choose. Nil means that it isn't limited.
	Minimum, Maximum *int64
	RichData         *RichData
	Entries          []MenuEntry
}

// MenuTax is a tax that is in the price, or comes on top.
type MenuTax struct {
	Description     string
	Amount, Percent decimal.NullDecimal
}

// RichData is what an item looks like, and what is in it.
type RichData struct {
	ImageURL, RawImageURL, PreviewImageURL string
	ContainsAlcohol                        bool
	AlcoholPercent                         decimal.Decimal
	Texts                                  []ItemText
	AllergenCodes                          []string
}

// ItemText is what is written about an item. Description may be HTML.
type ItemText struct{ Locale, Name, Description string }

// ModifierGroup is a group of ways to do something, such as how a steak is cooked.
type ModifierGroup struct {
	ID   int64
	Name string
	// Multiple says that more than one of the modifiers may be chosen.
	Multiple  bool
	Modifiers []Modifier
}

// Modifier is a way to do something, such as rare. [OrderItem] wants its ID.
type Modifier struct {
	ID   int64
	Name string
}

// Discount is one that the merchant has set up: a percentage or an amount. The other one is not valid.
type Discount struct {
	Code, Name      string
	Percent, Amount decimal.NullDecimal
}

// List returns the menus of a business location.
//
// API reference: GET /o/op/1/menu/list, https://api-docs.lsk.lightspeed.app/operation/operation-apeloadmenus
func (s MenusService) List(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) ([]MenuName, error) {
	var answer []MenuName
	err := s.c.located(ctx, menusList, businessLocationID, rest.Request{}, &answer, opts)
	return answer, err
}

// Get returns the menu of that ID with all that is on it. It uses version 2 of the call.
//
// API reference: GET /o/op/2/menu/load/{menuId}, https://api-docs.lsk.lightspeed.app/operation/operation-apegetmenubyidv2
func (s MenusService) Get(ctx context.Context, businessLocationID, menuID int64, o MenuOptions, opts ...tillroute.CallOption) (Menu, error) {
	query := url.Values{}
	if o.ProfileCode != "" {
		query.Set("accountProfile", o.ProfileCode)
	}
	if o.RichContent {
		query.Set("richContent", "true")
	}
	var answer Menu
	err := s.c.located(ctx, menusGet, businessLocationID, rest.Request{Args: path(menuID), Query: query}, &answer, opts)
	return answer, err
}

// Modifiers returns the ways to do things at a business location, which the vendor calls production instructions.
//
// API reference: GET /o/op/1/menu/modifiers, https://api-docs.lsk.lightspeed.app/operation/operation-apeloadallmodifiers
func (s MenusService) Modifiers(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) ([]ModifierGroup, error) {
	var answer []ModifierGroup
	err := s.c.located(ctx, menusModifiers, businessLocationID, rest.Request{}, &answer, opts)
	return answer, err
}

// Discounts returns the discounts of a business location.
//
// API reference: GET /o/op/1/menu/discounts, https://api-docs.lsk.lightspeed.app/operation/operation-apeloadalldiscounts
func (s MenusService) Discounts(ctx context.Context, businessLocationID int64, opts ...tillroute.CallOption) ([]Discount, error) {
	var answer []Discount
	err := s.c.located(ctx, menusDiscounts, businessLocationID, rest.Request{}, &answer, opts)
	return answer, err
}

// UnmarshalJSON reads the name of a menu as the API sends it.
func (m *MenuName) UnmarshalJSON(data []byte) error {
	var w struct {
		ID   wire.Int  `json:"ikentooMenuId"`
		Name wire.Text `json:"menuName"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.ID == 0 {
		return errNoID
	}
	*m = MenuName{int64(w.ID), string(w.Name)}
	return nil
}

// UnmarshalJSON reads a menu as the API sends it.
func (m *Menu) UnmarshalJSON(data []byte) error {
	var w struct {
		ID                  wire.Int  `json:"ikentooMenuId"`
		Name                wire.Text `json:"menuName"`
		Groups              []entryOf `json:"menuEntryGroups"`
		RichDataMissing     wire.Bool `json:"richDataMissing"`
		ConditionalTaxRules wire.Bool `json:"conditionalTaxRules"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.ID == 0 {
		return errNoID
	}
	*m = Menu{int64(w.ID), string(w.Name), entries(w.Groups), bool(w.RichDataMissing), bool(w.ConditionalTaxRules)}
	return nil
}

// UnmarshalJSON reads a group of modifiers as the API sends it.
func (g *ModifierGroup) UnmarshalJSON(data []byte) error {
	var w instructions
	if err := object(data, &w); err != nil {
		return err
	}
	*g = w.group()
	return nil
}

// UnmarshalJSON reads a discount as the API sends it.
func (d *Discount) UnmarshalJSON(data []byte) error {
	var w struct {
		Code    wire.Text `json:"code"`
		Name    wire.Text `json:"name"`
		Percent amount    `json:"discountPercentage"`
		Amount  amount    `json:"discountAmount"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.Code == "" {
		return errNoID
	}
	*d = Discount{string(w.Code), string(w.Name), decimal.NullDecimal(w.Percent), decimal.NullDecimal(w.Amount)}
	return nil
}

// The types that menus are read into have no decoders of their own: entries are nested, and each would read all of what is
// below once more.
type (
	entryOf struct {
		Type                wire.Text      `json:"@type"`
		OldType             wire.Text      `json:"type"`
		ID                  wire.Text      `json:"id"`
		Name                wire.Text      `json:"name"`
		ProductName         wire.Text      `json:"productName"`
		Color               wire.Text      `json:"color"`
		Entries             []entryOf      `json:"menuEntry"`
		SKU                 wire.Text      `json:"sku"`
		Price               amount         `json:"productPrice"`
		ExtraPrice          amount         `json:"extraPrice"`
		PricingStrategy     wire.Text      `json:"pricingStrategy"`
		NameCanChange       wire.Bool      `json:"customItemNameEnabled"`
		TaxIncluded         wire.Bool      `json:"taxIncludedInPrice"`
		DefaultTaxAmount    amount         `json:"defaultTaxAmount"`
		DefaultTaxPercent   amount         `json:"defaultTaxPercentage"`
		ConditionalTaxRules wire.Bool      `json:"conditionalTaxRules"`
		Taxes               []taxOf        `json:"taxes"`
		RichData            *richOf        `json:"itemRichData"`
		SubItemOnly         wire.Bool      `json:"asSubItem"`
		Instructions        []instructions `json:"productionInstructionList"`
		Modifiers           []choiceOf     `json:"menuModifierGroups"`
		Choices             []choiceOf     `json:"menuDealGroups"`
		Items               []entryOf      `json:"items"`
	}
	choiceOf struct {
		Description wire.Text `json:"description"`
		SKU         wire.Text `json:"sku"`
		Required    wire.Bool `json:"mustSelectAnItem"`
		Multiple    wire.Bool `json:"multiSelectionPermitted"`
		Minimum     count     `json:"minimumSelection"`
		Maximum     count     `json:"maximumSelection"`
		RichData    *richOf   `json:"itemRichData"`
		Items       []entryOf `json:"items"`
		Modifiers   []entryOf `json:"productModifiers"`
	}
	taxOf struct {
		Description wire.Text `json:"description"`
		Amount      amount    `json:"amount"`
		Percent     amount    `json:"percentage"`
	}
	richOf struct {
		ImageURL        wire.Text    `json:"squareImageUrl"`
		RawImageURL     wire.Text    `json:"rawImageUrl"`
		PreviewImageURL wire.Text    `json:"previewImageUrl"`
		ContainsAlcohol wire.Bool    `json:"containsAlcohol"`
		AlcoholPercent  wire.Decimal `json:"alcoholPercentage"`
		Texts           []struct {
			Locale      wire.Text `json:"locale"`
			Name        wire.Text `json:"friendlyDisplayName"`
			Description wire.Text `json:"description"`
		} `json:"texts"`
		AllergenCodes []wire.Text `json:"allergenCodes"`
	}
	instructions struct {
		// The vendor writes it like this.
		ID       wire.Int  `json:"productionIntructionGroupId"`
		Name     wire.Text `json:"productionInstructionGroupName"`
		Multiple wire.Bool `json:"multiSelectionPermitted"`
		List     []struct {
			ID   wire.Int  `json:"ikentooModifierId"`
			Name wire.Text `json:"instruction"`
		} `json:"productionInstructionList"`
	}
)

func entries(list []entryOf) []MenuEntry {
	var read []MenuEntry
	for _, w := range list {
		e := MenuEntry{
			Type:                MenuEntryType(w.Type),
			Name:                string(w.Name),
			Color:               string(w.Color),
			GroupID:             string(w.ID),
			Entries:             entries(w.Entries),
			SKU:                 string(w.SKU),
			Price:               decimal.NullDecimal(w.Price),
			ExtraPrice:          decimal.NullDecimal(w.ExtraPrice),
			PricingStrategy:     PricingStrategy(w.PricingStrategy),
			NameCanChange:       bool(w.NameCanChange),
			TaxIncluded:         bool(w.TaxIncluded),
			DefaultTaxAmount:    decimal.NullDecimal(w.DefaultTaxAmount),
			DefaultTaxPercent:   decimal.NullDecimal(w.DefaultTaxPercent),
			ConditionalTaxRules: bool(w.ConditionalTaxRules),
			RichData:            w.RichData.data(),
			SubItemOnly:         bool(w.SubItemOnly),
			Modifiers:           choices(w.Modifiers),
			Choices:             choices(w.Choices),
			Items:               entries(w.Items),
		}
		if e.Type == "" {
			e.Type = MenuEntryType(w.OldType)
		}
		if e.Name == "" {
			e.Name = string(w.ProductName)
		}
		for _, t := range w.Taxes {
			e.Taxes = append(e.Taxes, MenuTax{string(t.Description), decimal.NullDecimal(t.Amount), decimal.NullDecimal(t.Percent)})
		}
		for _, i := range w.Instructions {
			e.Instructions = append(e.Instructions, i.group())
		}
		read = append(read, e)
	}
	return read
}

func choices(list []choiceOf) []MenuChoice {
	var read []MenuChoice
	for _, w := range list {
		read = append(read, MenuChoice{
			Description: string(w.Description), SKU: string(w.SKU), Required: bool(w.Required), Multiple: bool(w.Multiple),
			Minimum: w.Minimum.value, Maximum: w.Maximum.value, RichData: w.RichData.data(),
			Entries: append(entries(w.Items), entries(w.Modifiers)...),
		})
	}
	return read
}

func (w *richOf) data() *RichData {
	if w == nil {
		return nil
	}
	d := &RichData{
		ImageURL: string(w.ImageURL), RawImageURL: string(w.RawImageURL), PreviewImageURL: string(w.PreviewImageURL),
		ContainsAlcohol: bool(w.ContainsAlcohol), AlcoholPercent: decimal.Decimal(w.AlcoholPercent),
	}
	for _, t := range w.Texts {
		d.Texts = append(d.Texts, ItemText{string(t.Locale), string(t.Name), string(t.Description)})
	}
	for _, code := range w.AllergenCodes {
		d.AllergenCodes = append(d.AllergenCodes, string(code))
	}
	return d
}

func (w instructions) group() ModifierGroup {
	g := ModifierGroup{ID: int64(w.ID), Name: string(w.Name), Multiple: bool(w.Multiple)}
	for _, m := range w.List {
		g.Modifiers = append(g.Modifiers, Modifier{int64(m.ID), string(m.Name)})
	}
	return g
}
