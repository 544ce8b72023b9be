# The coordinator: slots that each run one unit per fresh process, the queue, the
# deadlines, and the way a run ends. It never runs tests itself.
#
# A job is a dict: unit, solo (name of a run_solo body, or empty), alone (name of the only
# test that is to run, or empty), round, attempt (above 1 when a unit with failures runs
# again, alone).

namespace eval schedule {
    variable options {}
    variable rundir ""
    variable queue {}
    variable solos {}
    variable retries {}
    # With --each-alone: the tests that have passed, by unit.
    variable passed {}
    variable slots
    array set slots {}
    variable free {}
    variable finished 0
    variable total 0
    variable index 0
    variable stopping ""
    variable durations {}
}

# Run with these arguments; the value is the exit code of the process.
proc schedule::main {argv} {
    if {[catch {prepare $argv} code failure]} {
        set kind [lindex [dict get $failure -errorcode] 0]
        catch {puts stderr $code}
        if {[lrange [dict get $failure -errorcode] 0 1] eq {POSIX EPIPE}} {
            return 3
        }
        if {$kind ne "HARNESS"} {
            puts stderr [dict get $failure -errorinfo]
        }
        report::last_line 0 0 0
        if {$kind ne "HARNESS"} {
            return 3
        }
        return [expr {[lindex [dict get $failure -errorcode] 1] eq "BROKEN" ? 3 : 2}]
    }
    if {$code ne ""} {
        return $code
    }
    variable finished
    interp bgerror {} schedule::broken
    dispatch
    while {!$finished} {
        vwait ::schedule::finished
    }
    return [conclude]
}

# Everything before the first unit. Returns an exit code to stop early, else "".
proc schedule::prepare {argv} {
    variable options [options::parse $argv]
    variable rundir
    variable durations
    if {[dict get $options help]} {
        puts [options::help]
        return 0
    }
    report::configure $options
    tags::load_registry [file join $::harness::tests_dir tags.txt]
    set units [catalog::select $options]
    if {[dict get $options list_tests]} {
        puts [join $units \n]
        return 0
    }
    if {[dict get $options list_cases]} {
        foreach unit $units {
            foreach {line name} [catalog::cases [catalog::read_file [catalog::path $unit]]] {
                puts "$unit:$line: $name"
            }
        }
        return 0
    }
    if {[dict get $options list_tags]} {
        list_tags $units
        return 0
    }
    if {![llength $units]} {
        options::fail "nothing selected"
    }
    set binaries [binaries::find $options]
    # Also checks the words of --tags, before anything is started.
    set facts [dict create peer [dict get $binaries peer] valgrind 0]
    foreach fact {external tls singledb cluster_mode large_memory io_threads} {
        dict set facts $fact [dict get $options $fact]
    }
    tags::configure [dict get $options tags] $facts
    set problem [portrange::check [dict get $options baseport] [dict get $options portcount] \
        [portrange::ephemeral]]
    if {$problem ne ""} {
        options::fail $problem
    }
    if {[dict get $options quarantine] ne ""} {
        quarantine::load [dict get $options quarantine]
    }
    events::open [dict get $options events]
    flaky::configure [dict get $options flaky_log] [dict get $binaries peer] [dict get $options seed]
    if {[dict get $options external]} {
        if {[catch {close [socket [dict get $options host] [dict get $options port]]} message]} {
            throw {HARNESS BROKEN} "no server to test at [dict get $options host] port [dict get $options port]: $message"
        }
    }

    set ::tls [dict get $options tls]
    set ::slow_factor 1
    if {$::tls && [catch {
        package require tls 1.6
        secure::folder
    } message]} {
        throw {HARNESS BROKEN} "--tls needs tcl-tls and openssl: $message"
    }

    set tmp [file join $::harness::tests_dir tmp]
    file mkdir $tmp
    reaper::sweep $tmp [expr {![dict get $options dont_pre_clean]}]
    set rundir [file join $tmp run.[pid]]
    file delete -force -- $rundir
    file mkdir $rundir
    write_file [file join $rundir coordinator] "[pid] [reaper::start_time [pid]]\n"
    variable reaper [open |[deaf {INT HUP TERM} [info nameofexecutable] $::harness::main reaper $rundir] w]

    set lane [portrange::take_lane [dict get $options baseport] [dict get $options portcount]]
    if {$lane eq ""} {
        throw {HARNESS BROKEN} "all port lanes are taken by other runs"
    }
    lassign $lane - first count
    set clients [dict get $options clients]
    set width [expr {$count / $clients}]
    if {$width < 10} {
        options::fail "--clients $clients is too many for $count ports"
    }
    for {set slot 0} {$slot < $clients} {incr slot} {
        variable slots
        set slots($slot,first) [expr {$first + $slot * $width}]
        set slots($slot,width) $width
        set slots($slot,cursor) 0
        variable free
        lappend free $slot
    }

    report::say "Server: [dict get $binaries version]"
    report::say "Path: [dict get $binaries server] ([expr {[dict get $binaries peer] ? "peer" : "ours"}])"
    report::say "Seed: [dict get $options seed]"
    events::write run server [dict get $binaries version] path [dict get $binaries server] seed [dict get $options seed]
    write_file [file join $rundir settings] [dict create options $options binaries $binaries facts $facts]

    set durations [read_durations]
    variable queue
    variable total
    if {[llength [dict get $options single]] == 0} {
        set units [lsort -command schedule::longer $units]
    }
    for {set round 1} {$round <= [dict get $options loops]} {incr round} {
        foreach unit $units {
            lappend queue [dict create unit $unit solo "" alone "" round $round attempt 1]
        }
    }
    set total [llength $queue]
    fconfigure stdin -blocking 0
    fileevent stdin readable schedule::control
    after 500 schedule::tick
    return ""
}

