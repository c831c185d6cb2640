#!/bin/bash
# fence: an old token is refused, whatever the store; the command's place and exit code.
. "$(dirname "$0")/lib.sh"
kind=${2-file}
git init -q store
case $kind in
file) S=file:$scratch/files ;;
flock) S="file:$scratch/files?layout=flock" ;;
git) S=git:$scratch/store ;;
git-blob) S="git:$scratch/store?layout=blob" ;;
esac
export HOLDFAST_STORE=$S

# ---- seen, admitted, refused ----
hf fence db --show
is "a fence that was never passed has seen 0" "$code $out$err" "0 0"
hf fence db --token 5
is "a first token is admitted, in silence" "$code$out$err" 0
hf fence db --show
is "and remembered" "$code $out" "0 5"
hf fence db --show --json
is "as JSON, too" "$(json '["resource"], d["token"]' "$out")" '["db", 5]'
refused 82 "holdfast: 'db' refuses token 4: it has seen 5 from *" fence db --token 4
refused 82 "holdfast: 'db' refuses token 1: *" fence db --token 1 -q
hf fence db --token 5
is "an equal one is admitted" "$code$out$err" 0
hf fence db --token 6 --json
is "a greater one, told as JSON" "$code $(json '["resource"], d["token"]' "$out")" '0 ["db", 6]'
like "which names the store" "$(json '["store"]' "$out")" '"*:*"'
refused 82 "*" fence db --token 5 --json
hf fence db --token 7 -v
like "-v says that it was admitted" "$code $err" "0 holdfast: store *'db' admits token 7"
hf fence db --show -q
is "-q does not print what was seen" "$code$out$err" 0
hf fence other --show
is "another resource has not seen it" "$out" 0
hf fence most --token 4611686018427387904
is "2^62 is a token" "$code$out$err" 0
refused 82 "*4611686018427387903: it has seen 4611686018427387904*" \
	fence most --token 4611686018427387903

# ---- a command ----
hf fence db --token 8 -- sh -c 'echo in; exit 7'
is "the command is run, and its exit code is ours" "$code $out" "7 in"
hf fence db --token 7 -- touch ran
is "with an old token it is not" "$code$out" 82
ok "not at all" test ! -e ran
hf fence db --token 8 -- sh -c 'kill -TERM $$'
is "a signal that ends it shows" "$code" 143
hf fence db --token 8 --json -- echo mine
is "only the command prints" "$code $out" "0 mine"
hf fence --token 8 db -- printf '%s,' -n --token 1 '' 'a b'
is "its arguments are its own" "$out" "-n,--token,1,,a b,"
hf fence db --token 8 -- no-such-command
is "one that is not there: 127" "$code" 127
like "and that is said" "$err" "holdfast: cannot run 'no-such-command': No such file*"
: >plain
hf fence db --token 8 -- ./plain
is "one that cannot be run: 126" "$code" 126
hf fence db --show
is "they were admitted all the same" "$out" 8

# ---- the token of run ----
hf run job -- "$holdfast" fence guarded -- sh -c 'echo "token $HOLDFAST_TOKEN"'
is "inside run the token is that of the lease" "$code $out" "0 token 1"
hf run job -- "$holdfast" fence guarded
is "also without a command" "$code$out$err" 0
hf fence guarded --show
is "each lease shows its own" "$out" 2
hf run job -- "$holdfast" fence guarded --show
is "--show shows no token, though there is one" "$code $out" "0 2"
hf run job -- env HOLDFAST_TOKEN=1 "$holdfast" fence guarded -- touch ran
is "an older one is refused, and run passes 82 on" "$code" 82
ok "before the command" test ! -e ran
hf run job -- "$holdfast" fence guarded --token 1
is "--token is stronger than the environment" "$code" 82
hf run job -- "$holdfast" fence guarded -S "file:$scratch/elsewhere" -- echo in
is "the fence may stand where the lock does not" "$code $out" "0 in"
hf fence guarded --show -S "file:$scratch/elsewhere"
like "and remembers there" "$out" "[1-9]*"

# ---- without a token nothing is run ----
refused 64 "holdfast fence: with which token? Give --token; HOLDFAST_TOKEN is not set.*; see *" \
	fence db -- touch ran
refused 64 "*with which token?*give --show*" fence db
HOLDFAST_TOKEN='' hf fence db -- touch ran
is "an empty one is none" "$code" 64
refused 64 "*--token: '' is refused: give a whole number from 1 to 4611686018427387904*" \
	fence db --token ""
