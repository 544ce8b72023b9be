//! Random Lua programs: they end soon, and touch everything.

/// A generator of random programs.
pub(crate) struct Generator {
    random: u64,
    /// Names in scope.
    names: Vec<String>,
    next_name: usize,
    /// How much more may be written.
    room: usize,
    in_loop: bool,
    in_vararg: bool,
}

static NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-2",
    "7",
    "10",
    "0.5",
    "1.5",
    "-0.1",
    "100",
    "255",
    "256",
    "1e15",
    "2^53",
    "-2^31",
    "2^31",
    "1e308",
    "1/0",
    "-1/0",
    "0/0",
    "0x10",
    "1e2",
    ".5",
    "3.",
    "1e-7",
    "123456789",
    "-0",
    "65",
    "97",
];

static STRINGS: &[&str] = &[
    "''",
    "'a'",
    "'abc'",
    "'hello world'",
    "'10'",
    "' 0x1F '",
    "'1e1'",
    "'%d'",
    "'a,b,c'",
    "'x=1, y=2'",
    "'\\0a\\0'",
    "'\\n\\t'",
    "\"q'q\"",
    "[[long]]",
    "'THE (quick) fox'",
    "'nil'",
    "'-5'",
    "'a.b'",
    "'%'",
    "'aaa'",
    "'A1b2C3'",
    "'[x]'",
    "'\\200\\255'",
    "'__index'",
    "'1'",
    "'inf'",
    "'0x'",
    "'  trim  '",
    "'abcabcabc'",
];

static PIECES: &[&str] = &[
    "a", "b", ".", "%a", "%d", "%s", "%w", "%p", "%u", "%l", "%x", "%c", "%z", "%A", "%S", "[abc]",
    "[^a]", "[a-c]", "[%w_]", "[%d-]", "(", ")", "()", "^", "$", "*", "+", "-", "?", "%1", "%2",
    "%b()", "%f[%a]", "%.", "%%", "[]]", "[^]]", "x", " ", "[", "%", "]", "1",
];

static FORMATS: &[&str] = &[
    "%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%.3d", "%i", "%u", "%x", "%X", "%#x", "%o", "%c",
    "%s", "%10s", "%-10s|", "%.2s", "%q", "%e", "%E", "%.3f", "%f", "%g", "%G", "%.0f", "%10.2f",
    "%%", "%5.1g", "%#.3g", "%+.2e", "%y", "%", "%s%s", "%03.1f", "%.20f", "%99d", "%-+5d",
    "%100d", "a%sb", "%#o", "% .3d", "%.14g", "%.0e", "%#.0f", "%5c|", "%-5c|", "%.0s|", "%.f",
];

static UNARY: &[&str] = &["-", "not ", "#"];

static BINARY: &[&str] = &[
    "+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", " and ", " or ",
];

