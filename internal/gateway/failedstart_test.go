package gateway

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// Nothing shows that a gateway which could not start was there: no authority that somebody may take for one in use, no log.
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", testenv.LoopbackAny(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text := `
listeners: [{address: ADDRESS}]
sites: [{hosts: [a.localhost], tls: {issuer: local}, routes: [{path: /, respond: {}}]}]
log: {output: LOG}
`
	for name, test := range map[string]struct {
		address, log, want string
		damaged            bool // the authority is there and of no use
	}{
		"the port is taken":            {address: taken.Addr().String(), log: "new.log", want: "address already in use"},
		"the log cannot be opened":     {address: "127.0.0.1:0", log: "link.log", want: "usher.yaml: log.output: open "},
		"no certificate can be issued": {address: "127.0.0.1:0", log: "new.log", want: "root.pem", damaged: true},
		"nor is an old log removed":    {address: "127.0.0.1:0", log: "old.log", want: "root.pem", damaged: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write(t, "old.log", "a line\n")
			if err := os.Symlink("no/such/file", filepath.Join(f.dir, "link.log")); err != nil {
				t.Skip(err)
			}
			if test.damaged {
				f.write(t, "state/ca/root.pem", "no certificate")
			}
			l := f.load(t, strings.NewReplacer("ADDRESS", test.address, "LOG", test.log).Replace(text))
			before := filesBelow(t, f.dir)
			g, err := Start(t.Context(), l, Options{})
			if err == nil {
				g.Shutdown(context.Background())
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want %q", err, test.want)
			}
			if after := filesBelow(t, f.dir); !slices.Equal(after, before) {
				t.Errorf("there is %q, want what was there before: %q", after, before)
			}
		})
	}
}

func filesBelow(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
