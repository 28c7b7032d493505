// Package pgstore keeps everything in PostgreSQL.
package pgstore
