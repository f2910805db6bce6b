package platform

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const msgCancel = 2

// message holds an EBM against what the format says beyond single elements, and fills the line. It is called with mu
// held and changes nothing.
func (p *Platform) message(e *element, pack *packet, line *Line) *refusal {
	basic, content := e.find("MsgBasicInfo"), e.find("MsgContent")
	line.Event, line.EBM, line.Related = EBM, e.value("EBMID"), e.value("RelatedInfo", "EBMID")
	line.Type, _ = strconv.Atoi(basic.value("MsgType")) // the form is checked
	line.Severity, _ = strconv.Atoi(basic.value("Severity"))
	line.Code, line.Sender = basic.value("EventType"), basic.value("SenderName")
	if line.EBM[:23] != line.From {
		return refuse(resultParse, "ebm.id", "EBMID %s is not of the source %s", line.EBM, line.From)
	}
	if _, err := time.Parse("20060102", line.EBM[23:31]); err != nil {
		return refuse(resultParse, "ebm.id", "EBMID %s has no date", line.EBM)
	}
	for name, into := range map[string]*int64{"SendTime": &line.Sent, "StartTime": &line.Starts, "EndTime": &line.Ends} {
		t, err := readTime(basic.value(name))
		if err != nil {
			return refuse(resultParse, "xml.form", "%s: %v", name, err)
		}
		*into = t.Unix()
	}
	if line.Type == msgCancel {
		if known := p.messages[line.Related]; known == nil || known.units == nil {
			return refuse(resultOther, "ebm.unknown", "the end of %q, which was not taken", line.Related)
		}
		return p.sameAsBefore(line)
	}
	if content == nil {
		return refuse(resultMissing, "xml.missing", "/EBD/EBM/MsgContent")
	}
	if line.Ends <= line.Starts || line.Ends <= p.now().Unix() {
		return refuse(resultOther, "ebm.expired", "it ends at %s", basic.value("EndTime"))
	}
	line.Language, line.Title, line.Text = content.value("LanguageCode"), content.value("MsgTitle"), content.value("MsgDesc")
	line.Digest = digest([]byte(line.Text))
	line.Units = strings.Split(content.value("AreaCode"), ",")
	for i, u := range line.Units {
		if slices.Contains(line.Units[:i], u) {
			return refuse(resultParse, "ebm.area", "%s stands twice", u)
		}
	}
	if bad := media(content, pack, line); bad != nil {
		return bad
	}
	return p.sameAsBefore(line)
}

// sameAsBefore: what comes again under one EBMID has the same words.
func (p *Platform) sameAsBefore(line *Line) *refusal {
	if known := p.messages[line.EBM]; known != nil && known.digest != line.Digest {
		return refuse(resultOther, "ebm.other", "EBMID %s came before with other words", line.EBM)
	}
	return nil
}

// media holds the files of the tar against what the message says of them.
func media(content *element, pack *packet, line *Line) *refusal {
	for _, a := range content.kids {
		if a.name != "Auxiliary" {
			continue
		}
		name := a.value("AuxiliaryDesc")
		data, ok := pack.media[name]
		m := Media{name, len(data), digest(data)}
		switch {
		case !ok:
			return refuse(resultMissing, "ebm.media", "%s is not in the tar", name)
		case a.value("Size") != strconv.Itoa(m.Size):
			return refuse(resultParse, "ebm.media", "%s has %d octets, not %s", name, m.Size, a.value("Size"))
		case strings.ToLower(a.value("Digest")) != m.Digest:
			return refuse(resultParse, "ebm.media", "%s has the digest %s, not %s", name, m.Digest, a.value("Digest"))
		}
		line.Media = append(line.Media, m)
	}
	if len(line.Media) != len(pack.media) {
		return refuse(resultParse, "ebm.media", "%d files EBDR, and %d are named", len(pack.media), len(line.Media))
	}
	return nil
}
