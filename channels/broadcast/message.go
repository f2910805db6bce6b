package broadcast

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/channels"
	"tocsin/channels/broadcast/ebd"
	"tocsin/warning"
)

// msgTypes is how a status is told to a platform. An exercise stays within platforms (3: nothing sounds); a public
// drill sounds as what it is (5). A front-end drill (4) has no status that means it. A link test is the heartbeat, so
// no message has the status test.
var msgTypes = map[warning.Status]ebd.MsgType{
	warning.Actual:      ebd.MsgPlay,
	warning.Exercise:    ebd.MsgPlatformDrill,
	warning.PublicDrill: ebd.MsgTerminalDrill,
}

var severities = map[warning.Tier]ebd.Severity{
	warning.Red: ebd.SeverityRed, warning.Orange: ebd.SeverityOrange, warning.Yellow: ebd.SeverityYellow,
	warning.Blue: ebd.SeverityBlue, warning.Notice: ebd.SeverityDaily,
}

// languages is ISO 639-2/T by the first part of a BCP 47 tag.
var languages = map[string]string{"zh": "zho", "en": "eng", "bo": "bod", "mn": "mon", "ug": "uig", "za": "zha"}

var states = map[ebd.BrdState]channels.Playing{
	ebd.NotHandled: channels.NotStarted, ebd.Waiting: channels.NotStarted, ebd.Playing: channels.InProgress,
	ebd.Succeeded: channels.Played, ebd.Failed: channels.PlayFailed, ebd.Cancelled: channels.PlayCancelled,
}

// half parts the 10,000 numbers of a day: messages to play have the lower half, and the end of each has its number in
// the upper half. So an end has an identity of its own that needs no serial, the same at a repeat. An account carries
// at most 5,000 messages a day.
const half = 5000

func (c *carrier) id(m channels.AreaMessage) string {
	return ebd.MessageID(c.account.Source, m.Sent, m.Serial%half)
}

// basic is what a message and its end have in common.
func (c *carrier) basic(m channels.AreaMessage, t ebd.MsgType, sent time.Time) ebd.MsgBasicInfo {
	starts := m.Starts
	if starts.IsZero() {
		starts = m.Sent
	}
	severity := severities[m.Tier] // none: unknown
	return ebd.MsgBasicInfo{
		MsgType: t, SenderName: m.Issuer, SenderCode: c.account.Source, SendTime: ebd.Time(sent),
		EventType: m.Event, Severity: severity, StartTime: ebd.Time(starts), EndTime: ebd.Time(m.Expires),
	}
}

// message is m in the platform's form, with its sound.
func (c *carrier) message(m channels.AreaMessage) (*ebd.EBM, []ebd.Media, error) {
	primary, _, _ := strings.Cut(m.Language, "-")
	language, ok := languages[primary]
	if !ok {
		return nil, nil, fmt.Errorf("language: emergency broadcast is not spoken in %q", m.Language)
	}
	e := &ebd.EBM{
		EBMVersion: "1.0", EBMID: c.id(m), MsgBasicInfo: c.basic(m, msgTypes[m.Status], m.Sent),
		MsgContent: &ebd.MsgContent{LanguageCode: language, MsgTitle: m.Title, MsgDesc: m.Text, AreaCode: m.Units},
	}
	if m.Related != 0 && !m.RelatedSent.IsZero() {
		e.RelatedInfo = &ebd.RelatedInfo{EBMID: ebd.MessageID(c.account.Source, m.RelatedSent, m.Related%half)}
	}
	if m.Audio == nil {
		return e, nil, nil
	}
	if m.Audio.Type != "audio/mpeg" || len(m.Audio.Data) == 0 {
		return nil, nil, fmt.Errorf("audio: %q of %d octets; a platform takes audio/mpeg", m.Audio.Type, len(m.Audio.Data))
	}
	sound := ebd.Media{Name: "EBDR_" + m.Audio.Name, Data: m.Audio.Data}
	e.MsgContent.Auxiliary = []ebd.Auxiliary{ebd.AuxiliaryOf(sound)}
	return e, []ebd.Media{sound}, nil
}

// locked is the lock of promise 8: the outcome of a message that the account is not marked for.
func (c *carrier) locked(m channels.AreaMessage) (channels.AreaOutcome, bool) {
	if msgTypes[m.Status] != 0 && slices.Contains(c.account.Statuses, m.Status) {
		return channels.AreaOutcome{}, false
	}
	return channels.AreaOutcome{
		Kind: channels.Refused, Reason: channels.NotAllowed,
		Detail: fmt.Sprintf("the account %s is not marked for messages of the status %s", c.account.Name, m.Status),
	}, true
}

