package warning

import "time"

// Presence says who counts as being in an area. A person has a home and may have been seen later, perhaps elsewhere. A
// place where somebody was seen counts for some time; then they are taken to be at home again, unless they were last
// seen there anyway.
type Presence struct {
	Now    uint32 // minutes since 1970: when it is asked
	Within uint32 // minutes for which a place where somebody was seen counts
	Both   bool   // home and place both count, whatever the time
}

// Fresh tells whether a place where somebody was seen at a minute since 1970 still counts.
func (p Presence) Fresh(seen uint32) bool { return seen > p.Now || p.Now-seen <= p.Within }

// MinutesOf is a time in minutes since 1970, as a directory counts.
func MinutesOf(t time.Time) uint32 { return uint32(t.Unix() / 60) }
