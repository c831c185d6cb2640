#!/bin/bash
# acquire, release, extend, force-release, wait: leases without a process.
. "$(dirname "$0")/lib.sh"
use_store "${2-file}"

# ---- acquire prints what a shell can read ----
read -r token id < <("$holdfast" acquire x --owner alice)
is "the first token is 1" "$token" 1
like "the id is 32 hex digits" "$id" "[0-9a-f]*"
is "of them" "${#id}" 32
hf status x --json
is "it is held" "$(json '["state"]' "$out")" '"held"'
is "by the owner given" "$(json '["holders"][0]["owner"]' "$out")" '"alice"'
is "for 5 minutes unless told otherwise" "$(json '["holders"][0]["ttl_ms"]' "$out")" 300000
is "bound to no process" "$(json '["holders"][0]["process_bound"]' "$out")" false
is "its id is the one printed" "$(json '["holders"][0]["id"]' "$out")" "\"$id\""

hf acquire x -n
is "another is told that it is held" "$code" 1
like "by whom" "$err" "holdfast: *'x'*alice*"

# ---- a wrong release ----
hf release x --owner bob
is "release by another owner: 77" "$code" 77
like "saying whose it is" "$err" "holdfast: lock 'x' is owned by alice, not bob"
hf release x --id 00000000000000000000000000000000
is "release by another id: 77" "$code" 77
hf extend x --owner bob
is "extend by another owner: 77" "$code" 77
hf release y --owner alice
is "release of what nobody holds: 77" "$code" 77
hf status -q x
is "none of it released anything" "$code" 1

# ---- extend ----
hf extend x --id "$id" --ttl 2h
is "extend by id" "$code$out$err" 0
hf status x --json
is "the ttl is the new one" "$(json '["holders"][0]["ttl_ms"]' "$out")" 7200000
hf extend x --owner alice --json
is "extend as JSON keeps the ttl" "$(json '["ttl_ms"]' "$out")" null
is "and tells the token" "$(json '["token"]' "$out")" 1

# ---- release ----
hf release x --id "$id"
is "release by id prints nothing" "$code$out$err" 0
hf status -q x
is "and it is free" "$code" 0
hf release x --id "$id"
is "a second release is refused" "$code" 77

# ---- by fingerprint, never in argv ----
echo "s3cret of mine" >secret
hf acquire x --fingerprint-file secret --json
is "acquire as JSON" "$(json '["name"]' "$out")" '"x"'
is "the token grew" "$(json '["token"]' "$out")" 2
is "the ttl stands there" "$(json '["ttl_ms"]' "$out")" 300000
is "and the mode" "$(json '["mode"]' "$out")" '"exclusive"'
like "and the store" "$(json '["store"]' "$out")" '"*:*/store*"'
hf status x --json
[[ $out != *s3cret* ]]
is "no fingerprint is shown" $? 0
HOLDFAST_FINGERPRINT=wrong hf release x
is "a wrong fingerprint: 77" "$code" 77
[[ $err != *wrong* && $err != *s3cret* ]]
is "and none is in the message" $? 0
HOLDFAST_FINGERPRINT="s3cret of mine" hf release x
is "release by HOLDFAST_FINGERPRINT" "$code" 0
hf acquire x --fingerprint visible
HOLDFAST_FINGERPRINT=wrong hf release x --fingerprint visible
is "a flag is stronger than HOLDFAST_FINGERPRINT" "$code" 0
hf acquire x --owner carol
HOLDFAST_FINGERPRINT=wrong hf release x --owner carol
is "also one of another kind" "$code" 0
hf status x --json
[[ $out != *visible* ]]
is "a fingerprint in argv does not show in the status" $? 0

