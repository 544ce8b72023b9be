//! Functions: their statements and bodies, and calls of them.

use super::function::{Exp, FunctionState, Kind};
use super::lexer::Token;
use super::{Compiler, Result, State, add_proto};

use crate::arena::Arena;
use crate::heap::Heap;
use crate::op::{OPEN, Op};
use crate::proto::Proto;

impl Compiler {
    pub(super) fn function_statement(&mut self, line: u32, heap: &mut Heap) -> Result<()> {
        self.advance(heap)?;
        let name = self.name(heap)?;
        let mut variable = self.variable(name)?;
        let mut is_method = false;
        while let Token::Byte(sign @ (b'.' | b':')) = self.token() {
            self.advance(heap)?;
            let name = self.name(heap)?;
            let table = self.f().register_of(&mut variable);
            variable = self.f().index(table, Kind::String(name).into());
            if sign == b':' {
                is_method = true;
                break;
            }
        }
        self.push(State::FunctionStatement { variable, line });
        self.function_body(is_method, line, heap)
    }

    /// The function of a statement goes into its variable.
    pub(super) fn function_stored(&mut self, variable: Exp, line: u32) {
        let value = self.value;
        self.f().store(variable, value);
        self.f().fix_line(line);
    }

    pub(super) fn local_function(&mut self, heap: &mut Heap) -> Result<()> {
        let name = self.name(heap)?;
        self.declare(name)?;
        let function = self.f();
        let register = u8::try_from(function.free).unwrap_or(u8::MAX);
        function.reserve(1);
        function.activate(1);
        self.push(State::LocalFunction { register });
        let line = self.lexer.line;
        self.function_body(false, line, heap)
    }

    /// The function goes into its variable, which begins to be one only here.
    pub(super) fn local_function_stored(&mut self, register: u8) {
        let value = self.value;
        self.f().store(Kind::Local(register).into(), value);
        let function = self.f();
        let pc = function.pc();
        if let Some(place) = function.active.last() {
            function.proto.locals[*place].start = pc;
        }
    }

    /// Parameters; the body goes on by itself.
    pub(super) fn function_body(
        &mut self,
        is_method: bool,
        line: u32,
        heap: &mut Heap,
    ) -> Result<()> {
        let mut function = FunctionState::default();
        function.proto.line_defined = line;
        function.proto.source = Some(self.lexer.name);
        self.functions.push(function);
        self.expect(Token::Byte(b'('), heap)?;
        let mut params = 0;
        if is_method {
            self.declare_hidden(&["self"], heap)?;
            params += 1;
        }
        let mut has_arg = false;
        if self.token() != Token::Byte(b')') {
            loop {
                match self.token() {
                    Token::Name(name) => {
                        self.advance(heap)?;
                        self.declare(name)?;
                        params += 1;
                    }
                    Token::Dots => {
                        self.advance(heap)?;
                        // The table `arg` of Lua 5.0, made unless the body uses `...`.
                        self.declare_hidden(&["arg"], heap)?;
                        has_arg = true;
                    }
                    _ => return Err(self.lexer.error_here("<name> or '...' expected")),
                }
                if has_arg || !self.accept(Token::Byte(b','), heap)? {
                    break;
                }
            }
        }
        let function = self.f();
        function.proto.is_vararg = has_arg;
        function.proto.needs_arg = has_arg;
        function.proto.params = params;
        let registers = usize::from(params) + usize::from(has_arg);
        function.activate(registers);
        function.reserve(registers);
        self.expect(Token::Byte(b')'), heap)?;
        self.push(State::FunctionEnd { line });
        self.push_chunk()
    }

    pub(super) fn function_end(
        &mut self,
        line: u32,
        heap: &mut Heap,
        protos: &mut Arena<Proto>,
    ) -> Result<()> {
        self.close(Token::End, Token::Function, line, heap)?;
        let Some(function) = self.functions.pop() else {
            return Ok(());
        };
        let id = add_proto(function.finish(), heap, protos)?;
        self.value = self.f().closure(id);
        Ok(())
    }

    pub(super) fn arguments(&mut self, heap: &mut Heap) -> Result<()> {
        let Kind::Register(base) = self.value.kind else {
            return Err(self.lexer.error_here("function arguments expected"));
        };
        let line = self.lexer.line;
        self.push(State::Suffix);
        match self.token() {
            Token::Byte(b'(') => {
                if line != self.lexer.last_line {
                    return Err(self
                        .lexer
                        .error_here("ambiguous syntax (function call x new statement)"));
                }
                self.advance(heap)?;
                self.push(State::CallArguments {
                    base,
                    line,
                    closes: true,
                });
                if self.token() == Token::Byte(b')') {
                    self.value = Kind::Void.into();
                } else {
                    self.push_list();
                }
                Ok(())
            }
            Token::Byte(b'{') => {
                self.push(State::CallArguments {
                    base,
                    line,
                    closes: false,
                });
                self.open_table(heap)
            }
            Token::String(id) => {
                self.advance(heap)?;
                self.call(base, line, Kind::String(id).into());
                Ok(())
            }
            _ => Err(self.lexer.error_here("function arguments expected")),
        }
    }

    pub(super) fn call_arguments(
        &mut self,
        base: u8,
        line: u32,
        closes: bool,
        heap: &mut Heap,
    ) -> Result<()> {
        let arguments = self.value;
        if arguments.is_open() {
            self.f().set_open(&arguments);
        }
        if closes {
            self.close(Token::Byte(b')'), Token::Byte(b'('), line, heap)?;
        }
        self.call(base, line, arguments);
        Ok(())
    }

    fn call(&mut self, base: u8, line: u32, mut arguments: Exp) {
        let function = self.f();
        let args = if arguments.is_open() {
            OPEN
        } else {
            if arguments.kind != Kind::Void {
                function.next_register(&mut arguments);
            }
            u8::try_from(function.free - usize::from(base)).unwrap_or(u8::MAX)
        };
        let pc = function.emit(Op::Call {
            base,
            args,
            results: 2,
        });
        function.fix_line(line);
        function.free = usize::from(base) + 1;
        self.value = Kind::Call(pc).into();
    }
}
