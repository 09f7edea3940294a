package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

// What stands behind aliases may be visited this often in all. A few lines of nested aliases can stand for more values
// than any machine holds.
const maxAliased = 100_000

// A decoder fills the structs of spec.go from YAML nodes. Whatever does not fit is reported and left as it is.
type decoder struct {
	*reporter
	aliased int // values visited behind aliases
	depth   int // of aliases
}

// fromNode is what types have that are written in a way of their own.
type fromNode interface{ decode(d *decoder, c *cursor) }

// withDefaults is what structs have whose zero value is not their default.
type withDefaults interface{ defaults() }

// value decodes what stands at c into v. raw is what is written there, which may be an alias.
func (d *decoder) value(c *cursor, raw *yaml.Node, v reflect.Value) {
	if raw.Kind == yaml.AliasNode {
		d.depth++
		defer func() { d.depth-- }()
	}
	if d.depth > 0 && !d.spend(raw) {
		return
	}
	if c.node.Kind == yaml.ScalarNode && c.node.ShortTag() == "!!null" {
		return
	}
	if v.Kind() == reflect.Pointer {
		fresh := reflect.New(v.Type().Elem())
		d.value(c, c.node, prepared(fresh).Elem())
		v.Set(fresh)
		return
	}
	if own, ok := v.Addr().Interface().(fromNode); ok {
		own.decode(d, c)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(c, v)
	case reflect.Slice:
		d.list(c, v)
	case reflect.Map:
		d.stringMap(c, v)
	case reflect.String, reflect.Bool, reflect.Int:
		d.scalar(c, v)
	default:
		panic(fmt.Sprintf("config: cannot decode into %s", v.Type()))
	}
}

func prepared(v reflect.Value) reflect.Value {
	if x, ok := v.Interface().(withDefaults); ok {
		x.defaults()
	}
	return v
}

func (d *decoder) spend(at *yaml.Node) bool {
	d.aliased++
	if d.aliased == maxAliased+1 {
		d.add(at, "", "write the values out", fmt.Sprintf("aliases stand for more than %d values", maxAliased))
	}
	return d.aliased <= maxAliased
}

func (d *decoder) structure(c *cursor, v reflect.Value) {
	if !d.is(c, yaml.MappingNode, "a map of keys and values") {
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(c.node.Content); i += 2 {
		key, raw := c.node.Content[i], c.node.Content[i+1]
		f, ok := fields.byName[key.Value]
		if !ok || key.Kind != yaml.ScalarNode {
			d.unknown(c, key, fields)
			continue
		}
		if first := seen[key.Value]; first != nil {
			d.breaks(c, key, "", "key %q is given twice, first in line %d", key.Value, first.Line)
			continue
		}
		seen[key.Value] = key
		d.value(&cursor{parent: c, name: key.Value, node: resolved(raw)}, raw, v.Field(f))
	}
}

func (d *decoder) unknown(c *cursor, key *yaml.Node, fields *fieldSet) {
	switch {
	case key.ShortTag() == "!!merge":
		d.breaks(c, key, "write the keys out, or use an alias for a whole value", "merge keys (<<) are not supported")
	case key.Kind != yaml.ScalarNode:
		d.breaks(c, key, "", "a key must be text, not %s", kindOf(key))
	default:
		d.breaks(c, key, keyHint(key.Value, fields), "unknown key %q", key.Value)
	}
}

func (d *decoder) list(c *cursor, v reflect.Value) {
	if !d.is(c, yaml.SequenceNode, "a list") {
		return
	}
	list := reflect.MakeSlice(v.Type(), len(c.node.Content), len(c.node.Content))
	for i, raw := range c.node.Content {
		item := &cursor{parent: c, index: i, node: resolved(raw)}
		if item.node.ShortTag() == "!!null" {
			d.breaks(item, item.node, "", "%s is empty", item.path())
			continue
		}
		d.value(item, raw, prepared(list.Index(i).Addr()).Elem())
	}
	v.Set(list)
}

func (d *decoder) stringMap(c *cursor, v reflect.Value) {
	if !d.is(c, yaml.MappingNode, "a map of keys and values") {
		return
	}
	m := make(map[string]string, len(c.node.Content)/2)
	for i := 0; i+1 < len(c.node.Content); i += 2 {
		key, raw := c.node.Content[i], c.node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			d.breaks(c, key, "put it into quotes", "a key must be text, not %s", kindOf(key))
			continue
		}
		if _, twice := m[key.Value]; twice {
			d.breaks(c, key, "", "key %q is given twice", key.Value)
			continue
		}
		var value string
		d.value(&cursor{parent: c, name: key.Value, node: resolved(raw)}, raw, reflect.ValueOf(&value).Elem())
		m[key.Value] = value
	}
	v.Set(reflect.ValueOf(m))
}

