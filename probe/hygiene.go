package probe

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/usher-http/usher/probe/wire"
)

// hygiene looks at a 421. What is wrong with it is told once for an address and protocol: it is the server's own page.
func (j *judge) hygiene(e evidence, reply *Reply) {
	for _, flaw := range flaws(&reply.Answer, e, j.hosts) {
		key := e.address.String() + string(e.protocol) + flaw.text
		if j.once[key] {
			continue
		}
		j.once[key] = true
		e := e
		e.note = flaw.text
		e.kind = flaw.kind
		j.find(e, Hygiene, flaw.severity)
	}
	if e.protocol == wire.H1 || reply.After == nil {
		return // HTTP/1.1 carries one request at a time: a new connection costs little
	}
	own := e.from.Own[e.protocol]
	if good, ok := own.Plain.Good(); ok && (!reply.After.OK() || reply.After.Status != good.Status && !e.shown) {
		key := e.address.String() + string(e.protocol) + "after"
		if !j.once[key] {
			j.once[key] = true
			e.kind, e.note = Unusable, "421, and the connection was of no more use to the host that it was made for: "+describe(reply.After)
			j.find(e, Hygiene, Low)
		}
	}
}

// The kinds of flaws of a 421.
const (
	Storable Kind = "storable"
	AltSvc   Kind = "alt-svc"
	Version  Kind = "version"
	Names    Kind = "names"
	Unusable Kind = "unusable"
)

type flaw struct {
	kind     Kind
	severity Severity
	text     string
}

// versioned is a product with its version, such as Apache/2.4.57.
var versioned = regexp.MustCompile(`\b[A-Za-z][A-Za-z-]+/\d+\.\d+[\w.]*`)

func flaws(a *wire.Answer, e evidence, hosts []*Host) (list []flaw) {
	cache := strings.ToLower(a.Field("cache-control"))
	switch {
	case strings.Contains(cache, "no-store"):
	case strings.Contains(cache, "max-age") && !strings.Contains(cache, "max-age=0"), a.Field("expires") != "" && cache == "":
		list = append(list, flaw{Storable, Low, "421 with explicit freshness: caches may store it for the host's URL"})
	case cache == "":
		list = append(list, flaw{Storable, Info, "421 without Cache-Control: caches that follow RFC 7540 may store it"})
	}
	if a.Field("alt-svc") != "" {
		list = append(list, flaw{AltSvc, Low, "421 with Alt-Svc"})
	}
	for _, text := range []string{a.Field("server"), string(a.Body)} {
		if v := versioned.FindString(text); v != "" && !strings.HasPrefix(v, "HTTP/") {
			list = append(list, flaw{Version, Info, "421 that tells the server's version: " + v})
			break
		}
	}
	for _, h := range hosts {
		if h == e.host || h == e.from || h.IsIP() {
			continue
		}
		if bytes.Contains(bytes.ToLower(a.Body), []byte(h.Host())) {
			list = append(list, flaw{Names, Low, "421 that names another host: " + h.Host()})
			break
		}
	}
	return list
}
