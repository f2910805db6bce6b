// Package picture draws a verdict: where people were reached, how many over time by tier and channel, and how each
// contract was used. It sees what the verdict sees, and nothing of the engine.
package picture
