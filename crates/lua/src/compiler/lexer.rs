//! Tokens from source text.

use std::collections::HashMap;

use memchr::{memchr2, memchr3};

use crate::heap::{Heap, OutOfMemory};
use crate::limits::{CHUNK_NAME_BYTES_MAX, SHORT_STRING_BYTES_MAX};
use crate::number::{parse_number, until_nul};
use crate::value::StringId;

/// Why a source cannot be compiled.
#[derive(Debug)]
pub(crate) enum CompileError {
    /// The text of the error, with the chunk's name and the line.
    Syntax(Vec<u8>),
    Memory,
}

impl From<OutOfMemory> for CompileError {
    fn from(_: OutOfMemory) -> Self {
        Self::Memory
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token {
    /// An operator or sign of one byte, or a byte that means nothing.
    Byte(u8),
    And,
    Break,
    Do,
    Else,
    Elseif,
    End,
    False,
    For,
    Function,
    If,
    In,
    Local,
    Nil,
    Not,
    Or,
    Repeat,
    Return,
    Then,
    True,
    Until,
    While,
    Concat,
    Dots,
    Equal,
    GreaterEqual,
    LessEqual,
    NotEqual,
    Number(f64),
    Name(StringId),
    String(StringId),
    EndOfSource,
}

static KEYWORDS: &[(&str, Token)] = &[
    ("and", Token::And),
    ("break", Token::Break),
    ("do", Token::Do),
    ("else", Token::Else),
    ("elseif", Token::Elseif),
    ("end", Token::End),
    ("false", Token::False),
    ("for", Token::For),
    ("function", Token::Function),
    ("if", Token::If),
    ("in", Token::In),
    ("local", Token::Local),
    ("nil", Token::Nil),
    ("not", Token::Not),
    ("or", Token::Or),
    ("repeat", Token::Repeat),
    ("return", Token::Return),
    ("then", Token::Then),
    ("true", Token::True),
    ("until", Token::Until),
    ("while", Token::While),
];

impl Token {
    /// How an error text shows the token's kind, in quotes.
    pub(crate) fn quoted(self) -> Vec<u8> {
        let text = match self {
            Self::Byte(byte) if byte.is_ascii_control() => {
                return format!("'char({byte})'").into_bytes();
            }
            Self::Byte(byte) => return vec![b'\'', byte, b'\''],
            Self::Concat => "..",
            Self::Dots => "...",
            Self::Equal => "==",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::NotEqual => "~=",
            Self::Number(_) => "<number>",
            Self::Name(_) => "<name>",
            Self::String(_) => "<string>",
            Self::EndOfSource => "<eof>",
            keyword => KEYWORDS
                .iter()
                .find(|(_, token)| *token == keyword)
                .map_or("", |(text, _)| text),
        };
        format!("'{text}'").into_bytes()
    }
}

/// How error texts name a chunk: `=name` and `@name` as they are, cut; else the first line of the source in brackets.
pub(crate) fn chunk_name(source: &[u8]) -> Vec<u8> {
    let source = until_nul(source);
    match source.first() {
        Some(b'=') => source[1..]
            .iter()
            .take(CHUNK_NAME_BYTES_MAX - 1)
            .copied()
            .collect(),
        Some(b'@') => {
            let name = &source[1..];
            // Room for the name with its end and three dots.
            let room = CHUNK_NAME_BYTES_MAX - 8;
            if name.len() > room {
                [b"...", &name[name.len() - room..]].concat()
            } else {
                name.to_vec()
            }
        }
        _ => {
            let line = memchr2(b'\n', b'\r', source).unwrap_or(source.len());
            let room = CHUNK_NAME_BYTES_MAX - 17;
            let shown = line.min(room);
            let dots: &[u8] = if shown < source.len() { b"..." } else { b"" };
            [b"[string \"", &source[..shown], dots, b"\"]"].concat()
        }
    }
}

pub(crate) struct Lexer {
    source: Vec<u8>,
    at: usize,
    /// The line being read.
    pub(crate) line: u32,
    /// The line of the token before the current one.
    pub(crate) last_line: u32,
    pub(crate) token: Token,
    ahead: Option<Token>,
    /// The text of the name, string or number read last, as error texts show it.
    text: Vec<u8>,
    /// The chunk's name as it was given.
    pub(crate) name: StringId,
    shown_name: Vec<u8>,
    long_names: HashMap<Box<[u8]>, StringId>,
}

/// So many blanks in a row, and there may be many more.
const BLANKS: usize = 64;

impl Lexer {
    /// A lexer before its first token.
    pub(crate) fn new(source: Vec<u8>, name: StringId, heap: &Heap) -> Self {
        Self {
            source,
            at: 0,
            line: 1,
            last_line: 1,
            token: Token::EndOfSource,
            ahead: None,
            text: Vec::new(),
            name,
            shown_name: chunk_name(heap.bytes(name)),
            long_names: HashMap::new(),
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.source.capacity() + self.text.capacity()
    }

    /// Goes on to the next token.
    pub(crate) fn advance(&mut self, heap: &mut Heap) -> Result<(), CompileError> {
        self.last_line = self.line;
        self.token = match self.ahead.take() {
            Some(token) => token,
            None => self.read(heap)?,
        };
        Ok(())
    }

    /// The token after the current one.
    pub(crate) fn peek(&mut self, heap: &mut Heap) -> Result<Token, CompileError> {
        let token = self.read(heap)?;
        self.ahead = Some(token);
        Ok(token)
    }

    /// An error text with place but without the token.
    pub(crate) fn error(&self, message: &str) -> CompileError {
        let mut text = self.shown_name.clone();
        text.extend_from_slice(format!(":{}: {message}", self.line).as_bytes());
        CompileError::Syntax(text)
    }

    /// An error at the current token.
    pub(crate) fn error_here(&self, message: &str) -> CompileError {
        self.error_near(message, self.token)
    }

    fn error_near(&self, message: &str, token: Token) -> CompileError {
        let CompileError::Syntax(mut text) = self.error(message) else {
            return CompileError::Memory;
        };
        if token == Token::Byte(0) {
            // Where Lua 5.1 takes it for no token at all.
            return CompileError::Syntax(text);
        }
        text.extend_from_slice(b" near ");
        match token {
            Token::Name(_) | Token::String(_) | Token::Number(_) => {
                text.push(b'\'');
                text.extend_from_slice(until_nul(&self.text));
                text.push(b'\'');
            }
            other => text.extend_from_slice(&other.quoted()),
        }
        CompileError::Syntax(text)
    }

    /// An error in the text of a token that is being read.
    fn error_in_text(&self, message: &str) -> CompileError {
        self.error_near(message, Token::Number(0.0))
    }

    fn byte(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn peek_byte(&self, distance: usize) -> Option<u8> {
        self.source.get(self.at + distance).copied()
    }

    /// Passes one line break, of one byte or of two different ones.
    fn break_line(&mut self) {
        let first = self.byte();
        self.at += 1;
        if let Some(second) = self.byte()
            && matches!(second, b'\n' | b'\r')
            && Some(second) != first
        {
            self.at += 1;
        }
        self.line += 1;
    }

    fn read(&mut self, heap: &mut Heap) -> Result<Token, CompileError> {
        self.text.clear();
        let mut blanks = 0;
        loop {
            let Some(byte) = self.byte() else {
                return Ok(Token::EndOfSource);
            };
            let next = self.peek_byte(1);
            let (token, length) = match (byte, next) {
                (b'\n' | b'\r' | b' ' | b'\t' | 0x0b | 0x0c, _) => {
                    if matches!(byte, b'\n' | b'\r') {
                        self.break_line();
                    } else {
                        self.at += 1;
                    }
                    blanks += 1;
                    if blanks >= BLANKS {
                        self.skip_blanks();
                    }
                    continue;
                }
                (b'-', Some(b'-')) => {
                    self.at += 2;
                    self.comment()?;
                    continue;
                }
                (b'[', Some(b'[' | b'=')) => match self.long_bracket() {
                    Some(level) => {
                        self.long_text(level, "string")?;
                        let text = &self.text[level + 2..self.text.len() - level - 2];
                        return Ok(Token::String(heap.string(text)?));
                    }
                    None if next == Some(b'=') => {
                        let run = self.source[self.at + 1..]
                            .iter()
                            .take_while(|byte| **byte == b'=');
                        let length = 1 + run.count();
                        self.text
                            .extend_from_slice(&self.source[self.at..self.at + length]);
                        return Err(self.error_in_text("invalid long string delimiter"));
                    }
                    None => (Token::Byte(byte), 1),
                },
                (b'=', Some(b'=')) => (Token::Equal, 2),
                (b'<', Some(b'=')) => (Token::LessEqual, 2),
                (b'>', Some(b'=')) => (Token::GreaterEqual, 2),
                (b'~', Some(b'=')) => (Token::NotEqual, 2),
                (b'"' | b'\'', _) => return self.quoted(byte, heap),
                (b'.', Some(b'.')) if self.peek_byte(2) == Some(b'.') => (Token::Dots, 3),
                (b'.', Some(b'.')) => (Token::Concat, 2),
                (b'0'..=b'9', _) | (b'.', Some(b'0'..=b'9')) => return self.numeral(),
                (b'A'..=b'Z' | b'a'..=b'z' | b'_', _) => return self.name_or_keyword(heap),
                _ => (Token::Byte(byte), 1),
            };
            self.at += length;
            return Ok(token);
        }
    }

    /// Passes many blanks and line feeds at once.
    #[cold]
    fn skip_blanks(&mut self) {
        while let Some(blanks) = self.source[self.at..].first_chunk::<BLANKS>() {
            let is_blank = |byte: &u8| (*byte == b' ') | (*byte == b'\t') | (*byte == b'\n');
            let others = blanks.iter().filter(|byte| !is_blank(byte)).count();
            // A line feed and a carriage return are one line break.
            let is_cut = blanks.ends_with(b"\n") && self.peek_byte(BLANKS) == Some(b'\r');
            if others > 0 || is_cut {
                return;
            }
            let lines = blanks.iter().filter(|byte| **byte == b'\n').count();
            self.line += lines as u32;
            self.at += BLANKS;
        }
    }

    fn name_or_keyword(&mut self, heap: &mut Heap) -> Result<Token, CompileError> {
        let rest = &self.source[self.at..];
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let word = &rest[..length];
        self.at += length;
        if length <= 8
            && let Some((_, token)) = KEYWORDS.iter().find(|(text, _)| text.as_bytes() == word)
        {
            return Ok(*token);
        }
        self.text.extend_from_slice(word);
        if length <= SHORT_STRING_BYTES_MAX {
            return Ok(Token::Name(heap.string(word)?));
        }
        // Long strings are not interned; names are compared by place, so each must be one string here.
        if let Some(name) = self.long_names.get(word) {
            return Ok(Token::Name(*name));
        }
        let name = heap.string(word)?;
        self.long_names.insert(word.into(), name);
        Ok(Token::Name(name))
    }

    fn numeral(&mut self) -> Result<Token, CompileError> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9' | b'.')) {
            self.at += 1;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
        }
        while self
            .byte()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.at += 1;
        }
        self.text.extend_from_slice(&self.source[start..self.at]);
        match parse_number(&self.text) {
            Some(number) => Ok(Token::Number(number)),
            None => Err(self.error_in_text("malformed number")),
        }
    }

    /// The level of a long bracket that opens here: how many `=` stand between its two brackets.
    fn long_bracket(&self) -> Option<usize> {
        let rest = self.source.get(self.at + 1..)?;
        let level = rest.iter().take_while(|byte| **byte == b'=').count();
        (rest.get(level) == Some(&b'[')).then_some(level)
    }

    fn comment(&mut self) -> Result<(), CompileError> {
        if self.byte() == Some(b'[')
            && let Some(level) = self.long_bracket()
        {
            self.long_text(level, "comment")?;
            self.text.clear();
            return Ok(());
        }
        let rest = &self.source[self.at..];
        self.at += memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        Ok(())
    }

    /// Reads a long string or comment whole, brackets included; a line break right behind the opening one is dropped.
    fn long_text(&mut self, level: usize, what: &str) -> Result<(), CompileError> {
        let keep = what == "string";
        if keep {
            self.text
                .extend_from_slice(&self.source[self.at..self.at + level + 2]);
        }
        self.at += level + 2;
        if matches!(self.byte(), Some(b'\n' | b'\r')) {
            self.break_line();
        }
        loop {
            let rest = &self.source[self.at..];
            let stop = memchr3(b']', b'[', b'\r', rest);
            let plain = &rest[..stop.unwrap_or(rest.len())];
            // Line feeds are as they are to be, so that they are only counted.
            self.line += memchr::memchr_iter(b'\n', plain).count() as u32;
            self.at += plain.len();
            if stop.is_none() {
                return Err(self.error_near(&format!("unfinished long {what}"), Token::EndOfSource));
            }
            if keep {
                self.text.extend_from_slice(plain);
            }
            match self.byte() {
                // The second half of a line break.
                Some(b'\r') if plain.ends_with(b"\n") => self.at += 1,
                Some(b'\r') => {
                    self.break_line();
                    if keep {
                        self.text.push(b'\n');
                    }
                }
                Some(b']') => {
                    let run = self.source[self.at + 1..]
                        .iter()
                        .take_while(|byte| **byte == b'=');
                    let equals = run.count();
                    let closes = equals == level && self.peek_byte(1 + equals) == Some(b']');
                    let length = 1 + equals + usize::from(closes);
                    if keep {
                        self.text
                            .extend_from_slice(&self.source[self.at..self.at + length]);
                    }
                    self.at += length;
                    if closes {
                        return Ok(());
                    }
                }
                _ => {
                    // An opening bracket of the same level zero inside: 5.1 refuses it, since 5.0 would have nested.
                    if level == 0 && self.peek_byte(1) == Some(b'[') {
                        return Err(
                            self.error_near("nesting of [[...]] is deprecated", Token::Byte(b'['))
                        );
                    }
                    if keep {
                        self.text.push(b'[');
                    }
                    self.at += 1;
                }
            }
        }
    }

    fn quoted(&mut self, quote: u8, heap: &mut Heap) -> Result<Token, CompileError> {
        self.text.push(quote);
        self.at += 1;
        loop {
            let rest = &self.source[self.at..];
            let stop = memchr3(quote, b'\\', b'\n', rest).unwrap_or(rest.len());
            let stop = memchr::memchr(b'\r', &rest[..stop]).unwrap_or(stop);
            self.text.extend_from_slice(&rest[..stop]);
            self.at += stop;
            match self.byte() {
                None => return Err(self.error_near("unfinished string", Token::EndOfSource)),
                Some(b'\n' | b'\r') => return Err(self.error_in_text("unfinished string")),
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => {
                    self.at += 1;
                    self.text.push(quote);
                    let text = &self.text[1..self.text.len() - 1];
                    return Ok(Token::String(heap.string(text)?));
                }
            }
        }
    }

    /// What a backslash stands for; at the end of the source nothing, the string is unfinished then.
    fn escape(&mut self) -> Result<(), CompileError> {
        let Some(byte) = self.byte() else {
            return Ok(());
        };
        let meant = match byte {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'\n' | b'\r' => {
                self.break_line();
                self.text.push(b'\n');
                return Ok(());
            }
            b'0'..=b'9' => {
                let rest = &self.source[self.at..];
                let digits = rest
                    .iter()
                    .take(3)
                    .take_while(|byte| byte.is_ascii_digit())
                    .count();
                let code = rest[..digits]
                    .iter()
                    .fold(0_u32, |code, digit| code * 10 + u32::from(digit - b'0'));
                self.at += digits;
                let Ok(code) = u8::try_from(code) else {
                    return Err(self.error_in_text("escape sequence too large"));
                };
                self.text.push(code);
                return Ok(());
            }
            other => other,
        };
        self.text.push(meant);
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> Result<Vec<Token>, String> {
        let mut heap = Heap::new(1 << 20, 0);
        let name = heap.string(b"=t").unwrap();
        let mut lexer = Lexer::new(source.as_bytes().to_vec(), name, &heap);
        let mut found = Vec::new();
        loop {
            match lexer.advance(&mut heap) {
                Ok(()) if lexer.token == Token::EndOfSource => return Ok(found),
                Ok(()) => found.push(lexer.token),
                Err(CompileError::Syntax(text)) => return Err(String::from_utf8(text).unwrap()),
                Err(CompileError::Memory) => return Err("memory".into()),
            }
        }
    }

    #[test]
    fn operators_are_read_longest_first() {
        assert_eq!(
            tokens("... .. . == = ~= --x\n<=").unwrap(),
            [
                Token::Dots,
                Token::Concat,
                Token::Byte(b'.'),
                Token::Equal,
                Token::Byte(b'='),
                Token::NotEqual,
                Token::LessEqual
            ]
        );
    }

    #[test]
    fn errors_name_line_and_token() {
        for (source, text) in [
            ("\n\"abc", "t:2: unfinished string near '<eof>'"),
            ("'a\nb'", "t:1: unfinished string near ''a'"),
            ("\"\\300\"", "t:1: escape sequence too large near '\"'"),
            ("3x", "t:1: malformed number near '3x'"),
            ("[==x", "t:1: invalid long string delimiter near '[=='"),
            ("[[ [[ ]]", "t:1: nesting of [[...]] is deprecated near '['"),
            ("--[[", "t:1: unfinished long comment near '<eof>'"),
        ] {
            assert_eq!(tokens(source), Err(text.to_owned()), "{source}");
        }
    }

    /// The tokens of a source, and the line of each.
    fn lines(source: &str) -> Vec<(Token, u32)> {
        let mut heap = Heap::new(1 << 20, 0);
        let name = heap.string(b"=t").unwrap();
        let mut lexer = Lexer::new(source.as_bytes().to_vec(), name, &heap);
        let mut found = Vec::new();
        while lexer.advance(&mut heap).is_ok() && lexer.token != Token::EndOfSource {
            found.push((lexer.token, lexer.line));
        }
        found.push((lexer.token, lexer.line));
        found
    }

    #[test]
    fn lines_are_counted_in_long_runs_as_in_short_ones() {
        for unit in [
            "\n",
            " \n",
            "\r",
            "\r\n",
            "\n\r",
            "\n\n\r",
            "\t\n \r\n",
            " \r \n\r\r",
        ] {
            for count in [1, 2, 31, 32, 33, 63, 64, 65, 127, 129, 200, 1000] {
                let run = unit.repeat(count);
                // Told by the rule alone: two different ones behind each other are one break.
                let (mut breaks, mut bytes) = (0, run.bytes().peekable());
                while let Some(byte) = bytes.next() {
                    if matches!(byte, b'\n' | b'\r') {
                        breaks += 1;
                        bytes.next_if(|next| matches!(next, b'\n' | b'\r') && *next != byte);
                    }
                }
                let blank = lines(&format!("+{run}-"));
                assert_eq!(
                    blank[1],
                    (Token::Byte(b'-'), breaks + 1),
                    "{unit:?} {count}"
                );
                let comment = lines(&format!("--[[x{run}]]-"));
                assert_eq!(comment[0].1, breaks + 1, "{unit:?} {count}");
                let open = lines(&format!("--[[x{run}"));
                assert_eq!(open[0].1, breaks + 1, "{unit:?} {count}");
            }
        }
    }

    #[test]
    fn line_breaks_in_long_strings_become_line_feeds() {
        for (source, text) in [
            ("[[\na\r\nb\rc\n\rd\n\ne]]", "a\nb\nc\nd\n\ne"),
            ("[[\r\n\n\r]a[\r]\r\n]]", "\n]a[\n]\n"),
            ("[=[]]\n\r\n]=]", "]]\n\n"),
        ] {
            let mut heap = Heap::new(1 << 20, 0);
            let name = heap.string(b"=t").unwrap();
            let mut lexer = Lexer::new(source.as_bytes().to_vec(), name, &heap);
            lexer.advance(&mut heap).unwrap();
            let Token::String(id) = lexer.token else {
                panic!("{source:?} is a string");
            };
            assert_eq!(heap.bytes(id), text.as_bytes(), "{source:?}");
        }
    }

    #[test]
    fn chunk_names_are_cut_to_eighty_bytes() {
        assert_eq!(chunk_name(b"=x"), b"x");
        assert_eq!(chunk_name(b"@dir/x.lua"), b"dir/x.lua");
        assert_eq!(chunk_name(b"a\nb"), b"[string \"a...\"]");
        let long = vec![b'a'; 200];
        assert_eq!(chunk_name(&long).len(), 77);
    }
}