# A command that runs with signals ignored: Tcl resets them when it starts programs,
# and Ctrl-C goes to the whole process group.
proc schedule::deaf {signals args} {
    list sh -c "trap '' $signals; exec \"\$@\"" sh {*}$args
}

proc schedule::write_file {path text} {
    set channel [open $path w]
    fconfigure $channel -encoding utf-8
    puts -nonewline $channel $text
    close $channel
}

proc schedule::list_tags {units} {
    set text ""
    foreach unit $units {
        append text [catalog::read_file [catalog::path $unit]] \n
    }
    foreach tag [lsort [dict keys $tags::known]] {
        set quoted [regsub -all {[][*+?{}()|.^$\\-]} $tag {\\&}]
        set uses 0
        foreach line [regexp -all -inline -line {^.*tags.*$|\} \{[^\{\}]*\}$} $text] {
            incr uses [regexp "(?:^|\[^\\w:-\])${quoted}(?:\[^\\w:-\]|\$)" $line]
        }
        puts [format "%-26s %4d  %s" $tag $uses [dict get $tags::known $tag]]
    }
}

proc schedule::read_durations {} {
    set path [file join $::harness::tests_dir .durations]
    if {[catch {catalog::read_file $path} text] || [catch {dict size $text}]} {
        return {}
    }
    return $text
}

# Longest first; unknown units before all known ones, in listing order.
proc schedule::longer {a b} {
    variable durations
    set known {}
    foreach unit [list $a $b] {
        lappend known [expr {[dict exists $durations $unit] ? [dict get $durations $unit] : 1000000}]
    }
    return [expr {[lindex $known 0] < [lindex $known 1] ? 1 : [lindex $known 0] > [lindex $known 1] ? -1 : 0}]
}

# The launcher's control pipe: `stop`, or its end when the launcher is gone.
proc schedule::control {} {
    set n [gets stdin line]
    if {$line eq "stop" || ($n < 0 && [eof stdin])} {
        fileevent stdin readable {}
        stop interrupted
    }
}

# An error in an event handler is ours (or stdout is gone): end the run.
proc schedule::broken {message options} {
    if {[lrange [dict get $options -errorcode] 0 1] ne {POSIX EPIPE}} {
        puts stderr [dict get $options -errorinfo]
    }
    stop broken
}

# Dispatch nothing more, kill everything, end the run.
proc schedule::stop {why} {
    variable stopping
    variable finished
    variable rundir
    variable queue {}
    variable solos {}
    variable retries {}
    variable passed {}
    if {$stopping eq ""} {
        set stopping $why
        reaper::kill_all $rundir
        set finished 1
    }
}

