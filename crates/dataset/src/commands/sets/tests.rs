//! Sets, driven through the engine.

use engine::testing::check;

#[test]
fn members_come_and_go() {
    check(
        r#"
        > SADD s 1 2 3 2
        < (integer) 3
        ~ SADD s 1 2 3 2
        > SADD s 1
        < (integer) 0
        > SISMEMBER s 1
        < (integer) 1
        > SMISMEMBER s 1 9
        < 1) (integer) 1
        < 2) (integer) 0
        > SMEMBERS s
        < 1) "1"
        < 2) "2"
        < 3) "3"
        > SMOVE s s 1
        < (integer) 1
        > SMOVE s d 1
        < (integer) 1
        ~ SMOVE s d 1
        > SREM s 9
        < (integer) 0
        > SREM s 2 3
        < (integer) 2
        ~ SREM s 2 3
        > SCARD s
        < (integer) 0
        > SET str x
        < OK
        ~ SET str x
        > SMOVE nope str x
        < (integer) 0
        > SMOVE d str 9
        < (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn a_pop_leaves_as_its_choice() {
    check(
        r#"
        > SADD s 7
        < (integer) 1
        ~ SADD s 7
        > SRANDMEMBER s
        < "7"
        > SRANDMEMBER s -2
        < 1) "7"
        < 2) "7"
        > SRANDMEMBER s -9223372036854775808
        < (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
        > SPOP s 0
        < (empty array)
        > SPOP s
        < "7"
        ~ SREM s 7
        > SADD s 1 2
        < (integer) 2
        ~ SADD s 1 2
        > SPOP s 5
        < 1) "1"
        < 2) "2"
        ~ UNLINK s
        > SPOP s
        < (nil)
        > SPOP s 1
        < (empty array)
        > SPOP s -1
        < (error) ERR value is out of range, must be positive
        > SPOP s 1 2
        < (error) ERR syntax error
        "#,
    );
}

#[test]
fn sets_combine() {
    check(
        r#"
        > SADD a 1 2 3 4
        < (integer) 4
        ~ SADD a 1 2 3 4
        > SADD b 3 4 5
        < (integer) 3
        ~ SADD b 3 4 5
        > SINTER a b
        < 1) "3"
        < 2) "4"
        > SINTER a nope
        < (empty array)
        > SDIFF a b
        < 1) "1"
        < 2) "2"
        > SDIFF a a
        < (empty array)
        > SUNION a b
        < 1) "1"
        < 2) "2"
        < 3) "3"
        < 4) "4"
        < 5) "5"
        > SINTERCARD 2 a b LIMIT 1
        < (integer) 1
        > SINTERCARD 3 a b
        < (error) ERR Number of keys can't be greater than number of args
        > SUNIONSTORE d a b
        < (integer) 5
        ~ SUNIONSTORE d a b
        > SDIFFSTORE d a a
        < (integer) 0
        ~ SDIFFSTORE d a a
        > SINTERSTORE d a nope
        < (integer) 0
        > SET str x
        < OK
        ~ SET str x
        > SINTER nope str
        < (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SINTERSTORE str a b
        < (integer) 2
        ~ SINTERSTORE str a b
        "#,
    );
}
