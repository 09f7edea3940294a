// Package probe finds out how any server treats requests that come on the wrong connection.
//
// A run has four parts. [Survey] connects to each name as itself and learns its address, certificate and answers. [Plan] says, from
// what was learnt alone, which connections a browser would share and what is to be asked on which. [Run] asks. [Judge] makes findings of
// the observations. Plan and Judge are pure: no network, no clock; [Probe] does all four.
package probe
