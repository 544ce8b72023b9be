# Random SETs for some seconds: HOST PORT SECONDS SEED DB ?KEY?

source [file join [file dirname [file normalize [info script]]] common.tcl]

proc write_load {host port seconds seed db {key ""}} {
    set client [helper_client $host $port $db $seed]
    $client deferred 1
    set end [expr {[clock seconds] + $seconds}]
    while {[clock seconds] < $end} {
        for {set i 0} {$i < 20} {incr i} {
            $client set [expr {$key eq "" ? rand() : $key}] [expr {rand()}]
        }
        for {set i 0} {$i < 20} {incr i} {
            # Errors (LOADING, MASTERDOWN, OOM) are no reason to stop.
            if {[catch {$client read} message] && [string match "I/O error*" $message]} {
                error $message
            }
        }
    }
}

helper_main {write_load {*}$argv}
