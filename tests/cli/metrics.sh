#!/bin/bash
# metrics: what the command has done, as text, JSON and for Prometheus.
. "$(dirname "$0")/lib.sh"
export HOLDFAST_STORE=file:$scratch/store
export XDG_STATE_HOME=$scratch/state
# It lingers a second at exit otherwise.
export TSAN_OPTIONS="${TSAN_OPTIONS-} atexit_sleep_ms=0"
file=$XDG_STATE_HOME/holdfast/metrics-1

# counts NAME FIELD...: of one lock, separated by blanks.
counts() {
	"$holdfast" metrics --json "$1" | python3 -c '
import json, sys
d = json.load(sys.stdin)["all"]
print(*[d[f.split(".")[0]][f.split(".")[1]] if "." in f else d[f] for f in sys.argv[1:]])' "${@:2}"
}

# A process that holds a lock until it is ended, once that is counted.
hold() { # NAME
	local i
	"$holdfast" run "$1" -- sleep 60 2>/dev/null &
	holder=$!
	for ((i = 0; i < 300; i++)); do
		[ "$(counts "$1" acquisitions)" = 1 ] && return
		sleep 0.05
	done
}

exposes() { # MOST
	"$holdfast" metrics --prometheus | python3 "$source_root/tests/cli/exposition.py" "$@"
}

# ---- nothing yet ----
hf metrics
is "before anything was done nothing is shown" "$code$out$err" 0
hf metrics --json
is "as JSON" "$(json '["locks"], d["all"]["acquisitions"], d["all"]["wait"]["average_us"]' "$out")" \
	'[[], 0, null]'
hf metrics --prometheus
is "for Prometheus" "$code$out$err" 0
ok "looking makes no file" test ! -e "$file"
hf metrics --reset
is "nor has beginning anew anything to do" "$code$out$err" 0

# ---- what is counted ----
for _ in 1 2 3; do hf run a -- true; done
is "grants and releases" "$(counts a acquisitions releases wait.count hold.count)" "3 3 3 3"
hf run a -- "$holdfast" run -n --no-inherit a -- true
is "who may not wait: held" "$code $(counts a acquisitions conflicts failed_held retries)" "1 4 1 1 0"
hf acquire a --owner a
hf run -w 100ms a -- true
is "who waits: timed out, and that alone" "$(counts a acquisitions conflicts failed_held failed_timed_out)" \
	"5 2 1 1"
hf acquire -w 100ms a
is "with acquire too" "$(counts a acquisitions conflicts failed_held failed_timed_out)" "5 3 1 2"
hf run --strategy retry --max-retries 4 --backoff 1ms..2ms a -- true
is "each retry" "$(counts a acquisitions conflicts failed_held)" "5 4 2"
ok "is one" test "$(counts a retries)" -ge 4
hf run a -- true &
sleep 0.2
hf release a --owner a
wait
is "who waits and has it then: a conflict, and no failure" \
	"$(counts a acquisitions releases conflicts failed_held failed_timed_out)" "6 6 5 2 2"
hf run a -- "$holdfast" run a -- true
is "who joins has it too" "$(counts a acquisitions releases conflicts)" "8 8 5"
hf run a -- "$holdfast" run --no-inherit a -- true
is "who would wait for itself: a deadlock" \
	"$code $(counts a acquisitions conflicts failed_held failed_deadlock)" "81 9 6 2 1"
hf run m1 m2 "m3@file:$scratch/store" -- true
is "each of several locks" "$(counts m1 releases) $(counts m2 releases) $(counts m3 releases)" "1 1 1"
hf acquire m2 --owner m
hf run -n m1 m2 -- true
is "and what was given back" "$code $(counts m1 acquisitions releases) $(counts m2 failed_held)" "1 2 2 1"
hf metrics --reset m1
hf metrics --reset m2
hf metrics --reset m3
hf acquire d --owner dora
hf release d --owner dora
is "leases that outlive the command" "$(counts d acquisitions releases hold.count)" "1 1 0"
hf release d --owner dora
is "who had none to release" "$code $(counts d releases failed_releases)" "77 1 0"
hf acquire d
hf force-release d
is "what was taken by force" "$(counts d acquisitions releases forced)" "2 1 1"
hf acquire --ttl 100ms e
hf run e -- true
is "a lease that ran out" "$(counts e acquisitions stale_claimed)" "2 1"
hf run f -- "$holdfast" force-release f
is "a lease that was lost" "$code $(counts f acquisitions releases losses hold.count)" "80 1 0 1 1"
hf run -n no/such -S file:/dev/null/x -- true
is "a store that cannot be had fails as ever" "$code" 73

hold g
is "a command that runs on is counted already" "$(counts g acquisitions releases)" "1 0"
{ kill -9 "$holder"; wait "$holder"; } 2>/dev/null
hf run g -- true
is "one killed has no release, and is claimed" "$(counts g acquisitions releases stale_claimed)" "2 1 1"

# ---- many at once ----
for _ in 1 2 3 4 5; do
	for _ in 1 2 3 4 5 6; do
		"$holdfast" run many -- true &
	done
	wait
done
is "of many at once each one counts" "$(counts many acquisitions releases wait.count)" "30 30 30"

# ---- text ----
hf metrics
is "the text is sorted" "$(cut -f1 <<<"$out" | tr '\n' ' ')" "a d e f g many "
is "every line has 14 columns" "$(awk -F'\t' '{ print NF }' <<<"$out" | sort -u)" 14
is "with the numbers of JSON" "$(awk -F'\t' '$1 == "a" { print $2, $3, $4, $10, $11 }' <<<"$out")" \
	"$(counts a acquisitions conflicts) 5 $(counts a releases retries)"
