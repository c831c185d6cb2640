#!/usr/bin/env bash
# flock(1) and file:DIR?layout=flock exclude each other on one file, both ways.
. "$(dirname "$0")/../cli/lib.sh"

dir=$scratch/locks
mkdir "$dir"
store="file:$dir?layout=flock"

wait_for() { # FILE
	local i
	for i in $(seq 400); do
		[ -e "$1" ] && return 0
		sleep 0.02
	done
	return 1
}

# 1. flock(1) holds, we stay out.
flock "$dir/deploy" sh -c "touch $scratch/in; exec sleep 30" &
holder=$!
wait_for "$scratch/in"
hf run -S "$store" -n deploy -- true
is 'flock(1) holds it exclusively: run -n answers 1' "$code" 1
hf run -S "$store" -w 0.3 -E 9 deploy -- true
is '... and run -w gives up in time, with -E' "$code" 9
hf run -S "$store" -n -s deploy -- true
is '... and shared is refused too' "$code" 1
hf status -S "$store" --json deploy
like '... and status shows a foreign holder' "$out" '*"foreign"*true*'
pkill -P "$holder" 2>/dev/null
wait "$holder" 2>/dev/null
hf run -S "$store" -n deploy -- true
is 'flock(1) has ended: it is free' "$code" 0

# 2. We hold, flock(1) stays out.
rm -f "$scratch/in"
"$holdfast" run -S "$store" deploy -- sh -c "touch $scratch/in; sleep 1" &
ours=$!
wait_for "$scratch/in"
try flock -n "$dir/deploy" true
is 'we hold it exclusively: flock -n answers 1' "$code" 1
try flock -n -s "$dir/deploy" true
is '... and flock -n -s too' "$code" 1
try flock -w 10 "$dir/deploy" true
is '... and flock -w gets it after us' "$code" 0
wait "$ours"
is '... which does not disturb our command' "$?" 0

# 3. Shared with shared.
rm -f "$scratch/in"
flock -s "$dir/shared" sh -c "touch $scratch/in; exec sleep 30" &
holder=$!
wait_for "$scratch/in"
hf run -S "$store" -n -s shared -- true
is 'flock -s and run -s go together' "$code" 0
hf run -S "$store" -n shared -- true
is '... and keep an exclusive run out' "$code" 1
pkill -P "$holder" 2>/dev/null
wait "$holder" 2>/dev/null

# 4. A race of both kinds on one counter file that only a holder may touch.
echo 0 >"$scratch/counter"
bump="n=\$(cat $scratch/counter); echo \$((n + 1)) >$scratch/counter"
for i in 1 2 3 4; do
	(for j in $(seq 25); do flock "$dir/race" sh -c "$bump"; done) &
	(for j in $(seq 25); do "$holdfast" run -S "$store" race -- sh -c "$bump"; done) &
done
wait
is 'eight racing shells, half of them with flock(1), lose no update' \
	"$(cat "$scratch/counter")" 200

# 5. What a detached lease would need is not there.
hf acquire -S "$store" x
is 'acquire is refused' "$code" 64
like '... and says what to use instead' "$err" '*run*'

done_testing