# Fill idle slots; end the run when there is nothing left.
proc schedule::dispatch {} {
    variable queue
    variable solos
    variable retries
    variable free
    variable finished
    variable options
    variable stopping
    if {$stopping ne ""} {
        return
    }
    variable passed
    while {[llength $free] && [llength $queue]} {
        set queue [lassign $queue job]
        start_job $job
    }
    if {[llength $free] == [dict get $options clients] && ![llength $solos] && ![llength $retries]
            && [dict size $passed]} {
        dict for {unit names} $passed {
            foreach name [dict keys $names] {
                lappend queue [dict create unit $unit solo "" alone $name round 1 attempt 1]
            }
        }
        report::say "Each test alone: [llength $queue]"
        set passed {}
        after idle schedule::dispatch
        return
    }
    set idle [expr {[llength $free] == [dict get $options clients]}]
    if {$idle && [llength $solos]} {
        set solos [lassign $solos job]
        start_job $job
        set idle 0
    }
    if {$idle && [llength $retries]} {
        set retries [lassign $retries job]
        report::say "Once more, alone (attempt [dict get $job attempt]):"
        start_job $job
        set idle 0
    }
    if {$idle && [dict get $options loop]} {
        variable total
        foreach unit [catalog::select $options] {
            lappend queue [dict create unit $unit solo "" alone "" round [incr total] attempt 1]
        }
        after idle schedule::dispatch
    } elseif {$idle} {
        set finished 1
    }
}

proc schedule::start_job {job} {
    variable free
    variable slots
    variable rundir
    variable jobs
    set free [lassign [lsort -integer $free] slot]
    set unit [dict get $job unit]
    set name [string map {/ -} [string trimleft $unit /]]
    if {[dict get $job solo] ne ""} {
        append name .solo
    }
    set dir [file join $rundir $name]
    for {set n 2} {[file exists $dir]} {incr n} {
        set dir [file join $rundir $name.$n]
    }
    file mkdir $dir
    dict set job dir $dir
    dict set job rundir $rundir
    dict set job port_first $slots($slot,first)
    dict set job port_count $slots($slot,width)
    dict set job port_cursor $slots($slot,cursor)
    write_file [file join $dir job] $job
    set pipe [open |[concat [deaf {INT HUP} [info nameofexecutable] $::harness::main unit $rundir \
        [file join $dir job]] {</dev/null 2>@1}] r]
    fconfigure $pipe -blocking 0 -buffering line -encoding utf-8 -translation lf
    reaper::register $rundir [pid $pipe] unit:$unit
    array set slots [list $slot,job $job $slot,pipe $pipe $slot,test {} $slot,line 0 \
        $slot,since [clock milliseconds] $slot,heard [clock milliseconds] $slot,own 0 \
        $slot,begun [clock milliseconds] $slot,servers {} $slot,done 0 $slot,failed 0 $slot,cut 0 $slot,text {} \
        $slot,cases 0]
    if {[dict get $job alone] ne ""} {
        report::say "Testing alone: [dict get $job alone]" 2
    } elseif {[dict get $job solo] eq ""} {
        report::say "Testing $unit" 1
        events::write unit-start unit $unit attempt [dict get $job attempt]
    } else {
        report::say "Testing solo test: [dict get $job solo]" 1
    }
    fileevent $pipe readable [list schedule::hear $slot]
}

proc schedule::hear {slot} {
    variable slots
    variable stopping
    set pipe $slots($slot,pipe)
    while {$stopping eq "" && [gets $pipe line] >= 0} {
        set slots($slot,heard) [clock milliseconds]
        lassign [channel::parse $line] text message
        if {$text ne ""} {
            report::say $text
            set slots($slot,text) [lrange [linsert $slots($slot,text) end $text] end-19 end]
        }
        if {$message ne ""} {
            message $slot {*}$message
        }
    }
    if {$stopping ne ""} {
        fileevent $pipe readable {}
    } elseif {[eof $pipe]} {
        end_job $slot
    }
}

proc schedule::message {slot kind args} {
    variable slots
    variable solos
    variable options
    set unit [dict get $slots($slot,job) unit]
    switch -- $kind {
        begin {
            lassign $args slots($slot,test) slots($slot,own) slots($slot,line)
            set slots($slot,since) [clock milliseconds]
            report::say "\[testing\]: $slots($slot,test)" 3
        }
        case {
            set slots($slot,test) {}
            lassign $args state name ms line text
            case_end $slot $state $name $ms $line $text
        }
        ignored {
            incr slots($slot,cases)
            report::block_ignored $slots($slot,job) {*}$args
        }
        server {
            dict set slots($slot,servers) [lindex $args 0] [lrange $args 1 2]
            report::say "### Started server, pid [lindex $args 0], port [lindex $args 2]" 2
        }
        gone { dict unset slots($slot,servers) [lindex $args 0] }
        solo {
            set job [dict create unit $unit solo [lindex $args 0] alone "" \
                round [dict get $slots($slot,job) round] attempt 1]
            if {$job ni $solos} {
                lappend solos $job
            }
        }
        port { set slots($slot,cursor) [lindex $args 0] }
        sent { events::write sent unit $unit command [lindex $args 0] first [lindex $args 1] more [lindex $args 2] }
        note { report::say [lindex $args 0] [lindex $args 1] }
        warn { report::warn "$unit: [lindex $args 0]" }
        done { set slots($slot,done) 1 }
    }
}

