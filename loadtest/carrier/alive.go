package carrier

// die makes the link deaf, and whoever takes its place.
func (l *link) die() {
	l.c.mu.Lock()
	l.c.dying = true
	l.c.mu.Unlock()
	l.mu.Lock()
	l.deaf, l.takes = true, false
	l.mu.Unlock()
}

// keepAlive asks a silent client, closes one that does not answer or never bound, and answers when to look again. It is
// called with mu held.
func (l *link) keepAlive(now, bindBy int64) (next int64) {
	every := int64(l.c.cfg.EnquireEvery)
	heard := l.heard.Load()
	switch {
	case l.dead, l.deaf:
	case !l.bound:
		if now < bindBy {
			return bindBy
		}
		l.closeLocked("not bound in time")
	case l.enquired != 0:
		if now < l.asked+every {
			return l.asked + every
		}
		l.closeLocked("enquire_link not answered")
	case now < heard+every:
		return heard + every
	default:
		l.enquiries++
		l.enquired = enquireBase | l.enquiries&(enquireBase-1)
		l.asked = now
		l.out = appendHeader(l.out, headerLen, enquireLink, statusOK, l.enquired)
	}
	return now + every
}
