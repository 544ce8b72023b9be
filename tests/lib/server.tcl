# Servers: start_server, the stack of nested ones, restart, stop, and the watch
# for crashes.
#
# A server is a dict: host port pid config config_file stdout stderr unixsocket
# client, plus home (its directory) and args. `::servers` is the stack, innermost
# last. `servers::running` maps the pid of each process started here to its dict.

namespace eval servers {
    variable running {}
    variable count 0
    variable start_tries 20
    variable start_ms 120000
    variable restart_ms 5000
}

# ---- access by level: 0 is the innermost server, -1 the next outer ----

proc srv {args} {
    set level 0
    if {[string is integer -strict [lindex $args 0]]} {
        set args [lassign $args level]
    }
    dict get [lindex $::servers end+$level] [lindex $args 0]
}

proc r {args} {
    set level 0
    if {[string is integer -strict [lindex $args 0]]} {
        set args [lassign $args level]
    }
    [srv $level client] {*}$args
}

# The same with a positive index: 1 is the next outer server.
proc R {n args} {
    [srv [expr {-$n}] client] {*}$args
}

proc Rn {n} {
    srv [expr {-$n}] client
}

proc servers::set_key {level key value} {
    set index [expr {[llength $::servers] - 1 + $level}]
    set server [lindex $::servers $index]
    dict set server $key $value
    lset ::servers $index $server
}

# Open a new connection for the client of a server.
proc reconnect {args} {
    set level [expr {[llength $args] ? [lindex $args 0] : 0}]
    catch {[srv $level client] close}
    set client [servers::open_client [srv $level host] [srv $level port]]
    servers::set_key $level client $client
    return $client
}

# A client on database 9 (0 with --singledb, and where SELECT is refused: before
# AUTH, by ACL rules, in cluster mode).
proc servers::open_client {host port {defer 0}} {
    set client [valkey $host $port $defer $::tls]
    set status [catch {
        if {$::singledb} {
            $client ping
        } else {
            $client select 9
        }
        if {$defer} {
            $client read
        }
    } message options]
    if {$status && ![regexp {^(NOAUTH|NOPERM|ERR SELECT is not allowed)} $message]} {
        catch {$client close}
        return -options $options $message
    }
    return $client
}

proc valkey_client {args} {
    set level [expr {[llength $args] && [string is integer -strict [lindex $args 0]] ? [lindex $args 0] : 0}]
    servers::open_client [srv $level host] [srv $level port]
}

proc valkey_deferring_client {args} {
    set level [expr {[llength $args] && [string is integer -strict [lindex $args 0]] ? [lindex $args 0] : 0}]
    servers::open_client [srv $level host] [srv $level port] 1
}

proc valkey_client_by_addr {host port} {
    servers::open_client $host $port
}

proc valkey_deferring_client_by_addr {host port} {
    servers::open_client $host $port 1
}

# ---- which processes there are ----

# PID SERVER pairs of processes that still run.
proc servers::live {} {
    variable running
    set result {}
    dict for {pid server} $running {
        if {[reaper::alive $pid]} {
            lappend result $pid $server
        }
    }
    return $result
}

# PID SERVER pairs of all processes not yet brought down by the harness.
proc servers::all {} {
    variable running
    return $running
}

# A text when a server crashed or ended since MARKS were taken, other than EXPECTED
# (nothing, `end` or `crash`).
proc servers::crash_since {marks expected} {
    variable running
    if {$expected eq "crash"} {
        return ""
    }
    set text ""
    dict for {pid server} $running {
        foreach name {stdout stderr} {
            set path [dict get $server $name]
            if {![dict exists $marks $path] || ![file exists $path]
                    || [file size $path] <= [dict get $marks $path]} {
                continue
            }
            set log [logs::from $path [dict get $marks $path]]
            foreach pattern $logs::crash_words {
                if {[regexp -indices -- $pattern $log at]} {
                    append text "the server with pid $pid crashed:\n[logs::crash_report \
                        [string range $log [lindex $at 0] end]]\n"
                    break
                }
            }
        }
        if {$text eq "" && $expected eq "" && [dict exists $marks [dict get $server stdout]]
                && ![reaper::alive $pid]} {
            append text "the server with pid $pid ended during the test (say `expect_end` when that is the point)\n"
        }
    }
    return $text
}

