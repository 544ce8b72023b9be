# oom-score-adj: the kernel's score of the process, of its snapshot child, and back again.

proc oom_score {pid} {
    set file [open /proc/$pid/oom_score_adj]
    set score [gets $file]
    close $file
    return $score
}

proc set_oom_score {pid score} {
    set file [open /proc/$pid/oom_score_adj w]
    puts $file $score
    close $file
}

start_server {tags {"oom-score-adj external:skip needs:linux"}} {
    set base [oom_score [srv 0 pid]]

    test {nothing is changed by default} {
        assert_equal {oom-score-adj no} [r config get oom-score-adj]
        r config set oom-score-adj-values "10 20 30"
        assert_equal $base [oom_score [srv 0 pid]]
    }

    test {relative scores are added to that of the start} {
        r config set oom-score-adj relative oom-score-adj-values "10 20 30"
        assert_equal [expr {$base + 10}] [oom_score [srv 0 pid]]
        r config set oom-score-adj-values "15 20 30"
        assert_equal [expr {$base + 15}] [oom_score [srv 0 pid]]
        assert_equal {oom-score-adj yes} [r config get oom-score-adj]
        r config set oom-score-adj yes
        assert_equal [expr {$base + 15}] [oom_score [srv 0 pid]]
    }

    test {a replica and a snapshot child have scores of their own} {
        r config set oom-score-adj relative oom-score-adj-values "10 20 30"
        r replicaof 127.0.0.1 1
        assert_equal [expr {$base + 20}] [oom_score [srv 0 pid]]
        r replicaof no one
        assert_equal [expr {$base + 10}] [oom_score [srv 0 pid]]
        r set key value
        r config set rdb-key-save-delay 100000000
        r bgsave
        set child [get_child_pid 0]
        wait_for_condition 50 20 {[oom_score $child] == $base + 30} else {
            fail "the child's score is [oom_score $child]"
        }
        r config set rdb-key-save-delay 0
        catch {exec kill -9 $child}
        waitForBgsave r
    } {} {needs:save}

    test {absolute scores are taken as they are, and "no" restores that of the start} {
        r config set oom-score-adj absolute oom-score-adj-values "[expr {$base + 40}] 800 900"
        assert_equal [expr {$base + 40}] [oom_score [srv 0 pid]]
        r config set oom-score-adj no
        assert_equal $base [oom_score [srv 0 pid]]
    }

    test {with "no" the score is left alone, and a later change starts from what is there} {
        r config set oom-score-adj absolute oom-score-adj-values "[expr {$base + 1}] 800 900"
        r config set oom-score-adj no
        set_oom_score [srv 0 pid] [expr {$base + 2}]
        r config set oom-score-adj-values "100 200 300"
        r replicaof 127.0.0.1 1
        r replicaof no one
        assert_equal [expr {$base + 2}] [oom_score [srv 0 pid]]
        r config set oom-score-adj-values "9 9 9" oom-score-adj yes
        assert_equal [expr {$base + 11}] [oom_score [srv 0 pid]]
        r config set oom-score-adj no
        assert_equal [expr {$base + 2}] [oom_score [srv 0 pid]]
        set_oom_score [srv 0 pid] $base
    }

    test {values that the kernel refuses change nothing} {
        if {![catch {set_oom_score [srv 0 pid] [expr {$base - 1}]}]} {
            set_oom_score [srv 0 pid] $base
            skip "this machine lets scores become less"
        }
        r config set oom-score-adj relative oom-score-adj-values "10 20 30"
        assert_error {*Failed to set current oom_score_adj. Check server logs.*} {r config set oom-score-adj-values "-1 25 30"}
        assert_equal {oom-score-adj-values {10 20 30}} [r config get oom-score-adj-values]
        r replicaof 127.0.0.1 1
        assert_equal [expr {$base + 20}] [oom_score [srv 0 pid]]
        r replicaof no one
        assert_equal [expr {$base + 10}] [oom_score [srv 0 pid]]
        r config set oom-score-adj no
    }

    test {values out of bounds are refused and change nothing} {
        assert_error {*wrong number of arguments*} {r config set oom-score-adj-values "1 2"}
        assert_error {*oom-score-adj-values*} {r config set oom-score-adj-values "-2001 1 1"}
        assert_equal $base [oom_score [srv 0 pid]]
    }
}
