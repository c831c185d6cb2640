#!/bin/bash
# Where settings come from, who wins, and that no git process is paid for in vain.
. "$(dirname "$0")/lib.sh"

# The store and its source, as -v tells them.
store_of() {
	try "$holdfast" status x -v "$@"
	sed -n 's/^holdfast: store //p' <<<"$err"
}

# The ttl that acquire gives.
ttl_of() {
	try "$holdfast" acquire x -S "file:$scratch/ttl" --json "$@"
	[ "$code" = 0 ] || { echo "$err"; return; }
	json '["ttl_ms"]' "$out"
	"$holdfast" force-release -q x -S "file:$scratch/ttl"
}

# ---- the default store ----
mkdir plain
cd plain || exit 99
is "outside of a repository: a folder of the user" "$(store_of)" \
	"file:$HOME/.local/state/holdfast/locks (the default)"
hf acquire private
ok "which is private" test "$(stat -c %a "$HOME/.local/state/holdfast/locks")" = 700
is "XDG_STATE_HOME moves it" "$(XDG_STATE_HOME=$scratch/st store_of)" \
	"file:$scratch/st/holdfast/locks (the default)"
is "a relative one does not count" "$(XDG_STATE_HOME=st store_of)" \
	"file:$HOME/.local/state/holdfast/locks (the default)"
mkdir "$scratch/odd %41?x"
is "a path's own % and ? are no escapes" "$(XDG_STATE_HOME="$scratch/odd %41?x" store_of)" \
	"file:$scratch/odd %41?x/holdfast/locks (the default)"
is "no runtime folder is needed" "$(env -u XDG_RUNTIME_DIR "$holdfast" status x -q; echo $?)" 0

# ---- HOLDFAST_STORE, -S ----
is "HOLDFAST_STORE is stronger" "$(HOLDFAST_STORE=file:$scratch/e store_of)" \
	"file:$scratch/e (from HOLDFAST_STORE)"
is "-S is the strongest" "$(HOLDFAST_STORE=file:$scratch/e store_of -S "file:$scratch/f")" \
	"file:$scratch/f (from -S)"
is "a relative path is relative to the current directory" "$(store_of -S file:here)" \
	"file:$PWD/here (from -S)"
is "an empty variable is none" "$(HOLDFAST_STORE='' store_of)" \
	"file:$HOME/.local/state/holdfast/locks (the default)"
is "a bad HOLDFAST_STORE is refused" "$(HOLDFAST_STORE=here "$holdfast" status x 2>/dev/null; echo $?)" 64
is "but not when -S overrides it" "$(HOLDFAST_STORE=here store_of -S "file:$scratch/f")" \
	"file:$scratch/f (from -S)"

# ---- git config ----
# One that tells when it is called, before the real one.
mkdir "$scratch/bin"
real_git=$(command -v git)
printf '#!/bin/sh\necho called >>"%s/git.log"\nexec "%s" "$@"\n' "$scratch" "$real_git" >"$scratch/bin/git"
chmod +x "$scratch/bin/git"
calls() {
	: >"$scratch/git.log"
	PATH=$scratch/bin:$PATH "$@" >/dev/null 2>&1
	wc -l <"$scratch/git.log"
}
is "where nothing is configured, git is not called" "$(calls "$holdfast" status x)" 0
is "nor for options" "$(calls "$holdfast" acquire x -n -S "file:$scratch/f")" 0
"$real_git" config --global holdfast.store "file:$scratch/global"
is "where something is, it is" "$(calls "$holdfast" status x)" 1
is "not when it could not matter" "$(calls "$holdfast" status x -S "file:$scratch/f")" 0
is "nor for a bad option" "$(calls "$holdfast" status x --frob)" 0
is "nor for help" "$(calls "$holdfast" status -h)" 0
is "git config counts" "$(store_of)" "file:$scratch/global (from git config)"
is "HOLDFAST_STORE is stronger than git config" "$(HOLDFAST_STORE=file:$scratch/e store_of)" \
	"file:$scratch/e (from HOLDFAST_STORE)"
