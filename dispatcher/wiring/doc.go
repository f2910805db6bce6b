// Package wiring puts the rooms together: it is the only one that knows all of them. It decides nothing about warnings.
package wiring
