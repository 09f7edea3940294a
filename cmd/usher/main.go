// Command usher decides for every request at an HTTP edge whether its connection may carry it. `usher help` lists what it
// can do.
package main

import (
	"context"
	"os"

	"github.com/usher-http/usher/internal/cli"
)

func main() {
	err := cli.Run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	os.Exit(cli.ExitCode(err))
}
