# External mode (--host): start_server borrows the one running server. Its data is
# flushed; parameters that overrides change are restored at the end of the block,
# also after an error.

namespace eval external {}

proc external::run {settings code level} {
    set client [servers::open_client $::host $::port]
    $client flushall
    $client function flush
    set before {}
    set failed [catch {configure $client [dict get $settings overrides] before} value failure]
    if {!$failed && $code eq "undefined"} {
        return [dict create host $::host port $::port client $client config {}]
    }
    if {!$failed} {
        lappend ::servers [dict create host $::host port $::port client $client config {} \
            stdout "" stderr ""]
        set depth [llength $::servers]
        set failed [expr {[catch {uplevel #$level $code} value failure] == 1}]
        set client [dict get [lindex $::servers $depth-1] client]
        set ::servers [lrange $::servers 0 $depth-2]
    }
    restore $before
    catch {$client close}
    if {$failed} {
        return -options $failure $value
    }
    return ""
}

# A directive's value as CONFIG SET wants it: without the file's quotes.
proc external::unquote {value} {
    if {[regexp {^'(.*)'$|^"(.*)"$} $value - single double]} {
        return $single$double
    }
    return $value
}

proc external::configure {client overrides before_name} {
    upvar 1 $before_name before
    foreach {key value} $overrides {
        set old [$client config get $key]
        if {[llength $old] == 2} {
            lappend before $key [lindex $old 1]
        }
        $client config set $key [unquote $value]
        if {$key eq "appendonly" && $value eq "yes"} {
            waitForBgrewriteaof $client
        }
    }
}

# On a connection of its own: the test's may be in any state.
proc external::restore {before} {
    if {[catch {valkey $::host $::port} client]} {
        channel::send warn "cannot restore the external server's configuration: $client"
        return
    }
    foreach {value key} [lreverse $before] {
        if {[catch {$client config set $key $value} message]} {
            channel::send warn "cannot restore $key of the external server: $message"
        }
    }
    $client close
}
