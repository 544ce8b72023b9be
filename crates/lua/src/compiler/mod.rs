//! From source text to a [`Proto`], in one pass and in slices.
//!
//! The parser is a machine with a stack of its own: each [`State`] is what remains to be done of one construct, the
//! expression read last stands in `value`. So no nesting of a source costs native stack, and a long source can be left
//! after any step. The grammar and its error texts are those of the Lua 5.1 manual and interpreter.

pub(crate) mod function;
pub(crate) mod lexer;
pub(crate) mod room;

use function::{Binary, Excess, Exp, FunctionState, Kind, Unary};
use lexer::{CompileError, Lexer, Token};

use crate::arena::Arena;
use crate::heap::Heap;
use crate::limits::{LOCALS_MAX, SYNTAX_LEVELS_MAX, UPVALUES_MAX};
use crate::op::{NO_JUMP, OPEN, Op};
use crate::proto::{Capture, Proto};
use crate::value::{ProtoId, StringId};

/// Items of a table constructor that are stored at once.
const ITEMS_PER_STORE: u8 = 50;

/// How strongly unary operators bind.
const UNARY_PRIORITY: u8 = 8;

type Result<T> = std::result::Result<T, CompileError>;

/// A table constructor under way.
#[derive(Clone, Copy)]
struct TableState {
    /// The instruction that makes the table.
    pc: u32,
    register: u8,
    line: u32,
    items: u32,
    fields: u32,
    /// Items in registers that are not stored yet.
    waiting: u8,
    /// The last item, still an expression.
    last: Option<Exp>,
}

/// What remains to be done of a construct.
#[derive(Clone, Copy)]
enum State {
    /// Statements up to the end of the block; `last` after a `return` or `break`.
    Chunk {
        last: bool,
    },
    EndStatement,
    CloseBlock,
    IfCondition {
        line: u32,
        exits: u32,
    },
    IfBranch {
        line: u32,
        exits: u32,
        skip: u32,
    },
    IfEnd {
        line: u32,
        exits: u32,
    },
    WhileCondition {
        line: u32,
        start: u32,
    },
    WhileEnd {
        line: u32,
        start: u32,
        exit: u32,
    },
    DoEnd {
        line: u32,
    },
    ForStart {
        line: u32,
        base: u8,
    },
    ForLimit {
        line: u32,
        base: u8,
    },
    ForStep {
        line: u32,
        base: u8,
    },
    ForList {
        line: u32,
        base: u8,
        names: u8,
    },
    ForEnd {
        line: u32,
        base: u8,
        names: Option<u8>,
        prepare: u32,
        body_line: u32,
    },
    FunctionStatement {
        variable: Exp,
        line: u32,
    },
    LocalFunction {
        register: u8,
    },
    LocalValues {
        names: usize,
    },
    RepeatUntil {
        line: u32,
        start: u32,
    },
    RepeatEnd {
        start: u32,
    },
    ReturnValues,
    /// A call or the first target of an assignment is in `value`.
    ExpressionStatement,
    /// Another target is in `value`; the targets of the statement begin at `first`.
    Target {
        first: usize,
    },
    AssignValues {
        first: usize,
    },
    FunctionEnd {
        line: u32,
    },
    /// An expression of operators that bind more strongly than `limit`.
    Expression {
        limit: u8,
    },
    Unary {
        op: Unary,
        limit: u8,
    },
    Operators {
        limit: u8,
    },
    Operator {
        op: Binary,
        lhs: Exp,
        limit: u8,
    },
    /// Expressions with commas between; the last stays in `value`, how many there were in `count`.
    List {
        count: usize,
    },
    Parenthesis {
        line: u32,
    },
    /// What may follow a name or a parenthesis.
    Suffix,
    SuffixIndex {
        table: u8,
    },
    CallArguments {
        base: u8,
        line: u32,
        closes: bool,
    },
    Table(TableState),
    TableItem(TableState),
    TableKey(TableState, usize),
    TableValue(TableState, usize, Exp),
}

/// A source being compiled.
pub(crate) struct Compiler {
    lexer: Lexer,
    states: Vec<State>,
    functions: Vec<FunctionState>,
    /// The expression read last.
    value: Exp,
    /// Expressions of the list read last.
    count: usize,
    /// Targets of the assignments under way.
    targets: Vec<Exp>,
    levels: u32,
    started: bool,
    /// Steps taken so far.
    pub(crate) steps: usize,
}

