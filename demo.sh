#!/usr/bin/env bash
# The whole idea in one run: a directory of signed mappings becomes an
# encrypted snapshot, is served over TLS, looked up by PIR and audited; then the
# provider cheats, and is found out.
#
# SOTTO_DEMO_COUNT: identifiers in the directory, 100 000 if not set.
# SOTTO_DEMO_PROGRAMS: directory with sotto and sotto-server; built if not set.
set -euo pipefail
cd "$(dirname "$0")"

count=${SOTTO_DEMO_COUNT:-100000}
lookups=12

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
run() {
    printf '\033[2m$ %s\033[0m\n' "$*"
    "$@"
}

programs=${SOTTO_DEMO_PROGRAMS:-}
if [ -z "$programs" ]; then
    command -v cargo >/dev/null || { echo "demo.sh: no Rust toolchain; install it from https://rustup.rs" >&2; exit 1; }
    say "Build the two binaries"
    run cargo build --release --locked -p server -p client
    target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    programs="$target/release"
fi
PATH="$programs:$PATH"

work=$(mktemp -d)
servers=()
cleanup() {
    [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

# Serves a data directory; gives the process in `server`, the address in `url`.
serve() {
    printf '\033[2m$ sotto-server --data %s serve 2> %s.log &\033[0m\n' "$1" "$1"
    sotto-server --data "$1" serve 2> "$1.log" &
    server=$!
    servers+=("$server")
    await "$1" 'serving.*address[="]*[:"]*127\.0\.0\.1:[0-9]'
    url=https://localhost:$(sed -n 's/.*serving.*address[="]*[:"]*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$1.log" | head -n 1)
}

# Waits until the server of a data directory has logged this.
await() {
    for _ in $(seq 3000); do
        ! grep -q "$2" "$1.log" || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "demo.sh: the server of $1 did not come to it" >&2
    cat "$1.log" >&2
    exit 1
}

# Has the last server publish another snapshot.
publish() {
    run kill -HUP "$server"
    await "$1" 'serving a new snapshot'
}

stop() {
    kill -TERM "$1"
    wait "$1"
}

# Changes one bit of a file.
flip() {
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Runs an audit that must end with this code: with 3 the provider does not pass, with 1
# it can't be audited.
ends_with() {
    expected=$1 code=0
    shift
    run "$@" || code=$?
    [ $code = "$expected" ] || { echo "demo.sh: the audit ended with $code" >&2; exit 1; }
}
found_out() { ends_with 3 "$@"; }

say "A sample directory: $count invented recipients with signed credentials and mappings"
run sotto-server sample --count "$count" --seed 7 --out sample.jsonl --trust trust.toml \
    --answers answers.jsonl --answers-count "$lookups"

say "A provider: keys, configuration, a certificate for loopback, one sender"
run sotto-server --data dp init --trust trust.toml --listen 127.0.0.1:0
printf '\033[2m$ sotto-server --data dp sender add demo > api.key\033[0m\n'
(umask 077 && sotto-server --data dp sender add demo > api.key)

say "Import: every signature is verified"
run sotto-server --data dp import sample.jsonl

say "Build the snapshot and look at it"
run sotto-server --data dp snapshot build
run sotto-server --data dp snapshot inspect

say "Serve it"
serve dp
honest=$server

say "Look some identifiers up: present, opted out, without mapping, absent"
sed 's/.*"identifier":"\([^"]*\)".*/\1/' answers.jsonl > identifiers.txt
cat > client.toml <<TOML
server = "$url"
dp_key_file = "dp/dp.pub"
trust = "trust.toml"
ca = "dp/tls/cert.pem"
api_key_file = "api.key"
TOML
run sotto lookup --config client.toml --verbose --file identifiers.txt
printf '\033[2m$ sotto lookup --config client.toml --file identifiers.txt --json > found.jsonl\033[0m\n'
sotto lookup --config client.toml --file identifiers.txt --json > found.jsonl

say "Every answer against what the directory holds"
run diff answers.jsonl found.jsonl
echo "all $(wc -l < found.jsonl) answers are right"

say "Audit: the log of manifests, and root and hint computed from the published database"
run sotto audit --config client.toml

say "It cheats: under the same keys some are shown another directory"
mkdir -p other/snapshots
cp -R dp/{config.toml,dp.pub,keys,senders.toml,tls,trust.toml} other
head -n 200 sample.jsonl > few.jsonl
run sotto-server --data other import few.jsonl
run sotto-server --data other snapshot build
serve other
found_out sotto audit chain --config client.toml --also "$url"

say "There it publishes again, and leaves that out of the log"
log=other/snapshots/log
cp $log/checkpoint-* checkpoint.before
publish other
checkpoint=$(ls -t $log/checkpoint-* | head -n 1)
cp "$checkpoint" checkpoint.after
cp checkpoint.before "$checkpoint"
ends_with 1 sotto audit chain --config client.toml --server "$url"
cp checkpoint.after "$checkpoint"

say "It alters a manifest in the log"
flip $log/0/2-* 300
found_out sotto audit chain --config client.toml --server "$url"
flip $log/0/2-* 300
run sotto audit --config client.toml --server "$url"

say "It goes back to the old snapshot, before somebody who has seen the new one"
run sotto lookup --config client.toml --server "$url" --cache seen --file <(head -n 1 identifiers.txt)
found_out sotto audit chain --config client.toml --cache seen --server-lag 1
stop "$server"
servers=("$honest")

say "An altered snapshot isn't even served"
snapshot=other/snapshots/$(cat other/snapshots/current).sotto
flip "$snapshot" 1000000
! run sotto-server --data other snapshot inspect || exit 1

say "What the server saw: who, when, which route, how many bytes; never what"
stop "$honest"
servers=()
cat dp.log
while read -r identifier; do
    if grep -qF -e "${identifier#*:}" dp.log; then
        echo "demo.sh: the server logged an identifier" >&2
        exit 1
    fi
done < identifiers.txt
echo "none of the identifiers is in it"
