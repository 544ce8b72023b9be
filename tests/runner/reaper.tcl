# The process registry and the killer of orphans.
#
# Every process of a run is appended to RUNDIR/processes as `PID STARTTIME WHAT`
# by whoever started it. The reaper process holds a pipe from the coordinator; when
# that closes, for whatever reason, it kills what is registered and still is the
# same process (same start time), with its descendants.

namespace eval reaper {}

# Fields of /proc/PID/stat behind the command name: index 0 is the state, 1 the
# parent, 19 the start time. Empty when there is no such process.
proc reaper::stat {pid} {
    if {[catch {open /proc/$pid/stat} channel]} {
        return {}
    }
    set failed [catch {read $channel} text]
    close $channel
    if {$failed} {
        return {}
    }
    return [split [string range $text [string last ) $text]+2 end]]
}

# Start time of a live process; empty for a dead or zombie one; `-` where there is
# no /proc.
proc reaper::start_time {pid} {
    if {![file exists /proc/self/stat]} {
        return [expr {[catch {exec kill -0 $pid}] ? "" : "-"}]
    }
    set fields [stat $pid]
    if {[lindex $fields 0] in {"" Z X x}} {
        return ""
    }
    return [lindex $fields 19]
}

proc reaper::alive {pid} {
    expr {[start_time $pid] ne ""}
}

proc reaper::register {rundir pid what} {
    set channel [open [file join $rundir processes] a]
    puts $channel "$pid [start_time $pid] $what"
    close $channel
}

# Registered processes still alive, as a list of pids. WHAT is a glob.
proc reaper::registered {rundir {what *}} {
    set pids {}
    if {[catch {open [file join $rundir processes]} channel]} {
        return {}
    }
    foreach line [split [read $channel] \n] {
        if {[regexp {^(\d+) (\S+) (.*)$} $line - pid start name]
                && [string match $what $name] && [start_time $pid] eq $start} {
            lappend pids $pid
        }
    }
    close $channel
    return $pids
}

proc reaper::descendants {pids} {
    set children {}
    foreach dir [glob -nocomplain -directory /proc {[0-9]*}] {
        set pid [file tail $dir]
        dict lappend children [lindex [stat $pid] 1] $pid
    }
    set result {}
    while {[llength $pids]} {
        set pids [lassign $pids pid]
        if {[dict exists $children $pid]} {
            lappend result {*}[dict get $children $pid]
            lappend pids {*}[dict get $children $pid]
        }
    }
    return $result
}

proc reaper::signal {name pids} {
    if {[llength $pids]} {
        catch {exec sh -c {s=$1; shift; for p; do kill -$s $p; done} sh $name {*}$pids 2>/dev/null}
    }
}

# Units are stopped first, so that nothing new is started, and killed with their
# children: one may not be registered yet. Then everything else.
proc reaper::kill_all {rundir} {
    set units [registered $rundir unit*]
    signal STOP $units
    signal KILL [concat [descendants $units] $units]
    for {set round 0} {$round < 50} {incr round} {
        set pids [registered $rundir]
        if {![llength $pids]} {
            return
        }
        signal KILL [concat [descendants $pids] $pids]
        after 20
    }
}

proc reaper::main {rundir} {
    fconfigure stdin -blocking 1
    while {[gets stdin line] >= 0} {}
    kill_all $rundir
    return 0
}

# Finish off runs below TMP whose coordinator is dead. CLEAN deletes their files.
proc reaper::sweep {tmp clean} {
    foreach rundir [glob -nocomplain -directory $tmp -type d run.*] {
        set channel ""
        set owner {0 -}
        catch {
            set channel [open [file join $rundir coordinator]]
            set owner [split [gets $channel]]
            close $channel
        }
        lassign $owner pid start
        if {$pid ne "" && $pid > 0 && [start_time $pid] eq $start} {
            continue
        }
        if {$channel eq "" && [clock seconds] - [file mtime $rundir] < 60} {
            continue
        }
        kill_all $rundir
        if {$clean} {
            file delete -force -- $rundir
        }
    }
}
