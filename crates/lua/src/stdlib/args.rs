//! How library functions take their arguments: with Lua's coercions and its errors.

use crate::value::{StringId, TableId, Value};
use crate::vm::error::Error;
use crate::vm::task::Call;

/// A double as a C program on a 64-bit machine converts it.
pub(crate) fn to_integer(number: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

impl Call<'_> {
    pub(crate) fn check_any(&mut self, index: usize) -> Result<Value, Error> {
        if self.has(index) {
            Ok(self.arg(index))
        } else {
            Err(self.argument_error(index, "value expected"))
        }
    }

    pub(crate) fn check_table(&mut self, index: usize) -> Result<TableId, Error> {
        match self.arg(index) {
            Value::Table(id) => Ok(id),
            _ => Err(self.type_argument_error(index, "table")),
        }
    }

    pub(crate) fn check_function(&mut self, index: usize) -> Result<Value, Error> {
        match self.arg(index) {
            function @ (Value::Function(_) | Value::Native(_)) => Ok(function),
            _ => Err(self.type_argument_error(index, "function")),
        }
    }

    pub(crate) fn check_number(&mut self, index: usize) -> Result<f64, Error> {
        let value = self.arg(index);
        if let Value::Number(number) = value {
            return Ok(number);
        }
        match self.state.to_number(value) {
            Some(number) => Ok(number),
            None => Err(self.type_argument_error(index, "number")),
        }
    }

    pub(crate) fn check_integer(&mut self, index: usize) -> Result<i64, Error> {
        Ok(to_integer(self.check_number(index)?))
    }

    /// An integer of 32 bits; higher ones are cut off.
    pub(crate) fn check_int(&mut self, index: usize) -> Result<i32, Error> {
        Ok(self.check_integer(index)? as i32)
    }

    pub(crate) fn opt_integer(&mut self, index: usize, default: i64) -> Result<i64, Error> {
        if self.arg(index).is_nil() {
            Ok(default)
        } else {
            self.check_integer(index)
        }
    }

    pub(crate) fn opt_int(&mut self, index: usize, default: i32) -> Result<i32, Error> {
        if self.arg(index).is_nil() {
            Ok(default)
        } else {
            self.check_int(index)
        }
    }

    /// A string; a number becomes one, in its place too, where it stays alive.
    pub(crate) fn check_string(&mut self, index: usize) -> Result<StringId, Error> {
        let value = self.arg(index);
        match self.state.text_of(value)? {
            Some(id) => {
                self.set_arg(index, Value::String(id));
                Ok(id)
            }
            None => Err(self.type_argument_error(index, "string")),
        }
    }

    pub(crate) fn opt_string(&mut self, index: usize) -> Result<Option<StringId>, Error> {
        if self.arg(index).is_nil() {
            Ok(None)
        } else {
            self.check_string(index).map(Some)
        }
    }

    pub(crate) fn bytes(&self, id: StringId) -> &[u8] {
        self.state.heap.bytes(id)
    }

    pub(crate) fn ret_number(
        &mut self,
        number: f64,
    ) -> Result<crate::vm::task::NativeResult, Error> {
        self.ret(Value::Number(number))
    }

    /// An error of the library itself, which has no place in a source.
    pub(crate) fn plain_error(&mut self, text: &str) -> Error {
        self.state.text_error(text.as_bytes())
    }
}
