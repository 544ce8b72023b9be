//! The binary as a process: command line, files, signals, sockets, log, exit codes.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "seeds and skipped parts are printed, and waiting for another process takes the real clock"
)]

#[path = "common/mod.rs"]
mod common;

use assert_cmd::Command;
use common::{Client, OURS, Reply, Server, free_port, wait_for};
use predicates::prelude::{Predicate, PredicateBooleanExt, predicate};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Where the reference's packages put the file that everybody starts from.
const SHIPPED_CONFIG: &str = "/etc/valkey/valkey.conf";

/// The binary, to be run to its end.
fn binary() -> Command {
    let mut command = Command::new(OURS);
    command.timeout(Duration::from_secs(10));
    command
}

#[test]
fn version_has_the_shape_tools_parse() {
    let shape =
        "^Valkey server v=8\\.0\\.1 sha=[0-9a-f]{8}:[01] malloc=\\S+ bits=64 build=[0-9a-f]+\n$";
    for option in ["-v", "--version"] {
        binary()
            .arg(option)
            .assert()
            .success()
            .stdout(predicate::str::is_match(shape).expect("a pattern"));
    }
}

#[test]
fn an_unknown_option_is_refused() {
    binary()
        .args(["--no-such-option", "1"])
        .assert()
        .code(1)
        .stderr(predicate::eq(
            "\n*** FATAL CONFIG FILE ERROR (Version 8.0.1) ***\nReading the configuration file, at line 2\n>>> 'no-such-option \"1\"'\nBad directive or wrong number of arguments\n",
        ));
}

#[test]
fn a_bad_value_is_refused_with_its_line() {
    binary()
        .args(["--port", "70000"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "argument must be between 0 and 65535 inclusive",
        ))
        .stderr(predicate::str::contains(">>> 'port \"70000\"'"));
    binary()
        .args(["--appendonly", "perhaps"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("argument must be 'yes' or 'no'"));
}

#[test]
fn a_missing_file_is_named() {
    binary()
        .arg("/nowhere/at/all.conf")
        .assert()
        .code(1)
        .stdout(predicate::str::contains(
            "Fatal error, can't open config file '/nowhere/at/all.conf': No such file or directory",
        ));
}

#[test]
fn a_missing_included_file_is_named_in_the_log() {
    binary()
        .arg("-")
        .write_stdin("include /nowhere/at/all.conf")
        .assert()
        .code(1)
        .stdout(predicate::str::contains(
            " # Fatal error, can't open config file '/nowhere/at/all.conf': No such file or directory",
        ));
}

#[test]
fn a_locale_that_is_none_ends_the_start() {
    binary()
        .args(["--locale-collate", "xx_YY"])
        .assert()
        .code(1)
        .stdout(predicate::str::contains(
            "Failed to configure LOCALE for invalid locale name.",
        ));
}

#[test]
fn lines_about_users_that_are_wrong_end_the_start() {
    for (lines, wanted) in [
        (
            "user alice on foo",
            "Error in user declaration 'foo': Syntax error",
        ),
        (
            "user alice (+get",
            "Error in user declaration '(+get': Wrong format",
        ),
        ("user alice on\nuser alice on", "Duplicate user found."),
        (
            "user alice on +nosuch",
            "Error loading ACL rule '+nosuch' for the user named 'alice': Unknown command or category name in ACL",
        ),
        (
            "user \"a b\" on",
            "Critical error while loading ACLs. Exiting.",
        ),
        (
            "user alice on\naclfile users.acl",
            "please define either an ACL file or declare users directly in your valkey.conf, but not both.",
        ),
    ] {
        let output = binary()
            .arg("-")
            .write_stdin(lines)
            .assert()
            .code(1)
            .get_output()
            .clone();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(wanted), "{lines}: {text}");
    }
}