proc schedule::case_end {slot state name ms line text} {
    variable slots
    variable options
    variable passed
    set job $slots($slot,job)
    incr slots($slot,cases)
    if {$state eq "ok" && [dict get $options each_alone] && [dict get $job solo] eq ""
            && [dict get $job alone] eq "" && [dict get $job round] == 1} {
        dict set passed [dict get $job unit] $name 1
    }
    if {![report::failed [report::case_end $slots($slot,job) $state $name $ms $line $text]]} {
        return
    }
    set slots($slot,failed) 1
    if {$state eq "timeout" || [report::outside $name]} {
        set slots($slot,cut) 1
    }
    if {[dict get $options fastfail] || ([dict get $options abort_on_error] && $state ne "err")} {
        stop failed
    }
}

# A unit process closed its pipe.
proc schedule::end_job {slot} {
    variable slots
    variable free
    variable index
    variable total
    variable rundir
    variable durations
    variable options
    set job $slots($slot,job)
    set unit [dict get $job unit]
    fileevent $slots($slot,pipe) readable {}
    set pid [pid $slots($slot,pipe)]
    fconfigure $slots($slot,pipe) -blocking 1
    catch {close $slots($slot,pipe)} how
    if {!$slots($slot,done)} {
        set name [expr {$slots($slot,test) eq {} ? "(setup of $unit)" : $slots($slot,test)}]
        set ms [expr {[clock milliseconds] - $slots($slot,since)}]
        case_end $slot error $name $ms $slots($slot,line) "the unit process ended early: $how"
        set slots($slot,cut) 1
    }
    end_servers $slot KILL
    set alone [dict get $job alone]
    if {$alone ne "" && !$slots($slot,cases) && !$slots($slot,cut)} {
        case_end $slot error $alone 0 0 "the test is not met when it is the only one that is wanted"
    }
    set attempt [dict get $job attempt]
    if {$attempt > 1 && !$slots($slot,cut)} {
        report::recovered $job
    }
    if {$slots($slot,failed) && $attempt <= [dict get $options retry]} {
        variable retries
        lappend retries [dict replace $job attempt [expr {$attempt + 1}]]
        incr total [expr {$alone eq ""}]
    }
    # Of a unit that ran again all files are kept.
    if {!$slots($slot,failed) && $attempt == 1 && ![dict get $options dont_clean]} {
        file delete -force -- [dict get $job dir]
    }
    set seconds [expr {([clock milliseconds] - $slots($slot,begun)) / 1000}]
    if {[dict get $job solo] eq "" && $alone eq ""} {
        report::unit_end $unit $seconds [incr index] $total
    }
    if {!$slots($slot,failed) && $alone eq "" && $unit in [catalog::units]} {
        dict set durations $unit $seconds
    }
    lappend free $slot
    after idle schedule::dispatch
}

proc schedule::end_servers {slot signal} {
    variable slots
    set pids [lmap pid [dict keys $slots($slot,servers)] {
        if {![reaper::alive $pid]} { continue }
        set pid
    }]
    if {[llength $pids]} {
        reaper::signal $signal [concat [reaper::descendants $pids] $pids]
    }
}

# Watch the deadlines.
proc schedule::tick {} {
    variable slots
    variable options
    variable free
    after 500 schedule::tick
    set now [clock milliseconds]
    set factor [dict get $options slow_factor]
    for {set slot 0} {$slot < [dict get $options clients]} {incr slot} {
        if {$slot in $free} {
            continue
        }
        if {$slots($slot,test) ne {}} {
            set limit [expr {max([dict get $options test_timeout], $slots($slot,own)) * $factor}]
            if {$now - $slots($slot,since) > $limit * 1000} {
                expire $slot "the test ran longer than $limit seconds"
            }
        } elseif {$now - $slots($slot,heard) > [dict get $options timeout] * $factor * 1000} {
            expire $slot "nothing was heard from the unit for [dict get $options timeout] seconds"
        }
    }
}

