// Package identity says who calls and what they may: users and their tokens, the rights of each role, the certificates
// of a house, the keys that are not in the store, and the profile of a command line.
//
// Invariants:
//   - Who acts comes from the credential and never from the request (promise 9).
//   - A token is shown once, when it is made. Kept is its SHA-256: the token has 256 random bits, so there is nothing to
//     guess and a slow hash would only make every call slow.
//   - What a role may stands in one literal table (rights.go). A method without a row is refused to everybody.
//   - A revoked, rotated or expired token ends within a second, also for streams that are open.
//   - Name, role and validity of a user are small records of acts, so every change of them stands in the record of acts.
//     A name is never given away again.
//   - Files with secrets are written whole, with mode 0600, and refused when others may read them.
package identity
