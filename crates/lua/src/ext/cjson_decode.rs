//! `cjson.decode`: a tokenizer, and a parser whose open arrays and objects stand on a stack.

use std::ops::Range;

use super::cjson::{NULL, Setting};
use crate::limits::SLICE;
use crate::number::scan_number;
use crate::stdlib::grow;
use crate::value::{StringId, TableId, Value};
use crate::vm::error::Error;
use crate::vm::task::{Call, NativeResult, Task};

type Result<T> = std::result::Result<T, Error>;

/// Bytes of a string that are read at once.
const STRING_BYTES_AT_ONCE: usize = 16 << 10;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Colon,
    Comma,
    End,
    Null,
    Boolean(bool),
    Number(f64),
    /// A string without escapes: where its bytes stand.
    Plain(Range<usize>),
    /// A string with escapes, resolved.
    Text(Vec<u8>),
    /// The beginning of a long string, which is read in pieces.
    Begun,
    /// A string that has been made.
    Made(StringId),
    Invalid(&'static str),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Null => "T_NULL",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Number(_) => "T_NUMBER",
            Self::Plain(_) | Self::Text(_) | Self::Begun | Self::Made(_) => "T_STRING",
            Self::Invalid(text) => text,
        }
    }
}

/// Reads the token at or after a place: it, where it stands (for an error), and what follows.
fn token(text: &[u8], mut at: usize, takes_invalid: bool) -> (Token, usize, usize) {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    let one = |token| (token, at, at + 1);
    let rest = &text[at..];
    match rest.first() {
        // A NUL ends the text, as it ends a C string.
        None | Some(0) => (Token::End, at, at),
        Some(b'{') => one(Token::ObjectBegin),
        Some(b'}') => one(Token::ObjectEnd),
        Some(b'[') => one(Token::ArrayBegin),
        Some(b']') => one(Token::ArrayEnd),
        Some(b':') => one(Token::Colon),
        Some(b',') => one(Token::Comma),
        Some(b'"') => string(text, at + 1),
        Some(b'-' | b'0'..=b'9') => {
            if !takes_invalid && is_invalid_number(rest) {
                return (Token::Invalid("invalid number"), at, at);
            }
            number(rest, at)
        }
        Some(_) if rest.starts_with(b"true") => (Token::Boolean(true), at, at + 4),
        Some(_) if rest.starts_with(b"false") => (Token::Boolean(false), at, at + 5),
        Some(_) if rest.starts_with(b"null") => (Token::Null, at, at + 4),
        Some(_) if takes_invalid && is_invalid_number(rest) => number(rest, at),
        Some(_) => (Token::Invalid("invalid token"), at, at),
    }
}

fn number(rest: &[u8], at: usize) -> (Token, usize, usize) {
    match scan_number(rest) {
        Some((number, used)) => (Token::Number(number), at, at + used),
        None => (Token::Invalid("invalid number"), at, at),
    }
}

/// Whether `strtod` would read what JSON does not have: signs, hexadecimal digits, leading zeros, infinity, NaN.
fn is_invalid_number(text: &[u8]) -> bool {
    if text.first() == Some(&b'+') {
        return true;
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    match text.first() {
        Some(b'0') => matches!(text.get(1), Some(b'x' | b'X' | b'0'..=b'9')),
        Some(first) if *first <= b'9' => false,
        _ => text.get(..3).is_some_and(|word| {
            word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
        }),
    }
}

/// Whether a byte of a string does not stand for itself.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0)
}

/// A string whose opening quote has been read.
fn string(text: &[u8], at: usize) -> (Token, usize, usize) {
    let near = &text[at..text.len().min(at + STRING_BYTES_AT_ONCE)];
    if let Some(length) = near.iter().position(|byte| is_special(*byte))
        && near[length] == b'"'
    {
        return (Token::Plain(at..at + length), at - 1, at + length + 1);
    }
    let mut out = Vec::new();
    match string_piece(text, at, &mut out) {
        (Part::End, behind) => (Token::Text(out), at - 1, behind),
        // It is read anew, piece by piece.
        (Part::More, _) => (Token::Begun, at - 1, at),
        (Part::Invalid(why), place) => (Token::Invalid(why), place, place),
    }
}

/// How a piece of a string ends.
enum Part {
    /// With the closing quote.
    End,
    More,
    Invalid(&'static str),
}

/// Reads a string, or a piece of it, from a place inside of it on; how it ends and what follows.
fn string_piece(text: &[u8], mut at: usize, out: &mut Vec<u8>) -> (Part, usize) {
    let end = at.saturating_add(STRING_BYTES_AT_ONCE);
    loop {
        if at >= end {
            return (Part::More, at);
        }
        let rest = &text[at..text.len().min(end)];
        let plain = rest
            .iter()
            .position(|byte| is_special(*byte))
            .unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        at += plain;
        if plain == rest.len() && at < text.len() {
            return (Part::More, at);
        }
        match text.get(at) {
            None | Some(0) => return (Part::Invalid("unexpected end of string"), at),
            Some(b'"') => return (Part::End, at + 1),
            Some(_) => {}
        }
        out.push(match text.get(at + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => match code_point(text, at) {
                Some((letter, length)) => {
                    let mut buffer = [0; 4];
                    out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
                    at += length;
                    continue;
                }
                None => return (Part::Invalid("invalid unicode escape code"), at),
            },
            _ => return (Part::Invalid("invalid escape code"), at),
        });
        at += 2;
    }
}

fn four_digits(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, digit| {
        Some(value * 16 + char::from(*digit).to_digit(16)?)
    })
}

