#!/bin/bash
# status, list, log, stores: what is shown to a pipe and as JSON, and --watch.
. "$(dirname "$0")/lib.sh"
export HOLDFAST_STORE=file:$scratch/store

# One line of text after another, from a command that goes on: wait for line N.
line() { # FILE N
	local i
	for ((i = 0; i < 100; i++)); do
		[ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ] && break
		sleep 0.05
	done
	sed -n "$2p" "$1"
}

# ---- nothing yet ----
hf list
is "an empty list prints nothing" "$code$out$err" 0
hf list --json
is "an empty list as JSON" "$(json '["locks"]' "$out")" "[]"
hf status x
is "a name never used is free" "$code $out" "0 x	free	-	-	-	-	-	-	-	-	-"
hf status x --json
is "as JSON says" "$(json '["state"], d["token"], d["holders"]' "$out")" '["free", 0, []]'
hf status x -q
is "status -q of a free lock" "$code$out$err" 0
hf log x
is "it has no history" "$code$out$err" 0
hf log x --json
is "nor as JSON" "$(json '["events"]' "$out")" "[]"

hf wait x
is "wait for it is over" "$code$out$err" 0
hf cleanup -q
is "there is nothing to clean up" "$code$out$err" 0
hf release x --owner me
is "nor to release" "$code" 77
ok "and no folder was made by any of these" test ! -e store
for command in 'status x' list 'log x' 'wait x' cleanup; do
	# shellcheck disable=SC2086 # two words are meant
	hf $command -S file:absent/locks
	is "$command: what is above the folder must be there" "$code" 73
done
git init -q repo
git -C repo commit -q --allow-empty -m one
for store in git:repo 'git:repo?layout=blob' 'file:flock?layout=flock' ''; do
	before=$(find . ! -name '.out' ! -name '.err' | sort)
	for command in 'status x' list 'log x' 'wait x' 'status x --json' 'list --all'; do
		# shellcheck disable=SC2086 # two words are meant
		HOLDFAST_STORE=$store hf $command
		is "${store:-the default store}: $command" "$code" 0
	done
	is "made nothing" "$(find . ! -name '.out' ! -name '.err' | sort)" "$before"
done
HOLDFAST_STORE='' hf acquire x
is "the default store is made with the folders above it" "$code" 0
is "for nobody else" "$(stat -c %a "$HOME/.local" "$HOME/.local/state/holdfast/locks" | uniq)" 700

