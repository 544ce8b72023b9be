//! Modules beside the standard library that servers give to scripts: `bit`, `struct`, `cmsgpack`, `cjson`.
//!
//! None is there unless [`crate::State::install_ext`] is called. What walks a structure keeps a stack of its own.

mod bit;
mod cjson;
mod cjson_decode;
mod cmsgpack;
mod pack;

use crate::heap::OutOfMemory;
use crate::value::Value;
use crate::vm::State;

impl State {
    /// Puts `bit`, `struct`, `cmsgpack` and `cjson` into the globals.
    ///
    /// # Errors
    ///
    /// Memory is used up.
    pub fn install_ext(&mut self) -> Result<(), OutOfMemory> {
        crate::stdlib::library(self, "bit", bit::FUNCTIONS)?;
        crate::stdlib::library(self, "struct", pack::FUNCTIONS)?;
        let cmsgpack = crate::stdlib::library(self, "cmsgpack", cmsgpack::FUNCTIONS)?;
        for (name, text) in cmsgpack::FIELDS {
            let text = self.string(text.as_bytes())?;
            self.set_field(cmsgpack, name, text)?;
        }
        let globals = self.globals();
        let module = cjson::module(self)?;
        self.set_field(globals, "cjson", Value::Table(module))
    }
}
