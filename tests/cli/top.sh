#!/bin/bash
# top: one frame for a pipe; and on a real terminal (tmux) what keys, sizes and signals do.
. "$(dirname "$0")/lib.sh"
export HOLDFAST_STORE=file:$scratch/store
export XDG_STATE_HOME=$scratch/state
# It lingers a second at exit otherwise.
export TSAN_OPTIONS="${TSAN_OPTIONS-} atexit_sleep_ms=0"
socket=$scratch/tmux
trap 'tmux -S "$socket" kill-server 2>/dev/null; rm -rf "$scratch"' EXIT

# The widest line of standard input, in columns.
widest() {
	python3 -c '
import sys, unicodedata
print(max(sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
              for c in line.rstrip("\n")) for line in sys.stdin))'
}

names() { # of the rows of a frame
	awk 'NR > 4 { printf "%s ", $1 }'
}

# ---- one frame ----
hf top --once
is "an empty store" "$code$err $(head -2 <<<"$out" | tail -1)" "0 0 locks: 0 held, 0 waiting"
for name in a b c; do hf run $name -- true; done
hf acquire held --owner alice
hf acquire shared -s --owner bob
hf acquire shared -s --owner carol
hf acquire "日本語 long long long long long long long name" --owner "$(printf 'o%.0s' {1..200})"
for i in 1 2; do
	"$holdfast" run -w 60s --owner "waiter$i" held -- true 2>/dev/null &
	waiters+=($!)
done
for ((i = 0; i < 200; i++)); do
	[ "$("$holdfast" list | grep -c waiting)" = 2 ] && break
	sleep 0.05
done
hf top --once
is "has what is held and waited for, most waited for first" "$code $(names <<<"$out" | cut -d' ' -f1)" "0 held"
is "each lock once" "$(wc -l <<<"$out")" 7
like "how many there are" "$out" "*
6 locks: 3 held, 2 waiting
*"
like "the holder, and how many wait" "$out" "*
held  *alice  *  2  *"
like "how many share" "$out" "*
shared  *2 share: bob*"
like "what was counted" "$out" "*
yours: *acquired, wait *, hold *"
is "it fits 80 columns" "$(widest <<<"$out")" 80
for width in 40 20 120 200; do
	COLUMNS=$width hf top --once
	is "or $width" "$(widest <<<"$out")" $width
done
like "a wide one has the command" "$out" "*COMMAND*"
hf top --once -a --sort name
is "-a shows free ones, --sort name sorts" "$(names <<<"$out")" "a b c held shared 日本語 "
hf top --once -a --sort hold
like "so does another word" "$(names <<<"$out")" "[abc] [abc] [abc] *"
like "with how long it is held" "$out" "*
a  *[0-9][mu]s*"
(for _ in 1 2 3 4 5; do "$holdfast" run a -- true; done) &
hf top --once --interval 800ms --sort rate
wait $!
like "over an interval there are rates" "$out" "*; [0-9]*grants/s*
a  *[0-9].[0-9]*"
is "a lock that was taken meanwhile stands there" "$(names <<<"$out" | cut -d' ' -f1)" a
hf top --once -q
is "-q prints nothing" "$code$out$err" 0
cp store/held.lock damaged 2>/dev/null || cp "$(find store -type f -name 'shared*' | head -1)" damaged
file=$(find store -type f -name 'shared*' | head -1)
printf 'junk%.0s' {1..4000} >"$file"
hf top --once
like "a damaged one is shown as that" "$out" "*, 1 damaged*
shared  *(damaged)*"
rm "$file"
refused 64 '*not a terminal*--once*list --watch*' top
refused 64 '*no JSON*list --json*' top --once --json
refused 64 '*--sort*waiters, name*' top --once --sort weight
refused 64 '*--interval*100ms to 1h*' top --once --interval 1ms
refused 64 '*one argument too many*' top --once name
hf top --once -S file:/dev/null/x
is "a store that cannot be had fails as ever" "$code" 73
TERM=dumb try python3 "$source_root/tests/cli/on_terminal.py" "$holdfast" top
like "nor on a terminal that can show no screen" "$code$out" "64*TERM=dumb*--once*"
git init -q repo
(cd repo && unset HOLDFAST_STORE && "$holdfast" acquire ingit >/dev/null && "$holdfast" top --once) >"$scratch/.out"
like "the default store is that of list" "$(cat "$scratch/.out")" "holdfast top: git:*repo*
ingit *"
kill "${waiters[@]}"
wait "${waiters[@]}" 2>/dev/null

# ---- on a terminal ----
tm() {
	tmux -S "$socket" -f /dev/null "$@"
}

screen() {
	tm capture-pane -p -t t
}

# Wait until the screen matches.
sees() {
	local i
	for ((i = 0; i < 200; i++)); do
		# shellcheck disable=SC2053
		[[ $(screen) == $1 ]] && return 0
		sleep 0.05
	done
	out=$(screen) # for whoever reads that it failed
	return 1
}

keys() {
	tm send-keys -t t "$@"
}

# What the terminal is like is looked at whenever a command has ended.
cat >shell <<-'EOF'
	PS1='ready> '
	PROMPT_COMMAND='code=$?; now=$(stty -g); [ "$now" = "${before=$now}" ] && echo "code $code, as before"'
