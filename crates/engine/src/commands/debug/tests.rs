//! Tests of DEBUG.

use crate::testing::check;

#[test]
fn digests_are_those_of_the_reference() {
    check(
        r#"
        > DEBUG DIGEST
        < 0000000000000000000000000000000000000000
        > SET a 1
        < OK
        ~ SET a 1
        > SET b hello
        < OK
        ~ SET b hello
        > DEBUG DIGEST
        < 2539797405e828ad7a3aa48c536b3eaf2803a421
        > DEBUG DIGEST-VALUE a b c
        < 1) b4fc66738120fba0b5aa500ab5c2bf89cea1c5da
        < 2) 36b23a1456b2dce2c3ed252c456761301dba8060
        < 3) 0000000000000000000000000000000000000000
        "#,
    );
}

#[test]
fn populate_makes_keys_that_are_missing() {
    check(
        r#"
        > DEBUG POPULATE 3
        < OK
        > MGET key:0 key:2 key:3
        < 1) "value:0"
        < 2) "value:2"
        < 3) (nil)
        > DEBUG POPULATE 1 q 9
        < OK
        > GET q:0
        < "value:0\x00\x00"
        > DEBUG POPULATE 2 q 3
        < OK
        > MGET q:0 q:1
        < 1) "value:0\x00\x00"
        < 2) "val"
        > DEBUG POPULATE -1
        < (error) ERR value is out of range, must be positive
        "#,
    );
}

#[test]
fn reload_brings_everything_back() {
    check(
        r#"
        > DEBUG RELOAD NOSAVE
        < (error) ERR Error trying to load the RDB dump, check server logs.
        > SET a 1 PX 1000
        < OK
        ~ SET a 1 PXAT 1000000001000
        > DEBUG RELOAD
        < OK
        > GET a
        < "1"
        > DEBUG RELOAD NOSAVE NOFLUSH MERGE
        < OK
        > DEBUG RELOAD NOSAVE NOFLUSH
        < (error) ERR Error trying to load the RDB dump, check server logs.
        > DEBUG RELOAD FOO
        < (error) ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.
        "#,
    );
}

#[test]
fn knobs_take_one_argument() {
    check(
        r#"
        > DEBUG SET-ACTIVE-EXPIRE 0
        < OK
        > DEBUG SET-ACTIVE-EXPIRE
        < (error) ERR unknown subcommand or wrong number of arguments for 'SET-ACTIVE-EXPIRE'. Try DEBUG HELP.
        > DEBUG QUICKLIST-PACKED-THRESHOLD 100b
        < OK
        > DEBUG QUICKLIST-PACKED-THRESHOLD 5gb
        < (error) ERR argument must be a memory value bigger than 1 and smaller than 4gb
        > DEBUG SLEEP 0.001
        < OK
        > DEBUG REPLYBUFFER PEAK-RESET-TIME never
        < OK
        > DEBUG ERROR "LOADING x"
        < (error) LOADING x
        > DEBUG POPULATE x
        < (error) ERR value is out of range, must be positive
        > DEBUG DROP-CLUSTER-PACKET-FILTER x
        < (error) ERR value is not an integer or out of range
        > DEBUG LEAK x
        < OK
        > DEBUG REPLICATE SET x y
        < OK
        ~ SET x y
        > DEBUG STRINGMATCH-TEST
        < Apparently the server did not crash: test passed
        > DEBUG NOSUCH
        < (error) ERR unknown subcommand or wrong number of arguments for 'NOSUCH'. Try DEBUG HELP.
        "#,
    );
}

#[test]
fn protocol_shows_every_kind_of_reply() {
    check(
        r#"
        > DEBUG PROTOCOL map
        < 1) (integer) 0
        < 2) (integer) 0
        < 3) (integer) 1
        < 4) (integer) 1
        < 5) (integer) 2
        < 6) (integer) 0
        > DEBUG PROTOCOL push
        < (error) ERR RESP2 is not supported by this command
        > DEBUG PROTOCOL verbatim
        < "This is a verbatim\nstring"
        > DEBUG PROTOCOL foo
        < (error) ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false
        > DEBUG OBJECT nokey
        < (error) ERR no such key
        "#,
    );
}
