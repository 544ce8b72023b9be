#!/bin/sh
# Everything: installs what is missing, then format, lints, tests of every crate, the Tcl suite on our binary (with one I/O
# thread and with several) and the same suite on the reference. Ends with a failure if anything failed.
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

# Runs the Tcl suite. On an overloaded machine a test may wait in vain: the units in which something failed run again, one
# at a time, and only what fails then too is a failure. Both outcomes are printed.
tcl() {
    ./runtest --quiet --clients 4 --retry 1 --flaky-ok "$@"
}

utils/install-deps.sh
step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
step "crate tests" cargo test --workspace --quiet
step "release build" cargo build --release --quiet
# On the reference, which has all that the vocabulary needs.
step "the Tcl harness itself" tests/selftest/run
step "a unit in the Valkey suite's manner" tests/selftest/run --server-bin "$built/release/valkey-server" "a unit in*"
step "Tcl suite on our server" tcl
# Another runtime than the one of a single thread.
step "Tcl suite on our server with I/O threads" tcl --io-threads
step "Tcl suite on the reference" tcl --server-bin "$(command -v valkey-server)"
step "our primary, the reference as replica" tcl --other-server-bin "$(command -v valkey-server)" \
    --single integration/replication-pairs
step "the reference as primary, our replica" tcl --server-bin "$(command -v valkey-server)" \
    --other-server-bin "$built/release/valkey-server" --single integration/replication-pairs
exit "$failed"
