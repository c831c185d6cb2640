#!/bin/bash
# Time namespaces: other clocks under the same kernel.
. "$(dirname "$0")/lib.sh"
export HOLDFAST_STORE=file:$scratch/store

# elsewhere SECONDS CMD...: with a boot clock that is ahead by so much
elsewhere() {
	unshare --user --map-root-user --time --boottime "$1" --fork --kill-child "${@:2}"
}

if ! elsewhere 1 true 2>/dev/null; then
	echo "1..0 # SKIP no time namespaces for us"
	exit 0
fi

# ---- two namespaces of one offset are one clock ----
try elsewhere 1000 "$holdfast" acquire x --ttl 500ms
is "acquired under another clock" "$code" 0
elsewhere 1000 sleep 0.7 &
try elsewhere 1000 sleep 0.6
try elsewhere 1000 "$holdfast" acquire -n x --ttl 1h
is "its time is over for whoever has that clock" "$code" 0
wait

# ---- a namespace that got the number of one that ended is another clock ----
sleep 1
taken=
for _ in {1..30}; do
	try elsewhere 9000000 "$holdfast" acquire -n x
	[ "$code" = 1 ] || taken=$code$out
done
is "nobody takes a lease by another clock" "$taken" ""
hf status -q x
is "it is held" "$code" 1

# ---- a start time is told by the reader's clock ----
elsewhere 100000 "$holdfast" run --ttl 1h y -- sleep 2 &
for _ in {1..100}; do
	hf status -q y
	[ "$code" = 0 ] || break
	sleep 0.05
done
rm -f "$HOLDFAST_RUNTIME_DIR"/live-*
hf acquire -n y
is "a living process of another clock is not taken for a dead one" "$code" 1
wait
done_testing