func (d *decoder) scalar(c *cursor, v reflect.Value) {
	tag := c.node.ShortTag()
	switch kind := v.Kind(); {
	case kind == reflect.String && d.is(c, yaml.ScalarNode, "text"):
		if tag != "!!str" {
			d.breaks(c, c.node, "put it into quotes: "+strconv.Quote(c.node.Value), "%s must be text, not %s", c.label(), kindOf(c.node))
			return
		}
		v.SetString(c.node.Value)
	case kind == reflect.Bool && d.is(c, yaml.ScalarNode, "true or false"):
		on := strings.EqualFold(c.node.Value, "true")
		known := on || strings.EqualFold(c.node.Value, "false")
		if tag != "!!bool" || !known {
			d.breaks(c, c.node, unquote(c.node, known), "%s must be true or false, not %q", c.label(), c.node.Value)
			return
		}
		v.SetBool(on)
	case kind == reflect.Int && d.is(c, yaml.ScalarNode, "a whole number"):
		n, err := strconv.Atoi(c.node.Value)
		if tag != "!!int" || err != nil {
			d.breaks(c, c.node, unquote(c.node, err == nil), "%s must be a whole number, not %q", c.label(), c.node.Value)
			return
		}
		v.SetInt(int64(n))
	}
}

// unquote is the hint for text that would be what is wanted without its quotes.
func unquote(n *yaml.Node, wanted bool) string {
	if !wanted || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
		return ""
	}
	return "leave the quotes away: " + n.Value
}

// is reports a value of the wrong kind.
func (d *decoder) is(c *cursor, kind yaml.Kind, want string) bool {
	if c.node.Kind == kind {
		return true
	}
	hint := ""
	if kind == yaml.SequenceNode && c.node.Kind == yaml.ScalarNode {
		hint = "put it into brackets: [" + strconv.Quote(c.node.Value) + "]"
	}
	if kind == yaml.ScalarNode && c.node.Kind == yaml.SequenceNode && c.node.Style&yaml.FlowStyle != 0 {
		hint = "text that begins with a bracket is put into quotes"
	}
	d.breaks(c, c.node, hint, "%s must be %s, not %s", c.label(), want, kindOf(c.node))
	return false
}

// label is how messages call the place: its key, or the path of an item.
func (c *cursor) label() string {
	if c.name != "" {
		return c.name
	}
	return c.path()
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	case "!!null":
		return "nothing"
	}
	return "a value with the tag " + n.ShortTag()
}

// A fieldSet is the keys that a struct has.
type fieldSet struct {
	names  []string
	byName map[string]int
}

var fieldSets sync.Map // of reflect.Type to *fieldSet

func fieldsOf(t reflect.Type) *fieldSet {
	if known, ok := fieldSets.Load(t); ok {
		return known.(*fieldSet)
	}
	set := &fieldSet{byName: map[string]int{}}
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		set.names = append(set.names, name)
		set.byName[name] = i
	}
	fieldSets.Store(t, set)
	return set
}
