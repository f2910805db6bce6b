// Package verify recomputes who should have got which words and compares it with what the carriers' logs say arrived. It
// shares nothing with the engine: it reads the directory as a table, the warnings as the contract states them, finds who
// is inside by trying every person against every outline, puts the segments together on its own, and judges the contract
// by the carriers' times of arrival.
//
// What the verdict means:
//   - A person is a number. Expected is everybody inside with a number who has not opted out (responsible persons cannot).
//   - Whoever is inside and told by no channel of their own, by what the warning says of duties and channels, is untold.
//   - expected = got + moved + refused + stopped + lost, for each warning and channel; who is to get a warning by SMS and
//     by flash SMS counts in both.
//   - Who gets a correction, an all-clear or an update follows from what arrived before: whoever got the original by a
//     channel hears by that channel, whoever may have it (a piece arrived) may hear, everybody else must not.
//   - Nobody is judged who lives so near to a converted line or a circle that nobody can say on which side.
//   - Area channels are judged by messages and places: what was asked, where, when, as the same message, and ended.
//   - Only what a carrier accepted counts as handed over; everything that arrived counts against the contract.
//   - Warnings with the same words cannot be told apart at a carrier: they are judged as one group, which says so.
package verify
