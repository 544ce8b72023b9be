#!/bin/sh
# What the gate leaves out because it takes long, or needs the network:
#   memory        the tests of `packed` and `keyspace` under Miri, where the toolchain has it, else under valgrind
#   dependencies  licences, sources, doubled versions and known faults of all dependencies, by cargo-deny
# Usage: utils/extra-checks.sh [memory | dependencies]...   (default: both)
set -eu
cd "$(dirname "$0")/.."

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

# Random tests try this many cases: an interpreter is a hundred times slower, valgrind thirty times.
under_miri() {
    # Miri has no clock and no files unless told so; proptest wants to remember failures in a file.
    PROPTEST_CASES="${PROPTEST_CASES:-4}" MIRIFLAGS="${MIRIFLAGS:--Zmiri-disable-isolation}" \
        cargo ${1:+"$1"} miri test -p packed -p keyspace --lib --tests
}

# In valgrind every test runs in one thread. Memory that is still reachable at the end is the test program's own.
under_valgrind() {
    host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${host}_RUNNER=valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
    PROPTEST_CASES="${PROPTEST_CASES:-16}" cargo test -p packed -p keyspace --lib --tests -- --test-threads 1
}

memory() {
    if cargo miri --version >/dev/null 2>&1; then
        step "memory, under Miri" under_miri ""
    elif cargo +nightly miri --version >/dev/null 2>&1; then
        step "memory, under Miri" under_miri +nightly
    elif command -v valgrind >/dev/null 2>&1; then
        step "memory, under valgrind" under_valgrind
    else
        echo "neither Miri (rustup component add miri) nor valgrind is there" >&2
        failed=1
    fi
}

dependencies() {
    command -v cargo-deny >/dev/null 2>&1 || step "cargo-deny" cargo install cargo-deny --locked
    step "dependencies" cargo deny check
}

[ $# -gt 0 ] || set -- memory dependencies
for part in "$@"; do
    case $part in
        memory) memory ;;
        dependencies) dependencies ;;
        *)
            sed -n '2,/^set/s/^# //p' "$0" >&2
            exit 2
            ;;
    esac
done
exit "$failed"
