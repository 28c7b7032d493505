package testserver

import (
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The limits of a page are those of the vendor's published code.
const (
	walletPage    = 20
	walletPageMax = 200
)

// document is a JSON object. Extra are the members that only come when the query parameter fields names them.
type document struct {
	plain map[string]any
	extra map[string]any
}

// walletFields is what the query parameter fields asks for: nil for the default.
type walletFields []string

// parseFields reads the query parameter fields: names with commas between, dots for what is deeper, * for the default.
func parseFields(values []string) (walletFields, error) {
	if len(values) == 0 {
		return nil, nil
	}
	fields := walletFields{}
	for _, text := range values {
		for field := range strings.SplitSeq(text, ",") {
			if strings.HasSuffix(field, ".") {
				return nil, invalid("fields", "Invalid field provided, field cannot end with a dot")
			}
			fields = append(fields, field)
		}
	}
	return fields, nil
}

// defaults reports whether the default members are asked for.
func (f walletFields) defaults() bool {
	return f == nil || slices.Contains(f, "*")
}

// below is what is asked of a member, and whether it is named. As in the vendor's published code, a * counts for what
// is deeper too.
func (f walletFields) below(name string) (fields walletFields, named bool) {
	fields = walletFields{}
	for _, field := range f {
		first, rest, deeper := strings.Cut(field, ".")
		if first != name {
			continue
		}
		named = true
		if !deeper {
			rest = "*"
		}
		fields = append(fields, rest)
	}
	if f.defaults() {
		fields = append(fields, "*")
	}
	return fields, named
}

// pick leaves of an answer what is asked for.
func pick(v any, fields walletFields) any {
	switch v := v.(type) {
	case document:
		out := map[string]any{}
		for name, member := range v.plain {
			if below, named := fields.below(name); named || fields.defaults() {
				out[name] = pick(member, below)
			}
		}
		for name, member := range v.extra {
			if below, named := fields.below(name); named {
				out[name] = pick(member, below)
			}
		}
		return out
	case map[string]any:
		return pick(document{plain: v}, fields)
	case []document:
		out := make([]any, 0, len(v))
		for _, one := range v {
			out = append(out, pick(one, fields))
		}
		return out
	default:
		return v
	}
}

// page cuts a list to the page that is asked for, under the name of its resource.
func page(name string, list []document, q url.Values) (any, error) {
	limit, err := pageNumber(q, "limit", walletPage)
	if err != nil {
		return nil, err
	}
	if limit > walletPageMax {
		return nil, invalid("limit", "limit cannot exceed "+strconv.Itoa(walletPageMax))
	}
	offset, err := pageNumber(q, "offset", 0)
	if err != nil {
		return nil, err
	}
	first := min(offset, len(list))
	return document{plain: map[string]any{
		name:        list[first:min(first+limit, len(list))],
		"_metadata": map[string]any{"total": len(list), "offset": offset, "limit": limit},
	}}, nil
}

func pageNumber(q url.Values, name string, otherwise int) (int, error) {
	if !q.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil {
		return 0, invalid(name, "Invalid parameter: "+name)
	}
	if n < 0 {
		return 0, invalid(name, name+" cannot be negative")
	}
	return n, nil
}

// isJSON reports whether a content type is that of JSON.
func isJSON(text string) bool {
	kind, _, err := mime.ParseMediaType(text)
	return err == nil && kind == "application/json"
}
