# Subscribing with a deferring client: send, read all confirmations, return counts.

namespace eval pubsub {}

# Read a confirmation of TYPE for each of CHANNELS (in any order); with none, read
# one. Returns the subscription counts.
proc pubsub::confirm {client type channels} {
    set counts {}
    set left $channels
    for {set i [expr {max(1, [llength $channels])}]} {$i > 0} {incr i -1} {
        set message [$client read]
        assert_equal $type [lindex $message 0]
        if {[llength $channels]} {
            set at [lsearch -exact $left [lindex $message 1]]
            if {$at < 0} {
                expect::failed "unexpected $type of '[lindex $message 1]', waiting for '$left'"
            }
            set left [lreplace $left $at $at]
        }
        lappend counts [lindex $message 2]
    }
    return $counts
}

proc consume_subscribe_messages {client type channels} {
    pubsub::confirm $client $type $channels
}

foreach prefix {{} p s} {
    proc ${prefix}subscribe {client channels} [string map [list @type ${prefix}subscribe] {
        $client @type {*}$channels
        pubsub::confirm $client @type $channels
    }]
    proc ${prefix}unsubscribe {client {channels {}}} [string map [list @type ${prefix}unsubscribe] {
        $client @type {*}$channels
        pubsub::confirm $client @type $channels
    }]
}

# The keyspace events that CLIENT, a subscriber of __keyevent@*, has been told since it was last asked:
# event, key, event, key and so on.
proc told_events {client} {
    r publish __keyevent@end ""
    set told {}
    while {1} {
        lassign [$client read] kind pattern channel key
        if {$channel eq "__keyevent@end"} {
            return $told
        }
        lappend told [regsub {^__keyevent@\d+__:} $channel {}] $key
    }
}
