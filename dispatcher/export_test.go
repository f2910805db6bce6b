package dispatcher

// Held is what the accounts of this process hold: strands, the places that they have had, and references to their people.
func (e *Engine) Held() (strands, places, refs int) {
	for _, a := range e.all() {
		a.mu.Lock()
		strands, places = strands+len(a.byID), places+len(a.strands)
		for _, s := range a.people.snaps {
			refs += len(s.refs)
		}
		a.mu.Unlock()
	}
	return strands, places, refs
}
