package statuscode

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A list is somebody else's codes with their names.
type list map[int]string

// others are the lists that the registry is compared with. What differs is named, with the reason.
var others = []struct {
	name    string
	read    func(*testing.T) list
	differs map[int]string // what that list says, "" where it has no such code
}{
	{"Go's net/http", goList, map[int]string{
		104: "",                                // temporary
		306: "",                                // unused
		413: "Request Entity Too Large",        // RFC 2616's name; RFC 9110 says Content Too Large
		414: "Request URI Too Long",            // RFC 2616's name
		416: "Requested Range Not Satisfiable", // RFC 2616's name
		418: "I'm a teapot",                    // unused in the registry
		422: "Unprocessable Entity",            // RFC 4918's name; RFC 9110 says Unprocessable Content
	}},
	{"Node's http.STATUS_CODES", nodeList, map[int]string{
		104: "",
		306: "",
		413: "Payload Too Large", // RFC 7231's name
		418: "I'm a Teapot",
		422: "Unprocessable Entity",
		509: "Bandwidth Limit Exceeded", // never registered
	}},
}

func goList(*testing.T) list {
	l := list{}
	for n := range 1000 {
		if s := http.StatusText(n); s != "" {
			l[n] = s
		}
	}
	return l
}

// nodeList is what Node 20 has.
func nodeList(t *testing.T) list {
	t.Helper()
	data, err := os.ReadFile("testdata/node.json")
	if err != nil {
		t.Fatal(err)
	}
	byWord := map[string]string{}
	if err := json.Unmarshal(data, &byWord); err != nil {
		t.Fatal(err)
	}
	l := list{}
	for word, name := range byWord {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		l[n] = name
	}
	return l
}

// TestRegistry compares the codes with the lists of others: each difference is known, and none that is known is gone.
func TestRegistry(t *testing.T) {
	for _, other := range others {
		theirs := other.read(t)
		for n := 100; n < 1000; n++ {
			want, differs := other.differs[n]
			ours := ""
			if c := Lookup(n); c != nil {
				ours = c.Name
			}
			switch {
			case differs && theirs[n] != want:
				t.Errorf("%s has %q for %d, explained is %q", other.name, theirs[n], n, want)
			case differs && theirs[n] == ours:
				t.Errorf("%d: %s no longer differs", n, other.name)
			case !differs && theirs[n] != ours:
				t.Errorf("%d: %s has %q, we have %q", n, other.name, theirs[n], ours)
			}
		}
	}
}

// TestStates: the registry marks four codes, everything else is simply registered.
func TestStates(t *testing.T) {
	marked := map[int]State{104: Temporary, 306: Unused, 418: Unused, 510: Obsoleted}
	for _, c := range All() {
		want := marked[c.Number]
		if want == "" {
			want = Registered
		}
		if c.State != want {
			t.Errorf("%d is %s, want %s", c.Number, c.State, want)
		}
		if unused := c.Name == "(Unused)"; unused != (want == Unused) {
			t.Errorf("%d is %s and has the name %q", c.Number, c.State, c.Name)
		}
	}
}

// TestDefined: RFC 9110 numbers its codes without a gap, section by section in the order of the codes. All others have a
// document of their own, as in the registry.
func TestDefined(t *testing.T) {
	elsewhere := map[int]string{
		102: "RFC 2518, section 10.1", 103: "RFC 8297, section 2", 104: "draft-ietf-httpbis-resumable-upload",
		207: "RFC 4918, section 11.1", 208: "RFC 5842, section 7.1", 226: "RFC 3229, section 10.4.1",
		423: "RFC 4918, section 11.3", 424: "RFC 4918, section 11.4", 425: "RFC 8470, section 5.2",
		428: "RFC 6585, section 3", 429: "RFC 6585, section 4", 431: "RFC 6585, section 5", 451: "RFC 7725, section 3",
		506: "RFC 2295, section 8.1", 507: "RFC 4918, section 11.5", 508: "RFC 5842, section 7.2",
		510: "RFC 2774, section 7", 511: "RFC 6585, section 6",
	}
	counted := map[Class]int{}
	for _, c := range All() {
		want := elsewhere[c.Number]
		if want == "" {
			counted[c.Class()]++
			want = fmt.Sprintf("RFC 9110, section 15.%d.%d", c.Class()+1, counted[c.Class()])
		}
		if c.Defined.Name != want {
			t.Errorf("%d is defined in %q, want %q", c.Number, c.Defined.Name, want)
		}
	}
	for class, want := range map[Class]int{Informational: 2, Successful: 7, Redirection: 9, ClientError: 22, ServerError: 6} {
		if counted[class] != want {
			t.Errorf("%d codes of %s in RFC 9110, want %d", counted[class], class.Digits(), want)
		}
	}
}

