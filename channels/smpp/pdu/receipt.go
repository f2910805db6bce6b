package pdu

import "bytes"

// State is a message_state (clause 5.2.28). The zero value is none.
type State uint8

// The states.
const (
	EnRoute       State = 1
	Delivered     State = 2
	Expired       State = 3
	Deleted       State = 4
	Undeliverable State = 5
	Accepted      State = 6
	Unknown       State = 7
	Rejected      State = 8
)

// Receipt is what a delivery receipt says (clause 2.11 and appendix B).
type Receipt struct {
	// ID is the id as the text gives it, Receipted as receipted_message_id gives it; either may be empty.
	ID, Receipted []byte
	// State is that of message_state where there is one, else that of the text; 0 where neither says a known one.
	State State
	// Err is the err field of the text.
	Err []byte
	// Intermediate says that the carrier marks it as a word on the way, not the last one.
	Intermediate bool
}

// ParseReceipt reads a receipt out of a deliver_sm. It is false when the message is none: neither esm_class nor a
// receipted_message_id says so.
func ParseReceipt(sm *SM, r *Receipt) bool {
	*r = Receipt{Intermediate: sm.Class&classType == ClassIntermediate}
	r.Receipted, _ = Find(sm.Optional, ReceiptedMessageID)
	r.Receipted = bytes.TrimRight(r.Receipted, "\x00") // a C-octet string inside the parameter (clause 5.3.2.12)
	if sm.Class&classType != ClassReceipt && !r.Intermediate && len(r.Receipted) == 0 {
		return false
	}
	var found fields
	found.scan(sm.Words())
	r.ID, r.Err = found[fieldID].value, found[fieldErr].value
	if v, ok := Find(sm.Optional, MessageState); ok && len(v) == 1 && v[0] >= 1 && v[0] <= 8 {
		r.State = State(v[0])
	} else {
		r.State = stateNamed(found[fieldStat].value)
	}
	return true
}

// The fields of the text that are read.
const (
	fieldID = iota
	fieldStat
	fieldErr
	fieldCount
)

// fields is what was found in the text of a receipt. Carriers put the fields in any order, and the text field, which
// holds words of the message itself, may look like any of them: what stands before it is sure, what stands after it is
// taken where nothing else was found, the last one first.
type fields [fieldCount]struct {
	value []byte
	sure  bool
}

func (f *fields) scan(text []byte) {
	before := true // the text field has not begun
	for len(text) > 0 {
		word := text
		if n := bytes.IndexByte(text, ' '); n >= 0 {
			word, text = text[:n], text[n+1:]
		} else {
			text = nil
		}
		if len(word) < len("id:") {
			continue
		}
		field, key := 0, ""
		switch word[0] | 0x20 {
		case 'i':
			field, key = fieldID, "id"
		case 's':
			field, key = fieldStat, "stat"
		case 'e':
			field, key = fieldErr, "err"
		case 't':
			if named(word, "text") {
				before = false
			}
			continue
		default:
			continue
		}
		if !f[field].sure && named(word, key) {
			value := word[len(key)+1:]
			for len(value) > 0 && value[len(value)-1] < ' ' { // a zero or a new line at the end of the text
				value = value[:len(value)-1]
			}
			f[field].value, f[field].sure = value, before
		}
	}
}

// named tells whether a word begins with the key, in any case, and a colon.
func named(word []byte, key string) bool {
	return len(word) > len(key) && word[len(key)] == ':' && fold(word[:len(key)], key)
}

// fold compares ASCII without regard to case; lower is lower case.
func fold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// stateNames is the words of appendix B, and the whole words that some carriers write.
var stateNames = []struct {
	name  string
	state State
}{
	{"delivrd", Delivered}, {"undeliv", Undeliverable}, {"expired", Expired}, {"rejectd", Rejected},
	{"acceptd", Accepted}, {"enroute", EnRoute}, {"unknown", Unknown}, {"deleted", Deleted},
	{"delivered", Delivered}, {"undeliverable", Undeliverable}, {"rejected", Rejected}, {"accepted", Accepted},
}

func stateNamed(word []byte) State {
	for _, n := range stateNames {
		if fold(word, n.name) {
			return n.state
		}
	}
	return 0
}
