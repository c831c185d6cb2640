#!/bin/bash
# What is taken on the command line, in which order, and what is refused.
. "$(dirname "$0")/lib.sh"
S=file:$scratch/store

# ---- bad input, each its message ----
refused 64 "holdfast: what shall be done? See 'holdfast help'"
refused 64 "holdfast: there is no command 'frobnicate'; see 'holdfast help'" frobnicate
refused 64 "holdfast: '-S' stands before the command: *" -S "$S" status x
refused 64 "*there is no option '--frob' here; see 'holdfast help status'" status x --frob
refused 64 "*there is no option '-k' here; see 'holdfast help status'" status -k x
refused 64 "*there is no option '--ttl' here*" status x --ttl 5s
refused 64 "*--json takes no value, and was given '1'*" status x --json=1
refused 64 "*--ttl needs a value: --ttl DUR*" acquire x --ttl
refused 64 "*-w needs a value: -w DUR*" acquire x -w
refused 64 "*which lock? Give its name; see 'holdfast help acquire'" acquire -S "$S"
refused 64 "*'y' is one argument too many*" acquire -S "$S" x y
refused 64 "*a lock's name is empty*" acquire -S "$S" ''
refused 64 "*has 201 bytes: at most 200*" acquire -S "$S" "$(printf %201s | tr ' ' a)"
refused 64 "*not UTF-8 or has a control character*" acquire -S "$S" $'a\nb'
refused 64 "*not UTF-8*" acquire -S "$S" $'a\xff'
refused 64 "*--ttl: 'abc' is refused: a duration is a number with ms, s, m, h or d*" \
	acquire -S "$S" x --ttl abc
refused 64 "*--ttl: '-5s' is refused*" acquire -S "$S" x --ttl=-5s
refused 64 "*--ttl: '5 s' is refused*" acquire -S "$S" x --ttl '5 s'
refused 64 "*--ttl: '99ms' is refused: a ttl is 0 (until released) or 100ms to 365d*" \
	acquire -S "$S" x --ttl 99ms
refused 64 "*--ttl: '366d' is refused*" acquire -S "$S" x --ttl 366d
refused 64 "*--ttl: '99999999999999999999d' is refused*" acquire -S "$S" x --ttl 99999999999999999999d
refused 64 "*-w: '' is refused*" acquire -S "$S" x -w ''
refused 64 "*--lock-delay: '25h' is refused: a lock delay is at most 1d*" \
	acquire -S "$S" x --lock-delay 25h
refused 64 "*-E: '256' is refused: give a whole number from 0 to 255*" acquire -S "$S" x -E 256
refused 64 "*-E: '-1' is refused*" acquire -S "$S" x -E -1
refused 64 "*--limit: '0' is refused: give a whole number from 1 to 1000000*" \
	acquire -S "$S" x --limit 0
refused 64 "*--limit: '1000001' is refused*" acquire -S "$S" x --limit 1000001
refused 64 "*--limit: '2x' is refused*" acquire -S "$S" x --limit 2x
refused 64 "*--limit shares the lock, and -x does not*" acquire -S "$S" x --limit 2 -x
refused 64 "*--strategy: 'polite' is refused: give one of queue, retry, fail_fast*" \
	acquire -S "$S" x --strategy polite
refused 64 "*--strategy: 'queue_' is refused*" acquire -S "$S" x --strategy queue_
refused 64 "*--stale-after: '0' is refused*" acquire -S "$S" x --stale-after 0
refused 64 "*--max-retries: '-1' is refused*" acquire -S "$S" x --max-retries -1
refused 64 "*--max-retries: '4294967296' is refused*" acquire -S "$S" x --max-retries 4294967296
for bad in 5s 5s.. ..5s 5s..1s 0..1s 1s..x 1s...2s; do
	refused 64 "*--backoff: '$bad' is refused: give MIN..MAX*" acquire -S "$S" x --backoff "$bad"
done
refused 64 "*--priority: '2147483648' is refused*" acquire -S "$S" x --priority 2147483648
refused 64 "*--owner: '' is refused: give 1 to 200 bytes*" acquire -S "$S" x --owner ''
refused 64 "*--owner: *is refused*" acquire -S "$S" x --owner "$(printf %201s | tr ' ' a)"
refused 64 "*--fingerprint: '(not shown)' is refused*" acquire -S "$S" x --fingerprint $'a\tsecret'
refused 64 "*--fingerprint-file: cannot read '/nonexistent': No such file*" \
	acquire -S "$S" x --fingerprint-file /nonexistent
: >empty
refused 64 "*--fingerprint-file: '(not shown)' is refused*" acquire -S "$S" x --fingerprint-file empty
printf %300s x >long
refused 64 "*--fingerprint-file: '(not shown)' is refused*" acquire -S "$S" x --fingerprint-file long
refused 64 "*--info: this is no JSON: *at line 1, column 6*" acquire -S "$S" x --info '{"a":}'
refused 64 "*--info: this is no JSON: duplicate*" acquire -S "$S" x --info '{"a":1,"a":2}'
refused 64 "*--info: '\[1\]' is refused: give a JSON object*" acquire -S "$S" x --info '[1]'
refused 64 "*--info: '7' is refused: give a JSON object*" acquire -S "$S" x --info 7
refused 64 "*--info: '(long)' is refused*4096*" \
	acquire -S "$S" x --info "{\"a\":\"$(printf %4100s | tr ' ' a)\"}"
