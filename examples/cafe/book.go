package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/paysera"
)

// visit is what the guests at a table are to pay, and how.
type visit struct {
	Table string       `json:"table"`
	Item  string       `json:"item"`
	Bill  paysera.Bill `json:"bill"`
	// Card says that they pay at the table's terminal, and Settled that this is over. What became of it is with the router.
	Card    bool `json:"card"`
	Settled bool `json:"settled"`
}

// open reports whether something is left to be done.
func (v visit) open() bool {
	if v.Card {
		return !v.Settled
	}
	return v.Bill.Status == ""
}

// pages are what the book says.
type pages struct {
	Visits []visit `json:"visits"`
	// Wants is what the guests at a table have told the waiter.
	Wants map[string]string `json:"wants"`
}

// book keeps the visits in a file, which is complete whenever the program dies. A real till has a database.
type book struct {
	path string

	mu      sync.Mutex
	pages   pages
	changed chan struct{}
}

func openBook(path string) (*book, error) {
	b := &book{path: path, changed: make(chan struct{}), pages: pages{Wants: map[string]string{}}}
	text, err := os.ReadFile(path) //nolint:gosec // the user names it.
	if errors.Is(err, os.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &b.pages) //nolint:musttag // a bill's fields have their Go names in the file.
	}
	if err != nil {
		return nil, fmt.Errorf("the café's book can't be read: %w", err)
	}
	return b, nil
}

// change has do change a copy of the pages, and writes it down. Nothing changes if that fails.
func (b *book) change(do func(p *pages) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := pages{Visits: slices.Clone(b.pages.Visits), Wants: maps.Clone(b.pages.Wants)}
	if err := do(&p); err != nil {
		return err
	}
	if err := write(b.path, p); err != nil {
		return fmt.Errorf("the café's book can't be written: %w", err)
	}
	b.pages = p
	close(b.changed)
	b.changed = make(chan struct{})
	return nil
}

// write replaces a file: whenever the machine dies, the old or the new one is there, and the new one once write has returned.
func write(path string, content any) error {
	text, err := json.MarshalIndent(content, "", "\t")
	if err != nil {
		return err
	}
	file, err := os.Create(path + ".new") //nolint:gosec // the user names it.
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil || runtime.GOOS == "windows" { // which can't flush folders
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// want writes down what the guests at a table want.
func (b *book) want(table, item string) error {
	return b.change(func(p *pages) error { p.Wants[table] = item; return nil })
}

// seat begins a visit.
func (b *book) seat(table string, spotID int64) (v visit, err error) {
	return v, b.change(func(p *pages) error {
		item := p.Wants[table]
		if item == "" {
			item = coffee
		}
		v = visit{Table: table, Item: item, Bill: paysera.Bill{
			Reference: fmt.Sprintf("visit-%d", len(p.Visits)+1), SpotID: spotID, Description: item, Amount: price(item), Currency: currency,
		}}
		p.Visits = append(p.Visits, v)
		return nil
	})
}

// update changes the visit with that bill.
func (b *book) update(reference string, do func(v *visit) error) error {
	return b.change(func(p *pages) error {
		for i := range p.Visits {
			if p.Visits[i].Bill.Reference == reference {
				return do(&p.Visits[i])
			}
		}
		return fmt.Errorf("the café has no bill %s", reference)
	})
}

// save writes a bill's progress down, unless it contradicts what was written before: see paysera.Till.
func (b *book) save(bill paysera.Bill) error {
	return b.update(bill.Reference, func(v *visit) error {
		kept := v.Bill
		if kept.TransactionKey != bill.TransactionKey && kept.TransactionKey != "" && bill.TransactionKey != "" ||
			!kept.Charge.IsZero() && !kept.Charge.Equal(bill.Charge) || kept.Status != "" && kept.Status != bill.Status {
			return &tillroute.Error{
				System: paysera.System, Operation: "save", Kind: tillroute.KindConflict,
				Message: "bill " + bill.Reference + " has come further than that",
			}
		}
		v.Bill = bill
		return nil
	})
}

// visits returns all visits, and a channel that is closed when they change.
func (b *book) visits() ([]visit, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.pages.Visits), b.changed
}

// at returns the open visit at a table.
func (b *book) at(table string) (visit, bool) {
	visits, _ := b.visits()
	for _, v := range visits {
		if v.Table == table && v.open() {
			return v, true
		}
	}
	return visit{}, false
}

// The menu.
const (
	coffee   = "coffee"
	cake     = "cake"
	currency = "EUR"
)

func price(item string) decimal.Decimal {
	if item == cake {
		return decimal.New(480, -2)
	}
	return decimal.New(250, -2)
}
