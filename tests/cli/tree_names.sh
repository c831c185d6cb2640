#!/bin/bash
# --tree: names that are paths, in run, acquire, release, extend and what shows them.
. "$(dirname "$0")/lib.sh"
use_store "${2-file}"

# ---- what is shown ----
read -r token id < <("$holdfast" acquire --tree repo/docs/api)
is "the token is that of the name itself" "$token" 1
hf status repo/docs/api --json
is "it is exclusive" "$(json '["holders"][0]["mode"]' "$out")" '"exclusive"'
for name in repo repo/docs; do
	hf status $name --json
	is "on $name there is an intention" "$(json '["holders"][0]["mode"]' "$out")" '"intent-exclusive"'
	is "of the same id" "$(json '["holders"][0]["id"]' "$out")" "\"$id\""
done
hf list
like "list shows it" "$out" "*intent-exclusive*"
hf log repo
like "and the history" "$out" "*acquire*intent-exclusive*"
hf why repo
like "why says that it is held below" "$out" "'repo' is held below it by *"

# ---- who is excluded ----
hf run -n --tree repo -- true
is "the whole is not to be had" "$code" 1
like "and is said to be held" "$err" "holdfast: *'repo' is held*"
hf run -n --tree -s repo/docs -- true
is "nor shared, nor the part between" "$code" 1
hf run -n --tree repo/docs/api/v1 -- true
is "nor what is below" "$code" 1
hf run -n --tree repo/docs/man -- echo in
is "what is beside is" "$code $out" "0 in"
hf run -n repo -- true
is "a plain hold of the whole is excluded too" "$code" 1
hf run -n repo/docs/api/v1 -- true
is "a plain hold takes no notice of what is above it" "$code" 0

# ---- by the id, as a whole ----
hf extend repo/docs/api --id "$id" --ttl 2h
is "extend" "$code$out$err" 0
hf status repo --json
is "extends what is above" "$(json '["holders"][0]["ttl_ms"]' "$out")" 7200000
hf release repo/docs/api --id "$id"
is "release" "$code$out$err" 0
for name in repo repo/docs repo/docs/api; do
	hf status -q $name
	is "leaves $name free" "$code" 0
done
hf acquire --tree -s repo/docs --json
is "shared is told" "$(json '["mode"]' "$out")" '"shared"'
hf run -n --tree -s repo -- true
is "and goes together with who shares the whole" "$code" 0
hf force-release repo/docs
hf status -q repo
is "nothing stays above what was forced away" "$code" 0

# ---- inside each other ----
cat >inside <<'END'
"$0" run -n --tree repo/src -- echo beside
"$0" run -n --tree repo/docs/api -- echo below
"$0" run -n --tree repo/docs -- echo itself
"$0" run --tree repo -- echo whole 2>&1; echo $?
"$0" run --no-inherit --tree repo/docs/api -- echo other 2>&1; echo $?
env -u HOLDFAST_LOCKS "$0" run --tree repo/docs/api -- echo stripped 2>&1; echo $?
END
hf run --tree repo/docs -- sh -c "$(cat inside)" "$holdfast"
like "what is beside, below and itself is had" "$out" "beside*below*itself*"
like "the whole is a deadlock" "$out" "*deadlock: lock 'repo' is held*take the whole first*81*"
is "so are three in all" "$(grep -c '^81$' <<<"$out")" 3
hf run --tree -s repo -- "$holdfast" run --tree repo/docs -- true
is "exclusive inside shared is refused" "$code" 64
like "and why" "$err" "holdfast: lock 'repo' is held (shared) by what this stands under*"
hf run --tree -s repo/docs -- "$holdfast" run --tree repo/src -- echo beside
is "beside what is shared it is not" "$code $out" "0 beside"
hf run --tree repo/docs -- "$holdfast" acquire --tree repo/docs/api
is "acquire joins what is above it" "$code" 0
hf run -n --tree repo -- true
is "and outlives it" "$code" 1
id=${out#* }
hf list
id=$(awk '$1 == "repo/docs/api" { print $(NF - 1) }' <<<"$out")
hf release repo/docs/api --id "$id"
hf status -q repo
is "until it is released" "$code" 0

# ---- several, and loss ----
hf run --tree repo/docs repo/src repo/docs/api -- echo all
is "several of one tree" "$code $out" "0 all"
hf run --tree repo/docs --ttl 500ms -- sh -c '"$0" force-release repo >&2; sleep 20' "$holdfast"
is "lost with what is above" "$code" 80
like "which is told" "$err" "*lock 'repo/docs' was lost*'force-release'*"
refused 64 "holdfast: 'a//b' is no name in a tree*" acquire --tree a//b
refused 64 "holdfast: '../b' is no name in a tree*" acquire --tree ../b
hf help tree
like "help tells" "$out" "*--tree*repo/docs*"
if [ "${2-file}" = file ]; then
	refused 64 "holdfast: *flock*" run -S "file:$scratch/flock?layout=flock" --tree a/b -- true
fi
done_testing