/// What a slice of compiling led to.
pub(crate) enum Progress {
    /// More to do.
    More,
    Done(ProtoId),
}

impl Compiler {
    pub(crate) fn new(source: Vec<u8>, name: StringId, heap: &Heap) -> Self {
        let mut main = FunctionState::default();
        main.proto.is_vararg = true;
        main.proto.source = Some(name);
        Self {
            lexer: Lexer::new(source, name, heap),
            states: vec![State::Chunk { last: false }],
            functions: vec![main],
            value: Kind::Void.into(),
            count: 0,
            targets: Vec::new(),
            levels: 1,
            started: false,
            steps: 0,
        }
    }

    /// Bytes that the compiler takes.
    pub(crate) fn held(&self) -> usize {
        let functions: usize = self.functions.iter().map(FunctionState::held).sum();
        self.lexer.held() + functions + self.states.capacity() * size_of::<State>()
    }

    /// Takes up to `steps` steps.
    ///
    /// # Errors
    ///
    /// The text of the error as `loadstring` returns it, or that memory is used up.
    pub(crate) fn run(
        &mut self,
        steps: usize,
        heap: &mut Heap,
        protos: &mut Arena<Proto>,
    ) -> Result<Progress> {
        if !self.started {
            self.started = true;
            self.advance(heap)?;
        }
        for _ in 0..steps {
            self.steps += 1;
            let Some(state) = self.states.pop() else {
                if self.lexer.token != Token::EndOfSource {
                    return Err(self.expected(Token::EndOfSource));
                }
                let main = self.functions.pop().unwrap_or_default();
                return add_proto(main.finish(), heap, protos).map(Progress::Done);
            };
            self.step(state, heap, protos)?;
            if let Some(excess) = self.functions.last().and_then(|function| function.excess) {
                return Err(match excess {
                    Excess::Registers => {
                        self.lexer.error_here("function or expression too complex")
                    }
                    Excess::Constants => self.lexer.error("constant table overflow"),
                });
            }
        }
        heap.check(self.held())?;
        Ok(Progress::More)
    }

    fn push(&mut self, state: State) {
        self.states.push(state);
    }

    /// The function being compiled.
    fn f(&mut self) -> &mut FunctionState {
        let line = self.lexer.last_line;
        let function = self
            .functions
            .last_mut()
            .expect("the main function is there to the end");
        function.line = line;
        function
    }

    fn advance(&mut self, heap: &mut Heap) -> Result<()> {
        self.lexer.advance(heap)
    }

    fn token(&self) -> Token {
        self.lexer.token
    }

    fn accept(&mut self, token: Token, heap: &mut Heap) -> Result<bool> {
        let found = self.token() == token;
        if found {
            self.advance(heap)?;
        }
        Ok(found)
    }

    fn expected(&self, token: Token) -> CompileError {
        let token = String::from_utf8_lossy(&token.quoted()).into_owned();
        self.lexer.error_here(&format!("{token} expected"))
    }

    fn expect(&mut self, token: Token, heap: &mut Heap) -> Result<()> {
        if self.accept(token, heap)? {
            Ok(())
        } else {
            Err(self.expected(token))
        }
    }

