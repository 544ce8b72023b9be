//! From source text to a [`Proto`], in one pass and in slices.
//!
//! The parser is a machine with a stack of its own: each [`State`] is what remains to be done of one construct, the
//! expression read last stands in `value`. So no nesting of a source costs native stack, and a long source can be left
//! after any step. The grammar and its error texts are those of the Lua 5.1 manual and interpreter.

mod assignments;
mod expressions;
mod function;
mod functions;
pub(crate) mod lexer;
mod loops;
mod reading;
pub(crate) mod room;
mod scope;
mod statements;
mod tables;

use function::{Binary, Excess, Exp, FunctionState, Kind, Unary};
use lexer::{CompileError, Lexer, Token};
use tables::TableState;

use crate::arena::Arena;
use crate::heap::Heap;
use crate::proto::Proto;
use crate::value::{ProtoId, StringId};

/// What a step costs, in units of work.
pub(crate) const UNITS_PER_STEP: usize = 2;

type Result<T> = std::result::Result<T, CompileError>;

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

    fn step(&mut self, state: State, heap: &mut Heap, protos: &mut Arena<Proto>) -> Result<()> {
        match state {
            State::Chunk { last } => return self.chunk(last, heap),
            State::EndStatement => return self.end_statement(heap),
            State::CloseBlock => self.f().close_block(),
            State::IfCondition { line, exits } => return self.if_condition(line, exits, heap),
            State::IfBranch { line, exits, skip } => {
                return self.if_branch(line, exits, skip, heap);
            }
            State::IfEnd { line, exits } => return self.if_end(line, exits, heap),
            State::WhileCondition { line, start } => {
                return self.while_condition(line, start, heap);
            }
            State::WhileEnd { line, start, exit } => {
                return self.while_end(line, start, exit, heap);
            }
            State::DoEnd { line } => return self.close(Token::End, Token::Do, line, heap),
            State::ForStart { line, base } => return self.for_start(line, base, heap),
            State::ForLimit { line, base } => return self.for_limit(line, base, heap),
            State::ForStep { line, base } => return self.for_step(line, base, heap),
            State::ForList { line, base, names } => {
                return self.for_list(line, base, names, heap);
            }
            State::ForEnd {
                line,
                base,
                names,
                prepare,
                body_line,
            } => return self.for_end(line, base, names, prepare, body_line, heap),
            State::FunctionStatement { variable, line } => self.function_stored(variable, line),
            State::LocalFunction { register } => self.local_function_stored(register),
            State::LocalValues { names } => self.local_values(names),
            State::RepeatUntil { line, start } => return self.repeat_until(line, start, heap),
            State::RepeatEnd { start } => self.repeat_end(start),
            State::ReturnValues => self.return_values(),
            State::ExpressionStatement => return self.expression_statement(heap),
            State::Target { first } => return self.target(first, heap),
            State::AssignValues { first } => self.assign(first),
            State::FunctionEnd { line } => return self.function_end(line, heap, protos),
            State::Expression { limit } => return self.expression(limit, heap),
            State::Unary { op, limit } => self.unary(op, limit),
            State::Operators { limit } => return self.operators(limit, heap),
            State::Operator { op, lhs, limit } => self.operator(op, lhs, limit),
            State::List { count } => return self.list(count, heap),
            State::Parenthesis { line } => return self.parenthesis(line, heap),
            State::Suffix => return self.suffix(heap),
            State::SuffixIndex { table } => return self.suffix_index(table, heap),
            State::CallArguments { base, line, closes } => {
                return self.call_arguments(base, line, closes, heap);
            }
            State::Table(table) => return self.table(table, heap),
            State::TableItem(table) => return self.table_item(table, heap),
            State::TableKey(table, free) => return self.table_key(table, free, heap),
            State::TableValue(table, free, key) => {
                return self.table_field(table, free, key, heap);
            }
        }
        Ok(())
    }
}

fn add_proto(proto: Proto, heap: &mut Heap, protos: &mut Arena<Proto>) -> Result<ProtoId> {
    heap.charge(proto.bytes())?;
    Ok(ProtoId(protos.insert(proto, heap.mark)))
}
