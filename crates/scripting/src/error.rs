//! Every error text of this crate that a client or a script can see, once. Texts are those of Valkey 8.0.1.

use std::borrow::Cow;

/// An error with its code, as it goes into a reply or into the field `err` of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Cow<'static, [u8]>);

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Error { $($(#[$doc])* pub(crate) const $name: Error = Error(Cow::Borrowed($text.as_bytes()));)* }
    };
}

fixed! {
    // First lines of scripts.
    SHEBANG = "ERR Invalid script shebang";
    SHEBANG_QUOTES = "ERR Invalid engine in script shebang";
    // First lines of libraries.
    NO_METADATA = "ERR Missing library metadata";
    METADATA = "ERR Invalid library metadata";
    NO_NAME = "ERR Library name was not given";
    NAME_TWICE = "ERR Invalid metadata value, name argument was given multiple times";
    LIBRARY_NAME = "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";
    // Libraries.
    NO_FUNCTIONS = "ERR No functions registered";
    NO_LIBRARY = "ERR Library not found";
    LOAD_TIMEOUT = "ERR Error registering functions: ERR FUNCTION LOAD timeout";
    // What scripts call.
    NO_ARGUMENTS = "ERR Please specify at least one argument for this call";
    ARGUMENT_TYPES = "ERR Command arguments must be strings or integers";
    REPLY_ARGUMENTS = "ERR wrong number or type of arguments";
    ARGUMENT_COUNT = "ERR wrong number of arguments";
    LOG_ARGUMENTS = "ERR server.log() requires two arguments or more.";
    LOG_LEVEL_TYPE = "ERR First argument must be a number (log level).";
    LOG_LEVEL = "ERR Invalid log level.";
    SETRESP_ARGUMENTS = "ERR server.setresp() requires one argument.";
    SETRESP_VERSION = "ERR RESP version must be 2 or 3.";
    SET_REPL_ARGUMENTS = "ERR server.set_repl() requires one argument.";
    SET_REPL_FLAGS = "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
    ACL_CHECK_COMMAND = "ERR Invalid command passed to server.acl_check_cmd()";
    /// A script is about to change what scripts run in, or a library to call a command.
    NOT_WHILE_RUNNING = "ERR This Redis command is not allowed from script";
    // Registration.
    REGISTER_OUTSIDE = "ERR server.register_function can only be called on FUNCTION LOAD command";
    REGISTER_COUNT = "ERR wrong number of arguments to server.register_function";
    REGISTER_FIRST = "ERR first argument to server.register_function must be a string";
    REGISTER_SECOND = "ERR second argument to server.register_function must be a function";
    REGISTER_TABLE = "ERR calling server.register_function with a single argument is only applicable to Lua table (representing named arguments).";
    REGISTER_NAME_TYPE = "ERR function_name argument given to server.register_function must be a string";
    REGISTER_DESCRIPTION_TYPE = "ERR description argument given to server.register_function must be a string";
    REGISTER_CALLBACK_TYPE = "ERR callback argument given to server.register_function must be a function";
    REGISTER_FLAGS_TYPE = "ERR flags argument to server.register_function must be a table representing function flags";
    REGISTER_FLAG = "ERR unknown flag given";
    REGISTER_ARGUMENT = "ERR unknown argument given to server.register_function";
    REGISTER_KEY = "ERR named argument key given to server.register_function is not a string";
    REGISTER_NO_NAME = "ERR server.register_function must get a function name argument";
    REGISTER_NO_CALLBACK = "ERR server.register_function must get a callback argument";
    REGISTERED = "ERR Function already exists in the library";
    // Replies.
    REPLY_DEPTH = "ERR reached lua stack limit";
    REPLY_SIZE = "ERR the reply of the script is too long";
    UNKNOWN = "ERR unknown error";
    MEMORY = "ERR not enough memory";
    KILLED = "ERR Script killed by user with SCRIPT KILL...";
}

impl Error {
    /// The text with its code.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.0
    }

    /// The text with its code, to be kept.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        self.0.into_owned()
    }

    fn built(parts: &[&[u8]]) -> Self {
        Error(Cow::Owned(parts.concat()))
    }

    pub(crate) fn shebang_engine(engine: &[u8]) -> Self {
        Self::built(&[b"ERR Unexpected engine in script shebang: ", engine])
    }

    pub(crate) fn shebang_option(option: &[u8]) -> Self {
        Self::built(&[b"ERR Unknown lua shebang option: ", option])
    }

    pub(crate) fn shebang_flag(flag: &[u8]) -> Self {
        Self::built(&[b"ERR Unexpected flag in script shebang: ", flag])
    }

    pub(crate) fn metadata_value(word: &[u8]) -> Self {
        Self::built(&[b"ERR Invalid metadata value given: ", word])
    }

    pub(crate) fn engine(name: &[u8]) -> Self {
        Self::built(&[b"ERR Engine '", name, b"' not found"])
    }

    pub(crate) fn library_exists(name: &[u8]) -> Self {
        Self::built(&[b"ERR Library '", name, b"' already exists"])
    }

    /// The same of a library of a payload.
    pub(crate) fn library_collides(name: &[u8]) -> Self {
        Self::built(&[b"ERR Library ", name, b" already exists"])
    }

    pub(crate) fn function_exists(name: &[u8]) -> Self {
        Self::built(&[b"ERR Function ", name, b" already exists"])
    }

    pub(crate) fn script_syntax(text: &[u8]) -> Self {
        Self::built(&[b"ERR Error compiling script (new function): ", text])
    }

    pub(crate) fn library_syntax(text: &[u8]) -> Self {
        Self::built(&[b"ERR Error compiling function: ", text])
    }

    pub(crate) fn registering(text: &[u8]) -> Self {
        Self::built(&[b"ERR Error registering functions: ", text])
    }

    /// An error that could not be handled, of a script of that name.
    pub(crate) fn broken(script: &[u8], text: &[u8]) -> Self {
        Self::built(&[b"ERR Error running script ", script, b", ", text])
    }
}
