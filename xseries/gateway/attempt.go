package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// A sale is paid in attempts, which are numbered: the payment's ID ends with the number. A new attempt begins when the one
// before it is settled, and never earlier; so only the latest one has to be looked at, and two pages that begin one at the same
// time begin the same.
//
// The sell screen doesn't acknowledge an ACCEPT. What is known of it is in the payment's mark:
//
//	""                nobody was told yet that it was approved
//	"told PAGE SUM"   that page was about to say ACCEPT, when the sell screen had recorded SUM
//	"recorded: WHO"   the sale has it; WHO says so
//	"given back: WHO" it was given back at the terminal; WHO says so
//	"undone: WHO"     the same, as it was written before
const (
	markTold      = "told "
	markRecorded  = "recorded: "
	markGivenBack = "given back: "
	markUndone    = "undone: "

	recordedBySale    = markRecorded + "the sale's sum"
	recordedByStore   = markRecorded + "the store"
	recordedByCashier = markRecorded + "the cashier"
	undoneByCashier   = markGivenBack + "the cashier"
)

// ask is what a Pay page was opened for.
type ask struct {
	// Store is the domain prefix, and Register the register's ID, which may be missing until the sell screen says it.
	Store    string `json:"s"`
	Register string `json:"r"`
	// Kind and Amount are what is to be paid. Amount is above zero.
	Kind   pairing.Kind    `json:"k"`
	Amount decimal.Decimal `json:"a"`
	// Page names this opening of the page, and Opened is when it was, in Unix seconds.
	Page   string `json:"p"`
	Opened int64  `json:"o"`
}

// detail is what is kept with a payment, as JSON.
type detail struct {
	// Sale is the sale's ID, as the sell screen named it.
	Sale string `json:"sale"`
	// Page is the opening of the page that began the payment.
	Page string `json:"page"`
	// Paid is what the sell screen had recorded of the sale before. It is negative for a refund.
	Paid decimal.Decimal `json:"paid"`
}

// readDetail reads what was kept. What can't be read is nothing.
func readDetail(p pairing.Payment) detail {
	var d detail
	if json.Unmarshal(p.Data, &d) != nil {
		return detail{}
	}
	return d
}

// toldBy is the mark of a payment that a page is about to say ACCEPT for.
func toldBy(page string, paid decimal.Decimal) string { return markTold + page + " " + paid.String() }

// settled reports whether a payment's mark says that nothing has to be done about it any more.
func settled(mark string) bool {
	return strings.HasPrefix(mark, markRecorded) || strings.HasPrefix(mark, markGivenBack) || strings.HasPrefix(mark, markUndone)
}

// chain returns what the IDs of all attempts at a sale begin with. A sale may be parked at one register and taken up at another.
// Where the sell screen names no sale, all of a register's attempts are in one chain.
func chain(store, registerID, sale string) string {
	of := idPart(sale)
	if sale == "" {
		of = "@" + idPart(registerID)
	}
	return xseries.System + "/" + store + "/" + of + "/"
}

// idPart makes what a browser said fit for an ID.
func idPart(text string) string {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '-'
	}
	if text != "" && len(text) <= 40 && strings.TrimFunc(text, plain) == "" {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return "_" + hex.EncodeToString(sum[:16])
}

// latest returns the latest attempt of a chain, and its number; 0 if there is none.
func (h *Handler) latest(ctx context.Context, chain string) (pairing.Payment, int, error) {
	var last pairing.Payment
	get := func(n int) (bool, error) {
		p, err := h.config.Router.Payment(ctx, chain+strconv.Itoa(n))
		if errors.Is(err, tillroute.ErrNotFound) {
			return false, nil
		}
		if err == nil {
			last = p
		}
		return err == nil, err
	}
	// Nearly all sales have none or one, but the chain of a register goes on for ever.
	have, miss := 0, 1
	for {
		found, err := get(miss)
		if err != nil {
			return pairing.Payment{}, 0, err
		}
		if !found {
			break
		}
		have, miss = miss, miss*2
	}
	for miss-have > 1 {
		middle := have + (miss-have)/2
		found, err := get(middle)
		if err != nil {
			return pairing.Payment{}, 0, err
		}
		if found {
			have = middle
		} else {
			miss = middle
		}
	}
	return last, have, nil
}

// verdict says what to do about the latest attempt at a sale.
type verdict int

const (
	// resume it: it is not over, or this page's own, or told by this page, or approved and never told.
	resume verdict = iota
	// begin a new one: it is settled.
	begin
	// doubt: it was approved, and whether the sale has it can't be known from here. A person says.
	doubt
)

// judge says what to do about the latest attempt, when a page is opened for a and the sell screen has recorded paid.
func judge(latest pairing.Payment, a ask, paid decimal.Decimal) verdict {
	d := readDetail(latest)
	switch {
	case latest.State != pairing.Done, d.Page == a.Page, strings.HasPrefix(latest.Mark, markTold+a.Page+" "):
		return resume
	case latest.Outcome() != tillroute.Approved, settled(latest.Mark):
		return begin
	}
	// What was recorded since may also have been cash. Together with the word that the sell screen was told, it is taken for this
	// payment: only the store could tell the two apart, and not while the sale is being paid.
	before := d.Paid
	if fields := strings.Fields(strings.TrimPrefix(latest.Mark, markTold)); len(fields) == 2 { //nolint:mnd // the page and the sum.
		if sum, err := decimal.NewFromString(fields[1]); err == nil {
			before = sum
		}
	}
	since := paid.Sub(before)
	if latest.Kind == pairing.Refund {
		since = since.Neg()
	}
	taken := since.GreaterThanOrEqual(base(latest))
	told := strings.HasPrefix(latest.Mark, markTold)
	switch {
	case told && (taken || d.Sale == ""):
		return begin
	case !told && !taken && d.Sale != "":
		return resume
	default:
		return doubt
	}
}

// base is what an approved payment pays of the sale: a surcharge or a tip comes on top.
func base(p pairing.Payment) decimal.Decimal {
	return p.Result.Amount.Sub(p.Result.Surcharge).Sub(p.Result.Tip)
}

// covers reports whether an approved payment pays exactly what the page was opened for. The sell screen can't be told of
// another amount.
func covers(p pairing.Payment, kind pairing.Kind, amount decimal.Decimal) bool {
	if p.Kind != kind {
		return false
	}
	paid := base(p)
	// A terminal that charges more than it was asked for and doesn't say what for has added something of its own.
	return paid.Equal(amount) || (p.Amount.Equal(amount) && paid.GreaterThan(amount))
}
