//! Libraries and their functions.

use crate::support::{Loading, Server};
use scripting::{Policy, ScriptFlags};

/// A library with one function that returns its own name.
fn library(name: &str, function: &str) -> String {
    format!(
        "#!lua name={name}\nredis.register_function('{function}', function() return '{function}' end)"
    )
}

fn names(server: &Server) -> Vec<String> {
    let names = server.scripting.libraries().map(|library| &*library.name);
    names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

fn restore(server: &mut Server, codes: &[String], policy: Policy) -> Result<(), String> {
    server
        .scripting
        .restore_libraries(codes, policy, &mut Loading(100))
        .map_err(|error| String::from_utf8_lossy(error.text()).into_owned())
}

#[test]
fn libraries_are_loaded_and_called() {
    let mut server = Server::default();
    let code = "#!lua name=lib
local calls = 0
local function count(keys, args) calls = calls + 1 return {calls, keys[1], args[1]} end
redis.register_function('Count', count)
redis.register_function{function_name='other', callback=function() return redis.call('v') end,
    description='says', FLAGS={'No-Writes', 'allow-stale'}}";
    assert_eq!(server.load(code, false), Ok("lib".to_owned()));
    assert_eq!(
        server.fcall("count", &[b"k"], &[b"a"]),
        "*3\r\n:1\r\n$1\r\nk\r\n$1\r\na\r\n"
    );
    assert_eq!(server.fcall("COUNT", &[], &[]), "*1\r\n:2\r\n");
    assert_eq!(server.fcall("other", &[], &[]), ":2\r\n");
    let function = server.scripting.function(b"OTHER").unwrap();
    assert_eq!(function.description.as_deref(), Some(&b"says"[..]));
    assert!(function.flags.names().eq(["no-writes", "allow-stale"]));
    assert_eq!(
        server.scripting.function(b"count").unwrap().flags,
        ScriptFlags::default()
    );
    assert_eq!(server.scripting.counts(), (1, 2));
    server.scripting.delete_library(b"lib").unwrap();
    assert_eq!(
        (server.scripting.counts(), server.scripting.cache_bytes().1),
        ((0, 0), 0)
    );
    assert_eq!(server.fcall("count", &[], &[]), "no function");
}

#[test]
fn what_is_wrong_with_a_library_is_said_as_by_the_reference() {
    let mut server = Server::default();
    server.load(&library("a", "fa"), false).unwrap();
    let register = |arguments: &str| format!("#!lua name=b\nredis.register_function{arguments}");
    for (code, error) in [
        ("#!lua name=a-b\n".to_owned(), "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"),
        ("#!foo name=a\n".to_owned(), "Engine 'foo' not found"),
        (library("a", "x"), "Library 'a' already exists"),
        (library("b", "FA"), "Function FA already exists"),
        ("#!lua name=b\nwrong script".to_owned(), "Error compiling function: user_function:2: '=' expected near 'script'"),
        ("#!lua name=b\nreturn 1".to_owned(), "No functions registered"),
        ("#!lua name=b\nredis.call('ok')".to_owned(), "Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'call'"),
        ("#!lua name=b\nreturn string".to_owned(), "Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'string'"),
        ("#!lua name=b\nx = 1".to_owned(), "Error registering functions: ERR user_function:2: Attempt to modify a readonly table"),
        ("#!lua name=b\nwhile true do end".to_owned(), "Error registering functions: ERR FUNCTION LOAD timeout"),
        (register("()"), "Error registering functions: ERR wrong number of arguments to server.register_function"),
        (register("('f')"), "Error registering functions: ERR calling server.register_function with a single argument is only applicable to Lua table (representing named arguments)."),
        (register("({}, 1)"), "Error registering functions: ERR first argument to server.register_function must be a string"),
        (register("('f', 1)"), "Error registering functions: ERR second argument to server.register_function must be a function"),
        (register("('-', function() end)"), "Error registering functions: ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"),
        (register("{[true]=1}"), "Error registering functions: ERR named argument key given to server.register_function is not a string"),
        (register("{1}"), "Error registering functions: ERR unknown argument given to server.register_function"),
        (register("{function_name={}}"), "Error registering functions: ERR function_name argument given to server.register_function must be a string"),
        (register("{description={}}"), "Error registering functions: ERR description argument given to server.register_function must be a string"),
        (register("{callback=1}"), "Error registering functions: ERR callback argument given to server.register_function must be a function"),
        (register("{flags=1}"), "Error registering functions: ERR flags argument to server.register_function must be a table representing function flags"),
        (register("{flags={'x'}}"), "Error registering functions: ERR unknown flag given"),
        (register("{callback=function() end}"), "Error registering functions: ERR server.register_function must get a function name argument"),
        (register("{function_name='f'}"), "Error registering functions: ERR server.register_function must get a callback argument"),
        // The reference takes both, and ends when the library is to go.
        ("#!lua name=b\nlocal f = function() end redis.register_function('f', f) redis.register_function('F', f)".to_owned(), "Error registering functions: ERR Function already exists in the library"),
    ] {
        assert_eq!(server.load(&code, false), Err(format!("ERR {error}")), "{code}");
        assert_eq!((names(&server), server.scripting.counts()), (vec!["a".to_owned()], (1, 1)));
    }
    assert_eq!(server.fcall("fa", &[], &[]), "$2\r\nfa\r\n");
}

#[test]
fn a_replacement_that_fails_leaves_what_was_there() {
    let mut server = Server::default();
    server.load(&library("a", "fa"), false).unwrap();
    server.load(&library("b", "fb"), false).unwrap();
    assert_eq!(
        server.load(&library("a", "fb"), true),
        Err("ERR Function fb already exists".to_owned())
    );
    assert!(server.load("#!lua name=a\nreturn 1", true).is_err());
    assert_eq!(server.fcall("fa", &[], &[]), "$2\r\nfa\r\n");
    assert_eq!(server.load(&library("a", "new"), true), Ok("a".to_owned()));
    assert_eq!(server.fcall("fa", &[], &[]), "no function");
    assert_eq!(server.fcall("new", &[], &[]), "$3\r\nnew\r\n");
}

#[test]
fn libraries_are_restored_by_policy_all_or_nothing() {
    let mut server = Server::default();
    server.load(&library("a", "fa"), false).unwrap();
    let codes = [library("b", "fb"), library("a", "fa2")];
    assert_eq!(
        restore(&mut server, &codes, Policy::Append),
        Err("ERR Library a already exists".to_owned())
    );
    assert_eq!(names(&server), ["a"]);
    restore(&mut server, &codes, Policy::Replace).unwrap();
    assert_eq!(
        (names(&server), server.scripting.counts()),
        (vec!["a".to_owned(), "b".to_owned()], (2, 2))
    );
    assert_eq!(server.fcall("fa2", &[], &[]), "$3\r\nfa2\r\n");
    let collides = [library("c", "fb")];
    assert_eq!(
        restore(&mut server, &collides, Policy::Replace),
        Err("ERR Function fb already exists".to_owned())
    );
    let twice = [library("c", "x"), library("c", "y")];
    assert_eq!(
        restore(&mut server, &twice, Policy::Flush),
        Err("ERR Library 'c' already exists".to_owned())
    );
    assert_eq!(names(&server), ["a", "b"]);
    restore(&mut server, &collides, Policy::Flush).unwrap();
    assert_eq!(
        (names(&server), server.scripting.counts()),
        (vec!["c".to_owned()], (1, 1))
    );
    assert_eq!(server.fcall("fb", &[], &[]), "$2\r\nfb\r\n");
    let endless = ["#!lua name=e\nwhile true do end".to_owned()];
    assert!(
        restore(&mut server, &endless, Policy::Flush)
            .unwrap_err()
            .contains("timeout")
    );
    assert_eq!(names(&server), ["c"]);
}

#[test]
fn functions_find_the_globals_of_scripts_and_none_of_their_own() {
    let mut server = Server::default();
    server
        .load(
            "#!lua name=l
local register = redis.register_function
register('late', function() register('x', function() end) end)
register('env', function()
    local names = {}
    for name in pairs(redis) do names[#names + 1] = name end
    return {next(getfenv(1)) == nil, getmetatable(getfenv(1)).__index == _G, redis.register_function, #names}
end)
register('keys', function() return KEYS end)
register('native', redis.log)",
            false,
        )
        .unwrap();
    assert_eq!(
        server.fcall("late", &[], &[]),
        "-ERR server.register_function can only be called on FUNCTION LOAD command script: late, on @user_function:3.\r\n"
    );
    assert_eq!(server.fcall("env", &[], &[]), "*2\r\n:1\r\n:1\r\n");
    assert!(
        server
            .fcall("keys", &[], &[])
            .contains("nonexistent global variable 'KEYS'")
    );
    assert_eq!(
        server.fcall("native", &[], &[]),
        "-ERR First argument must be a number (log level).\r\n"
    );
}

#[test]
fn a_library_that_takes_too_long_to_compile_is_refused() {
    let mut server = Server::default();
    let code = format!(
        "#!lua name=l\n{} redis.register_function('f', function() return 5 end)",
        "do local x = {a = 1} end ".repeat(30_000)
    );
    let code = code.as_bytes();
    let loaded = server.scripting.load_library(code, false, &mut Loading(2));
    let error = loaded.expect_err("it takes too long");
    assert!(String::from_utf8_lossy(error.text()).contains("timeout"));
    assert_eq!(server.scripting.counts(), (0, 0));
}
