//! Lists, driven through the engine.

use engine::testing::check;

#[test]
fn pushes_and_pops_at_the_ends() {
    check(
        r#"
        > RPUSH l a b c
        < (integer) 3
        ~ RPUSH l a b c
        > LPUSH l 1 2
        < (integer) 5
        ~ LPUSH l 1 2
        > LPUSHX nope x
        < (integer) 0
        > LRANGE l 0 -1
        < 1) "2"
        < 2) "1"
        < 3) "a"
        < 4) "b"
        < 5) "c"
        > LPOP l
        < "2"
        ~ LPOP l
        > RPOP l 2
        < 1) "c"
        < 2) "b"
        ~ RPOP l 2
        > LPOP l 0
        < (empty array)
        > LPOP l -1
        < (error) ERR value is out of range, must be positive
        > LPOP l 1 2
        < (error) ERR wrong number of arguments for 'lpop' command
        > LPOP nope 1
        < (nil)
        > LPOP l 10
        < 1) "1"
        < 2) "a"
        ~ LPOP l 10
        > LLEN l
        < (integer) 0
        > SET s x
        < OK
        ~ SET s x
        > LPUSH s a
        < (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn elements_are_found_set_inserted_and_removed() {
    check(
        r#"
        > RPUSH l a b c a b c
        < (integer) 6
        ~ RPUSH l a b c a b c
        > LINDEX l -1
        < "c"
        > LINDEX nope x
        < (nil)
        > LSET nope x y
        < (error) ERR no such key
        > LSET l 6 y
        < (error) ERR index out of range
        > LSET l 0 z
        < OK
        ~ LSET l 0 z
        > LPOS l b RANK -1
        < (integer) 4
        > LPOS l b COUNT 0
        < 1) (integer) 1
        < 2) (integer) 4
        > LPOS l b COUNT 0 MAXLEN 2
        < 1) (integer) 1
        > LPOS l b RANK 0
        < (error) ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
        > LPOS nope b COUNT 0
        < (empty array)
        > LINSERT l before a x
        < (integer) 7
        ~ LINSERT l before a x
        > LINSERT l after nope x
        < (integer) -1
        > LREM l -1 b
        < (integer) 1
        ~ LREM l -1 b
        > LTRIM l 0 -1
        < OK
        > LTRIM l 2 1
        < OK
        ~ LTRIM l 2 1
        > LLEN l
        < (integer) 0
        "#,
    );
}

#[test]
fn elements_move_between_lists() {
    check(
        r#"
        > RPUSH l a b c
        < (integer) 3
        ~ RPUSH l a b c
        > LMOVE l d LEFT right
        < "a"
        ~ LMOVE l d LEFT right
        > LMOVE l l LEFT RIGHT
        < "b"
        ~ LMOVE l l LEFT RIGHT
        > LRANGE l 0 -1
        < 1) "c"
        < 2) "b"
        > RPOPLPUSH nope d
        < (nil)
        > SET s x
        < OK
        ~ SET s x
        > RPOPLPUSH l s
        < (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > LMPOP 2 nope l RIGHT COUNT 5
        < 1) "l"
        < 2) 1) "b"
        <    2) "c"
        ~ RPOP l 2
        > LMPOP 0 l LEFT
        < (error) ERR numkeys should be greater than 0
        > LMPOP 1 d LEFT COUNT 0
        < (error) ERR count should be greater than 0
        > LMPOP 1 l LEFT
        < (nil)
        "#,
    );
}

#[test]
fn waiting_clients_are_served_in_order() {
    check(
        r#"
        1> BLPOP l 0
        2> BLMPOP 0 1 l RIGHT COUNT 10
        3> BLMOVE l d LEFT RIGHT 0
        > RPUSH l a b c d
        < (integer) 4
        ~ RPUSH l a b c d
        ~ LPOP l
        ~ RPOP l 3
        1< 1) "l"
        1< 2) "a"
        2< 1) "l"
        2< 2) 1) "d"
        2<    2) "c"
        2<    3) "b"
        > RPUSH l x
        < (integer) 1
        ~ RPUSH l x
        ~ LMOVE l d LEFT RIGHT
        3< "x"
        "#,
    );
}

#[test]
fn a_key_of_another_type_serves_nobody() {
    check(
        r#"
        1> BRPOP k 1
        > SET k x
        < OK
        ~ SET k x
        + 2000
        1< (nil)
        > BLPOP k 0
        < (error) WRONGTYPE Operation against a key holding the wrong kind of value
        2> BRPOPLPUSH l k 0
        > RPUSH l a
        < (integer) 1
        ~ RPUSH l a
        2< (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn nobody_waits_inside_a_transaction() {
    check(
        r#"
        > MULTI
        < OK
        > BLPOP l 0
        < QUEUED
        > BLMOVE l d LEFT LEFT 0
        < QUEUED
        > EXEC
        < 1) (nil)
        < 2) (nil)
        > BLPOP l -1
        < (error) ERR timeout is negative
        > BLPOP l x
        < (error) ERR timeout is not a float or out of range
        "#,
    );
}