# ---- pipes get tabs, all columns, no colour ----
hf acquire b --owner bob --ttl 1h
id=${out#* }
hf acquire a -s --limit 3 --owner alice
hf acquire a -s --limit 3 --owner anna
hf acquire free --owner f
hf release free --owner f
hf list
is "list is sorted, and leaves free locks out" "$(cut -f1,2,3,4,5 <<<"$out")" \
	"a	held	alice	shared/3	1
a	held	anna	shared/3	2
b	held	bob	exclusive	1"
is "every line has 11 columns" "$(awk -F'\t' '{ print NF }' <<<"$out" | sort -u)" 11
is "the id is the tenth" "$(awk -F'\t' '$1 == "b" { print $10 }' <<<"$out")" "$id"
ok "age and time left are seconds" awk -F'\t' \
	'$1 == "b" && ($6 < 0 || $6 > 60 || $7 < 3500 || $7 > 3600) { exit 1 }' "$scratch/.out"
ok "there is no escape in it" bash -c "! grep -q $'\e' '$scratch/.out'"
hf list --all
like "list --all shows free ones" "$out" "*free	free	-	-	1	*"
hf status b
is "status prints the same row" "$(cut -f1-5 <<<"$out")" "b	held	bob	exclusive	1"
hf status b -q
is "status -q of a held lock" "$code$out$err" 1
hf status b -q -E 7
is "with -E" "$code" 7
hf status b
is "without -q it is 0" "$code" 0

# ---- JSON ----
hf list --json
ok "list --json is one document" python3 -m json.tool "$scratch/.out"
is "on one line" "$(wc -l <"$scratch/.out")" 1
is "sorted, too" "$(json '["locks"][0]["name"], d["locks"][1]["name"]' "$out")" '["a", "b"]'
is "it names the store" "$(json '["store"]' "$out")" "\"file:$(realpath store)\""
hf status a --json
is "both holders are there" \
	"$(json '["holders"][0]["owner"], d["holders"][1]["owner"]' "$out")" '["alice", "anna"]'
is "with exactly the fields of docs/json.md" "$(json '["holders"][0].keys().__len__()' "$out")" \
	"$(sed -n '/^## A holder/,/^## /p' "$source_root/docs/json.md" | grep -c '^| `')"
is "and so has the lock" "$(json '.keys().__len__()' "$out")" \
	"$(sed -n '/^## A lock/,/^## /p' "$source_root/docs/json.md" | grep -c '^| `')"

# ---- names ----
for name in "a b" "a/b" "ünïcödé ✓" '..' '.hidden' 'q"uote' "'" '%41' '$(touch pwned)' 'a\b' '*'; do
	hf acquire -n --ttl 1h -- "$name"
	hf list
	got=$(cut -f1 <<<"$out" | grep -cxF -- "$name")
	hf list --json
	is "a lock named <$name> is listed as it is" \
		"$got $(json "['locks'].__len__() > 2 and [l['name'] for l in d['locks']].count($(python3 -c 'import sys; print(repr(sys.argv[1]))' "$name"))" "$out")" "1 1"
	hf force-release -- "$name"
done
ok "no name was run" test ! -e pwned

# ---- log ----
for _ in 1 2 3; do
	hf acquire c --owner carol
	hf release c --owner carol
done
hf log c
is "log is newest first" "$(cut -f2,3,4 <<<"$out" | tr '\n\t' ';,')" \
	"release,3,carol;acquire,3,carol;release,2,carol;acquire,2,carol;release,1,carol;acquire,1,carol;"
like "a line has the time in UTC" "$out" "20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-9:.]*Z	release	*"
is "and 9 columns" "$(awk -F'\t' '{ print NF }' <<<"$out" | sort -u)" 9
for option in -2 '-N 2' -N2 '--limit 2' --limit=2; do
	# shellcheck disable=SC2086 # two words are meant
	hf log c $option
	is "log $option" "$(wc -l <<<"$out")" 2
done
for option in -0 '-N 0'; do
	# shellcheck disable=SC2086 # two words are meant
	hf log c $option
	is "log $option is all of it" "$(wc -l <<<"$out")" 6
done
hf log --help
is "as its help says" "$(tr -s " \n" "  " <<<"$out" | grep -c "newest N events (or -5 for -N 5); 0, also -0: all")" 1
hf log c --json -1
is "log as JSON" "$(json '["events"][0]["event"], d["name"]' "$out")" '["release", "c"]'
hf log c --prune 2
is "log --prune prints nothing" "$code$out$err" 0
hf log c
ok "and keeps at least so many" test "$(wc -l <<<"$out")" -ge 2 -a "$(wc -l <<<"$out")" -lt 7

# ---- watch ----
"$holdfast" status w --watch --json >watch.json 2>&1 &
watcher=$!
like "status --watch shows the state as it is" "$(line watch.json 1)" '{"name":"w","state":"free"*'
hf acquire w --owner walt
like "and each change" "$(line watch.json 2)" '{"name":"w","state":"held"*'
hf extend w --owner walt
hf release w --owner walt
like "but no renewal" "$(line watch.json 3)" '{"name":"w","state":"free"*'
hf acquire w --ttl 1500ms
line watch.json 4 >/dev/null
like "also that a lease ran out" "$(line watch.json 5)" '{"name":"w","state":"free"*'
kill "$watcher"
wait "$watcher" 2>/dev/null
is "it ends when it is told to" "$?" 143
ok "each line is JSON" python3 -c 'import json, sys; [json.loads(l) for l in open("watch.json")]'

"$holdfast" list --watch >watch.txt 2>&1 &
watcher=$!
line watch.txt 3 >/dev/null
hf acquire zz --owner zoe
like "list --watch shows a new lock" "$(line watch.txt 8)" "zz	held	zoe	*"
is "after an empty line" "$(sed -n 4p watch.txt)" ""
kill "$watcher"
wait "$watcher" 2>/dev/null

# ---- stores ----
hf stores
like "stores lists file" "$out" "*file	built in	*"
hf stores --json
ok "as JSON" python3 -m json.tool "$scratch/.out"
hf stores -S file:x
is "it takes no store" "$code" 64

# ---- damage is an answer, never "free" ----
hf acquire torn --owner t
head -c 8192 /dev/zero | tr '\0' x >store/torn.lock
hf status torn
is "status of a damaged record: 65" "$code" 65
like "it is not free" "$out" "torn	damaged	*"
like "and why is told" "$err" "holdfast: *torn*"
hf status torn --json
is "as JSON says" "$(json '["state"], d["token"], d["holders"]' "$out")" '["damaged", null, []]'
ok "with the reason" test "$(json '["problem"]' "$out")" != null
hf status torn -q
is "status -q: 65" "$code$out" 65
hf list
is "list: 65" "$code" 65
like "with the others" "$out" "*b	held	bob*torn	damaged	*"
hf wait torn
is "wait: 65" "$code" 65
hf acquire torn -n
is "acquire: 65" "$code" 65
hf cleanup
is "cleanup: 65" "$code" 65
like "which leaves it alone, and says so" "$err" "*1 records cannot be read and were left alone*"
hf force-release torn
is "force-release: 65" "$code" 65
like "with the way out" "$err" "*--even-corrupt replaces*"
hf force-release torn --even-corrupt
is "which is one" "$code" 0
hf acquire torn -n
is "and then it can be had" "$code" 0
ok "with a greater token" test "${out% *}" -gt 1

# ---- verbose ----
hf status b -v
like "-v tells the store and where it was named" "$err" "holdfast: store file:*store (from HOLDFAST_STORE)"

done_testing
