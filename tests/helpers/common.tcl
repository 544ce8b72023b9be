# What the helper programs share: the client, and a dead server ends them quietly.

encoding system utf-8
namespace eval harness {
    variable tests_dir [file dirname [file dirname [file normalize [info script]]]]
}
set ::external 0
set ::singledb 0
set ::slow_factor 1
set ::tls [info exists ::env(TEST_TLS)]
foreach name {diff resp tls data} {
    source [file join $::harness::tests_dir lib $name.tcl]
}
# The server may stand still for as long as the test likes.
set resp::patience_ms 0

# A client named LOAD_HANDLER on database DB, with its random data seeded.
proc helper_client {host port db seed} {
    expr {srand($seed + 1)}
    set client [valkey $host $port]
    $client client setname LOAD_HANDLER
    if {$db != 0} {
        $client select $db
    }
    return $client
}

# Run the program; losing the connection is its normal end.
proc helper_main {code} {
    if {[catch {uplevel 1 $code} message options]} {
        if {[regexp {^(I/O error|couldn't open socket)} $message]} {
            exit 0
        }
        puts stderr [dict get $options -errorinfo]
        exit 1
    }
    exit 0
}
