# Fixture: failures inside loops, branches and procedures; the report names the line.
start_server {} {
    test {loop} {
        foreach x {1 2} {

            assert_equal 1 $x
        }
    }
    test {branch} {
        if {0} {
            r ping
        } else {
            foreach y {1} {
                r ping

                r lpush
            }
        }
    }
    foreach z {1} {
        test {wait} {
            set a 1
            wait_for_condition 1 1 {$a == 2} else {
                fail "no"
            }
        }
        test "mul $z" {
            set a 1
            assert_error {x*} {
                r ping
            }
        }
    }
    proc helper {} {
        while 1 {
            error "in helper"
        }
    }
    test {helper} {
        r ping

        switch 1 {
            1 { helper }
        }
    }
}
