#!/bin/sh
# The Debian packages that holdfast needs, and whether they are here.
#
#	scripts/deps.sh [--check] GROUP...
#
# Groups: build, test, lint, bench. Installs what is missing with apt-get (with
# sudo if this is not root). With --check installs nothing: names what is missing
# and exits 1. Silent when nothing is. Needs no terminal.
#
# A package counts as there when what we use of it is there, wherever it came from.
set -eu

check=no
[ "${1-}" = --check ] && check=yes && shift
[ $# -gt 0 ] || { echo "usage: scripts/deps.sh [--check] build|test|lint|bench..." >&2; exit 64; }

has() { command -v "$1" >/dev/null 2>&1; }
lib() { has pkg-config && pkg-config --exists "$1"; }
header() { [ -e "/usr/include/$1" ]; }
python_module() { /usr/bin/python3 -c "import $1" 2>/dev/null; }

missing=
need() { # PACKAGE PROBE...
	package=$1
	shift
	"$@" || missing="$missing $package"
}

need_build() {
	need make has make
	need gcc has gcc
	need libc6-dev header stdio.h
	need meson has meson
	need ninja-build has ninja
	need pkg-config has pkg-config
	need git has git
	need libgit2-dev lib libgit2
	need libjansson-dev lib jansson
	need zlib1g-dev lib zlib
}

need_test() {
	need_build
	need g++ has g++
	need libcmocka-dev lib cmocka
	need libuv1-dev lib libuv
	need clang-format has clang-format
	need binutils has nm
	need groff-base has groff
	need util-linux has flock
	need tmux has tmux
	need procps has pgrep
}

need_lint() {
	need_build
	need clang has clang
	need clang-format has clang-format
	need clang-tidy has clang-tidy
	need libcmocka-dev lib cmocka
	need libuv1-dev lib libuv
}

need_bench() {
	need_build
	need libcmocka-dev lib cmocka
	need python3-filelock python_module filelock
	need nodejs has node
	need npm has npm
}

for group in "$@"; do
	case $group in
	build | test | lint | bench) "need_$group" ;;
	*) echo "scripts/deps.sh: no group '$group': build, test, lint or bench" >&2; exit 64 ;;
	esac
done

# shellcheck disable=SC2086
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
missing=${missing% }
[ -n "$missing" ] || exit 0

if [ $check = yes ]; then
	echo "holdfast: missing Debian packages: $missing" >&2
	echo "holdfast: 'make deps' installs them, or: apt-get install $missing" >&2
	exit 1
fi
if ! has apt-get; then
	echo "holdfast: missing (by their Debian names): $missing" >&2
	echo "holdfast: there is no apt-get here; install them by other means" >&2
	exit 1
fi

as_root=
if [ "$(id -u)" != 0 ]; then
	has sudo || {
		echo "holdfast: as root, run: apt-get install $missing" >&2
		exit 1
	}
	as_root=sudo
fi

apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }
# A fresh container has no package lists.
# shellcheck disable=SC2086
if ! apt-cache show $missing >/dev/null 2>&1; then
	echo "holdfast: apt-get update"
	apt update </dev/null
fi
echo "holdfast: apt-get install $missing"
# shellcheck disable=SC2086
apt install -y --no-install-recommends $missing </dev/null >/dev/null || {
	# The lists may be older than the mirror.
	echo "holdfast: apt-get update, and once more"
	apt update </dev/null
	apt install -y --no-install-recommends $missing </dev/null >/dev/null
}
