# SLOWLOG: what is kept of slow commands, how much of it, and what stays out.

start_server {tags {"slowlog"} overrides {slowlog-log-slower-than 1000000}} {
    test {a fresh slow log is empty} {
        assert_equal 0 [r slowlog len]
        assert_equal {} [r slowlog get]
    } {} {external:skip}

    test {commands above the threshold are kept, newest first, up to the maximum} {
        r config set slowlog-log-slower-than 0 slowlog-max-len 10
        for {set i 0} {$i < 20} {incr i} {r ping $i}
        assert_equal 10 [r slowlog len]
        assert_equal "ping 19" [lindex [r slowlog get 2] 1 3]
        r config set slowlog-max-len 3
        assert_equal 3 [r slowlog len]
        r config set slowlog-max-len 128
        r slowlog reset
    }

    test {GET shows ten by default, all with -1, none with 0} {
        r config set slowlog-log-slower-than 0
        for {set i 0} {$i < 15} {incr i} {r ping}
        assert_equal 10 [llength [r slowlog get]]
        assert_morethan [llength [r slowlog get -1]] 15
        assert_equal {} [r slowlog get 0]
        assert_error {ERR count should be greater than or equal to -1} {r slowlog get -2}
        assert_error {ERR count should be greater than or equal to -1} {r slowlog get x}
    }

    test {an entry has number, time, duration, arguments, address and name} {
        r config set slowlog-log-slower-than 0
        r client setname tester
        r slowlog reset
        r set key value
        set entry [lindex [r slowlog get 1] 0]
        assert_equal 6 [llength $entry]
        lassign $entry id at usec words address name
        assert_lessthan_equal [expr {abs([clock seconds] - $at)}] 5
        assert_range $usec 0 1000000
        assert_equal {set key value} $words
        assert_match {*:*} $address
        assert_equal tester $name
        r ping
        assert_equal [expr {$id + 2}] [lindex [r slowlog get 1] 0 0]
    }

    test {long commands and long arguments are cut} {
        r config set slowlog-log-slower-than 0
        r sadd set {*}[lrepeat 33 x]
        set words [lindex [r slowlog get 1] 0 3]
        assert_equal 32 [llength $words]
        assert_equal {... (4 more arguments)} [lindex $words end]
        r sadd set [string repeat A 129]
        assert_equal "sadd set {[string repeat A 128]... (1 more bytes)}" [lindex [r slowlog get 1] 0 3]
    }

    test {passwords stay out} {
        r config set slowlog-log-slower-than 0
        r slowlog reset
        r config set primaryuser ""
        r config set primaryuser "" primaryauth secret
        catch {r auth name secret}
        set log [r slowlog get -1]
        assert_no_match *secret* $log
        assert_match {*config set primaryuser * primaryauth (redacted)*} $log
        r config set primaryauth ""
    }

    test {EXEC's commands are kept one by one} {
        r config set slowlog-log-slower-than 0
        r slowlog reset
        r multi
        r ping one
        r ping two
        r exec
        set log [r slowlog get -1]
        assert_match {*{ping one}*} $log
        assert_match {*{ping two}*} $log
        assert_no_match {*exec*} $log
    }

    test {a negative threshold turns the log off} {
        r config set slowlog-log-slower-than -1
        r slowlog reset
        r ping
        assert_equal 0 [r slowlog len]
    }

    test {a slow command is found by its duration} {
        r config set slowlog-log-slower-than 10000
        r debug sleep 0.05
        set entry [lindex [r slowlog get] 0]
        assert_equal {debug sleep 0.05} [lindex $entry 3]
        assert_range [lindex $entry 2] 50000 5000000
    } {} {needs:debug}
}