git config --global --unset holdfast.store
git config --global HoldFast.Store "file:$scratch/case"
is "its case does not matter" "$(store_of)" "file:$scratch/case (from git config)"
git config --global --remove-section HoldFast
is "git -c counts" \
	"$(GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=holdfast.store GIT_CONFIG_VALUE_0=file:$scratch/c store_of)" \
	"file:$scratch/c (from git config)"
mkdir "$scratch/xdg" "$scratch/xdg/git"
printf '[holdfast]\n\tstore = file:%s/x\n' "$scratch" >"$scratch/xdg/git/config"
is "XDG_CONFIG_HOME/git/config counts" "$(XDG_CONFIG_HOME=$scratch/xdg store_of)" \
	"file:$scratch/x (from git config)"
printf '[holdfast]\n\tstore = file:%s/i\n' "$scratch" >"$scratch/included"
git config --global include.path "$scratch/included"
is "so does what is included" "$(store_of)" "file:$scratch/i (from git config)"
git config --global --remove-section include
printf '[holdfast\n' >"$HOME/.gitconfig.bad"
is "what git cannot read is told, not passed over" \
	"$(GIT_CONFIG_GLOBAL=$HOME/.gitconfig.bad "$holdfast" status x >/dev/null 2>&1; echo $?)" 71
is "an unreadable HOME is no error" "$(HOME=/proc/1/none "$holdfast" help >/dev/null; echo $?)" 0

# ---- values ----
is "acquire's own ttl" "$(ttl_of)" 300000
git config --global holdfast.ttl 10m
is "git config holdfast.ttl" "$(ttl_of)" 600000
is "HOLDFAST_TTL is stronger" "$(HOLDFAST_TTL=20m ttl_of)" 1200000
is "--ttl is the strongest" "$(HOLDFAST_TTL=20m ttl_of --ttl 30m)" 1800000
git config --global holdfast.ttl soon
like "a bad value names where it stands" "$(ttl_of)" \
	"holdfast acquire: git config holdfast.ttl: 'soon' is refused: *"
like "so does one in the environment" "$(HOLDFAST_TTL=never ttl_of)" "*"
hf status x -S "file:$scratch/f"
is "and keeps nobody from what does not need it" "$code" 0
git config --global holdfast.ttl 10m
like "in the environment too" "$(HOLDFAST_TTL=never ttl_of)" "holdfast acquire: HOLDFAST_TTL: 'never' is refused*"
printf '[holdfast]\n\tttl\n' >"$HOME/.gitconfig.bad"
like "a key without a value" "$(GIT_CONFIG_GLOBAL=$HOME/.gitconfig.bad ttl_of)" \
	"*git config holdfast.ttl has no value*"
git config --global --remove-section holdfast
hf acquire held -S "file:$scratch/f" --owner o
git config --global holdfast.wait 0
hf acquire held -S "file:$scratch/f"
is "holdfast.wait" "$code" 1
hf wait held -S "file:$scratch/f"
is "also for wait" "$code" 1
git config --global --unset holdfast.wait
git config --global holdfast.strategy fail_fast
hf acquire held -S "file:$scratch/f"
is "holdfast.strategy" "$code" 1
git config --global --unset holdfast.strategy

