//! Sorted sets through the dispatcher.

use engine::testing::check;

#[test]
fn zadd_obeys_its_options() {
    check(
        "
        > ZADD z 1 a 2 b
        < (integer) 2
        ~ ZADD z 1 a 2 b
        > ZADD z CH 1 a 3 b 4 c
        < (integer) 2
        ~ ZADD z CH 1 a 3 b 4 c
        > ZADD z 1 a
        < (integer) 0
        > ZADD z GT 0 a
        < (integer) 0
        > ZADD z INCR LT 1 a
        < (nil)
        > ZADD z XX INCR 1.5 a
        < \"2.5\"
        ~ ZADD z XX INCR 1.5 a
        > ZADD nokey XX 1 a
        < (integer) 0
        > ZADD z NX XX 1 a
        < (error) ERR XX and NX options at the same time are not compatible
        > ZADD z 1 a 2
        < (error) ERR syntax error
        > ZINCRBY z -inf c
        < \"-inf\"
        ~ ZINCRBY z -inf c
        > ZINCRBY z inf c
        < (error) ERR resulting score is not a number (NaN)
        ",
    );
}

#[test]
fn ranges_by_rank_score_and_member() {
    check(
        "
        > ZADD z 1 a 2 b 3 c
        < (integer) 3
        ~ ZADD z 1 a 2 b 3 c
        > ZRANGE z -2 -1 WITHSCORES
        < 1) \"b\"
        < 2) \"2\"
        < 3) \"c\"
        < 4) \"3\"
        > ZRANGE z (1 +inf BYSCORE LIMIT 1 -1
        < 1) \"c\"
        > ZREVRANGEBYSCORE z 2 -inf
        < 1) \"b\"
        < 2) \"a\"
        > ZRANGE z [b + BYLEX
        < 1) \"b\"
        < 2) \"c\"
        > ZRANGE z 0 -1 LIMIT 0 1
        < (error) ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
        > ZRANGESTORE d z 0 0 REV
        < (integer) 1
        ~ ZRANGESTORE d z 0 0 REV
        > ZRANGESTORE d nokey 0 -1
        < (integer) 0
        ~ ZRANGESTORE d nokey 0 -1
        > ZREMRANGEBYSCORE z 2 3
        < (integer) 2
        ~ ZREMRANGEBYSCORE z 2 3
        > ZREVRANK z a WITHSCORE
        < 1) (integer) 0
        < 2) \"1\"
        ",
    );
}

#[test]
fn pops_propagate_what_they_took() {
    check(
        "
        > ZADD z 1 a 2 b 3 c
        < (integer) 3
        ~ ZADD z 1 a 2 b 3 c
        > ZPOPMAX z
        < 1) \"c\"
        < 2) \"3\"
        ~ ZPOPMAX z
        > ZMPOP 2 nokey z MIN COUNT 10
        < 1) \"z\"
        < 2) 1) 1) \"a\"
        <       2) \"1\"
        <    2) 1) \"b\"
        <       2) \"2\"
        ~ ZPOPMIN z 2
        > ZCARD z
        < (integer) 0
        1> BZPOPMIN y z 0
        <
        > ZADD z 5 m
        < (integer) 1
        ~ ZADD z 5 m
        ~ ZPOPMIN z
        1< 1) \"z\"
        1< 2) \"m\"
        1< 3) \"5\"
        ",
    );
}

#[test]
fn combinations_take_plain_sets_too() {
    check(
        "
        > ZADD z 1 a 2 b
        < (integer) 2
        ~ ZADD z 1 a 2 b
        > ZADD y 10 b 20 c
        < (integer) 2
        ~ ZADD y 10 b 20 c
        > ZUNION 2 z y WEIGHTS 2 1 AGGREGATE MAX WITHSCORES
        < 1) \"a\"
        < 2) \"2\"
        < 3) \"b\"
        < 4) \"10\"
        < 5) \"c\"
        < 6) \"20\"
        > ZINTERSTORE d 2 z y
        < (integer) 1
        ~ ZINTERSTORE d 2 z y
        > ZSCORE d b
        < \"12\"
        > ZDIFFSTORE d 2 z z
        < (integer) 0
        ~ ZDIFFSTORE d 2 z z
        > ZINTERCARD 2 z y LIMIT 1
        < (integer) 1
        > ZUNION 0 z
        < (error) ERR at least 1 input key is needed for 'zunion' command
        ",
    );
}
