package tillroute_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
)

func TestToMinor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount, currency string
		want             int64
	}{
		{"19.99", "NZD", 1999},
		{"1.15", "NZD", 115},
		{"4.35", "EUR", 435},
		{"20.06", "EUR", 2006},
		{"24.30000", "NZD", 2430},
		{"-8.00", "NZD", -800},
		{"-0", "NZD", 0},
		{"1e2", "NZD", 10000},
		{"12", "JPY", 12},
		{"1.250", "KWD", 1250},
		{"12.50", "COP", 1250},
		{"0.30", "USD", 30},
		{"90071992547409.93", "USD", 9007199254740993},
		{"9223372036854775807", "JPY", 9223372036854775807},
		{"92233720368547758.07", "USD", 9223372036854775807},
		{"-92233720368547758.08", "USD", -9223372036854775808},
	} {
		amount, err := decimal.NewFromString(c.amount)
		require.NoError(t, err)
		got, err := tillroute.ToMinor(amount, c.currency)
		require.NoError(t, err, "%s %s", c.amount, c.currency)
		require.Equal(t, c.want, got, "%s %s", c.amount, c.currency)
	}
}

func TestToMinorRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, currency, says string }{
		{"12.505", "NZD", "more decimals than NZD has (2)"},
		{"12.5", "JPY", "more decimals than JPY has (0)"},
		{"1e400", "NZD", "out of range"},
		{"1e-400", "NZD", "out of range"},
		{"92233720368547758.08", "USD", "too large"},
		{"1e39", "USD", "too large"},
		{"1", "nzd", `"nzd" is not a currency`},
		{"1", "XXX", `"XXX" is not a currency`},
		{"1", "", `"" is not a currency`},
		{"1", "BIF CLP", "is not a currency"},
		{"1", strings.Repeat("N", 1<<20), "is not a currency"},
	} {
		amount, err := decimal.NewFromString(c.amount)
		require.NoError(t, err)
		_, err = tillroute.ToMinor(amount, c.currency)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorContains(t, err, c.says)
		require.Less(t, len(err.Error()), 200)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "nothing was sent")
		_, err = tillroute.FormatAmount(amount, c.currency)
		if c.says != "too large" {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
		}
	}
}

func TestFormatAmount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, currency, want string }{
		{"12.5", "NZD", "12.50"},
		{"24.30000", "NZD", "24.30"},
		{"12", "JPY", "12"},
		{"1e2", "JPY", "100"},
		{"-8", "NZD", "-8.00"},
		{"0.005", "KWD", "0.005"},
		{"1", "CLF", "1.0000"},
	} {
		got, err := tillroute.FormatAmount(decimal.RequireFromString(c.amount), c.currency)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}

func TestParseAmount(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"8.00", "-8.00", "0.1", "007.50", "24.30000"} {
		got, err := tillroute.ParseAmount(text, "NZD")
		require.NoError(t, err, text)
		require.True(t, got.Equal(decimal.RequireFromString(text)), text)
	}
	for _, text := range []string{
		"", "-", ".", "8.", ".8", "+8", "--8", "8,00", "1 000", "NaN", "Inf", "1e2", "0x10", "8.001", "٨", "8\n",
		strings.Repeat("9", 100),
	} {
		_, err := tillroute.ParseAmount(text, "NZD")
		require.ErrorIs(t, err, tillroute.ErrInvalid, "%q", text)
	}
}

func TestCurrencyDigitsAreThoseOfISO4217(t *testing.T) {
	t.Parallel()
	// Where customary tables differ from the standard, a factor of a hundred is lost.
	for code, want := range map[string]int{
		"NZD": 2, "AUD": 2, "EUR": 2, "COP": 2, "IDR": 2, "RSD": 2, "HUF": 2, "IQD": 3, "UYW": 4, "CLF": 4, "ISK": 0,
		"KRW": 0, "MRU": 2, "SLE": 2,
	} {
		got, err := tillroute.CurrencyDigits(code)
		require.NoError(t, err, code)
		require.Equal(t, want, got, code)
	}
}

func FuzzMinorAgainstBig(f *testing.F) {
	for _, seed := range []string{"0", "12.50", "-8.00", "24.30000", "1e400", "NaN", "9007199254740993.01", "-0.00", ".5", "92233720368547758.07"} {
		f.Add(seed, "NZD")
		f.Add(seed, "JPY")
		f.Add(seed, "KWD")
	}
	f.Fuzz(func(t *testing.T, text, currency string) {
		amount, err := tillroute.ParseAmount(text, currency)
		if err != nil {
			return
		}
		digits, err := tillroute.CurrencyDigits(currency)
		require.NoError(t, err)
		exact, ok := new(big.Rat).SetString(text)
		require.True(t, ok)
		scaled := new(big.Rat).Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)))
		require.True(t, scaled.IsInt(), "accepted %q, which has too many decimals for %s", text, currency)

		minor, err := tillroute.ToMinor(amount, currency)
		require.Equal(t, scaled.Num().IsInt64(), err == nil, "%q: %v", text, err)
		if err == nil {
			require.Equal(t, scaled.Num().Int64(), minor)
			back, err := tillroute.FromMinor(minor, currency)
			require.NoError(t, err)
			require.True(t, back.Equal(amount))
		}
		formatted, err := tillroute.FormatAmount(amount, currency)
		require.NoError(t, err)
		again, ok := new(big.Rat).SetString(formatted)
		require.True(t, ok)
		require.Zero(t, again.Cmp(exact), "%q became %q", text, formatted)
	})
}
