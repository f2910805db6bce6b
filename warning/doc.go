// Package warning holds the nouns of Tocsin: what a warning is, who is told, and which step may follow which.
//
// It knows nothing of the network, of Redis or of any channel, and imports the standard library only. Everything
// else in the house depends on it and it depends on nothing of ours.
//
// Invariants that the package keeps:
//   - A released Version never changes; what changes afterwards is its State and the ledger.
//   - State and PersonState move only along the literal tables Transitions and PersonTransitions.
//   - No zero value is a usable tier, status, type, state or role: what nobody said is refused, never assumed.
package warning
