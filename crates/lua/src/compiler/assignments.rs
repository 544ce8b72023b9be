//! Assignments: to local variables that begin, and to anything that can be assigned to.

use super::function::Kind;
use super::lexer::Token;
use super::{Compiler, Result, State};

use crate::heap::Heap;
use crate::limits::SYNTAX_LEVELS_MAX;
use crate::op::Op;

impl Compiler {
    pub(super) fn local_statement(&mut self, heap: &mut Heap) -> Result<()> {
        let mut names = 0;
        loop {
            let name = self.name(heap)?;
            self.declare(name)?;
            names += 1;
            if !self.accept(Token::Byte(b','), heap)? {
                break;
            }
        }
        self.push(State::LocalValues { names });
        if self.accept(Token::Byte(b'='), heap)? {
            self.push_list();
        } else {
            self.value = Kind::Void.into();
            self.count = 0;
        }
        Ok(())
    }

    pub(super) fn local_values(&mut self, names: usize) {
        self.adjust(names);
        self.f().activate(names);
    }

    /// Takes a target of an assignment, then the next one or the values.
    pub(super) fn target(&mut self, first: usize, heap: &mut Heap) -> Result<()> {
        let target = self.value;
        if !matches!(
            target.kind,
            Kind::Local(_)
                | Kind::Upvalue(_)
                | Kind::Global(_)
                | Kind::Field { .. }
                | Kind::Item { .. }
                | Kind::Index { .. }
        ) {
            return Err(self.lexer.error_here("syntax error"));
        }
        if let Kind::Local(register) = target.kind {
            self.protect_from(register, first);
        }
        self.targets.push(target);
        if self.accept(Token::Byte(b','), heap)? {
            let room = (SYNTAX_LEVELS_MAX - self.levels) as usize;
            if self.targets.len() - first > room {
                return Err(self.too_many(
                    self.functions.len() - 1,
                    room,
                    "variables in assignment",
                ));
            }
            self.push(State::Target { first });
            return self.primary(heap);
        }
        self.expect(Token::Byte(b'='), heap)?;
        self.push(State::AssignValues { first });
        self.push_list();
        Ok(())
    }

    /// A local variable is assigned to that earlier targets use as table or key: they get a copy.
    fn protect_from(&mut self, register: u8, first: usize) {
        let extra = u8::try_from(self.f().free).unwrap_or(u8::MAX);
        let mut conflict = false;
        for target in &mut self.targets[first..] {
            match &mut target.kind {
                Kind::Field { table, .. } | Kind::Item { table, .. } if *table == register => {
                    conflict = true;
                    *table = extra;
                }
                Kind::Index { table, key } => {
                    if *table == register {
                        conflict = true;
                        *table = extra;
                    }
                    if *key == register {
                        conflict = true;
                        *key = extra;
                    }
                }
                _ => {}
            }
        }
        if conflict {
            self.f().emit(Op::Move {
                dst: extra,
                src: register,
            });
            self.f().reserve(1);
        }
    }

    pub(super) fn assign(&mut self, first: usize) {
        let targets = self.targets.split_off(first);
        let mut rest = &targets[..];
        if self.count == targets.len() {
            if let Some((last, others)) = targets.split_last() {
                let mut value = self.value;
                self.f().set_one_result(&mut value);
                self.f().store(*last, value);
                rest = others;
            }
        } else {
            self.adjust(targets.len());
            let surplus = self.count.saturating_sub(targets.len());
            self.f().free -= surplus;
        }
        for target in rest.iter().rev() {
            let function = self.f();
            let register = u8::try_from(function.free - 1).unwrap_or(u8::MAX);
            function.store(*target, Kind::Register(register).into());
        }
    }

    /// Makes the values of the list just read as many as the names that take them.
    pub(super) fn adjust(&mut self, names: usize) {
        let values = self.count;
        let mut value = self.value;
        let function = self.f();
        if value.is_open() {
            let extra = (names + 1).saturating_sub(values);
            let results = u8::try_from(extra + 1).unwrap_or(u8::MAX);
            function.set_results(&value, results);
            if extra > 1 {
                function.reserve(extra - 1);
            }
            return;
        }
        if value.kind != Kind::Void {
            function.next_register(&mut value);
        }
        if names > values {
            let from = function.free;
            function.reserve(names - values);
            function.nil(from, names - values);
        }
    }
}