/// Functions and how they are called: `n` a number, `s` a string, `p` a pattern, `f` a format, `t` a table, `v` anything,
/// `r` a replacement, `k` a function; capitals may be left out.
static CALLS: &[(&str, &str)] = &[
    ("string.byte", "sNN"),
    ("string.char", "NNN"),
    ("string.find", "spNV"),
    ("string.format", "fVV"),
    ("string.gsub", "sprN"),
    ("string.len", "s"),
    ("string.lower", "s"),
    ("string.upper", "s"),
    ("string.match", "spN"),
    ("string.reverse", "s"),
    ("string.sub", "snN"),
    ("string.rep", "sm"),
    ("table.concat", "tSNN"),
    ("table.getn", "t"),
    ("table.maxn", "t"),
    ("table.insert", "tv"),
    ("table.insert", "tmv"),
    ("table.remove", "tN"),
    ("table.sort", "t"),
    ("table.sort", "tk"),
    ("math.abs", "n"),
    ("math.ceil", "n"),
    ("math.floor", "n"),
    ("math.fmod", "nn"),
    ("math.max", "nNN"),
    ("math.min", "nNN"),
    ("math.modf", "n"),
    ("math.frexp", "n"),
    ("math.ldexp", "nn"),
    ("math.sqrt", "n"),
    ("math.pow", "nn"),
    ("math.mod", "nn"),
    ("math.exp", "m"),
    ("math.log", "n"),
    ("math.log10", "n"),
    ("math.sin", "m"),
    ("math.atan2", "nn"),
    ("math.deg", "n"),
    ("tostring", "v"),
    ("tonumber", "vN"),
    ("type", "v"),
    ("select", "nVV"),
    ("select", "'#'VV"),
    ("unpack", "tNN"),
    ("rawget", "tv"),
    ("rawequal", "vv"),
    ("rawset", "tvv"),
    ("next", "tV"),
    ("pcall", "kVV"),
    ("pcall", "v"),
    ("xpcall", "kk"),
    ("error", "vN"),
    ("assert", "vV"),
    ("setmetatable", "tt"),
    ("ipairs", "t"),
    ("pairs", "v"),
    ("loadstring", "s"),
    ("string.gmatch", "sp"),
    ("coroutine.wrap", "k"),
    ("coroutine.create", "k"),
    ("table.foreach", "tk"),
    ("table.foreachi", "tk"),
    ("coroutine.status", "v"),
    ("coroutine.running", ""),
    ("math.tanh", "m"),
    ("collectgarbage", "'count'"),
    ("setfenv", "kt"),
    ("coroutine.resume", "vVV"),
    ("coroutine.yield", "VV"),
    ("newproxy", "V"),
    ("gcinfo", ""),
    ("tonumber", "s"),
    ("tostring", "n"),
    ("cjson.encode", "v"),
    ("cjson.decode", "j"),
    ("cmsgpack.pack", "vVV"),
    ("cmsgpack.unpack", "j"),
    ("cmsgpack.unpack_one", "sN"),
    ("struct.pack", "gVVV"),
    ("struct.unpack", "gsN"),
    ("struct.size", "g"),
    ("bit.band", "nN"),
    ("bit.bxor", "nN"),
    ("bit.lshift", "nn"),
    ("bit.arshift", "nn"),
    ("bit.rol", "nn"),
    ("bit.tohex", "nN"),
    ("bit.tobit", "n"),
];

static TEXTS: &[&str] = &[
    "'[1,2,{\"a\":null}]'",
    "'{\"a\":[true,false],\"b\":1e3}'",
    "'[1,2'",
    "'{\"a\" 1}'",
    "'\"\\\\u00e9\\\\ud83d\\\\ude00\"'",
    "'\"\\\\x\"'",
    "'nul'",
    "'-'",
    "'[]'",
    "' {} '",
    "'0x1F'",
    "'1 2'",
    "'\\147\\1\\161a\\192'",
    "'\\129\\161a\\202\\63\\0\\0\\0'",
    "'\\222\\0'",
    "'\\193'",
];

static LAYOUTS: &[&str] = &[
    "'i4'", "'<i2>i2'", "'bBhH'", "'!4bi4'", "'s'", "'c3'", "'bc0'", "'d'", "'f'", "'x'", "'z'",
    "'i33'", "'>I3'", "'!3i'", "'l L T'",
];

static FIELDS: &[&str] = &["x", "y", "n", "foo", "__index", "len", "a"];

