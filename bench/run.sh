#!/bin/sh
# Ours and the peers in turn, in one run: `make bench`. README.md: how to read it.
#
#	bench/run.sh [BUILD]
#
# Installs what is missing (Debian packages by scripts/deps.sh, proper-lockfile from
# npm into a scratch folder that is removed again). HF_BENCH_SCALE is a percentage of
# all counts, TMPDIR where the scratch folder is made: what file system it stands on
# matters. Exits 1 if something is wrong; a missed target is only printed.
set -eu
top=$(dirname "$(dirname "$(realpath "$0")")")
build=$(realpath "${1:-$top/build}")
[ -x "$build/bench/bench-spawn" ] || { echo "bench: nothing built in $build: run make first" >&2; exit 1; }
"$top/scripts/deps.sh" build bench

scratch=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
npm install --prefix "$scratch/npm" --silent --no-audit --no-fund --no-save \
	proper-lockfile@4.1.2 </dev/null ||
	{ echo "bench: npm cannot install proper-lockfile" >&2; exit 1; }

# Nothing of the reader's own configuration takes part.
unset GIT_DIR GIT_WORK_TREE HOLDFAST_STORE
mkdir -m 700 "$scratch/runtime"
export HOME="$scratch" GIT_CONFIG_NOSYSTEM=1
export XDG_STATE_HOME="$scratch/state" HOLDFAST_RUNTIME_DIR="$scratch/runtime"
/usr/bin/python3 "$top/bench/compare.py" "$build" "$scratch"
