//! Table constructors.

use super::function::{Exp, Kind};
use super::lexer::Token;
use super::{Compiler, Result, State, room};

use crate::heap::Heap;
use crate::op::{OPEN, Op};

/// Items that are stored at once.
const ITEMS_PER_STORE: u8 = 50;

/// A table constructor under way.
#[derive(Clone, Copy)]
pub(super) struct TableState {
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

impl Compiler {
    pub(super) fn open_table(&mut self, heap: &mut Heap) -> Result<()> {
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
    pub(super) fn table(&mut self, mut table: TableState, heap: &mut Heap) -> Result<()> {
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

    pub(super) fn table_item(&mut self, mut table: TableState, heap: &mut Heap) -> Result<()> {
        table.last = Some(self.value);
        table.items += 1;
        table.waiting += 1;
        self.table_separator(table, heap)
    }

    pub(super) fn table_key(
        &mut self,
        table: TableState,
        free: usize,
        heap: &mut Heap,
    ) -> Result<()> {
        let mut key = self.value;
        self.f().settle(&mut key);
        self.expect(Token::Byte(b']'), heap)?;
        self.table_value(table, free, key, heap)
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

    /// The field whose key and value are known.
    pub(super) fn table_field(
        &mut self,
        table: TableState,
        free: usize,
        key: Exp,
        heap: &mut Heap,
    ) -> Result<()> {
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
