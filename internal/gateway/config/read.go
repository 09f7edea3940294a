package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	maxFile     = 64 << 20 // a configuration file
	maxMaterial = 4 << 20  // a file that it names
)

// readFile reads a regular file of up to limit bytes. A pipe or a device is refused: reading it could last for ever.
// The error is fit for people and does not name the file.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plain(err)
	}
	if info.IsDir() {
		return nil, errors.New("it is a folder")
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, plain(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d MiB", limit>>20)
	}
	return data, nil
}

// plain takes the operation and the path out of an error of package os.
func plain(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// document reads the one YAML document of the file; nil after a mistake, which is reported.
func (r *reporter) document(data []byte) *yaml.Node {
	if !r.text(data) {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.syntax(err)
		return nil
	}
	var doc, more yaml.Node
	if err := loader.Load(&doc); err == io.EOF {
		r.add(&yaml.Node{}, "", emptyHint, "the file is empty")
		return nil
	} else if err != nil {
		r.syntax(err)
		return nil
	}
	if err := loader.Load(&more); err == nil {
		r.add(&more, "", "keep the first document alone and remove the line ---", "the file has more than one YAML document")
		return nil
	} else if err != io.EOF {
		r.syntax(err)
		return nil
	}
	return r.root(&doc)
}

const emptyHint = "at least one site is needed, as in sites: [{hosts: [example.com], tls: {issuer: local}, upstream: \"http://127.0.0.1:9000\"}]"

func (r *reporter) root(doc *yaml.Node) *yaml.Node {
	if len(doc.Content) != 1 {
		r.add(doc, "", emptyHint, "the file is empty")
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		r.add(root, "", emptyHint, "the file is empty")
		return nil
	}
	if root.Kind != yaml.MappingNode {
		r.add(root, "", emptyHint, "the file must be a map of keys and values, not "+kindOf(root))
		return nil
	}
	return root
}

// text checks what every later step relies on: UTF-8, and no control characters but tab and line ends.
func (r *reporter) text(data []byte) bool {
	at := yaml.Node{Line: 1, Column: 1}
	if len(data) > maxFile {
		r.add(&at, "", "", fmt.Sprintf("the file is larger than %d MiB", maxFile>>20))
		return false
	}
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && n == 1:
			r.add(&at, "", "save the file as UTF-8", fmt.Sprintf("the file is not UTF-8: byte 0x%02X", data[i]))
			return false
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f || c >= 0x80 && c < 0xa0 && c != 0x85:
			r.add(&at, "", "remove it, or write it as an escape in double quotes", fmt.Sprintf("control character %U", c))
			return false
		}
		i += n
		at.Column++
		if c == '\n' {
			at.Line, at.Column = at.Line+1, 1
		}
	}
	return true
}

// syntax reports what the YAML parser says.
func (r *reporter) syntax(err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		r.add(&yaml.Node{}, "", "", "the file is no YAML: "+err.Error())
		return
	}
	at := yaml.Node{Line: e.Mark.Line, Column: e.Mark.Column}
	message := e.Message
	if e.ContextMsg != "" {
		message += " " + e.ContextMsg
	}
	if from := e.ContextMark.Line; from > 0 && from != at.Line {
		message += fmt.Sprintf(" that begins in line %d", from)
	}
	r.add(&at, "", syntaxHint(e.Message), "the file is no YAML: "+message)
}

func syntaxHint(message string) string {
	if name, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		if name, _, _ = strings.Cut(name, "'"); strings.HasPrefix(name, ".") {
			return "put a wildcard into quotes: \"*" + name + "\""
		}
		return "put text that begins with * into quotes"
	}
	return syntaxHints[message]
}

var syntaxHints = map[string]string{
	"found character that cannot start any token":           "indent with spaces, not with tabs; put text that begins with @, ` or % into quotes",
	"mapping values are not allowed in this context":        "check the indentation, and put text that holds \": \" into quotes",
	"did not find expected key":                             "check the indentation, and put text that begins with * or & into quotes",
	"did not find expected node content":                    "a bracket or a brace is not closed, or a value is missing",
	"did not find expected ',' or ']'":                      "a bracket is not closed, or a comma is missing",
	"did not find expected ',' or '}'":                      "a brace is not closed, or a comma is missing",
	"found unexpected end of stream":                        "a quotation mark is not closed",
	"found incompatible YAML document":                      "remove the line that begins with %YAML",
	"did not find expected alphabetic or numeric character": "put text that begins with * or & into quotes, as in \"*.example.com\"",
}
