package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/usher-http/usher/internal/gateway/config"
)

const schemaFile = "../../../docs/usher.schema.json"

func TestSchemaIsUpToDate(t *testing.T) {
	got, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/usher.schema.json is not what Schema returns (%v): go test ./internal/gateway/config -run Schema -update", err)
	}
}

// A schema is as much of JSON Schema as Schema uses.
type schema struct {
	Ref                  string             `json:"$ref"`
	Defs                 map[string]*schema `json:"$defs"`
	Type                 string
	Properties           map[string]*schema
	AdditionalProperties json.RawMessage
	Required             []string
	Items                *schema
	MinItems             int
	Enum                 []any
	OneOf                []*schema
	Description          string
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	s := new(schema)
	if err := json.Unmarshal(text, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Every key has a description: the schema is the manual.
func TestSchemaDescribesEveryKey(t *testing.T) {
	root := readSchema(t)
	all := maps.Clone(root.Defs)
	all["File"] = root
	all["UpstreamSpec"] = all["UpstreamSpec"].OneOf[2]
	keys := 0
	for name, s := range all {
		for key, p := range s.Properties {
			keys++
			if !strings.HasSuffix(p.Description, ".") {
				t.Errorf("%s: key %q has no description: %q", name, key, p.Description)
			}
		}
	}
	if keys < 50 {
		t.Errorf("%d keys, want all", keys)
	}
}

// fits returns where a value does not fit the schema.
func (root *schema) fits(s *schema, at string, v any) []string {
	if s.Ref != "" {
		return root.fits(root.Defs[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]], at, v)
	}
	if v == nil {
		return nil // an empty value is the default
	}
	if len(s.OneOf) > 0 {
		for _, one := range s.OneOf {
			if len(root.fits(one, at, v)) == 0 {
				return nil
			}
		}
		return []string{at + ": no alternative fits"}
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(v) }) {
		return []string{fmt.Sprintf("%s: %v is none of %v", at, v, s.Enum)}
	}
	var bad []string
	switch v := v.(type) {
	case map[string]any:
		if s.Type != "object" {
			return []string{at + ": a map where the schema has " + s.Type}
		}
		for key, value := range v {
			p := s.Properties[key]
			if p == nil && string(s.AdditionalProperties) == "false" {
				bad = append(bad, at+": unknown key "+key)
			} else if p != nil {
				bad = append(bad, root.fits(p, at+"."+key, value)...)
			}
		}
		for _, key := range s.Required {
			if v[key] == nil {
				bad = append(bad, at+": missing key "+key)
			}
		}
	case []any:
		if s.Type != "array" || len(v) < s.MinItems {
			return []string{at + ": a list where the schema has " + s.Type}
		}
		for i, value := range v {
			bad = append(bad, root.fits(s.Items, fmt.Sprintf("%s[%d]", at, i), value)...)
		}
	default:
		types := map[string]string{"string": "string", "int": "integer", "bool": "boolean"}
		if s.Type != types[fmt.Sprintf("%T", v)] {
			return []string{fmt.Sprintf("%s: %T where the schema has %s", at, v, s.Type)}
		}
	}
	return bad
}

func TestSchemaFitsExamples(t *testing.T) {
	root := readSchema(t)
	files, _ := filepath.Glob("testdata/good/*.yaml")
	if len(files) < 3 {
		t.Fatal("no examples")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		for _, bad := range root.fits(root, file, v) {
			t.Error(bad)
		}
	}
}

// The schema refuses what Load refuses for its form.
func TestSchemaRefuses(t *testing.T) {
	root := readSchema(t)
	for _, text := range []string{
		"mod: enforce\nsites: [{hosts: [a]}]", "mode: x\nsites: [{hosts: [a]}]", "{}", "sites: []", "sites: [{hosts: a}]", "sites: [{}]",
		"sites: [{hosts: [a], upstream: {url: b}}]", "sites: [{hosts: [a], upstream: 7}]", "sites: [{hosts: [a], tls: {min_version: 1.2}}]",
		"sites: [{hosts: [a], coalesce: 1}]", "sites: [{hosts: [a]}]\nlisteners: [{address: a, protocols: [h4]}]",
	} {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if len(root.fits(root, "", v)) == 0 {
			t.Errorf("the schema accepts %q", text)
		}
		if _, err := config.Parse("usher.yaml", []byte(text), config.Options{}); err == nil {
			t.Errorf("Parse accepts %q", text)
		}
	}
}
