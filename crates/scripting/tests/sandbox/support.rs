//! A small server around scripts: a few commands, a log, users who may not `deny`.

use resp::{Protocol, Reply};
use scripting::{
    Counted, Digest, Host, Keep, LoadHost, LogLevel, Progress, Run, Scripting, Targets,
};

/// Units of work of a slice.
const SLICE: u64 = 1_000;

/// The server.
#[derive(Default)]
pub(crate) struct Fake {
    /// Requests as they came, their words joined, with where their effects went.
    pub(crate) calls: Vec<(String, Targets)>,
    pub(crate) logged: Vec<(LogLevel, String)>,
}

impl Host for Fake {
    fn call(&mut self, args: &[&[u8]], targets: Targets, reply: &mut Reply) {
        let words: Vec<_> = args
            .iter()
            .map(|word| String::from_utf8_lossy(word))
            .collect();
        self.calls.push((words.join(" "), targets));
        match args {
            [b"echo", text] => reply.bulk(text),
            // What follows is a reply as it stands on the wire.
            [b"raw", text] => reply.raw(text),
            [b"v"] => reply.int(if reply.protocol == Protocol::V3 { 3 } else { 2 }),
            [b"ok"] => reply.ok(),
            _ => reply.error(b"ERR Unknown command called from script"),
        }
    }

    fn may_call(&mut self, args: &[&[u8]]) -> Option<bool> {
        match args.first() {
            Some(&b"unknown") => None,
            Some(&name) => Some(name != b"deny"),
            None => None,
        }
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        self.logged
            .push((level, String::from_utf8_lossy(text).into_owned()));
    }
}

/// A host for libraries that lets their bodies run for so many slices.
pub(crate) struct Loading(pub(crate) u32);

impl LoadHost for Loading {
    fn log(&mut self, _level: LogLevel, _text: &[u8]) {}

    fn is_over(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 == 0
    }
}

/// A server that runs scripts for one client.
#[derive(Default)]
pub(crate) struct Server {
    pub(crate) scripting: Scripting,
    pub(crate) fake: Fake,
    /// Errors that the statistics were told of.
    pub(crate) errors: Vec<String>,
    pub(crate) protocol: Protocol,
}

/// Units of work between two looks at whether a reply is complete: few, so that every test leaves it now and then.
const REPLY_SLICE: u64 = 7;

impl Server {
    /// A script without keys and arguments that is about to run.
    pub(crate) fn start(&mut self, body: &[u8]) -> Run {
        let digest = Digest::of(body);
        self.scripting
            .load_script(body, digest, Keep::WhileUsed)
            .unwrap();
        let run = self.scripting.start_script(&digest, &[], &[]);
        run.unwrap().unwrap()
    }

    /// The reply of EVAL, as it stands on the wire.
    pub(crate) fn eval_bytes(&mut self, body: &[u8], keys: &[&[u8]], args: &[&[u8]]) -> Vec<u8> {
        let digest = Digest::of(body);
        let mut out = Reply::new(self.protocol);
        match self.scripting.load_script(body, digest, Keep::WhileUsed) {
            Err(error) => out.error(error.text()),
            Ok(()) => {
                let run = self.scripting.start_script(&digest, keys, args);
                let run = run.expect("it has just been loaded");
                self.finish(run.expect("there is memory"), &mut out);
            }
        }
        out.into_output().to_vec()
    }

    /// Runs to the end in slices of so many units: how often it was left before, and the reply.
    pub(crate) fn finish_in_slices(&mut self, mut run: Run, units: u64) -> (u32, String) {
        let mut left = 0;
        while run.resume(&mut self.fake, units) == Progress::OutOfBudget {
            left += 1;
        }
        let mut out = Reply::default();
        run.write_reply(u64::MAX, &mut out, &mut |_, _| {});
        self.scripting.ended(run, 0, 0);
        let reply = String::from_utf8_lossy(&out.into_output().to_vec()).into_owned();
        (left, reply)
    }

    fn finish(&mut self, mut run: scripting::Run, out: &mut Reply) {
        while run.resume(&mut self.fake, SLICE) == Progress::OutOfBudget {}
        let errors = &mut self.errors;
        let mut on_error = |text: &[u8], counted| {
            if counted == Counted::No {
                errors.push(String::from_utf8_lossy(text).into_owned());
            }
        };
        while run.write_reply(REPLY_SLICE, out, &mut on_error) == Progress::OutOfBudget {}
        self.scripting.ended(run, 0, 0);
    }

    pub(crate) fn eval(&mut self, body: &str) -> String {
        String::from_utf8_lossy(&self.eval_bytes(body.as_bytes(), &[], &[])).into_owned()
    }

    /// The same without what tells which script it was.
    pub(crate) fn error(&mut self, body: &str) -> String {
        let reply = self.eval(body);
        let hex = Digest::of(body.as_bytes()).hex();
        reply.replace(&format!(" script: {}", String::from_utf8_lossy(&hex)), "")
    }

    pub(crate) fn fcall(&mut self, name: &str, keys: &[&[u8]], args: &[&[u8]]) -> String {
        let Some(function) = self.scripting.function(name.as_bytes()).cloned() else {
            return "no function".to_owned();
        };
        let mut out = Reply::new(self.protocol);
        let run = self.scripting.start_function(&function, keys, args);
        let run = run.expect("nothing runs").expect("there is memory");
        self.finish(run, &mut out);
        String::from_utf8_lossy(&out.into_output().to_vec()).into_owned()
    }

    pub(crate) fn load(&mut self, code: &str, replace: bool) -> Result<String, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.scripting
            .load_library(code.as_bytes(), replace, &mut Loading(1_000))
            .map(|name| text(&name))
            .map_err(|error| text(error.text()))
    }
}
