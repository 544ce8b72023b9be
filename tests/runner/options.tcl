# The command line: one table of options, from which parsing, defaults and the
# help text are made.
#
# A row is {NAME ARGUMENTS KIND DEFAULT HELP}. KIND says how values add up:
#   flag   no argument, becomes 1          value  the last one wins
#   int    a whole number of 0 or more     num    a number above 0
#   list   repeatable                      pairs  repeatable, two arguments
#   count  no argument, counts             action handled by `options::parse`
# The key in the result is NAME without dashes, with _ for - inside.

namespace eval options {
    variable table {
        {--single UNIT list {} "run only this unit: a name (unit/type/list), a path or a glob; repeatable"}
        {--only TEST list {} "run only tests of this name, or matching the regexp behind a leading /; repeatable"}
        {--skiptest TEST list {} "leave these tests out, matched like --only; repeatable"}
        {--skipfile FILE list {} "file of --skiptest entries, one per line; repeatable"}
        {--skipunit UNIT list {} "leave this unit out; repeatable"}
        {--skip-till UNIT value {} "leave out all units up to and including UNIT, in listing order"}
        {--tags TAGS list {} "words are required (any one suffices), words with a minus are denied; repeatable"}
        {--list-tests {} action 0 "print the units and exit"}
        {--list-cases {} action 0 "print unit:line: test for each test found in the selected units, and exit"}
        {--list-tags {} action 0 "print the known tags, their uses and meaning, and exit"}
        {--help {} action 0 "print this text and exit"}
        {--server-bin PATH value {} "server under test (default: VALKEY_BIN_DIR, release, fast and debug in CARGO_TARGET_DIR and in target, PATH)"}
        {--other-server-bin PATH value {} "a second server, for `start_server {server other}` and needs:other-server"}
        {--bin-dir DIR value {} "directory with the server and its tools"}
        {--peer {} flag 0 "treat the server as a foreign one: leave peer:skip tests out"}
        {--ours {} flag 0 "treat the server as ours, wherever it lies"}
        {--host HOST value {} "external mode: test a running server (its data is flushed!)"}
        {--port PORT int 6379 "port of the external server"}
        {--user NAME value {} "user name for the external server"}
        {--pass PASSWORD value {} "password for the external server"}
        {--clients N int 0 "units run at once (default: two per core, at most 16)"}
        {--baseport PORT int 12000 "first port servers may use (cluster bus: 10000 above)"}
        {--portcount N int 8000 "number of ports from there on"}
        {--timeout SECONDS num 300 "end a unit that reports nothing for so long outside of tests"}
        {--test-timeout SECONDS num 300 "end a test that runs longer (a tag timeout:SECONDS raises it)"}
        {--slow-factor X num 1 "multiply waits and deadlines"}
        {--config {KEY VALUE} pairs {} "extra directive for every server started; repeatable"}
        {--seed N int -1 "seed of all random data (default: chosen and printed)"}
        {--accurate {} flag 0 "longer randomised loops"}
        {--large-memory {} flag 0 "also run tests tagged large-memory"}
        {--singledb {} flag 0 "never SELECT, leave singledb:skip tests out"}
        {--cluster-mode {} flag 0 "the server is cluster enabled: implies --singledb, leaves cluster:skip out"}
        {--tls {} flag 0 "run over TLS (needs tcl-tls), leave tls:skip out"}
        {--io-threads {} flag 0 "start servers with io-threads 2, leave io-threads:skip out"}
        {--ignore-encoding {} flag 0 "assert_encoding always passes"}
        {--ignore-digest {} flag 0 "the digest procs return a constant"}
        {--no-latency {} flag 0 "leave wall-clock assertions out"}
        {--verbose {} count 0 "once: server starts; twice: also test starts"}
        {--quiet {} flag 0 "print failures and finished units only"}
        {--dump-logs {} flag 0 "print whole server logs at a failure"}
        {--fastfail {} flag 0 "stop the run at the first failure"}
        {--durable {} flag 1 "go on after Tcl errors (always on; accepted for compatibility)"}
        {--keep-going {} flag 1 "same as --durable"}
        {--abort-on-error {} flag 0 "stop the run at the first error that is not an assertion"}
        {--stop {} flag 0 "wait for Enter at a failure, servers up (one client)"}
        {--wait-server {} flag 0 "wait for Enter after each server start (one client)"}
        {--loop {} flag 0 "repeat the units until stopped"}
        {--loops N int 1 "repeat the units N times"}
        {--dont-clean {} flag 0 "keep scratch files"}
        {--dont-pre-clean {} flag 0 "leave scratch files of finished runs alone"}
        {--retry N int 0 "afterwards, run units with failures again, alone, up to N times; tests that pass then are flaky"}
        {--each-alone {} flag 0 "afterwards, run each test that passed once more, alone in a process of its own (but for slow ones)"}
        {--flaky-ok {} flag 0 "flaky tests count as passed (default: as failed)"}
        {--flaky-log FILE value {} "where the times are kept that a test was flaky (default: tests/tmp/flaky.tsv)"}
        {--quarantine FILE value {} "known failures, lines of unit, test, issue and expiry date with tabs between"}
        {--junit FILE value {} "write a JUnit XML report"}
        {--tap FILE value {} "write a TAP 14 report"}
        {--events FILE value {} "write each event as a line of JSON while the run goes on"}
        {--durations N int 10 "length of the list of slowest tests"}
    }
}