#[test]
fn a_file_of_users_is_looked_into() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("users.acl");
    let start = || {
        binary()
            .current_dir(&folder)
            .args(["--port", "0", "--aclfile", "users.acl"])
            .assert()
            .code(1)
    };
    start().stdout(predicate::str::contains(
        "Aborting Valkey startup because of ACL errors: Error loading ACLs, opening file 'users.acl': No such file or directory",
    ));
    std::fs::write(&path, "\nuser alice on foo\n").expect("a file");
    start().stdout(predicate::str::contains(
        "ACL errors: users.acl:2: Syntax error. WARNING: ACL errors detected",
    ));
    std::fs::write(&path, "user alice off\n").expect("a file");
    start().stdout(predicate::str::contains(
        "Configured to not listen anywhere",
    ));
    std::fs::write(&path, "user default on nopass ~* &* +@all\n").expect("a file");
    // The file is fine: what is wrong is that there is no port.
    start().stdout(predicate::str::contains(
        "Configured to not listen anywhere",
    ));
}

#[test]
fn what_the_system_will_not_do_is_told_at_the_start() {
    let server = Server::start(
        OURS,
        &[
            "--tcp-backlog",
            "1000000000",
            "--oom-score-adj-values",
            "3 2 1",
        ],
    );
    let log = server.log();
    assert!(log.contains("WARNING: The TCP backlog setting of 1000000000 cannot be enforced because /proc/sys/net/core/somaxconn is set to the lower value of "));
    assert!(log.contains(
        "The oom-score-adj-values configuration may not work for non-privileged processes!"
    ));
}

/// Runs the binary through a shell that limits its open files first.
fn limited(limits: &str, clients: &str, port: u16) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &format!("{limits}; exec \"$@\""), "sh", OURS]);
    command.args(["--port", &port.to_string(), "--maxclients", clients]);
    command.stdout(std::process::Stdio::piped());
    command
}

/// Whoever may raise hard limits gets the files that were asked for.
#[test]
fn as_many_files_are_opened_as_the_hard_limit_allows() {
    let port = free_port();
    let mut child = limited("ulimit -Sn 64; ulimit -Hn 300", "10000", port)
        .spawn()
        .expect("a shell");
    wait_for("the server to answer", || Client::connect(port).is_ok());
    let mut client = Client::connect(port).expect("a connection");
    let most = client.words("config get maxclients").items()[1].text();
    client.words("config set maxclients 20");
    let refused = client.words("config set maxclients 20000").text();
    child.kill().expect("a child");
    let log = child.wait_with_output().expect("a log").stdout;
    let log = String::from_utf8_lossy(&log);
    if most == "10000" {
        println!("skipped: this user may raise hard limits");
        return;
    }
    assert_eq!(most, "268");
    assert!(refused.contains("try with 268"), "{refused}");
    assert!(log.contains(
        "# Server can't set maximum open files to 10032 because of OS error: Operation not permitted."
    ));
    assert!(
        log.contains("# Current maximum open files is 300. maxclients has been reduced to 268")
    );

    let output = limited("ulimit -n 32", "10", port)
        .output()
        .expect("a shell");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains(
        "Your current 'ulimit -n' of 32 is not enough for the server to start. Please increase your open file limit to at least 42. Exiting."
    ));
}

#[test]
fn a_log_that_cannot_be_opened_ends_the_start() {
    binary()
        .args(["--port", &free_port().to_string(), "--logfile", "/nowhere/at/all.log"])
        .assert()
        .code(1)
        .stderr(predicate::eq(
            "\n*** FATAL CONFIG FILE ERROR (Version 8.0.1) ***\nCan't open the log file: No such file or directory\n",
        ));
}

#[test]
fn a_server_that_listens_nowhere_ends() {
    binary()
        .args(["--port", "0"])
        .assert()
        .code(1)
        .stdout(predicate::str::contains(
            "Configured to not listen anywhere, exiting.",
        ));
}