# A profile is what the other settings of its place begin with.
git config --global holdfast.ttl 77s
git config --global holdfast.profile fast
hf acquire p1 -S "file:$scratch/p" --json
like "a setting beside the profile counts more" "$out" '*"ttl_ms":77000*'
hf acquire p2 -S "file:$scratch/p" --json --profile github
like "a profile that counts more than a setting" "$out" '*"ttl_ms":300000*'
HOLDFAST_PROFILE=conservative HOLDFAST_TTL=9s hf acquire p3 -S "file:$scratch/p" --json
like "the environment's" "$out" '*"ttl_ms":9000*'
hf acquire p4 -S "file:$scratch/p" --json --ttl 8s --profile github
like "a flag beside it, before it too" "$out" '*"ttl_ms":8000*'
git config --global holdfast.profile swift
hf acquire p5 -S "file:$scratch/p"
is "an unknown one" "$code" 64
git config --global --unset holdfast.profile
git config --global --unset holdfast.ttl
# 5 retries, the first after up to a second: much longer than the queue's none.
hf acquire p1 -S "file:$scratch/p" --profile github --max-retries 0
is "github retries, so none is at once" "$code" 1
git config --global holdfast.owner configured
hf acquire o -S "file:$scratch/f"
hf status o -S "file:$scratch/f"
is "holdfast.owner" "$(cut -f3 <<<"$out")" configured
HOLDFAST_OWNER=env hf acquire o2 -S "file:$scratch/f"
hf status o2 -S "file:$scratch/f"
is "HOLDFAST_OWNER" "$(cut -f3 <<<"$out")" env
for pair in lockDelay=25h staleAfter=0 maxRetries=-1 backoff=5s history=x; do
	git config --global "holdfast.${pair%=*}" "${pair#*=}"
	hf acquire o3 -n -S "file:$scratch/f"
	like "holdfast.${pair%=*} is read" "$code $err" "64 *git config holdfast.*'${pair#*=}' is refused*"
	git config --global --unset "holdfast.${pair%=*}"
done
for pair in LOCK_DELAY=25h STALE_AFTER=0 MAX_RETRIES=-1 BACKOFF=5s HISTORY=x PRIORITY=high; do
	try env "HOLDFAST_$pair" "$holdfast" acquire o3 -n -S "file:$scratch/f"
	like "HOLDFAST_${pair%=*} is read" "$code $err" "64 *HOLDFAST_${pair%=*}: '${pair#*=}' is refused*"
done

# ---- in a repository: where the settings are found ----
cd "$scratch" || exit 99
git init -q repo
git -C repo commit -q --allow-empty -m first
git -C repo config holdfast.ttl 11m
mkdir -p repo/deep/er
in_dir() {
	local dir=$1
	shift
	(cd "$dir" && "$@")
}
is "a repository's config counts" "$(in_dir repo ttl_of)" 660000
is "below its top, too" "$(in_dir repo/deep/er ttl_of)" 660000
is "in .git, too" "$(in_dir repo/.git ttl_of)" 660000
git -C repo worktree add -q ../tree
is "in another worktree" "$(in_dir tree ttl_of)" 660000
git clone -q --bare repo bare.git
git -C bare.git config holdfast.ttl 12m
is "in a bare repository" "$(in_dir bare.git ttl_of)" 720000
is "GIT_DIR counts" "$(GIT_DIR=$scratch/bare.git ttl_of)" 720000
is "not outside" "$(in_dir plain ttl_of)" 300000
mkdir -p fake/.git
is "an empty .git is no repository" "$(in_dir fake ttl_of)" 300000
git init -q outer
mkdir -p outer/in/.git
git -C outer config holdfast.ttl 13m
is "and the search goes on above it" "$(in_dir outer/in ttl_of)" 780000
git -C repo config extensions.worktreeConfig true
git -C tree config --worktree holdfast.ttl 14m
is "a worktree's own config counts" "$(in_dir tree ttl_of)" 840000
is "for it alone" "$(in_dir repo ttl_of)" 660000

# ---- in a repository: the default store ----
if "$holdfast" stores | grep -q '^git	'; then
	is "inside a repository it is the store" "$(in_dir repo store_of)" "git:$scratch/repo/.git (the default)"
	is "also from below" "$(in_dir repo/deep/er store_of)" "git:$scratch/repo/.git (the default)"
	is "all worktrees share it" "$(in_dir tree store_of)" "git:$scratch/repo/.git (the default)"
	is "a bare one" "$(in_dir bare.git store_of)" "git:$scratch/bare.git (the default)"
fi

done_testing
