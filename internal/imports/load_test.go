package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// load reads every package of the module in root. Imports come from the files themselves, whatever their
// build tags: that sees other systems too, and lets `go test` notice when its cached result is out of date.
// What is linked comes from the go command.
func load(root, module string) ([]pkg, error) {
	folders, err := walk(root)
	if err != nil {
		return nil, err
	}
	links, err := listLinks(root)
	if err != nil {
		return nil, err
	}
	var pkgs []pkg
	for _, folder := range folders {
		p, err := parse(root, folder)
		if err != nil {
			return nil, err
		}
		path := module
		if folder != "" {
			path += "/" + folder
		}
		p.deps = links.closure(path, p.imports)
		pkgs = append(pkgs, p)
	}
	return pkgs, nil
}

// walk returns the folders with Go files, as `go list ./...` understands that.
func walk(root string) ([]string, error) {
	var folders []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if rel == "." {
				return nil
			}
			name := entry.Name()
			if name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_' {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir // a module of its own
			}
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(rel))
		if folder == "." {
			folder = ""
		}
		if isGo(entry.Name()) && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
		return nil
	})
	return folders, err
}

func isGo(name string) bool {
	return strings.HasSuffix(name, ".go") && name[0] != '.' && name[0] != '_'
}

// parse reads the Go files of one package.
func parse(root, folder string) (pkg, error) {
	p := pkg{folder: folder}
	dir := filepath.Join(root, filepath.FromSlash(folder))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return p, err
	}
	for _, entry := range entries {
		if entry.IsDir() || !isGo(entry.Name()) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		source, err := os.ReadFile(path)
		if err != nil {
			return p, err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
		if err != nil {
			return p, err
		}
		paths, err := importPaths(file)
		if err != nil {
			return p, err
		}
		if strings.HasSuffix(entry.Name(), "_test.go") {
			p.testImports = append(p.testImports, paths...)
			continue
		}
		p.imports = append(p.imports, paths...)
		p.inspect(files, file)
		if entry.Name() == "main.go" {
			p.mainLines = bytes.Count(bytes.TrimRight(source, "\n"), []byte("\n")) + 1
		}
	}
	p.imports, p.testImports = unique(p.imports), unique(p.testImports)
	return p, nil
}

func unique(paths []string) []string {
	slices.Sort(paths)
	return slices.Compact(paths)
}

func importPaths(file *ast.File) ([]string, error) {
	var paths []string
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// clockNames are the functions of package time that ask for the time or wait for it.
var clockNames = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// inspect notes where a file starts goroutines and where it uses the clock.
func (p *pkg) inspect(files *token.FileSet, file *ast.File) {
	clock := timeName(file)
	place := func(node ast.Node) string {
		at := files.Position(node.Pos())
		return fmt.Sprintf("%s:%d", filepath.Base(at.Filename), at.Line)
	}
	if clock == "." {
		// Its names stand bare then, and telling them from others is not worth it.
		p.clockLines = append(p.clockLines, place(file)+` (import . "time")`)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			p.goLines = append(p.goLines, place(node))
		case *ast.SelectorExpr:
			if x, ok := node.X.(*ast.Ident); ok && clock != "" && x.Name == clock && slices.Contains(clockNames, node.Sel.Name) {
				p.clockLines = append(p.clockLines, place(node))
			}
		}
		return true
	})
}

// timeName returns the name under which a file knows package time, "" for not at all.
func timeName(file *ast.File) string {
	for _, spec := range file.Imports {
		if spec.Path.Value != `"time"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return "time"
	}
	return ""
}

// listed is a package as `go list` tells of it.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// linkGraph is all packages that the module's packages need, by import path.
type linkGraph map[string]listed

func listLinks(root string) (linkGraph, error) {
	// With -e a package that does not build is the build's business, and the others are checked all the same.
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Standard,Imports", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	graph := linkGraph{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return graph, nil
		} else if err != nil {
			return nil, err
		}
		graph[p.ImportPath] = p
	}
}

// closure returns all that a package links, beginning with the imports of its files and those that the go
// command sees. An import for another system, of which the go command says nothing, is there by its path.
func (g linkGraph) closure(path string, imports []string) []dep {
	seen := map[string]bool{path: true}
	var deps []dep
	for todo := slices.Concat(imports, g[path].Imports); len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[next] {
			continue
		}
		seen[next] = true
		deps = append(deps, dep{next, g.standard(next)})
		todo = append(todo, g[next].Imports...)
	}
	slices.SortFunc(deps, func(a, b dep) int { return strings.Compare(a.path, b.path) })
	return deps
}

// standard tells what the standard library is, also for packages that the go command did not list: paths of
// other modules have a dot in their first element.
func (g linkGraph) standard(path string) bool {
	if p, ok := g[path]; ok {
		return p.Standard
	}
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
