package push

import (
	"context"
	"fmt"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"tocsin/channels"
)

// refusals says what the reason codes of a PUBACK mean to us (clause 3.4.2.1). Others are the broker's own.
var refusals = map[byte]answer{
	packets.PubackUnspecifiedError:            {kind: channels.Retry, reason: channels.SystemError, detail: "unspecified error"},
	packets.PubackImplementationSpecificError: {kind: channels.Retry, reason: channels.SystemError, detail: "error of the broker's own"},
	packets.PubackNotAuthorized:               {kind: channels.Refused, reason: channels.NotAllowed, detail: "not authorized"},
	packets.PubackTopicNameInvalid:            {kind: channels.Refused, reason: channels.BadContent, detail: "invalid topic"},
	packets.PubackPacketIdentifierInUse:       {kind: channels.Retry, reason: channels.SystemError, detail: "packet identifier in use"},
	packets.PubackQuotaExceeded:               {kind: channels.Retry, reason: channels.Throttled, detail: "quota exceeded"},
	packets.PubackPayloadFormatInvalid:        {kind: channels.Refused, reason: channels.BadContent, detail: "invalid payload"},
}

// acknowledged reads a PUBACK.
func acknowledged(got *paho.PublishResponse) answer {
	if got.ReasonCode < packets.PubackUnspecifiedError { // 0x10: it has it, and nobody listens
		return answer{kind: channels.HandedOver, unheard: got.ReasonCode == packets.PubackNoMatchingSubscribers}
	}
	a, known := refusals[got.ReasonCode]
	if !known {
		a = answer{kind: channels.Retry, reason: channels.SystemError, detail: "a code of the broker's own"}
	}
	if got.Properties != nil && got.Properties.ReasonString != "" {
		a.detail = got.Properties.ReasonString
	}
	a.detail += fmt.Sprintf(" (0x%02x)", got.ReasonCode)
	return a
}

// verdict makes one outcome of the answers of n topics; what has not answered when ctx ends is open.
//
// Only a message that stands on all its topics is handed over. One that stands on some is Unknown: people may have read
// it, so that it is withdrawn with the others at a cancel, and it is played again whole. Where it stands on none it is to
// be tried again as long as one topic may take it.
func verdict(ctx context.Context, n int, answers <-chan answer) channels.AreaOutcome {
	var (
		count   [channels.Unknown + 1]int
		first   [channels.Unknown + 1]answer
		unheard int
	)
	for range n {
		a, ok := receive(ctx, answers)
		if !ok {
			a = answer{topic: "all others", kind: channels.Unknown, reason: channels.NoAnswer, detail: "no answer in time"}
		}
		if count[a.kind]++; count[a.kind] == 1 {
			first[a.kind] = a
		}
		if a.unheard {
			unheard++
		}
		if !ok {
			break
		}
	}
	taken := count[channels.HandedOver]
	if taken == n {
		return channels.AreaOutcome{Kind: channels.HandedOver, Detail: fmt.Sprintf("%d areas, nobody listens in %d", n, unheard)}
	}
	kind := channels.Refused
	switch {
	case count[channels.Unknown] > 0:
		kind = channels.Unknown
	case count[channels.Retry] > 0:
		kind = channels.Retry
	}
	why := first[kind]
	if taken > 0 {
		kind = channels.Unknown
	}
	return channels.AreaOutcome{Kind: kind, Reason: why.reason,
		Detail: fmt.Sprintf("%d of %d areas have it; %s: %s", taken, n, why.topic, why.detail)}
}

// receive is the next answer, also one that is there when ctx ends; false when there is none.
func receive(ctx context.Context, answers <-chan answer) (answer, bool) {
	select {
	case a := <-answers:
		return a, true
	case <-ctx.Done():
	}
	select {
	case a := <-answers:
		return a, true
	default:
		return answer{}, false
	}
}
