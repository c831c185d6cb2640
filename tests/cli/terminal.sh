#!/bin/bash
# What a terminal gets: columns, colour, and never a control character of others.
. "$(dirname "$0")/lib.sh"
export HOLDFAST_STORE=file:$scratch/store
esc=$'\e'

on_terminal() {
	try python3 "$source_root/tests/cli/on_terminal.py" "$holdfast" "$@"
}

# Columns of text on a terminal, as Python counts them.
columns() {
	python3 -c '
import sys, unicodedata
for line in sys.stdin:
    cut = line.index(sys.argv[1])
    print(sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
              for c in line[:cut]))' "$1"
}

hf acquire plain --owner alice
hf acquire "ünïcödé" --owner alice
hf acquire "日本語" --owner alice
hf acquire "e"$'\u0301'"clair" --owner alice
hf acquire "averyveryverylongname" --owner alice
hf acquire free --owner alice
hf release free --owner alice

# ---- columns ----
NO_COLOR=1 on_terminal list
is "exit code" "$code" 0
like "a heading stands above" "$out" "NAME *STATE *OWNER *MODE *TOKEN *AGE *LEFT *PID *COMMAND*"
is "every row's second column begins at the same place" \
	"$(tail -n +2 <<<"$out" | columns held | sort -u | wc -l)" 1
is "and its third" "$(tail -n +2 <<<"$out" | columns alice | sort -u | wc -l)" 1
like "times are for people" "$out" "* 4m5[0-9]s *"
[[ $out != *"$esc"* ]]
is "NO_COLOR is respected" $? 0
ok "no line ends in blanks" bash -c "! grep -q ' $' '$scratch/.out'"

# ---- colour ----
on_terminal list --all
like "a terminal gets colour" "$out" "*${esc}\[33mheld${esc}\[0m*"
like "free is another" "$out" "*${esc}\[32mfree${esc}\[0m*"
TERM=dumb on_terminal list
[[ $out != *"$esc"* ]]
is "not with TERM=dumb" $? 0
NO_COLOR='' on_terminal list
like "an empty NO_COLOR is none" "$out" "*${esc}*"
on_terminal status plain
like "status has columns, too" "$out" "*NAME*plain *alice*"
on_terminal log plain
like "so has log, to the millisecond" "$out" "*TIME*EVENT*:??.???Z*acquire*alice*"
on_terminal stores
like "so has stores" "$out" "*STORE*WHERE*file *built in*"
hf list
[[ $out != *"$esc"* && $out != *NAME* && $out == *$'\t'* ]]
is "a pipe gets tabs, no heading and no colour" $? 0

# ---- nothing hostile reaches it ----
# The bytes that come out, without the colour of ours and the newline.
clean() {
	NO_COLOR=1 try python3 "$source_root/tests/cli/on_terminal.py" "$@"
	[ -n "$out" ] && [ -z "$err" ] && ! grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]' \
		"$scratch/.out"
}
evil=$'a\e[31m\x07\r\x7f\u009b'
for arguments in "status" "status -S" "acquire --owner" "acquire --ttl" "--" "help" "stores"; do
	# shellcheck disable=SC2086 # words are meant
	clean "$holdfast" $arguments "$evil" x
	is "a message about '$arguments' with control characters is clean" $? 0
done
clean "$holdfast" status $'bad\xff\xfe'
is "also about bytes that are not UTF-8" $? 0
clean "$holdfast" acquire x --info $'{"a": \e[31m}'
is "also about JSON" $? 0

hf acquire info --info '{"a": "\u001b[31m\u007f\u009b\u202e"}'
is "JSON may carry control characters" "$code" 0
clean "$holdfast" status info --json
is "status --json escapes them" $? 0
ok "and is JSON" python3 -m json.tool "$scratch/.out"
is "which says what was given" "$(json '["holders"][0]["info"]["a"]' "$(cat "$scratch/.out")")" \
	'"\u001b[31m\u007f\u009b\u202e"'
hf status info --json
is "on a pipe as well" "$(json '["holders"][0]["info"]["a"]' "$out")" '"\u001b[31m\u007f\u009b\u202e"'
hf acquire "right"$'\u202e'"left" --owner "ow"$'\u2066'"ner"
is "direction marks are no control characters" "$code" 0
clean "$holdfast" list
is "but are not shown raw" $? 0
like "they are spelled out" "$out" '*right\\xe2\\x80\\xaeleft*ow\\xe2\\x81\\xa6ner*'
clean "$holdfast" list --json
is "nor in JSON on a terminal" $? 0

# Another program may have written anything.
if "$holdfast" stores | grep -q '^git	'; then
	git init -q repo
	blob=$(printf '{"id":"1","owner":"\\u001b[31mmallory","lockName":"h","acquiredAt":1}' |
		git -C repo hash-object -w --stdin)
	git -C repo update-ref refs/gitvan/locks/h "$blob"
	url="git:$scratch/repo?layout=blob&prefix=refs/gitvan/locks"
	clean "$holdfast" status -S "$url" h
	is "a neighbour's owner is shown clean" $? 0
	clean "$holdfast" acquire -n -S "$url" h
	is "and told clean" $? 0
fi

done_testing
