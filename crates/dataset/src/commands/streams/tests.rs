//! The stream commands through the engine: what they reply, and what replicas are told.

use engine::testing::{Driver, check, check_on};
use keyspace::stream::{Delivery, Group};
use keyspace::{Stream, StreamId, Value};

#[test]
fn entries_come_and_go_and_replicas_are_told_what_was_chosen() {
    check(
        "
        > XADD s * f v
        < \"1000000000000-0\"
        ~ XADD s 1000000000000-0 f v
        > XADD s * f v
        < \"1000000000000-1\"
        ~ XADD s 1000000000000-1 f v
        > XADD s 1000000000001-* f v
        < \"1000000000001-0\"
        ~ XADD s 1000000000001-0 f v
        > XADD s 5-5 f v
        < (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
        > XADD s MAXLEN 2 1000000000002 f v
        < \"1000000000002-0\"
        ~ XADD s MAXLEN 2 1000000000002 f v
        > XADD s MAXLEN ~ 0 1000000000003-0 f v
        < \"1000000000003-0\"
        ~ XADD s MAXLEN = 0 1000000000003-0 f v
        > XLEN s
        < (integer) 0
        > EXISTS s
        < (integer) 1
        > XADD s NOMKSTREAM * f v
        < \"1000000000003-1\"
        ~ XADD s NOMKSTREAM 1000000000003-1 f v
        > XADD none NOMKSTREAM * f v
        < (nil)
        > XDEL s 1-1
        < (integer) 0
        > XDEL s 1000000000003-1
        < (integer) 1
        ~ XDEL s 1000000000003-1
        ",
    );
}

#[test]
fn a_refused_command_makes_no_stream() {
    check(
        "
        > XADD s 0-0 f v
        < (error) ERR The ID specified in XADD must be greater than 0-0
        > XADD s x f v
        < (error) ERR Invalid stream ID specified as stream command argument
        > XADD s * f
        < (error) ERR wrong number of arguments for 'xadd' command
        > XADD s MAXLEN = 5 LIMIT 1 * f v
        < (error) ERR syntax error, LIMIT cannot be used without the special ~ option
        > XGROUP CREATE s g x MKSTREAM
        < (error) ERR Invalid stream ID specified as stream command argument
        > XREADGROUP GROUP g c STREAMS s >
        < (error) NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option
        > EXISTS s
        < (integer) 0
        ",
    );
}

#[test]
fn groups_deliver_and_replicas_hear_the_outcome() {
    let mut driver = Driver::new();
    check_on(
        &mut driver,
        "
        > XADD s 1-1 f v
        < \"1-1\"
        ~ XADD s 1-1 f v
        > XADD s 2-1 f v
        < \"2-1\"
        ~ XADD s 2-1 f v
        > XGROUP CREATE s g 0
        < OK
        ~ XGROUP CREATE s g 0
        > XREADGROUP GROUP g c COUNT 1 STREAMS s >
        < 1) 1) \"s\"
        <    2) 1) 1) \"1-1\"
        <          2) 1) \"f\"
        <             2) \"v\"
        ~ MULTI
        ~ XCLAIM s g c 0 1-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1
        ~ XGROUP SETID s g 1-1 ENTRIESREAD 1
        ~ EXEC
        > XREADGROUP GROUP g d NOACK STREAMS s >
        < 1) 1) \"s\"
        <    2) 1) 1) \"2-1\"
        <          2) 1) \"f\"
        <             2) \"v\"
        ~ MULTI
        ~ XGROUP CREATECONSUMER s g d
        ~ XGROUP SETID s g 2-1 ENTRIESREAD 2
        ~ EXEC
        ",
    );
    driver.advance_ms(70);
    check_on(
        &mut driver,
        "
        > XPENDING s g - + 5
        < 1) 1) \"1-1\"
        <    2) \"c\"
        <    3) (integer) 70
        <    4) (integer) 1
        > XCLAIM s g d 71 1-1
        < (empty array)
        > XCLAIM s g d 70 1-1 JUSTID
        < 1) \"1-1\"
        ~ XCLAIM s g d 0 1-1 TIME 1000000000070 RETRYCOUNT 1 FORCE JUSTID LASTID 2-1
        > XDEL s 1-1
        < (integer) 1
        ~ XDEL s 1-1
        > XAUTOCLAIM s g c 0 -
        < 1) \"0-0\"
        < 2) (empty array)
        < 3) 1) \"1-1\"
        ~ XCLAIM s g d 0 1-1 TIME 1000000000070 RETRYCOUNT 1 FORCE JUSTID LASTID 2-1
        > XACK s g 1-1
        < (integer) 0
        ",
    );
}

