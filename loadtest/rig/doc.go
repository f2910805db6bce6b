// Package rig sets up a whole house for a demonstration or a measurement: simulated carriers, an engine with its own
// Redis, users with tokens, and a synthetic directory, each a process of its own that is spoken to as anybody would:
// by command line and gRPC. It knows nothing of the engine's inside, so what it shows is what a user would see.
package rig
