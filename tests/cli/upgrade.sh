#!/bin/bash
# Upgrades that wait: how they look, whom they keep out, and which of two gives up.
upgrader=$(realpath "$2")
. "$(dirname "$0")/lib.sh"
export HOLDFAST_STORE=file:$scratch/store

# Until the command's output is like the pattern.
until_like() {
	local pattern=$1
	shift
	for _ in {1..500}; do
		try "$@"
		# shellcheck disable=SC2053 # a pattern is meant
		[[ $out == $pattern ]] && return
		sleep 0.02
	done
}

# begin N: the N-th upgrader shares `deploy`; its input is descriptor N.
begin() {
	mkfifo "in$1"
	"$upgrader" deploy <"in$1" >"out$1" 2>&1 &
	pids[$1]=$!
	eval "exec $1>in$1"
	until_like shared cat "out$1"
}

# ---- one ----
begin 3
read -r _ id < <("$holdfast" acquire -s deploy)
echo >&3
until_like '*waiting*exclusive*' "$holdfast" status deploy
like "it is seen to wait" "$out" "*held*shared*held*shared*waiting*exclusive*"
hf why deploy
like "why says what for" "$out" "*and waits to upgrade it*"
like "by its place in the line too" "$out" "*1. *to upgrade what it holds*"
hf status deploy --json
is "and JSON" "$(json '["waiters"][0]["upgrades"]' "$out")" true
is "under its own hold" "$(json '["waiters"][0]["under"][0]["name"]' "$out")" '"deploy"'
hf why deploy --json
is "that is a step of the chain" "$(json '["chain"][0]["waits_for"]' "$out")" '"deploy"'
hf run -n -s deploy -- true
is "nobody new comes in" "$code" 1
hf release deploy --id "$id"
is "the other one lets go" "$code$out$err" 0
until_like '*exclusive' cat out3
is "then it has it alone" "$out" "shared
exclusive"
hf status deploy --json
is "as the lease it had" "$(json '["holders"][0]["mode"]' "$out")" '"exclusive"'
is "nobody waits" "$(json '["waiters"]' "$out")" '[]'
hf log deploy
like "the history says so" "$out" "*upgrade*"
exec 3>&-
wait "${pids[3]}"
is "and all is well" $? 0

# ---- two ----
begin 4
begin 5
echo >&4
until_like '*waiting*' "$holdfast" status deploy
echo >&5
wait "${pids[5]}"
is "of two the younger wait gives up" $? 81
like "and says why" "$(cat out5)" "*'deploy'*deadlock*waits to upgrade 'deploy'*"
until_like '*exclusive' cat out4
is "the other one has it" "$out" "shared
exclusive"
exec 4>&- 5>&-
wait "${pids[4]}"
is "to its end" $? 0
hf status -q deploy
is "it is free" "$code" 0

done_testing
