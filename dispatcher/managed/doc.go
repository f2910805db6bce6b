// Package managed runs the engine's own redis-server in its data directory, and checks one that somebody else runs.
//
// The server of its own listens on a unix socket only, writes every change to its append-only file with an fsync before
// it answers, and outlives the engine: an upgrade does not load gigabytes again. It is found again by its directory.
//
// Invariants:
//   - At most one redis-server works in a directory: it carries a lock (redis.lock) from before its first read to its
//     last write, inherited by the children that rewrite the file for it. The lock tells that it lives; a process id
//     alone never does.
//   - A server is adopted only if it names this directory and the process id of its pid file. No process is ever
//     killed; one is asked to shut down through its socket, or left alone.
//   - An append-only file that ends inside a command or a script is cut before that script, which was never answered,
//     and what was cut is kept. A file that is broken in any other way is left as it is, with the place named.
//   - No client made here repeats a command by itself: a script that was sent once runs at most once.
package managed
