// Package config reads the configuration file of the gateway.
//
// [Load] reads a file once and hands back everything that stands in it and everything that it names: certificates
// with their keys, certificate authorities, tokens, parsed hosts, addresses and durations. Whoever serves a [Loaded]
// reads no file for it a second time, so what was checked is what is served.
//
// What is wrong with a file is reported in one go, as [Errors], each with the line and the column of its cause. What is
// legal but surprising comes as a [Hazard] beside a good configuration.
package config
