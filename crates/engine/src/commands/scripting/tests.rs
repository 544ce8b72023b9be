//! Scripts and functions as clients use them.

use crate::testing::check;

#[test]
fn a_script_changes_keys_and_its_effects_travel_together() {
    check(
        r#"
        > EVAL "redis.call('set', KEYS[1], ARGV[1]) redis.call('incr', KEYS[1]) return redis.call('get', KEYS[1])" 1 a 5
        < "6"
        ~ MULTI
        ~ set a 5
        ~ incr a
        ~ EXEC
        > EVAL "return redis.call('get', KEYS[1])" 1 a
        < "6"
        > EVAL "redis.call('set', 'b', 1) error('late')" 0
        < (error) ERR user_script:1: late script: e18b13fd01103742e536a6e32997a472a198b318, on @user_script:1.
        ~ set b 1
        "#,
    );
}

#[test]
fn words_of_eval_are_checked_in_order() {
    check(
        r#"
        > EVAL "return 1" x
        < (error) ERR value is not an integer or out of range
        > EVAL "return 1" 1
        < (error) ERR Number of keys can't be greater than number of args
        > EVAL "return 1" -1
        < (error) ERR Number of keys can't be negative
        > EVALSHA abc x
        < (error) NOSCRIPT No matching script.
        > EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db x
        < (error) ERR value is not an integer or out of range
        > EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
        < (error) NOSCRIPT No matching script.
        > EVAL "return 1" 0
        < (integer) 1
        > EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0
        < (integer) 1
        > FCALL nosuch x
        < (error) ERR Function not found
        "#,
    );
}

#[test]
fn functions_are_loaded_called_and_told() {
    check(
        r##"
        > FUNCTION LOAD "#!lua name=l\nredis.register_function('f', function(keys, args) return redis.call('set', keys[1], args[1]) end)"
        < "l"
        ~ FUNCTION LOAD "#!lua name=l\nredis.register_function('f', function(keys, args) return redis.call('set', keys[1], args[1]) end)"
        > FCALL f 1 k v
        < OK
        ~ set k v
        > FCALL_RO f 1 k v
        < (error) ERR Can not execute a script with write flag using *_ro command.
        > FCALL f x
        < (error) ERR Bad number of keys provided
        > FUNCTION DELETE l
        < OK
        ~ FUNCTION DELETE l
        > FCALL f 1 k v
        < (error) ERR Function not found
        "##,
    );
}

#[test]
fn what_is_flushed_is_forgotten() {
    check(
        r#"
        > SCRIPT EXISTS a b
        < 1) (integer) 0
        < 2) (integer) 0
        > SCRIPT LOAD "return 1"
        < "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
        > SCRIPT SHOW e0e1f9fabfc9d4800c877a703b823ac0578ff8db
        < "return 1"
        > SCRIPT FLUSH async
        < OK
        > SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db
        < 1) (integer) 0
        > SCRIPT FLUSH sync x
        < (error) ERR SCRIPT FLUSH only support SYNC|ASYNC option
        > FUNCTION LIST withcode LIBRARYNAME *
        < (empty array)
        > FUNCTION LIST WITHCODE WITHCODE
        < (error) ERR Unknown argument WITHCODE
        > FUNCTION LIST LIBRARYNAME
        < (error) ERR library name argument was not given
        > FUNCTION FLUSH
        < OK
        ~ FUNCTION FLUSH
        > FUNCTION FLUSH x
        < (error) ERR FUNCTION FLUSH only supports SYNC|ASYNC option
        > FUNCTION FLUSH sync x
        < (error) ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP.
        > FUNCTION KILL
        < (error) NOTBUSY No scripts in execution right now.
        "#,
    );
}
