#!/bin/sh
# The main job, shown: two processes want to deploy, one at a time, in a scratch git
# repository. Takes some ten seconds, leaves nothing behind, and fails if what it
# says is not so.
#
#	scripts/demo.sh [path of the holdfast command]
set -eu

holdfast=$(realpath "${1:-$(dirname "$0")/../build/holdfast}")
[ -x "$holdfast" ] || { echo "demo: no command at $holdfast: run make first" >&2; exit 1; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-demo.XXXXXX")
bob=
clean_up() {
	[ -z "$bob" ] || kill "$bob" 2>/dev/null || :
	rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Nothing of the reader's own configuration takes part.
unset GIT_DIR GIT_WORK_TREE HOLDFAST_STORE
export HOME="$scratch" GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
export XDG_STATE_HOME="$scratch/state" HOLDFAST_RUNTIME_DIR="$scratch/run"
mkdir "$scratch/bin" "$scratch/shop"
mkdir -m 700 "$scratch/run"
ln -s "$holdfast" "$scratch/bin/holdfast"
ln -s "$holdfast" "$scratch/bin/git-hold"
PATH="$scratch/bin:$PATH"

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold="" plain=""; fi
start=$(date +%s%N)
now() { echo $((($(date +%s%N) - start) / 1000000)); }
caption() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
typed() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }
fail() { echo "demo: this is not so: $*" >&2; exit 1; }

cd "$scratch/shop"
git init -q
git config user.name Demo
git config user.email demo@example.org
cat >deploy.sh <<'END'
#!/bin/sh
now() { echo $((($(date +%s%N) - START) / 1000000)); }
now >"../$1.in"
echo "$HOLDFAST_TOKEN" >"../$1.token"
printf '%6d ms  %s: deploying, with token %s ...\n' "$(now)" "$1" "$HOLDFAST_TOKEN"
sleep 2
printf '%6d ms  %s: deployed\n' "$(now)" "$1"
now >"../$1.out"
END
chmod +x deploy.sh
git add deploy.sh
git commit -q -m 'How we deploy'
export START="$start"

caption "Two people deploy the same git repository. Only one may at a time."
typed "git hold run --owner alice deploy -- ./deploy.sh alice &"
git hold run --owner alice deploy -- ./deploy.sh alice &
alice=$!
while [ ! -s ../alice.token ]; do
	kill -0 "$alice" 2>/dev/null || fail "alice gets the lock"
	sleep 0.02
done
typed "git hold run --owner bob deploy -- ./deploy.sh bob &"
printf '%6d ms  bob: asks too, and waits\n' "$(now)"
git hold run --owner bob deploy -- ./deploy.sh bob &
bob=$!
sleep 0.7

caption "Who has it?"
typed "git hold status deploy"
git hold status deploy
git hold status --json deploy | grep -q '"owner":"alice"' || fail "status names alice"
[ ! -e ../bob.in ] || fail "bob waits while alice deploys"

caption "alice ends, and bob's turn comes."
wait "$alice" || fail "alice's deployment ends well"
wait "$bob" || fail "bob's deployment ends well"
bob=

first=$(cat ../alice.token)
second=$(cat ../bob.token)
[ "$second" -gt "$first" ] || fail "bob's token $second is greater than alice's $first"
[ "$(cat ../bob.in)" -ge "$(cat ../alice.out)" ] || fail "bob went in after alice was out"
echo "bob's fencing token $second is greater than alice's $first: what they deploy to can"
echo "refuse a straggler that comes late with the smaller one."

caption "The lock is a branch of events in the repository itself: who held it when?"
typed "git log --reverse --date=format:%T --format='%cd  %s' refs/holdfast/locks/deploy"
git log --reverse --date=format:%T --format='%cd  %s' refs/holdfast/locks/deploy
events=$(git log --reverse --format=%s refs/holdfast/locks/deploy | cut -d' ' -f1 | tr '\n' ' ')
[ "$events" = "acquire release acquire release " ] || fail "two acquired and released: $events"

caption "Nothing is left held."
typed "git hold status deploy"
git hold status deploy
git hold status --json deploy | grep -q '"state":"free"' || fail "the lock is free at the end"
