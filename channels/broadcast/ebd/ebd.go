// Package ebd reads and writes the packets of China's emergency broadcast: an EBD document with one payload, its
// signature and its media in a tar (the 2018 form of GD/J 079 to 089, which counties run, now GY/T 384, 385 and 389 of
// 2023). It does no I/O.
//
// What it writes has every element that the format asks for. Of what it reads it checks the forms of all that it knows
// and passes over elements that it does not know: platforms add their own, and an answer is not lost for that.
package ebd

import (
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Beijing is the zone of all times of the format, which carry none.
var Beijing = time.FixedZone("UTC+8", 8*60*60)

var (
	resourceCode = regexp.MustCompile(`^[1-6][0-9]{22}$`)
	packetID     = regexp.MustCompile(`^[0-9]{2}[1-6][0-9]{22}[0-9]{16}$`)
	messageID    = regexp.MustCompile(`^[1-6][0-9]{22}[0-9]{12}$`)
	areaCode     = regexp.MustCompile(`^[0-9]{12}$`)
	eventType    = regexp.MustCompile(`^[0-9]{2}[A-Z][0-9]{2}$`)
	language     = regexp.MustCompile(`^[a-z]{3}$`)
	mediaName    = regexp.MustCompile(`^EBDR_[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	mediaDigest  = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)
)

// ValidEBRID tells whether s is a resource code: the level (1 nation to 6 village), 12 digits of the area, 4 of the
// type, 2 of its serial, 2 of the subtype, 2 of its serial.
func ValidEBRID(s string) bool { return resourceCode.MatchString(s) }

// ValidArea tells whether s is an area code of 12 digits.
func ValidArea(s string) bool { return areaCode.MatchString(s) }

// PacketID makes an EBDID: the kind of the packet ("01" for heartbeats, "10" for all else), the source and a serial of 16
// digits.
func PacketID(p Payload, source string, serial uint64) string {
	kind := "10"
	if _, ok := p.(*ConnectionCheck); ok {
		kind = "01"
	}
	return fmt.Sprintf("%s%s%016d", kind, source, serial%1e16)
}

// MessageID makes an EBMID: the source, the day in Beijing on which the message was sent, and a number of 4 digits, of
// which the last 4 are taken.
func MessageID(source string, sent time.Time, number uint32) string {
	return fmt.Sprintf("%s%s%04d", source, sent.In(Beijing).Format("20060102"), number%10_000)
}

// Packet is one EBD.
type Packet struct {
	ID      string // EBDID
	From    string // EBRID of the source
	To      string // EBRID of the destination; empty: not said
	Time    time.Time
	Related string // EBDID of the packet that this one answers; empty: none
	Payload Payload
	Media   []Media
}

// Media is a file beside the document.
type Media struct {
	Name string // EBDR_…
	Data []byte
}

// Payload is what a packet carries: *EBM, *EBMStateRequest, *EBMStateResponse, *ConnectionCheck or *Response.
type Payload interface {
	// kind is the EBDType.
	kind() string
	check() error
}

// Time is a moment to the second, in Beijing.
type Time time.Time

// MarshalText writes YYYY-MM-DD HH:MM:SS.
func (t Time) MarshalText() ([]byte, error) {
	in := time.Time(t).In(Beijing)
	if in.Year() < 1 || in.Year() > 9999 {
		return nil, fmt.Errorf("the year %d has no 4 digits", in.Year())
	}
	return in.AppendFormat(nil, time.DateTime), nil
}

// UnmarshalText reads YYYY-MM-DD HH:MM:SS and nothing else.
func (t *Time) UnmarshalText(b []byte) error {
	in, err := time.ParseInLocation(time.DateTime, string(b), Beijing)
	if err != nil || len(b) != len(time.DateTime) {
		return fmt.Errorf("%.40q is not YYYY-MM-DD HH:MM:SS", b)
	}
	*t = Time(in)
	return nil
}

// MsgType is what a message does.
type MsgType int

// The types of messages.
const (
	MsgPlay          MsgType = 1
	MsgCancel        MsgType = 2 // ends the one in RelatedInfo; its content is not looked at
	MsgPlatformDrill MsgType = 3 // stays within platforms: nothing sounds
	MsgFrontEndDrill MsgType = 4 // goes as far as adapters and transmitters
	MsgTerminalDrill MsgType = 5 // sounds, as a drill
)

// Severity is the tier.
type Severity int

// The severities.
const (
	SeverityUnknown Severity = 0
	SeverityRed     Severity = 1
	SeverityOrange  Severity = 2
	SeverityYellow  Severity = 3
	SeverityBlue    Severity = 4
	SeverityDaily   Severity = 10
	SeverityTest    Severity = 15
)

// AuxiliaryMP3 is the one type of media that is known here.
const AuxiliaryMP3 = 2

// EBM is a message to play, or the end of one.
type EBM struct {
	EBMVersion   string
	EBMID        string
	RelatedInfo  *RelatedInfo `xml:",omitempty"`
	MsgBasicInfo MsgBasicInfo
	MsgContent   *MsgContent `xml:",omitempty"` // a cancel may have none
}

// RelatedInfo names the message that another follows or ends.
type RelatedInfo struct {
	EBMID string
}

// MsgBasicInfo is who says what kind of thing and when.
type MsgBasicInfo struct {
	MsgType    MsgType
	SenderName string
	SenderCode string // EBRID
	SendTime   Time
	EventType  string // e.g. 11B03
	Severity   Severity
	StartTime  Time
	EndTime    Time
}

// MsgContent is the words and where they are told.
type MsgContent struct {
	LanguageCode string // ISO 639-2/T, e.g. zho
	MsgTitle     string
	MsgDesc      string
	AreaCode     Areas
	Auxiliary    []Auxiliary
}

// Areas is codes of 12 digits, written with commas between them.
type Areas []string

// MarshalText joins them.
func (a Areas) MarshalText() ([]byte, error) { return []byte(strings.Join(a, ",")), nil }

// UnmarshalText cuts them.
func (a *Areas) UnmarshalText(b []byte) error {
	*a = strings.Split(string(b), ",")
	return a.check()
}

func (a Areas) check() error {
	seen := map[string]bool{}
	for _, code := range a {
		if !ValidArea(code) {
			return fmt.Errorf("AreaCode: %.20q is not 12 digits", code)
		}
		if seen[code] {
			return fmt.Errorf("AreaCode: %s stands twice", code)
		}
		seen[code] = true
	}
	return nil
}

// Auxiliary is a file of the tar that belongs to the words.
type Auxiliary struct {
	AuxiliaryType int
	AuxiliaryDesc string // its name in the tar
	Size          int    // octets
	Digest        string // SM3, hexadecimal
}

// AuxiliaryOf describes a file as mp3.
func AuxiliaryOf(m Media) Auxiliary {
	return Auxiliary{AuxiliaryMP3, m.Name, len(m.Data), Digest(m.Data)}
}

func (*EBM) kind() string { return "EBM" }

func (m *EBM) check() error {
	b := &m.MsgBasicInfo
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(m.EBMVersion != "", "EBMVersion is empty")
	need(messageID.MatchString(m.EBMID), "EBMID: %.60q is not a resource code, a day and 4 digits", m.EBMID)
	if m.RelatedInfo != nil {
		need(messageID.MatchString(m.RelatedInfo.EBMID), "RelatedInfo: EBMID: %.60q is not a resource code, a day and 4 digits", m.RelatedInfo.EBMID)
	}
	need(b.MsgType >= MsgPlay && b.MsgType <= MsgTerminalDrill, "MsgType: %d is not in 1 to 5", b.MsgType)
	need(b.MsgType != MsgCancel || m.RelatedInfo != nil, "RelatedInfo: a cancel names what it ends")
	need(b.MsgType == MsgCancel || m.MsgContent != nil, "MsgContent is missing")
	need(plain(b.SenderName), "SenderName: %s", plainRule)
	need(ValidEBRID(b.SenderCode), "SenderCode: %.40q is not 23 digits that begin with a level from 1 to 6", b.SenderCode)
	need(eventType.MatchString(b.EventType), "EventType: %.20q has not the form of 11B03", b.EventType)
	switch b.Severity {
	case SeverityUnknown, SeverityRed, SeverityOrange, SeverityYellow, SeverityBlue, SeverityDaily, SeverityTest:
	default:
		need(false, "Severity: %d is none of 0 to 4, 10, 15", b.Severity)
	}
	need(time.Time(b.EndTime).After(time.Time(b.StartTime)), "EndTime is not after StartTime")
	if c := m.MsgContent; c != nil {
		need(language.MatchString(c.LanguageCode), "LanguageCode: %.20q is not 3 letters", c.LanguageCode)
		need(plain(c.MsgTitle), "MsgTitle: %s", plainRule)
		need(plain(c.MsgDesc), "MsgDesc: %s", plainRule)
		need(len(c.AreaCode) > 0, "AreaCode: there is no area")
		errs = append(errs, c.AreaCode.check())
		for _, a := range c.Auxiliary {
			need(a.AuxiliaryType == AuxiliaryMP3, "AuxiliaryType: %d is not 2", a.AuxiliaryType)
			need(mediaName.MatchString(a.AuxiliaryDesc), "AuxiliaryDesc: %.80q is no name of media", a.AuxiliaryDesc)
			need(a.Size >= 0, "Size: %d", a.Size)
			need(mediaDigest.MatchString(a.Digest), "Digest: %.80q is not 64 hexadecimal digits", a.Digest)
		}
	}
	return errors.Join(errs...)
}

const plainRule = "empty, or not text that XML can carry"

// plain tells whether s says something and all of it survives XML.
func plain(s string) bool {
	for _, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return utf8.ValidString(s) && strings.TrimSpace(s) != ""
}

// EBMStateRequest asks how far a message has come.
type EBMStateRequest struct {
	EBMID string `xml:"EBM>EBMID"`
}

func (*EBMStateRequest) kind() string   { return "EBMStateRequest" }
func (r *EBMStateRequest) check() error { return checkMessageID(r.EBMID) }

func checkMessageID(id string) error {
	if !messageID.MatchString(id) {
		return fmt.Errorf("EBMID: %.60q is not a resource code, a day and 4 digits", id)
	}
	return nil
}

// BrdState is how far a message has come.
type BrdState int

// The states.
const (
	NotHandled BrdState = 0
	Waiting    BrdState = 1
	Playing    BrdState = 2
	Succeeded  BrdState = 3
	Failed     BrdState = 4
	Cancelled  BrdState = 5
)

// EBMStateResponse says how far a message has come.
type EBMStateResponse struct {
	RptTime      Time
	EBMID        string `xml:"EBM>EBMID"`
	BrdStateCode BrdState
	BrdStateDesc string
	Coverage     *Coverage `xml:",omitempty"`
}

// Coverage is what part of the area has it, as the platform counts. Empty elements say nothing.
type Coverage struct {
	CoverageRate string // share, 0 to 1
	AreaCode     string
	ResBrdStat   string // platforms, adapters, transmitters, terminals
}

// Share is CoverageRate, or −1 where the platform does not say.
func (c *Coverage) Share() (float64, error) {
	if c == nil || c.CoverageRate == "" {
		return -1, nil
	}
	f, err := strconv.ParseFloat(c.CoverageRate, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return -1, fmt.Errorf("CoverageRate: %.40q is not a share from 0 to 1", c.CoverageRate)
	}
	return f, nil
}

// Ends is ResBrdStat: platforms, adapters, transmitters and terminals that took part; zeros where it does not say.
func (c *Coverage) Ends() (n [4]int64, err error) {
	if c == nil || c.ResBrdStat == "" {
		return n, nil
	}
	parts := strings.Split(c.ResBrdStat, ",")
	if len(parts) != len(n) {
		return n, fmt.Errorf("ResBrdStat: %.80q is not four numbers", c.ResBrdStat)
	}
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return [4]int64{}, fmt.Errorf("ResBrdStat: %.80q is not four numbers", c.ResBrdStat)
		}
		n[i] = int64(v)
	}
	return n, nil
}

func (*EBMStateResponse) kind() string { return "EBMStateResponse" }

func (r *EBMStateResponse) check() error {
	var state error
	if r.BrdStateCode < NotHandled || r.BrdStateCode > Cancelled {
		state = fmt.Errorf("BrdStateCode: %d is not in 0 to 5", r.BrdStateCode)
	}
	_, rate := r.Coverage.Share()
	_, ends := r.Coverage.Ends()
	return errors.Join(checkMessageID(r.EBMID), state, rate, ends)
}

// ConnectionCheck is the heartbeat.
type ConnectionCheck struct {
	RptTime Time
}

func (*ConnectionCheck) kind() string   { return "ConnectionCheck" }
func (c *ConnectionCheck) check() error { return nil }

// Result is the word of a platform about a packet.
type Result int

// The results.
const (
	Received        Result = 0
	OK              Result = 1
	ParseFailed     Result = 2
	ContentMissing  Result = 3
	SignatureFailed Result = 4
	OtherFailure    Result = 5
)

// Response (EBDResponse) is the answer to a packet.
type Response struct {
	ResultCode Result
	ResultDesc string `xml:",omitempty"`
}

func (*Response) kind() string { return "EBDResponse" }

func (r *Response) check() error {
	if r.ResultCode < 0 {
		return fmt.Errorf("ResultCode: %d is negative", r.ResultCode)
	}
	return nil
}

// document is a packet as XML. Exactly the payload that EBDType names is there.
type document struct {
	XMLName    xml.Name `xml:"EBD"`
	EBDVersion string
	EBDID      string
	EBDType    string
	SRC        side
	DEST       *side `xml:",omitempty"`
	EBDTime    Time
	RelatedEBD *related `xml:",omitempty"`

	EBM              *EBM              `xml:",omitempty"`
	EBMStateRequest  *EBMStateRequest  `xml:",omitempty"`
	EBMStateResponse *EBMStateResponse `xml:",omitempty"`
	ConnectionCheck  *ConnectionCheck  `xml:",omitempty"`
	EBDResponse      *Response         `xml:",omitempty"`
}

type side struct {
	EBRID string
}

type related struct {
	EBDID string
}
