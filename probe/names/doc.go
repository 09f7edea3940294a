// Package names finds in the configuration of a server which hosts it has.
package names

import (
	"slices"
	"strings"

	"github.com/usher-http/usher/authority"
)

// A List is what was found.
type List struct {
	Hosts   []string // with a port where it is not 443, each once, in the order of the file
	Skipped []string // wildcards, regular expressions and the like: nobody knows a host that they stand for
	Odd     []string // no hosts, such as raw UTF-8: servers take them, and no client sends them
}

func (l *List) add(host, port string) {
	bare := host
	if strings.HasPrefix(host, "[") {
		bare = strings.TrimSuffix(host[1:], "]")
	}
	a, err := authority.ParseHost(bare)
	if err != nil {
		if !slices.Contains(l.Odd, host) {
			l.Odd = append(l.Odd, host)
		}
		return
	}
	host = a.String() // an IPv6 address gets its brackets
	if port != "" && port != "443" {
		host += ":" + port
	}
	if !slices.Contains(l.Hosts, host) {
		l.Hosts = append(l.Hosts, host)
	}
}
