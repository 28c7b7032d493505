package pms_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

func TestParseChargeReadsTheReference(t *testing.T) {
	body := fixture(t, "pms_charge_reference.json")
	c, err := pms.ParseCharge([]byte(body))
	require.NoError(t, err)
	day := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, pms.Charge{
		Name: "string", OpenDate: day, CloseDate: day, Covers: number("2"), OwnerID: "12345", OwnerName: "John Doe", DeviceID: "12345",
		BusinessExternalReference: "quickbooks-123", APIKey: "quickbooks-key-345", ReceiptID: "R51.3", FiscID: "A1234.5",
		UUID: "xfe9ldKWSfW8VrAYUcnvGA==", InitialAccountID: "A1234.1", Identifier: "A1234.5", RevenueCenterID: "94489280528",
		RevenueCenterName: "Fixed POS",
		Transactions: []pms.Transaction{{
			UnitAmount: number("10.0"), Quantity: number("2.0"), Amount: number("20.0"), Description: "French Fries", StaffID: "6",
			StaffName: "John Doe", GroupID: "25769803810", GroupName: "Food", TaxID: "12345", TaxName: "VAT 10%", TaxRate: number("1.1"),
			TaxIncluded: new(true), SKU: "F07", Type: pms.Sale, ServiceChargeContribution: number("4.5"),
			TaxLines: []pms.TaxLine{{TaxID: "12345", TaxName: "VAT 10%", TaxAmount: number("1.0"), TaxRate: number("1.1"), TaxIncluded: new(true)}},
		}},
		Payments: []pms.Payment{{
			PaymentDate: day, StaffID: "6", StaffName: "John Doe", Gratuity: number("1.0"), Amount: number("66.0"), MethodName: "MEWS",
			MethodCode: "IKPMS", ReservationID: "001",
		}},
		ServiceCharge: pms.ServiceCharge{Amount: number("1.0"), Type: pms.Untaxed},
		Raw:           []byte(strings.Replace(body, "quickbooks-key-345", "[redacted]", 1)),
	}, c)
	require.Empty(t, c.Unknown())
	id, ok := c.ParseUUID()
	require.True(t, ok)
	require.Equal(t, "c5f7bd95-d296-49f5-bc56-b01851c9ef18", id.String())
}

func TestParseChargeReadsTheGuide(t *testing.T) {
	c, err := pms.ParseCharge([]byte(fixture(t, "pms_charge_guide_2022.json")))
	require.NoError(t, err)
	require.Equal(t, time.Date(2022, 9, 1, 12, 25, 36, 161e6, time.UTC), c.OpenDate)
	require.Equal(t, number("0"), c.Covers, "zero is not nothing")
	require.False(t, c.ServiceCharge.Amount.Valid)
	require.Equal(t, "null", string(c.Receipt))
	require.Empty(t, c.ID)
	require.Equal(t, "962442041491505", c.Transactions[0].GroupID)
	require.Equal(t, "1.077", c.Transactions[0].TaxRate.Decimal.String())
	id, ok := c.ParseUUID()
	require.True(t, ok)
	require.Equal(t, "dad3b73c-c6fa-495b-8426-3e6fd9e25cf9", id.String())
	require.False(t, c.IsReversal())
	require.False(t, c.IsTipCorrection())
	_, ok = c.Corrects()
	require.False(t, ok)
	postings, err := c.Postings()
	require.NoError(t, err)
	require.Len(t, postings, 1)
	require.Equal(t, "001", postings[0].ReservationID)
	require.Equal(t, "12", postings[0].Debit.String())

	c, err = pms.ParseCharge([]byte(fixture(t, "pms_charge_mirrored_constructed.json")))
	require.NoError(t, err)
	postings, err = c.Postings()
	require.NoError(t, err)
	require.Empty(t, postings)
	require.Empty(t, c.RoomPayments())
	require.Nil(t, c.Transactions[0].TaxIncluded)
}

