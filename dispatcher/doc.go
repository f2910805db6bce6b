// Package dispatcher is the engine: it takes a warning in, plans who gets it, hands the messages over through the
// accounts that this process owns, and keeps the ledger of what became of every person.
//
// The way of a warning stands in dispatch.go. The rules of sending (scheduler, ring, ledger) are pure functions of
// (time, lanes, slots); what needs a network or a disk is declared here as an interface (ports.go) and implemented in a
// sub-room at the edge.
//
// Invariants:
//   - A byte leaves only for a person whose place is under a durable grant of the account's present owner.
//   - Each person of a strand is in exactly one state; states move only along warning.PersonTransitions.
//   - Nothing is told to a caller, and no receipt is answered to a carrier, before it is durable.
package dispatcher
