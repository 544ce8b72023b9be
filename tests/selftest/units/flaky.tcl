# Fixture: what fails at the first run and passes at the second. The file it remembers
# by is named by the environment.

proc first_time {what} {
    set path $::env(SELFTEST_SCRATCH)/$what
    if {[file exists $path]} {
        return 0
    }
    close [open $path w]
    return 1
}

test {steady} {}

test {flaky} {
    if {[first_time flaky]} {
        fail "the first time"
    }
}

test {always fails} {
    if {[info exists ::env(SELFTEST_BROKEN)]} {
        fail "every time"
    }
}

start_server {} {
    if {[first_time setup]} {
        error "the first time, outside of tests"
    }
    test {behind the setup} {
        r ping
    } {PONG}
}
