package config_test

import (
	"bytes"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/localca"
	"github.com/usher-http/usher/internal/testca"
)

var update = flag.Bool("update", false, "write what is printed into testdata")

// today is the time of all tests: messages hold dates.
var today = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return today }

// folder is what configurations in testdata name.
var folder = sync.OnceValue(func() map[string][]byte {
	files := map[string][]byte{
		"garbage.pem":       []byte("this is no PEM\n"),
		"broken.pem":        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no DER")}),
		"broken.key":        pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("no DER")}),
		"encrypted.key":     pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")}),
		"huge.pem":          bytes.Repeat([]byte("x"), 4<<20+1),
		"empty.token":       []byte("\n"),
		"two.token":         []byte("one two\n"),
		"admin.token":       []byte("s3cret\n"),
		"public/index.html": []byte("hello\n"),
	}
	ca := must(localca.New("today's", today.AddDate(0, -1, 0)))
	other := must(localca.New("another", today.AddDate(0, -1, 0)))
	old := must(localca.New("old", today.AddDate(-20, 0, 0)))
	late := must(localca.New("late", today.AddDate(1, 0, 0)))
	files["staff-ca.pem"], files["other-ca.pem"] = ca.PEM(), other.PEM()
	files["old-ca.pem"], files["late-ca.pem"] = old.PEM(), late.PEM()
	files["both-ca.pem"] = append(append(append([]byte{}, ca.PEM()...), other.PEM()...), ca.PEM()...)
	files["both2-ca.pem"] = append(append([]byte{}, other.PEM()...), ca.PEM()...)
	day := func(n int) time.Time { return today.AddDate(0, 0, n) }
	for name, leaf := range map[string]localca.Leaf{
		"shop":   {Hosts: []string{"shop.example.com", "*.shop.example.com"}},
		"shop2":  {Hosts: []string{"shop.example.com", "*.shop.example.com"}},
		"wide":   {Hosts: []string{"*.example.com", "example.com", "192.0.2.1", "2001:db8::1"}},
		"other":  {Hosts: []string{"other.example"}},
		"old":    {Hosts: []string{"shop.example.com"}, NotBefore: day(-20), NotAfter: day(-2)},
		"late":   {Hosts: []string{"shop.example.com"}, NotBefore: day(2), NotAfter: day(20)},
		"ending": {Hosts: []string{"shop.example.com"}, NotBefore: day(-29), NotAfter: day(13)},
		"short":  {Hosts: []string{"shop.example.com"}, NotBefore: day(-2), NotAfter: day(4)},
		"last":   {Hosts: []string{"shop.example.com"}, NotBefore: day(-5), NotAfter: day(1)},
		"client": {Client: true, CommonName: "shop.example.com"},
	} {
		leaf.Now = today
		cert := must(ca.Issue(leaf))
		files[name+".pem"], files[name+".key"] = localca.CertificatePEM(cert), must(localca.KeyPEM(cert.PrivateKey))
	}
	return files
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newFolder writes the files that configurations name.
func newFolder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range folder() {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testca.Write(t, dir, "rsa", testca.New(t).ServerRSA(t, "shop.example.com"))
	return dir
}

func load(t testing.TB, dir, text string) (*config.Loaded, error) {
	t.Helper()
	path := filepath.Join(dir, "usher.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path, config.Options{Now: clock})
}

// anonymous takes the test's folder out of a message.
func anonymous(dir, text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, dir+"/usher.yaml", "usher.yaml"), dir, "DIR")
}

// golden runs each case of a txtar file: NAME.yaml is the configuration, NAME.want what is printed. A case NAME.part.yaml
// gets a good site behind its text.
func golden(t *testing.T, file string, run func(t *testing.T, dir, text string) string) int {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := newFolder(t)
	want := map[string][]byte{}
	for _, f := range archive.Files {
		want[f.Name] = f.Data
	}
	out := &txtar.Archive{Comment: archive.Comment}
	cases := 0
	for _, f := range archive.Files {
		name, ok := strings.CutSuffix(f.Name, ".yaml")
		if !ok {
			continue
		}
		cases++
		text := string(f.Data)
		if strings.HasSuffix(name, ".part") {
			text += "sites: [{hosts: [shop.example.com], tls: {issuer: local}, upstream: \"http://127.0.0.1:9000\"}]\n"
		}
		t.Run(name, func(t *testing.T) {
			got := run(t, dir, text)
			out.Files = append(out.Files, f, txtar.File{Name: name + ".want", Data: []byte(got)})
			if w := string(want[name+".want"]); got != w && !*update {
				t.Errorf("got\n%swant\n%s", got, w)
			}
		})
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return cases
}
