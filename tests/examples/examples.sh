#!/usr/bin/env bash
# examples.sh HOLDFAST POLL LIBUV: the examples do what they say, beside the command.
poll=$(realpath "$2")
libuv=$(realpath "$3")
. "$(dirname "$0")/../cli/lib.sh"
export HOLDFAST_STORE=file:$scratch/locks

# wait_for WHAT...: up to 10 s
wait_for() {
	local i
	for i in {1..200}; do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}
waits() { "$holdfast" status --json "$1" | grep -q '"waiters": *\[ *{'; }
nobody_waits() { ! waits "$1"; }
held() { ! "$holdfast" run -n "$1" -- true 2>/dev/null; }

both() { # NAME PROGRAM
	local name=$1 program=$2 pid waiting tokens

	try "$program" "$HOLDFAST_STORE" 10 a b c
	is "$name: all are had" "$code" 0
	tokens=$(grep -c ': token [0-9]*$' <<<"$out")
	is "$name: and each is told" "$tokens" 3

	# a is held: b is not waited for behind it.
	mkfifo "$name.hold" "$name.stdin"
	"$holdfast" run a -- cat "$name.hold" &
	pid=$!
	exec 8>"$name.hold"
	wait_for held a
	"$program" "$HOLDFAST_STORE" 10 a b <"$name.stdin" >"$name.out" 2>&1 8>&- &
	waiting=$!
	exec 9>"$name.stdin"
	ok "$name: the free one is had" wait_for grep -q '^b: token' "$name.out"
	ok "$name: the held one is waited for" wait_for waits a
	exec 8>&-
	wait $pid
	ok "$name: and had when it is released" wait_for grep -q '^a: token' "$name.out"
	wait $waiting
	is "$name: exit code" $? 0
	exec 9>&-
}

given_up() { # NAME PROGRAM GIVE_UP...
	local name=$1 program=$2 pid waiting
	shift 2

	rm -f "$name.hold" "$name.stdin"
	mkfifo "$name.hold" "$name.stdin"
	"$holdfast" run a -- cat "$name.hold" &
	pid=$!
	exec 8>"$name.hold"
	wait_for held a
	"$program" "$HOLDFAST_STORE" 10 a <"$name.stdin" >"$name.out" 2>&1 8>&- &
	waiting=$!
	exec 9>"$name.stdin"
	wait_for waits a
	"$@" $waiting
	wait $waiting
	is "$name: giving up, exit code" $? 1
	like "$name: is told" "$(cat "$name.out")" '*a: given up*'
	ok "$name: leaves nobody in the line" nobody_waits a
	exec 8>&- 9>&-
	wait $pid
}

line() { echo enough >&9; }
term() { kill -TERM "$1"; }

both poll "$poll"
given_up poll "$poll" line
both libuv "$libuv"
given_up libuv "$libuv" term
done_testing