proc options::key {name} {
    string map {- _} [string range $name 2 end]
}

proc options::fail {message} {
    throw {HARNESS USAGE} $message
}

# Parse ARGV into a dict of all keys. Errors carry the code {HARNESS USAGE}.
proc options::parse {argv} {
    variable table
    foreach row $table {
        lassign $row name arguments kind default
        dict set rows $name $row
        dict set result [key $name] $default
    }
    dict set result given {}
    while {[llength $argv]} {
        set argv [lassign $argv name]
        if {![dict exists $rows $name]} {
            fail "Wrong argument: $name"
        }
        lassign [dict get $rows $name] - arguments kind
        if {[llength $argv] < [llength $arguments]} {
            fail "$name needs [join $arguments { and }]"
        }
        set values [lrange $argv 0 [llength $arguments]-1]
        set argv [lrange $argv [llength $arguments] end]
        set key [key $name]
        dict lappend result given $key
        set value [lindex $values 0]
        switch -- $kind {
            flag - action { dict set result $key 1 }
            count { dict incr result $key }
            value { dict set result $key $value }
            list { dict lappend result $key $value }
            pairs { dict lappend result $key {*}$values }
            int {
                if {![regexp {^\d{1,9}$} $value]} {
                    fail "$name needs a whole number, not '$value'"
                }
                dict set result $key [scan $value %d]
            }
            num {
                if {![string is double -strict $value] || $value <= 0} {
                    fail "$name needs a number above 0, not '$value'"
                }
                dict set result $key $value
            }
        }
    }
    return [settle $result]
}

# What one option implies for another, and files that options name.
proc options::settle {result} {
    if {[dict get $result cluster_mode]} {
        dict set result singledb 1
    }
    if {"loops" in [dict get $result given] && [dict get $result loops] < 1} {
        fail "--loops needs a number of 1 or more"
    }
    foreach path [dict get $result skipfile] {
        if {[catch {open $path} channel]} {
            fail "--skipfile: $channel"
        }
        foreach line [split [read $channel] \n] {
            if {[string trim $line] ne ""} {
                dict lappend result skiptest [string trim $line]
            }
        }
        close $channel
    }
    set other [dict get $result other_server_bin]
    if {$other ne ""} {
        if {![string match */* $other]} {
            set other [lindex [auto_execok $other] 0]
        }
        if {![file executable $other]} {
            fail "--other-server-bin: '$other' is no program"
        }
        dict set result other_server_bin [file normalize $other]
    }
    dict set result external [expr {[dict get $result host] ne ""}]
    if {[dict get $result external] || [dict get $result stop] || [dict get $result wait_server]} {
        dict set result clients 1
    }
    if {[dict get $result clients] == 0} {
        dict set result clients [default_clients]
    }
    if {[dict get $result seed] < 0} {
        dict set result seed [expr {([clock microseconds] ^ [pid] * 2654435761) % 1000000000}]
    }
    return $result
}

proc options::default_clients {} {
    set cores 2
    if {![catch {open /proc/cpuinfo} channel]} {
        set cores [regexp -all -line {^processor\s*:} [read $channel]]
        close $channel
    }
    return [expr {max(1, min(16, $cores * 2))}]
}

proc options::help {} {
    variable table
    set text "Usage: ./runtest \[options\]\n"
    foreach row $table {
        lassign $row name arguments kind default help
        append text [format "  %-24s %s\n" "$name [join $arguments]" $help]
    }
    append text "Exit codes: 0 all passed, 1 failures, 2 usage or nothing selected, "
    append text "3 environment broken, 130 interrupted."
}
