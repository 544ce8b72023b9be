//! What is in scope: variables and where they are found, blocks, and how deeply a source is nested.

use super::function::{Exp, Kind};
use super::lexer::{CompileError, Token};
use super::{Compiler, Result, State};

use crate::heap::Heap;
use crate::limits::{LOCALS_MAX, SYNTAX_LEVELS_MAX, UPVALUES_MAX};
use crate::proto::Capture;
use crate::value::StringId;

impl Compiler {
    pub(super) fn enter_level(&mut self) -> Result<()> {
        self.levels += 1;
        if self.levels > SYNTAX_LEVELS_MAX {
            return Err(self.lexer.error("chunk has too many syntax levels"));
        }
        Ok(())
    }

    pub(super) fn leave_level(&mut self) {
        self.levels -= 1;
    }

    pub(super) fn too_many(&self, function: usize, limit: usize, what: &str) -> CompileError {
        let line = self.functions[function].proto.line_defined;
        self.lexer.error(&if line == 0 {
            format!("main function has more than {limit} {what}")
        } else {
            format!("function at line {line} has more than {limit} {what}")
        })
    }

    pub(super) fn declare(&mut self, name: StringId) -> Result<()> {
        let function = self.f();
        if function.active.len() + function.pending.len() + 1 > LOCALS_MAX {
            return Err(self.too_many(self.functions.len() - 1, LOCALS_MAX, "local variables"));
        }
        self.f().pending.push(name);
        Ok(())
    }

    pub(super) fn declare_hidden(&mut self, names: &[&str], heap: &mut Heap) -> Result<()> {
        for name in names {
            let name = heap.string(name.as_bytes())?;
            self.declare(name)?;
        }
        Ok(())
    }

    pub(super) fn block_ends(&self) -> bool {
        matches!(
            self.token(),
            Token::Else | Token::Elseif | Token::End | Token::Until | Token::EndOfSource
        )
    }

    /// Statements up to the end of a block that is closed behind them.
    pub(super) fn push_block(&mut self, is_loop: bool) -> Result<()> {
        self.f().open_block(is_loop);
        self.push(State::CloseBlock);
        self.push_chunk()
    }

    pub(super) fn push_chunk(&mut self) -> Result<()> {
        self.enter_level()?;
        self.push(State::Chunk { last: false });
        Ok(())
    }

    /// The variable of a name: of this function, of one around, or global.
    pub(super) fn variable(&mut self, name: StringId) -> Result<Exp> {
        let innermost = self.functions.len() - 1;
        let found = self
            .functions
            .iter()
            .enumerate()
            .rev()
            .find_map(|(level, function)| {
                function.find_local(name).map(|register| (level, register))
            });
        let Some((level, register)) = found else {
            let k = self.f().string_constant(name);
            return Ok(Kind::Global(k).into());
        };
        if level == innermost {
            return Ok(Kind::Local(register).into());
        }
        self.functions[level].capture_local(register);
        let mut capture = Capture::Local(register);
        let mut index = 0;
        for inner in level + 1..=innermost {
            index = self.functions[inner].upvalue(capture, name);
            if index >= UPVALUES_MAX {
                return Err(self.too_many(inner, UPVALUES_MAX, "upvalues"));
            }
            capture = Capture::Upvalue(u8::try_from(index).unwrap_or(u8::MAX));
        }
        Ok(Kind::Upvalue(u8::try_from(index).unwrap_or(u8::MAX)).into())
    }
}
