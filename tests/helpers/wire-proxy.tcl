# A TCP proxy that keeps what passes: PORT HOST TARGET_PORT DIR.
# Connection N leaves DIR/N.in (towards the target) and DIR/N.out (from it). In a run over
# TLS it speaks that to both sides, and keeps what is inside.

source [file join [file dirname [file normalize [info script]]] common.tcl]
lassign $argv port host target dir
set count 0

proc accept {client address from} {
    set n $::count
    incr ::count
    if {[catch {run_socket $::host $::target} server]} {
        close $client
        return
    }
    foreach {channel name} [list $client in $server out] {
        fconfigure $channel -translation binary -blocking 0 -buffering none
        set log($name) [open $::dir/$n.$name wb]
        fconfigure $log($name) -buffering none
    }
    fileevent $client readable [list pass $client $server $log(in)]
    fileevent $server readable [list pass $server $client $log(out)]
}

# What one side says goes to the other; one end closed closes both.
proc pass {from to log} {
    if {[catch {read $from 65536} bytes] || ($bytes eq "" && [eof $from])} {
        catch {close $from}
        catch {close $to}
        return
    }
    puts -nonewline $log $bytes
    if {[catch {puts -nonewline $to $bytes}]} {
        catch {close $from}
        catch {close $to}
    }
}

run_listen accept $port
close [open $dir/ready w]
vwait forever