static EVENTS: &[&str] = &[
    "__index",
    "__newindex",
    "__call",
    "__add",
    "__sub",
    "__mul",
    "__div",
    "__mod",
    "__pow",
    "__unm",
    "__concat",
    "__eq",
    "__lt",
    "__le",
    "__len",
    "__tostring",
    "__metatable",
    "__mode",
];

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            names: Vec::new(),
            next_name: 0,
            room: 0,
            in_loop: false,
            in_vararg: true,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 33).unwrap_or(0) % bound
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }

    /// A whole program.
    pub(crate) fn program(&mut self) -> Vec<u8> {
        self.names.clear();
        self.next_name = 0;
        self.room = 30 + self.below(120);
        self.in_loop = false;
        self.in_vararg = true;
        let statements = 1 + self.below(6);
        let mut source = self.block(statements);
        source.push_str("\nreturn ");
        source.push_str(&self.list(3));
        // Of its own, so that one program does not see what another has left.
        let mut source = format!("local KEYS,ARGV={{}},{{}} {source}").into_bytes();
        // Sometimes it is broken: the text of the compiler's error is compared too.
        if self.one_in(12) && !source.is_empty() {
            let at = self.below(source.len());
            match self.below(4) {
                0 => drop(source.remove(at)),
                1 => source.truncate(at),
                2 => source.insert(at, b")]}'\"=,;.~#@$\\"[self.below(14)]),
                _ => {
                    let word = self.pick(&[
                        "end", "do", "then", "local", "function", "return", "=", "(", "nil", "..",
                        "...",
                    ]);
                    let word = format!(" {word} ");
                    source.splice(at..at, word.bytes());
                }
            }
        }
        source
    }

    fn fresh(&mut self) -> String {
        self.next_name += 1;
        format!("v{}", self.next_name)
    }

    fn spend(&mut self) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room -= 1;
        true
    }

    fn block(&mut self, statements: usize) -> String {
        let outside = self.names.len();
        let mut text = String::new();
        for _ in 0..statements {
            if !self.spend() {
                break;
            }
            text.push_str(&self.statement());
            text.push(if self.one_in(3) { '\n' } else { ' ' });
        }
        if self.in_loop && self.one_in(6) {
            text.push_str("break ");
        } else if self.one_in(15) {
            let list = self.list(3);
            text.push_str(&format!("do return {list} end "));
        }
        // What the block declared goes with it; the outermost one keeps its names for the return.
        if outside > 0 {
            self.names.truncate(outside);
        }
        text
    }

    fn inner(&mut self) -> String {
        let statements = 1 + self.below(3);
        let outside = self.names.len();
        let text = self.block(statements);
        self.names.truncate(outside);
        text
    }

    fn loop_body(&mut self) -> String {
        let before = std::mem::replace(&mut self.in_loop, true);
        let text = self.inner();
        self.in_loop = before;
        text
    }

    fn statement(&mut self) -> String {
        match self.below(17) {
            0..=3 => {
                let count = 1 + self.below(3);
                let values = self.list(3);
                let names: Vec<String> = (0..count).map(|_| self.fresh()).collect();
                let text = format!("local {}={values}", names.join(","));
                self.names.extend(names);
                text
            }
            4 | 5 => {
                let count = 1 + self.below(2);
                let targets: Vec<String> = (0..count).map(|_| self.target()).collect();
                let values = self.list(3);
                format!("{}={values}", targets.join(","))
            }
            6 => {
                let condition = self.expression(2);
                let then = self.inner();
                if self.one_in(2) {
                    let other = self.inner();
                    if self.one_in(3) {
                        let condition2 = self.expression(1);
                        let third = self.inner();
                        return format!(
                            "if {condition} then {then} elseif {condition2} then {third} else {other} end"
                        );
                    }
                    format!("if {condition} then {then} else {other} end")
                } else {
                    format!("if {condition} then {then} end")
                }
            }
            7 => {
                let counter = self.fresh();
                let condition = self.expression(1);
                let body = self.loop_body();
                format!(
                    "local {counter}=0 while {counter}<5 and {condition} do {counter}={counter}+1 {body} end"
                )
            }
            8 => {
                let name = self.fresh();
                let (from, to, step) = (
                    self.below(4),
                    self.below(8),
                    self.pick(&["1", "2", "0.5", "-1", "'1'", "3"]),
                );
                self.names.push(name.clone());
                let body = self.loop_body();
                self.names.pop();
                format!("for {name}={from},{to},{step} do {body} end")
            }
            9 => {
                let (key, value) = (self.fresh(), self.fresh());
                let table = self.expression(1);
                let how = self.pick(&["pairs", "ipairs", "pairs"]);
                self.names.extend([key.clone(), value.clone()]);
                let body = self.loop_body();
                self.names.truncate(self.names.len() - 2);
                format!("for {key},{value} in {how}({table}) do {body} end")
            }
            10 => {
                let counter = self.fresh();
                let body = self.loop_body();
                let condition = self.expression(1);
                format!(
                    "local {counter}=0 repeat {counter}={counter}+1 {body} until {counter}>3 or {condition}"
                )
            }
            11 => format!("do {} end", self.inner()),
            12 => {
                let name = self.fresh();
                let function = self.function();
                let text = format!("local {name}={function}");
                self.names.push(name);
                text
            }
            13 => {
                let name = self.fresh();
                let event = self.pick(EVENTS);
                let handler = if self.one_in(3) {
                    self.expression(1)
                } else {
                    self.function()
                };
                let table = self.table();
                let text = format!("local {name}=setmetatable({table},{{{event}={handler}}})");
                self.names.push(name);
                text
            }
            14 => {
                let name = self.fresh();
                let function = self.function();
                let text = format!("local {name}=coroutine.wrap({function})");
                self.names.push(name);
                text
            }
            _ => self.call(2),
        }
    }

    fn target(&mut self) -> String {
        let name = self.name();
        match self.below(4) {
            0 => format!("{name}.{}", self.pick(FIELDS)),
            1 => format!("{name}[{}]", self.expression(1)),
            _ => name,
        }
    }

    fn name(&mut self) -> String {
        if self.names.is_empty() {
            return self.pick(&["KEYS", "ARGV"]).to_owned();
        }
        let at = self.below(self.names.len());
        self.names[at].clone()
    }

    fn list(&mut self, count_max: usize) -> String {
        let count = 1 + self.below(count_max);
        let items: Vec<String> = (0..count).map(|_| self.expression(3)).collect();
        items.join(",")
    }

    fn table(&mut self) -> String {
        let count = self.below(5);
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(match self.below(4) {
                0 => format!("{}={}", self.pick(FIELDS), self.expression(1)),
                1 => format!("[{}]={}", self.expression(1), self.expression(1)),
                _ => self.expression(1),
            });
        }
        format!("{{{}}}", items.join(","))
    }

    fn function(&mut self) -> String {
        if !self.spend() {
            return "function() end".to_owned();
        }
        let outside = self.names.len();
        let (loop_before, vararg_before) = (self.in_loop, self.in_vararg);
        self.in_loop = false;
        self.in_vararg = self.one_in(3);
        let mut params: Vec<String> = (0..self.below(3)).map(|_| self.fresh()).collect();
        self.names.extend(params.clone());
        if self.in_vararg {
            params.push("...".to_owned());
        }
        let statements = self.below(3);
        let mut body = self.block_inside(statements);
        if self.one_in(4) {
            body.push_str(" coroutine.yield(1)");
        }
        let list = self.list(2);
        self.names.truncate(outside);
        (self.in_loop, self.in_vararg) = (loop_before, vararg_before);
        format!("function({}) {body} return {list} end", params.join(","))
    }

    fn block_inside(&mut self, statements: usize) -> String {
        let outside = self.names.len();
        let text = self.block(statements);
        self.names.truncate(outside);
        text
    }

    fn call(&mut self, depth: usize) -> String {
        if self.one_in(4) {
            let name = self.name();
            let arguments = self.list(2);
            return match self.below(4) {
                0 => format!(
                    "{name}:{}({arguments})",
                    self.pick(&["foo", "x", "upper", "len", "rep"])
                ),
                1 => format!("{name}.{}({arguments})", self.pick(FIELDS)),
                _ => format!("{name}({arguments})"),
            };
        }
        let (name, kinds) = CALLS[self.below(CALLS.len())];
        if let Some(word) = kinds.strip_prefix('\'') {
            let (word, rest) = word.split_once('\'').unwrap_or((word, ""));
            let mut arguments = vec![format!("'{word}'")];
            arguments.extend(self.arguments(rest, depth));
            if word == "count" {
                return format!("type({name}({}))", arguments.join(","));
            }
            return format!("{name}({})", arguments.join(","));
        }
        let arguments = self.arguments(kinds, depth);
        if name == "setfenv" {
            // Levels would reach the functions around the program, and level 0 the whole reference.
            return format!("setfenv({},{})", self.function(), self.table());
        }
        if name == "gcinfo" {
            return "type(gcinfo())".to_owned();
        }
        format!("{name}({})", arguments.join(","))
    }

    fn arguments(&mut self, kinds: &str, depth: usize) -> Vec<String> {
        let mut arguments = Vec::new();
        for kind in kinds.chars() {
            if kind.is_ascii_uppercase() && self.one_in(2) {
                break;
            }
            // Sometimes the wrong kind: errors are part of it.
            let kind = if self.one_in(14) {
                'v'
            } else {
                kind.to_ascii_lowercase()
            };
            arguments.push(match kind {
                'n' => self.number(depth),
                'm' => self
                    .pick(&["0", "1", "3", "-1", "2.7", "20", "100"])
                    .to_owned(),
                's' => self.string(depth),
                'j' => self.pick(TEXTS).to_owned(),
                'g' => self.pick(LAYOUTS).to_owned(),
                'p' => self.pattern(),
                'f' => self.format(),
                't' => {
                    if self.one_in(2) {
                        self.name()
                    } else {
                        self.table()
                    }
                }
                'r' => self.replacement(),
                'k' => self.function(),
                _ => self.expression(depth.saturating_sub(1)),
            });
        }
        arguments
    }

    fn number(&mut self, depth: usize) -> String {
        if depth > 0 && self.one_in(4) {
            return self.expression(depth - 1);
        }
        self.pick(NUMBERS).to_owned()
    }

    fn string(&mut self, depth: usize) -> String {
        if depth > 0 && self.one_in(4) {
            return self.expression(depth - 1);
        }
        self.pick(STRINGS).to_owned()
    }

    fn pattern(&mut self) -> String {
        let count = 1 + self.below(5);
        let pieces: Vec<&str> = (0..count).map(|_| self.pick(PIECES)).collect();
        format!("'{}'", pieces.concat())
    }

    fn format(&mut self) -> String {
        let count = 1 + self.below(2);
        let pieces: Vec<&str> = (0..count).map(|_| self.pick(FORMATS)).collect();
        format!("'{}'", pieces.concat())
    }

    fn replacement(&mut self) -> String {
        match self.below(4) {
            0 => self.function(),
            1 => self.table(),
            _ => self
                .pick(&[
                    "'<%0>'", "'%1'", "'x'", "'%2%1'", "'%%'", "'%'", "''", "5", "'%a'",
                ])
                .to_owned(),
        }
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 || !self.spend() {
            return match self.below(6) {
                0 => self.pick(NUMBERS).to_owned(),
                1 => self.pick(STRINGS).to_owned(),
                2 => self.pick(&["nil", "true", "false", "{}"]).to_owned(),
                3 if self.in_vararg => "...".to_owned(),
                _ => self.name(),
            };
        }
        match self.below(16) {
            0 | 1 => self.pick(NUMBERS).to_owned(),
            2 => self.pick(STRINGS).to_owned(),
            3 | 4 => self.name(),
            5 => format!("{}{}", self.pick(UNARY), self.parenthesized(depth)),
            6..=9 => {
                let (left, right) = (self.expression(depth - 1), self.expression(depth - 1));
                let op = self.pick(BINARY);
                if self.one_in(3) {
                    format!("({left}){op}({right})")
                } else {
                    format!("{left} {op} {right}")
                }
            }
            10 => self.table(),
            11 => self.function(),
            12 => {
                let name = self.name();
                if self.one_in(2) {
                    format!("{name}.{}", self.pick(FIELDS))
                } else {
                    format!("{name}[{}]", self.expression(depth - 1))
                }
            }
            13 => {
                let string = self.pick(STRINGS);
                let method = self.pick(&["upper", "len", "reverse", "byte", "foo", "lower"]);
                format!("({string}):{method}()")
            }
            _ => self.call(depth - 1),
        }
    }

    fn parenthesized(&mut self, depth: usize) -> String {
        format!("({})", self.expression(depth - 1))
    }
}
