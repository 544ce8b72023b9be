//! What a library registers while it is loaded.

use crate::error::Error;
use crate::flags::ScriptFlags;
use crate::shebang::is_name;
use lua::{State, TableId, Value};

/// Functions of the library that is being loaded.
#[derive(Default)]
pub(crate) struct Registration {
    pub(crate) functions: Vec<Registered>,
}

/// A function as its library registers it.
pub(crate) struct Registered {
    pub(crate) name: Vec<u8>,
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) flags: ScriptFlags,
    /// Kept from the moment it is registered.
    pub(crate) callback: lua::Kept,
}

/// The arguments of `register_function`, in whichever form they come.
#[derive(Default)]
struct Fields {
    name: Option<Vec<u8>>,
    description: Option<Vec<u8>>,
    callback: Option<Value>,
    flags: ScriptFlags,
}

impl Registration {
    /// `register_function(name, callback)` or `register_function{function_name=..., callback=..., description=...,
    /// flags={...}}`, of which the host function that waits holds the arguments.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn register(&mut self, state: &mut State) -> Result<(), Error> {
        let fields = match *state.arguments() {
            [Value::Table(table)] => named(state, table)?,
            [_] => return Err(Error::REGISTER_TABLE),
            [name, callback] => positional(state, name, callback)?,
            _ => return Err(Error::REGISTER_COUNT),
        };
        let name = fields.name.ok_or(Error::REGISTER_NO_NAME)?;
        let callback = fields.callback.ok_or(Error::REGISTER_NO_CALLBACK)?;
        if !is_name(&name) {
            return Err(Error::LIBRARY_NAME);
        }
        let taken = |other: &Registered| other.name.eq_ignore_ascii_case(&name);
        if self.functions.iter().any(taken) {
            return Err(Error::REGISTERED);
        }
        self.functions.push(Registered {
            callback: state.keep(callback),
            name,
            description: fields.description,
            flags: fields.flags,
        });
        Ok(())
    }
}

fn is_function(value: Value) -> bool {
    matches!(value, Value::Function(_) | Value::Native(_))
}

/// A string, or a number as one.
fn text(state: &State, value: Value) -> Option<Vec<u8>> {
    matches!(value, Value::String(_) | Value::Number(_)).then(|| state.display(value))
}

fn positional(state: &State, name: Value, callback: Value) -> Result<Fields, Error> {
    let name = text(state, name).ok_or(Error::REGISTER_FIRST)?;
    if !is_function(callback) {
        return Err(Error::REGISTER_SECOND);
    }
    Ok(Fields {
        name: Some(name),
        callback: Some(callback),
        ..Fields::default()
    })
}

fn named(state: &mut State, table: TableId) -> Result<Fields, Error> {
    let mut fields = Fields::default();
    let mut at = Value::Nil;
    while let Some((key, value)) = state.next(table, at) {
        at = key;
        let key = text(state, key).ok_or(Error::REGISTER_KEY)?;
        match key.to_ascii_lowercase().as_slice() {
            b"function_name" => {
                fields.name = Some(text(state, value).ok_or(Error::REGISTER_NAME_TYPE)?);
            }
            b"description" => {
                let text = text(state, value).ok_or(Error::REGISTER_DESCRIPTION_TYPE)?;
                fields.description = Some(text);
            }
            b"callback" if is_function(value) => fields.callback = Some(value),
            b"callback" => return Err(Error::REGISTER_CALLBACK_TYPE),
            b"flags" => match value {
                Value::Table(names) => fields.flags = flags(state, names)?,
                _ => return Err(Error::REGISTER_FLAGS_TYPE),
            },
            _ => return Err(Error::REGISTER_ARGUMENT),
        }
    }
    Ok(fields)
}

/// The flags that stand in a table from 1 on.
fn flags(state: &mut State, names: TableId) -> Result<ScriptFlags, Error> {
    let mut flags = ScriptFlags::default();
    let mut index = 1.0;
    loop {
        let name = match state.get(names, Value::Number(index)) {
            Value::Nil => return Ok(flags),
            Value::String(name) => state.bytes(name).to_ascii_lowercase(),
            _ => return Err(Error::REGISTER_FLAG),
        };
        flags = flags.and(ScriptFlags::named(&name).ok_or(Error::REGISTER_FLAG)?);
        index += 1.0;
    }
}
