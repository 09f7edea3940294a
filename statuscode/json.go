package statuscode

// An Object is a code as programs get it: `usher status --json` and the JSON API of the pages. Texts are plain: paragraphs with
// a blank line between them, list items that begin with "- ", code between backquotes.
type Object struct {
	Code       int             `json:"code"`
	Name       string          `json:"name"`
	Class      string          `json:"class"` // informational, successful, redirection, client error, server error
	Summary    string          `json:"summary"`
	State      State           `json:"state"`     // registered, temporary, obsoleted, unused
	Cacheable  Caching         `json:"cacheable"` // heuristic, explicit, never, interim
	Defined    SourceObject    `json:"defined_in"`
	Server     ServerObject    `json:"server"`
	Client     ClientObject    `json:"client"`
	Depth      []SectionObject `json:"in_depth"`
	Examples   []ExampleObject `json:"examples"`
	Confused   []Difference    `json:"confused_with"`
	References []SourceObject  `json:"references"`
	Related    []int           `json:"related"`
}

// A ServerObject is the server's perspective.
type ServerObject struct {
	When     string   `json:"when"`
	Respond  string   `json:"respond"`
	Headers  []Header `json:"headers"`
	Body     string   `json:"body"`
	Pitfalls []string `json:"pitfalls"`
}

// A ClientObject is the client's perspective.
type ClientObject struct {
	Action     string `json:"action"`
	Retry      string `json:"retry"` // in a few words
	RetryNotes string `json:"retry_notes"`
	Cache      string `json:"cache"`
}

// A SectionObject is a further section.
type SectionObject struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// An ExampleObject is one exchange: the request, interim responses if any, the final response.
type ExampleObject struct {
	Title    string   `json:"title"`
	Messages []string `json:"messages"`
}

// A Difference is a code that is mistaken for this one.
type Difference struct {
	Code       int    `json:"code"`
	Name       string `json:"name"`
	Difference string `json:"difference"`
}

// A SourceObject is a document or a place in one.
type SourceObject struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Note string `json:"note,omitempty"`
}

// Object returns the code for programs.
func (c *Code) Object() Object {
	o := Object{
		Code: c.Number, Name: c.Name, Class: c.Class().String(), Summary: Plain(c.Summary),
		State: c.State, Cacheable: c.Caching, Defined: SourceObject(c.Defined),
		Server: ServerObject{
			When: c.Server.When.String(), Respond: c.Server.Respond.String(), Body: c.Server.Body.String(),
			Headers: []Header{}, Pitfalls: []string{},
		},
		Client: ClientObject{
			Action: c.Client.Action.String(), Retry: c.Client.Retry,
			RetryNotes: c.Client.Retries.String(), Cache: c.Client.Caches.String(),
		},
		Depth: []SectionObject{}, Examples: []ExampleObject{}, Confused: []Difference{}, References: []SourceObject{}, Related: []int{},
	}
	for _, h := range c.Server.Headers {
		o.Server.Headers = append(o.Server.Headers, Header{h.Name, Plain(h.Note)})
	}
	for _, p := range c.Server.Pitfalls {
		o.Server.Pitfalls = append(o.Server.Pitfalls, Plain(p))
	}
	for _, d := range c.Depth {
		o.Depth = append(o.Depth, SectionObject{d.Title, d.Text.String()})
	}
	for _, e := range c.Examples {
		o.Examples = append(o.Examples, ExampleObject(e))
	}
	for _, n := range c.Confused {
		o.Confused = append(o.Confused, Difference{n.Code.Number, n.Code.Name, Plain(n.Difference)})
	}
	for _, s := range c.Sources {
		o.References = append(o.References, SourceObject(s))
	}
	for _, r := range c.Related {
		o.Related = append(o.Related, r.Number)
	}
	return o
}

// Brief is a code in a list.
type Brief struct {
	Code      int     `json:"code"`
	Name      string  `json:"name"`
	Class     string  `json:"class"`
	Summary   string  `json:"summary"`
	State     State   `json:"state"`
	Cacheable Caching `json:"cacheable"`
}

// Brief returns the code as lists have it.
func (c *Code) Brief() Brief {
	return Brief{c.Number, c.Name, c.Class().String(), Plain(c.Summary), c.State, c.Caching}
}
