# Scripts in a log being loaded: those that take long keep nobody from being answered.

tags {"external:skip aof"} {

set dir [tmpdir aof-scripts]
set folder [file join $dir appendonlydir]
set defaults [list dir $dir appendonly yes save {} busy-reply-threshold 10]

# A log of these commands.
proc log_of {folder args} {
    file delete -force -- $folder
    set bytes ""
    foreach command $args {
        append bytes [format_command {*}$command]
    }
    create_aof $folder appendonly.aof.1.incr.aof {
        append_to_aof $bytes
    }
    create_aof_manifest $folder appendonly.aof.manifest {
        append_to_manifest "file appendonly.aof.1.incr.aof seq 1 type i\n"
    }
}

# What PING says on a new connection: "" while nobody listens, or before there is an answer.
proc pinged {} {
    set text ""
    catch {
        set c [valkey [srv 0 host] [srv 0 port]]
        if {[catch {$c ping} text]} {
            set text [lindex $text 0]
        }
        $c close
    }
    return $text
}

# Waits until the log is loaded; a connection.
proc loaded {} {
    wait_for_condition 20000 1 {
        [pinged] eq "PONG"
    } else {
        fail "the log is not loaded"
    }
    return [valkey [srv 0 host] [srv 0 port]]
}

set long "local n = 0 for i = 1, 1e8 do n = n + 1 end redis.call('set', KEYS\[1\], n)"

test {PING is answered again and again while the log has a long script run} {
    log_of $folder {set before 1} [list eval $long 1 counted] {set after 2}
    start_server [list overrides $defaults keep_persistence true wait_ready false] {
        set refused 0
        wait_for_condition 20000 1 {
            [set said [pinged]] eq "PONG" || ([string match {LOADING*} $said] && [incr refused] < 0)
        } else {
            fail "the log is not loaded"
        }
        assert {$refused > 5}
        set c [loaded]
        $c select 0
        assert_equal {1 100000000 2} [list [$c get before] [$c get counted] [$c get after]]
        assert_equal 3 [$c dbsize]
        $c close
    }
}

test {what stands behind a long script in a transaction of the log runs behind it} {
    log_of $folder multi {set k 1} [list eval "$long redis.call('incr', 'k')" 1 counted] {incrby k 10} exec {append k x}
    start_server [list overrides $defaults keep_persistence true wait_ready false] {
        set c [loaded]
        $c select 0
        assert_equal {12x 100000000} [list [$c get k] [$c get counted]]
        $c close
    }
}

test {a long script of the log that selects another database leaves the others where they were} {
    log_of $folder {select 9} [list eval "redis.call('select', 3) $long" 1 counted] {set after 2}
    start_server [list overrides $defaults keep_persistence true wait_ready false] {
        set c [loaded]
        $c select 9
        assert_equal {2 {}} [list [$c get after] [$c get counted]]
        $c select 3
        assert_equal 100000000 [$c get counted]
        $c close
    }
}

test {SHUTDOWN NOSAVE ends a server whose log has an endless script} {
    log_of $folder {set before 1} {eval {while true do end} 0}
    start_server [list overrides $defaults keep_persistence true wait_ready false] {
        wait_for_condition 20000 1 {
            [string match {LOADING*} [pinged]]
        } else {
            fail "nobody answers"
        }
        set c [valkey [srv 0 host] [srv 0 port]]
        catch {$c shutdown nosave}
        wait_for_condition 1000 10 {
            ![is_alive [srv 0 pid]]
        } else {
            fail "the server goes on"
        }
    }
}

}
