package config

import (
	_ "embed"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// The comments are read from the source that is built in, so that the manual exists once.
//
//go:embed spec.go
var specSource string

// Schema returns the JSON Schema of the configuration file (draft 2020-12), indented, with a line end. It is the same at
// each call.
func Schema() ([]byte, error) {
	comments, err := specComments(specSource)
	if err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		FieldNameTag:               "yaml",
		LookupComment: func(t reflect.Type, field string) string {
			return comments[t.Name()][field]
		},
	}
	s := r.Reflect(&File{})
	s.Title = "usher.yaml"
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// specComments returns the doc comments of the structs and their fields; that of a struct stands under the empty name.
func specComments(source string) (map[string]map[string]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), "spec.go", source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	comments := map[string]map[string]string{}
	for _, decl := range f.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok {
				comments[t.Name.Name] = structComments(gen.Doc, t)
			}
		}
	}
	return comments, nil
}

func structComments(doc *ast.CommentGroup, t *ast.TypeSpec) map[string]string {
	m := map[string]string{"": withoutName(oneLine(doc), t.Name.Name)}
	if s, ok := t.Type.(*ast.StructType); ok {
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				m[name.Name] = oneLine(f.Doc)
			}
		}
	}
	return m
}

// withoutName turns "LogSpec is how" into "How": readers of the schema do not know the Go names.
func withoutName(text, name string) string {
	for _, verb := range []string{" is ", " are "} {
		if rest, ok := strings.CutPrefix(text, name+verb); ok {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return text
}

func oneLine(c *ast.CommentGroup) string {
	return strings.Join(strings.Fields(c.Text()), " ")
}

// JSONSchema describes the written form of a duration.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`}
}

// JSONSchemaExtend adds the two short forms of an upstream.
func (UpstreamSpec) JSONSchemaExtend(s *jsonschema.Schema) {
	full := *s
	text := &jsonschema.Schema{Type: "string"}
	one := uint64(1)
	*s = jsonschema.Schema{
		Description: full.Description,
		OneOf:       []*jsonschema.Schema{text, {Type: "array", Items: text, MinItems: &one}, &full},
	}
	full.Description = ""
}
