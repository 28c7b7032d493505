package tillroute

import (
	"math/big"
	"strings"

	"github.com/shopspring/decimal"
)

// maxDigits bounds what an amount may look like before any arithmetic is done with it: 1e400 and 1e-400 are
// refused by looking at them.
const maxDigits = 40

// ToMinor returns amount in minor units of the currency: 12.50 NZD is 1250, 12 JPY is 12. It is exact: an amount
// with more decimals than the currency has, an unknown currency, or a result beyond 64 bits is an error of
// [KindInvalid]. Trailing zeros don't count as decimals.
func ToMinor(amount decimal.Decimal, currency string) (int64, error) {
	digits, err := digitsOf(currency)
	if err != nil {
		return 0, err
	}
	if err := checkAmount(amount, currency, digits); err != nil {
		return 0, err
	}
	minor := amount.Shift(digits).BigInt()
	if !minor.IsInt64() {
		return 0, Invalid("", "", "amount %s %s is too large", show(amount), currency)
	}
	return minor.Int64(), nil
}

// FromMinor returns minor units of the currency as an amount: 1250 NZD is 12.50. An unknown currency is an error of
// [KindInvalid].
func FromMinor(minor int64, currency string) (decimal.Decimal, error) {
	digits, err := digitsOf(currency)
	if err != nil {
		return decimal.Decimal{}, err
	}
	return decimal.NewFromBigInt(big.NewInt(minor), -digits), nil
}

// FormatAmount returns amount with exactly as many decimals as the currency has: "12.50" for NZD, "12" for JPY. It
// never rounds: an amount with more decimals is an error of [KindInvalid], as are an unknown currency and an amount of more
// than 40 digits.
func FormatAmount(amount decimal.Decimal, currency string) (string, error) {
	digits, err := digitsOf(currency)
	if err != nil {
		return "", err
	}
	if err := checkAmount(amount, currency, digits); err != nil {
		return "", err
	}
	return amount.StringFixed(digits), nil
}

// ParseAmount reads an amount of the currency from plain decimal text: an optional minus sign, digits, and at most
// as many decimals as the currency has, not counting trailing zeros. Exponents, "NaN", spaces, thousands separators,
// texts of more than 40 characters and everything else are errors of [KindInvalid].
func ParseAmount(text, currency string) (decimal.Decimal, error) {
	digits, err := digitsOf(currency)
	if err != nil {
		return decimal.Decimal{}, err
	}
	if !plainDecimal(text) {
		return decimal.Decimal{}, Invalid("", "", "%q is not an amount: write it like 12.50", clip(text))
	}
	amount, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Decimal{}, Invalid("", "", "%q is not an amount: write it like 12.50", clip(text))
	}
	if err := checkAmount(amount, currency, digits); err != nil {
		return decimal.Decimal{}, err
	}
	return amount, nil
}

func plainDecimal(text string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	if len(text) > maxDigits || whole == "" || (point && fraction == "") {
		return false
	}
	return strings.Trim(whole, "0123456789") == "" && strings.Trim(fraction, "0123456789") == ""
}

func checkAmount(amount decimal.Decimal, currency string, digits int32) error {
	if e := amount.Exponent(); e > maxDigits || e < -maxDigits || amount.NumDigits() > maxDigits {
		return Invalid("", "", "an amount of %s with %d digits and exponent %d is out of range", currency, amount.NumDigits(), e)
	}
	if !amount.Shift(digits).IsInteger() {
		return Invalid("", "", "amount %s has more decimals than %s has (%d): round it", show(amount), currency, digits)
	}
	return nil
}

func show(amount decimal.Decimal) string { return clip(amount.String()) }

func clip(text string) string {
	if len(text) > maxDigits {
		return strings.ToValidUTF8(text[:maxDigits], "") + "…"
	}
	return text
}