/// The letter of `\uXXXX`, or of two that are a pair, and how many bytes they take.
fn code_point(text: &[u8], at: usize) -> Option<(char, usize)> {
    let first = four_digits(text, at + 2)?;
    if first & 0xF800 != 0xD800 {
        return char::from_u32(first).map(|letter| (letter, 6));
    }
    if first & 0x400 != 0 || text.get(at + 6..at + 8) != Some(b"\\u") {
        return None;
    }
    let second = four_digits(text, at + 8)?;
    if second & 0xFC00 != 0xDC00 {
        return None;
    }
    let code = 0x10000 + ((first & 0x3FF) << 10 | (second & 0x3FF));
    char::from_u32(code).map(|letter| (letter, 12))
}

/// An array or object being filled.
struct Level {
    table: TableId,
    /// Items so far, if it is an array.
    items: Option<usize>,
    /// The key that waits for its value.
    key: Value,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Value,
    /// The first item, or the end.
    FirstItem,
    /// The first key, or the end.
    FirstKey,
    Key,
    Colon,
    /// A comma, or the end of what is open; at the outermost the end of the text.
    Behind,
}

struct Decode {
    text: StringId,
    at: usize,
    /// A long string that is being read: where it begins, and its bytes so far.
    begun: Option<(usize, Vec<u8>)>,
    /// A token that is taken again, where it stands and what follows.
    again: Option<(Token, usize, usize)>,
    stack: Vec<Level>,
    stage: Stage,
    result: Value,
    depth_max: f64,
    takes_invalid: bool,
}

impl Decode {
    fn expected(call: &mut Call<'_>, what: &str, token: &Token, place: usize) -> Error {
        let found = token.name();
        let number = place + 1;
        call.error(&format!(
            "Expected {what} but found {found} at character {number}"
        ))
    }

