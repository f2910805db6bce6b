package pdu

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParseReceipt(t *testing.T) {
	const usual = "id:0123 sub:001 dlvrd:001 submit date:2611242134 done date:2611242135 stat:DELIVRD err:000 text:"
	tlv := func(pairs ...any) (b []byte) {
		for i := 0; i < len(pairs); i += 2 {
			b = AppendOptional(b, pairs[i].(Tag), []byte(pairs[i+1].(string)))
		}
		return b
	}
	tests := []struct {
		name     string
		class    byte
		text     string
		optional []byte
		none     bool
		id, tlv  string
		state    State
		err      string
		passing  bool
	}{
		{name: "as in appendix B", class: 0x04, text: usual, id: "0123", state: Delivered, err: "000"},
		{name: "words of the message lie", class: 0x04, text: usual + "id:9 stat:REJECTD err:1", id: "0123", state: Delivered, err: "000"},
		{name: "another order", class: 0x04, text: "stat:UNDELIV err:011 done date:2611242135 id:ab-9 text:x", id: "ab-9", state: Undeliverable, err: "011"},
		{name: "the words first", class: 0x04, text: "text:stat:x id:z id:77 stat:EXPIRED err:3", id: "77", state: Expired, err: "3"},
		{name: "lower case, long words", class: 0x04, text: "ID:7 Stat:rejected ERR:9", id: "7", state: Rejected, err: "9"},
		{name: "an unknown word", class: 0x04, text: "id:7 stat:SKIPPED", id: "7"},
		{name: "zero at the end", class: 0x04, text: "id:7 stat:DELIVRD\x00", id: "7", state: Delivered},
		{name: "parameters only", class: 0x04, optional: tlv(ReceiptedMessageID, "a1\x00", MessageState, "\x05"), tlv: "a1", state: Undeliverable},
		{name: "message_state wins", class: 0x04, text: usual, optional: tlv(MessageState, "\x08"), id: "0123", state: Rejected, err: "000"},
		{name: "an impossible message_state", class: 0x04, text: usual, optional: tlv(MessageState, "\x09"), id: "0123", state: Delivered, err: "000"},
		{name: "in message_payload", class: 0x04, optional: tlv(MessagePayload, usual), id: "0123", state: Delivered, err: "000"},
		{name: "told by the parameter alone", class: 0x00, text: usual, optional: tlv(ReceiptedMessageID, "z\x00"), id: "0123", tlv: "z", state: Delivered, err: "000"},
		{name: "intermediate", class: 0x20, text: "id:5 stat:ENROUTE", id: "5", state: EnRoute, passing: true},
		{name: "UDH beside it", class: 0x44, text: usual, id: "0123", state: Delivered, err: "000"},
		{name: "nothing in it", class: 0x04},
		{name: "somebody writes to us", class: 0x00, text: usual, none: true},
		{name: "a user's acknowledgement", class: 0x08, text: usual, none: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm, r := SM{Class: tt.class, Text: []byte(tt.text), Optional: tt.optional}, Receipt{}
			if is := ParseReceipt(&sm, &r); is == tt.none {
				t.Fatalf("a receipt: %v", is)
			}
			if tt.none {
				return
			}
			if string(r.ID) != tt.id || string(r.Receipted) != tt.tlv || r.State != tt.state || string(r.Err) != tt.err || r.Intermediate != tt.passing {
				t.Errorf("got id %q, receipted %q, state %d, err %q, intermediate %v", r.ID, r.Receipted, r.State, r.Err, r.Intermediate)
			}
		})
	}
}

// The order of the fields does not matter.
func TestReceiptFieldsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.Permutation([]string{
			"id:1a2b", "sub:001", "dlvrd:000", "submit date:2611242134", "done date:2611242135", "stat:UNDELIV", "err:042", "text:a storm",
		}).Draw(t, "fields")
		text := ""
		for _, w := range words {
			text += w + " "
		}
		var r Receipt
		ParseReceipt(&SM{Class: ClassReceipt, Text: []byte(text)}, &r)
		if string(r.ID) != "1a2b" || r.State != Undeliverable || string(r.Err) != "042" {
			t.Fatalf("%q gives %q %d %q", text, r.ID, r.State, r.Err)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	f.Add([]byte("id:1 stat:DELIVRD err:0 text:x"), []byte{0, 0x1e, 0, 1, 'a'})
	f.Fuzz(func(t *testing.T, text, optional []byte) {
		sm, r := SM{Class: ClassReceipt, Text: text}, Receipt{}
		c := cursor{b: optional}
		sm.Optional = c.optional()
		if !ParseReceipt(&sm, &r) || r.State > Rejected {
			t.Fatalf("state %d", r.State)
		}
	})
}
