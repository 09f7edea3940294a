package web

import (
	"net/http"
	"strings"

	"github.com/usher-http/usher/statuscode"
)

// listObject is what /api/codes answers.
type listObject struct {
	Codes []statuscode.Brief `json:"codes"`
}

// serveAPI answers below /api/: codes, which takes q and class like the list of the pages, and codes/421.
func (g *guide) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	const json = "application/json"
	if path == "codes" {
		q := r.URL.Query()
		class, err := classOf(q.Get("class"))
		if err != nil {
			problem(w, r, http.StatusBadRequest, err.Error())
			return
		}
		send(w, r, json, encode(briefs(find(q.Get("q"), class))))
		return
	}
	number, ok := strings.CutPrefix(path, "codes/")
	if !ok {
		problem(w, r, http.StatusNotFound, "There is api/codes, and api/codes/421 for each code.")
		return
	}
	c, err := statuscode.Find(number)
	if err != nil {
		problem(w, r, statusOf(err), err.Error()+".")
		return
	}
	send(w, r, json, encode(c.Object()))
}

func briefs(codes []*statuscode.Code) listObject {
	list := listObject{Codes: []statuscode.Brief{}}
	for _, c := range codes {
		list.Codes = append(list.Codes, c.Brief())
	}
	return list
}

func nameOf(status int) string {
	if c := statuscode.Lookup(status); c != nil {
		return c.Name
	}
	return ""
}
