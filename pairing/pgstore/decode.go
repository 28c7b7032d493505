package pgstore

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// decoder reads the columns of a row one after the other. A payment has so many that to plan the reading of each anew,
// as Scan does for every query, takes longer than the reading. All texts share one string.
type decoder struct {
	rows   pgx.Rows
	values [][]byte
	texts  string // all values, one after the other
	next   int    // column
	offset int    // of its text
	err    error
}

func decode(rows pgx.Rows) *decoder {
	d := &decoder{rows: rows, values: rows.RawValues()}
	var buffer [1024]byte
	all := buffer[:0]
	for _, v := range d.values {
		all = append(all, v...)
	}
	d.texts = string(all)
	return d
}

// value returns the next column, and whether it is in the binary format.
func (d *decoder) value() (v []byte, isBinary bool) {
	v = d.values[d.next]
	isBinary = d.rows.FieldDescriptions()[d.next].Format == pgtype.BinaryFormatCode
	d.next++
	d.offset += len(v)
	return v, isBinary
}

func (d *decoder) text() string {
	v, _ := d.value() // which is the same in both formats
	return d.texts[d.offset-len(v) : d.offset]
}

func (d *decoder) bytes() []byte {
	if v, isBinary := d.value(); isBinary {
		return bytes.Clone(v)
	}
	var b []byte
	d.slowly(&b)
	return b
}

func (d *decoder) bool() bool {
	v, isBinary := d.value()
	return len(v) == 1 && (isBinary && v[0] == 1 || v[0] == 't')
}

func (d *decoder) integer() int64 {
	v, isBinary := d.value()
	if isBinary && len(v) == 8 {
		return int64(binary.BigEndian.Uint64(v)) //nolint:gosec // it is one.
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	d.fail(err)
	return n
}

// epoch is when PostgreSQL's times begin, which are in microseconds.
const epoch = 946_684_800_000_000

// time returns a time in UTC. NULL is the zero time.
func (d *decoder) time() time.Time {
	v, isBinary := d.value()
	switch {
	case v == nil:
		return time.Time{}
	case isBinary && len(v) == 8:
		return time.UnixMicro(int64(binary.BigEndian.Uint64(v)) + epoch).UTC() //nolint:gosec // it is one.
	default:
		var t time.Time
		d.slowly(&t)
		return t.UTC()
	}
}

// amount returns an amount that was selected as text.
func (d *decoder) amount() decimal.Decimal {
	text := d.text()
	if text == "0" {
		return decimal.Decimal{}
	}
	amount, err := decimal.NewFromString(text)
	d.fail(err)
	return amount
}

// slowly reads the column before the next one as pgx does.
func (d *decoder) slowly(dest any) {
	field := d.rows.FieldDescriptions()[d.next-1]
	d.fail(d.rows.Conn().TypeMap().Scan(field.DataTypeOID, field.Format, d.values[d.next-1], dest))
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// The columns of a payment: those that an open one may have, and those that come with its end.
const (
	openColumns = "seq, id, system, account, register, kind, amount::text, currency, reference, data," +
		" provider, serial, identity, state, note, mark, accepted_at, sent_at," +
		" handle_transaction_id, handle_token, handle_serial"
	paymentColumns = openColumns + ", ended_at, outcome, charged::text, surcharge::text, tip::text," +
		" transaction_id, auth_code, acquirer, card_type, card_number, receipt, reason, resolved_by"
)

// open reads openColumns.
func (d *decoder) open() pairing.Payment {
	// In the order in which they are written here.
	return pairing.Payment{
		Seq: d.integer(),
		Request: pairing.Request{
			ID:       d.text(),
			Register: pairing.Register{System: d.text(), Account: d.text(), ID: d.text()},
			Kind:     pairing.Kind(d.text()), Amount: d.amount(), Currency: d.text(), Reference: d.text(), Data: d.bytes(),
		},
		Terminal:   pairing.Terminal{Provider: d.text(), Serial: d.text()},
		Identity:   tillroute.Secret(d.text()),
		State:      pairing.State(d.text()),
		Note:       d.text(),
		Mark:       d.text(),
		AcceptedAt: d.time(), SentAt: d.time(),
		Handle: pairing.Handle{TransactionID: d.text(), Token: tillroute.Secret(d.text()), Serial: d.text()},
	}
}

// payment reads paymentColumns.
func (d *decoder) payment() pairing.Payment {
	p := d.open()
	p.EndedAt = d.time()
	p.Result = pairing.Result{
		Outcome: tillroute.ParseOutcome(d.text()), Amount: d.amount(), Surcharge: d.amount(), Tip: d.amount(),
		TransactionID: d.text(), AuthCode: d.text(), Acquirer: d.text(), CardType: d.text(), CardNumber: d.text(),
		Receipt: d.text(), Reason: d.text(),
	}
	p.ResolvedBy = d.text()
	return p
}
