//! Scripts in their sandbox, with a small server around them. Replies are those of Valkey 8.0.1 unless said otherwise.

use crate::support::{Loading, Server};
use resp::Protocol;
use scripting::{Digest, Keep, Limits, LogLevel, Progress, Scripting, Targets};

#[test]
fn values_become_replies() {
    let mut server = Server::default();
    for (body, v2, v3) in [
        ("return 1", ":1\r\n", ":1\r\n"),
        ("return -3.99", ":-3\r\n", ":-3\r\n"),
        (
            "return 0/0",
            ":-9223372036854775808\r\n",
            ":-9223372036854775808\r\n",
        ),
        (
            "return 2^63",
            ":-9223372036854775808\r\n",
            ":-9223372036854775808\r\n",
        ),
        ("return 'a', 'b'", "$1\r\na\r\n", "$1\r\na\r\n"),
        ("return true", ":1\r\n", ":1\r\n"),
        ("return false", "$-1\r\n", "_\r\n"),
        (
            "redis.setresp(3) return {true, false}",
            "*2\r\n:1\r\n:0\r\n",
            "*2\r\n#t\r\n#f\r\n",
        ),
        ("return", "$-1\r\n", "_\r\n"),
        ("return cjson.null", "$-1\r\n", "_\r\n"),
        (
            "return {1, {'x'}, nil, 4}",
            "*2\r\n:1\r\n*1\r\n$1\r\nx\r\n",
            "*2\r\n:1\r\n*1\r\n$1\r\nx\r\n",
        ),
        ("return {ok='a\\r\\nb\\0c'}", "+a  b\r\n", "+a  b\r\n"),
        (
            "return {err='A a\\r\\nb\\0c', ok='x'}",
            "-A a  b\r\n",
            "-A a  b\r\n",
        ),
        ("return {err=5}", "*0\r\n", "*0\r\n"),
        ("return {double=3.25}", "$4\r\n3.25\r\n", ",3.25\r\n"),
        ("return {big_number='1\\r2'}", "$3\r\n1 2\r\n", "(1 2\r\n"),
        (
            "return {verbatim_string={format='a', string='bc'}}",
            "$2\r\nbc\r\n",
            "=6\r\na  :bc\r\n",
        ),
        ("return {verbatim_string={format='a'}}", "*0\r\n", "*0\r\n"),
        (
            "return {map={k={set={m=1}}}}",
            "*2\r\n$1\r\nk\r\n*1\r\n$1\r\nm\r\n",
            "%1\r\n$1\r\nk\r\n~1\r\n$1\r\nm\r\n",
        ),
        (
            "return setmetatable({}, {__index=error})",
            "*0\r\n",
            "*0\r\n",
        ),
    ] {
        server.protocol = Protocol::V2;
        assert_eq!(server.eval(body), v2, "{body}");
        server.protocol = Protocol::V3;
        assert_eq!(server.eval(body), v3, "{body}");
    }
}

