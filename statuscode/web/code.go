package web

import (
	"strings"

	"github.com/usher-http/usher/statuscode"
)

// codePage is the page of one code.
type codePage struct {
	frame
	*statuscode.Code
	Previous, Next *statuscode.Code
	Exchanges      []exchange
	Watch          bool
	Try            bool
}

// An exchange is an example, cut for colouring.
type exchange struct {
	Title    string
	Messages []message
}

type message struct {
	Label  string // request, interim response, response
	First  string // request line or status line
	Rest   string
	Answer statuscode.Class // of the status; 0 for a request
}

func (p *renderer) code(c *statuscode.Code) []byte {
	page := codePage{
		frame: frame{Title: strings.TrimSpace(c.Name), Files: p.files, Subject: c.Number}, Code: c,
		Watch: p.watch && c.Number == 421, Try: !p.files && c.Number != 101,
	}
	page.Previous, page.Next = statuscode.Around(c)
	for _, e := range c.Examples {
		page.Exchanges = append(page.Exchanges, cut(e))
	}
	return p.page("code", page)
}

func cut(e statuscode.Example) exchange {
	x := exchange{Title: e.Title}
	for i, m := range e.Messages {
		first, rest, _ := strings.Cut(m, "\n")
		label := "Response"
		switch {
		case i == 0:
			label = "Request"
		case i < len(e.Messages)-1:
			label = "Interim response"
		}
		x.Messages = append(x.Messages, message{label, first, rest, classIn(first)})
	}
	return x
}

// classIn returns the class of a status line, 0 for a request line.
func classIn(line string) statuscode.Class {
	version, rest, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(version, "HTTP/") || rest == "" {
		return 0
	}
	return statuscode.Class(rest[0] - '0')
}

// watchPage shows what went over which connection.
type watchPage struct {
	frame
	Connections []lane
	Rows        []row
}

// A lane is one connection.
type lane struct {
	Number    int
	OpenedFor string
	Protocol  string
}

// A row is one request, in the lane of its connection.
type row struct {
	Step
	Number int
	Class  statuscode.Class
	Name   string
	Lane   int    // of the request, from 1
	Lanes  []bool // true in it
}

func (p *renderer) watched(steps []Step) []byte {
	page := watchPage{frame: frame{Title: "Watch it happen", Files: p.files, Subject: 421}}
	places := map[int]int{}
	for _, s := range steps {
		if _, known := places[s.Connection]; !known {
			places[s.Connection] = len(page.Connections)
			page.Connections = append(page.Connections, lane{s.Connection, s.OpenedFor, s.Protocol})
		}
	}
	for i, s := range steps {
		place := places[s.Connection]
		r := row{Step: s, Number: i + 1, Class: statuscode.Class(s.Status / 100), Name: nameOf(s.Status), Lane: place + 1}
		r.Lanes = make([]bool, len(page.Connections))
		r.Lanes[place] = true
		page.Rows = append(page.Rows, r)
	}
	return p.page("watch", page)
}
