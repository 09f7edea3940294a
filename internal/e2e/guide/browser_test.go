package guide

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestOpen: a page that is opened while another one still loads is waited for, whatever comes of the other one.
func TestOpen(t *testing.T) {
	loading := make(chan struct{}, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/first": // its load ends while the second one is asked for
			fmt.Fprint(w, `<!doctype html><title>first</title><img src="part">`)
		case "/part":
			loading <- struct{}{}
			time.Sleep(300 * time.Millisecond)
		case "/second":
			time.Sleep(time.Second)
			fmt.Fprint(w, `<!doctype html><title>second</title><img src="rest">`)
		case "/rest":
			time.Sleep(300 * time.Millisecond)
		}
	}))
	defer srv.Close()
	p := newBrowser(t).newPage(desk)
	p.call("Page.navigate", map[string]any{"url": srv.URL + "/first"}, nil)
	<-loading
	p.open(srv.URL + "/second")
	if got := p.str(`document.title + " " + document.readyState`); got != "second complete" {
		t.Errorf("what is there is the %s", got)
	}
}
