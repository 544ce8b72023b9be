//! Where the lines of a program go: to the standard output, or, when a document is asked for, nowhere.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

/// What a program prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines, as the reference has them.
    Lines,
    /// One JSON document at the end.
    Json,
}

/// The standard output.
pub(crate) struct Console {
    form: Form,
    out: io::StdoutLock<'static>,
}

impl Console {
    pub(crate) fn new(form: Form) -> Self {
        Self {
            form,
            out: io::stdout().lock(),
        }
    }

    /// A line made of these parts; names and keys are any bytes.
    pub(crate) fn line(&mut self, parts: &[&[u8]]) {
        self.text(&[parts.concat().as_slice(), b"\n"]);
    }

    /// The same without a line end.
    pub(crate) fn text(&mut self, parts: &[&[u8]]) {
        if self.form == Form::Lines {
            // Nobody is left to be told when the output is closed.
            let _ = self.out.write_all(&parts.concat());
        }
    }

    /// A question, on the standard output or, beside a document, on the other one; whether the answer begins with y.
    pub(crate) fn confirm(&mut self, question: &str) -> bool {
        // As above.
        let _ = match self.form {
            Form::Lines => self
                .out
                .write_all(question.as_bytes())
                .and_then(|()| self.out.flush()),
            Form::Json => io::stderr().write_all(question.as_bytes()),
        };
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).is_ok() && answer.starts_with(['y', 'Y'])
    }

    /// The document, if one is wanted.
    pub(crate) fn document(&mut self, document: &Value) {
        if self.form == Form::Json {
            // As above.
            let _ = writeln!(self.out, "{document:#}");
        }
    }
}

/// The bytes of a name, up to a zero byte, where the reference ends it.
pub(crate) fn shown(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The bytes of an argument.
pub(crate) fn bytes(text: &OsStr) -> &[u8] {
    text.as_bytes()
}

/// A string for a document.
pub(crate) fn json_text(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// What `-v` prints.
pub(crate) fn version_line(program: &str) -> String {
    let version = words::version::VALKEY;
    format!("{program} v={version} sha=00000000:0 malloc=libc bits=64 build=0")
}
