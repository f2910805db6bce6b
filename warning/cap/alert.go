// Package cap reads, checks and writes messages of the Common Alerting Protocol (OASIS CAP 1.2; 1.1 is read), and
// carries them over to warnings and back.
//
// Invariants that the package keeps:
//   - What Parse accepts, Write gives back equal in every element, and valid by the schema of CAP 1.2.
//   - A document with a DTD is refused; there are no entities but the five of XML.
//   - Nothing that a message does not say is assumed: not the tier, not the end of validity, not the area.
//
// Comments and processing instructions are not part of a message and are dropped.
package cap

import (
	"strings"
	"time"
)

// Namespace is that of CAP 1.2, which is written; Namespace11 that of CAP 1.1, which is read too.
const (
	Namespace   = "urn:oasis:names:tc:emergency:cap:1.2"
	Namespace11 = "urn:oasis:names:tc:emergency:cap:1.1"
)

// Time is a date and time as CAP writes it: 2026-06-13T18:00:00+08:00, never with Z (CAP 1.2, 3.3.2). It stays text, so
// that nothing of it is lost.
type Time string

// TimeOf writes t, to the second, in its own zone; UTC is written -00:00.
func TimeOf(t time.Time) Time {
	if _, offset := t.Zone(); offset == 0 {
		return Time(t.Format("2006-01-02T15:04:05") + "-00:00")
	}
	return Time(t.Format("2006-01-02T15:04:05-07:00"))
}

// Time is the instant, or the zero time where there is none.
func (t Time) Time() time.Time {
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(t)))
	if err != nil {
		return time.Time{}
	}
	return at
}

// Alert is one message (CAP 1.2, 3.2.1). An optional element that is nil or empty here is absent; one that is present
// and empty is a pointer to "". Text is exactly what the document says.
type Alert struct {
	Identifier  string   `xml:"identifier"`
	Sender      string   `xml:"sender"`
	Sent        Time     `xml:"sent"`
	Status      string   `xml:"status"`
	MsgType     string   `xml:"msgType"`
	Source      *string  `xml:"source"`
	Scope       string   `xml:"scope"`
	Restriction *string  `xml:"restriction"`
	Addresses   *string  `xml:"addresses"`
	Codes       []string `xml:"code"`
	Note        *string  `xml:"note"`
	References  *string  `xml:"references"`
	Incidents   *string  `xml:"incidents"`
	Infos       []Info   `xml:"info"`
	// Extensions is the elements of XML-DSig at the end, as they were written, each complete with its namespaces.
	Extensions []string `xml:"-"`
}

// Info is what is said in one language (3.2.2).
type Info struct {
	Language      *string    `xml:"language"`
	Categories    []string   `xml:"category"`
	Event         string     `xml:"event"`
	ResponseTypes []string   `xml:"responseType"`
	Urgency       string     `xml:"urgency"`
	Severity      string     `xml:"severity"`
	Certainty     string     `xml:"certainty"`
	Audience      *string    `xml:"audience"`
	EventCodes    []Pair     `xml:"eventCode"`
	Effective     *Time      `xml:"effective"`
	Onset         *Time      `xml:"onset"`
	Expires       *Time      `xml:"expires"`
	SenderName    *string    `xml:"senderName"`
	Headline      *string    `xml:"headline"`
	Description   *string    `xml:"description"`
	Instruction   *string    `xml:"instruction"`
	Web           *string    `xml:"web"`
	Contact       *string    `xml:"contact"`
	Parameters    []Pair     `xml:"parameter"`
	Resources     []Resource `xml:"resource"`
	Areas         []Area     `xml:"area"`
}

// Pair is a name and a value that a system defines.
type Pair struct {
	Name  string `xml:"valueName"`
	Value string `xml:"value"`
}

// Resource is a file that goes with an info (3.2.3).
type Resource struct {
	Desc     string  `xml:"resourceDesc"`
	MimeType string  `xml:"mimeType"`
	Size     *string `xml:"size"`
	URI      *string `xml:"uri"`
	DerefURI *string `xml:"derefUri"` // the file itself, in base64
	Digest   *string `xml:"digest"`
}

// Area is a part of where (3.2.4); an info means all its areas together.
type Area struct {
	Desc     string   `xml:"areaDesc"`
	Polygons []string `xml:"polygon"` // latitude,longitude pairs in WGS-84
	Circles  []string `xml:"circle"`  // latitude,longitude and a radius in km
	Geocodes []Pair   `xml:"geocode"`
	Altitude *string  `xml:"altitude"` // feet above mean sea level
	Ceiling  *string  `xml:"ceiling"`
}
