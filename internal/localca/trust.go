package localca

import (
	_ "embed"
	"strings"
	"text/template"
)

// The texts are data: one file a system, {{.}} is the quoted path of the root.
var (
	//go:embed trust/linux.txt
	trustLinux string
	//go:embed trust/darwin.txt
	trustDarwin string
	//go:embed trust/windows.txt
	trustWindows string
	//go:embed trust/other.txt
	trustOther string
	//go:embed trust/programs.txt
	trustPrograms string
	//go:embed trust/programs-windows.txt
	trustProgramsWindows string
)

// TrustInstructions returns, for people to read, how to make a machine with this operating system (as in
// runtime.GOOS) trust the root certificate in the file rootPath, and how to undo that. A path from / makes the
// commands work in every folder.
func TrustInstructions(goos, rootPath string) string {
	system, programs, path := trustOther, trustPrograms, shellQuote(rootPath)
	switch goos {
	case "linux":
		system = trustLinux
	case "darwin":
		system = trustDarwin
	case "windows":
		system, programs, path = trustWindows, trustProgramsWindows, powershellQuote(rootPath)
	}
	var out strings.Builder
	// The texts are compiled in and a strings.Builder never fails: an error here is a broken text.
	if err := template.Must(template.New(goos).Parse(system+"\n"+programs)).Execute(&out, path); err != nil {
		panic(err)
	}
	return out.String()
}

// shellQuote quotes for POSIX shells, where needed.
func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%"
	if s != "" && strings.Trim(s, plain) == "" && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// powershellQuote quotes for PowerShell.
func powershellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
