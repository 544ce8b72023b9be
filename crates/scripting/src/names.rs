//! Strings that an interpreter is asked for again and again, made once and kept.

use lua::{OutOfMemory, State, Value};

macro_rules! names {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// Names of fields and globals.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Names {
            $(pub(crate) $name: Value,)*
        }

        impl Names {
            pub(crate) fn new(state: &mut State) -> Result<Self, OutOfMemory> {
                let mut name = |text: &str| {
                    let value = state.string(text.as_bytes())?;
                    state.keep(value);
                    Ok(value)
                };
                Ok(Names { $($name: name($text)?,)* })
            }
        }
    };
}

names! {
    keys = "KEYS",
    argv = "ARGV",
    err = "err",
    ok = "ok",
    ok_text = "OK",
    double = "double",
    big_number = "big_number",
    verbatim_string = "verbatim_string",
    format = "format",
    string = "string",
    map = "map",
    set = "set",
    source = "source",
    line = "line",
    ignore_error_stats_update = "ignore_error_stats_update",
    index = "__index",
    not_enough_memory = "not enough memory",
}
