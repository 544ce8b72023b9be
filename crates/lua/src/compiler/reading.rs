//! Reading tokens: what is accepted, what is expected, and the errors of what is not there.

use super::lexer::{CompileError, Token};
use super::{Compiler, Result};

use crate::heap::Heap;
use crate::value::StringId;

impl Compiler {
    pub(super) fn advance(&mut self, heap: &mut Heap) -> Result<()> {
        self.lexer.advance(heap)
    }

    pub(super) fn token(&self) -> Token {
        self.lexer.token
    }

    pub(super) fn accept(&mut self, token: Token, heap: &mut Heap) -> Result<bool> {
        let found = self.token() == token;
        if found {
            self.advance(heap)?;
        }
        Ok(found)
    }

    pub(super) fn expected(&self, token: Token) -> CompileError {
        let token = String::from_utf8_lossy(&token.quoted()).into_owned();
        self.lexer.error_here(&format!("{token} expected"))
    }

    pub(super) fn expect(&mut self, token: Token, heap: &mut Heap) -> Result<()> {
        if self.accept(token, heap)? {
            Ok(())
        } else {
            Err(self.expected(token))
        }
    }

    /// Expects the token that ends what `opening` began on `line`.
    pub(super) fn close(
        &mut self,
        closing: Token,
        opening: Token,
        line: u32,
        heap: &mut Heap,
    ) -> Result<()> {
        if self.accept(closing, heap)? {
            return Ok(());
        }
        if line == self.lexer.line {
            return Err(self.expected(closing));
        }
        let shown = |token: Token| String::from_utf8_lossy(&token.quoted()).into_owned();
        let (closing, opening) = (shown(closing), shown(opening));
        let text = format!("{closing} expected (to close {opening} at line {line})");
        Err(self.lexer.error_here(&text))
    }

    pub(super) fn name(&mut self, heap: &mut Heap) -> Result<StringId> {
        let Token::Name(name) = self.token() else {
            return Err(self.lexer.error_here("'<name>' expected"));
        };
        self.advance(heap)?;
        Ok(name)
    }
}
