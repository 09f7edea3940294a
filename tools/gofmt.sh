#!/bin/sh
# gofmt.sh: fails when a Go file of this tree is not formatted, and names it.
set -eu
files=$(gofmt -l .)
if [ -n "$files" ]; then
	printf 'gofmt: not formatted; hint: gofmt -w .\n%s\n' "$files" >&2
	exit 1
fi
