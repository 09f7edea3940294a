package message

import (
	"iter"
	"strings"
)

// A Field is a field line. The name is in lower case everywhere inside of the gateway; HTTP/1.1 does not care
// (RFC 9110 section 5.1), and the others demand it.
type Field struct{ Name, Value string }

// Fields are field lines in the order in which they were sent.
type Fields []Field

// Get returns the first value; ok tells an empty one from none.
func (f Fields) Get(name string) (value string, ok bool) {
	for i := range f {
		if f[i].Name == name {
			return f[i].Value, true
		}
	}
	return "", false
}

// Has reports whether there is a field of that name.
func (f Fields) Has(name string) bool {
	_, ok := f.Get(name)
	return ok
}

// Values returns the values of all field lines of that name, in whatever case it is given; nil: none.
func (f Fields) Values(name string) (values []string) {
	for i := range f {
		if strings.EqualFold(f[i].Name, name) {
			values = append(values, f[i].Value)
		}
	}
	return values
}

// Without returns f without the fields for which drop says so. It changes f's elements.
func (f Fields) Without(drop func(name string) bool) Fields {
	kept := f[:0]
	for _, field := range f {
		if !drop(field.Name) {
			kept = append(kept, field)
		}
	}
	return kept
}

// maxAnnounced is how many trailers are announced. Recipients keep a list of them for each message.
const maxAnnounced = 64

// Announcing returns f with what its fields Trailer (RFC 9110 section 6.6.2: "to indicate which fields might be present in the trailers")
// announce, in one field; only names for which may says so are left. Without any there is no such field. It changes f's elements.
func (f Fields) Announcing(may func(name string) bool) Fields {
	if !f.Has("trailer") {
		return f
	}
	var names strings.Builder
	n := 0
	for name := range f.Tokens("trailer") {
		if n == maxAnnounced {
			break
		}
		if !ValidName(name) || !may(name) {
			continue
		}
		if n++; n > 1 {
			names.WriteString(", ")
		}
		names.WriteString(name)
	}
	f = f.Silent()
	if n > 0 {
		f = append(f, Field{Name: "trailer", Value: names.String()})
	}
	return f
}

// Silent returns f without the fields Trailer: no trailers follow. It changes f's elements.
func (f Fields) Silent() Fields {
	return f.Without(func(name string) bool { return name == "trailer" })
}

// Tokens returns the elements of a comma-separated list of tokens, in lower case and without parameters, over all field lines of
// that name (RFC 9110 section 5.6.1).
func (f Fields) Tokens(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range f {
			if f[i].Name != name {
				continue
			}
			for item := range strings.SplitSeq(f[i].Value, ",") {
				item, _, _ = strings.Cut(item, ";")
				if item = strings.ToLower(strings.Trim(item, " \t")); item != "" && !yield(item) {
					return
				}
			}
		}
	}
}
