#!/bin/sh
# fuzz.sh: runs every fuzz target of the module, one after the other, FUZZTIME each (default 30s).
set -eu

# `go test -list` prints the names of a package's targets, then a line "ok PACKAGE TIME".
list=$(go test -list '^Fuzz' ./...) || { echo "$list" >&2; exit 1; }
targets=$(echo "$list" | awk '
	/^Fuzz/ { names[++n] = $1 }
	/^ok/   { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
if [ -z "$targets" ]; then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
echo "$targets" | while read -r package target; do
	echo "fuzz: $package $target"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" "$package" </dev/null
done
