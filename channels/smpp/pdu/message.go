package pdu

import "fmt"

// Values of esm_class (clause 5.2.12).
const (
	ClassUDH          byte = 0x40 // the short message begins with a user data header
	ClassReceipt      byte = 0x04 // deliver_sm: a delivery receipt
	ClassIntermediate byte = 0x20 // deliver_sm: an intermediate notification
	classType         byte = 0x3C
)

// Types of number and numbering plans (clauses 5.2.5, 5.2.6).
const (
	TONUnknown       byte = 0
	TONInternational byte = 1
	TONAlphanumeric  byte = 5
	NPIUnknown       byte = 0
	NPIISDN          byte = 1
)

// Values of data_coding (clause 5.2.19; class 0 as in 3GPP TS 23.038 clause 4).
const (
	CodingDefault   byte = 0x00
	CodingUCS2      byte = 0x08
	CodingFlash     byte = 0x10 // class 0, default alphabet
	CodingFlashUCS2 byte = 0x18 // class 0, UCS-2
)

// ReceiptWanted is registered_delivery for a receipt of success and of failure (clause 5.2.17).
const ReceiptWanted byte = 0x01

// MaxShortMessage is the octets that short_message holds (clause 5.2.21).
const MaxShortMessage = 254

// The longest strings, with their zero.
const (
	maxServiceType = 6
	maxAddress     = 21
	maxMessageID   = 65
	timeOctets     = 17
)

// SM is the body of submit_sm and deliver_sm, which have the same fields (clauses 4.4.1, 4.6.1). Strings have no zero.
type SM struct {
	ServiceType            []byte
	SourceTON, SourceNPI   byte
	Source                 []byte // source_addr
	DestTON, DestNPI       byte
	Dest                   []byte // destination_addr
	Class                  byte   // esm_class
	Protocol, Priority     byte
	Schedule, Validity     []byte // empty or 16 octets (clause 7.1)
	Registered, Replace    byte   // registered_delivery, replace_if_present_flag
	Coding, DefaultMessage byte   // data_coding, sm_default_msg_id
	Text                   []byte // short_message
	Optional               []byte // whole optional parameters
}

// ParseSM reads the body of submit_sm or deliver_sm into sm.
func ParseSM(body []byte, sm *SM) error {
	c := cursor{b: body}
	sm.ServiceType = c.text("service_type", maxServiceType)
	sm.SourceTON = c.octet("source_addr_ton")
	sm.SourceNPI = c.octet("source_addr_npi")
	sm.Source = c.text("source_addr", maxAddress)
	sm.DestTON = c.octet("dest_addr_ton")
	sm.DestNPI = c.octet("dest_addr_npi")
	sm.Dest = c.text("destination_addr", maxAddress)
	sm.Class = c.octet("esm_class")
	sm.Protocol = c.octet("protocol_id")
	sm.Priority = c.octet("priority_flag")
	sm.Schedule = c.time("schedule_delivery_time")
	sm.Validity = c.time("validity_period")
	sm.Registered = c.octet("registered_delivery")
	sm.Replace = c.octet("replace_if_present_flag")
	sm.Coding = c.octet("data_coding")
	sm.DefaultMessage = c.octet("sm_default_msg_id")
	n := c.octet("sm_length")
	if n > MaxShortMessage {
		c.fail("sm_length", fmt.Sprintf("is %d, more than %d", n, MaxShortMessage), InvalidMessageLength)
	}
	sm.Text = c.octets("short_message", int(n))
	sm.Optional = c.optional()
	if n > 0 {
		if _, both := Find(sm.Optional, MessagePayload); both {
			c.fail("message_payload", "stands beside a short_message", InvalidMessageLength)
		}
	}
	return c.done()
}

// time is a C-octet string of 1 or 17 octets with its zero (clause 7.1).
func (c *cursor) time(field string) []byte {
	v := c.text(field, timeOctets)
	if len(v) != 0 && len(v) != timeOctets-1 {
		c.fail(field, "is neither empty nor 16 octets", InvalidMessageLength)
	}
	return v
}

// Words is what the message says: short_message, or message_payload where that is empty (clause 5.3.2.32).
func (sm *SM) Words() []byte {
	if len(sm.Text) == 0 {
		payload, _ := Find(sm.Optional, MessagePayload)
		return payload
	}
	return sm.Text
}

