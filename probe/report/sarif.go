package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"

	"github.com/usher-http/usher/probe"
)

const (
	sarifSchema = "https://json.schemastore.org/sarif-2.1.0.json"
	project     = "https://github.com/usher-http/usher"
)

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string    `json:"id"`
		ShortDescription sarifText `json:"shortDescription"`
		HelpURI          string    `json:"helpUri"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]string `json:"properties"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
)

// meanings says of each finding what it is, in a line.
var meanings = map[probe.ID]string{
	probe.Bypass:       "Content of a site behind client authentication without it",
	probe.WrongContent: "One host's content for another host",
	probe.Uncovered:    "Content without a certificate that covers the host",
	probe.NotRetried:   "An error that clients do not retry, where 421 was due",
	probe.OverStrict:   "421 where the connection may be reused",
	probe.Hygiene:      "A 421 that can be stored, tells too much or ends the connection",
	probe.Loop:         "421 on the host's own connection",
	probe.Parse:        "A malformed or ambiguous authority is served",
	probe.Origin:       "An ORIGIN frame that is malformed or not kept to",
}

// SARIF writes a report in the Static Analysis Results Interchange Format 2.1.0. version is the program's.
func SARIF(w io.Writer, r *probe.Report, version string) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "usher probe", Version: version, InformationURI: project}}, Results: []sarifResult{}}
	index := map[probe.ID]int{}
	for i, id := range probe.IDs() {
		index[id] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{string(id), sarifText{meanings[id]}, project + "/blob/main/docs/probe.md#" + string(id)})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		sum := sha256.Sum256([]byte(f.Key))
		host := f.Host
		if host == "" {
			host = f.Connection
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: string(f.ID), RuleIndex: index[f.ID], Level: sarifLevel(f.Severity),
			Message:      sarifText{"Sent " + f.Sent + ". Got " + f.Got + ". " + f.Why + " (" + f.RFC + ") " + f.Cure},
			Locations:    []sarifLocation{{sarifPhysical{sarifArtifact{"https://" + host + "/"}}, []sarifLogical{{host, "resource"}}}},
			Fingerprints: map[string]string{"usherProbe/v1": hex.EncodeToString(sum[:])},
			Properties:   map[string]string{"severity": f.Severity.String(), "protocol": string(f.Protocol), "connection": f.Connection, "address": f.Address},
		})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{sarifSchema, "2.1.0", []sarifRun{run}})
}

func sarifLevel(s probe.Severity) string {
	switch {
	case s >= probe.High:
		return "error"
	case s >= probe.Low:
		return "warning"
	}
	return "note"
}
