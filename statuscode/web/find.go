package web

import (
	"errors"
	"strings"

	"github.com/usher-http/usher/statuscode"
)

var errNoClass = errors.New("the classes are 1 to 5")

// classOf reads a class: "4", "4xx"; empty is all of them, 0.
func classOf(s string) (statuscode.Class, error) {
	s = strings.TrimSuffix(strings.ToLower(s), "xx")
	switch {
	case s == "":
		return 0, nil
	case len(s) == 1 && s >= "1" && s <= "5":
		return statuscode.Class(s[0] - '0'), nil
	}
	return 0, errNoClass
}

// find returns the codes of a class (0: of all) that a query finds (empty: all of them).
func find(query string, class statuscode.Class) []*statuscode.Code {
	list := statuscode.All()
	if strings.TrimSpace(query) != "" {
		list = statuscode.Search(query)
	}
	var chosen []*statuscode.Code
	for _, c := range list {
		if class == 0 || c.Class() == class {
			chosen = append(chosen, c)
		}
	}
	return chosen
}
