# Entry point of every process of the harness: the first argument names the role.
#   coordinator OPTIONS...   chooses units, hands them out, reports (runs no test)
#   unit RUNDIR JOBFILE      runs one test file in a fresh process
#   reaper RUNDIR            kills what a dead coordinator left behind

# The same on every machine: test files, arguments and file names are UTF-8.
encoding system utf-8

namespace eval ::harness {
    variable tests_dir [file dirname [file dirname [file normalize [info script]]]]
    variable root [file dirname $tests_dir]
    variable main [file normalize [info script]]
}

proc ::harness::load {group args} {
    foreach name $args {
        uplevel #0 [list source [file join $::harness::tests_dir $group $name.tcl]]
    }
}

switch -- [lindex $argv 0] {
    coordinator {
        ::harness::load runner options catalog channel reaper report junit tap events flaky quarantine binaries schedule
        ::harness::load lib tags portrange tls
        # When nobody reads the output any more there is nobody to tell either.
        if {[catch {schedule::main [lrange $argv 1 end]} code failure]} {
            if {[lrange [dict get $failure -errorcode] 0 1] ne {POSIX EPIPE}} {
                puts stderr [dict get $failure -errorinfo]
            }
            exit 3
        }
        exit $code
    }
    unit {
        ::harness::load runner catalog channel reaper unit
        exit [unit::main {*}[lrange $argv 1 end]]
    }
    reaper {
        ::harness::load runner reaper
        exit [reaper::main {*}[lrange $argv 1 end]]
    }
    default {
        puts stderr "internal program of ./runtest: run that instead"
        exit 3
    }
}
