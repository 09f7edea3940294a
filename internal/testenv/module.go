package testenv

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What tests alone need of other modules is no dependency of this one: go.mod does not have it. Go checks what it fetches against the
// public database of checksums.

// cached returns where a program of another module is kept, and whether it is there.
func cached(t testing.TB, name, version string) (path string, there bool) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(cache, "usher", name+"-"+version, name)
	_, err = os.Stat(path)
	return path, err == nil
}

// install builds a program of another module into the folder of path. Where it cannot be built, the test is skipped, or fails when
// [RequireVar] asks for the program's name.
func install(t testing.TB, path, pkg, version string) {
	t.Helper()
	cmd := exec.Command("go", "install", "-trimpath", pkg+"@"+version)
	cmd.Env = append(os.Environ(), "GOBIN="+filepath.Dir(path), "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, filepath.Base(path), "%s@%s cannot be built here: %v\n%s", pkg, version, err, out)
	}
}

// missing skips the test, or fails it when [RequireVar] asks for name.
func missing(t testing.TB, name, format string, args ...any) {
	t.Helper()
	if required(os.Getenv(RequireVar), name) {
		t.Fatalf(format, args...)
	}
	t.Skipf(format+" ("+RequireVar+"="+name+" makes this a failure)", args...)
}

// A validator of JSON Schema, drafts 4 to 2020-12; version 5.1.1 is the last one whose module has the program.
const (
	jvPackage = "github.com/santhosh-tekuri/jsonschema/v5/cmd/jv"
	jvVersion = "v5.1.1"
)

// JV returns the path of a program that validates JSON documents, `jv SCHEMA DOCUMENT...`. Where it cannot be built, the test is skipped,
// or fails when [RequireVar] asks for "jv".
func JV(t testing.TB) string {
	t.Helper()
	path, there := cached(t, "jv", jvVersion)
	if !there {
		install(t, path, jvPackage, jvVersion)
	}
	return path
}

// OASIS publishes the schema of SARIF 2.1.0 (errata 01); gosec's module has it for its own tests.
const (
	sarifModule = "github.com/securego/gosec/v2@v2.30.0"
	sarifFile   = "report/sarif/testdata/sarif-schema-2.1.0.json"
)

// SARIFSchema returns the path of the schema of SARIF 2.1.0. Where it cannot be fetched, the test is skipped, or fails when [RequireVar]
// asks for "sarif-schema".
func SARIFSchema(t testing.TB) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", sarifModule)
	cmd.Dir = t.TempDir() // in no module
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.Output()
	var module struct{ Dir, Error string }
	if parsed := json.Unmarshal(out, &module); err == nil {
		err = parsed
	}
	if err != nil || module.Dir == "" {
		missing(t, "sarif-schema", "%s cannot be fetched: %v %s", sarifModule, err, module.Error)
	}
	return filepath.Join(module.Dir, filepath.FromSlash(sarifFile))
}
