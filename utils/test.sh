#!/bin/sh
# Everything: installs what is missing, then format, lints, tests of every crate, the Tcl suite on our binary (with one I/O
# thread and with several) and the same suite on the reference. Ends with the tests that needed a second run, and with a
# failure if anything failed.
set -eu
cd "$(dirname "$0")/.."

# Where cargo puts what it builds.
built=${CARGO_TARGET_DIR:-target}
failed=0
step() {
    name=$1
    shift
    printf '\n=== %s\n' "$name"
    if "$@"; then
        printf -- '--- %s: ok\n' "$name"
    else
        printf -- '--- %s: FAILED\n' "$name"
        failed=1
    fi
}

# The gate is repeatable: random tests start from these seeds here, from fresh ones when run alone. Each prints its own.
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-20241122}"
export DIFF_SEED="${DIFF_SEED:-7}" DIFF_COMMANDS="${DIFF_COMMANDS:-8000}" HOSTILE_SEED="${HOSTILE_SEED:-7}" FUZZ_SEED="${FUZZ_SEED:-7}"

# What nobody has tried yet is tried too: a second round starts from a seed of this run's own. FRESH_SEED repeats it.
fresh_seed="${FRESH_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}"
fresh() {
    PROPTEST_RNG_SEED=$fresh_seed DIFF_SEED=$fresh_seed HOSTILE_SEED=$fresh_seed FUZZ_SEED=$fresh_seed \
        cargo test --workspace --quiet
}

# Licences, sources and doubled versions need no network; utils/extra-checks.sh adds what does.
dependencies() {
    if ! command -v cargo-deny >/dev/null 2>&1; then
        echo "cargo-deny is not installed (utils/extra-checks.sh does that): left out"
        return 0
    fi
    cargo fetch --locked --quiet && cargo deny --offline check bans licenses sources
}

# Each line of this file is a test that failed and then passed; it stays from run to run.
second_runs=tests/tmp/flaky.tsv
sent=$PWD/tests/tmp/sent-events
mkdir -p tests/tmp
touch "$second_runs"
second_runs_before=$(wc -l <"$second_runs")

# Runs the Tcl suite. On an overloaded machine a test may wait in vain: the units in which something failed run again, one
# at a time, and only what fails then too is a failure. Both outcomes are printed.
tcl() {
    ./runtest --quiet --clients 4 --retry 1 --flaky-ok "$@"
}

# What depends on how bytes travel: the protocol, logging in, and synchronisations on one connection and on two.
over_tls() {
    tcl --tls --single unit/tls --single unit/protocol --single unit/auth --single integration/replication-sync \
        --single integration/dual-channel --single integration/dual-channel-failures "$@"
}

utils/install-deps.sh
step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
step "dependencies" dependencies
step "crate tests" cargo test --workspace --quiet
step "crate tests with fresh seeds (FRESH_SEED=$fresh_seed)" fresh
# What is measured with is not part of what is shipped, and needs minutes more.
step "release build" cargo build --release --quiet --workspace --exclude full-sync
# What is unsafe is tried as the compiler makes it for users: a dangling place may work as long as nothing is optimised.
step "tests of the keyspace, optimised" cargo test --release --quiet -p keyspace
step "attacks on synchronisations" utils/sync-campaign --smoke --seed "$DIFF_SEED" --peer "$(command -v valkey-server)"
# On the reference, which has all that the vocabulary needs.
step "the Tcl harness itself" tests/selftest/run
step "a unit in the Valkey suite's manner" tests/selftest/run --server-bin "$built/release/valkey-server" "a unit in*"
step "Tcl suite on our server, and each test alone" tcl --each-alone --events "$sent"
step "commands that were sent" env SENT_EVENTS="$sent" cargo test --quiet -p server --test tidy -- --nocapture every_command
# Another runtime than the one of a single thread.
step "Tcl suite on our server with I/O threads" tcl --io-threads
step "units over TLS on our server" over_tls
step "units over TLS on the reference" over_tls --server-bin "$(command -v valkey-server)"
step "Tcl suite on the reference" tcl --server-bin "$(command -v valkey-server)"
step "our primary, the reference as replica" tcl --other-server-bin "$(command -v valkey-server)" \
    --single integration/replication-pairs
step "the reference as primary, our replica" tcl --server-bin "$(command -v valkey-server)" \
    --other-server-bin "$built/release/valkey-server" --single integration/replication-pairs

second=$(($(wc -l <"$second_runs") - second_runs_before))
printf '\nTests that needed a second run: %s\n' "$second"
tail -n "$second" "$second_runs"
exit "$failed"