// AppendSM adds a submit_sm or deliver_sm.
func AppendSM(dst []byte, cmd Command, seq uint32, sm *SM) ([]byte, error) {
	a := appender{b: AppendHeader(dst, cmd, OK, seq)}
	a.head(sm)
	a.text("destination_addr", sm.Dest, maxAddress)
	a.tail(sm)
	return a.done(len(dst))
}

// head is what stands before destination_addr.
func (a *appender) head(sm *SM) {
	a.text("service_type", sm.ServiceType, maxServiceType)
	a.octets(sm.SourceTON, sm.SourceNPI)
	a.text("source_addr", sm.Source, maxAddress)
	a.octets(sm.DestTON, sm.DestNPI)
}

// tail is what stands after destination_addr.
func (a *appender) tail(sm *SM) {
	a.octets(sm.Class, sm.Protocol, sm.Priority)
	a.time("schedule_delivery_time", sm.Schedule)
	a.time("validity_period", sm.Validity)
	a.octets(sm.Registered, sm.Replace, sm.Coding, sm.DefaultMessage)
	if len(sm.Text) > MaxShortMessage {
		a.fail("short_message", fmt.Sprintf("has %d octets, at most %d are allowed", len(sm.Text), MaxShortMessage))
		return
	}
	a.octets(byte(len(sm.Text)))
	a.b = append(append(a.b, sm.Text...), sm.Optional...)
}

func (a *appender) time(field string, v []byte) {
	if len(v) != 0 && len(v) != timeOctets-1 {
		a.fail(field, "is neither empty nor 16 octets")
	}
	a.text(field, v, timeOctets)
}

// AppendSubmitResp adds the answer that accepts a submit_sm (clause 4.4.2). A refusal is AppendHeader with its status.
func AppendSubmitResp(dst []byte, seq uint32, id []byte) ([]byte, error) {
	a := appender{b: AppendHeader(dst, SubmitSMResp, OK, seq)}
	a.text("message_id", id, maxMessageID)
	return a.done(len(dst))
}

// ParseSubmitResp is the message_id in the body of a submit_sm_resp. A refusal has no body, and carriers that give no
// id leave it out of an acceptance too.
func ParseSubmitResp(body []byte) (id []byte, err error) {
	if len(body) == 0 {
		return nil, nil
	}
	c := cursor{b: body}
	id = c.text("message_id", maxMessageID)
	c.optional()
	return id, c.done()
}

// DeliverRespSize is the octets of a deliver_sm_resp.
const DeliverRespSize = HeaderSize + 1

// AppendDeliverResp adds the answer to a deliver_sm; its message_id is unused and empty (clause 4.6.2).
func AppendDeliverResp(dst []byte, s Status, seq uint32) []byte {
	from := len(dst)
	return setLength(append(AppendHeader(dst, DeliverSMResp, s, seq), 0), from)
}

// AppendCancel adds a cancel_sm for the message with this id, which has at most 64 octets; the source is that of the
// message (clause 4.9.1). A source longer than an address may be is cut.
func AppendCancel(dst []byte, seq uint32, id []byte, ton, npi byte, source []byte) []byte {
	from := len(dst)
	dst = append(AppendHeader(dst, CancelSM, OK, seq), 0) // service_type
	dst = append(append(dst, id[:min(len(id), maxMessageID-1)]...), 0)
	dst = append(dst, ton, npi)
	dst = append(append(dst, source[:min(len(source), maxAddress-1)]...), 0)
	return setLength(append(dst, 0, 0, 0), from) // the destination is not needed beside an id
}

// ParseCancel is the message_id and the source_addr in the body of a cancel_sm.
func ParseCancel(body []byte) (id, source []byte, err error) {
	c := cursor{b: body}
	c.text("service_type", maxServiceType)
	id = c.text("message_id", maxMessageID)
	c.octet("source_addr_ton")
	c.octet("source_addr_npi")
	source = c.text("source_addr", maxAddress)
	c.octet("dest_addr_ton")
	c.octet("dest_addr_npi")
	c.text("destination_addr", maxAddress)
	return id, source, c.done()
}
