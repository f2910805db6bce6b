// Package redisstore keeps everything durable of the engine in Redis 7: it implements dispatcher.Records and
// dispatcher.Queue, and stores the blobs of the directory.
//
// Invariants:
//   - Every change is one Lua script, so that it happens as a whole or not at all, and is on disk when its answer comes
//     (appendfsync always). What is too large for one script is written ahead under names that nothing refers to yet.
//   - No script reads a clock, loops over people, or runs longer than 5 ms.
//   - Only the present owner of an account writes for it: every script of the queue checks owner and epoch.
//   - The client never repeats a command by itself. Whoever lost an answer asks again, with the same key or sequence,
//     and gets the stored one.
//   - Every stored record begins with its version: the field "v" of a hash or of JSON, or the first byte.
//   - Scripts that free or stop something pass when Redis is at its memory limit; submit, plan and import do not.
//
// All names of keys are made in keys.go.
package redisstore