// TestWireHasEveryField sets each field in turn, so that none of them is decoded and left out.
func TestWireHasEveryField(t *testing.T) {
	var whole map[string]any
	decoder := json.NewDecoder(strings.NewReader(fixture(t, "pms_charge_reference.json")))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&whole))
	whole["receipt"], whole["id"] = "r", "i"
	read := func(change func(map[string]any)) pms.Charge {
		c := (&pmstest.Charge{Payload: whole}).Clone()
		change(c.Payload)
		parsed, err := pms.ParseCharge(c.Body())
		require.NoError(t, err)
		parsed.Raw = nil
		return parsed
	}
	same := read(func(map[string]any) {})
	objects := map[string]func(map[string]any) map[string]any{
		"":            func(m map[string]any) map[string]any { return m },
		"transaction": func(m map[string]any) map[string]any { return m["transactions"].([]any)[0].(map[string]any) },
		"tax line": func(m map[string]any) map[string]any {
			return m["transactions"].([]any)[0].(map[string]any)["taxLines"].([]any)[0].(map[string]any)
		},
		"payment":        func(m map[string]any) map[string]any { return m["payments"].([]any)[0].(map[string]any) },
		"service charge": func(m map[string]any) map[string]any { return m["serviceCharge"].(map[string]any) },
	}
	count := 0
	for where, object := range objects {
		for name := range object(whole) {
			count++
			for how, change := range map[string]func(m map[string]any){
				"missing": func(m map[string]any) { delete(object(m), name) }, "null": func(m map[string]any) { object(m)[name] = nil },
			} {
				require.NotEqual(t, same, read(change), "%s %s %s", where, name, how)
			}
		}
	}
	require.Equal(t, 21+16+5+8+2, count)
}

func TestWhatIsCompatibleIsRead(t *testing.T) {
	change := func(path string, value any) string { return string(pmstest.NewCharge(apiKey).Set(path, value).Body()) }
	for name, test := range map[string]struct {
		body string
		get  func(pms.Charge) any
		want any
	}{
		"a new field":            {change("payments.0.new", "x"), func(c pms.Charge) any { return c.Unknown() }, map[string]json.RawMessage{"payments[0].new": []byte(`"x"`)}},
		"a new object":           {change("loyalty", map[string]any{"payments": true}), func(c pms.Charge) any { return len(c.Unknown()) }, 1},
		"a new line type":        {change("transactions.1.type", "Deposit"), func(c pms.Charge) any { return c.Transactions[1].Type }, pms.LineType("Deposit")},
		"a new charge type":      {change("serviceCharge", map[string]any{"type": "X"}), func(c pms.Charge) any { return c.ServiceCharge.Type }, pms.ServiceChargeType("X")},
		"an ID as text":          {change("deviceId", "77"), func(c pms.Charge) any { return c.DeviceID }, "77"},
		"a large ID":             {change("deviceId", json.Number("9223372036854775807")), func(c pms.Charge) any { return c.DeviceID }, "9223372036854775807"},
		"an ID beyond 2^53":      {change("ownerId", json.Number("9007199254740993")), func(c pms.Charge) any { return c.OwnerID }, "9007199254740993"},
		"a tax ID as number":     {change("transactions.0.taxLines.0.taxId", json.Number("9")), func(c pms.Charge) any { return c.Transactions[0].TaxLines[0].TaxID }, "9"},
		"an exact amount":        {change("payments.0.amount", json.Number("20.06")), func(c pms.Charge) any { return c.Payments[0].Amount }, number("20.06")},
		"a precise amount":       {change("payments.0.amount", json.Number("9007199254740993.01")), func(c pms.Charge) any { return c.Payments[0].Amount }, number("9007199254740993.01")},
		"a scientific amount":    {change("payments.0.amount", json.Number("1.5E+2")), func(c pms.Charge) any { return c.Payments[0].Amount.Decimal.String() }, "150"},
		"a time without a zone":  {change("openDate", "2022-09-01T12:25:36"), func(c pms.Charge) any { return c.OpenDate }, time.Date(2022, 9, 1, 12, 25, 36, 0, time.UTC)},
		"a time with a zone":     {change("openDate", "2022-09-01T14:25:36+02:00"), func(c pms.Charge) any { return c.OpenDate }, time.Date(2022, 9, 1, 12, 25, 36, 0, time.UTC)},
		"a time in another form": {change("openDate", "2022-09-01T12:25:36.161+0000"), func(c pms.Charge) any { return c.OpenDate }, time.Date(2022, 9, 1, 12, 25, 36, 161e6, time.UTC)},
		"milliseconds":           {change("payments.0.paymentDate", json.Number("1662035253243")), func(c pms.Charge) any { return c.Payments[0].PaymentDate }, time.Date(2022, 9, 1, 12, 27, 33, 243e6, time.UTC)},
		"seconds":                {change("payments.0.paymentDate", json.Number("1662035253")), func(c pms.Charge) any { return c.Payments[0].PaymentDate }, time.Date(2022, 9, 1, 12, 27, 33, 0, time.UTC)},
		"a time that is none":    {change("openDate", map[string]any{}), func(c pms.Charge) any { return c.OpenDate.IsZero() }, true},
		"a null in a list":       {change("payments", []any{nil}), func(c pms.Charge) any { return c.Payments }, []pms.Payment{{}}},
		"escapes":                {`{"n\u0061me":"T\u00fcr \ud83d\ude00"}`, func(c pms.Charge) any { return c.Name }, "Tür 😀"},
		"escapes in an ID":       {`{"fiscId":"A\u0031"}`, func(c pms.Charge) any { return c.FiscID }, "A1"},
		"a name in capitals":     {`{"NAME":"x"}`, func(c pms.Charge) any { return c.Name }, "x"},
		"an object like a key":   {`{"x":{"apiKey":"y"},"apiKey":"z"}`, func(c pms.Charge) any { return string(c.Raw) }, `{"x":{"apiKey":"y"},"apiKey":"[redacted]"}`},
		"spaces":                 {" {\n\t\"apiKey\" : \"a\\\"b\" , \"covers\" : 1 }\r\n", func(c pms.Charge) any { return string(c.Raw) }, " {\n\t\"apiKey\" : \"[redacted]\" , \"covers\" : 1 }\r\n"},
		"an escaped name of key": {`{"\u0061piKey":"secret"}`, func(c pms.Charge) any { return string(c.Raw) + c.APIKey.Reveal() }, `{"\u0061piKey":"[redacted]"}secret`},
		"a key that is a number": {`{"x":[{"a":"]}"}],"apiKey":null}`, func(c pms.Charge) any { return string(c.Raw) }, `{"x":[{"a":"]}"}],"apiKey":"[redacted]"}`},
		"a Kelvin sign":          {`{"api` + "\u212a" + `ey":"s"}`, func(c pms.Charge) any { return string(c.Raw) + c.APIKey.Reveal() }, `{"api` + "\u212a" + `ey":"[redacted]"}s`},
		"nothing":                {`{}`, func(c pms.Charge) any { return len(c.Unknown()) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := pms.ParseCharge([]byte(test.body))
			require.NoError(t, err)
			require.Equal(t, test.want, test.get(c))
			var again pms.Charge
			require.NoError(t, json.Unmarshal([]byte(test.body), &again))
			require.Equal(t, c.FiscID, again.FiscID)
		})
	}
}

