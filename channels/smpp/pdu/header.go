// Package pdu is the codec of SMPP 3.4 (Short Message Peer to Peer Protocol Specification v3.4, Issue 1.2): octets to
// fields and back. It does no I/O, keeps no state between PDUs and knows nothing of the engine; clauses in comments are
// those of that document.
//
// Invariants:
//   - No input panics or reads outside its PDU; a PDU is taken whole or refused with a *Fault.
//   - What is parsed are views of the input: they are valid as long as the input is, and nothing is allocated.
//   - A template and the answers to it cost no allocation.
package pdu

import (
	"encoding/binary"
	"fmt"
)

// HeaderSize is the octets of a header, the smallest PDU (clause 3.2).
const HeaderSize = 16

// MaxSize is the largest PDU that is taken: a message_payload of 65,535 octets (clause 5.3.2.32) and all that may stand
// beside it.
const MaxSize = 1<<16 + 4<<10

// MaxSequence is the highest sequence_number; the lowest is 1 (clause 3.2).
const MaxSequence = 0x7FFFFFFF

// Version is the interface_version of SMPP 3.4 (clause 5.2.4).
const Version = 0x34

// Command is a command_id (clause 5.1.2.1). The answer to a command has Response set.
type Command uint32

// The commands of a session that submits and takes receipts.
const (
	BindReceiver    Command = 0x01
	BindTransmitter Command = 0x02
	SubmitSM        Command = 0x04
	DeliverSM       Command = 0x05
	Unbind          Command = 0x06
	CancelSM        Command = 0x08
	BindTransceiver Command = 0x09
	EnquireLink     Command = 0x15

	Response    Command = 0x80000000
	GenericNack Command = 0x80000000

	SubmitSMResp        = SubmitSM | Response
	DeliverSMResp       = DeliverSM | Response
	CancelSMResp        = CancelSM | Response
	UnbindResp          = Unbind | Response
	BindTransceiverResp = BindTransceiver | Response
	EnquireLinkResp     = EnquireLink | Response
)

var commandNames = map[Command]string{
	BindReceiver: "bind_receiver", BindTransmitter: "bind_transmitter", SubmitSM: "submit_sm", DeliverSM: "deliver_sm",
	Unbind: "unbind", CancelSM: "cancel_sm", BindTransceiver: "bind_transceiver", EnquireLink: "enquire_link",
}

func (c Command) String() string {
	if c == GenericNack {
		return "generic_nack"
	}
	name, ok := commandNames[c&^Response]
	switch {
	case !ok:
		return fmt.Sprintf("command 0x%08X", uint32(c))
	case c&Response != 0:
		return name + "_resp"
	}
	return name
}

// Header is the four fields that every PDU begins with (clause 3.2). Length counts the header itself.
type Header struct {
	Length   uint32
	Command  Command
	Status   Status
	Sequence uint32
}

// PDU is one whole PDU.
type PDU struct {
	Header
	Body []byte
}

// Fault is what is wrong with octets that should be a PDU, or with values that should become one.
type Fault struct {
	Field string // as the specification names it
	Rule  string
	// Status is what an answer says of it.
	Status Status
}

func (f *Fault) Error() string { return "smpp: " + f.Field + " " + f.Rule }

// readHeader reads the header at the front of b, which has at least HeaderSize octets.
func readHeader(b []byte) Header {
	return Header{
		Length:   binary.BigEndian.Uint32(b),
		Command:  Command(binary.BigEndian.Uint32(b[4:])),
		Status:   Status(binary.BigEndian.Uint32(b[8:])),
		Sequence: binary.BigEndian.Uint32(b[12:]),
	}
}

// checkLength says whether a command_length can be one.
func checkLength(n uint32) *Fault {
	if n < HeaderSize {
		return &Fault{"command_length", fmt.Sprintf("is %d, less than a header of %d octets", n, HeaderSize), InvalidCommandLength}
	}
	if n > MaxSize {
		return &Fault{"command_length", fmt.Sprintf("is %d, more than %d", n, MaxSize), InvalidCommandLength}
	}
	return nil
}

// AppendHeader adds a PDU without a body: enquire_link, unbind, their answers, generic_nack, and any answer that
// refuses (clauses 4.2, 4.3, 4.11).
func AppendHeader(dst []byte, c Command, s Status, seq uint32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, HeaderSize)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c))
	dst = binary.BigEndian.AppendUint32(dst, uint32(s))
	return binary.BigEndian.AppendUint32(dst, seq)
}

// setLength writes the length of the PDU that starts at from and ends with dst.
func setLength(dst []byte, from int) []byte {
	binary.BigEndian.PutUint32(dst[from:], uint32(len(dst)-from))
	return dst
}