// TestCaching: "Responses with status codes that are defined as heuristically cacheable (e.g., 200, 203, 204, 206, 300, 301, 308,
// 404, 405, 410, 414, and 501 in this specification) can be reused by a cache with heuristic expiration" (RFC 9110 section
// 15.1). RFC 7725 section 3 says the same of 451.
func TestCaching(t *testing.T) {
	heuristic := []int{200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 451, 501}
	// RFC 6585: "Responses with the ... status code MUST NOT be stored by a cache." 304 has nothing to be stored.
	never := []int{304, 428, 429, 431, 511}
	for _, c := range All() {
		want := Explicit
		switch {
		case slices.Contains(heuristic, c.Number):
			want = Heuristic
		case slices.Contains(never, c.Number):
			want = Never
		case !c.Final():
			want = Interim
		}
		if c.Caching != want {
			t.Errorf("%d: %s, want %s", c.Number, c.Caching, want)
		}
	}
}

func TestContent(t *testing.T) {
	for _, c := range All() {
		want := c.Number >= 200 && !slices.Contains([]int{204, 205, 304}, c.Number)
		if c.Content() != want {
			t.Errorf("%d: content %v, want %v", c.Number, c.Content(), want)
		}
	}
}

func TestClasses(t *testing.T) {
	var all []*Code
	for _, class := range Classes {
		if class.Meaning() == "" || class.String() == "unknown" || !strings.HasSuffix(class.Digits(), "xx") {
			t.Errorf("class %d has no words", class)
		}
		all = append(all, Of(class)...)
	}
	if !slices.Equal(all, All()) {
		t.Error("the classes together are not all codes in order")
	}
	if s := Class(6).String(); s != "unknown" {
		t.Errorf("class 6 is %q", s)
	}
}

func TestAround(t *testing.T) {
	for i, c := range All() {
		before, after := Around(c)
		switch {
		case (before == nil) != (i == 0), (after == nil) != (i == len(All())-1):
			t.Errorf("%d stands between %v and %v", c.Number, before, after)
		case before != nil && before.Number >= c.Number, after != nil && after.Number <= c.Number:
			t.Errorf("%d stands between %d and %d", c.Number, before.Number, after.Number)
		}
	}
	if before, after := Around(new(Code)); before != nil || after != nil {
		t.Error("a code that is not in the registry has neighbours")
	}
}

func TestFind(t *testing.T) {
	for s, want := range map[string]error{
		"421": nil, "100": nil, "511": nil,
		"": ErrMalformed, "abc": ErrMalformed, "42a": ErrMalformed, "-421": ErrMalformed, " 421": ErrMalformed, "4 1": ErrMalformed,
		"٤٢١": ErrMalformed, "0421": ErrMalformed, "\x00": ErrMalformed,
		"0": ErrOutOfRange, "99": ErrOutOfRange, "600": ErrOutOfRange, "999": ErrOutOfRange, strings.Repeat("9", 1000): ErrOutOfRange,
		"299": ErrUnknown, "419": ErrUnknown, "509": ErrUnknown, "599": ErrUnknown,
	} {
		c, err := Find(s)
		if got := strings.TrimSpace(fmt.Sprint(err)); want == nil && (err != nil || fmt.Sprint(c.Number) != s) ||
			want != nil && !strings.HasSuffix(got, want.Error()) {
			t.Errorf("%q: %v, %v, want %v", s, c, err, want)
		}
		if err != nil && len(err.Error()) > 600 {
			t.Errorf("the error for %d bytes has %d", len(s), len(err.Error()))
		}
	}
}

// TestInTheWild: what the registry has is not wild.
func TestInTheWild(t *testing.T) {
	for n, s := range wild {
		if Lookup(n) != nil || s == "" || InTheWild(n) != s {
			t.Errorf("%d: %q", n, s)
		}
	}
	for query, want := range map[string]int{"522": 522, "error 522": 522, "HTTP/1.1 499 -": 499, "404": 0, "599x": 0, "": 0, "zzz": 0, "99 1000": 0} {
		if got := WildIn(query); got != want {
			t.Errorf("%q: %d, want %d", query, got, want)
		}
	}
	if InTheWild(421) != "" || InTheWild(299) != "" {
		t.Error("a code is called wild that is not")
	}
}