func TestWhatIsIncompatibleIsNamed(t *testing.T) {
	change := func(path string, value any) string { return string(pmstest.NewCharge(apiKey).Set(path, value).Body()) }
	for want, body := range map[string]string{
		"payments is of another type":              change("payments", map[string]any{"0": map[string]any{}}),
		"serviceCharge is of another type":         change("serviceCharge", []any{}),
		"transactions.description is of another":   change("transactions.0.description", json.Number("5")),
		"name is of another type":                  change("name", true),
		"transactions.taxIncluded is of another":   change("transactions.0.taxIncluded", "true"),
		"payments[0].amount is a text":             change("payments.0.amount", "11.00"),
		"payments[0].gratuity is a list":           change("payments.0.gratuity", []any{}),
		"transactions[1].quantity is a boolean":    change("transactions.1.quantity", true),
		"transactions[1].taxLines.taxAmount is an": change("transactions.1.taxLines.0.taxAmount", map[string]any{}),
		"covers is a text":                         change("covers", "2"),
		"payments[0].amount is a number that is":   change("payments.0.amount", json.Number("1e99999999")),
		"fiscId is an object":                      change("fiscId", map[string]any{}),
		"payments[0].reservationId is a boolean":   change("payments.0.reservationId", false),
		"serviceCharge.amount is a text":           change("serviceCharge", map[string]any{"amount": "1"}),
		`"payments" is there twice`:                `{"payments":[],"payments":[]}`,
		`"PAYMENTS" is there twice`:                `{"payments":[],"PAYMENTS":[]}`,
		`"apiKey" is there twice`:                  `{"apiKey":"a","apiKey":"b"}`,
		"the body is not a JSON object":            `{"name":"x"} {}`,
		"the body is a JSON array":                 `[]`,
		"the body is a JSON string":                `"x"`,
	} {
		t.Run(want, func(t *testing.T) {
			_, err := pms.ParseCharge([]byte(body))
			require.ErrorIs(t, err, tillroute.ErrDecode)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			// The encoding/json to come counts the lines.
			require.Contains(t, strings.Replace(err.Error(), "transactions.0.", "transactions.", 1), want)
			require.NotContains(t, err.Error(), apiKey.Reveal())
		})
	}
	for _, body := range []string{"", " ", "{", `{"name":"x"`, "<html>", strings.Repeat("[", 100_000), "{\"a\":\xff\"}"} {
		_, err := pms.ParseCharge([]byte(body))
		require.ErrorContains(t, err, "the body is not a JSON object")
	}
}

