package tillroute

import "strings"

// The active currencies of ISO 4217 that have minor units, by how many decimals they have. The last line has a few that were
// withdrawn but still stand in old sales and in vendors' examples.
//
// The list is the standard's own. The tables of golang.org/x/text/currency hold what is customary to show (CLDR),
// which differs for twenty currencies: there the Colombian peso has no decimals, and amounts would be wrong by a
// factor of a hundred.
const (
	noDecimals    = " BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "
	threeDecimals = " BHD IQD JOD KWD LYD OMR TND "
	fourDecimals  = " CLF UYW "
	twoDecimals   = " AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF " +
		"CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD " +
		"HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT " +
		"MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR " +
		"SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU " +
		"UZS VED VES WST XCD XCG YER ZAR ZMW ZWG " +
		"ANG BGN CUC EEK HRK LTL LVL "
)

// CurrencyDigits returns how many decimals the currency has: 2 for NZD, 0 for JPY, 3 for KWD. The code is that of
// ISO 4217 in capital letters; any other is an error of [KindInvalid], never "2". Of the withdrawn ones it knows ANG,
// BGN, CUC, EEK, HRK, LTL and LVL.
func CurrencyDigits(code string) (int, error) {
	digits, err := digitsOf(code)
	return int(digits), err
}

func digitsOf(code string) (int32, error) {
	if len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		entry := " " + code + " "
		switch {
		case strings.Contains(twoDecimals, entry):
			return 2, nil
		case strings.Contains(noDecimals, entry):
			return 0, nil
		case strings.Contains(threeDecimals, entry):
			return 3, nil
		case strings.Contains(fourDecimals, entry):
			return 4, nil
		}
	}
	return 0, Invalid("", "", "%q is not a currency: use an ISO 4217 code such as NZD", clip(code))
}
