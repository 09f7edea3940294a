package guide

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// A view is how a page is looked at.
type view struct {
	width, height int
	dark          bool
	noScript      bool
}

// The usual views.
var (
	desk  = view{width: 1280, height: 900}
	night = view{width: 1280, height: 900, dark: true}
	phone = view{width: 390, height: 844}
	plain = view{width: 1280, height: 900, noScript: true}
)

// A page is a tab.
type page struct {
	*browser
	target, session string
	loaded          chan string // the loads that have ended, by the browser's names for them
	at              string      // the load that was waited for last

	mu       sync.Mutex
	trouble  []string // console errors, exceptions, violations of the policy
	requests []string // addresses that were asked for
}

func (p *page) call(method string, params, result any) {
	p.t.Helper()
	p.browser.call(p.session, method, params, result)
}

// event notes what the page does. It is called by the one who reads, so it must not call.
func (p *page) event(a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch a.Method {
	case "Page.lifecycleEvent":
		var e struct{ Name, LoaderID string }
		if json.Unmarshal(a.Params, &e) != nil || e.Name != "load" {
			return
		}
		select {
		case p.loaded <- e.LoaderID:
		default:
		}
	case "Runtime.exceptionThrown":
		p.trouble = append(p.trouble, "exception: "+string(a.Params))
	case "Runtime.consoleAPICalled":
		p.trouble = append(p.trouble, "console: "+string(a.Params))
	case "Log.entryAdded":
		p.trouble = append(p.trouble, "log: "+string(a.Params))
	case "Network.requestWillBeSent":
		var e struct{ Request struct{ URL string } }
		if json.Unmarshal(a.Params, &e) == nil {
			p.requests = append(p.requests, e.Request.URL)
		}
	}
}

// check fails the test if something went wrong on the page, or anybody but the guide was asked for something; it then forgets.
func (p *page) check(base string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.trouble {
		p.t.Errorf("%.500s", s)
	}
	for _, r := range p.requests {
		if !strings.HasPrefix(r, base) && r != "about:blank" {
			p.t.Errorf("the page asks for %s", r)
		}
	}
	p.trouble, p.requests = nil, nil
}

// forgive forgets what went wrong so far: a page with status 404 is an error to the console too.
func (p *page) forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = nil
}

// look changes the view.
func (p *page) look(v view) {
	p.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride",
		map[string]any{"width": v.width, "height": v.height, "deviceScaleFactor": 1, "mobile": v.width < 600}, nil)
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	p.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": v.noScript}, nil)
}

// open loads an address and waits until all of it is there.
func (p *page) open(url string) {
	p.t.Helper()
	p.drain()
	var result struct{ ErrorText, LoaderID string }
	p.call("Page.navigate", map[string]any{"url": url}, &result)
	if result.ErrorText != "" {
		p.t.Fatalf("%s: %s", url, result.ErrorText)
	}
	// What was there before may have ended its load meanwhile.
	p.waitFor(url, func(load string) bool { return load == result.LoaderID })
}

func (p *page) drain() {
	for {
		select {
		case <-p.loaded:
		default:
			return
		}
	}
}

// wait waits for the load of another page than the one that was waited for last.
func (p *page) wait(what string) {
	p.t.Helper()
	p.waitFor(what, func(load string) bool { return load != p.at })
}

func (p *page) waitFor(what string, wanted func(load string) bool) {
	p.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case load := <-p.loaded:
			if wanted(load) {
				p.at = load
				return
			}
		case <-deadline:
			p.t.Fatalf("%s: not loaded within %v", what, patience)
		}
	}
}

// eval evaluates an expression, whatever the page's policy, and reads its value into result. Promises are waited for.
func (p *page) eval(expression string, result any) {
	p.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	if r.ExceptionDetails != nil {
		p.t.Fatalf("%.200s: %s", expression, r.ExceptionDetails)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(r.Result.Value, result); err != nil {
		p.t.Fatalf("%.200s: %v: %s", expression, err, r.Result.Value)
	}
}

// str evaluates an expression that is a string.
func (p *page) str(expression string) (s string) {
	p.t.Helper()
	p.eval(fmt.Sprintf("String(%s)", expression), &s)
	return s
}

// until waits for an expression to be true.
func (p *page) until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var ok bool
		if p.eval("Boolean("+expression+")", &ok); ok {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("never true: %s", expression)
		}
	}
}

// codes are the keys that are pressed.
var keyCodes = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "Backspace": 8}

// press presses keys, one after the other.
func (p *page) press(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		event := map[string]any{"type": "keyDown", "key": k, "code": k, "windowsVirtualKeyCode": keyCodes[k]}
		if k == "Enter" {
			event["text"] = "\r"
		}
		p.call("Input.dispatchKeyEvent", event, nil)
		p.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": k, "code": k, "windowsVirtualKeyCode": keyCodes[k]}, nil)
	}
}

// write types text.
func (p *page) write(text string) {
	p.t.Helper()
	for _, r := range text {
		p.call("Input.dispatchKeyEvent", map[string]any{"type": "char", "text": string(r)}, nil)
	}
}

// focus presses Tab until an element that fits a selector has the focus, as somebody without a mouse has to.
func (p *page) focus(selector string) {
	p.t.Helper()
	for range 200 {
		p.press("Tab")
		var there bool
		if p.eval(fmt.Sprintf("Boolean(document.activeElement && document.activeElement.matches(%q))", selector), &there); there {
			p.checkFocus(selector)
			return
		}
	}
	p.t.Fatalf("Tab never comes to %s", selector)
}

// checkFocus: whoever has the focus can be seen to have it.
func (p *page) checkFocus(selector string) {
	p.t.Helper()
	if style := p.str("getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth"); style != "solid3px" {
		p.t.Errorf("the focus on %s cannot be seen: %s", selector, style)
	}
}

// shoot takes a picture of the window.
func (p *page) shoot(path string) {
	p.t.Helper()
	var r struct{ Data string }
	p.call("Page.captureScreenshot", map[string]any{"format": "png"}, &r)
	data, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
