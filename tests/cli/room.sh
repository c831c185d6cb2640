#!/bin/bash
# Without room: a limit of file size (ulimit -f), a full disk.
#
# The full disk is a small tmpfs. Mounted for this process alone, it goes with it.
if [ -z "${ROOM_MOUNTS-}" ]; then
	for unshare in 'unshare -m' 'unshare -rm'; do
		$unshare true 2>/dev/null && ROOM_MOUNTS=yes exec $unshare bash "$0" "$@"
	done
	ROOM_MOUNTS=no
fi
. "$(dirname "$0")/lib.sh"

# The command, allowed files of so many KiB. All that it says is in $out, as
# $err is a file. The thread sanitizer writes one to TMPDIR before main().
limited() { # KIB ARGS...
	try env TMPDIR=/nonexistent \
		bash -c '(ulimit -f "$1"; exec "$0" "${@:2}") 2>&1 | cat; exit "${PIPESTATUS[0]}"' \
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
try env TMPDIR=/nonexistent bash -c 'ulimit -f 0; "$0" help >help.txt' "$holdfast"
is "an output that may not grow is told of" "$code" 71

# ---- a full disk: what was taken can be given back, and nothing is taken ----
mkdir disk
if [ "$ROOM_MOUNTS" = no ] || ! mount -t tmpfs -o size=16m room disk 2>/dev/null; then
	tests=$((tests + 1))
	echo "ok $tests - a full disk # SKIP no file system can be mounted here"
	done_testing
fi
trap 'cd /; umount "$scratch/disk"; rm -rf "$scratch"' EXIT
git init -q disk/repo
long=$(printf %190s | tr ' ' o)
stores='file:disk/locks git:disk/repo git:disk/repo?layout=blob'
for store in $stores; do
	# Of different length, as a log may end anywhere in its last block.
	for n in 1 2 3 4 5 6 7 8 9; do
		for ((i = 0; i < n; i++)); do
			"$holdfast" acquire -S "$store" "lock$n" --owner "$long" >/dev/null
			"$holdfast" release -S "$store" "lock$n" --owner "$long"
		done
		"$holdfast" acquire -S "$store" "lock$n" --owner "$long" --ttl 1h >/dev/null
	done
	"$holdfast" acquire -S "$store" shared -s --owner a --ttl 1h >/dev/null
	"$holdfast" acquire -S "$store" shared -s --owner b --ttl 1h >/dev/null
done
dd if=/dev/zero of=disk/fill bs=4k 2>/dev/null
for store in $stores; do
	hf acquire -S "$store" another
	is "$store: a full disk refuses a new lock" "$code" 71
	like "saying why" "$err" "holdfast: *No space left on device*"
	for n in 1 2 3 4 5 6 7 8 9; do
		hf release -S "$store" "lock$n" --owner "$long"
		is "$store: lock$n is given back" "$code$out" 0
	done
	hf release -S "$store" shared --owner a
	if [[ $store == *blob ]]; then
		# Neighbours are to see who is left: that takes an object.
		is "$store: of a shared one the last holder only" "$code$out" 71
		like "and is told what to do" "$err" "*until its ttl is over: make room, and release*"
		hf release -S "$store" shared --owner b
	else
		is "$store: a part of a shared one, too" "$code$out" 0
		hf release -S "$store" shared --owner b
		is "and the last" "$code$out" 0
		hf list -S "$store"
		is "all are free" "$code$out$err" 0
	fi
	hf acquire -S "$store" lock1 -n
	is "but not to be had" "$code" 71
	hf log -S "$store" lock4 -1
	like "the history has the release" "$out" "*	release	5	*"
	is "nothing is left behind" "$(find disk -name '*.broken-*' -o -name 'tmp_obj_*')" ""
done
rm disk/fill
for store in $stores; do
	if [[ $store == *blob ]]; then
		hf release -S "$store" shared --owner a
		hf release -S "$store" shared --owner b
		is "$store: with room again, the shared one is given back" "$code" 0
	fi
	hf acquire -S "$store" shared --owner c -n
	is "$store: with room again it can be had" "$code ${out% *}" "0 3"
	hf log -S "$store" shared
	is "and no event is lost" "$(cut -f2 <<<"$out" | tr '\n' ' ')" \
		"acquire release release acquire acquire "
done
try git -C disk/repo log --format=%s refs/holdfast/locks/shared
is "nor in git's" "$(wc -l <<<"$out")" 5
try git -C disk/repo fsck
is "which is whole" "$code" 0

done_testing
