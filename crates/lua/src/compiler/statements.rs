//! Statements: blocks of them, `if`, `return`, and those that begin with an expression.

use super::function::Kind;
use super::lexer::Token;
use super::{Compiler, Result, State};

use crate::heap::Heap;
use crate::op::{NO_JUMP, OPEN, Op};

impl Compiler {
    /// The next statement of a block, unless it has ended.
    pub(super) fn chunk(&mut self, last: bool, heap: &mut Heap) -> Result<()> {
        if last || self.block_ends() {
            self.leave_level();
            return Ok(());
        }
        let last = matches!(self.token(), Token::Return | Token::Break);
        self.push(State::Chunk { last });
        self.push(State::EndStatement);
        self.statement(heap)
    }

    fn statement(&mut self, heap: &mut Heap) -> Result<()> {
        let line = self.lexer.line;
        match self.token() {
            Token::If => {
                self.advance(heap)?;
                self.push(State::IfCondition {
                    line,
                    exits: NO_JUMP,
                });
                self.push_expression();
            }
            Token::While => {
                self.advance(heap)?;
                let start = self.f().here();
                self.push(State::WhileCondition { line, start });
                self.push_expression();
            }
            Token::Do => {
                self.advance(heap)?;
                self.push(State::DoEnd { line });
                self.push_block(false)?;
            }
            Token::For => self.for_statement(line, heap)?,
            Token::Repeat => {
                self.advance(heap)?;
                let start = self.f().here();
                self.f().open_block(true);
                self.f().open_block(false);
                self.push(State::RepeatUntil { line, start });
                self.push_chunk()?;
            }
            Token::Function => self.function_statement(line, heap)?,
            Token::Local => {
                self.advance(heap)?;
                if self.accept(Token::Function, heap)? {
                    self.local_function(heap)?;
                } else {
                    self.local_statement(heap)?;
                }
            }
            Token::Return => {
                self.advance(heap)?;
                if self.block_ends() || self.token() == Token::Byte(b';') {
                    self.f().emit(Op::Return { first: 0, count: 1 });
                } else {
                    self.push(State::ReturnValues);
                    self.push_list();
                }
            }
            Token::Break => {
                self.advance(heap)?;
                if !self.f().break_loop() {
                    return Err(self.lexer.error_here("no loop to break"));
                }
            }
            _ => {
                self.push(State::ExpressionStatement);
                self.primary(heap)?;
            }
        }
        Ok(())
    }

    pub(super) fn end_statement(&mut self, heap: &mut Heap) -> Result<()> {
        self.accept(Token::Byte(b';'), heap)?;
        let function = self.f();
        function.free = function.active.len();
        Ok(())
    }

    /// Takes the value for a condition; the jumps that are taken when it is false.
    pub(super) fn condition(&mut self) -> u32 {
        let mut value = self.value;
        if value.kind == Kind::Nil {
            value.kind = Kind::False;
        }
        self.f().go_if_true(&mut value);
        value.when_false
    }

    pub(super) fn if_condition(&mut self, line: u32, exits: u32, heap: &mut Heap) -> Result<()> {
        let skip = self.condition();
        self.expect(Token::Then, heap)?;
        self.push(State::IfBranch { line, exits, skip });
        self.push_block(false)
    }

    /// What follows a branch: another one, or the end.
    pub(super) fn if_branch(
        &mut self,
        line: u32,
        mut exits: u32,
        skip: u32,
        heap: &mut Heap,
    ) -> Result<()> {
        if !matches!(self.token(), Token::Elseif | Token::Else) {
            self.f().join(&mut exits, skip);
            self.push(State::IfEnd { line, exits });
            return Ok(());
        }
        let jump = self.f().jump();
        self.f().join(&mut exits, jump);
        self.f().patch_here(skip);
        let another = self.token() == Token::Elseif;
        self.advance(heap)?;
        if another {
            self.push(State::IfCondition { line, exits });
            self.push_expression();
            return Ok(());
        }
        self.push(State::IfEnd { line, exits });
        self.push_block(false)
    }

    pub(super) fn if_end(&mut self, line: u32, exits: u32, heap: &mut Heap) -> Result<()> {
        self.f().patch_here(exits);
        self.close(Token::End, Token::If, line, heap)
    }

    pub(super) fn return_values(&mut self) {
        let count = self.count;
        let mut value = self.value;
        let function = self.f();
        let outside = u8::try_from(function.active.len()).unwrap_or(u8::MAX);
        if value.is_open() {
            function.set_open(&value);
            if count == 1
                && let Kind::Call(pc) = value.kind
                && let Op::Call { base, args, .. } = function.proto.code[pc as usize]
            {
                function.proto.code[pc as usize] = Op::TailCall { base, args };
            }
            function.emit(Op::Return {
                first: outside,
                count: OPEN,
            });
            return;
        }
        if count == 1 {
            let first = function.register_of(&mut value);
            function.emit(Op::Return { first, count: 2 });
            return;
        }
        function.next_register(&mut value);
        let results = u8::try_from(count + 1).unwrap_or(u8::MAX);
        function.emit(Op::Return {
            first: outside,
            count: results,
        });
    }

    /// A call, or the first target of an assignment.
    pub(super) fn expression_statement(&mut self, heap: &mut Heap) -> Result<()> {
        if matches!(self.value.kind, Kind::Call(_)) {
            let value = self.value;
            // A call for its effects: no results.
            self.f().set_results(&value, 1);
            return Ok(());
        }
        let first = self.targets.len();
        self.target(first, heap)
    }
}