    /// Expects the token that ends what `opening` began on `line`.
    fn close(&mut self, closing: Token, opening: Token, line: u32, heap: &mut Heap) -> Result<()> {
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

    fn name(&mut self, heap: &mut Heap) -> Result<StringId> {
        let Token::Name(name) = self.token() else {
            return Err(self.lexer.error_here("'<name>' expected"));
        };
        self.advance(heap)?;
        Ok(name)
    }

    fn enter_level(&mut self) -> Result<()> {
        self.levels += 1;
        if self.levels > SYNTAX_LEVELS_MAX {
            return Err(self.lexer.error("chunk has too many syntax levels"));
        }
        Ok(())
    }

    fn leave_level(&mut self) {
        self.levels -= 1;
    }

    fn too_many(&self, function: usize, limit: usize, what: &str) -> CompileError {
        let line = self.functions[function].proto.line_defined;
        self.lexer.error(&if line == 0 {
            format!("main function has more than {limit} {what}")
        } else {
            format!("function at line {line} has more than {limit} {what}")
        })
    }

    fn declare(&mut self, name: StringId) -> Result<()> {
        let function = self.f();
        if function.active.len() + function.pending.len() + 1 > LOCALS_MAX {
            return Err(self.too_many(self.functions.len() - 1, LOCALS_MAX, "local variables"));
        }
        self.f().pending.push(name);
        Ok(())
    }

    fn declare_hidden(&mut self, names: &[&str], heap: &mut Heap) -> Result<()> {
        for name in names {
            let name = heap.string(name.as_bytes())?;
            self.declare(name)?;
        }
        Ok(())
    }

    fn block_ends(&self) -> bool {
        matches!(
            self.token(),
            Token::Else | Token::Elseif | Token::End | Token::Until | Token::EndOfSource
        )
    }

    /// Statements up to the end of a block that is closed behind them.
    fn push_block(&mut self, is_loop: bool) -> Result<()> {
        self.f().open_block(is_loop);
        self.push(State::CloseBlock);
        self.push_chunk()
    }

    fn push_chunk(&mut self) -> Result<()> {
        self.enter_level()?;
        self.push(State::Chunk { last: false });
        Ok(())
    }

    fn push_expression(&mut self) {
        self.push(State::Expression { limit: 0 });
    }

    fn push_list(&mut self) {
        self.push(State::List { count: 1 });
        self.push_expression();
    }

    fn step(&mut self, state: State, heap: &mut Heap, protos: &mut Arena<Proto>) -> Result<()> {
        match state {
            State::Chunk { last } => {
                if last || self.block_ends() {
                    self.leave_level();
                    return Ok(());
                }
                let last = matches!(self.token(), Token::Return | Token::Break);
                self.push(State::Chunk { last });
                self.push(State::EndStatement);
                self.statement(heap)
            }
            State::EndStatement => {
                self.accept(Token::Byte(b';'), heap)?;
                let function = self.f();
                function.free = function.active.len();
                Ok(())
            }
            State::CloseBlock => {
                self.f().close_block();
                Ok(())
            }
            State::IfCondition { line, exits } => {
                let skip = self.condition();
                self.expect(Token::Then, heap)?;
                self.push(State::IfBranch { line, exits, skip });
                self.push_block(false)
            }
            State::IfBranch {
                line,
                mut exits,
                skip,
            } => {
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
            State::IfEnd { line, exits } => {
                self.f().patch_here(exits);
                self.close(Token::End, Token::If, line, heap)
            }
            State::WhileCondition { line, start } => {
                let exit = self.condition();
                self.f().open_block(true);
                self.expect(Token::Do, heap)?;
                self.push(State::WhileEnd { line, start, exit });
                self.push_block(false)
            }
            State::WhileEnd { line, start, exit } => {
                let jump = self.f().jump();
                self.f().patch(jump, start);
                self.close(Token::End, Token::While, line, heap)?;
                self.f().close_block();
                self.f().patch_here(exit);
                Ok(())
            }
            State::DoEnd { line } => self.close(Token::End, Token::Do, line, heap),
            State::ForStart { line, base } => {
                self.value_to_next_register();
                self.expect(Token::Byte(b','), heap)?;
                self.push(State::ForLimit { line, base });
                self.push_expression();
                Ok(())
            }
            State::ForLimit { line, base } => {
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
            State::ForStep { line, base } => {
                self.value_to_next_register();
                self.for_body(line, base, None, line, heap)
            }
            State::ForList { line, base, names } => {
                let body_line = line;
                self.adjust(3);
                self.f().check_room(3);
                self.for_body(line, base, Some(names), body_line, heap)
            }
            State::ForEnd {
                line,
                base,
                names,
                prepare,
                body_line,
            } => self.for_end(line, base, names, prepare, body_line, heap),
            State::FunctionStatement { variable, line } => {
                let value = self.value;
                self.f().store(variable, value);
                self.f().fix_line(line);
                Ok(())
            }
            State::LocalFunction { register } => {
                let value = self.value;
                self.f().store(Kind::Local(register).into(), value);
                let function = self.f();
                let pc = function.pc();
                if let Some(place) = function.active.last() {
                    function.proto.locals[*place].start = pc;
                }
                Ok(())
            }
            State::LocalValues { names } => {
                self.adjust(names);
                self.f().activate(names);
                Ok(())
            }
            State::RepeatUntil { line, start } => {
                self.close(Token::Until, Token::Repeat, line, heap)?;
                self.push(State::RepeatEnd { start });
                self.push_expression();
                Ok(())
            }
            State::RepeatEnd { start } => {
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
                Ok(())
            }
            State::ReturnValues => {
                self.return_values();
                Ok(())
            }
            State::ExpressionStatement => {
                if matches!(self.value.kind, Kind::Call(_)) {
                    let value = self.value;
                    // A call for its effects: no results.
                    self.f().set_results(&value, 1);
                    return Ok(());
                }
                let first = self.targets.len();
                self.target(first, heap)
            }
            State::Target { first } => self.target(first, heap),
            State::AssignValues { first } => {
                self.assign(first);
                Ok(())
            }
            State::FunctionEnd { line } => {
                self.close(Token::End, Token::Function, line, heap)?;
                let Some(function) = self.functions.pop() else {
                    return Ok(());
                };
                let id = add_proto(function.finish(), heap, protos)?;
                self.value = self.f().closure(id);
                Ok(())
            }
            State::Expression { limit } => self.expression(limit, heap),
            State::Unary { op, limit } => {
                let mut value = self.value;
                self.f().prefix(op, &mut value);
                self.value = value;
                self.push(State::Operators { limit });
                Ok(())
            }
            State::Operators { limit } => self.operators(limit, heap),
            State::Operator { op, lhs, limit } => {
                let rhs = self.value;
                self.value = self.f().postfix(op, lhs, rhs);
                self.push(State::Operators { limit });
                Ok(())
            }
            State::List { count } => {
                if !self.accept(Token::Byte(b','), heap)? {
                    self.count = count;
                    return Ok(());
                }
                self.value_to_next_register();
                self.push(State::List { count: count + 1 });
                self.push_expression();
                Ok(())
            }
            State::Parenthesis { line } => {
                self.close(Token::Byte(b')'), Token::Byte(b'('), line, heap)?;
                let mut value = self.value;
                self.f().read(&mut value);
                self.value = value;
                Ok(())
            }
            State::Suffix => self.suffix(heap),
            State::SuffixIndex { table } => {
                let key = self.value;
                self.value = self.f().index(table, key);
                self.expect(Token::Byte(b']'), heap)?;
                self.push(State::Suffix);
                Ok(())
            }
            State::CallArguments { base, line, closes } => {
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
            State::Table(table) => self.table(table, heap),
            State::TableItem(mut table) => {
                table.last = Some(self.value);
                table.items += 1;
                table.waiting += 1;
                self.table_separator(table, heap)
            }
            State::TableKey(table, free) => {
                let mut key = self.value;
                self.f().settle(&mut key);
                self.expect(Token::Byte(b']'), heap)?;
                self.table_value(table, free, key, heap)
            }
            State::TableValue(table, free, key) => {
                let mut value = self.value;
                let function = self.f();
                let src = function.register_of(&mut value);
                let op = match key.kind {
                    Kind::Field { k, .. } => Op::SetField {
                        table: table.register,
                        src,
                        k,
                    },
                    Kind::Register(key) => Op::SetIndex {
                        table: table.register,
                        key,
                        src,
                    },
                    _ => return Err(self.lexer.error_here("unexpected symbol")),
                };
                function.emit(op);
                function.free = free;
                self.table_separator(table, heap)
            }
        }
    }

    // Statements.

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

    /// Takes the value for a condition; the jumps that are taken when it is false.
    fn condition(&mut self) -> u32 {
        let mut value = self.value;
        if value.kind == Kind::Nil {
            value.kind = Kind::False;
        }
        self.f().go_if_true(&mut value);
        value.when_false
    }

    fn value_to_next_register(&mut self) {
        let mut value = self.value;
        self.f().next_register(&mut value);
        self.value = value;
    }

    /// Makes the values of the list just read as many as the names that take them.
    fn adjust(&mut self, names: usize) {
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

    fn for_statement(&mut self, line: u32, heap: &mut Heap) -> Result<()> {
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

    fn for_end(
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

    fn function_statement(&mut self, line: u32, heap: &mut Heap) -> Result<()> {
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

    fn local_function(&mut self, heap: &mut Heap) -> Result<()> {
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

    fn local_statement(&mut self, heap: &mut Heap) -> Result<()> {
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

    fn return_values(&mut self) {
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

    /// Takes a target of an assignment, then the next one or the values.
    fn target(&mut self, first: usize, heap: &mut Heap) -> Result<()> {
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

    fn assign(&mut self, first: usize) {
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

    /// Parameters; the body goes on by itself.
    fn function_body(&mut self, is_method: bool, line: u32, heap: &mut Heap) -> Result<()> {
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

    // Expressions.

    fn expression(&mut self, limit: u8, heap: &mut Heap) -> Result<()> {
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

    fn operators(&mut self, limit: u8, heap: &mut Heap) -> Result<()> {
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

    /// A name or a parenthesis, and what follows it.
    fn primary(&mut self, heap: &mut Heap) -> Result<()> {
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

    /// The variable of a name: of this function, of one around, or global.
    fn variable(&mut self, name: StringId) -> Result<Exp> {
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

    fn suffix(&mut self, heap: &mut Heap) -> Result<()> {
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

    fn arguments(&mut self, heap: &mut Heap) -> Result<()> {
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

    // Table constructors.

    fn open_table(&mut self, heap: &mut Heap) -> Result<()> {
        let line = self.lexer.line;
        let function = self.f();
        let pc = function.emit(Op::NewTable {
            dst: 0,
            array: 0,
            hash: 0,
        });
        let mut table: Exp = Kind::Open(pc).into();
        function.next_register(&mut table);
        let Kind::Register(register) = table.kind else {
            return Ok(());
        };
        self.expect(Token::Byte(b'{'), heap)?;
        self.push(State::Table(TableState {
            pc,
            register,
            line,
            items: 0,
            fields: 0,
            waiting: 0,
            last: None,
        }));
        Ok(())
    }

    /// The next item or field, or the end.
    fn table(&mut self, mut table: TableState, heap: &mut Heap) -> Result<()> {
        if self.token() == Token::Byte(b'}') {
            return self.close_table(table, heap);
        }
        if let Some(mut last) = table.last.take() {
            let function = self.f();
            function.next_register(&mut last);
            if table.waiting == ITEMS_PER_STORE {
                function.emit(Op::SetList {
                    table: table.register,
                    count: ITEMS_PER_STORE + 1,
                    offset: table.items - u32::from(ITEMS_PER_STORE),
                });
                function.free = usize::from(table.register) + 1;
                table.waiting = 0;
            }
        }
        let free = self.f().free;
        match self.token() {
            Token::Name(name) if self.lexer.peek(heap)? == Token::Byte(b'=') => {
                self.advance(heap)?;
                self.table_value(table, free, Kind::String(name).into(), heap)
            }
            Token::Byte(b'[') => {
                self.advance(heap)?;
                self.push(State::TableKey(table, free));
                self.push_expression();
                Ok(())
            }
            _ => {
                self.push(State::TableItem(table));
                self.push_expression();
                Ok(())
            }
        }
    }

    /// The value of a field whose key is known.
    fn table_value(
        &mut self,
        mut table: TableState,
        free: usize,
        key: Exp,
        heap: &mut Heap,
    ) -> Result<()> {
        table.fields += 1;
        let mut key = self.f().index(table.register, key);
        match key.kind {
            Kind::Index { key: register, .. } => key = Kind::Register(register).into(),
            Kind::Item { item, .. } => {
                key = Kind::Number(f64::from(item)).into();
                self.f().next_register(&mut key);
            }
            _ => {}
        }
        self.expect(Token::Byte(b'='), heap)?;
        self.push(State::TableValue(table, free, key));
        self.push_expression();
        Ok(())
    }

    fn table_separator(&mut self, table: TableState, heap: &mut Heap) -> Result<()> {
        let more = self.accept(Token::Byte(b','), heap)? || self.accept(Token::Byte(b';'), heap)?;
        if more {
            self.push(State::Table(table));
            return Ok(());
        }
        self.close_table(table, heap)
    }

    fn close_table(&mut self, mut table: TableState, heap: &mut Heap) -> Result<()> {
        self.close(Token::Byte(b'}'), Token::Byte(b'{'), table.line, heap)?;
        let function = self.f();
        if table.waiting > 0 {
            let offset = table.items - u32::from(table.waiting);
            let mut count = table.waiting + 1;
            if let Some(mut last) = table.last.take() {
                if last.is_open() {
                    function.set_open(&last);
                    count = OPEN;
                    table.items -= 1;
                } else {
                    function.next_register(&mut last);
                }
            }
            function.emit(Op::SetList {
                table: table.register,
                count,
                offset,
            });
            function.free = usize::from(table.register) + 1;
        }
        let dst = table.register;
        function.proto.code[table.pc as usize] = Op::NewTable {
            dst,
            array: room::encode(table.items),
            hash: room::encode(table.fields),
        };
        self.value = Kind::Register(table.register).into();
        Ok(())
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

fn add_proto(proto: Proto, heap: &mut Heap, protos: &mut Arena<Proto>) -> Result<ProtoId> {
    heap.charge(proto.bytes())?;
    Ok(ProtoId(protos.insert(proto, heap.mark)))
}
