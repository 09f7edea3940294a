package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A cursor is a place in the file: a key or an item, present or not. A missing key is reported where the map that lacks it
// stands.
type cursor struct {
	parent *cursor
	name   string // of the key; empty for an item and for the root
	index  int
	node   *yaml.Node // an alias is resolved; nil: missing
}

func (c *cursor) key(name string) *cursor {
	child := &cursor{parent: c, name: name}
	if c.node == nil || c.node.Kind != yaml.MappingNode {
		return child
	}
	for i := 0; i+1 < len(c.node.Content); i += 2 {
		if c.node.Content[i].Value == name {
			child.node = resolved(c.node.Content[i+1])
			break
		}
	}
	return child
}

func (c *cursor) item(i int) *cursor {
	child := &cursor{parent: c, index: i}
	if c.node != nil && c.node.Kind == yaml.SequenceNode && i < len(c.node.Content) {
		child.node = resolved(c.node.Content[i])
	}
	return child
}

// url is the cursor of one URL of an upstream, in whichever of the three forms it is written.
func (c *cursor) url(i int) *cursor {
	if c.node != nil && c.node.Kind == yaml.ScalarNode {
		return c
	}
	if c.node != nil && c.node.Kind == yaml.SequenceNode {
		return c.item(i)
	}
	return c.key("urls").item(i)
}

func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// present reports whether the key is written in the file, be it with an empty value.
func (c *cursor) present() bool { return c.node != nil }

// place returns the nearest thing that is written in the file.
func (c *cursor) place() *yaml.Node {
	for ; c != nil; c = c.parent {
		if c.node != nil && c.node.Line > 0 {
			return c.node
		}
	}
	return &yaml.Node{Line: 1, Column: 1}
}

// path prints the cursor as in sites[0].tls.client_ca.
func (c *cursor) path() string {
	if c.parent == nil {
		return ""
	}
	var parts []*cursor
	for ; c.parent != nil; c = c.parent {
		parts = append(parts, c)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		switch p := parts[i]; {
		case p.name == "":
			b.WriteString("[" + strconv.Itoa(p.index) + "]")
		case b.Len() > 0:
			b.WriteString("." + p.name)
		default:
			b.WriteString(p.name)
		}
	}
	return b.String()
}
