// Package names finds in the configuration of a server which hosts it has.
package names

// A List is what was found.
type List struct {
	Hosts   []string // with a port where it is not 443, each once, in the order of the file
	Skipped []string // wildcards, regular expressions and the like: nobody knows a host that they stand for
}

func (l *List) add(host, port string) {
	if port != "" && port != "443" {
		host += ":" + port
	}
	for _, known := range l.Hosts {
		if known == host {
			return
		}
	}
	l.Hosts = append(l.Hosts, host)
}