# ---- ttl 0 must be meant ----
hf acquire x --ttl 0
is "--ttl 0 is allowed" "$code" 0
id=${out#* }
hf status x
like "and has no time left to tell" "$out" "x	held	*	exclusive	*	*	-	*"
hf release x --id "$id"
HOLDFAST_TTL=0 hf acquire x
is "HOLDFAST_TTL=0 is not" "$code" 64
like "it says why" "$err" "*HOLDFAST_TTL says a ttl of 0: nothing but a release*"
HOLDFAST_TTL=0 hf acquire x --ttl 1m
is "a flag settles it" "$code" 0
hf force-release x

# ---- expiry ----
hf acquire x --ttl 200ms
hf acquire x -w 5
is "an expired lease is free for the next" "$code" 0
hf force-release x
hf acquire x --ttl 100ms --lock-delay 400ms
sleep 0.15
hf status x
like "a lock delay closes it" "$out" "x	closed	*"
hf status x --json
is "as JSON says" "$(json '["state"]' "$out")" '"closed"'
hf acquire x -w 5
is "for its time" "$code" 0

# ---- force-release ----
hf force-release x
is "force-release tells how many" "$code $out" "0 1 lease ended"
hf log x -1 --json
like "the history tells who did it, unless told otherwise user@host" \
	"$(json '["events"][0]["owner"]' "$out")" '"*@*"'
hf force-release x
is "none are no error" "$code $out" "0 0 leases ended"
hf acquire x -s --owner a
hf acquire x -s --owner b
hf force-release x --json --owner admin
is "as JSON" "$(json '["ended"]' "$out")" 2
hf log x -1 --json
is "the history names who did it" "$(json '["events"][0]["owner"]' "$out")" '"admin"'
like "and who was robbed" "$(json '["events"][0]["ended"]' "$out")" '"forced:*,forced:*"'

# ---- strategies ----
hf acquire x --owner old
hf acquire x -n --strategy force_acquire --owner new
is "force_acquire takes it" "$code" 0
hf status x --json
is "and has it" "$(json '["holders"][0]["owner"]' "$out")" '"new"'
hf acquire x --strategy retry --max-retries 2 --backoff 1ms..5ms
is "retry gives up" "$code" 1
hf force-release x
hf acquire x --ttl 1h
sleep 0.1
hf acquire x -w 5 --strategy steal-stale --stale-after 50ms
is "steal_stale takes what is not renewed" "$code" 0
hf force-release x

# ---- shared ----
hf acquire x -s --limit 2
hf acquire x -s --limit 2 -n
is "two may share a limit of two" "$code" 0
hf acquire x -s --limit 2 -n
is "a third may not" "$code" 1
hf acquire x -s --limit 3 -n
is "another limit is refused" "$code" 64
hf force-release x

# ---- info ----
hf acquire x --info '{"ticket": 7, "by": "ä"}'
hf status x --json
is "info is shown as it was given" "$(json '["holders"][0]["info"]' "$out")" \
	'{"ticket": 7, "by": "\u00e4"}'
hf force-release x

# ---- wait ----
hf wait x
is "wait for a free lock" "$code$out$err" 0
hf wait never-used -n
is "a name never used is free" "$code" 0
hf acquire x --ttl 1h --owner alice
id=${out#* }
hf wait x -n
is "wait -n for a held one" "$code" 1
like "says who holds it" "$err" "holdfast: lock 'x' is held by alice"
hf wait x -w 0.2 -E 5
is "-E is its exit code, too" "$code" 5
(sleep 0.3 && "$holdfast" release x --id "$id") &
hf wait x -w 10
is "wait ends with the release" "$code" 0
wait
hf acquire x --ttl 300ms
hf wait x -w 10
is "wait ends with the lease" "$code" 0
hf wait x -q -n
is "wait takes nothing" "$code" 0

# ---- cleanup ----
hf acquire gone --ttl 100ms
sleep 0.15
hf cleanup
like "cleanup ends what is over" "$code $out" "0 * locks looked at: 2 leases ended, *"
hf cleanup --json --forget-after never
is "cleanup as JSON" "$(json '["ended"]' "$out")" 0
hf cleanup -q
is "cleanup -q" "$code$out" 0

# ---- what cannot be ----
export HOLDFAST_STORE=
hf acquire x -S "file:/proc/nowhere/x"
ok "a folder that cannot be made: 73 or 71" test "$code" = 73 -o "$code" = 71
like "and it is named" "$err" "holdfast: *"
hf acquire x -S "file:$scratch/flock?layout=flock"
is "a lock held by a descriptor would end with the command" "$code" 64
like "it says what to do instead" "$err" "*use 'holdfast run x -- COMMAND'*"
hf acquire x -S "$S?frob=1"
is "an option that the store does not know" "$code" 64
like "is named" "$err" "holdfast: *frob*"
hf list -S "file:/etc/passwd"
ok "a file is no folder: 73 or 71" test "$code" = 73 -o "$code" = 71
hf acquire x -S memory:
is "memory: would end with the command" "$code" 64

done_testing