for bad in 0 -1 +1 ' 1' 1x 0x10 1.5 4611686018427387905 9223372036854775808 \
	18446744073709551616 99999999999999999999999; do
	refused 64 "*--token: '$bad' is refused: give a whole number from 1*" fence db "--token=$bad"
done
HOLDFAST_TOKEN=x hf fence db -- touch ran
is "nor is a bad HOLDFAST_TOKEN passed over" "$code" 64
like "it is named" "$err" "*HOLDFAST_TOKEN: 'x' is refused*"
refused 64 "*with which token?*" fence db --even-corrupt
refused 64 "*--show only looks*" fence db --show --token 9
refused 64 "*--show only looks*" fence db --show --even-corrupt
refused 64 "*--show only looks*" fence db --show -- touch ran
refused 64 "*which resource? Give its name; see 'holdfast help fence'" fence
refused 64 "*run what?*" fence db --token 9 --
refused 64 "*'x' stands after the name: put '--' before the command*" fence db x
refused 64 "*there is no option '--ttl' here*" fence db --ttl 5s
refused 64 "*is empty*" fence ''
refused 64 "*not UTF-8*" fence $'a\xff' --token 1
refused 64 "*has 201 bytes*" fence "$(printf %201s | tr ' ' a)" --token 1
refused 64 "*memory: has seen ends with the process*" fence db --token 1 -S memory:
ok "nothing was run" test ! -e ran
hf fence db --show
is "and nothing seen" "$out" 8
long=$(printf %200s | tr ' ' a)
hf fence "$long" --token 3
is "the longest name" "$code$out$err" 0
hf fence "${long%a}b" --show
is "is not taken for another" "$out" 0
refused 82 "*" fence "$long" --token 2
hf fence --token 1 -- -n --
is "a name after -- needs its command" "$code" 64
hf fence --token 1 -- -n -- echo in
is "and may begin with a dash" "$code $out" "0 in"

# ---- no lock ----
hf list --all --json
is "no list shows a fence" "$(json '["locks"].__len__(), d["locks"][0]["name"]' "$out")" '[1, "job"]'
hf status db
like "a lock of that name is free" "$out" "db	free	*"
refused 64 "*kept for fences*" run -n holdfast:fence:db -- true
refused 64 "*kept for fences*" run -n 'holdfast:fence#x' -- true
refused 64 "*kept for fences*" force-release holdfast:fence:db --even-corrupt
refused 64 "*kept for fences*" log holdfast:fence:db --prune 1
hf cleanup --forget-after 0
is "cleanup" "$code" 0
hf cleanup --forget-after 0
hf fence db --show
is "forgets no fence" "$out" 8
refused 82 "*" fence db --token 7

# ---- what other programs see ----
case $kind in
git)
	is "the history is a branch of git" \
		"$(git -C store log -1 --format=%s refs/holdfast/locks/holdfast%3Afence%3Adb | sed 's/,[^,]*$//')" \
		"fence db, token 8"
	ok "which git finds in order" git -C store fsck --strict
	;;
git-blob)
	is "they see no lock" "$(git -C store for-each-ref refs/gitvan)" ""
	ref=refs/gitvan/locks/holdfast%3Afence%3Adb
	blob=$(echo '{"id":"theirs","acquiredAt":1,"timeout":9999999,"exclusive":true}' |
		git -C store hash-object -w --stdin)
	git -C store update-ref "$ref" "$blob"
	refused 82 "*" fence db --token 7
	hf fence db --token 9
	is "one that they put under its name does not hinder it" "$code$out$err" 0
	is "and is left to them" "$(git -C store rev-parse "$ref")" "$blob"
	refused 82 "*" fence db --token 8
	git -C store update-ref -d "$ref"
	hf fence db --show
	is "also when they take it away" "$out" 9
	;;
flock)
	ok "there is no file to flock" test -z "$(ls "$scratch/files" | grep fence)"
	;;
esac

# ---- damage ----
if [ "$kind" = file ]; then
	head -c 8192 /dev/zero | tr '\0' x >'files/holdfast%3Afence%3Adb.lock'
	refused 65 "holdfast: what 'db' has seen cannot be read, so no token is admitted: *--even-corrupt*" \
		fence db --token 100 -- touch ran
	ok "nothing is run" test ! -e ran
	refused 65 "*" fence db --show
	hf list
	is "no lock is damaged" "$code$err" 0
	hf fence db --token 20 --even-corrupt
	is "it can be replaced" "$code$out$err" 0
	refused 82 "*'db' refuses token 19: it has seen 20*" fence db --token 19
	refused 82 "*it has seen 20*" fence db --token 19 --even-corrupt
	refused 73 "*" fence db --token 1 -S file:/proc/nowhere/x
fi

done_testing
