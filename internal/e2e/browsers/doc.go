// Package browsers has real browsers as witnesses: headless Chromium and Firefox against the built program, on loopback,
// with an authority of their own. What counts is what the gateway's own log says and what the page saw.
package browsers