# After a failed test the innermost client may be in any state: replace it. When
# the server is gone the block cannot go on.
proc servers::after_failure {} {
    if {![llength $::servers]} {
        return
    }
    if {!$::external && ![reaper::alive [srv pid]]} {
        throw {HARNESS GONE} "the server is gone after '$::cur_test'"
    }
    # The test may have left servers stopped, or busy with a script.
    reaper::signal CONT [dict keys $servers::running]
    set old [srv client]
    if {[catch {reconnect} message] && [string match BUSY* $message]} {
        catch {[valkey [srv host] [srv port]] script kill}
        catch {[valkey [srv host] [srv port]] function kill}
        set failed [catch {reconnect} message]
    } else {
        set failed [expr {$message ne [srv client]}]
    }
    if {!$failed && [info commands $old] eq ""} {
        # Tests that hold the client in a variable of their own go on with it.
        interp alias {} $old {} [srv client]
    }
    if {$failed} {
        throw {HARNESS GONE} "cannot reconnect after '$::cur_test': $message"
    }
}

# ---- start ----

# Key/value pairs of a configuration file.
proc servers::read_config {path} {
    set config {}
    foreach line [split [catalog::read_file $path] \n] {
        if {[regexp {^\s*([^#\s]\S*)\s*(.*?)\s*$} $line - key value]} {
            dict set config $key $value
        }
    }
    return $config
}

# Start a server, run CODE with it on the stack, bring it down. Without CODE the
# server keeps running and its dict is returned.
proc start_server {options {code undefined}} {
    if {$unit::solo ne "" && !$cases::in_solo} {
        return
    }
    set settings [servers::settings $options]
    if {[cases::block_left_out $code]} {
        cases::ignore_block $code "no test of it is chosen"
        return
    }
    tags::push [dict get $settings tags]
    set reason [tags::reason [tags::current] $code]
    if {$reason ne ""} {
        tags::pop
        cases::ignore_block $code $reason
        return
    }
    set status [catch {
        if {$::external} {
            external::run $settings $code [expr {[info level] - 1}]
        } else {
            servers::run $settings $code [expr {[info level] - 1}]
        }
    } value failure]
    tags::pop
    if {$status == 1} {
        cases::remember_place $code $failure
        # The outermost block reports, and the file goes on behind it.
        if {[llength $::servers] == 0 && $code ne "undefined"} {
            cases::setup_failed $value $failure
            return
        }
        return -options $failure $value
    }
    return $value
}

proc servers::settings {options} {
    set settings {
        config default.conf overrides {} config_lines {} omit {} args {} tags {}
        keep_persistence false wait_ready true crash_ok false server main
    }
    foreach {key value} $options {
        if {![dict exists $settings $key]} {
            error "Unknown option $key"
        }
        dict set settings $key $value
    }
    return $settings
}

# The directives of a new server, later ones winning; `config_lines` come behind.
proc servers::merge_config {settings home} {
    set config {}
    if {$::io_threads} {
        dict set config io-threads 2
        dict set config events-per-io-thread 0
    }
    set base [dict get $settings config]
    if {[file pathtype $base] eq "relative"} {
        set base [file join $::harness::tests_dir assets $base]
    }
    set config [dict merge $config [read_config $base]]
    dict set config dir [quoted $home]
    dict set config port 0
    set socket $home/socket
    if {[string length $socket] > 100} {
        set socket /tmp/valkey-test.[pid].[file tail $home]
    }
    dict set config unixsocket [quoted $socket]
    foreach {key value} $::global_config {
        dict set config $key $value
    }
    foreach {key value} [dict get $settings overrides] {
        dict set config $key $value
    }
    foreach key [dict get $settings omit] {
        dict unset config $key
    }
    return $config
}

# A path of ours as a directive's value.
proc servers::quoted {path} {
    expr {[string first " " $path] < 0 ? $path : "\"$path\""}
}

proc servers::write_config {path config lines} {
    set channel [open $path w]
    dict for {key value} $config {
        puts $channel "$key $value"
    }
    foreach {key value} $lines {
        puts $channel "$key $value"
    }
    close $channel
}

# Start a process for a server dict and wait until it is ready; returns the dict.
proc servers::launch {server wait_ready} {
    variable running
    set stdout [dict get $server stdout]
    set stderr [dict get $server stderr]
    set marks [list [log_size $stdout] [log_size $stderr]]
    # The working directory is the server's own, so that stray files land there.
    set back [pwd]
    cd [dict get $server home]
    set status [catch {
        exec [dict get $server program] [dict get $server config_file] {*}[dict get $server args] \
            </dev/null >>$stdout 2>>$stderr &
    } pid failure]
    cd $back
    if {$status} {
        return -options $failure $pid
    }
    reaper::register $unit::rundir $pid server
    dict set server pid $pid
    dict set running $pid $server
    channel::send server $pid [dict get $server home] [dict get $server port]
    if {$wait_ready} {
        wait_started $server {*}$marks
    }
    return $server
}

# The program behind a name: `main`, `other` (--other-server-bin), or a path.
proc servers::program {name} {
    switch -- $name {
        main { return $::VALKEY_SERVER_BIN }
        other {
            if {$::other_server_bin eq ""} {
                error "`server other` needs --other-server-bin (tag the block needs:other-server)"
            }
            return $::other_server_bin
        }
        default { return $name }
    }
}

proc servers::log_size {path} {
    expr {[file exists $path] ? [file size $path] : 0}
}

# Wait for the start lines in the log, for PING, and for readiness. A port that is
# taken raises {HARNESS PORT}; a refused configuration fails at once.
proc servers::wait_started {server out_mark err_mark} {
    variable start_ms
    set pid [dict get $server pid]
    set end [expr {[clock milliseconds] + $start_ms * $::slow_factor}]
    set pause 2
    while 1 {
        set dead [expr {![reaper::alive $pid]}]
        set log [logs::from [dict get $server stdout] $out_mark]
        if {[string first "Server initialized" $log] >= 0} {
            break
        }
        if {[string first "Failed listening on port" $log] >= 0} {
            forget $pid
            throw {HARNESS PORT} "port [dict get $server port] is taken"
        }
        set errors [logs::from [dict get $server stderr] $err_mark]
        if {$dead || [string first "FATAL CONFIG FILE ERROR" $errors] >= 0} {
            # Let it finish what it has to say.
            for {set i 0} {$i < 100 && [reaper::alive $pid]} {incr i} {
                after 10
            }
            set errors [logs::from [dict get $server stderr] $err_mark]
            fail_start $server "the server did not start" $log $errors
        }
        if {[clock milliseconds] > $end} {
            fail_start $server "the server was not up after [expr {$start_ms / 1000}] s" $log $errors
        }
        after $pause
        set pause [expr {min(50, $pause * 2)}]
    }
    if {![ping_until $server $end]} {
        fail_start $server "the server does not answer PING" [logs::from [dict get $server stdout] $out_mark] ""
    }
    while {[string first "Ready to accept" [logs::from [dict get $server stdout] $out_mark]] < 0} {
        if {[clock milliseconds] > $end || ![reaper::alive $pid]} {
            fail_start $server "the server is not ready to accept" [logs::from [dict get $server stdout] $out_mark] ""
        }
        after 5
    }
    if {$::wait_server} {
        wait_for_enter "Server with pid $pid is up on port [dict get $server port]"
    }
}

proc servers::fail_start {server why log errors} {
    set pid [dict get $server pid]
    reaper::signal KILL $pid
    forget $pid
    set text $why
    foreach {name content} [list stdout $log stderr $errors] {
        if {$content ne ""} {
            append text "\n  $name:\n    [join [lrange [split [string trimright $content] \n] end-19 end] "\n    "]"
        }
    }
    throw {HARNESS START} $text
}

# Connect and PING until there is any answer, even an error (-NOAUTH, -LOADING). A
# server without a port is taken at its word.
proc servers::ping_until {server end} {
    if {[dict get $server port] == 0} {
        return 1
    }
    while {[clock milliseconds] < $end} {
        if {![catch {run_socket [dict get $server host] [dict get $server port]} fd]} {
            fconfigure $fd -translation binary -blocking 0 -buffering none
            catch {puts -nonewline $fd "PING\r\n"}
            set answer ""
            while {$answer eq "" && [clock milliseconds] < $end && ![eof $fd]
                    && [reaper::alive [dict get $server pid]]} {
                catch {set answer [read $fd]}
                if {$answer eq ""} {
                    after 1
                }
            }
            close $fd
            if {$answer ne ""} {
                return 1
            }
        }
        if {![reaper::alive [dict get $server pid]]} {
            return 0
        }
        after 10
    }
    return 0
}

# Make a server's directory, configuration and process. A taken port is replaced.
proc servers::create {settings} {
    variable count
    variable start_tries
    incr count
    set home [file join $unit::dir server.$count]
    file mkdir $home
    set config [merge_config $settings $home]
    set fixed [expr {[dict exists [dict get $settings overrides] port]}]
    for {set try 1} {1} {incr try} {
        if {!$fixed && "port" ni [dict get $settings omit]} {
            dict set config port [ports::next]
        }
        write_config [file join $home valkey.conf] [secure::merge $config] [dict get $settings config_lines]
        set host [expr {[dict exists $config bind] ? [lindex [dict get $config bind] 0] : "127.0.0.1"}]
        if {![regexp {^[0-9.]+$} $host] || $host eq "0.0.0.0"} {
            set host 127.0.0.1
        }
        set server [dict create host $host \
            port [expr {[dict exists $config port] ? [dict get $config port] : 6379}] pid 0 \
            config $config config_file [file join $home valkey.conf] \
            stdout [file join $home stdout] stderr [file join $home stderr] \
            unixsocket [expr {[dict exists $config unixsocket] ? [string trim [dict get $config unixsocket] \"] : ""}] \
            home $home program [program [dict get $settings server]] args [dict get $settings args] crash_ok [dict get $settings crash_ok]]
        set ::last_port_attempted [dict get $server port]
        if {![catch {launch $server [dict get $settings wait_ready]} result failure]} {
            return $result
        }
        if {[dict get $failure -errorcode] ne {HARNESS PORT} || $fixed || $try >= $start_tries} {
            return -options $failure $result
        }
        channel::send note "\[environment\]: $result, trying another" 1
    }
}

proc servers::run {settings code level} {
    set server [create $settings]
    if {[dict get $settings wait_ready] && [dict get $server port] != 0} {
        dict set server client [open_client [dict get $server host] [dict get $server port]]
    }
    if {$code eq "undefined"} {
        return $server
    }
    lappend ::servers $server
    set depth [llength $::servers]
    set status [catch {uplevel #$level $code} value failure]
    set server [lindex $::servers $depth-1]
    set ::servers [lrange $::servers 0 $depth-2]
    catch {[dict get $server client] close}
    if {$depth == 1} {
        replstream::close_all
        wire_close_all
    }
    set problem [stop $server]
    if {![string is true -strict [dict get $settings keep_persistence]] && $status != 1} {
        clean_persistence $server
    }
    if {$status == 1} {
        return -options $failure $value
    }
    if {$problem ne "" && ![dict get $settings crash_ok]} {
        cases::report error "(teardown of $unit::name)" 0 0 $problem
    }
    return ""
}

proc servers::clean_persistence {server} {
    set config [dict get $server config]
    set home [dict get $server home]
    if {[dict get $config dir] ne [quoted $home]} {
        return
    }
    foreach {key default} {dbfilename dump.rdb appenddirname appendonlydir} {
        set name [expr {[dict exists $config $key] ? [dict get $config $key] : $default}]
        if {$name ne "" && [file tail $name] eq $name} {
            catch {file delete -force -- [file join $home $name]}
        }
    }
}

# Start N nested servers with the same options.
proc start_multiple_servers {n options code} {
    if {$n > 0} {
        uplevel 1 [list start_server $options [list start_multiple_servers [expr {$n - 1}] $options $code]]
    } else {
        uplevel 1 $code
    }
}

# ---- stop ----

proc servers::forget {pid} {
    variable running
    dict unset running $pid
    channel::send gone $pid
}

# Bring a server down: TERM, after 15 s SEGV for a stack trace, after 25 s KILL. (A
# primary may wait 10 s for a replica that went away without a word.)
# Returns a text when it had to be forced, or is the victim of a sanitizer.
proc servers::stop {server} {
    set pid [dict get $server pid]
    if {![dict exists $servers::running $pid]} {
        return ""
    }
    set problem ""
    set start [clock milliseconds]
    set stage 0
    set pause 1
    reaper::signal TERM $pid
    reaper::signal CONT $pid
    while {[reaper::alive $pid]} {
        set waited [expr {([clock milliseconds] - $start) / 1000.0 / $::slow_factor}]
        if {$stage == 0 && $waited > 15} {
            incr stage
            set problem "the server with pid $pid did not end within 15 s of SIGTERM"
            reaper::signal SEGV $pid
        } elseif {$stage == 1 && $waited > 25} {
            incr stage
            reaper::signal KILL [concat [reaper::descendants $pid] $pid]
        }
        after $pause
        set pause [expr {min(20, $pause * 2)}]
    }
    set errors [sanitizer_errors_from_file [dict get $server stderr]]
    if {$errors ne ""} {
        append problem "\nsanitizer report: [diff::short $errors 6000]"
    }
    if {$problem ne ""} {
        append problem [logs::excerpts [dict create] 0]
    }
    forget $pid
    return $problem
}

# Kill a server whose dict a test holds. External servers stay.
proc kill_server {server} {
    if {$::external || ![dict exists $server pid]} {
        return
    }
    if {[dict exists $server client]} {
        catch {[dict get $server client] close}
    }
    servers::stop $server
    return ""
}

proc servers::kill_all {} {
    foreach {pid server} [all] {
        catch {stop $server}
    }
}

# ---- restart ----

# Launch a server on the port it had. A child of the server that was there may hold the
# port for a moment, when that was killed just after the fork.
proc servers::relaunch {server wait_ready} {
    variable restart_ms
    set start [clock milliseconds]
    while {[catch {launch $server $wait_ready} result failure]} {
        if {[dict get $failure -errorcode] ne {HARNESS PORT} || [waits::over $start $restart_ms]} {
            return -options $failure $result
        }
        after 50
    }
    return $result
}

# Stop the server at LEVEL and start it again with the same configuration and port.
proc restart_server {level wait_ready rotate_logs {reconnect 1} {shutdown sigterm}} {
    set server [lindex $::servers end+$level]
    if {$shutdown ne "sigterm"} {
        catch {[dict get $server client] shutdown {*}$shutdown}
        set start [clock milliseconds]
        while {[reaper::alive [dict get $server pid]]
                && [clock milliseconds] - $start < 10000 * $::slow_factor} {
            after 5
        }
    }
    set problem [servers::stop $server]
    if {$problem ne ""} {
        error $problem
    }
    if {$rotate_logs} {
        set stamp [clock milliseconds]
        foreach name {stdout stderr} {
            file rename [dict get $server $name] [dict get $server $name].$stamp
        }
    }
    set server [servers::relaunch $server $wait_ready]
    dict for {key value} $server {
        servers::set_key $level $key $value
    }
    if {$reconnect} {
        reconnect $level
    }
    return ""
}
