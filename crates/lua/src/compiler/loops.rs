//! Loops: `while`, `repeat` and the two kinds of `for`.

use super::function::{Exp, Kind};
use super::lexer::Token;
use super::{Compiler, Result, State};

use crate::heap::Heap;
use crate::op::{NO_JUMP, Op};

impl Compiler {
    pub(super) fn while_condition(&mut self, line: u32, start: u32, heap: &mut Heap) -> Result<()> {
        let exit = self.condition();
        self.f().open_block(true);
        self.expect(Token::Do, heap)?;
        self.push(State::WhileEnd { line, start, exit });
        self.push_block(false)
    }

    pub(super) fn while_end(
        &mut self,
        line: u32,
        start: u32,
        exit: u32,
        heap: &mut Heap,
    ) -> Result<()> {
        let jump = self.f().jump();
        self.f().patch(jump, start);
        self.close(Token::End, Token::While, line, heap)?;
        self.f().close_block();
        self.f().patch_here(exit);
        Ok(())
    }

    pub(super) fn repeat_until(&mut self, line: u32, start: u32, heap: &mut Heap) -> Result<()> {
        self.close(Token::Until, Token::Repeat, line, heap)?;
        self.push(State::RepeatEnd { start });
        self.push_expression();
        Ok(())
    }

    pub(super) fn repeat_end(&mut self, start: u32) {
        let exit = self.condition();
        let function = self.f();
        if function
            .blocks
            .last()
            .is_some_and(|block| block.is_captured)
        {
            function.break_loop();
            function.patch_here(exit);
            function.close_block();
            let jump = function.jump();
            function.patch(jump, start);
        } else {
            function.close_block();
            function.patch(exit, start);
        }
        function.close_block();
    }

    pub(super) fn for_statement(&mut self, line: u32, heap: &mut Heap) -> Result<()> {
        self.f().open_block(true);
        self.advance(heap)?;
        let name = self.name(heap)?;
        let base = u8::try_from(self.f().free).unwrap_or(u8::MAX);
        match self.token() {
            Token::Byte(b'=') => {
                self.declare_hidden(&["(for index)", "(for limit)", "(for step)"], heap)?;
                self.declare(name)?;
                self.advance(heap)?;
                self.push(State::ForStart { line, base });
                self.push_expression();
            }
            Token::Byte(b',') | Token::In => {
                self.declare_hidden(&["(for generator)", "(for state)", "(for control)"], heap)?;
                self.declare(name)?;
                let mut names = 1;
                while self.accept(Token::Byte(b','), heap)? {
                    let name = self.name(heap)?;
                    self.declare(name)?;
                    names += 1;
                }
                self.expect(Token::In, heap)?;
                let line = self.lexer.line;
                self.push(State::ForList { line, base, names });
                self.push_list();
            }
            _ => return Err(self.lexer.error_here("'=' or 'in' expected")),
        }
        Ok(())
    }

    pub(super) fn for_start(&mut self, line: u32, base: u8, heap: &mut Heap) -> Result<()> {
        self.value_to_next_register();
        self.expect(Token::Byte(b','), heap)?;
        self.push(State::ForLimit { line, base });
        self.push_expression();
        Ok(())
    }

    pub(super) fn for_limit(&mut self, line: u32, base: u8, heap: &mut Heap) -> Result<()> {
        self.value_to_next_register();
        if self.accept(Token::Byte(b','), heap)? {
            self.push(State::ForStep { line, base });
            self.push_expression();
            return Ok(());
        }
        let mut one: Exp = Kind::Number(1.0).into();
        self.f().next_register(&mut one);
        self.for_body(line, base, None, line, heap)
    }

    pub(super) fn for_step(&mut self, line: u32, base: u8, heap: &mut Heap) -> Result<()> {
        self.value_to_next_register();
        self.for_body(line, base, None, line, heap)
    }

    pub(super) fn for_list(
        &mut self,
        line: u32,
        base: u8,
        names: u8,
        heap: &mut Heap,
    ) -> Result<()> {
        self.adjust(3);
        self.f().check_room(3);
        self.for_body(line, base, Some(names), line, heap)
    }

    fn for_body(
        &mut self,
        line: u32,
        base: u8,
        names: Option<u8>,
        body_line: u32,
        heap: &mut Heap,
    ) -> Result<()> {
        self.f().activate(3);
        self.expect(Token::Do, heap)?;
        let function = self.f();
        let prepare = if names.is_none() {
            function.emit(Op::ForPrepare { base, to: NO_JUMP })
        } else {
            function.jump()
        };
        function.open_block(false);
        let visible = usize::from(names.unwrap_or(1));
        function.activate(visible);
        function.reserve(visible);
        self.push(State::ForEnd {
            line,
            base,
            names,
            prepare,
            body_line,
        });
        self.push_block(false)
    }

    pub(super) fn for_end(
        &mut self,
        line: u32,
        base: u8,
        names: Option<u8>,
        prepare: u32,
        body_line: u32,
        heap: &mut Heap,
    ) -> Result<()> {
        let function = self.f();
        function.close_block();
        function.patch_here(prepare);
        let end = match names {
            None => function.emit(Op::ForLoop { base, to: NO_JUMP }),
            Some(count) => {
                function.emit(Op::IteratorCall { base, count });
                function.fix_line(body_line);
                function.emit(Op::IteratorLoop { base, to: NO_JUMP })
            }
        };
        function.fix_line(body_line);
        function.patch(end, prepare + 1);
        self.close(Token::End, Token::For, line, heap)?;
        self.f().close_block();
        Ok(())
    }
}
