package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

// database says where everything is kept.
type database struct{ file string }

// flags adds the flags that name the database.
func (d *database) flags(to *flag.FlagSet) {
	to.StringVar(&d.file, "db", "tillroute.db", "the SQLite `file` that keeps everything; the simulated world is kept beside it")
}

// open opens the database, and makes it if it isn't there.
func (d *database) open(ctx context.Context) (pairing.Store, error) {
	return sqlitestore.Open(ctx, sqlitestore.Config{Path: d.file})
}

// openExisting opens a database that a gateway has made.
func (d *database) openExisting(ctx context.Context) (pairing.Store, error) {
	if _, err := os.Stat(d.file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no database %q: name the gateway's with -db, or change to its folder", d.file)
	}
	return d.open(ctx)
}

// given returns the flags that name the database again, for a command that a person is to type.
func (d *database) given() string {
	if d.file == "tillroute.db" {
		return ""
	}
	return " -db " + quote(d.file)
}
