package report

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/suite"
	"github.com/usher-http/usher/probe/wire"
)

const schemaFile = "docs/probe.schema.json" // in the root of the module

// TestSchema keeps the published schema as the structs are. USHER_UPDATE_SCHEMA=1 writes it.
func TestSchema(t *testing.T) {
	t.Chdir("../..") // so that the comments of the sources are found by their packages' paths
	want := generate(t)
	if os.Getenv("USHER_UPDATE_SCHEMA") != "" {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the structs are; hint: USHER_UPDATE_SCHEMA=1 go test -run TestSchema ./probe/report", schemaFile)
	}
}

// words are the values of string types.
var words = map[reflect.Type][]any{
	reflect.TypeFor[probe.ID]():       anys(probe.IDs()),
	reflect.TypeFor[probe.Severity](): anys(probe.Severities()),
	reflect.TypeFor[wire.Protocol]():  {"h1", "h2", "h3"},
	reflect.TypeFor[probe.Outcome]():  anys(outcomes),
	reflect.TypeFor[suite.Verdict]():  anys([]suite.Verdict{suite.Right, suite.OverStrict, suite.Wrong, suite.Dangerous, suite.Skipped}),
	reflect.TypeFor[probe.ClientAuth](): {
		string(probe.AuthNone), string(probe.AuthOptional), string(probe.AuthUnclear), string(probe.AuthRequired),
	},
}

func anys[T ~string](list []T) (all []any) {
	for _, v := range list {
		all = append(all, string(v))
	}
	return all
}

func generate(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: true, Mapper: func(kind reflect.Type) *jsonschema.Schema {
		if list := words[kind]; list != nil {
			return &jsonschema.Schema{Type: "string", Enum: list}
		}
		return nil
	}}
	if err := r.AddGoComments("github.com/usher-http/usher", "./probe"); err != nil {
		t.Fatal(err)
	}
	schema := &jsonschema.Schema{Version: jsonschema.Version, Title: "usher probe --json", Definitions: jsonschema.Definitions{},
		Description: "One line of the output: a host, a pair (one host asked for on another one's connection), a finding, or the summary at the end; with --compare findings and a comparison, with --suite cases and a score. Later versions may have more types and more properties."}
	for _, line := range []struct {
		name string
		of   any
	}{{"host", &probe.HostReport{}}, {"pair", &probe.Pair{}}, {"finding", &probe.Finding{}}, {"summary", &probe.Summary{}},
		{"comparison", &counts{}}, {"case", &suite.Result{}}, {"score", &suite.Score{}}} {
		part := r.Reflect(line.of)
		for name, d := range part.Definitions {
			schema.Definitions[name] = d
		}
		name := part.Ref[len("#/$defs/"):]
		typed := jsonschema.NewProperties()
		typed.Set("type", &jsonschema.Schema{Const: line.name})
		if line.name == "finding" {
			typed.Set("change", &jsonschema.Schema{Type: "string", Enum: []any{"new", "gone", "still"}, Description: "with --compare alone"})
		}
		schema.OneOf = append(schema.OneOf, &jsonschema.Schema{Title: line.name, Properties: typed, Required: []string{"type"}, AllOf: []*jsonschema.Schema{{Ref: "#/$defs/" + name}}})
	}
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}
