package paysera

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/url"
	"reflect"
	"strconv"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// MaxLimit is how many items a page can have.
const MaxLimit = 200

// ListOptions say which part of a list to get. The zero value begins at the beginning, and leaves it to the server how many
// items to send: 20, as far as that is documented.
type ListOptions struct {
	// Limit is how many items to send at once: 1 to [MaxLimit], or 0. Methods named All get the next ones until the list ends.
	Limit int
	// Offset is how many items to leave out at the beginning. Not negative.
	Offset int
}

func (o ListOptions) addTo(query url.Values, name string) error {
	if o.Limit < 0 || o.Limit > MaxLimit || o.Offset < 0 {
		return tillroute.Invalid(System, name, "Limit must be from 0 to %d, and Offset must not be negative", MaxLimit)
	}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Offset > 0 {
		query.Set("offset", strconv.Itoa(o.Offset))
	}
	return nil
}

// Page is a part of a list. The list may change between two pages: an item may then come twice, or not at all.
type Page[T any] struct {
	// Items are those of the page, in the server's order.
	Items []T
	// Total is how many items the whole list has, or -1 if the server didn't say.
	Total int64
	// Offset and Limit are those that the server used, or 0 if it didn't say.
	Offset, Limit int64
}

// listPage gets a page, whose items stand under key in the answer.
func listPage[T any](ctx context.Context, c *core, op operation, key string, query url.Values, o ListOptions, opts []tillroute.CallOption) (Page[T], error) {
	d := op.declare()
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	if err := o.addTo(query, d.Name); err != nil {
		return Page[T]{}, err
	}
	var answer map[string]json.RawMessage
	if err := c.do(ctx, op, rest.Request{Query: query}, &answer, opts); err != nil {
		return Page[T]{}, err
	}
	var items []T
	if value, ok := answer[key]; !ok || json.Unmarshal(value, &items) != nil {
		return Page[T]{}, notUnderstood(d, "the answer has no "+key+" that can be read")
	}
	var meta struct {
		Total  *wire.Int `json:"total"`
		Offset wire.Int  `json:"offset"`
		Limit  wire.Int  `json:"limit"`
	}
	_ = json.Unmarshal(answer["_metadata"], &meta) // Without it, nothing is said.
	page := Page[T]{Items: items, Total: -1, Offset: int64(meta.Offset), Limit: int64(meta.Limit)}
	if meta.Total != nil {
		page.Total = int64(*meta.Total)
	}
	return page, nil
}

// all walks the items of all pages, until a page is empty or the list has no more by its own account.
func all[T any](ctx context.Context, c *core, op operation, key string, query url.Values, o ListOptions, opts []tillroute.CallOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		var before []T
		for o := o; ; {
			page, err := listPage[T](ctx, c, op, key, query, o, opts)
			if err != nil {
				yield(none, err)
				return
			}
			// A list that grows between two pages may repeat one. Where the total says when to stop, that ends by itself.
			if page.Total < 0 && len(before) > 0 && reflect.DeepEqual(page.Items, before) {
				yield(none, notUnderstood(op.declare(), "the page from item "+strconv.Itoa(o.Offset)+" is the one before it again: the list would never end"))
				return
			}
			before = page.Items
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			o.Offset += len(page.Items)
			if len(page.Items) == 0 || (page.Total >= 0 && int64(o.Offset) >= page.Total) {
				return
			}
		}
	}
}

// get makes a call whose answer is one item.
func get[T any](ctx context.Context, c *core, op operation, r rest.Request, opts []tillroute.CallOption) (T, error) {
	d := op.declare()
	var answer whole[T]
	if err := c.do(ctx, op, r, &answer, opts); err != nil {
		var none T
		return none, err
	}
	if answer.null {
		var none T
		return none, notUnderstood(d, "the answer is null")
	}
	return answer.value, nil
}

// whole is an answer that is one value, or null.
type whole[T any] struct {
	null  bool
	value T
}

// UnmarshalJSON implements [json.Unmarshaler].
func (w *whole[T]) UnmarshalJSON(data []byte) error {
	if w.null = string(data) == "null"; w.null {
		return nil
	}
	return wire.Unmarshal(data, &w.value)
}

func notUnderstood(d rest.Operation, message string) error {
	e := &tillroute.Error{System: System, Operation: d.Name, Kind: tillroute.KindDecode, Attempts: 1, Message: message}
	if d.Repeat == rest.Read {
		e.Outcome = tillroute.Failed
	}
	return e
}

func args[T int64 | string](ids ...T) []string {
	var texts []string
	for _, id := range ids {
		switch id := any(id).(type) {
		case int64:
			// The path of 0 would be that of something that isn't there.
			if id > 0 {
				texts = append(texts, strconv.FormatInt(id, 10))
			} else {
				texts = append(texts, "")
			}
		case string:
			texts = append(texts, id)
		}
	}
	return texts
}
