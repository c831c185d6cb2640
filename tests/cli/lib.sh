# For the tests of the command: each is `NAME.sh PATH-TO-HOLDFAST`, speaks TAP,
# and runs in a scratch folder without anybody's configuration.
#
#	try CMD...		runs it; sets $out, $err, $code
#	ok DESCRIPTION CMD...	one test: passes if CMD does
#	is DESCRIPTION GOT WANT
#	like DESCRIPTION GOT PATTERN	a bash pattern
#	use_store file|git	makes $S, and has the command use it
#	done_testing		prints the plan

set -u
holdfast=$(realpath "$1")
source_root=$(realpath "$(dirname "$0")/../..")
tests=0
failed=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-cli.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 99

for name in $(compgen -e | grep -E '^(HOLDFAST|GIT|XDG)_'); do
	unset "$name"
done
unset NO_COLOR
export HOME=$scratch/home TERM=xterm LC_ALL=C.UTF-8
export GIT_CEILING_DIRECTORIES=$scratch
export HOLDFAST_RUNTIME_DIR=$scratch/runtime
mkdir "$HOME"
mkdir -m 700 "$HOLDFAST_RUNTIME_DIR"
git config --global user.name t
git config --global user.email t@example.org
git config --global init.defaultBranch main

use_store() {
	S=file:$scratch/store
	if [ "$1" = git ]; then
		git init -q store
		S=git:$scratch/store
	fi
	export HOLDFAST_STORE=$S
}

try() {
	"$@" >"$scratch/.out" 2>"$scratch/.err" </dev/null
	code=$?
	out=$(tr -d '\0' <"$scratch/.out")
	err=$(tr -d '\0' <"$scratch/.err")
}

hf() {
	try "$holdfast" "$@"
}

_result() { # PASSED DESCRIPTION
	tests=$((tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tests - $2"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $2"
		printf '%s\n' "exit code: ${code-}" "out: ${out-}" "err: ${err-}" |
			cat -v | sed 's/^/# /'
	fi
}

ok() {
	local what=$1
	shift
	"$@" >/dev/null 2>&1
	_result $? "$what"
}

is() {
	[ "$2" = "$3" ]
	local passed=$?
	_result $passed "$1"
	[ $passed = 0 ] || printf '%s\n' "got:  $2" "want: $3" | cat -v | sed 's/^/# /'
}

like() {
	# shellcheck disable=SC2053 # a pattern is meant
	[[ $2 == $3 ]]
	local passed=$?
	_result $passed "$1"
	[ $passed = 0 ] || printf '%s\n' "got:  $2" "like: $3" | cat -v | sed 's/^/# /'
}

# refused CODE PATTERN ARGS...: the exit code, nothing on standard output, and
# one line of text.
refused() {
	local want=$1 pattern=$2
	shift 2
	hf "$@"
	local what="holdfast $* exits $want: $pattern"
	what=${what//[^[:print:]]/?}
	[ ${#what} -le 150 ] || what=${what:0:147}...
	[[ $code == "$want" && -z $out && $err == $pattern && $(wc -l <"$scratch/.err") == 1 ]]
	_result $? "$what"
}

# The value at a path of JSON: json FIELD TEXT, with FIELD as in Python.
json() {
	python3 -c 'import json, sys; print(json.dumps(eval("d" + sys.argv[1], {"d": json.loads(sys.argv[2])})))' "$1" "$2"
}

done_testing() {
	echo "1..$tests"
	exit "$((failed > 0))"
}
