package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

// database says where everything is kept.
type database struct{ file, dsn, schema string }

const (
	usualFile   = "tillroute.db"
	usualSchema = "tillroute"
	// busyTime is how long a gateway and the person who looks after its payments wait for each other, also on a slow disk.
	busyTime = 30 * time.Second
)

// flags adds the flags that name the database.
func (d *database) flags(to *flag.FlagSet) {
	to.StringVar(&d.file, "db", usualFile, "the SQLite `file` that keeps everything; the simulated world is kept beside it")
	to.StringVar(&d.dsn, "dsn", "", "the PostgreSQL `database` that keeps everything in place of -db: postgres://user@host/name; leave passwords to ~/.pgpass")
	to.StringVar(&d.schema, "schema", usualSchema, "with -dsn, the schema that the tables are in")
}

// open opens the database, and makes what isn't there.
func (d *database) open(ctx context.Context) (pairing.Store, error) {
	if d.dsn != "" {
		return pgstore.Open(ctx, pgstore.Config{DSN: tillroute.Secret(d.dsn), Schema: d.schema})
	}
	return sqlitestore.Open(ctx, sqlitestore.Config{Path: d.file, BusyTimeout: busyTime})
}

// openExisting opens a database that a gateway has made.
func (d *database) openExisting(ctx context.Context) (pairing.Store, error) {
	if d.dsn != "" {
		if err := d.findSchema(ctx); err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(d.file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no database %q: name the gateway's with -db or -dsn, or change to its folder", d.file)
	}
	return d.open(ctx)
}

// findSchema returns an error if a gateway has made no such schema.
func (d *database) findSchema(ctx context.Context) error {
	config, err := pgx.ParseConfig(d.dsn)
	if err != nil {
		return errors.New("-dsn is not the address of a database: postgres://user@host/name") // err repeats it
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("the database of -dsn can't be reached: look at its address, and whether it runs: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var found bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", pgx.Identifier{d.schema, "payments"}.Sanitize()).Scan(&found); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("there is no schema %q in the database of -dsn: name the gateway's with -schema", d.schema)
	}
	return nil
}

// given returns the flags that name the database again, for a command that a person is to type. There may be a password in
// a DSN: that has to be in a variable.
func (d *database) given() (flags string) {
	if d.dsn == "" {
		if d.file != usualFile {
			flags = " -db " + quote(d.file)
		}
		return flags
	}
	flags = ` -dsn "$DSN"`
	if d.schema != usualSchema {
		flags += " -schema " + quote(d.schema)
	}
	return flags
}
