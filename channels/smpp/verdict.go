package smpp

import (
	"tocsin/channels"
	"tocsin/channels/smpp/pdu"
)

// verdict is what the status of an answer to submit_sm means.
type verdict struct {
	kind   channels.Kind
	reason channels.Reason
}

// verdicts is the statuses of clause 5.1.3. What is not in it, the vendors' own and the reserved ones, is tried again as
// a failure of the carrier: a warning whose refusal nobody understands is worth the tries that the engine allows.
var verdicts = [256]verdict{
	0x00: {channels.HandedOver, channels.NoReason},
	0x01: {channels.Refused, channels.BadContent},   // message length
	0x02: {channels.Refused, channels.BadContent},   // command length
	0x03: {channels.Refused, channels.NotAllowed},   // command id
	0x06: {channels.Refused, channels.NotAllowed},   // priority flag
	0x07: {channels.Refused, channels.NotAllowed},   // registered delivery
	0x0A: {channels.Refused, channels.BadContent},   // source address
	0x0B: {channels.Refused, channels.BadNumber},    // destination address
	0x0C: {channels.Refused, channels.SubmitFailed}, // message id
	0x14: {channels.Retry, channels.QueueFull},
	0x15: {channels.Refused, channels.NotAllowed},   // service type
	0x33: {channels.Refused, channels.SubmitFailed}, // number of destinations
	0x34: {channels.Refused, channels.SubmitFailed}, // distribution list
	0x40: {channels.Refused, channels.SubmitFailed}, // destination flag
	0x42: {channels.Refused, channels.SubmitFailed}, // submit with replace
	0x43: {channels.Refused, channels.BadContent},   // esm_class
	0x44: {channels.Refused, channels.SubmitFailed}, // distribution list
	0x45: {channels.Refused, channels.SubmitFailed},
	0x48: {channels.Refused, channels.BadContent},   // source TON
	0x49: {channels.Refused, channels.BadContent},   // source NPI
	0x50: {channels.Refused, channels.BadNumber},    // destination TON
	0x51: {channels.Refused, channels.BadNumber},    // destination NPI
	0x53: {channels.Refused, channels.NotAllowed},   // system_type
	0x54: {channels.Refused, channels.SubmitFailed}, // replace flag
	0x55: {channels.Refused, channels.SubmitFailed}, // number of messages
	0x58: {channels.Retry, channels.Throttled},
	0x61: {channels.Refused, channels.BadContent},   // scheduled time
	0x62: {channels.Refused, channels.BadContent},   // validity period
	0x63: {channels.Refused, channels.BadContent},   // predefined message
	0x65: {channels.Refused, channels.SubmitFailed}, // permanent error of the application
	0x66: {channels.Refused, channels.SubmitFailed}, // rejected by the application
	0xC0: {channels.Refused, channels.BadContent},   // optional parameters, to 0xC4
	0xC1: {channels.Refused, channels.BadContent},
	0xC2: {channels.Refused, channels.BadContent},
	0xC3: {channels.Refused, channels.BadContent},
	0xC4: {channels.Refused, channels.BadContent},
	0xFE: {channels.Refused, channels.SubmitFailed}, // delivery failure
}

func verdictOf(s pdu.Status) verdict {
	if int(s) < len(verdicts) && verdicts[s].kind != 0 {
		return verdicts[s]
	}
	return verdict{channels.Retry, channels.SystemError}
}