refused 64 "*whose? Give one of --id*" release -S "$S" x
refused 64 "*give exactly one of --id, --fingerprint and --owner*" release -S "$S" x --id 1 --owner o
refused 64 "*--ttl: '0' is refused: a lease that has a ttl keeps one*" extend -S "$S" x --id 1 --ttl 0
refused 64 "*--prune: '0' is refused*" log -S "$S" x --prune 0
refused 64 "*-N: 'x' is refused*" log -S "$S" x -N x
refused 64 "*-5x: '5x' is refused*" log -S "$S" x -5x
refused 64 "*there is no option '-5' here*" status -S "$S" x -5
refused 64 "*--forget-after: 'soon' is refused: give a duration such as 1d or 12h, or never*" \
	cleanup -S "$S" --forget-after soon
refused 64 "*there is no help on 'frob'*" help frob
refused 64 "*it has no scheme: write file:PATH*" status -S /tmp/x x
refused 64 "*store*" status -S nosuch:x x
refused 64 "*-S: '' is refused: give a URL*" status -S '' x

ok "nothing was created by any of these" test ! -e "$scratch/store"

# ---- order and spelling ----
hf acquire x -S "$S" --ttl=1h -E 9 && first=$out
is "options stand after the name" "$code" 0
hf acquire -S "$S" -E 9 x -n
is "and before it" "$code" 9
hf acquire -nE9 "-S$S" x
is "letters join, and take values without a blank" "$code" 9
hf acquire -nqE 9 -S "$S" x
is "-q says nothing of an answer" "$code$out$err" 9
hf acquire --nonblock "--store=$S" --conflict-exit-code=0 x
is "-E 0 is allowed" "$code" 0
hf acquire --nb -S "$S" x
is "without -E it is 1" "$code" 1
like "and says who holds it" "$err" "holdfast: lock 'x' is held by *"
hf acquire -S "$S" x -w 0
is "-w 0 is -n" "$code" 1
hf acquire -S "$S" x --timeout 0.05
is "a fraction of a second is waited" "$code" 1
hf acquire -S "$S" x -w 5 -w 50ms
is "the last of two counts" "$code" 1
hf acquire -S "$S" --strategy fail-fast x
is "'-' stands for '_' in a strategy" "$code" 1
hf status -S "$S" -- x
is "-- ends the options" "$code" 0
hf acquire -S "$S" -n -- -weird
is "so that a name may begin with a dash" "$code" 0
hf status -S "$S" -q -- -weird
is "and is found again" "$code" 1
hf status -q -S "$S" -
is "a lone dash is a name" "$code" 0
hf acquire -S "$S" -n --limit 2 --priority -5 shared1
is "--limit implies -s, and values may begin with a dash" "$code" 0
hf status -S "$S" shared1
like "as status shows" "$out" "shared1	held	*	shared/2	1	*"
hf release -S "$S" x --id "${first#* }"
is "release takes the printed id" "$code" 0

# ---- help ----
for command in acquire release extend status list log wait cleanup fence force-release stores version; do
	hf "$command" --help
	like "$command --help tells its usage" "$code $out" "0 usage: holdfast $command*--help*"
	same=$out
	hf help "$command"
	is "help $command says the same" "$out" "$same"
	ok "$command's help fits 80 columns" awk 'length($0) > 80 { exit 1 }' "$scratch/.out"
done
hf status x -h --frob
is "what stands after -h is not read" "$code" 0
hf --help
like "--help lists the commands" "$code $out" "0 usage: holdfast COMMAND*force-release*"
hf help
is "and so does help" "$code" 0
for topic in durations exit-codes tree config; do
	hf help $topic
	is "help $topic is there" "$code" 0
done
hf --version
like "--version" "$out" "holdfast [0-9]*"
hf version --json
ok "version --json is JSON" python3 -m json.tool "$scratch/.out"
hf help --bogus
is "help refuses what it does not know" "$code" 64

# ---- as git-hold ----
mkdir bin
ln -s "$holdfast" bin/git-hold
try env PATH="$scratch/bin:$PATH" git hold -h
like "git hold -h" "$code $out" "0 usage: git hold COMMAND*"
try env PATH="$scratch/bin:$PATH" git hold status
like "messages say git hold" "$code $err" "64 git hold status: which lock?*see 'git hold help status'"

# ---- standard output that cannot be written ----
"$holdfast" help >/dev/full 2>"$scratch/.err"
is "a full disk is told" "$?" 71
ok "in words" grep -q 'cannot write to standard output: No space' "$scratch/.err"
"$holdfast" acquire -S "$S" full >/dev/full 2>"$scratch/.err"
is "acquire too" "$?" 71
hf status -q -S "$S" full
is "and a lease that nobody was told of is given back" "$code" 0
"$holdfast" acquire -S "$S" full >&- 2>"$scratch/.err"
is "a closed one as well" "$?" 71
hf status -q -S "$S" full
is "which gives the lease back, too" "$code" 0
"$holdfast" acquire -S "$S" -n - <&- 2>&- >/dev/full
ok "no message ends up in a file of the store" bash -c "! grep -rq 'holdfast:' '$scratch/store'"
"$holdfast" acquire -S "$S" piped 2>"$scratch/.err" | true
hf status -q -S "$S" piped
is "also when the reader is gone or was there" "$((code == 0 || code == 1))" 1

done_testing