EOF
tm new-session -d -s t -x 80 -y 20 "bash --noprofile --rcfile '$scratch/shell' -i" ||
	echo "Bail out! there is no tmux"
ok "a shell" sees "*ready>*"

# The terminal is as it was: not the other screen, a cursor, lines that wrap.
given_back() {
	sees "*$1*" && [ "$(tm display -p -t t '#{alternate_on} #{cursor_flag} #{wrap_flag}')" = "0 1 1" ]
}

start() {
	keys "clear; $holdfast top --interval 200ms $*" Enter
	sees "holdfast top:*q quit*"
}

pid_of_top() {
	pgrep -f "^$holdfast top --interval" | head -1
}

hf acquire -s many --owner dora
ok "it shows a screen" start
ok "the other one, without a cursor" test "$(tm display -p -t t '#{alternate_on} #{cursor_flag}')" = "1 0"
is "of all columns" "$(screen | widest)" 80
is "of all lines" "$(screen | grep -c .)" "$(screen | grep -c . | head -1)"
hf acquire new --owner nora
ok "what changes is shown" sees "*
new *nora*"
hf release new --owner nora
ok "and what is over goes" sees "*
many *
[!n]*"
keys w
ok "w: who" sees "*
  shares *dora*"
keys w a
ok "a: free ones" sees "*
a *(free)*"
keys s
ok "s: sorted by name" sees "*
a *
b *
c *sort: name*"
keys r
ok "r: the other way round" sees "*
c *
b *
a *sort: name (reverse)*"
keys r a s s s s s
ok "and round again" sees "*sort: waiters*"

tm resize-window -t t -x 50 -y 12
ok "it follows a new size" sees "*NAME *HOLDER * HELD * WAIT GRANTS/s
*"
is "of fewer columns" "$(screen | widest)" 50
tm resize-window -t t -x 100 -y 30
ok "and of more" sees "*AVG HOLD * LEFT*"
tm resize-window -t t -x 80 -y 20
for i in {1..30}; do "$holdfast" acquire -s "row$(printf %02d "$i")" >/dev/null; done
keys s
ok "what does not fit is counted" sees "*1-15 of 3[3-9] *"
keys Down Down j
ok "and reached by arrows" sees "*4-18 of *"
keys Up k k
ok "back too" sees "*1-15 of 3[3-9] *"
keys NPage NPage NPage
ok "by pages" sees "*row30 *"
keys F5 M-x é
ok "other keys do nothing" sees "*row30 *"

keys q
ok "q gives the terminal back" given_back "code 0, as before"
start
keys C-d
ok "so does the end of the input" given_back "code 0, as before"
start
keys C-c
ok "Ctrl-C" given_back "code 130, as before"
for signal in TERM HUP INT QUIT; do
	start
	kill -$signal "$(pid_of_top)"
	number=$(kill -l $signal)
	ok "SIG$signal" given_back "code $((128 + number)), as before"
done

start
keys C-z
ok "Ctrl-Z too" given_back "Stopped*code 148, as before"
keys "clear; fg" Enter
ok "and fg shows it again" sees "holdfast top:*q quit*"
ok "on the other screen" test "$(tm display -p -t t '#{alternate_on} #{cursor_flag}')" = "1 0"
keys q
ok "as before" given_back "code 0, as before"
start
keys C-z
sees "*Stopped*"
keys "clear; kill %%; sleep 0.5; jobs; echo none" Enter
ok "a stopped one can be ended" given_back "none"
ok "and is" sh -c "! pgrep -f '^$holdfast top --interval'"
start
pid=$(pid_of_top)
kill -STOP "$pid"
sleep 0.2
kill -CONT "$pid"
sleep 0.2
keys "clear; kill %%; sleep 0.5; jobs; tput rmcup; echo no''ne" Enter
ok "as can one that was stopped by others" sees "*none*"
ok "and is, too" sh -c "! pgrep -f '^$holdfast top --interval'"
keys "tput cnorm; tput smam; clear" Enter
start --sort name
kill -STOP "$(pid_of_top)"
sleep 0.2
kill -CONT "$(pid_of_top)"
hf acquire after --owner stop
sleep 0.3
keys "clear; fg" Enter
ok "stopped and continued by others it waits for fg, and goes on" sees "holdfast top:*
after *"
keys q
ok "as before, then too" given_back "code 0, as before"

# ---- what it costs ----
start --interval 1h --sort held
keys r
pid=$(pid_of_top)
ticks() {
	awk '{ print $14 + $15 }' "/proc/$pid/stat"
}
sleep 0.3
before=$(ticks)
switches=$(awk '/ctxt/ { n += $2 } END { print n }' "/proc/$pid/status")
sleep 1
is "between two looks it sleeps" "$(awk '/ctxt/ { n += $2 } END { print n }' "/proc/$pid/status") $(ticks)" \
	"$switches $before"
hf acquire zero -s --owner zoe
keys ' '
ok "a key makes it look at once" sees "*zero *zoe*"
tm kill-server
for ((i = 0; i < 100; i++)); do
	kill -0 "$pid" 2>/dev/null || break
	sleep 0.05
done
ok "it ends with its terminal" sh -c "! kill -0 $pid"

done_testing
