//! The standard library, as far as it needs no outside world.

mod args;
pub(crate) mod base;
mod coroutine;
mod format;
mod load;
mod math;
mod pattern;
mod sort;
mod string;
mod substitute;
mod table;

pub(crate) use args::to_integer;
pub(crate) use format::to_unsigned;
pub(crate) use table::{UNITS_OF_EMPTY_STEP, grow};

use crate::heap::OutOfMemory;
use crate::number::write_number;
use crate::value::{TableId, Value};
use crate::vm::State;
use crate::vm::task::Native;

/// Where the made-up addresses of objects begin.
const ADDRESS_START: u64 = 0x5500_0000_0000;

/// Puts the library into the globals.
pub(crate) fn install(state: &mut State) -> Result<(), OutOfMemory> {
    // Texts of errors that must be there when memory is not.
    for text in [
        "not enough memory",
        "error in error handling",
        "C stack overflow",
    ] {
        let text = state.string(text.as_bytes())?;
        state.keep(text);
    }
    let globals = state.globals();
    register(state, globals, base::FUNCTIONS)?;
    register(state, globals, load::FUNCTIONS)?;
    state.set_field(globals, "_G", Value::Table(globals))?;
    let version = state.string(b"Lua 5.1")?;
    state.set_field(globals, "_VERSION", version)?;
    base::install_hidden(state)?;
    library(state, "coroutine", coroutine::FUNCTIONS)?;
    library(state, "table", table::FUNCTIONS)?;
    let math = library(state, "math", math::FUNCTIONS)?;
    state.set_field(math, "pi", Value::Number(std::f64::consts::PI))?;
    state.set_field(math, "huge", Value::Number(f64::INFINITY))?;
    let string = library(state, "string", string::FUNCTIONS)?;
    let metatable = state.table(0, 1)?;
    state.set_field(metatable, "__index", Value::Table(string))?;
    state.string_metatable = Some(metatable);
    library(state, "os", base::OS_FUNCTIONS)?;
    Ok(())
}

/// A table of functions in the globals.
pub(crate) fn library(
    state: &mut State,
    name: &str,
    functions: &[(&str, Native)],
) -> Result<TableId, OutOfMemory> {
    let table = state.table(0, functions.len())?;
    register(state, table, functions)?;
    let globals = state.globals();
    state.set_field(globals, name, Value::Table(table))?;
    Ok(table)
}

fn register(
    state: &mut State,
    table: TableId,
    functions: &[(&str, Native)],
) -> Result<(), OutOfMemory> {
    for (name, native) in functions {
        let function = state.native(*native);
        state.set_field(table, name, function)?;
    }
    Ok(())
}

/// What `tostring` gives without a metatable. Objects show an address that depends on nothing but the order in which
/// they were made.
pub(crate) fn display(state: &State, value: Value) -> Vec<u8> {
    let (name, place, kind) = match value {
        Value::Nil => return b"nil".to_vec(),
        Value::Boolean(value) => return value.to_string().into_bytes(),
        Value::Number(number) => {
            let mut text = Vec::new();
            write_number(number, &mut text);
            return text;
        }
        Value::String(id) => return state.bytes(id).to_vec(),
        Value::Light(0) => return b"userdata: (nil)".to_vec(),
        Value::Table(id) => ("table", id.0, 0),
        Value::Function(id) => ("function", id.0, 1),
        Value::Native(id) => ("function", id.0, 2),
        Value::Thread(id) => ("thread", id.0, 3),
        Value::UserData(id) => ("userdata", id.0, 4),
        Value::Light(number) => ("userdata", number, 5),
    };
    let address = ADDRESS_START + (kind << 40) + u64::from(place) * 32;
    format!("{name}: {address:#x}").into_bytes()
}
