#!/bin/sh
# Run units against two servers and print the tests whose result differs.
# Usage: utils/compare-servers.sh SERVER OTHER-SERVER [runtest options...]
# Exit code: 0 no difference, 1 differences, 2 usage.
if [ $# -lt 2 ]; then
    echo "Usage: utils/compare-servers.sh SERVER OTHER-SERVER [runtest options...]" >&2
    exit 2
fi
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 2
one=$1
other=$2
shift 2
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

# run NAME SERVER OPTIONS...: leaves lines of unit, test, result in $scratch/NAME.
run() {
    name=$1
    server=$2
    shift 2
    "$root/runtest" --quiet --server-bin "$server" --junit "$scratch/$name.xml" "$@" >"$scratch/$name.log" 2>&1
    echo "$server: $(tail -n 1 "$scratch/$name.log")"
    if [ ! -f "$scratch/$name.xml" ]; then
        cat "$scratch/$name.log" >&2
        exit 2
    fi
    awk '
        /<testcase / {
            match($0, /classname="[^"]*"/); unit = substr($0, RSTART + 11, RLENGTH - 12)
            match($0, / name="[^"]*"/); test = substr($0, RSTART + 7, RLENGTH - 8)
            state = /<failure/ ? "failed" : /<error/ ? "error" : /<skipped/ ? "skipped" : "passed"
            # Tests of one name are numbered.
            n = ++seen[unit, test]
            print unit ": " test (n > 1 ? " #" n : "") "\t" state
        }' "$scratch/$name.xml" | LC_ALL=C sort >"$scratch/$name"
}

run one "$one" "$@"
run other "$other" "$@"
tab=$(printf '\t')
LC_ALL=C join -t "$tab" -a 1 -a 2 -e missing -o 0,1.2,2.2 "$scratch/one" "$scratch/other" |
    awk -F '\t' '$2 != $3 { print $2 " | " $3 " | " $1; n++ } END { exit n > 0 }'