// Play asks the platform to play m. A repeat has the same EBMID.
func (c *carrier) Play(ctx context.Context, m channels.AreaMessage) channels.AreaOutcome {
	if o, locked := c.locked(m); locked {
		return o
	}
	e, media, err := c.message(m)
	if err == nil && m.Expires.IsZero() {
		err = errors.New("expires: a message without end is not played")
	}
	if err != nil {
		return channels.AreaOutcome{Kind: channels.Refused, Reason: channels.BadContent, Detail: err.Error()}
	}
	if now := time.Now(); !m.Expires.After(now) {
		return channels.AreaOutcome{
			Kind: channels.Refused, Reason: channels.ExpiredHere,
			Detail: fmt.Sprintf("it ended %v ago", now.Sub(m.Expires).Round(time.Second)),
		}
	}
	return c.handOver(ctx, e, media)
}

// Stop ends m with a message of type 2 whose EBMID follows from m's. It leaves also when m has ended by itself.
func (c *carrier) Stop(ctx context.Context, m channels.AreaMessage) channels.AreaOutcome {
	if o, locked := c.locked(m); locked {
		return o
	}
	return c.handOver(ctx, &ebd.EBM{
		EBMVersion: "1.0", EBMID: ebd.MessageID(c.account.Source, m.Sent, half+m.Serial%half),
		RelatedInfo:  &ebd.RelatedInfo{EBMID: c.id(m)},
		MsgBasicInfo: c.basic(m, ebd.MsgCancel, time.Now()),
	}, nil)
}

// handOver posts a message and reads the platform's word about it.
func (c *carrier) handOver(ctx context.Context, e *ebd.EBM, media []ebd.Media) channels.AreaOutcome {
	o := channels.AreaOutcome{ID: e.EBMID}
	payload, err := c.call(ctx, e, media)
	var f *failure
	if errors.As(err, &f) {
		o.Kind, o.Reason, o.Detail = f.kind, f.reason, short(f.Error())
		return o
	}
	response, ok := payload.(*ebd.Response)
	if !ok {
		o.Kind, o.Reason, o.Detail = channels.Unknown, channels.NoAnswer, "the answer is no EBDResponse"
		return o
	}
	v := verdictOf(response.ResultCode)
	o.Kind, o.Reason = v.kind, v.reason
	o.Detail = short(fmt.Sprintf("ResultCode %d %s", response.ResultCode, response.ResultDesc))
	return o
}

// call is an exchange that Close waits for.
func (c *carrier) call(ctx context.Context, p ebd.Payload, media []ebd.Media) (ebd.Payload, error) {
	if !c.begin() {
		return nil, fail(channels.Retry, channels.LinkDown, fmt.Errorf("the account %s is closed", c.account.Name))
	}
	defer c.end()
	return c.exchange(ctx, p, media)
}

// Coverage asks the platform how far m has come. Transmitters and terminals are the ends that are counted.
func (c *carrier) Coverage(ctx context.Context, m channels.AreaMessage) (channels.Coverage, error) {
	id := c.id(m)
	payload, err := c.call(ctx, &ebd.EBMStateRequest{EBMID: id}, nil)
	if err != nil {
		return channels.Coverage{}, fmt.Errorf("state of %s: %w", id, err)
	}
	r, ok := payload.(*ebd.EBMStateResponse)
	if !ok {
		if refusal, isRefusal := payload.(*ebd.Response); isRefusal {
			return channels.Coverage{}, fmt.Errorf("state of %s: the platform answers ResultCode %d %s", id, refusal.ResultCode, short(refusal.ResultDesc))
		}
		return channels.Coverage{}, fmt.Errorf("state of %s: the answer is no EBMStateResponse", id)
	}
	if r.EBMID != id {
		return channels.Coverage{}, fmt.Errorf("state of %s: the answer is about %s", id, r.EBMID)
	}
	rate, err := r.Coverage.Share()
	if err != nil {
		return channels.Coverage{}, fmt.Errorf("state of %s: %w", id, err)
	}
	ends, err := r.Coverage.Ends()
	if err != nil {
		return channels.Coverage{}, fmt.Errorf("state of %s: %w", id, err)
	}
	return channels.Coverage{
		State: states[r.BrdStateCode], Rate: rate, Reached: ends[2] + ends[3], Detail: short(r.BrdStateDesc), At: time.Time(r.RptTime),
	}, nil
}