#[test]
fn tls_without_what_it_takes_ends_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing");
    let missing = missing.to_str().expect("a path");
    let port = ["--tls-port", "7", "--port", "0"];
    for (options, line) in [
        (vec![], "No tls-cert-file configured!"),
        (
            vec!["--tls-cert-file", missing],
            "No tls-key-file configured!",
        ),
        (
            vec!["--tls-cert-file", missing, "--tls-key-file", missing],
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or \
             tls-auth-clients are enabled!",
        ),
        (
            vec![
                "--tls-cert-file",
                missing,
                "--tls-key-file",
                missing,
                "--tls-auth-clients",
                "no",
            ],
            "Failed to load certificate: ",
        ),
        (
            vec![
                "--tls-cert-file",
                missing,
                "--tls-key-file",
                missing,
                "--tls-auth-clients",
                "no",
                "--tls-protocols",
                "SSLv3",
            ],
            "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.",
        ),
    ] {
        let told = predicate::str::contains(line).and(predicate::str::contains(
            "Failed to configure TLS. Check logs for more info.",
        ));
        binary()
            .args(port)
            .args(options)
            .assert()
            .code(1)
            .stdout(told);
    }
    // Nobody looks at what nobody uses.
    let server = Server::start(OURS, &["--tls-cert-file", missing]);
    assert_eq!(server.client().words("PING").text(), "PONG");
}

#[test]
fn an_optional_address_may_be_missing() {
    let server = Server::start(OURS, &["--bind", "127.0.0.1", "-192.0.2.1"]);
    assert_eq!(server.client().words("PING").text(), "PONG");
    let told = format!(
        "Warning: Could not create server TCP listening socket 192.0.2.1:{}: bind: Cannot assign requested address",
        server.port
    );
    assert!(server.log().contains(&told), "{}", server.log());
}

#[test]
fn log_lines_carry_a_letter_for_what_the_process_is() {
    let shape = |letter: &str, text: &str| {
        predicate::str::is_match(format!(
            "(?m)^\\d+:{letter} \\d\\d \\w+ \\d{{4}} [0-9:.]+ . {text}"
        ))
        .expect("a pattern")
    };
    let server = Server::start(OURS, &[]);
    let log = server.log();
    assert!(shape("C", "Configuration loaded").eval(&log), "{log}");
    assert!(shape("M", "Server initialized").eval(&log), "{log}");
    let replica = Server::start(OURS, &["--replicaof", "127.0.0.1 1"]);
    let log = replica.log();
    assert!(shape("S", "Server initialized").eval(&log), "{log}");
}

/// A server under systemd, and the socket that its messages go to.
fn supervised(dir: TempDir, options: &[&str]) -> (Server, UnixDatagram) {
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(common::PATIENCE))
        .expect("it can be set");
    let port = free_port();
    let child = std::process::Command::new(OURS)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--logfile", "log", "--dir"])
        .arg(dir.path())
        .args(options)
        .env("NOTIFY_SOCKET", &path)
        .spawn()
        .expect("the binary starts");
    (Server { child, port, dir }, socket)
}

fn message(socket: &UnixDatagram) -> String {
    let mut message = [0; 200];
    let length = socket.recv(&mut message).expect("a message");
    String::from_utf8_lossy(&message[..length]).into_owned()
}

