// Package verify recomputes who should have got which words and compares it with what the carriers' logs say arrived. It
// shares nothing with the engine: it reads the directory as a table, the warnings as the contract states them, finds who
// is inside by trying every person against every outline, puts the segments together on its own, and judges the contract
// by the carriers' times of arrival.
//
// What the verdict means:
//   - A person is a number. Expected is everybody inside with a number who has not opted out (responsible persons cannot).
//   - expected = got + refused + stopped + lost, for each warning.
//   - Only what a carrier accepted counts as handed over; everything that arrived counts against the contract.
//   - Warnings with the same words cannot be told apart at a carrier: they are judged as one group, which says so.
package verify
