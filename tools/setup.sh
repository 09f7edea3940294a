#!/bin/sh
# setup.sh [PROGRAM ...]: makes this machine ready for the tests.
#
# Looks for Go, a C compiler (the race detector needs one), curl and openssl, and the programs that are named
# beside them. What is missing is installed where this is root and there is apt-get; elsewhere it is only
# named: tests that need it are skipped then. Fetches the modules that the tests need.
set -eu

if ! command -v go >/dev/null; then
	echo "setup: go is not installed; hint: https://go.dev/doc/install" >&2
	exit 1
fi

# Servers are where root's PATH alone leads.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# package_of PROGRAM: the packages of Debian and its relatives that have the program.
package_of() {
	case $1 in
	cc) echo gcc libc6-dev ;;
	apache2) echo apache2-bin ;;
	lighttpd) echo lighttpd lighttpd-mod-openssl ;;
	nghttp | h2load) echo nghttp2-client ;;
	certutil) echo libnss3-tools ;;
	perf) echo linux-perf ;;
	*) echo "$1" ;;
	esac
}

missing=
packages=
for program in cc curl openssl "$@"; do
	if ! command -v "$program" >/dev/null; then
		missing="$missing $program"
		packages="$packages $(package_of "$program")"
	fi
done

# install: both steps, since an old list of packages names files that are gone.
install() {
	# shellcheck disable=SC2086 # the list is meant to be split
	apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates $packages >/dev/null
}

# keep_still: what is installed is for tests, which start it themselves. Debian's packages start no service where this file says
# so with status 101; it goes away again with this script. One that is there already is left alone.
keep_still() {
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'rm -f $policy' EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod +x $policy
	fi
}

if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "setup: installing$packages"
		export DEBIAN_FRONTEND=noninteractive
		keep_still
		install || { sleep 5; install; }
	else
		echo "setup: not installed:$missing; tests that need them are skipped"
	fi
fi

if ! command -v cc >/dev/null && ! command -v "$(go env CC)" >/dev/null; then
	echo "setup: the race detector needs a C compiler; hint: install gcc or clang" >&2
	exit 1
fi

# Asking for the dependencies fetches them, and changes neither go.mod nor go.sum.
fetch() { go list -deps -test ./... >/dev/null; }
fetch || { sleep 5; fetch; }
