package testserver

import (
	"fmt"
	"strings"
	"time"
)

const (
	// receiptWidth is the width of a receipt, in columns.
	receiptWidth = 30
	// company is the payment company's name in results.
	company = "Smartpay"
)

// terminalZone is where the terminals stand: New Zealand's standard time.
func terminalZone() *time.Location { return time.FixedZone("NZST", 12*60*60) }

// terminalRef is the bank's number of the i-th terminal. The first is the vendor's example.
func terminalRef(i int) string { return fmt.Sprintf("%08d", 79707014+i) }

// dollars writes cents as the terminal shows them; "" for 0.
func dollars(cents int64) string {
	if cents == 0 {
		return ""
	}
	return fmt.Sprintf("NZ$ %d.%02d", cents/100, cents%100)
}

// row puts one text at the left and one at the right edge.
func row(left, right string) string {
	return left + strings.Repeat(" ", max(receiptWidth-len(left)-len(right), 1)) + right
}

// centred puts a text in the middle of the line.
func centred(text string) string {
	gap := max(receiptWidth-len(text), 0)
	return strings.Repeat(" ", gap/2) + text + strings.Repeat(" ", gap-gap/2)
}

// frame puts the head and the foot around the lines of a receipt.
func (d *Device) frame(lines []string) string {
	head := []string{
		centred("SIMULATED STORE"), centred("TEST TERMINAL"), "",
		"*-----------EFTPOS-----------*",
		row("TERMINAL", d.terminalRef),
		row("TIME", strings.ToUpper(d.cloud.engine.now().In(terminalZone()).Format("02Jan06 15:04"))),
	}
	return strings.Join(append(append(head, lines...), "*----------------------------*"), "\n") + "\n\n"
}

// receipt is the receipt of a financial transaction, in the layout of the vendor's example.
func (d *Device) receipt(t *transaction, verdict string) string {
	verb := map[string]string{
		"Card.Refund": "REFUND", "QR.Refund": "REFUND", "Card.CashAdvance": "CASH",
		"Card.Authorise": "AUTHORISE", "Card.Finalise": "FINALISE",
	}[t.typ]
	lines := []string{row("TRAN "+fmt.Sprintf("%06d", len(d.served)), "CREDIT"), "EMV TEST CARD", row("CARD", "....0138")}
	if t.result.AuthID != "" {
		lines = append(lines, "AUTH "+t.result.AuthID)
	}
	lines = append(lines, row(orDefault(verb, "PURCHASE"), dollars(t.cents-t.cash)))
	if t.cash > 0 {
		lines = append(lines, row("CASH", dollars(t.cash)))
	}
	total := t.cents
	if verdict == "ACCEPTED" && txTypes()[t.typ].purchase {
		for _, extra := range []struct {
			name  string
			cents int64
		}{{"SURCHARGE", d.surcharge}, {"TIP", d.tip}} {
			if extra.cents > 0 {
				lines = append(lines, row(extra.name, dollars(extra.cents)))
				total += extra.cents
			}
		}
	}
	return d.frame(append(lines, row("TOTAL", dollars(total)), "", centred(verdict)))
}

// acquirerReceipt is the receipt of a logon or a settlement.
func (d *Device) acquirerReceipt(t *transaction) string {
	if t.typ == "Acquirer.Logon" {
		return d.frame([]string{centred("LOGON"), centred("ACCEPTED")})
	}
	sign, total := "", d.batch
	if total < 0 {
		sign, total = "-", -total
	}
	return d.frame([]string{
		centred("SETTLEMENT"), row("TOTAL", sign+fmt.Sprintf("NZ$ %d.%02d", total/100, total%100)), centred("ACCEPTED"),
	})
}

// duplicate marks a receipt that is printed again.
func duplicate(receipt string) string {
	const foot = "*----------------------------*"
	return strings.Replace(receipt, foot, "******DUPLICATE  RECEIPT******\n"+foot, 1)
}
