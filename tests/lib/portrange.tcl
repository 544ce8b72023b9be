# Dividing the port range among runs and slots.
#
# The range is cut into lanes of a thousand ports; a run takes the first lane whose
# first port it can listen on, and holds that port as a guard. Behind the guard a
# lane is cut evenly into slabs, one per slot.

namespace eval portrange {
    variable lane_size 1000
    variable bus_offset 10000
}

# Refuse a range that reaches into the kernel's ephemeral ports or beyond 65535.
# EPHEMERAL is the text of ip_local_port_range, or empty.
proc portrange::check {base count ephemeral} {
    variable bus_offset
    set last [expr {$base + $count - 1 + $bus_offset}]
    if {$base < 1024 || $count < 50 || $last > 65535} {
        return "ports $base to $last (with cluster bus) do not fit into 1024-65535, or are fewer than 50"
    }
    if {[scan $ephemeral "%d %d" low high] == 2 && $last >= $low && $base <= $high} {
        return "ports $base to $last (with cluster bus) overlap the kernel's ephemeral range $low-$high"
    }
    return ""
}

proc portrange::ephemeral {} {
    if {[catch {open /proc/sys/net/ipv4/ip_local_port_range} channel]} {
        return ""
    }
    set text [read $channel]
    close $channel
    return $text
}

# Take a lane: {GUARD-SOCKET FIRST COUNT}; empty when all are taken.
proc portrange::take_lane {base count} {
    variable lane_size
    set lanes [expr {max(1, $count / $lane_size)}]
    for {set lane 0} {$lane < $lanes} {incr lane} {
        set first [expr {$base + $lane * $lane_size}]
        if {![catch {socket -server list -myaddr 127.0.0.1 $first} guard]} {
            set size [expr {min($lane_size, $base + $count - $first)}]
            return [list $guard [expr {$first + 1}] [expr {$size - 1}]]
        }
    }
    return {}
}
