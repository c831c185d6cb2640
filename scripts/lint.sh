#!/bin/sh
# Every check that needs no running program: clang-format, clang-tidy, gcc's analyzer.
# Exits 1 if any of them has something to say.
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=$(nproc)
bad=0

say() { echo "== $*"; }
set_up() { # FOLDER OPTION...
	folder=$1
	shift
	if [ -e "$folder/build.ninja" ]; then
		meson configure "$folder" "$@"
	else
		meson setup "$folder" "$@" >"$folder.log" 2>&1 || { cat "$folder.log"; exit 1; }
		rm -f "$folder.log"
	fi
}

say "clang-format"
git ls-files '*.c' '*.h' '*.cc' | xargs -r clang-format --dry-run -Werror || bad=1

say "clang-tidy"
set_up build-lint -Dtests=enabled
git ls-files 'src/*.c' | xargs -r -n 4 -P "$jobs" clang-tidy --quiet -p build-lint \
	2>/dev/null || bad=1

say "gcc -fanalyzer"
# Left out is what gcc 12 gets wrong: structs copied whole, lists linked into others. The
# sanitizers in `make check` look for both.
set_up build-analyze -Dtests=disabled "-Dc_args=-fanalyzer -Wno-analyzer-malloc-leak \
	-Wno-analyzer-use-of-uninitialized-value"
ninja -C build-analyze -j "$jobs" --quiet || bad=1

[ $bad = 0 ] && say "nothing to say"
exit $bad
