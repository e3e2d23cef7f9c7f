#!/usr/bin/env bash
# Installs what the tests need and runs them all.
set -euo pipefail
cd "$(dirname "$0")"

command -v cargo >/dev/null || { echo "test.sh: no Rust toolchain; install it from https://rustup.rs" >&2; exit 1; }
cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked

# PostgreSQL for the tests of the store: each starts a cluster of its own.
if ! compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null && ! command -v initdb >/dev/null; then
    command -v apt-get >/dev/null || { echo "test.sh: no PostgreSQL; install its server (initdb, pg_ctl, psql) so that they are in PATH" >&2; exit 1; }
    as_root=; [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
fi

# An S3-speaking server for the tests of the storage.
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
if [ ! -x "$target/moto/bin/moto_server" ]; then
    command -v python3 >/dev/null || { echo "test.sh: no Python 3 for moto_server; install python3 with venv" >&2; exit 1; }
    python3 -m venv "$target/moto"
    "$target/moto/bin/pip" install --quiet --disable-pip-version-check 'moto[s3,server]==5.2.5'
fi

# A witness and a verifier of transparency logs, of somebody else's making. They ask
# for Python 3.12 and run on 3.11 too.
if [ ! -x "$target/witness/bin/aics-witness" ]; then
    command -v python3 >/dev/null || { echo "test.sh: no Python 3 for aics-witness; install python3 with venv" >&2; exit 1; }
    python3 -m venv "$target/witness"
    "$target/witness/bin/pip" install --quiet --disable-pip-version-check --ignore-requires-python 'aics-witness==0.1.0' 'aics-tlog==0.2.1'
fi

# What the client builds only if it is asked to is tested with the rest.
cargo nextest run --workspace --features tests/blind-rsa --locked "$@"
cargo test --workspace --features tests/blind-rsa --locked --doc
