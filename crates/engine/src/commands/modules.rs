//! MODULE, as far as there are no modules.

use super::Family;
use crate::exec::{Args, Exec};
use crate::host::Level;
use commandtable::{Error, Outcome};

pub(super) static COMMANDS: Family = &[
    ("module|list", list),
    ("module|load", load),
    ("module|loadex", load),
    ("module|unload", unload),
    ("module|help", help),
];

/// `MODULE LIST`.
///
/// Reply: the loaded modules: none.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, MODULE LIST (since 4.0.0).
fn list(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.array(0);
    Ok(())
}

/// `MODULE LOAD path [arg ...]`, `MODULE LOADEX path [CONFIG name value ...] [ARGS arg ...]`.
///
/// Reply: none.
/// Errors: always; the log says why.
/// Propagates: nothing.
/// Source: Valkey command reference, MODULE LOAD (since 4.0.0), MODULE LOADEX (since 7.0.0).
fn load(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let path = String::from_utf8_lossy(args[2]);
    let line = format!("Module {path} failed to load: this build loads no modules");
    x.state.log(Level::Warning, &line);
    Err(Error::MODULE_NOT_LOADED)
}

/// `MODULE UNLOAD name`.
///
/// Reply: none.
/// Errors: always: there is none of any name.
/// Propagates: nothing.
/// Source: Valkey command reference, MODULE UNLOAD (since 4.0.0).
fn unload(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let name = String::from_utf8_lossy(args[2]);
    let line = format!("Error unloading module {name}: no such module with that name");
    x.state.log(Level::Warning, &line);
    Err(Error::NO_SUCH_MODULE)
}

/// `MODULE HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, MODULE HELP (since 5.0.0).
fn help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "MODULE",
        &[
            "LIST",
            "    Return a list of loaded modules.",
            "LOAD <path> [<arg> ...]",
            "    Load a module library from <path>, passing to it any optional arguments.",
            "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
            "    Load a module library from <path>, while passing it module configurations and optional arguments.",
            "UNLOAD <name>",
            "    Unload a module.",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn there_are_no_modules() {
        check(
            r#"
            > MODULE LIST
            < (empty array)
            > MODULE UNLOAD m
            < (error) ERR MODULE command not allowed. If the enable-module-command option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.
            "#,
        );
    }
}
