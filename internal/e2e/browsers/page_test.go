package browsers

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// A step is a request that the page makes with fetch.
type step struct {
	Method string
	Site   string // the first label of its host
	Warm   bool   // asked again and again until it is answered over HTTP/3; not part of what is counted
}

func get(site string) step  { return step{Method: "GET", Site: site} }
func post(site string) step { return step{Method: "POST", Site: site} }
func warm(site string) step { return step{Method: "GET", Site: site, Warm: true} }

// A page stands behind every site: it makes its requests one after the other and reports what it saw of them.
type page struct {
	steps   []step
	opened  atomic.Bool
	reports chan []string
}

func newPage(steps []step) *page { return &page{steps: steps, reports: make(chan []string, 4)} }

const (
	pagePath   = "/page"
	stepPath   = "/step"
	warmPath   = "/warm"
	reportPath = "/report"
)

// upstream starts a plaintext server for the page.
func (p *page) upstream(t testing.TB) string {
	t.Helper()
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return srv.URL
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case pagePath:
		p.opened.Store(true)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := document.Execute(w, p.requests(r.Host)); err != nil {
			panic(err)
		}
	case stepPath, warmPath:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		// Requests with credentials share connections with the page; those without have pools of their own.
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Timing-Allow-Origin", "*")
		io.WriteString(w, answer(r.Method, siteOf(r.Host), string(body)))
	case reportPath:
		var saw []string
		if err := json.NewDecoder(r.Body).Decode(&saw); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.reports <- saw
	default:
		http.NotFound(w, r)
	}
}

// answer is the body of the answer to a step; the page reports it after the status.
func answer(method, site, body string) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", method, site, body))
}

// siteOf is the first label of a host.
func siteOf(host string) string {
	site, _, _ := strings.Cut(host, ".")
	return site
}

const (
	// Both browsers know that names below localhost are loopback. The sites have a common parent there: right below
	// localhost, Chromium has one connection for the page and another one for what the page fetches from other sites.
	zone     = ".shop.localhost"
	question = "are you open?"
)

type request struct {
	Method, URL, Body string
	Warm              bool
}

// requests are the steps for the script. The page's own host says which port it is.
func (p *page) requests(host string) []request {
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		panic(err)
	}
	var list []request
	for _, s := range p.steps {
		path := stepPath
		if s.Warm {
			path = warmPath
		}
		r := request{Method: s.Method, URL: "https://" + s.Site + zone + ":" + port + path, Warm: s.Warm}
		if s.Method == "POST" {
			r.Body = question
		}
		list = append(list, r)
	}
	return list
}

var document = template.Must(template.New("page").Parse(`<!doctype html>
<title>a witness</title>
<link rel="icon" href="data:,">
<script>
async function ask(r) {
	performance.clearResourceTimings();
	const w = await fetch(r.URL, {
		method: r.Method, body: r.Body || undefined, mode: "cors", credentials: "include", cache: "no-store",
	});
	const text = await w.text();
	await new Promise(done => setTimeout(done, 10));
	const entries = performance.getEntriesByName(r.URL);
	return {text: w.status + " " + text, protocol: entries.length ? entries[0].nextHopProtocol : ""};
}
async function witness(r) {
	try {
		let w = await ask(r);
		for (let i = 0; r.Warm && w.protocol != "h3" && i < 50; i++) {
			await new Promise(done => setTimeout(done, 100));
			w = await ask(r);
		}
		return r.Warm ? "warm " + w.protocol : w.text;
	} catch (e) {
		return "error";
	}
}
async function all() {
	const saw = [];
	for (const r of {{.}}) {
		saw.push(await witness(r));
	}
	await fetch("/report", {method: "POST", body: JSON.stringify(saw)});
}
all();
</script>
`))