#[test]
fn replies_become_values() {
    let mut server = Server::default();
    let show = "local function show(v)
        if type(v) ~= 'table' then return tostring(v) end
        local parts = {}
        for k, x in pairs(v) do parts[#parts + 1] = show(k) .. '=' .. show(x) end
        table.sort(parts)
        return '{' .. table.concat(parts, ' ') .. '}'
    end
    return show(redis.pcall('raw', ARGV[1]))"
        .replace("local function", "local show; show = function")
        .replace("show = function show", "show = function");
    for (raw, version, shown) in [
        (":7\r\n", 2, "7"),
        ("$-1\r\n", 2, "false"),
        ("*-1\r\n", 2, "false"),
        ("_\r\n", 3, "nil"),
        ("+OK\r\n", 2, "{ok=OK}"),
        ("-A b\r\n", 2, "{err=A b ignore_error_stats_update=true}"),
        (
            "*3\r\n:1\r\n$-1\r\n*1\r\n$2\r\na\n\r\n",
            2,
            "{1=1 2=false 3={1=a\n}}",
        ),
        ("*2\r\n_\r\n*0\r\n", 3, "{2={}}"),
        ("#f\r\n", 3, "false"),
        (",3.5\r\n", 3, "{double=3.5}"),
        ("(123\r\n", 3, "{big_number=123}"),
        (
            "=7\r\ntxt:abc\r\n",
            3,
            "{verbatim_string={format=txt string=abc}}",
        ),
        ("%2\r\n:1\r\n:2\r\n+a\r\n*0\r\n", 3, "{map={1=2 {ok=a}={}}}"),
        ("~2\r\n:1\r\n$1\r\na\r\n", 3, "{set={1=true a=true}}"),
        ("|1\r\n*1\r\n:1\r\n:2\r\n*1\r\n:9\r\n", 3, "{1=9}"),
        (">2\r\n:1\r\n*1\r\n:2\r\n", 3, "nil"),
        ("*1\r\n|1\r\n:1\r\n:2\r\n:3\r\n", 3, "{1=3}"),
    ] {
        let body = format!("redis.setresp({version}) {show}");
        let reply = server.eval_bytes(body.as_bytes(), &[], &[raw.as_bytes()]);
        let reply = String::from_utf8(reply).unwrap();
        assert_eq!(reply, format!("${}\r\n{shown}\r\n", shown.len()), "{raw:?}");
    }
}

#[test]
fn tables_that_hold_each_other_end_in_an_error_deep_inside() {
    let mut server = Server::default();
    for (body, headers) in [
        ("local a = {} a[1] = a return a", 7995),
        ("local a = {map={}} a.map.k = a return a", 2665),
        ("local a = {map={}} a.map[a] = 1 return a", 1999),
        ("local a = {set={}} a.set[a] = 1 return a", 2665),
    ] {
        let reply = server.eval(body);
        assert_eq!(reply.matches('*').count(), headers, "{body}");
        assert!(reply.contains("-ERR reached lua stack limit\r\n"));
    }
}

#[test]
fn errors_say_which_script_and_where() {
    let mut server = Server::default();
    let hex = Digest::of(b"error('boom')").hex();
    let hex = String::from_utf8_lossy(&hex).into_owned();
    assert_eq!(
        server.eval("error('boom')"),
        format!("-ERR user_script:1: boom script: {hex}, on @user_script:1.\r\n")
    );
    for (body, error) in [
        ("error('boom', 0)", "-ERR boom, on @user_script:1.\r\n"),
        ("\n\nerror({err='my'})", "-my, on @user_script:3.\r\n"),
        ("error({err=5})", "-5, on @user_script:1.\r\n"),
        ("error()", "-ERR nil, on @user_script:1.\r\n"),
        (
            "error('a\\r\\n+OK\\0b')",
            "-ERR user_script:1: a  +OK, on @user_script:1.\r\n",
        ),
        (
            "redis.call('nosuch')",
            "-ERR Unknown command called from script, on @user_script:1.\r\n",
        ),
        (
            "redis.call()",
            "-ERR Please specify at least one argument for this call, on @user_script:1.\r\n",
        ),
        (
            "redis.call('a', {})",
            "-ERR Command arguments must be strings or integers, on @user_script:1.\r\n",
        ),
        (
            "return foo",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 'foo', on @user_script:1.\r\n",
        ),
        (
            "x = 1",
            "-ERR user_script:1: Attempt to modify a readonly table, on @user_script:1.\r\n",
        ),
        (
            "redis.call = 1",
            "-ERR user_script:1: Attempt to modify a readonly table, on @user_script:1.\r\n",
        ),
        (
            "getmetatable('').__index = 1",
            "-ERR user_script:1: Attempt to modify a readonly table, on @user_script:1.\r\n",
        ),
        (
            "rawset(_G, 'x', 1)",
            "-ERR Attempt to modify a readonly table, on @user_script:1.\r\n",
        ),
        (
            "redis.log(1)",
            "-ERR server.log() requires two arguments or more., on @user_script:1.\r\n",
        ),
        (
            "redis.setresp(4)",
            "-ERR RESP version must be 2 or 3., on @user_script:1.\r\n",
        ),
        (
            "redis.set_repl(4)",
            "-ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE., on @user_script:1.\r\n",
        ),
        (
            "redis.acl_check_cmd('unknown')",
            "-ERR Invalid command passed to server.acl_check_cmd(), on @user_script:1.\r\n",
        ),
        // The reference ends here.
        ("error({})", "-ERR unknown error, on @user_script:1.\r\n"),
        (
            "error(setmetatable({}, {__index=error}))",
            "-ERR unknown error, on @user_script:1.\r\n",
        ),
        ("return redis.error_reply('x')", "-ERR x\r\n"),
        ("return redis.error_reply('-My x')", "-My x\r\n"),
        (
            "return redis.error_reply(1)",
            "-ERR wrong number or type of arguments\r\n",
        ),
        ("return redis.status_reply('fine')", "+fine\r\n"),
        (
            "foo(",
            "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'\r\n",
        ),
        (
            "#!lua flags=x\n",
            "-ERR Unexpected flag in script shebang: x\r\n",
        ),
    ] {
        assert_eq!(server.error(body), error, "{body}");
    }
}

#[test]
fn errors_are_counted_once() {
    let mut server = Server::default();
    for (body, counted) in [
        ("redis.call('nosuch')", 0),
        ("return redis.pcall('nosuch')", 0),
        ("local ok, e = pcall(redis.call, 'nosuch') error(e)", 1),
        ("return {err='A b'}", 1),
        ("return {{err='A b'}, redis.pcall('nosuch'), {err='c'}}", 2),
        ("error('x')", 1),
    ] {
        server.errors.clear();
        server.eval(body);
        assert_eq!(server.errors.len(), counted, "{body}");
    }
}

#[test]
fn the_server_is_asked_for_what_scripts_want() {
    let mut server = Server::default();
    let body = "redis.call('echo', 1.5) redis.set_repl(redis.REPL_AOF) redis.call('ok')
        redis.log(redis.LOG_WARNING, 'a', 1, {}, 'b')
        return {redis.call('v'), tostring(redis.acl_check_cmd('deny')), tostring(redis.acl_check_cmd('ok', 1))}";
    assert_eq!(
        server.eval(body),
        "*3\r\n:2\r\n$5\r\nfalse\r\n$4\r\ntrue\r\n"
    );
    let expected = [
        ("echo 1.5", Targets::ALL),
        ("ok", Targets::AOF),
        ("v", Targets::AOF),
    ];
    assert!(
        server
            .fake
            .calls
            .iter()
            .map(|(call, to)| (call.as_str(), *to))
            .eq(expected)
    );
    assert_eq!(
        server.fake.logged,
        [(LogLevel::Warning, "a 1 b".to_owned())]
    );
    // The next run begins afresh.
    server.eval("redis.setresp(3) return redis.call('v')");
    assert_eq!(server.eval("return redis.call('v')"), ":2\r\n");
    assert_eq!(server.fake.calls.last().unwrap().1, Targets::ALL);
}

#[test]
fn keys_and_arguments_are_fresh_tables_of_each_run() {
    let mut server = Server::default();
    let body = b"KEYS[9] = 'x' ARGV.a = 1 return {#KEYS, KEYS[1], ARGV[2]}";
    for _ in 0..2 {
        let reply = server.eval_bytes(body, &[b"k\0"], &[b"a", b"b"]);
        assert_eq!(reply, b"*3\r\n:1\r\n$2\r\nk\0\r\n$1\r\nb\r\n");
    }
    assert_eq!(
        server.eval("return {#KEYS, KEYS[9], ARGV.a}"),
        "*1\r\n:0\r\n"
    );
}

#[test]
fn no_script_leaves_anything_to_the_next() {
    let mut server = Server::default();
    for body in [
        "setfenv(0, {})",
        "setfenv(1, {}) x = 1",
        "getmetatable(_G).__index = nil",
        "setmetatable(string, {})",
        "local p = newproxy(true) getmetatable(p).__gc = function() redis.call('late') end",
        "while #ARGV < 10 do table.insert(ARGV, 'x') end",
        "coroutine.wrap(function() x = 1 end)()",
    ] {
        server.eval(body);
        assert_eq!(
            server.eval("return {type(redis.call), ('x'):rep(2)}"),
            "*2\r\n$8\r\nfunction\r\n$2\r\nxx\r\n"
        );
        assert!(
            server
                .error("return x")
                .contains("nonexistent global variable 'x'")
        );
    }
    assert!(server.fake.calls.is_empty());
}

#[test]
fn scripts_of_eval_go_when_there_are_too_many() {
    let mut server = Server::default();
    let body = |n: usize| format!("return {n}");
    let digest = |n: usize| Digest::of(body(n).as_bytes());
    server
        .scripting
        .load_script(body(1).as_bytes(), digest(1), Keep::Always)
        .unwrap();
    for n in 0..=500 {
        server.eval(&body(n));
    }
    // One of them was loaded.
    assert_eq!(
        (
            server.scripting.scripts(),
            server.scripting.evicted_scripts()
        ),
        (501, 0)
    );
    server.eval(&body(0));
    server.eval(&body(501));
    assert_eq!(
        (
            server.scripting.scripts(),
            server.scripting.evicted_scripts()
        ),
        (501, 1)
    );
    assert!(server.scripting.script_flags(&digest(0)).is_some());
    assert!(server.scripting.script_flags(&digest(1)).is_some());
    assert!(server.scripting.script_flags(&digest(2)).is_none());
    // Loading one takes it out of the list for good.
    server
        .scripting
        .load_script(body(3).as_bytes(), digest(3), Keep::Always)
        .unwrap();
    for n in 502..1200 {
        server.eval(&body(n));
    }
    assert_eq!(server.scripting.scripts(), 502);
    assert!(server.scripting.script_flags(&digest(3)).is_some());
    assert_eq!(server.eval(&body(3)), ":3\r\n");
    assert!(server.scripting.flush_scripts().unwrap().is_some());
    assert_eq!(
        (
            server.scripting.scripts(),
            server.scripting.evicted_scripts()
        ),
        (0, 698)
    );
}

#[test]
fn what_does_not_compile_is_not_cached() {
    let mut server = Server::default();
    server.eval("syntax error");
    server.eval("#!lua flags=x\nreturn 1");
    assert_eq!(server.scripting.scripts(), 0);
    server.eval("error('x')");
    assert_eq!(server.scripting.scripts(), 1);
}

#[test]
fn memory_is_bounded_and_the_next_script_works() {
    let mut server = Server::default();
    for body in [
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
        "return ('x'):rep(2^30)",
        "return redis.call('echo', ('x'):rep(30000000)) .. redis.call('echo', ('y'):rep(30000000))",
    ] {
        let reply = server.error(body);
        assert!(
            reply.starts_with("-ERR ") && reply.contains("not enough memory"),
            "{body}: {reply}"
        );
        assert_eq!(
            server.eval("return #redis.call('echo', ('x'):rep(1000000))"),
            ":1000000\r\n"
        );
    }
}

#[test]
fn what_runs_have_left_is_collected_in_slices() {
    let mut server = Server::default();
    let fills = "local t = {} pcall(function() while true do t[#t + 1] = ('x'):rep(500) .. #t end end) return 1";
    assert_eq!(server.eval(fills), ":1\r\n");
    let body = b"return #ARGV[1]";
    let digest = Digest::of(body);
    let loaded = server.scripting.load_script(body, digest, Keep::WhileUsed);
    loaded.expect("there is room beyond the limit");
    let run = server
        .scripting
        .start_script(&digest, &[], &[&[b'x'; 100_000]]);
    let run = run.expect("it is loaded").expect("there is memory");
    let (left, reply) = server.finish_in_slices(run, 1_000);
    assert!(left > 50, "{left}");
    assert_eq!(reply, ":100000\r\n");
}

#[test]
fn the_digest_of_a_long_text_is_made_in_slices() {
    let mut server = Server::default();
    let text = vec![b'x'; 1_000_003];
    let hex = Digest::of(&text).hex();
    let run = server.start(b"return redis.sha1hex(('x'):rep(1000003))");
    let (left, reply) = server.finish_in_slices(run, 1_000);
    assert!(left > 200, "{left}");
    assert_eq!(
        reply,
        format!("$40\r\n{}\r\n", String::from_utf8_lossy(&hex))
    );
}

#[test]
fn a_run_can_be_left_and_killed_anywhere() {
    let mut server = Server::default();
    let body = b"while true do pcall(function() while true do redis.call('ok') end end) end";
    let mut run = server.start(body);
    assert!(server.scripting.is_running());
    for _ in 0..100 {
        assert_eq!(run.resume(&mut server.fake, 1_000), Progress::OutOfBudget);
    }
    run.kill();
    let mut out = resp::Reply::default();
    run.write_reply(u64::MAX, &mut out, &mut |_, _| {});
    server.scripting.ended(run, 0, 0);
    let reply = String::from_utf8(out.into_output().to_vec()).unwrap();
    assert!(
        reply.starts_with("-ERR Script killed by user with SCRIPT KILL..."),
        "{reply}"
    );
    assert_eq!(server.eval("return 1"), ":1\r\n");
}

/// A script that is long enough to be compiled in slices.
fn long(code: &str) -> String {
    let long = format!("local t {} {code}", "t = {a = 1, 'b'} ; ".repeat(1000));
    assert!(Scripting::is_long(long.as_bytes()));
    long
}

/// Compiles and calls it with a key and an argument; how often it was left, and the reply.
fn run_long(server: &mut Server, body: &str, units: u64) -> (u32, String) {
    let digest = Digest::of(body.as_bytes());
    let call = Some((&[&b"key"[..]][..], &[&b"arg"[..]][..]));
    let run = server
        .scripting
        .compile_script(body.as_bytes(), digest, Keep::WhileUsed, call);
    let run = run.expect("nothing runs").expect("its first line is good");
    assert!(server.scripting.is_running());
    server.finish_in_slices(run, units)
}

#[test]
fn a_long_script_is_compiled_in_slices_by_its_first_run() {
    let mut server = Server::default();
    let body = long("return KEYS[1] .. ARGV[1] .. t[1]");
    let (left, reply) = run_long(&mut server, &body, 100);
    assert!(left > 50, "{left}");
    assert_eq!(reply, "$7\r\nkeyargb\r\n");
    let digest = Digest::of(body.as_bytes());
    assert_eq!(server.scripting.script_body(&digest), Some(body.as_bytes()));
    let again = server.eval_bytes(body.as_bytes(), &[b"k"], &[b"a"]);
    assert_eq!(again, b"$3\r\nkab\r\n");
    assert_eq!(server.scripting.scripts(), 1);
}

#[test]
fn a_long_script_that_is_none_is_not_cached() {
    let mut server = Server::default();
    let body = long("return )");
    let (_, reply) = run_long(&mut server, &body, 100);
    assert_eq!(
        reply,
        "-ERR Error compiling script (new function): user_script:1: unexpected symbol near ')'\r\n"
    );
    assert_eq!(server.eval(&body), reply);
    assert_eq!(server.scripting.scripts(), 0);
    assert_eq!(server.eval("return 1"), ":1\r\n");
}

#[test]
fn a_long_script_may_be_cached_only_or_killed_while_it_is_compiled() {
    let mut server = Server::default();
    let body = long("return 5");
    let digest = Digest::of(body.as_bytes());
    for kill in [true, false] {
        let run = server
            .scripting
            .compile_script(body.as_bytes(), digest, Keep::Always, None);
        let mut run = run.unwrap().unwrap();
        assert_eq!(run.resume(&mut server.fake, 100), Progress::OutOfBudget);
        if kill {
            run.kill();
        } else {
            while run.resume(&mut server.fake, 100) == Progress::OutOfBudget {}
        }
        let mut out = resp::Reply::default();
        run.write_reply(u64::MAX, &mut out, &mut |_, _| {});
        server.scripting.ended(run, 0, 0);
        let reply = out.into_output().to_vec();
        if kill {
            assert!(reply.starts_with(b"-ERR Script killed by user"));
        } else {
            assert_eq!(reply, [b"$40\r\n", &digest.hex()[..], b"\r\n"].concat());
        }
        let cached = server.scripting.script_flags(&digest);
        assert_eq!(cached.is_some(), !kill);
    }
    assert_eq!(server.eval(&body), ":5\r\n");
}

#[test]
fn a_long_script_finds_room_behind_a_collection() {
    let mut server = Server::default();
    server.scripting.set_limits(Limits {
        memory_bytes: 2 << 20,
        ..Limits::default()
    });
    // Garbage that takes most of the room.
    server.eval("local t = {} for i = 1, 8 do t[i] = ('x'):rep(200000 + i) end return 1");
    let body = long(&format!("return #'{}'", "y".repeat(200_000)));
    assert_eq!(run_long(&mut server, &body, 1000).1, ":200000\r\n");
    let body = long(&format!("return #'{}'", "y".repeat(2_000_000)));
    let (_, reply) = run_long(&mut server, &body, 1000);
    assert!(reply.contains("not enough memory"), "{reply}");
    assert_eq!(server.eval("return 1"), ":1\r\n");
}

#[test]
fn a_line_of_the_log_has_a_bound() {
    let mut server = Server::default();
    let body = "local t, s = {}, ('x'):rep(300000) for i = 1, 7000 do t[i] = s end redis.log(redis.LOG_NOTICE, unpack(t)) return 1";
    assert_eq!(server.eval(body), ":1\r\n");
    let (level, line) = &server.fake.logged[0];
    assert_eq!(*level, LogLevel::Notice);
    assert!((1 << 20..1 << 21).contains(&line.len()), "{}", line.len());
}

#[test]
fn a_long_reply_of_a_command_is_converted_in_slices() {
    let mut server = Server::default();
    let body = b"local n = 30000 local t = redis.call('raw', '*' .. n + 1 .. '\\r\\n' .. (':7\\r\\n$1\\r\\nx\\r\\n*1\\r\\n+OK\\r\\n'):rep(n / 3) .. ':5\\r\\n') return {#t, t[1], t[29999], t[30000][1].ok, t[30001]}";
    let run = server.start(body);
    let (left, reply) = server.finish_in_slices(run, 4_000);
    assert!(left > 50, "{left}");
    assert_eq!(reply, "*5\r\n:30001\r\n:7\r\n$1\r\nx\r\n$2\r\nOK\r\n:5\r\n");
}

#[test]
fn a_long_reply_of_a_command_finds_room_behind_a_collection() {
    let mut server = Server::default();
    server.scripting.set_limits(Limits {
        memory_bytes: 3 << 20,
        ..Limits::default()
    });
    let body = |count: u32| {
        format!(
            "for i = 1, 10 do local s = ('x'):rep(100000 + i) end \
                 local reply = '*{count}\\r\\n' .. (':7\\r\\n'):rep({count}) \
                 return #redis.call('raw', reply)"
        )
    };
    assert_eq!(server.eval(&body(90_000)), ":90000\r\n");
    let reply = server.eval(&body(400_000));
    assert!(reply.contains("not enough memory"), "{reply}");
    assert_eq!(server.eval("return 1"), ":1\r\n");
}

#[test]
fn a_reply_of_shared_tables_is_written_in_slices() {
    let mut server = Server::default();
    let body = b"local s, t, u = ('x'):rep(100000), {}, {} for i = 1, 40 do t[i] = s end for i = 1, 10 do u[i] = t end return {u, {map={a=t}}, {set={b=1}}, 'end'}";
    let expected = {
        let s = format!("$100000\r\n{}\r\n", "x".repeat(100_000));
        let t = format!("*40\r\n{}", s.repeat(40));
        format!(
            "*4\r\n*10\r\n{}*2\r\n$1\r\na\r\n{t}*1\r\n$1\r\nb\r\n$3\r\nend\r\n",
            t.repeat(10)
        )
    };
    let mut run = server.start(body);
    while run.resume(&mut server.fake, 100_000) == Progress::OutOfBudget {}
    let mut out = resp::Reply::default();
    out.ok();
    let (mut longest, mut before) = (0, out.len());
    while run.write_reply(4_000, &mut out, &mut |_, _| {}) == Progress::OutOfBudget {
        longest = longest.max(out.len() - before);
        before = out.len();
    }
    server.scripting.ended(run, 0, 0);
    assert!(longest <= 256 << 10, "{longest}");
    assert!(out.output().start().len() < 1 << 20);
    let reply = out.into_output().to_vec();
    assert!(reply == format!("+OK\r\n{expected}").as_bytes());
}

#[test]
fn a_lost_run_costs_nothing_but_itself() {
    let mut server = Server::default();
    server
        .load(
            "#!lua name=l\nredis.register_function('f', function() return 5 end)",
            false,
        )
        .unwrap();
    server.eval("return 1");
    let digest = Digest::of(b"return 1");
    drop(server.scripting.start_script(&digest, &[], &[]));
    server.scripting.recover(&mut Loading(10));
    assert!(!server.scripting.is_running());
    assert_eq!(server.eval("return 1"), ":1\r\n");
    assert_eq!(server.fcall("f", &[], &[]), ":5\r\n");
    let function = server.scripting.function(b"f").cloned().unwrap();
    drop(server.scripting.start_function(&function, &[], &[]));
    server.scripting.recover(&mut Loading(10));
    assert_eq!(server.fcall("f", &[], &[]), ":5\r\n");
}

#[test]
fn random_numbers_are_one_sequence() {
    let mut server = Server::default();
    server
        .load(
            "#!lua name=l\nredis.register_function('f', function() return math.random(100) end)",
            false,
        )
        .unwrap();
    assert_eq!(
        server.eval("math.randomseed(12345) return math.random(100)"),
        ":23\r\n"
    );
    assert_eq!(server.fcall("f", &[], &[]), ":92\r\n");
    assert_eq!(server.eval("return math.random(100)"), ":21\r\n");
    server.scripting.flush_scripts().unwrap();
    assert_eq!(server.eval("return math.random(100)"), ":73\r\n");
}