#[test]
fn systemd_is_told_what_the_server_does() {
    // Who is supervised stays the process that was started.
    let options = ["--supervised", "auto", "--daemonize", "yes"];
    let dir = TempDir::new().expect("a folder");
    let (mut server, socket) = supervised(dir, &options);
    assert_eq!(message(&socket), "STATUS=Valkey is loading...\n");
    assert_eq!(message(&socket), "STATUS=Ready to accept connections\n");
    assert_eq!(message(&socket), "READY=1\n");
    let mut client = server.client();
    assert_eq!(client.info("server", "process_supervised"), "systemd");
    assert!(server.log().contains("* Supervised by systemd. "));
    std::fs::create_dir_all(server.dir.path().join("dump.rdb/x")).expect("a folder");
    assert!(
        client
            .words("SHUTDOWN SAVE")
            .text()
            .starts_with("ERR Errors trying to SHUTDOWN")
    );
    assert_eq!(message(&socket), "STOPPING=1\n");
    assert_eq!(message(&socket), "STATUS=Saving the final RDB snapshot\n");
    assert_eq!(
        message(&socket),
        "STATUS=Error trying to save the DB, can't exit.\n"
    );
    server.signal("TERM");
    assert_eq!(message(&socket), "STOPPING=1\n");
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn systemd_is_told_that_the_server_is_ready_once_the_data_are_loaded() {
    let server = Server::start(OURS, &[]);
    let mut client = server.client();
    for key in 0..100 {
        client.words(&format!("SET key:{key} value"));
    }
    client.words("SAVE");
    drop(client);
    let dump = std::fs::read(server.dir.path().join("dump.rdb")).expect("it was saved");
    let dir = TempDir::new().expect("a folder");
    std::fs::write(dir.path().join("dump.rdb"), dump).expect("it can be written");
    // A millisecond for each key: long enough to come too early.
    let options = ["--supervised", "systemd", "--key-load-delay", "1000"];
    let (loading, socket) = supervised(dir, &options);
    while message(&socket) != "READY=1\n" {}
    assert_eq!(loading.client().words("GET key:99").text(), "value");
}

#[test]
fn a_replica_tells_systemd_of_its_synchronisations() {
    let primary = Server::start(OURS, &["--repl-diskless-sync-delay", "0"]);
    let follows = format!("127.0.0.1 {}", primary.port);
    let options = ["--supervised", "systemd", "--replicaof", &follows];
    let (replica, socket) = supervised(TempDir::new().expect("a folder"), &options);
    let mut told = Vec::new();
    for part in [
        "Finished with success",
        "Partial Resynchronization accepted",
    ] {
        let line = format!(
            "STATUS=PRIMARY <-> REPLICA sync: {part}. Ready to accept connections in read-write mode.\n"
        );
        while told.last() != Some(&line) {
            told.push(message(&socket));
        }
        primary.client().words("CLIENT KILL TYPE replica");
    }
    let waiting = "STATUS=Ready to accept connections in read-only mode. Waiting for MASTER <-> REPLICA sync\n";
    assert!(told.iter().any(|line| line == waiting), "{told:?}");
    drop(replica);
}

#[test]
fn nobody_claims_a_systemd_that_is_not_there() {
    for (socket, told) in [
        (None, "systemd supervision error: NOTIFY_SOCKET not found!"),
        (
            Some("/nowhere/at/all"),
            "systemd supervision error: can't send to '/nowhere/at/all': No such file or directory",
        ),
    ] {
        let port = free_port();
        let dir = TempDir::new().expect("a folder");
        let mut command = std::process::Command::new(OURS);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--supervised", "systemd", "--logfile", "log", "--dir"])
            .arg(dir.path())
            .env_remove("NOTIFY_SOCKET");
        if let Some(socket) = socket {
            command.env("NOTIFY_SOCKET", socket);
        }
        let child = command.spawn().expect("the binary starts");
        let server = Server { child, port, dir };
        wait_for("a server that listens", || Client::connect(port).is_ok());
        let mut client = server.client();
        assert_eq!(client.info("server", "process_supervised"), "no");
        let log = server.log();
        assert_eq!(log.matches(told).count(), 1, "{log}");
        assert!(!log.contains("Supervised by systemd"), "{log}");
    }
}

#[test]
fn by_other_names_the_program_refuses() {
    let dir = TempDir::new().expect("a folder");
    for (name, missing) in [
        ("valkey-sentinel", "has no Sentinel mode"),
        ("redis-sentinel", "has no Sentinel mode"),
    ] {
        let path = dir.path().join(name);
        std::os::unix::fs::symlink(OURS, &path).expect("a link");
        Command::new(path)
            .arg("some-file")
            .timeout(Duration::from_secs(10))
            .assert()
            .code(1)
            .stdout("")
            .stderr(format!("{name}: this build {missing}\n"));
    }
    binary()
        .args(["--port", "0", "--sentinel"])
        .assert()
        .code(1)
        .stderr("valkey-server: this build has no Sentinel mode\n");
}

#[test]
fn by_the_names_of_the_checkers_the_program_is_one() {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("dump.rdb");
    std::fs::write(&file, b"REDIS0011\xff\0\0\0\0\0\0\0\0").expect("a file");
    for (name, argument, says) in [
        ("valkey-check-rdb", Some(&file), "RDB looks OK!"),
        ("redis-check-rdb", Some(&file), "RDB looks OK!"),
        ("valkey-check-aof", None, "Usage: "),
        ("redis-check-aof", None, "Usage: "),
    ] {
        let path = dir.path().join(name);
        std::os::unix::fs::symlink(OURS, &path).expect("a link");
        Command::new(path)
            .args(argument)
            .timeout(Duration::from_secs(10))
            .assert()
            .code(i32::from(argument.is_none()))
            .stdout(predicates::str::contains(says));
    }
}

#[test]
fn what_would_not_be_done_is_refused() {
    binary()
        .args(["--cluster-enabled", "yes"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("this build has no cluster mode"));
}

#[test]
fn nobody_can_connect_while_the_last_snapshot_is_written() {
    let server = Server::start(OURS, &["--unixsocket", "sock"]);
    let path = server.dir.path().join("sock");
    let mut client = server.client();
    // Nobody waits for it: the process is killed before it is done.
    for key in 0..100 {
        client.words(&format!("SET key:{key} value"));
    }
    client.words("CONFIG SET rdb-key-save-delay 1000000");
    client.send(b"SHUTDOWN SAVE\r\n").expect("it reads");
    wait_for("a refused connection", || {
        TcpStream::connect(("127.0.0.1", server.port))
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    });
    assert!(UnixStream::connect(&path).is_err());
    assert!(!server.log().contains("bye bye"));
}

#[test]
fn who_cannot_save_at_the_end_is_connected_to_again() {
    let mut server = Server::start(OURS, &["--dbfilename", "taken", "--unixsocket", "sock"]);
    let path = server.dir.path().join("sock");
    std::fs::create_dir_all(server.dir.path().join("taken/x")).expect("a folder");
    for _ in 0..2 {
        let mut client = server.client();
        assert!(
            client
                .words("SHUTDOWN SAVE")
                .text()
                .starts_with("ERR Errors trying to SHUTDOWN")
        );
        assert_eq!(server.client().words("PING").text(), "PONG");
        UnixStream::connect(&path).expect("it accepts");
    }
    server.signal("TERM");
    assert_eq!(server.wait_exit().code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(server.dir.path())
        .expect("it is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("sock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_taken_port_ends_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    binary()
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
        .assert()
        .code(1)
        .stdout(predicate::str::contains(format!(
            "Warning: Could not create server TCP listening socket 127.0.0.1:{port}: bind: Address already in use"
        )))
        .stdout(predicate::str::contains(format!("Failed listening on port {port} (tcp), aborting.")));
}

/// Starts with `options` only, the configuration coming from elsewhere, and waits for PING on `port`.
fn start_with(dir: TempDir, port: u16, options: &[&str], stdin: Option<&str>) -> Server {
    use std::io::Write;
    let mut child = std::process::Command::new(OURS)
        .args(options)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut pipe = child.stdin.take().expect("it was asked for");
    pipe.write_all(stdin.unwrap_or_default().as_bytes())
        .expect("the server reads its configuration");
    drop(pipe);
    let server = Server { child, port, dir };
    wait_for("a server that accepts", || Client::connect(port).is_ok());
    server
}

#[test]
fn the_configuration_may_come_from_standard_input() {
    let (dir, port) = (TempDir::new().expect("a folder"), free_port());
    let text = format!(
        "port {port}\nbind 127.0.0.1\nsave \"\"\ndir {}\nmaxclients 77\n",
        dir.path().display()
    );
    let server = start_with(dir, port, &["-"], Some(&text));
    let reply = server.client().words("CONFIG GET maxclients");
    assert_eq!(reply.items()[1].text(), "77");
}

#[test]
fn included_files_are_read_in_their_place() {
    let (dir, port) = (TempDir::new().expect("a folder"), free_port());
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("a.inc"), "hz 33\ntimeout 11\n").expect("a file");
    let main = format!(
        "hz 44\ninclude {}\ntimeout 22\nport {port}\nbind 127.0.0.1\nsave \"\"\ndir {}\nlogfile log\n",
        path("*.inc"),
        dir.path().display()
    );
    std::fs::write(path("main.conf"), main).expect("a file");
    let main = path("main.conf");
    let server = start_with(dir, port, &[&main], None);
    let mut client = server.client();
    assert_eq!(client.words("CONFIG GET hz").items()[1].text(), "33");
    assert_eq!(client.words("CONFIG GET timeout").items()[1].text(), "22");
    assert_eq!(client.info("server", "config_file"), main);
}

#[test]
fn the_shipped_configuration_is_accepted() {
    let Ok(text) = std::fs::read(SHIPPED_CONFIG) else {
        println!("{SHIPPED_CONFIG} is not here: nothing to try");
        return;
    };
    let (dir, port) = (TempDir::new().expect("a folder"), free_port());
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("valkey.conf"), text).expect("a file");
    let options = [
        path("valkey.conf"),
        "--port".into(),
        port.to_string(),
        "--bind".into(),
        "127.0.0.1".into(),
        "--dir".into(),
        dir.path().display().to_string(),
        "--pidfile".into(),
        path("pid"),
        "--logfile".into(),
        path("log"),
        "--daemonize".into(),
        "no".into(),
        "--unixsocket".into(),
        String::new(),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = start_with(dir, port, &options, None);
    assert_eq!(server.client().words("PING").text(), "PONG");
    assert!(server.log().contains("Configuration loaded"));
}

#[test]
fn log_lines_have_the_shape_tools_parse() {
    let server = Server::start(OURS, &[]);
    let shape = predicate::str::is_match(format!(
        "^{}:[CM] \\d\\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \\d{{4}} \\d\\d:\\d\\d:\\d\\d\\.\\d{{3}} [.*#-] .+$",
        server.child.id()
    ))
    .expect("a pattern");
    wait_for("the server's word that it is ready", || {
        server.log().contains("Ready to accept connections")
    });
    for line in server.log().lines() {
        assert!(Predicate::eval(&shape, line), "not a log line: {line}");
    }
}

#[test]
fn sigterm_saves_and_exits() {
    let mut server = Server::start(OURS, &["--save", "3600 1", "--pidfile", "pid"]);
    assert_eq!(server.client().words("SET k v").text(), "OK");
    let pid = std::fs::read_to_string(server.dir.path().join("pid")).expect("there is a pid file");
    assert_eq!(pid, format!("{}\n", server.child.id()));
    server.signal("TERM");
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(server.dir.path().join("dump.rdb").exists());
    assert!(
        !server.dir.path().join("pid").exists(),
        "the pid file is removed"
    );
    let log = server.log();
    assert!(
        log.contains("Received SIGTERM scheduling shutdown..."),
        "{log}"
    );
    assert!(log.contains("bye bye..."), "{log}");
    let dir = std::mem::replace(&mut server.dir, TempDir::new().expect("a folder"));
    let again = Server::start_in(OURS, dir, &[]);
    assert_eq!(again.client().words("GET k").text(), "v");
}

#[test]
fn a_failing_save_refuses_to_exit() {
    let mut server = Server::start(
        OURS,
        &["--save", "3600 1", "--enable-protected-configs", "yes"],
    );
    let mut client = server.client();
    client.words("SET k v");
    // A folder of that name cannot be replaced by the file.
    std::fs::create_dir_all(server.dir.path().join("taken/x")).expect("a folder");
    assert_eq!(client.words("CONFIG SET dbfilename taken").text(), "OK");
    server.signal("TERM");
    wait_for("a log line that the exit is off", || {
        server
            .log()
            .contains("Errors trying to shut down the server")
            || server.log().contains("can't exit")
    });
    assert_eq!(client.words("GET k").text(), "v");
    assert!(server.child.try_wait().expect("it is our child").is_none());
    assert!(
        client
            .words("SHUTDOWN")
            .text()
            .starts_with("ERR Errors trying to SHUTDOWN")
    );
    client.words("CONFIG SET dbfilename dump.rdb");
    let _ = client.send(b"SHUTDOWN\r\n");
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn the_unix_socket_has_its_mode_and_is_removed() {
    let mut server = Server::start(OURS, &["--unixsocket", "sock", "--unixsocketperm", "700"]);
    let path = server.dir.path().join("sock");
    let facts = std::fs::metadata(&path).expect("the socket is there");
    assert_eq!(facts.permissions().mode() & 0o777, 0o700);
    assert_ne!(facts.mode() & 0o140_000, 0, "it is a socket");
    UnixStream::connect(&path).expect("it accepts");
    // The number stands for the kind, so it stays when there is no port.
    let mut client = server.client();
    let mut over_unix = UnixStream::connect(&path).expect("it accepts");
    assert_eq!(client.info("server", "listener1"), "name=unix,bind=sock");
    client.words("config set port 0");
    over_unix.write_all(b"INFO server\r\n").expect("it reads");
    let mut text = String::new();
    over_unix.write_all(b"QUIT\r\n").expect("it reads");
    over_unix.read_to_string(&mut text).expect("it answers");
    assert!(text.contains("listener1:name=unix,bind=sock") && !text.contains("listener0"));
    server.signal("TERM");
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_unix_socket_that_cannot_be_is_not_removed() {
    binary()
        .args(["--port", &free_port().to_string()])
        .args(["--unixsocket", "/nowhere/at/all"])
        .assert()
        .code(1)
        .stdout(predicate::str::contains(
            "Failed opening Unix socket: bind: No such file or directory",
        ))
        .stdout(predicate::str::contains("Removing the unix socket file").not());
}

/// An address of this machine that is not loopback, if it has one. No packet is sent.
fn outer_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn protected_mode_serves_loopback_only() {
    use std::io::Read;
    let Some(address) = outer_address() else {
        println!("this machine has no address but loopback: nothing to try");
        return;
    };
    let server = Server::start(OURS, &["--bind", "0.0.0.0"]);
    let mut text = String::new();
    let mut stranger = std::net::TcpStream::connect((address, server.port)).expect("it accepts");
    stranger
        .set_read_timeout(Some(common::PATIENCE))
        .expect("it can be set");
    stranger
        .read_to_string(&mut text)
        .expect("the server closes");
    assert!(
        text.starts_with("-DENIED Running in protected mode because protected mode is enabled"),
        "{text}"
    );
    assert_eq!(
        server.client().words("CONFIG SET protected-mode no").text(),
        "OK"
    );
    let mut stranger = std::net::TcpStream::connect((address, server.port)).expect("it accepts");
    std::io::Write::write_all(&mut stranger, b"PING\r\n").expect("it reads");
    let mut reply = [0; 7];
    stranger
        .set_read_timeout(Some(common::PATIENCE))
        .expect("it can be set");
    stranger.read_exact(&mut reply).expect("it answers");
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn maxclients_is_kept() {
    let server = Server::start(OURS, &["--maxclients", "2"]);
    let mut first = server.client();
    // The connection that waited for the start may still be known.
    wait_for("one client", || {
        first.info("clients", "connected_clients") == "1"
    });
    let mut second = server.client();
    assert_eq!(second.words("PING").text(), "PONG");
    let mut third = server.client();
    let refusal = third.read().expect("a reason");
    assert_eq!(
        refusal,
        Reply::Error(b"ERR max number of clients reached".to_vec())
    );
    assert!(third.read().is_err(), "the connection is closed");
    assert_eq!(first.info("stats", "rejected_connections"), "1");
    drop(second);
    wait_for("room again", || {
        server
            .client()
            .call(&[b"PING"])
            .is_ok_and(|reply| reply.text() == "PONG")
    });
}

#[test]
fn a_pid_file_that_cannot_be_written_is_no_reason_to_stop() {
    let server = Server::start(OURS, &["--pidfile", "/nowhere/at/all.pid"]);
    assert!(
        server
            .log()
            .contains("Failed to write PID file: No such file or directory")
    );
}

/// The snapshot is written and read beside the event loops, whether there is one or more.
#[test]
fn a_replica_takes_a_snapshot_by_file_with_any_number_of_io_threads() {
    let primary = Server::start(OURS, &["--repl-diskless-sync-delay", "0"]);
    let mut client = primary.client();
    client.words("SET key value");
    for threads in ["1", "2"] {
        let port = primary.port.to_string();
        let replica = Server::start(
            OURS,
            &["--io-threads", threads, "--replicaof", "127.0.0.1", &port],
        );
        let mut client = replica.client();
        wait_for("a link that is up", || {
            client.info("replication", "master_link_status") == "up"
        });
        assert_eq!(client.words("GET key").text(), "value");
        assert_eq!(client.info("stats", "panics_caught"), "0");
        assert!(replica.dir.path().join("dump.rdb").exists());
    }
}

#[test]
fn check_system_tells_what_it_has_looked_at() {
    let output = binary().arg("--check-system").output().expect("it runs");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    for check in ["slow-clocksource", "xen-clocksource", "overcommit", "THP"] {
        assert!(report.contains(&format!("[{check}]...")), "{report}");
    }
    assert_eq!(output.status.success(), !report.contains("...WARNING:\n"));
    let setting = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    let wrong = report.contains("[overcommit]...WARNING:\nMemory overcommit must be enabled!");
    assert_eq!(wrong, !matches!(setting.trim(), "" | "1"), "{report}");
}

#[test]
fn test_memory_wants_an_amount_and_tests_it() {
    binary()
        .arg("--test-memory")
        .assert()
        .code(1)
        .stderr(predicate::str::starts_with(
            "Please specify the amount of memory to test in megabytes.\n",
        ));
    binary()
        .args(["--test-memory", "1"])
        .assert()
        .success()
        .stdout(predicate::str::contains("[50/50] Checkerboard fill\n"))
        .stdout(predicate::str::contains(
            "\nYour memory passed this test.\n",
        ));
    binary()
        .args(["--test-memory", "18446744073709551615"])
        .assert()
        .code(1)
        .stderr("Unable to allocate 18446744073709551615 megabytes: Cannot allocate memory\n");
}

/// The other end must find the end of the connection, and not that what it sent was in vain.
#[test]
fn a_client_is_cut_off_before_its_killer_has_the_reply() {
    for threads in ["1", "2"] {
        let server = Server::start(OURS, &["--io-threads", threads]);
        let mut killer = server.client();
        for attempt in 0..300 {
            let mut victim = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
            victim.write_all(b"CLIENT ID\r\n").expect("it is served");
            let mut reply = [0; 32];
            let length = victim.read(&mut reply).expect("its number");
            let id = String::from_utf8_lossy(&reply[1..length]);
            let killed = killer.words(&format!("CLIENT KILL ID {}", id.trim()));
            assert_eq!(killed.text(), ":1");
            let sent = victim.write_all(b"PING\r\n");
            let read = victim.read(&mut reply);
            assert!(
                sent.is_ok() && matches!(read, Ok(0)),
                "attempt {attempt}: {sent:?} {read:?}"
            );
        }
    }
}
