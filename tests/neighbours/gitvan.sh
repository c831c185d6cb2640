#!/usr/bin/env bash
# git:PATH?layout=blob and programs that keep seed-style locks with git itself.
. "$(dirname "$0")/../cli/lib.sh"

git init -q "$scratch/repo"
cd "$scratch/repo" || exit 99
store="git:$scratch/repo?layout=blob"

now_ms() { date +%s%3N; }
blob() { # ID FINGERPRINT TIMEOUT
	printf '{"id":"%s","acquiredAt":%s,"timeout":%s,"fingerprint":"%s","exclusive":true,"pid":%s,"hostname":"%s"}' \
		"$1" "$(now_ms)" "$3" "$2" 4242 elsewhere | git hash-object -w --stdin
}

git update-ref refs/gitvan/locks/build-lock "$(blob some-id build-session-123 600000)"
hf run -S "$store" -n build-lock -- true
is 'a blob written by hand is held' "$code" 1
hf status -S "$store" --json build-lock
for field in '"foreign"*true' 'build-session-123' 'elsewhere' '4242' '600000'; do
	like "status shows its $field" "$out" "*$field*"
done
git update-ref -d refs/gitvan/locks/build-lock
hf run -S "$store" -n build-lock -- true
is 'its ref deleted: it is free' "$code" 0

hf acquire -S "$store" --ttl 10m --fingerprint-file <(printf sesame) ours
ok 'ours is a blob at the same place' git cat-file -e refs/gitvan/locks/ours
is 'it is a blob' "$(git cat-file -t refs/gitvan/locks/ours)" blob
json=$(git cat-file blob refs/gitvan/locks/ours)
ok 'it is JSON with exactly the fields of that layout' python3 -c '
import json, sys, time
d = json.loads(sys.argv[1])
assert list(d) == ["id", "acquiredAt", "timeout", "fingerprint", "exclusive", "pid", "hostname"], d
assert d["fingerprint"] == "sesame" and d["exclusive"] is True
assert abs(d["acquiredAt"] - time.time() * 1000) < 60000
assert d["acquiredAt"] + d["timeout"] > time.time() * 1000 + 500000
' "$json"
ok 'a creator that names "must not exist" is refused' \
	bash -c '! git update-ref refs/gitvan/locks/ours $(git hash-object -w --stdin <<<x) 0000000000000000000000000000000000000000'
printf sesame >"$scratch/fp"
hf release -S "$store" --fingerprint-file "$scratch/fp" ours
is 'released by its fingerprint' "$code" 0
ok '... the ref is gone' bash -c '! git rev-parse -q --verify refs/gitvan/locks/ours'

# Tokens grow through deletions by others.
hf run -S "$store" counted -- sh -c 'echo $HOLDFAST_TOKEN'
first=$out
git update-ref -d refs/gitvan/locks/counted 2>/dev/null
hf run -S "$store" counted -- sh -c 'echo $HOLDFAST_TOKEN'
ok 'tokens grow though the ref was deleted' test "$out" -gt "$first"

git update-ref refs/gitvan/locks/torn "$(echo '{"id": ' | git hash-object -w --stdin)"
hf run -S "$store" -n torn -- true
is 'an unreadable blob is never free' "$code" 65
ok 'the repository is sound' git fsck --strict --no-dangling
done_testing
