#!/bin/sh
# Installs what the tests need on a fresh Debian 12 machine with Rust: Tcl, and the reference server (Valkey 8.0.1) from the
# release's backports suite. The suite is enabled with the mirror address that the machine's own apt sources name.
set -eu

need_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

have_all() {
    for program in tclsh openssl valkey-server valkey-cli valkey-benchmark valkey-check-rdb ps strace; do
        command -v "$program" >/dev/null 2>&1 || return 1
    done
    echo 'package require tls' | tclsh >/dev/null 2>&1 || return 1
    valkey-server -v | grep -q 'v=8\.0\.1 ' || return 1
}

# The first mirror of the machine's sources that serves this release, in either format of sources files.
mirror() {
    codename=$1
    {
        cat /etc/apt/sources.list 2>/dev/null || true
        cat /etc/apt/sources.list.d/*.list 2>/dev/null || true
    } | awk -v suite="$codename" '$1 == "deb" { for (i = 2; i < NF; i++) if ($i !~ /^\[/ && $(i + 1) == suite) { print $i; exit } }' |
        grep . && return
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        awk -v suite="$codename" '
            /^URIs:/ { uri = $2 }
            /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == suite) found = 1 }
            /^$/ { if (found && uri != "") { print uri; exit } uri = ""; found = 0 }
            END { if (found && uri != "") print uri }' "$file" | head -n 1 | grep . && return
    done
    return 1
}

have_all && exit 0

. /etc/os-release
suite="${VERSION_CODENAME}-backports"
if ! grep -rqs "$suite" /etc/apt/sources.list /etc/apt/sources.list.d; then
    address=$(mirror "$VERSION_CODENAME") || {
        echo "No mirror for $VERSION_CODENAME found in the apt sources of this machine" >&2
        exit 1
    }
    printf 'deb %s %s main\n' "$address" "$suite" |
        need_root tee /etc/apt/sources.list.d/valkey-backports.list >/dev/null
fi
export DEBIAN_FRONTEND=noninteractive
need_root apt-get update -qq
need_root apt-get install -y -qq tcl tcl-tls openssl procps strace gcc make
# The packages start services of their own; the tests want none of them.
need_root apt-get install -y -qq -t "$suite" valkey-server valkey-tools valkey-sentinel
for service in valkey-server valkey-sentinel; do
    need_root service "$service" stop >/dev/null 2>&1 || true
done
have_all || {
    echo "Something the tests need is still missing" >&2
    exit 1
}
