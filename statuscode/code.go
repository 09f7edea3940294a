package statuscode

import "strings"

// A Code is one status code and what the guide says of it.
type Code struct {
	Number  int     // 100 to 511
	Name    string  // the registered reason phrase; "(Unused)" for the reserved ones
	State   State   // of the registration
	Defined Source  // the document that defines it
	Caching Caching // what caches do with a final response of this status
	Words   []string
	Summary string // one sentence for somebody who has never met the code

	Server   Server
	Client   Client
	Depth    []Section // further sections; most codes have none
	Examples []Example // at least one
	Confused []Neighbour
	Related  []*Code // of the same class, ascending
	Sources  []Source
}

// Class is the first digit of the code.
func (c *Code) Class() Class { return Class(c.Number / 100) }

// Final reports whether the code can be the status of a final response: interim ones (1xx) cannot, and 101 ends HTTP on its
// connection.
func (c *Code) Final() bool { return c.Class() != Informational }

// Content reports whether a response of this status may have content, in an answer to GET (RFC 9110 section 6.4.1). 205 is
// a no: RFC 9110 section 15.3.6 forbids to generate any.
func (c *Code) Content() bool {
	return c.Final() && c.Number != 204 && c.Number != 205 && c.Number != 304
}

// A Class is the first digit of status codes (RFC 9110 section 15).
type Class int

// The classes.
const (
	Informational Class = 1 + iota
	Successful
	Redirection
	ClientError
	ServerError
)

// Classes lists all of them, in order.
var Classes = []Class{Informational, Successful, Redirection, ClientError, ServerError}

// String returns the class in words, such as "client error".
func (c Class) String() string {
	if c < Informational || c > ServerError {
		return "unknown"
	}
	return [...]string{"informational", "successful", "redirection", "client error", "server error"}[c-1]
}

// Digits returns the class as people write it: 4xx.
func (c Class) Digits() string { return string(rune('0'+c)) + "xx" }

// Meaning says what a client learns from the class alone, which is all that it has for codes it does not know.
func (c Class) Meaning() string {
	switch c {
	case Informational:
		return "The request is under way; the final answer follows."
	case Successful:
		return "The request was received, understood and accepted."
	case Redirection:
		return "The client has more to do, mostly to ask elsewhere."
	case ClientError:
		return "The request cannot be answered as it was sent."
	case ServerError:
		return "The request seems fine, but the server has failed."
	}
	return ""
}

// A State is what the registry says of a code.
type State string

// The states.
const (
	Registered State = "registered"
	Temporary  State = "temporary" // registered for a draft, and only for a time
	Obsoleted  State = "obsoleted" // its document is historic
	Unused     State = "unused"    // reserved, so that nothing else gets the number
)

// Caching is what a cache may do with a final response (RFC 9111 section 3).
type Caching string

// What caches do.
const (
	Heuristic Caching = "heuristic" // may be stored without explicit freshness too (RFC 9110 section 15.1)
	Explicit  Caching = "explicit"  // only with explicit freshness, such as max-age
	Never     Caching = "never"     // its document forbids it, or there is nothing to store
	Interim   Caching = "interim"   // not a final response
)

// String returns a phrase for people.
func (c Caching) String() string {
	switch c {
	case Heuristic:
		return "by default"
	case Explicit:
		return "only with explicit freshness"
	case Never:
		return "no"
	}
	return "no, it is not a final response"
}

// Server is the view of whoever sends the code.
type Server struct {
	When     Text // when to use it
	Respond  Text // how to respond
	Headers  []Header
	Body     Text // of the response
	Pitfalls []string
}

// Client is the view of whoever receives it.
type Client struct {
	Action  Text   // what to do
	Retry   string // in a few words
	Retries Text
	Caches  Text
}

// A Header is a field to consider.
type Header struct {
	Name string `json:"name"`
	Note string `json:"note"`
}

// A Neighbour is a code that is mistaken for this one.
type Neighbour struct {
	Code       *Code
	Difference string
}

// A Section is a part of the text with a title of its own.
type Section struct {
	Title string
	Text  Text
}

// An Example is a request and what came back, message by message: the request, interim responses, the final response.
type Example struct {
	Title    string
	Messages []string // HTTP/1.1, with line feeds alone
}

// A Source is a document, or a place in one.
type Source struct {
	Name string // "RFC 9110, section 15.5.20"
	URL  string
	Note string // what is to be found there; may be empty
}

// A Text is paragraphs and list items. Inside of them `code` stands between backquotes, **strong** words between asterisks, and
// a status code between square brackets is a reference to it: [404]. [Spans] takes it apart.
type Text []Block

// A Block is one paragraph or one item of a list.
type Block struct {
	Item bool
	Text string
}

// String returns the text with a blank line between paragraphs, "- " before items and without the brackets of references.
func (t Text) String() string {
	var b strings.Builder
	for i, p := range t {
		switch {
		case i > 0 && p.Item && t[i-1].Item:
			b.WriteString("\n")
		case i > 0:
			b.WriteString("\n\n")
		}
		if p.Item {
			b.WriteString("- ")
		}
		b.WriteString(Plain(p.Text))
	}
	return b.String()
}

// Plain returns a line of text without the marks for strong words and references; backquotes stay.
func Plain(s string) string {
	var b strings.Builder
	for _, p := range Spans(s) {
		if p.Kind == CodeSpan {
			b.WriteString("`" + p.Text + "`")
			continue
		}
		b.WriteString(p.Text)
	}
	return b.String()
}