func parse(t *testing.T, c *pmstest.Charge) pms.Charge {
	t.Helper()
	parsed, err := pms.ParseCharge(c.Body())
	require.NoError(t, err)
	return parsed
}

func TestNumbersAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0", "-0", "0.0", "7", "-7", "10.0", "-12.50", "1.0770", "0.00000000000000001", "-0.05", "12345678901234567", "123456789012345678",
		"-123456789012345678", "1234567890123456789", "9223372036854775808", "12345678901234567.8", "1e2", "-1.5E-3", "123456789012345678901234567890.12",
	} {
		c, err := pms.ParseCharge([]byte(`{"covers":` + text + `}`))
		require.NoError(t, err, text)
		want := decimal.RequireFromString(text)
		require.True(t, c.Covers.Valid, text)
		require.Equal(t, want.Coefficient().String(), c.Covers.Decimal.Coefficient().String(), text)
		require.Equal(t, want.Exponent(), c.Covers.Decimal.Exponent(), text)
	}
}

func TestPostings(t *testing.T) {
	payment := func(code, amount, gratuity, reservation any) map[string]any {
		return map[string]any{"methodCode": code, "amount": amount, "gratuity": gratuity, "reservationId": reservation}
	}
	several := parse(t, pmstest.NewCharge(apiKey).Set("payments", []any{
		payment("IKPMS", json.Number("5.10"), json.Number("0.40"), "001"), payment("CASH", json.Number("3"), nil, nil),
		payment("IKPMS", json.Number("2.90"), nil, json.Number("2")), payment("ikpms", json.Number("100"), nil, "3"),
		payment("IKPMS", json.Number("-1"), json.Number("-0.1"), nil),
	}))
	postings, err := several.Postings()
	require.NoError(t, err)
	var got []string
	for _, p := range postings {
		got = append(got, fmt.Sprintf("%s: %s + %s = %s", p.ReservationID, p.Amount, p.Gratuity, p.Debit))
		require.Equal(t, "IKPMS", p.Payment.MethodCode)
	}
	require.Equal(t, []string{"001: 5.1 + 0.4 = 5.5", "2: 2.9 + 0 = 2.9", ": -1 + -0.1 = -1.1"}, got)
	require.Len(t, several.RoomPayments(), 3)

	for _, missing := range []*pmstest.Charge{
		pmstest.NewCharge(apiKey).Set("payments.0.amount", nil), pmstest.NewCharge(apiKey).Remove("payments.0.amount"),
	} {
		_, err = parse(t, missing).Postings()
		require.ErrorIs(t, err, tillroute.ErrDecode)
		require.ErrorContains(t, err, "payments[0] is to a room and has no amount")
	}
	_, err = parse(t, pmstest.NewCharge(apiKey).Set("payments.0.amount", nil).Set("payments.0.methodCode", "CASH")).Postings()
	require.NoError(t, err)
}

func TestReversalsAndCorrections(t *testing.T) {
	sale := pmstest.NewCharge(apiKey)
	reversal, corrected := sale.TipCorrection("3.00")
	discounted := sale.Clone().Set("transactions.1.type", "LineDiscount").Set("transactions.1.unitAmount", json.Number("-1"))
	mixed := sale.Clone().Set("transactions.0.quantity", json.Number("-1"))
	for name, test := range map[string]struct {
		bill                         *pmstest.Charge
		reversal, correction, linked bool
	}{
		"sale":                           {sale, false, false, false},
		"void":                           {sale.Void(), true, false, true},
		"correction, first":              {reversal, true, false, true},
		"correction, second":             {corrected, false, true, true},
		"discount":                       {discounted, false, false, false},
		"void of a discount":             {discounted.Void(), true, false, true},
		"something taken back":           {mixed, false, false, false},
		"something taken back, linked":   {mixed.Clone().Set("initialAccountId", "A1"), false, false, true},
		"a later day's":                  {sale.Void().Set("initialAccountId", nil), true, false, false},
		"void without lines":             {sale.Void().Set("transactions", nil), true, false, true},
		"void without payments":          {sale.Void().Set("payments", nil), true, false, true},
		"nothing":                        {&pmstest.Charge{}, false, false, false},
		"the bill named by its UUID":     {sale.Clone().Set("fiscId", nil).Set("initialAccountId", sale.Payload["uuid"]), false, false, false},
		"a negative tip says nothing":    {sale.Clone().Set("payments.0.gratuity", json.Number("-1")), false, false, false},
		"a positive tip of a void, also": {sale.Void().Set("payments.0.gratuity", json.Number("1")), true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			if test.bill.Payload == nil {
				test.bill.Payload = map[string]any{}
			}
			c := parse(t, test.bill)
			require.Equal(t, test.reversal, c.IsReversal(), "reversal")
			require.Equal(t, test.correction, c.IsTipCorrection(), "tip correction")
			account, linked := c.Corrects()
			require.Equal(t, test.linked, linked, "linked")
			if linked {
				require.NotEmpty(t, account)
			}
		})
	}
	before, after, undone := parse(t, sale), parse(t, corrected), parse(t, reversal)
	sum := before.Totals().RoomDebit.Add(undone.Totals().RoomDebit).Add(after.Totals().RoomDebit)
	require.Equal(t, "14", sum.String(), "11 and the new tip")
}

