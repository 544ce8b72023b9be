# External mode (--host): start_server borrows the one running server. Its data is
# flushed; parameters that differ at the end of the block are set back, also after an
# error.

namespace eval external {}

proc external::run {settings code level} {
    set client [servers::open_client $::host $::port]
    $client flushall
    # A server without scripting has no functions to flush.
    if {[catch {$client function flush} message options] && ![string match "ERR unknown command*" $message]} {
        return -options $options $message
    }
    set before [$client config get *]
    set failed [catch {configure $client [dict get $settings overrides]} value failure]
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

proc external::configure {client overrides} {
    foreach {key value} $overrides {
        $client config set $key [unquote $value]
        if {$key eq "appendonly" && $value eq "yes"} {
            waitForBgrewriteaof $client
        }
    }
}

# On a connection of its own: the test's may be in any state. What DEBUG switches is
# no parameter; where DEBUG is refused no test has switched it.
proc external::restore {before} {
    if {[catch {valkey $::host $::port} client]
            || [catch {$client config get *} after]} {
        channel::send warn "cannot restore the external server's configuration"
        return
    }
    foreach {key value} $before {
        if {[dict exists $after $key] && [dict get $after $key] ne $value
                && [catch {$client config set $key $value} message]} {
            channel::send warn "cannot restore $key of the external server: $message"
        }
    }
    catch {$client debug set-active-expire 1}
    $client close
}