#[test]
fn readers_wait_for_streams_and_readers_of_groups_for_their_end() {
    check(
        "
        > XADD s 1-1 f v
        < \"1-1\"
        ~ XADD s 1-1 f v
        > XGROUP CREATE s g $
        < OK
        ~ XGROUP CREATE s g $
        1> XREAD BLOCK 0 STREAMS s other $ 0
        2> XREADGROUP GROUP g c BLOCK 0 STREAMS s >
        > SET other x
        < OK
        ~ SET other x
        > DEL other
        < (integer) 1
        ~ DEL other
        > XGROUP DESTROY s g
        < (integer) 1
        ~ XGROUP DESTROY s g
        2< (error) NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option
        > XADD s 2-1 f v
        < \"2-1\"
        ~ XADD s 2-1 f v
        1< 1) 1) \"s\"
        1<    2) 1) 1) \"2-1\"
        1<          2) 1) \"f\"
        1<             2) \"v\"
        ",
    );
}

#[test]
fn numbers_out_of_a_snapshot_may_be_as_large_as_can_be() {
    let mut stream = Stream::new();
    let fields: &[[&[u8]; 2]] = &[[b"f", b"v"]];
    let limits = keyspace::StreamLimits::default();
    stream.log.append(StreamId::new(1, 1), fields, &limits);
    stream
        .log
        .set_history(StreamId::MAX, u64::MAX, StreamId::MAX);
    let mut group = Group::new(StreamId::MIN, Some(i64::MAX as u64));
    group.add_consumer(b"c", i64::MIN, Some(i64::MAX));
    let consumer = group.consumer_name(b"c").unwrap();
    let delivery = Delivery {
        consumer,
        at_ms: i64::MIN,
        count: u64::MAX,
    };
    group.deliver(StreamId::new(1, 1), delivery);
    stream.groups.insert(b"g"[..].into(), group);
    let mut driver = Driver::new();
    driver
        .engine
        .keys
        .put(b"s", Value::Stream(Box::new(stream)), None);
    for request in [
        "XINFO CONSUMERS s g",
        "XPENDING s g IDLE 1 - + 1",
        "XREADGROUP GROUP g c STREAMS s 0",
        "XCLAIM s g c 1 1-1",
        "XAUTOCLAIM s g c 1 -",
        "XREADGROUP GROUP g c STREAMS s >",
        "XINFO STREAM s FULL",
        "XINFO GROUPS s",
    ] {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let reply = driver.send(0, &words);
        assert!(!reply.starts_with(b"-"), "{request}");
    }
    check_on(
        &mut driver,
        "
        > XADD s * f v
        < (error) ERR The stream has exhausted the last possible ID, unable to add more items
        ",
    );
}

#[test]
fn what_has_been_idle_for_just_so_long_changes_hands() {
    let told = |idle_ms, command: &str| {
        let mut driver = Driver::new();
        let send = |driver: &mut Driver, request: &str| {
            let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
            String::from_utf8(driver.send(0, &words)).unwrap()
        };
        send(&mut driver, "XADD s 1-1 f v");
        send(&mut driver, "XGROUP CREATE s g 0");
        send(&mut driver, "XREADGROUP GROUP g c STREAMS s >");
        driver.advance_ms(idle_ms);
        send(&mut driver, command).contains("1-1")
    };
    for command in [
        "XCLAIM s g d 50 1-1 JUSTID",
        "XAUTOCLAIM s g d 50 0 JUSTID",
        "XPENDING s g IDLE 50 - + 10",
    ] {
        assert!(!told(49, command), "{command}");
        assert!(told(50, command), "{command}");
    }
}