func TestTotalsAddNothingUp(t *testing.T) {
	c, err := pms.ParseCharge([]byte(fixture(t, "pms_charge_reference.json")))
	require.NoError(t, err)
	check := func(want map[string]string, c pms.Charge) {
		t.Helper()
		totals := c.Totals()
		for name, got := range map[string]decimal.Decimal{
			"lines": totals.Lines, "tax included": totals.TaxIncluded, "tax added": totals.TaxAdded, "service": totals.ServiceCharge,
			"payments": totals.Payments, "gratuities": totals.Gratuities, "room": totals.RoomPayments, "room tips": totals.RoomGratuities,
			"debit": totals.RoomDebit,
		} {
			require.Equal(t, want[name], got.String(), name)
		}
	}
	check(map[string]string{
		"lines": "20", "tax included": "1", "tax added": "0", "service": "1", "payments": "66", "gratuities": "1", "room": "66", "room tips": "1",
		"debit": "67",
	}, c)
	c.Payments = append(c.Payments, pms.Payment{Amount: number("0.1"), Gratuity: number("0.2"), MethodCode: "CASH"}, pms.Payment{MethodCode: "IKPMS"})
	c.Transactions[0].TaxLines = append(c.Transactions[0].TaxLines, pms.TaxLine{TaxAmount: number("0.3")}, pms.TaxLine{TaxAmount: number("0.4"), TaxIncluded: new(false)})
	check(map[string]string{
		"lines": "20", "tax included": "1", "tax added": "0.7", "service": "1", "payments": "66.1", "gratuities": "1.2", "room": "66", "room tips": "1",
		"debit": "67",
	}, c)
}

func TestChargeIsRouted(t *testing.T) {
	c := parse(t, pmstest.NewCharge(apiKey))
	register, ok := c.Register("45454565682155")
	require.True(t, ok)
	require.Equal(t, pairing.Register{System: "kseries", Account: "45454565682155", ID: "12345"}, register)
	virtual, ok := c.RevenueCenterRegister("45454565682155")
	require.True(t, ok)
	require.Equal(t, pairing.Register{System: "kseries", Account: "45454565682155", ID: "revenue-center:94489280528"}, virtual)
	_, ok = pms.Charge{}.Register("1")
	require.False(t, ok)
	_, ok = pms.Charge{}.RevenueCenterRegister("1")
	require.False(t, ok)
}

func TestAccountAndUUID(t *testing.T) {
	require.Equal(t, "A1", pms.Charge{FiscID: "A1", UUID: "u"}.Account())
	require.Equal(t, "u", pms.Charge{UUID: "u"}.Account())
	require.Empty(t, pms.Charge{Identifier: "x"}.Account())
	for _, text := range []string{"", "x", "AAAA", "xfe9ldKWSfW8VrAYUcnvGA"} {
		_, ok := pms.Charge{UUID: text}.ParseUUID()
		require.False(t, ok, text)
	}
	for _, text := range []string{"2tO3PMb6SVuEJj5v2eJc-Q==", "2tO3PMb6SVuEJj5v2eJc+Q=="} {
		id, ok := pms.Charge{UUID: text}.ParseUUID()
		require.True(t, ok)
		require.Equal(t, "dad3b73c-c6fa-495b-8426-3e6fd9e25cf9", id.String())
	}
}