    fn run(&mut self, call: &mut Call<'_>) -> Result<bool> {
        for _ in 0..SLICE {
            let (mut token, place, behind) = if let Some(again) = self.again.take() {
                again
            } else if let Some((place, out)) = self.begun.take() {
                match self.go_on(place, out, call)? {
                    Some(token) => token,
                    None => return Ok(false),
                }
            } else {
                token(call.bytes(self.text), self.at, self.takes_invalid)
            };
            if token == Token::Begun {
                self.begun = Some((place, Vec::new()));
                self.at = behind;
                continue;
            }
            call.charge(1 + (behind - self.at.min(behind)) / 4);
            let done = match self.take(call, &mut token, place, behind) {
                Err(Error::Memory) => {
                    self.again = Some((token, place, behind));
                    return Err(Error::Memory);
                }
                taken => taken?,
            };
            self.at = behind;
            if done {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a piece of a long string; the token if that was the last one.
    fn go_on(
        &mut self,
        place: usize,
        mut out: Vec<u8>,
        call: &mut Call<'_>,
    ) -> Result<Option<(Token, usize, usize)>> {
        if let Err(error) = grow(&mut out, STRING_BYTES_AT_ONCE, call) {
            self.begun = Some((place, out));
            return Err(error);
        }
        let (part, at) = string_piece(call.bytes(self.text), self.at, &mut out);
        call.charge((at - self.at.min(at)) / 4);
        match part {
            Part::End => Ok(Some((Token::Text(out), place, at))),
            Part::Invalid(why) => Ok(Some((Token::Invalid(why), at, at))),
            Part::More => {
                self.at = at;
                self.begun = Some((place, out));
                Ok(None)
            }
        }
    }

    /// The string of a token, which is made once; none if it is another one.
    fn text(&self, token: &mut Token, call: &mut Call<'_>) -> Result<Option<StringId>> {
        let made = match token {
            Token::Made(made) => *made,
            Token::Plain(range) => {
                let heap = &mut call.state.heap;
                heap.part_of_string(self.text, range.clone())?
            }
            Token::Text(text) => match call.string_of(text)? {
                Value::String(made) => made,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        *token = Token::Made(made);
        Ok(Some(made))
    }

    /// Takes a token. Nothing has changed if it fails for lack of memory.
    fn take(
        &mut self,
        call: &mut Call<'_>,
        token: &mut Token,
        place: usize,
        behind: usize,
    ) -> Result<bool> {
        match self.stage {
            Stage::FirstItem if *token == Token::ArrayEnd => self.close(call)?,
            Stage::FirstKey if *token == Token::ObjectEnd => self.close(call)?,
            Stage::Value | Stage::FirstItem => self.value(call, token, place, behind)?,
            Stage::FirstKey | Stage::Key => {
                let Some(key) = self.text(token, call)? else {
                    return Err(Self::expected(call, "object key string", token, place));
                };
                if let Some(level) = self.stack.last_mut() {
                    level.key = Value::String(key);
                }
                self.stage = Stage::Colon;
            }
            Stage::Colon => {
                if *token != Token::Colon {
                    return Err(Self::expected(call, "colon", token, place));
                }
                self.stage = Stage::Value;
            }
            Stage::Behind => {
                let Some(level) = self.stack.last() else {
                    if *token != Token::End {
                        return Err(Self::expected(call, "the end", token, place));
                    }
                    return Ok(true);
                };
                let (end, what, next) = if level.items.is_some() {
                    (Token::ArrayEnd, "comma or array end", Stage::Value)
                } else {
                    (Token::ObjectEnd, "comma or object end", Stage::Key)
                };
                if *token == end {
                    self.close(call)?;
                } else if *token == Token::Comma {
                    self.stage = next;
                } else {
                    return Err(Self::expected(call, what, token, place));
                }
            }
        }
        Ok(false)
    }

    fn value(
        &mut self,
        call: &mut Call<'_>,
        token: &mut Token,
        place: usize,
        behind: usize,
    ) -> Result<()> {
        if let Some(text) = self.text(token, call)? {
            return self.put(call, Value::String(text));
        }
        let value = match token {
            Token::Number(number) => Value::Number(*number),
            Token::Boolean(value) => Value::Boolean(*value),
            Token::Null => NULL,
            Token::ObjectBegin | Token::ArrayBegin => {
                let depth = self.stack.len() + 1;
                if depth as f64 > self.depth_max {
                    let text = format!(
                        "Found too many nested data structures ({depth}) at character {behind}"
                    );
                    return Err(call.error(&text));
                }
                let table = call.state.heap.table(0, 0)?;
                let is_array = *token == Token::ArrayBegin;
                self.stack.push(Level {
                    table,
                    items: is_array.then_some(0),
                    key: Value::Nil,
                });
                self.stage = if is_array {
                    Stage::FirstItem
                } else {
                    Stage::FirstKey
                };
                return Ok(());
            }
            _ => return Err(Self::expected(call, "value", token, place)),
        };
        self.put(call, value)
    }

    fn close(&mut self, call: &mut Call<'_>) -> Result<()> {
        if let Some(level) = self.stack.pop() {
            let value = Value::Table(level.table);
            if let Err(error) = self.put(call, value) {
                self.stack.push(level);
                return Err(error);
            }
        }
        Ok(())
    }

    fn put(&mut self, call: &mut Call<'_>, value: Value) -> Result<()> {
        match self.stack.last_mut() {
            None => self.result = value,
            Some(level) => {
                let key = match level.items {
                    Some(items) => Value::Number((items + 1) as f64),
                    None => level.key,
                };
                call.state.heap.raw_set(level.table, key, value)?;
                if let Some(items) = &mut level.items {
                    *items += 1;
                }
            }
        }
        self.stage = Stage::Behind;
        Ok(())
    }
}

impl Task for Decode {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        if self.run(call)? {
            call.ret(self.result)
        } else {
            Ok(NativeResult::Again)
        }
    }

    fn held(&self) -> usize {
        let begun = self.begun.as_ref();
        self.stack.capacity() * size_of::<Level>() + begun.map_or(0, |(_, out)| out.capacity())
    }

    fn trace(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.result);
        if let Some((Token::Made(made), ..)) = self.again {
            visit(Value::String(made));
        }
        for level in &self.stack {
            visit(Value::Table(level.table));
            visit(level.key);
        }
    }
}

pub(super) fn decode(call: &mut Call<'_>) -> Result<NativeResult> {
    if call.count != 1 {
        return Err(call.argument_error(0, "expected 1 argument"));
    }
    let text = call.check_string(0)?;
    let bytes = call.bytes(text);
    if bytes.len() >= 2 && (bytes[0] == 0 || bytes[1] == 0) {
        return Err(call.error("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut decode = Decode {
        text,
        at: 0,
        begun: None,
        again: None,
        stack: Vec::new(),
        stage: Stage::Value,
        result: Value::Nil,
        depth_max: call.setting(Setting::DecodeDepth),
        takes_invalid: call.setting(Setting::DecodeInvalid) == 1.0,
    };
    match decode.run(call) {
        Ok(true) => call.ret(decode.result),
        Ok(false) | Err(Error::Memory) => Ok(NativeResult::Task(Box::new(decode))),
        Err(error) => Err(error),
    }
}
