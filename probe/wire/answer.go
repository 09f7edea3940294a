package wire

import (
	"crypto/sha256"
	"hash"
	"strings"
)

// An Answer is what came of a request: a status with its fields and content, or a Failure.
type Answer struct {
	Status    int
	Fields    [][2]string // names in lower case
	Body      []byte      // the first Keep bytes
	Size      int64       // bytes of content that were read
	Digest    [32]byte    // SHA-256 over these
	Truncated bool        // there was more
	Failure   Failure     // empty: the answer is whole
	Detail    string      // of the failure: the name of an alert, the code of a reset, an error
	Closed    bool        // the connection takes no further request
}

// OK reports whether the request was answered.
func (a *Answer) OK() bool { return a.Failure == "" && a.Status != 0 }

// Fallback reports whether the server wants to be asked over HTTP/1.1, or over HTTP/2 where it was HTTP/3: clients do that by themselves.
func (a *Answer) Fallback() bool {
	return a.Failure == Reset && (a.Detail == "HTTP_1_1_REQUIRED" || a.Detail == "H3_VERSION_FALLBACK") ||
		a.Failure == Closed && (strings.HasSuffix(a.Detail, "HTTP_1_1_REQUIRED") || strings.HasSuffix(a.Detail, "H3_VERSION_FALLBACK"))
}

// Field returns the values of a field, with commas between them where there are several.
func (a *Answer) Field(name string) string {
	var values []string
	for _, f := range a.Fields {
		if f[0] == name {
			values = append(values, f[1])
		}
	}
	return strings.Join(values, ", ")
}

// failed makes an answer of an error that ends the connection.
func failed(err error) Answer {
	kind, detail := failureOf(err)
	return Answer{Failure: kind, Detail: detail, Closed: true}
}

// A gatherer takes content in as far as the limit allows.
type gatherer struct {
	limit int
	keep  []byte
	size  int64
	sum   hash.Hash
}

func newGatherer(limit int) *gatherer { return &gatherer{limit: limit, sum: sha256.New()} }

// add reports whether there may be more.
func (g *gatherer) add(p []byte) bool {
	room := g.limit - int(g.size)
	full := len(p) > room
	if full {
		p = p[:room]
	}
	g.size += int64(len(p))
	g.sum.Write(p)
	if n := Keep - len(g.keep); n > 0 {
		g.keep = append(g.keep, p[:min(n, len(p))]...)
	}
	return !full
}

// Write makes a gatherer an io.Writer that never fails; what is beyond the limit is dropped.
func (g *gatherer) Write(p []byte) (int, error) {
	g.add(p)
	return len(p), nil
}

func (g *gatherer) fill(a *Answer) {
	a.Body, a.Size = g.keep, g.size
	g.sum.Sum(a.Digest[:0])
}
