# Load generators: own processes, stopped with SIGKILL.

namespace eval load {
    variable pids {}
}

proc load::start {program args} {
    variable pids
    set path [file join $::harness::tests_dir helpers $program.tcl]
    set log [file join $unit::dir $program.[clock microseconds].log]
    set pid [exec [info nameofexecutable] $path {*}$args </dev/null >>$log 2>>$log &]
    reaper::register $unit::rundir $pid helper
    lappend pids $pid
    return $pid
}

proc load::stop {pid} {
    variable pids
    reaper::signal KILL $pid
    wait_for_condition 100 10 {![reaper::alive $pid]} else {
        fail "the load process $pid survived SIGKILL"
    }
    set pids [lsearch -all -inline -not -exact $pids $pid]
    return ""
}

proc load::stop_all {} {
    variable pids
    foreach pid $pids {
        catch {stop $pid}
    }
}

proc load::seed {} {
    randomInt 1000000000
}

# Random SETs for some seconds; returns a handle for stop_write_load.
proc start_write_load {host port seconds} {
    load::start load-writes $host $port $seconds [load::seed] $::dbnum
}

# The same, all to one key.
proc start_one_key_write_load {host port seconds key} {
    load::start load-writes $host $port $seconds [load::seed] $::dbnum $key
}

proc stop_write_load {handle} {
    load::stop $handle
}

# Wait until the server has noticed that load processes are gone.
proc wait_load_handlers_disconnected {{level 0}} {
    wait_for_condition 50 100 {![string match {*name=LOAD_HANDLER*} [r $level client list]]} else {
        fail "load_handler(s) still connected after too long time."
    }
}

# OPS random operations on all types.
proc start_bg_complex_data {host port db ops} {
    load::start load-types $host $port $db $ops [load::seed]
}

proc stop_bg_complex_data {handle} {
    load::stop $handle
}

# OPS random operations on lists and sorted sets, blocking ones among them.
proc start_bg_block_op {host port db ops} {
    load::start load-blocking $host $port $db $ops [load::seed]
}

proc stop_bg_block_op {handle} {
    load::stop $handle
}
