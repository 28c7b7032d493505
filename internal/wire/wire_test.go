package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/wire"
)

// read decodes a JSON value, which never fails.
func read[T any](t *testing.T, text string) T {
	t.Helper()
	var w struct {
		V T `json:"v"`
	}
	require.NoError(t, json.Unmarshal([]byte(`{"v":`+text+`}`), &w), text)
	return w.V
}

func TestText(t *testing.T) {
	for text, want := range map[string]wire.Text{
		`"a\u00e9\n"`: "aé\n", `""`: "", `12`: "12", `1.50`: "1.50", `9007199254740993`: "9007199254740993", `true`: "true",
		`null`: "", `{}`: "", `["a"]`: "",
	} {
		require.Equal(t, want, read[wire.Text](t, text), text)
	}
}

func TestInt(t *testing.T) {
	for text, want := range map[string]wire.Int{
		`3`: 3, `"3"`: 3, `" 3 "`: 3, `-3`: -3, `3.0`: 3, `"3.00"`: 3, `6220894162`: 6220894162, `9223372036854775807`: 9223372036854775807,
		`1e3`: 1000, `3.5`: 0, `9223372036854775808`: 0, `1e400`: 0, `"x"`: 0, `""`: 0, `null`: 0, `true`: 0, `{}`: 0,
	} {
		require.Equal(t, want, read[wire.Int](t, text), text)
	}
}

func TestBool(t *testing.T) {
	for text, want := range map[string]wire.Bool{
		`true`: true, `"true"`: true, `1`: true, `"1"`: true, `"TRUE"`: true,
		`false`: false, `0`: false, `"0"`: false, `null`: false, `"yes"`: false, `2`: false, `{}`: false, `""`: false,
	} {
		require.Equal(t, want, read[wire.Bool](t, text), text)
	}
}

func TestTime(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, text := range []string{
		"2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00", "2026-01-02T16:04:05+13:00", "2026-01-02T03:04:05+0000",
		"2026-01-02T03:04:05", "2026-01-02 03:04:05", "2026-01-02T03:04:05.000Z", "2026-01-02 16:04:05+13:00", " 2026-01-02T03:04:05Z ",
	} {
		got := time.Time(read[wire.Time](t, `"`+text+`"`))
		require.Equal(t, want, got, text)
	}
	require.Equal(t, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), time.Time(read[wire.Time](t, `"2026-01-02"`)))
	require.Equal(t, 5*time.Millisecond, time.Time(read[wire.Time](t, `"2026-01-02T03:04:05.005"`)).Sub(want))
	for _, text := range []string{`""`, `null`, `"soon"`, `0`, `1767323045`, `{}`, `"2026-13-02"`} {
		require.True(t, time.Time(read[wire.Time](t, text)).IsZero(), text)
	}
}

func TestDecimal(t *testing.T) {
	for text, want := range map[string]string{
		`"8.00"`: "8", `8.00`: "8", `-0.01`: "-0.01", `"9007199254740993.01"`: "9007199254740993.01", `9007199254740993.01`: "9007199254740993.01",
		`1e2`: "100", `1E-2`: "0.01", `1e+2`: "100", `"x"`: "0", `null`: "0", `{}`: "0", `1e41`: "0", `"NaN"`: "0",
	} {
		require.Equal(t, want, decimal.Decimal(read[wire.Decimal](t, text)).String(), text)
	}
}

func TestParseDecimalKeepsWhatIsWritten(t *testing.T) {
	for _, text := range []string{
		"0", "8.00", "-8.00", "24.30000", "0.000000000000000001", "-123456789012345678", "1234567890123456789", "12345678901234567.89",
		"9007199254740993.01", "99999999999999999999.99",
	} {
		d, ok := wire.ParseDecimal(text)
		require.True(t, ok, text)
		_, decimals, _ := strings.Cut(text, ".")
		require.Equal(t, text, d.StringFixed(int32(len(decimals))))
		require.Equal(t, -len(decimals), int(d.Exponent()), text)
	}
}

func TestParseDecimalRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "-", "+8", " 8", "8 ", ".5", "5.", "8.0.0", "--8", "8-", "1e", "e1", "1e1e1", "1e1.5", "1e400", "1e-400", "1e99999999999999999999",
		"NaN", "Inf", "-Inf", "0x1", "1_0", "8,00", "٨", strings.Repeat("9", 41), "1e41", "1e-41",
	} {
		_, ok := wire.ParseDecimal(text)
		require.False(t, ok, text)
	}
}

func TestObject(t *testing.T) {
	object, err := wire.Object([]byte(` {"a":1,"A":{"a":[1]},"b":null} `))
	require.NoError(t, err)
	require.Len(t, object, 3)
	require.JSONEq(t, `{"a":[1]}`, string(object["A"]))
	for _, text := range []string{
		"", "null", "1", `"x"`, "[]", "{", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{"a":1}}`, `{"a":1}{}`, `{"a":1} x`, `{"a":1,"a":2}`,
		`{"a":1,"\u0061":2}`, "<html>",
	} {
		_, err := wire.Object([]byte(text))
		require.Error(t, err, text)
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, text := range []string{"8.00", "-0", "1e2", "1e400", "NaN", strings.Repeat("9", 50), "24.30000", "-.5", "5.", "123456789012345678", "1234567890123456789", "1.2.3", "-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := wire.ParseDecimal(text)
		if !ok {
			return
		}
		same, err := decimal.NewFromString(text)
		require.NoError(t, err)
		require.True(t, d.Equal(same))
		require.Equal(t, same.Exponent(), d.Exponent(), "the decimals are kept")
		require.Less(t, len(d.String()), 200)
	})
}

// TestObjectKeepsNothingOfItsInput changes what was read, and a value that was found in it.
func TestObjectKeepsNothingOfItsInput(t *testing.T) {
	data := []byte(`{"a":1,"b":2}`)
	object, err := wire.Object(data)
	require.NoError(t, err)
	copy(data, `{"x":9,"y":9}`)
	require.Equal(t, "1", string(object["a"]))
	_ = append(object["a"], "999999"...)
	require.Equal(t, "2", string(object["b"]))
}

func TestScalarIsTheWholeText(t *testing.T) {
	for text, want := range map[string]string{
		"\t\"a b\"\n": "a b", `"é"`: "é", `"a\"b"`: `a"b`, `"\u0041"`: "A", `"\ud83d\ude00"`: "😀", `"a\\"`: `a\`, "\"\xff\"": "\ufffd",
		`"a`: "", `"`: "", `"a"b"`: "", "\"a\nb\"": "",
	} {
		require.Equal(t, want, wire.Scalar([]byte(text)), text)
	}
}

// oneByOne is what [wire.Object] does, as encoding/json's own decoder reads it.
func oneByOne(data []byte) (map[string]json.RawMessage, bool) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, false
	}
	object := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, false
		}
		name, _ := token.(string)
		var value json.RawMessage
		if _, twice := object[name]; twice || decoder.Decode(&value) != nil {
			return nil, false
		}
		object[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, false
	}
	_, err := decoder.Token()
	return object, errors.Is(err, io.EOF)
}

func FuzzObject(f *testing.F) {
	for _, text := range []string{
		`{"a":1,"b":{"c":[]}}`, `{"a":1,"a":2}`, ` { "a" : "}\"{" , "b" : [ "]" , { } ] , "c\u0064" : -1.5e3 , "" : null } `, `{}`, `{"\\":"\\\\"}`,
		"{\"\xff\":1,\"\xfe\":2}", `{"a":true}x`, `[{"a":1}]`, "{\t\"a\"\r:\n1}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		object, err := wire.Object(text)
		want, ok := oneByOne(text)
		require.Equal(t, ok, err == nil, "%v", err)
		if ok {
			require.Equal(t, want, object)
		}
	})
}

func FuzzScalar(f *testing.F) {
	for _, text := range []string{`"a"`, `"a\"b"`, `"é"`, `"a`, `"a"b"`, "\"\x01\"", "\"\xff\""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '"' {
			return
		}
		var want string
		if json.Unmarshal(bytes.TrimSpace(text), &want) != nil {
			want = ""
		}
		require.Equal(t, want, wire.Scalar(text))
	})
}