# A deadline passed: keep the ends of the servers' logs, ask them for a crash
# report, and end this unit only. The unit is stopped first, so that it does not
# report the death of its servers.
proc schedule::expire {slot why} {
    variable slots
    set unit [dict get $slots($slot,job) unit]
    set text $why
    set pid [pid $slots($slot,pipe)]
    set pids [dict keys $slots($slot,servers)]
    reaper::signal STOP $pid
    set marks {}
    dict for {server place} $slots($slot,servers) {
        lassign $place dir port
        set path [file join $dir stdout]
        append text "\nserver with pid $server, port $port, CLIENT LIST:\n[ask $port {CLIENT LIST}]"
        append text "\nlast log lines of it ($dir):\n[tail $path 40]"
        catch {lappend marks $path [file size $path]}
    }
    reaper::signal CONT $pids
    reaper::signal ABRT $pids
    after [expr {[llength $pids] ? 700 : 0}]
    foreach {path size} $marks {
        append text "\n[report_of $path $size]"
    }
    set name [expr {$slots($slot,test) eq {} ? "(setup of $unit)" : $slots($slot,test)}]
    set slots($slot,test) {}
    set slots($slot,done) 1
    reaper::signal KILL [concat [reaper::descendants $pid] $pid]
    case_end $slot timeout $name [expr {[clock milliseconds] - $slots($slot,since)}] $slots($slot,line) $text
}

# What a server answers to an inline command within half a second.
proc schedule::ask {port command} {
    if {[catch {run_socket 127.0.0.1 $port} channel]} {
        return "  (no connection: $channel)"
    }
    set text ""
    set end [expr {[clock milliseconds] + 500}]
    catch {
        fconfigure $channel -translation binary -blocking 0 -buffering none
        puts -nonewline $channel $command\r\n
        while {[clock milliseconds] < $end && ![eof $channel]
                && (![regexp {^\$(\d+)\r\n} $text head size]
                    || [string length $text] < [string length $head] + $size)
                && ![string match -* $text]} {
            append text [read $channel]
            after 5
        }
    }
    close $channel
    if {$text eq ""} {
        return "  (no answer)"
    }
    return "  [join [lrange [split [string trim $text] \n] 0 40] "\n  "]"
}

# The start of the crash report behind SIZE in a log: the stacks.
proc schedule::report_of {path size} {
    set channel [open $path rb]
    seek $channel $size
    set text [read $channel]
    close $channel
    set end [string first "------ REGISTERS" $text]
    return [string range $text 0 [expr {$end > 0 ? min($end - 1, 6000) : 6000}]]
}

proc schedule::tail {path lines} {
    if {[catch {open $path rb} channel]} {
        return "  (no log: $channel)"
    }
    seek $channel [expr {max(0, [file size $path] - 16384)}]
    set text [read $channel]
    close $channel
    return "  [join [lrange [split [string trimright $text] \n] end-[expr {$lines - 1}] end] "\n  "]"
}

# Print the report, write the files, clean up; the value is the exit code.
proc schedule::conclude {} {
    variable options
    variable rundir
    variable stopping
    variable durations
    variable reaper
    foreach {unit test problem} [quarantine::problems [report::results]] {
        report::case_end [dict create unit $unit solo "" alone "" round 0 attempt 1] \
            error "(quarantine of $test)" 0 0 $problem
    }
    set counts [report::counts]
    set failed [dict get $counts failed]
    foreach format {junit tap} {
        set path [dict get $options $format]
        if {$path ne "" && [catch {${format}::write $path [report::results]} message]} {
            report::say "cannot write --$format: $message"
            set stopping broken
        }
    }
    if {!$failed && $stopping eq ""} {
        catch {write_file [file join $::harness::tests_dir .durations] "[lsort -stride 2 $durations]\n"}
    }
    reaper::kill_all $rundir
    close $reaper
    if {$failed || [dict get $counts flaky]} {
        report::say "Files of failed units are in $rundir"
    } elseif {![dict get $options dont_clean]} {
        file delete -force -- $rundir
    }
    report::finish [dict get $options durations]
    flaky::note [report::results] [expr {[dict get $options flaky_log] ne ""}]
    if {$stopping eq "interrupted"} {
        return 130
    }
    if {$stopping eq "broken"} {
        return 3
    }
    if {$failed} {
        return 1
    }
    return [expr {[dict get $counts passed] + [dict get $counts quarantined] ? 0 : 2}]
}
