// Package audit seals the record of acts, so that nobody can change it unseen (promise 9).
//
// Entries get their number in the script of the act itself, so acts never wait for each other. A sealer chains them
// afterwards, each second and at each release:
//
//	h(0) = 32 zero bytes
//	h(n) = SHA-256(h(n-1) | n as 8 bytes, big endian | bytes of entry n)
//
// and signs (realm, n, h(n), time) with an Ed25519 key that is not in the store. The seal goes into the store and, as a
// line, to the second place: a file that is only appended to, with fsync. The second place keeps every seal, the store
// the newest of each sealer. The chain depends on the entries alone, so several processes may seal the same record, each
// with a second place of its own: the same number has the same hash.
//
// What it proves: what was in the record when it was sealed is there still, in the same order (record, or every seal
// that somebody holds: the second place, a report, a line of the log). What it does not prove: that an entry was true when
// it was written, and anything of the entries after the last seal, about a second. Who has the store, the second place
// and the key can write what he likes; so the second place belongs on a disk, and its copies on a machine, that an
// operator of the store does not rule.
package audit
