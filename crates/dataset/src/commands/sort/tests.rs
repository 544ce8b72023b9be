//! Tests of SORT with the engine around it.

use engine::testing::check;

#[test]
fn what_is_stored_travels_as_it_came() {
    check(
        r#"
        > RPUSH l 3 1 2 10
        < (integer) 4
        ~ RPUSH l 3 1 2 10
        > SORT l
        < 1) "1"
        < 2) "2"
        < 3) "3"
        < 4) "10"
        > SORT l ALPHA DESC LIMIT 1 2
        < 1) "2"
        < 2) "10"
        > SORT l STORE d
        < (integer) 4
        ~ SORT l STORE d
        > SORT l LIMIT 4 1 STORE d
        < (integer) 0
        ~ SORT l LIMIT 4 1 STORE d
        > EXISTS d
        < (integer) 0
        > SORT nokey STORE d
        < (integer) 0
        "#,
    );
}

#[test]
fn weights_and_results_come_from_other_keys() {
    check(
        r#"
        > RPUSH l 1 2 3
        < (integer) 3
        ~ RPUSH l 1 2 3
        > MSET w_1 30 w_2 20 n_3 c
        < OK
        ~ MSET w_1 30 w_2 20 n_3 c
        > HSET h_2 f x
        < (integer) 1
        ~ HSET h_2 f x
        > SORT l BY w_* GET # GET n_* GET h_*->f
        < 1) "3"
        < 2) "c"
        < 3) (nil)
        < 4) "2"
        < 5) (nil)
        < 6) "x"
        < 7) "1"
        < 8) (nil)
        < 9) (nil)
        > SORT l BY nosort DESC LIMIT 0 2
        < 1) "3"
        < 2) "2"
        "#,
    );
}

#[test]
fn what_is_refused_changes_nothing() {
    check(
        r#"
        > RPUSH l a
        < (integer) 1
        ~ RPUSH l a
        > SET s 1
        < OK
        ~ SET s 1
        > SORT l STORE s
        < (error) ERR One or more scores can't be converted into double
        > SORT s
        < (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SORT l LIMIT 0 x STORE s
        < (error) ERR value is not an integer or out of range
        > SORT l LIMIT 0
        < (error) ERR syntax error
        > SORT_RO l STORE s
        < (error) ERR syntax error
        > GET s
        < "1"
        "#,
    );
}
