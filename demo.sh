#!/usr/bin/env bash
# The whole idea in one run: a directory of signed mappings becomes an
# encrypted snapshot, is served over TLS and looked up by PIR.
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
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

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
printf '\033[2m$ sotto-server --data dp serve 2> server.log &\033[0m\n'
sotto-server --data dp serve 2> server.log &
server=$!
address=
for _ in $(seq 600); do
    address=$(sed -n 's/.*serving.*address[="]*[:"]*\(127\.0\.0\.1:[0-9]*\).*/\1/p' server.log | head -n 1)
    [ -z "$address" ] || break
    kill -0 "$server" 2>/dev/null || { cat server.log >&2; exit 1; }
    sleep 0.1
done
[ -n "$address" ] || { echo "demo.sh: the server did not start" >&2; cat server.log >&2; exit 1; }
port=${address##*:}

say "Look some identifiers up: present, opted out, without mapping, absent"
sed 's/.*"identifier":"\([^"]*\)".*/\1/' answers.jsonl > identifiers.txt
cat > client.toml <<TOML
server = "https://localhost:$port"
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

say "What the server saw: who, when, which route, how many bytes; never what"
kill -TERM "$server"
wait "$server"
server=
cat server.log
while read -r identifier; do
    if grep -qF -e "${identifier#*:}" server.log; then
        echo "demo.sh: the server logged an identifier" >&2
        exit 1
    fi
done < identifiers.txt
echo "none of the identifiers is in it"
