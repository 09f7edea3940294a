package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
)

// A mistake is a change that makes a good file bad.
type mistake struct {
	name     string
	old, new string // the part of the good file, and what takes its place
	at       string // a part of the line that the message must name
	want     string // what else the message must say
}

// good has addresses that the tests choose, so that they can see that nothing listens there.
const goodFile = `listeners:
  - {name: public, address: "PUBLIC"}
  - {name: plain, address: "PLAIN", scheme: http}
admin: {address: "ADMIN"}
sites:
  - name: shop
    hosts: [shop.test]
    tls:
      certificates:
        - {certificate: shared.pem, key: shared.key}
    routes:
      - {path: /, respond: {body: "the shop\n"}}
  - name: staff
    hosts: [staff.test]
    tls:
      certificates:
        - {certificate: shared.pem, key: shared.key}
      client_auth: require
      client_ca: staff-ca.pem
    routes:
      - {path: /, respond: {body: "for staff only\n"}}
  - name: blog
    hosts: [blog.test]
    tls:
      certificates:
        - {certificate: blog.pem, key: blog.key}
    routes:
      - {path: /, respond: {body: "the blog\n"}}
log: {output: stdout}
`

var mistakes = []mistake{
	{"an unknown key", "log: {output: stdout}", "logs: {output: stdout}", "logs:", `unknown key "logs"`},
	{"a duplicate host", "hosts: [staff.test]", "hosts: [staff.test, shop.test]", "hosts: [staff.test, shop.test]", `"shop.test" already`},
	{"a wildcard in the middle", "hosts: [blog.test]", `hosts: [blog.test, "a.*.test"]`, `"a.*.test"`, "wildcard"},
	{"a key file that is missing", "key: blog.key", "key: nowhere.key", "nowhere.key", "nowhere.key"},
	{"a key of another certificate", "key: blog.key", "key: shared.key", "{certificate: blog.pem, key: shared.key}", "key"},
	{"an expired certificate", "certificate: blog.pem, key: blog.key", "certificate: old.pem, key: old.key", "old.pem", "ended on"},
	{"a certificate that does not cover its hosts", "hosts: [blog.test]", "hosts: [blog.test, other.test]", "blog.pem", `"other.test"`},
	{"a CA that is missing", "client_ca: staff-ca.pem", "client_ca: nowhere.pem", "nowhere.pem", "nowhere.pem"},
	{"a CA that is none", "client_ca: staff-ca.pem", "client_ca: nonsense.pem", "nonsense.pem", "nonsense.pem"},
	{"two catch-alls", "hosts: [blog.test]", `hosts: ["*"]`, `hosts: ["*"]`, `"*"`},
}

// placeOf returns the number of the line that has the part.
func placeOf(t testing.TB, file, part string) int {
	t.Helper()
	before, _, ok := strings.Cut(file, part)
	if !ok {
		t.Fatalf("the file has no %q", part)
	}
	return strings.Count(before, "\n") + 1
}

// freeAddresses returns addresses on which nobody listens, neither TCP nor UDP.
func freeAddresses(t testing.TB, n int) []string {
	t.Helper()
	var list []string
	for range n {
		l, err := net.Listen("tcp", testenv.LoopbackAny(t))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list
}

// TestMistakes: "Every configuration mistake gives one clear message that names file and line and leaves nothing half
// started".
func TestMistakes(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	testca.Write(t, c.dir, "old", c.ca.Expired(t, "blog.test"))
	if err := os.WriteFile(filepath.Join(c.dir, "nonsense.pem"), []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := freeAddresses(t, 3)
	fill := strings.NewReplacer("PUBLIC", at[0], "PLAIN", at[1], "ADMIN", at[2])
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			file := fill.Replace(strings.Replace(goodFile, m.old, m.new, 1))
			if m.name == "two catch-alls" {
				// Both sites need certificates, and the catch-all has any.
				file = strings.Replace(file, "hosts: [shop.test]", `hosts: [shop.test, "*"]`, 1)
			}
			message := refused(t, c.dir, file, at)
			place := fmt.Sprintf("usher.yaml:%d:", placeOf(t, file, m.at))
			if !strings.Contains(message, place) || !strings.Contains(message, m.want) {
				t.Errorf("want %s and %s in\n%s", place, m.want, message)
			}
			if n := len(placed.FindAllString(message, -1)); n != 1 {
				t.Errorf("%d messages:\n%s", n, message)
			}
		})
	}
	t.Run("the file as such is good", func(t *testing.T) {
		s := serve(t, c.dir, strings.NewReplacer("PUBLIC", "127.0.0.1:0", "PLAIN", "127.0.0.1:0", "ADMIN", "127.0.0.1:0").Replace(goodFile))
		if s.ready(t) != 200 {
			t.Error("not ready")
		}
	})
}

var placed = regexp.MustCompile(`(?m)^\S*usher\.yaml:\d+:\d+: (?:[^w]|w[^a])`) // mistakes, not warnings

// refused starts the server with a bad file, and returns what it says when it has ended.
func refused(t testing.TB, dir, file string, at []string) string {
	t.Helper()
	path := filepath.Join(dir, "usher.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	out, message, code := command(t, dir, "", testenv.UsherBinary(t), "serve", "-c", path)
	if code != 2 || out != "" {
		t.Errorf("exit %d, stdout %q", code, out)
	}
	for _, addr := range at {
		if !refuses(addr) {
			t.Errorf("somebody listens on %s", addr)
		}
	}
	return message
}

// TestPortsTaken: a port that another program has ends the start before anything serves.
func TestPortsTaken(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	names := []string{"public", "plain", "admin"}
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			at := freeAddresses(t, 3)
			taken, err := net.Listen("tcp", at[i])
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			others := append(append([]string{}, at[:i]...), at[i+1:]...)
			file := strings.NewReplacer("PUBLIC", at[0], "PLAIN", at[1], "ADMIN", at[2]).Replace(goodFile)
			message := refused(t, c.dir, file, others)
			if !strings.Contains(message, name) || !strings.Contains(message, at[i]) || !strings.Contains(message, "address already in use") {
				t.Errorf("%s", message)
			}
			if place := fmt.Sprintf("usher.yaml:%d:", placeOf(t, file, at[i])); !strings.Contains(message, place) {
				t.Errorf("want %s in\n%s", place, message)
			}
		})
	}
	t.Run("UDP", func(t *testing.T) {
		at := freeAddresses(t, 3)
		taken, err := net.ListenPacket("udp", at[0])
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		file := strings.NewReplacer("PUBLIC", at[0], "PLAIN", at[1], "ADMIN", at[2]).Replace(goodFile)
		message := refused(t, c.dir, file, at)
		if !strings.Contains(message, at[0]) || !strings.Contains(message, "HTTP/3") {
			t.Errorf("%s", message)
		}
	})
}
