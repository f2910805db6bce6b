// Package wiring puts the rooms of the engine together: it is the one place that knows all of them. Serve runs an
// engine process; House opens what an operator's command needs of it; Dial calls one.
//
// What is opened is closed in the reverse order: first nobody is let in any more, then sending drains, then the record
// is sealed, then the store is let go.
package wiring