ok "times are seconds" awk -F'\t' '$1 == "a" && ($13 !~ /^[0-9]+\.[0-9]+$/ || $8 == 0) { exit 1 }' \
	"$scratch/.out"
like "the store is named" "$(head -1 <<<"$out" | cut -f9)" "file:*store"
hf metrics d
is "one lock alone" "$(cut -f1 <<<"$out")" d
hf metrics never
is "a lock never used" "$code$out$err" 0
hf metrics -q
is "-q prints nothing" "$code$out$err" 0
try env NO_COLOR=1 python3 "$source_root/tests/cli/on_terminal.py" "$holdfast" metrics
like "a terminal gets a heading" "$out" "NAME *ACQUIRED*CONFLICTS*FAILED*STALE*LOST*WAIT*HOLD*STORE*"
like "and the sum" "$out" '*\(all\) *'

# ---- JSON ----
hf metrics --json
ok "--json is one document" python3 -m json.tool "$scratch/.out"
is "on one line" "$(wc -l <"$scratch/.out")" 1
is "with the fields of docs/json.md" "$(json '["locks"][0].keys().__len__()' "$out")" \
	"$(sed -n '/^## `metrics`/,/^## /p' "$source_root/docs/json.md" | grep -c '^| `')"
is "the buckets add up" "$(json '["locks"][0]["wait"]["count"] == sum(b["count"] for b in d["locks"][0]["wait"]["buckets"])' "$out")" true
is "the last is without a bound" "$(json '["all"]["hold"]["buckets"][-1]["le_us"]' "$out")" null
is "all is the sum of the locks" \
	"$(json '["all"]["acquisitions"] == sum(l["acquisitions"] for l in d["locks"])' "$out")" true
refused 64 '*one of --json and --prometheus*' metrics --json --prometheus

# ---- Prometheus ----
for name in 'a "b" \c' 'ünï ✓' "$(printf '%0200d' 7)" 'x\n'; do
	hf acquire -s -- "$name"
	hf acquire -s -- "$name"
done
ok "what Prometheus reads is as it must be" exposes
hf metrics --prometheus many
like "a counter" "$out" "*holdfast_acquisitions_total{store=\"file:*store\",lock=\"many\"} 30
*"
like "a histogram" "$out" "*holdfast_wait_seconds_bucket{store=\"file:*store\",lock=\"many\",le=\"+Inf\"} 30
*holdfast_wait_seconds_count{*} 30
*"
hf metrics --prometheus 'a "b" \c'
ok "labels are escaped" grep -F ',lock="a \"b\" \\c"} 2' "$scratch/.out"
for bad in 's/le="+Inf"/le="9"/' 's/^# TYPE.*//' 's/_total{/{/' 's/lock="many"/lock="ma"ny"/' '$d'; do
	_result "$("$holdfast" metrics --prometheus | sed "$bad" |
		python3 "$source_root/tests/cli/exposition.py" >/dev/null && echo 1 || echo 0)" \
		"the check sees $bad"
done

# ---- not counting ----
before=$(counts a acquisitions)
HOLDFAST_METRICS=false hf run a -- true
HOLDFAST_METRICS=0 hf run a -- true
hf run --metrics off a -- true
git config --global holdfast.metrics no
hf run a -- true
is "it can be turned off" "$(counts a acquisitions)" "$before"
HOLDFAST_METRICS=yes hf run a -- true
is "and on" "$(counts a acquisitions)" "$((before + 1))"
git config --global --unset holdfast.metrics
HOLDFAST_METRICS=maybe refused 64 '*HOLDFAST_METRICS*true or false*' run a -- true

# ---- beginning anew ----
hf acquire -S file:other -s a
hf metrics -S file:other
is "-S asks for one store" "$(cut -f1,2 <<<"$out")" "a	1"
hf metrics --reset -S file:other
is "and begins that anew" "$code$out $(counts a acquisitions)" "0 $((before + 1))"
hf metrics --reset a
is "or one lock" "$code$out $(counts a acquisitions)" "0 0"
ok "the others stay" test "$(counts d acquisitions)" = 2
hf metrics --reset
hf metrics
is "or all" "$code$out$err" 0

# ---- nothing that is counted fails or says more because of it ----
hf run a -- true
printf 'x' | dd of="$file" bs=1 conv=notrunc seek="$(grep -abo holdfast-metrics "$file" | cut -d: -f1)" 2>/dev/null
cp "$file" damaged
hf metrics
like "damage is told" "$code$err" "0holdfast: warning: metrics in $file were damaged and begin anew*"
is "and the rest shown" "$out" ""
hf metrics
is "once" "$code$out$err" 0
cp damaged "$file"
hf run a -- true
like "by whoever finds it" "$code$err" "0holdfast: warning: metrics in $file were damaged and begin anew"
hf run a -- true
is "once" "$code$err $(counts a acquisitions)" "0 2"
printf 'no metrics, but somebody'\''s letter' >"$file"
hf run -q a -- true
is "nor does any file in its place do harm" "$code$out$err" 0
hf metrics
like "it is begun anew" "$err$out" "*were damaged and begin anew*a	1	*"
rm "$file"
mkdir "$file"
hf run a -- true
is "a place that cannot be written is no matter" "$code$out$err" 0
hf run -v a -- true
like "but for -v" "$err" "*metrics could not be kept in $file*"
refused 71 "*cannot open the metrics in $file*" metrics
rmdir "$file"
XDG_STATE_HOME=/dev/null hf run a -- true
is "a state folder that cannot be had neither" "$code$out$err" 0
hf run a -- true
is "the file is its user's alone" "$(stat -c %a "$file")" 600

done_testing
