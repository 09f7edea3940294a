package browsers

import (
	"fmt"
	"strings"
)

// An outcome is what came of a visit: what the page saw, and what the server saw of the page and its steps.
type outcome struct {
	saw []string
	log []seen
}

// newOutcome leaves out of the log what is not counted: the report, and requests that only wait for HTTP/3.
func newOutcome(saw []string, log []seen) outcome {
	o := outcome{saw: saw}
	for _, s := range log {
		if s.Path == pagePath || s.Path == stepPath {
			o.log = append(o.log, s)
		}
	}
	return o
}

// connections is the number of connections that carried the requests.
func (o outcome) connections() int {
	remotes := map[string]bool{}
	for _, s := range o.log {
		remotes[s.Protocol+s.Remote] = true
	}
	return len(remotes)
}

func (o outcome) misdirected() int {
	n := 0
	for _, s := range o.log {
		if s.Status == 421 {
			n++
		}
	}
	return n
}

// trace tells the log in short: the connection (A is the first), the site, the status. HTTP/3 is said.
func (o outcome) trace() string {
	names := map[string]string{}
	var list []string
	for _, s := range o.log {
		key := s.Protocol + s.Remote
		if names[key] == "" {
			names[key] = string(rune('A' + len(names)))
			if s.Protocol != "h2" {
				names[key] += "/" + s.Protocol
			}
		}
		list = append(list, fmt.Sprintf("%s %s %d", names[key], siteOf(s.Authority), s.Status))
	}
	return strings.Join(list, ", ")
}

// page tells what the page saw, in short: without the words of the answers.
func (o outcome) page() string {
	var list []string
	for _, s := range o.saw {
		status, rest, _ := strings.Cut(s, " ")
		if status == "warm" {
			continue
		}
		if method, _, _ := strings.Cut(rest, " "); method == "POST" {
			status += " (POST)"
		}
		list = append(list, status)
	}
	return strings.Join(list, ", ")
}

func (o outcome) refusedSites() string {
	var list []string
	for _, s := range o.log {
		if s.Status == 421 {
			list = append(list, siteOf(s.Authority))
		}
	}
	return strings.Join(list, " ")
}
