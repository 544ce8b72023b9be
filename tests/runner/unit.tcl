# A unit process: sets the globals test files expect, loads the vocabulary, runs
# one file (or one run_solo body of it) and reports to the coordinator.

namespace eval unit {
    variable name ""
    variable path ""
    variable text ""
    variable dir ""
    variable rundir ""
    variable solo ""
    variable alone ""
    variable round 1
    variable options {}
}

proc unit::main {run jobfile} {
    variable rundir $run
    fconfigure stdout -encoding utf-8 -translation lf -buffering line
    set settings [read_utf8 [file join $run settings]]
    set job [read_utf8 $jobfile]
    variable options [dict get $settings options]
    variable name [dict get $job unit]
    variable path [catalog::path $name]
    variable text [catalog::read_file $path]
    variable dir [dict get $job dir]
    variable solo [dict get $job solo]
    variable alone [dict get $job alone]
    variable round [dict get $job round]
    globals $settings
    ::harness::load lib portrange tags cases diff expect waits ports resp logs tls server external \
        info processes replication wire data load aof tools pubsub scripts breakpoint
    foreach optional {cluster slots modes} {
        if {[file exists [file join $::harness::tests_dir lib $optional.tcl]]} {
            ::harness::load lib $optional
        }
    }
    tags::load_registry [file join $::harness::tests_dir tags.txt]
    tags::configure [concat [dict get $options tags] [expr {$alone eq "" ? {} : "-slow"}]] [dict get $settings facts]
    ports::configure [dict get $job port_first] [dict get $job port_count] [dict get $job port_cursor]
    cases::configure $options
    set resp::recording [expr {[dict get $options events] ne ""}]
    cd $::harness::root
    forgive_support_files
    cases::seed ""
    set status [catch {uplevel #0 run_unit_file} message failure]
    if {$status == 1} {
        cases::setup_failed $message $failure
    }
    servers::kill_all
    load::stop_all
    dict for {command words} $resp::words_sent {
        channel::send sent $command {*}[lmap place {first more} {
            expr {[dict exists $words $place] ? [join [lsort [dict keys [dict get $words $place]]]] : {}}
        }]
    }
    channel::send port $ports::cursor
    channel::send done
    return 0
}

# Plain variables of a test file live in this frame, as they do in the Valkey suite:
# `set port ...` there must not touch the globals.
proc run_unit_file {} {
    ::source_file $unit::path
}

# Units written for the Valkey suite source files of tests/support; what those
# define is loaded here already.
proc unit::forgive_support_files {} {
    rename ::source ::source_file
    proc ::source {args} {
        set path [lindex $args end]
        if {[string match */support/*.tcl $path] && ![file exists $path]} {
            return
        }
        uplevel 1 [list ::source_file {*}$args]
    }
}

proc unit::read_utf8 {path} {
    set channel [open $path]
    fconfigure $channel -encoding utf-8
    set text [read $channel]
    close $channel
    return $text
}

# The globals that test files of the Valkey vocabulary read.
proc unit::globals {settings} {
    variable options
    variable dir
    foreach {global key} {
        tls tls accurate accurate large_memory large_memory singledb singledb cluster_mode cluster_mode
        io_threads io_threads ignoreencoding ignore_encoding ignoredigest ignore_digest
        no_latency no_latency verbose verbose quiet quiet external external
        dump_logs dump_logs clients clients baseport baseport portcount portcount
        test_timeout test_timeout slow_factor slow_factor stop_on_failure stop
        wait_server wait_server seed seed
    } {
        set ::$global [dict get $options $key]
    }
    set ::host [expr {$::external ? [dict get $options host] : "127.0.0.1"}]
    set ::port [dict get $options port]
    set ::user [dict get $options user]
    set ::pass [dict get $options pass]
    set ::other_server_bin [dict get $options other_server_bin]
    set ::global_config [dict get $options config]
    if {$::tls} {
        # For the helper programs.
        set ::env(TEST_TLS) 1
    }
    set ::denytags {}
    set ::allowtags {}
    foreach word [join [dict get $options tags]] {
        if {[string index $word 0] eq "-"} {
            lappend ::denytags [string range $word 1 end]
        } else {
            lappend ::allowtags $word
        }
    }
    foreach {global value} {
        tls_module 0 valgrind 0 force_resp3 0 log_req_res 0 durable 1
        cur_test "" curfile "" traceleaks 0 force_failure 0 timeout 1200
    } {
        set ::$global $value
    }
    set ::tmpdir $dir
    set ::tmproot $dir
    set ::curfile $unit::path
    set ::dbnum [expr {$::singledb ? 0 : 9}]
    foreach {global tool} {
        VALKEY_SERVER_BIN server VALKEY_CLI_BIN cli VALKEY_BENCHMARK_BIN benchmark
        VALKEY_CHECK_AOF_BIN check_aof VALKEY_CHECK_RDB_BIN check_rdb
    } {
        set ::$global [dict get $settings binaries $tool]
    }
    set ::servers {}
}
