package pdu

import "time"

// AbsoluteTime is a moment in the absolute format YYMMDDhhmmsstnnp (clause 7.1.1), in UTC, cut to the tenth of a second
// so that it is never later than the moment. The year has two digits.
func AbsoluteTime(t time.Time) []byte {
	t = t.UTC()
	b := t.AppendFormat(make([]byte, 0, timeOctets-1), "060102150405")
	return append(b, '0'+byte(t.Nanosecond()/1e8), '0', '0', '+')
}
