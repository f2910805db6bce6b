// Package demo is what Tocsin shows of itself: the demonstration that `make run` runs, and the measurements that each
// promise with a number is shown by. Every verdict comes from the carriers' logs; what the engine counts stands beside
// it, to be compared.
package demo
