#!/bin/bash
# Without room: a limit of file size (ulimit -f), a full disk.
. "$(dirname "$0")/lib.sh"

# The command, allowed files of so many KiB. All that it says is in $out, as
# $err is a file.
limited() { # KIB ARGS...
	try bash -c '(ulimit -f "$1"; exec "$0" "${@:2}") 2>&1 | cat; exit "${PIPESTATUS[0]}"' \
		"$holdfast" "$@"
}

# Files that a finished command has no use for.
litter() { # FOLDER
	find "$1" \( -name '*.broken-*' -o -name 'tmp_obj_*' -o -name '*.lock' -path '*/refs/*' \) \
		2>/dev/null
}

# ---- ulimit -f: an error like others, not our end ----
for store in 'file:limited' 'git:limited' 'git:limited?layout=blob'; do
	rm -rf limited
	[[ $store == file:* ]] || git init -q limited
	for kib in 0 4; do
		limited "$kib" acquire -S "$store" x
		ok "$store, ulimit -f $kib: refused" test "$code" = 71 -o "$code" = 73
		like "saying why" "$out" "holdfast: *File too large*ulimit -f*"
		is "and nothing is left behind" "$(litter limited)" ""
	done
	hf acquire -S "$store" x --owner me --ttl 1h
	is "$store: without a limit it is had" "$code" 0
	limited 0 acquire -S "$store" x -n
	is "$store: that it is held can be seen with a limit" "$code" 1
	limited 0 release -S "$store" x --owner me
	ok "$store: a release is done or refused" test "$code" = 0 -o "$code" = 71
	is "which leaves nothing behind" "$(litter limited)" ""
done
limited 0 run -S file:limited3 -n x -- true
is "run: without a lease, nothing is run" "$code" 71
try bash -c 'ulimit -f 0; "$0" help >help.txt' "$holdfast"
is "an output that may not grow is told of" "$code" 71

done_testing
