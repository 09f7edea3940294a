package config

import (
	"path/filepath"
	"reflect"
	"time"

	"github.com/usher-http/usher/authority"
)

// Load reads and checks the configuration file. The error is [Errors]. Load keeps no file open and changes nothing.
func Load(path string, opt Options) (*Loaded, error) {
	data, err := readFile(path, maxFile)
	if err != nil {
		return nil, Errors{{File: path, Message: "cannot read the configuration: " + err.Error()}}
	}
	return Parse(path, data, opt)
}

// Parse is Load for the content of a file that was read already. Paths in it are relative to the folder of path.
func Parse(path string, data []byte, opt Options) (*Loaded, error) {
	r := newReporter(path)
	root := r.document(data)
	if root == nil {
		return nil, r.err()
	}
	k := &checker{
		reporter:  r,
		dir:       filepath.Dir(path),
		now:       time.Now,
		root:      &cursor{node: root},
		file:      new(File),
		materials: materials{},
	}
	if opt.Now != nil {
		k.now = opt.Now
	}
	k.file.defaults()
	d := decoder{reporter: r}
	d.structure(k.root, reflect.ValueOf(k.file).Elem())
	if d.aliased > maxAliased {
		return nil, r.err() // the rest was not read
	}
	k.decoded = !r.failed()
	k.file.complete()
	return k.run(path)
}

// A checker turns what is written into what is served, and reports what cannot be.
type checker struct {
	*reporter
	dir       string
	now       func() time.Time
	root      *cursor
	file      *File
	decoded   bool // every value could be read. Otherwise a name that is missing may only be unreadable
	materials materials
	listeners map[string]*Listener // by name
	sites     []*Site
	siteAt    map[*Site]*cursor
	order     map[*Site]int // in the file
}

func (k *checker) run(path string) (*Loaded, error) {
	l := &Loaded{
		Path:            path,
		File:            k.file,
		UnknownNotFound: k.file.UnknownHost == 404,
		DefaultSite:     k.file.DefaultSite,
	}
	k.general(l)
	l.Listeners = k.checkListeners()
	l.Sites = k.checkSites()
	k.checkDefaultSite()
	l.Log = k.checkLog()
	l.Timeouts = k.checkTimeouts()
	k.checkACME()
	l.Admin = k.checkAdmin(l.Listeners)
	l.State = k.checkState()
	if k.failed() {
		return nil, k.err()
	}
	k.findHazards()
	l.Hazards = k.warnings()
	return l, nil
}

// general checks the words at the top of the file.
func (k *checker) general(l *Loaded) {
	k.oneOf(k.root.key("mode"), k.file.Mode, "enforce", "observe")
	if k.file.Mode == "observe" {
		l.Mode = authority.Observe
	}
	if n := k.file.UnknownHost; n != 421 && n != 404 {
		k.fail(k.root.key("unknown_host"), "", "unknown_host must be 421 or 404, not %d", n)
	}
}

// oneOf reports a word that is none of those that are known.
func (k *checker) oneOf(c *cursor, word string, known ...string) bool {
	for _, w := range known {
		if w == word {
			return true
		}
	}
	k.fail(c, didYouMean(word, known), "%s must be %s, not %q", c.label(), alternatives(known), word)
	return false
}

// resolve returns a path of the file as the system takes it.
func (k *checker) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(k.dir, path)
}

// where is the hint for a path that leads nowhere.
func (k *checker) where(path string) string {
	if filepath.IsAbs(path) {
		return ""
	}
	leads := k.resolve(path)
	if whole, err := filepath.Abs(leads); err == nil {
		leads = whole // the configuration may have been named relative to wherever this runs
	}
	return "paths are relative to the configuration file; this one leads to " + leads
}
