# Handing out the ports of this unit's slab: in rising order, not used again
# before the slab wraps, only when the port and its bus port can be bound.

namespace eval ports {
    variable first 0
    variable count 0
    variable cursor 0
}

proc ports::configure {from width at} {
    variable first $from
    variable count $width
    variable cursor $at
}

proc ports::free {port} {
    foreach number [list $port [expr {$port + $portrange::bus_offset}]] {
        if {[catch {socket -server list -myaddr 127.0.0.1 $number} guard]} {
            return 0
        }
        close $guard
    }
    return 1
}

# The next free port; conflicts are reported with the owner's name.
proc ports::next {} {
    variable first
    variable count
    variable cursor
    for {set i 0} {$i < $count} {incr i} {
        set port [expr {$first + $cursor}]
        set cursor [expr {($cursor + 1) % $count}]
        if {[free $port]} {
            return $port
        }
        channel::send note "\[environment\]: port $port or its bus port is taken[owner $port]" 1
    }
    throw {HARNESS BROKEN} "no free port in $first-[expr {$first + $count - 1}]"
}

# Who listens on PORT or its bus port, by the kernel's tables.
proc ports::owner {port} {
    foreach number [list $port [expr {$port + $portrange::bus_offset}]] {
        set hex [format %04X $number]
        if {[catch {catalog::read_file /proc/net/tcp} table]
                || ![regexp -line "^ *\\d+: \[0-9A-F\]+:$hex \\S+ 0A (?:\\S+ +){5}(\\d+)" $table - inode]} {
            continue
        }
        foreach link [glob -nocomplain /proc/\[0-9\]*/fd/*] {
            if {![catch {file readlink $link} target] && $target eq "socket:\[$inode\]"} {
                set pid [lindex [file split $link] 2]
                return " by process $pid ([string map {\x00 { }} [catalog::read_file /proc/$pid/cmdline]])"
            }
        }
    }
    return ""
}

# For tests that need a port no server listens on.
proc find_available_port {{start 0} {count 0}} {
    ports::next
}
