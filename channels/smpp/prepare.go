package smpp

import (
	"fmt"
	"slices"
	"strings"

	"tocsin/channels"
	"tocsin/channels/smpp/pdu"
	"tocsin/channels/sms"
	"tocsin/warning"
)

// drillMark begins every text of a public drill (promise 8).
const drillMark = "【演练】"

// words is a text laid out for an account: one template a segment.
type words struct {
	templates []pdu.Template
	all       uint8 // a bit for each segment
}

// Segments is how many submit_sm one person costs.
func (w *words) Segments() int { return len(w.templates) }

// codings is data_coding by alphabet and flash.
var codings = map[sms.Coding][2]byte{
	sms.GSM7: {pdu.CodingDefault, pdu.CodingFlash},
	sms.UCS2: {pdu.CodingUCS2, pdu.CodingFlashUCS2},
}

// Prepare cuts the text and lays out a submit_sm for each segment. The default alphabet of the carrier is taken to be
// the GSM one.
func (c *carrier) Prepare(content channels.Content) (channels.Prepared, error) {
	if !slices.Contains(c.account.Statuses, content.Status) {
		return nil, warning.Invalid(warning.Violation{
			Field: "status", Rule: "status.unmarked",
			Detail: fmt.Sprintf("the links of account %s are not marked for %s", c.account.Name, content.Status),
			Remedy: "use an account that is marked for it",
		})
	}
	if content.Status == warning.PublicDrill && !strings.HasPrefix(content.Text, drillMark) {
		return nil, warning.Invalid(warning.Violation{
			Field: "text", Rule: "text.drill_mark", Detail: "the text of a public drill does not say so",
			Remedy: "begin it with " + drillMark,
		})
	}
	pieces, coding, err := sms.Segments(content.Text)
	if err != nil {
		return nil, err
	}
	if len(pieces) > c.account.Window {
		return nil, warning.Invalid(warning.Violation{
			Field: "text", Rule: "text.window",
			Detail: fmt.Sprintf("the text needs %d messages, a link of account %s holds %d", len(pieces), c.account.Name, c.account.Window),
			Remedy: "shorten the text or widen the window",
		})
	}
	sm := pdu.SM{
		Source: []byte(c.account.Source), DestTON: pdu.TONInternational, DestNPI: pdu.NPIISDN, Coding: codings[coding][0],
	}
	sm.SourceTON, sm.SourceNPI = numbering(c.account.Source)
	if content.Flash {
		sm.Coding = codings[coding][1]
	}
	if content.WithReceipt {
		sm.Registered = pdu.ReceiptWanted
	}
	if !content.Expires.IsZero() {
		sm.Validity = pdu.AbsoluteTime(content.Expires)
	}
	w := &words{templates: make([]pdu.Template, len(pieces)), all: uint8(1<<len(pieces) - 1)}
	for i, piece := range pieces {
		if w.templates[i], err = layOut(sm, coding, piece, i, len(pieces)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// layOut makes the template of segment i of n.
func layOut(sm pdu.SM, coding sms.Coding, piece string, i, n int) (t pdu.Template, err error) {
	refAt := -1
	if n > 1 {
		h := sms.Header(0, uint8(n), uint8(i+1))
		sm.Text, sm.Class, refAt = h[:], pdu.ClassUDH, sms.RefAt
	}
	if sm.Text, err = coding.Append(sm.Text, piece); err != nil {
		return t, err
	}
	return pdu.NewTemplate(&sm, refAt)
}

// numbering is type and plan of the number shown: a service number of the carrier's own has no country, a name is
// alphanumeric, and an empty one is the carrier's to choose (clauses 5.2.5, 5.2.6, 5.2.8).
func numbering(source string) (ton, npi byte) {
	switch {
	case source == "":
		return pdu.TONUnknown, pdu.NPIUnknown
	case strings.Trim(source, "0123456789") == "":
		return pdu.TONUnknown, pdu.NPIISDN
	}
	return pdu.TONAlphanumeric, pdu.NPIUnknown
}
