//! Expressions: operators by how strongly they bind, names and what follows them, lists.

use super::function::{Binary, Exp, Kind, Unary};
use super::lexer::Token;
use super::{Compiler, Result, State};

use crate::heap::Heap;
use crate::op::Op;

/// How strongly unary operators bind.
const UNARY_PRIORITY: u8 = 8;

impl Compiler {
    pub(super) fn push_expression(&mut self) {
        self.push(State::Expression { limit: 0 });
    }

    pub(super) fn push_list(&mut self) {
        self.push(State::List { count: 1 });
        self.push_expression();
    }

    pub(super) fn list(&mut self, count: usize, heap: &mut Heap) -> Result<()> {
        if !self.accept(Token::Byte(b','), heap)? {
            self.count = count;
            return Ok(());
        }
        self.value_to_next_register();
        self.push(State::List { count: count + 1 });
        self.push_expression();
        Ok(())
    }

    pub(super) fn expression(&mut self, limit: u8, heap: &mut Heap) -> Result<()> {
        self.enter_level()?;
        let op = match self.token() {
            Token::Not => Some(Unary::Not),
            Token::Byte(b'-') => Some(Unary::Negate),
            Token::Byte(b'#') => Some(Unary::Length),
            _ => None,
        };
        if let Some(op) = op {
            self.advance(heap)?;
            self.push(State::Unary { op, limit });
            self.push(State::Expression {
                limit: UNARY_PRIORITY,
            });
            return Ok(());
        }
        self.push(State::Operators { limit });
        let kind = match self.token() {
            Token::Number(number) => Kind::Number(number),
            Token::String(id) => Kind::String(id),
            Token::Nil => Kind::Nil,
            Token::True => Kind::True,
            Token::False => Kind::False,
            Token::Dots => {
                if !self.f().proto.is_vararg {
                    return Err(self
                        .lexer
                        .error_here("cannot use '...' outside a vararg function"));
                }
                self.f().proto.needs_arg = false;
                Kind::VarArg(self.f().emit(Op::VarArg { dst: 0, count: 2 }))
            }
            Token::Byte(b'{') => return self.open_table(heap),
            Token::Function => {
                self.advance(heap)?;
                let line = self.lexer.line;
                return self.function_body(false, line, heap);
            }
            _ => return self.primary(heap),
        };
        self.value = kind.into();
        self.advance(heap)
    }

    pub(super) fn unary(&mut self, op: Unary, limit: u8) {
        let mut value = self.value;
        self.f().prefix(op, &mut value);
        self.value = value;
        self.push(State::Operators { limit });
    }

    pub(super) fn operators(&mut self, limit: u8, heap: &mut Heap) -> Result<()> {
        let Some((op, left, right)) =
            binary_operator(self.token()).filter(|(_, left, _)| *left > limit)
        else {
            self.leave_level();
            return Ok(());
        };
        debug_assert!(left > limit);
        self.advance(heap)?;
        let mut lhs = self.value;
        self.f().infix(op, &mut lhs);
        self.push(State::Operator { op, lhs, limit });
        self.push(State::Expression { limit: right });
        Ok(())
    }

    pub(super) fn operator(&mut self, op: Binary, lhs: Exp, limit: u8) {
        let rhs = self.value;
        self.value = self.f().postfix(op, lhs, rhs);
        self.push(State::Operators { limit });
    }

    /// A name or a parenthesis, and what follows it.
    pub(super) fn primary(&mut self, heap: &mut Heap) -> Result<()> {
        self.push(State::Suffix);
        match self.token() {
            Token::Name(name) => {
                self.advance(heap)?;
                self.value = self.variable(name)?;
                Ok(())
            }
            Token::Byte(b'(') => {
                let line = self.lexer.line;
                self.advance(heap)?;
                self.push(State::Parenthesis { line });
                self.push_expression();
                Ok(())
            }
            _ => Err(self.lexer.error_here("unexpected symbol")),
        }
    }

    pub(super) fn parenthesis(&mut self, line: u32, heap: &mut Heap) -> Result<()> {
        self.close(Token::Byte(b')'), Token::Byte(b'('), line, heap)?;
        let mut value = self.value;
        self.f().read(&mut value);
        self.value = value;
        Ok(())
    }

    pub(super) fn suffix(&mut self, heap: &mut Heap) -> Result<()> {
        match self.token() {
            Token::Byte(b'.') => {
                let mut value = self.value;
                let table = self.f().register_of(&mut value);
                self.advance(heap)?;
                let name = self.name(heap)?;
                self.value = self.f().index(table, Kind::String(name).into());
                self.push(State::Suffix);
                Ok(())
            }
            Token::Byte(b'[') => {
                let mut value = self.value;
                let table = self.f().register_of(&mut value);
                self.advance(heap)?;
                self.push(State::SuffixIndex { table });
                self.push_expression();
                Ok(())
            }
            Token::Byte(b':') => {
                self.advance(heap)?;
                let name = self.name(heap)?;
                let mut value = self.value;
                self.f().method(&mut value, name);
                self.value = value;
                self.arguments(heap)
            }
            Token::Byte(b'(' | b'{') | Token::String(_) => {
                self.value_to_next_register();
                self.arguments(heap)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn suffix_index(&mut self, table: u8, heap: &mut Heap) -> Result<()> {
        let key = self.value;
        self.value = self.f().index(table, key);
        self.expect(Token::Byte(b']'), heap)?;
        self.push(State::Suffix);
        Ok(())
    }

    pub(super) fn value_to_next_register(&mut self) {
        let mut value = self.value;
        self.f().next_register(&mut value);
        self.value = value;
    }
}

/// Operators with how strongly they bind to their left and to their right.
fn binary_operator(token: Token) -> Option<(Binary, u8, u8)> {
    Some(match token {
        Token::Byte(b'+') => (Binary::Add, 6, 6),
        Token::Byte(b'-') => (Binary::Sub, 6, 6),
        Token::Byte(b'*') => (Binary::Mul, 7, 7),
        Token::Byte(b'/') => (Binary::Div, 7, 7),
        Token::Byte(b'%') => (Binary::Mod, 7, 7),
        Token::Byte(b'^') => (Binary::Pow, 10, 9),
        Token::Concat => (Binary::Concat, 5, 4),
        Token::NotEqual => (Binary::Ne, 3, 3),
        Token::Equal => (Binary::Eq, 3, 3),
        Token::Byte(b'<') => (Binary::Lt, 3, 3),
        Token::LessEqual => (Binary::Le, 3, 3),
        Token::Byte(b'>') => (Binary::Gt, 3, 3),
        Token::GreaterEqual => (Binary::Ge, 3, 3),
        Token::And => (Binary::And, 2, 2),
        Token::Or => (Binary::Or, 1, 1),
        _ => return None,
    })
}
