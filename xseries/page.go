package xseries

import (
	"context"
	"iter"
	"net/url"
	"strconv"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// ListOptions say what to list. The zero value lists everything that isn't deleted, from the beginning.
type ListOptions struct {
	// After is the version that the first item follows: 0, or the Next of a page.
	After int64
	// Before bounds the versions from above. 0 means no bound. Whether it is included isn't documented.
	Before int64
	// PageSize is how many items to send at once. 0 leaves it to the server, which may also send fewer than asked.
	PageSize int
	// Deleted includes what was deleted.
	Deleted bool
}

func (o ListOptions) query(operation string) (url.Values, error) {
	if o.After < 0 || o.Before < 0 || o.PageSize < 0 {
		return nil, tillroute.Invalid(System, operation, "After, Before and PageSize must not be negative")
	}
	q := url.Values{}
	set := func(name string, value int64) {
		if value > 0 {
			q.Set(name, strconv.FormatInt(value, 10))
		}
	}
	set("after", o.After)
	set("before", o.Before)
	set("page_size", int64(o.PageSize))
	if o.Deleted {
		q.Set("deleted", "true")
	}
	return q, nil
}

// Page is a part of a list.
type Page[T any] struct {
	// Items have versions above After, and up to Next, in no particular order. An empty page is the last one.
	Items []T
	// Next is the After of the page that follows. It is that of this page if the page is empty, so that it can be kept
	// to ask for changes later: once all of Items are dealt with, and not before.
	Next int64
}

// list gets a page.
func list[T any](ctx context.Context, c *core, op operation, o ListOptions, opts []tillroute.CallOption) (Page[T], error) {
	name := op.declare().Name
	query, err := o.query(name)
	if err != nil {
		return Page[T]{}, err
	}
	if o.Deleted && op == salesList {
		return Page[T]{}, tillroute.Invalid(System, name, "the API has no Deleted for sales")
	}
	var answer pageAnswer[T]
	if err := c.do(ctx, op, rest.Request{Query: query}, &answer, opts); err != nil {
		return Page[T]{}, err
	}
	if !answer.there {
		return Page[T]{}, noData(op)
	}
	page := Page[T]{Items: answer.items, Next: answer.last}
	if len(page.Items) == 0 {
		page.Next = o.After
	}
	return page, nil
}

// pageAnswer is a page as the API sends it. It knows whether the items were there: without that, an answer of another kind would
// pass for an empty page.
type pageAnswer[T any] struct {
	there bool
	items []T
	last  int64
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *pageAnswer[T]) UnmarshalJSON(data []byte) error {
	if err := wire.CheckObject[pageAnswer[T]](data, ""); err != nil {
		return err
	}
	var wrong error // with the version: the items come first.
	for m := wire.Members(data); m.Next(); {
		switch {
		case m.Is("data"):
			var err error
			if a.items, err = items[T](m.Value); err != nil {
				return err
			}
			a.there = true
		case m.Is("version"):
			if err := wire.CheckObject[map[string]wire.Int](m.Value, "version"); err != nil {
				wrong = err
			}
			for v := wire.Members(m.Value); v.Next(); {
				if v.Is("max") {
					a.last = v.Int()
				}
			}
		}
	}
	return wrong
}

// items reads a list. Null is none.
func items[T any](data []byte) ([]T, error) {
	if err := wire.CheckList[[]T](data, "data"); err != nil || string(data) == "null" {
		return nil, err
	}
	list := []T{}
	for e := wire.Elements(data); e.Next(); {
		var item T
		list = append(list, item)
		if err := wire.Unmarshal(e.Value, &list[len(list)-1]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// pages walks all pages but the empty one at the end. It asks for nothing before it is ranged over, and starts anew each
// time it is.
func pages[T any](ctx context.Context, c *core, op operation, o ListOptions, opts []tillroute.CallOption) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		for o := o; ; {
			page, err := list[T](ctx, c, op, o, opts)
			if err != nil {
				yield(Page[T]{}, err)
				return
			}
			if len(page.Items) == 0 {
				return
			}
			end := page.Next
			// Who keeps the cursor must not be sent back by one that goes back.
			page.Next = max(end, o.After)
			if !yield(page, nil) {
				return
			}
			if end <= o.After {
				yield(Page[T]{}, &tillroute.Error{
					System: System, Operation: op.declare().Name, Kind: tillroute.KindDecode, Outcome: tillroute.Failed, Attempts: 1,
					Message: "the page after version " + strconv.FormatInt(o.After, 10) + " ends at version " + strconv.FormatInt(end, 10) +
						": the list would never end",
				})
				return
			}
			o.After = end
		}
	}
}

// all walks the items of all pages.
func all[T any](ctx context.Context, c *core, op operation, o ListOptions, opts []tillroute.CallOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for page, err := range pages[T](ctx, c, op, o, opts) {
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// get gets one item.
func get[T any](ctx context.Context, c *core, op operation, id string, opts []tillroute.CallOption) (T, error) {
	return one[T](ctx, c, op, rest.Request{Args: []string{id}}, opts)
}

// one makes a call whose answer is one item.
func one[T any](ctx context.Context, c *core, op operation, r rest.Request, opts []tillroute.CallOption) (T, error) {
	var answer struct {
		Data present[T] `json:"data"`
	}
	if err := c.do(ctx, op, r, &answer, opts); err != nil {
		var none T
		return none, err
	}
	if !answer.Data.there || answer.Data.null {
		return answer.Data.value, noData(op)
	}
	return answer.Data.value, nil
}

// present is a value that knows whether it was there.
type present[T any] struct {
	there, null bool
	value       T
}

// UnmarshalJSON implements [json.Unmarshaler].
func (p *present[T]) UnmarshalJSON(data []byte) error {
	p.there, p.null = true, string(data) == "null"
	return wire.Unmarshal(data, &p.value)
}

func noData(op operation) error {
	d := op.declare()
	e := &tillroute.Error{
		System: System, Operation: d.Name, Kind: tillroute.KindDecode, Attempts: 1,
		Message: "the answer has no data: check BaseURL and APIVersion",
	}
	if d.Repeat == rest.Read {
		e.Outcome = tillroute.Failed
	}
	return e
}
