package wire_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/wire"
)

// member is one of an object, as it is read.
type member struct{ name, value string }

// members reads an object with encoding/json's own decoder, and reports whether it is one.
func members(t *testing.T, data []byte) (list []member, ok bool) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, false
	}
	for decoder.More() {
		name, err := decoder.Token()
		require.NoError(t, err)
		var value json.RawMessage
		require.NoError(t, decoder.Decode(&value))
		list = append(list, member{name.(string), string(value)}) //nolint:forcetypeassert // it is a text in valid JSON.
	}
	return list, true
}

var odd = []string{
	`{"a":1,"b":{"c":[]}}`, `{"a":1,"a":2}`, ` { "a" : "}\"{" , "b" : [ "]" , { } ] , "c\u0064" : -1.5e3 , "" : null } `, `{}`, ` { } `,
	`{"\\":"\\\\"}`, "{\"\xff\":1}", "{\t\"a\"\r:\n1}", `[1,"a,b",[2,[3]],{"a":[]},null,true]`, ` [ ] `, `[[],{}]`, `"a"`, `1`, `null`,
}

func FuzzWalk(f *testing.F) {
	for _, text := range odd {
		f.Add([]byte(text))
	}
	for _, text := range []string{`{`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{:`, `{,`, `{"a\`, `[,,]`, `[1`, `[}`, `{]`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		count := 0
		for m := wire.Members(text); m.Next(); {
			count++
		}
		var values []string
		for e := wire.Elements(text); e.Next(); {
			values = append(values, string(e.Value))
		}
		if !json.Valid(text) {
			return // It ends, and doesn't panic.
		}
		want, isObject := members(t, text)
		require.Equal(t, len(want), count)
		i := 0
		for m := wire.Members(text); m.Next(); i++ {
			require.Equal(t, want[i].value, string(m.Value))
			require.True(t, m.Is(want[i].name), "%q", want[i].name)
			require.True(t, m.Is(strings.ToUpper(want[i].name)) || !ascii(want[i].name), "%q", want[i].name)
			require.False(t, m.Is(want[i].name+"x"))
		}
		var list []json.RawMessage
		if isObject || json.Unmarshal(text, &list) != nil {
			require.Empty(t, values)
			return
		}
		require.Len(t, values, len(list))
		for i := range list {
			require.Equal(t, string(list[i]), values[i])
		}
	})
}

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
}

// TestIsComparesNamesAsEncodingJSONDoes has names that are one only for who looks at letters in whatever case.
func TestIsComparesNamesAsEncodingJSONDoes(t *testing.T) {
	for _, name := range []string{
		`task`, `TASK`, `tasK`, `ta\u0073k`, `ta\u017fk`, `ta` + "\u017f" + `k`, `tas` + "\u212a", `tas\u212A`, `tas`, `tasks`, `task `, `t`, ``,
		`tаsk`, "tas\xff", `ta\\sk`,
	} {
		text := []byte(`{"` + name + `":1}`)
		var want struct {
			Task int `json:"task"`
		}
		require.NoError(t, json.Unmarshal(text, &want))
		m := wire.Members(text)
		require.True(t, m.Next())
		require.Equal(t, want.Task == 1, m.Is("task"), name)
	}
}

func TestValuesOfAWalk(t *testing.T) {
	data := []byte(`{"a":"7","a":true}`)
	m := wire.Members(data)
	require.True(t, m.Next())
	require.Equal(t, "7", m.Text())
	require.Equal(t, int64(7), m.Int())
	require.Equal(t, "7", m.Decimal().String())
	require.False(t, m.Bool())
	require.True(t, m.Time().IsZero())
	raw := m.Raw()
	_ = append(m.Value, "xxxxxxx"...)
	require.True(t, m.Next(), "what is added to a value is nothing to those that follow")
	require.True(t, m.Bool())
	require.False(t, m.Next())
	clear(data)
	require.Equal(t, `"7"`, string(raw), "it is a copy")
}

func TestCheck(t *testing.T) {
	for text, kind := range map[string]string{`1`: "number", `-1`: "number", `"a"`: "string", `true`: "bool", `false`: "bool", `[]`: "array", ``: "nothing"} {
		err := wire.CheckObject[wire.Text]([]byte(text), "")
		require.EqualError(t, err, "json: cannot unmarshal "+kind+" into Go value of type wire.Text")
	}
	require.EqualError(t, wire.CheckList[wire.Text]([]byte(`{}`), "a"), "json: cannot unmarshal object into Go struct field .a of type wire.Text")
	require.NoError(t, wire.CheckObject[wire.Text]([]byte(` {}`), ""))
	require.NoError(t, wire.CheckObject[wire.Text]([]byte(`null`), ""))
	require.NoError(t, wire.CheckList[wire.Text]([]byte(`[]`), ""))
}
