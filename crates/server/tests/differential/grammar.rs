//! What to ask: templates of requests, and how one becomes words.
//!
//! A template is words between blanks. Upper-case words stand for themselves. `[ ... ]` is there or not, `{ ... }` is
//! there one to four times, `( a | b )` is one of its parts. `@x` makes an argument:
//!
//! | token | argument |
//! | --- | --- |
//! | `@s @l @h @e @z @k` | a key that mostly holds a string, list, hash, set, sorted set; any key |
//! | `@y` | a sorted set whose scores are all the same: lexical ranges have no meaning elsewhere |
//! | `@v @m @f` | a value, a member, a field |
//! | `@n @c @i` | any whole number, a small count, an index |
//! | `@d` | a floating-point number, as a score |
//! | `@G` | a factor of scores |
//! | `@u @w` | a relative time in seconds, in milliseconds: never one that ends while the test runs |
//! | `@U @W` | an absolute time in seconds, in milliseconds |
//! | `@p` | a pattern |
//! | `@b @B` | a bound of a score range, of a lexical range |

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A request.
pub(crate) type Words = Vec<Vec<u8>>;

/// Every template, with how often it is asked for.
pub(crate) static TEMPLATES: &[(u32, &str)] = &[
    // Strings.
    (6, "SET @s @v"),
    (4, "SET @s ( @n | @d )"),
    (
        4,
        "SET @s @v [ ( NX | XX ) ] [ GET ] [ ( EX @u | PX @w | EXAT @U | PXAT @W | KEEPTTL ) ]",
    ),
    (
        1,
        "SET @s @v [ ( NX | XX ) ] ( EX @u | PX @w ) ( EX @u | PX @w | NX | XX | GET | KEEPTTL )",
    ),
    (3, "GET @s"),
    (1, "SETNX @s @v"),
    (1, "SETEX @s @u @v"),
    (1, "PSETEX @s @w @v"),
    (1, "GETSET @s @v"),
    (1, "GETDEL @s"),
    (
        2,
        "GETEX @s [ ( EX @u | PX @w | EXAT @U | PXAT @W | PERSIST ) ]",
    ),
    (
        1,
        "GETEX @s ( EX @u | PERSIST ) ( EX @u | PX @w | PERSIST )",
    ),
    (2, "MGET { @k }"),
    (2, "MSET { @s @v }"),
    (1, "MSETNX { @s @v }"),
    (3, "APPEND @s @v"),
    (2, "STRLEN @s"),
    (3, "GETRANGE @s @i @i"),
    (1, "SUBSTR @s @i @i"),
    (2, "SETRANGE @s @c @v"),
    (2, "INCR @s"),
    (2, "DECR @s"),
    (3, "INCRBY @s @n"),
    (3, "DECRBY @s @n"),
    (3, "INCRBYFLOAT @s @d"),
    (
        2,
        "LCS @s @s [ ( LEN | IDX ) ] [ MINMATCHLEN @i ] [ WITHMATCHLEN ]",
    ),
    // Bits and HyperLogLogs.
    (2, "SETBIT @s @c ( 0 | 1 )"),
    (2, "GETBIT @s @c"),
    (2, "BITCOUNT @s [ @i @i [ ( BYTE | BIT ) ] ]"),
    (2, "BITPOS @s ( 0 | 1 ) [ @i [ @i [ ( BYTE | BIT ) ] ] ]"),
    (2, "BITOP ( AND | OR | XOR | NOT ) @s { @s }"),
    (
        2,
        "BITFIELD @s { ( GET @t @c | SET @t @c @n | INCRBY @t @c @n | OVERFLOW ( WRAP | SAT | FAIL ) ) }",
    ),
    (1, "BITFIELD_RO @s { GET @t @c }"),
    (2, "PFADD @s { @m }"),
    (2, "PFCOUNT { @s }"),
    (1, "PFMERGE @s { @s }"),
    (1, "PFDEBUG ( ENCODING | DECODE | TODENSE | GETREG ) @s"),
    // Lists.
    (4, "LPUSH @l { @v }"),
    (5, "RPUSH @l { @v }"),
    (1, "LPUSHX @l { @v }"),
    (1, "RPUSHX @l { @v }"),
    (2, "LPOP @l [ @c ]"),
    (2, "RPOP @l [ @c ]"),
    (1, "LLEN @l"),
    (3, "LINDEX @l @i"),
    (3, "LSET @l @i @v"),
    (4, "LRANGE @l @i @i"),
    (3, "LINSERT @l ( BEFORE | AFTER ) @v @v"),
    (3, "LREM @l @i @v"),
    (2, "LTRIM @l @i @i"),
    (3, "LPOS @l @v [ RANK @i ] [ COUNT @c ] [ MAXLEN @c ]"),
    (2, "LMOVE @l @l ( LEFT | RIGHT ) ( LEFT | RIGHT )"),
    (2, "RPOPLPUSH @l @l"),
    (
        2,
        "LMPOP ( 1 @l | 2 @l @l | @i @l ) ( LEFT | RIGHT ) [ COUNT @c ]",
    ),
    (
        1,
        "BLPOP { @l } ( 0.001 | 0.001 | 1e400 | 1e5000 | -0.0011 )",
    ),
    (1, "BRPOP { @l } 0.001"),
    (1, "BLMOVE @l @l ( LEFT | RIGHT ) ( LEFT | RIGHT ) 0.001"),
    (1, "BRPOPLPUSH @l @l 0.001"),
    (
        1,
        "BLMPOP 0.001 ( 1 @l | 2 @l @l ) ( LEFT | RIGHT ) [ COUNT @c ]",
    ),
    // Hashes.
    (6, "HSET @h { @f @v }"),
    (2, "HSET @h @f @n"),
    (1, "HMSET @h { @f @v }"),
    (1, "HSETNX @h @f @v"),
    (2, "HGET @h @f"),
    (2, "HMGET @h { @f }"),
    (2, "HGETALL @h"),
    (1, "HKEYS @h"),
    (1, "HVALS @h"),
    (1, "HLEN @h"),
    (1, "HSTRLEN @h @f"),
    (1, "HEXISTS @h @f"),
    (2, "HDEL @h { @f }"),
    (2, "HINCRBY @h @f @n"),
    (2, "HINCRBYFLOAT @h @f @d"),
    (2, "HRANDFIELD @h [ @c [ WITHVALUES ] ]"),
    (2, "HSCAN @h 0 [ MATCH @p ] COUNT 100000 [ NOVALUES ]"),
    // Sets.
    (5, "SADD @e { @m }"),
    (3, "SADD @e { @n }"),
    (3, "SREM @e { @m }"),
    (1, "SMOVE @e @e @m"),
    (1, "SISMEMBER @e @m"),
    (1, "SMISMEMBER @e { @m }"),
    (1, "SCARD @e"),
    (2, "SMEMBERS @e"),
    (1, "SPOP @e [ @c ]"),
    (2, "SRANDMEMBER @e [ @c ]"),
    (2, "SINTER { @e }"),
    (2, "SUNION { @e }"),
    (2, "SDIFF { @e }"),
    (2, "SINTERSTORE @e { @e }"),
    (2, "SUNIONSTORE @e { @e }"),
    (2, "SDIFFSTORE @e { @e }"),
    (2, "SINTERCARD ( 1 @e | 2 @e @e | @i @e ) [ LIMIT @c ]"),
    (2, "SSCAN @e 0 [ MATCH @p ] COUNT 100000"),
    // Sorted sets.
    (7, "ZADD @z { @d @m }"),
    (4, "ZADD @y { 0 @m }"),
    (
        4,
        "ZADD @z [ ( NX | XX ) ] [ ( GT | LT ) ] [ CH ] { @d @m }",
    ),
    (2, "ZADD @z [ ( NX | XX ) ] [ CH ] INCR @d @m"),
    (2, "ZINCRBY @z @d @m"),
    (2, "ZREM @z { @m }"),
    (1, "ZCARD @z"),
    (2, "ZCOUNT @z @b @b"),
    (2, "ZLEXCOUNT @y @B @B"),
    (1, "ZSCORE @z @m"),
    (1, "ZMSCORE @z { @m }"),
    (2, "ZRANK @z @m [ WITHSCORE ]"),
    (2, "ZREVRANK @z @m [ WITHSCORE ]"),
    (3, "ZRANGE @z @i @i [ REV ] [ WITHSCORES ]"),
    (
        3,
        "ZRANGE @z @b @b BYSCORE [ REV ] [ LIMIT @i @i ] [ WITHSCORES ]",
    ),
    (
        2,
        "ZRANGE @y @B @B BYLEX [ REV ] [ LIMIT @i @i ] [ WITHSCORES ]",
    ),
    (
        2,
        "ZRANGESTORE @z @z ( @i @i | @b @b BYSCORE ) [ REV ] [ LIMIT @i @i ]",
    ),
    (1, "ZRANGESTORE @z @y @B @B BYLEX [ REV ] [ LIMIT @i @i ]"),
    (1, "ZREVRANGE @z @i @i [ WITHSCORES ]"),
    (2, "ZRANGEBYSCORE @z @b @b [ WITHSCORES ] [ LIMIT @i @i ]"),
    (
        2,
        "ZREVRANGEBYSCORE @z @b @b [ WITHSCORES ] [ LIMIT @i @i ]",
    ),
    (1, "ZRANGEBYLEX @y @B @B [ LIMIT @i @i ]"),
    (1, "ZREVRANGEBYLEX @y @B @B [ LIMIT @i @i ]"),
    (1, "ZREMRANGEBYRANK @z @i @i"),
    (1, "ZREMRANGEBYSCORE @z @b @b"),
    (1, "ZREMRANGEBYLEX @y @B @B"),
    (2, "ZPOPMIN @z [ @c ]"),
    (2, "ZPOPMAX @z [ @c ]"),
    (
        2,
        "ZMPOP ( 1 @z | 2 @z @z | @i @z ) ( MIN | MAX ) [ COUNT @c ]",
    ),
    (1, "BZPOPMIN { @z } 0.001"),
    (1, "BZPOPMAX { @z } 0.001"),
    (
        1,
        "BZMPOP 0.001 ( 1 @z | 2 @z @z ) ( MIN | MAX ) [ COUNT @c ]",
    ),
    (
        2,
        "ZUNION 2 ( @z | @e ) @z [ WEIGHTS @G @G ] [ AGGREGATE ( SUM | MIN | MAX ) ] [ WITHSCORES ]",
    ),
    (
        2,
        "ZINTER 2 ( @z | @e ) @z [ WEIGHTS @G @G ] [ AGGREGATE ( SUM | MIN | MAX ) ] [ WITHSCORES ]",
    ),
    (2, "ZDIFF 2 ( @z | @e ) @z [ WITHSCORES ]"),
    (
        2,
        "ZUNIONSTORE @z 2 ( @z | @e ) @z [ WEIGHTS @G @G ] [ AGGREGATE ( SUM | MIN | MAX ) ]",
    ),
    (
        2,
        "ZINTERSTORE @z 2 ( @z | @e ) @z [ WEIGHTS @G @G ] [ AGGREGATE ( SUM | MIN | MAX ) ]",
    ),
    (1, "ZDIFFSTORE @z 2 ( @z | @e ) @z"),
    (1, "ZINTERCARD ( 1 @z | 2 @z @z | @i @z ) [ LIMIT @c ]"),
    (1, "ZRANDMEMBER @z [ @c [ WITHSCORES ] ]"),
    (2, "ZSCAN @z 0 [ MATCH @p ] COUNT 100000"),
    (2, "GEOADD @z [ ( NX | XX ) ] [ CH ] { @g @g @m }"),
    (1, "GEOPOS @z { @m }"),
    (1, "GEODIST @z @m @m [ ( m | km | ft | mi ) ]"),
    (1, "GEOHASH @z { @m }"),
    (
        1,
        "GEOSEARCH @z ( FROMMEMBER @m | FROMLONLAT @g @g ) ( BYRADIUS @n km | BYBOX @n @d km ) [ ( ASC | DESC ) ] [ COUNT @c [ ANY ] ] [ WITHCOORD ] [ WITHDIST ] [ WITHHASH ]",
    ),
    (
        1,
        "GEOSEARCHSTORE @z @z ( FROMMEMBER @m | FROMLONLAT @g @g ) ( BYRADIUS @n km | BYBOX @n @d km ) [ ( ASC | DESC ) ] [ COUNT @c [ ANY ] ] [ STOREDIST ]",
    ),
    (
        1,
        "GEORADIUS @z @g @g @n km [ WITHCOORD ] [ WITHDIST ] [ WITHHASH ] [ ( ASC | DESC ) ] [ COUNT @c ] [ ( STORE | STOREDIST ) @z ]",
    ),
    (
        1,
        "GEORADIUSBYMEMBER @z @m @n mi [ WITHCOORD ] [ WITHDIST ] [ WITHHASH ] [ ( ASC | DESC ) ] [ COUNT @c ] [ ( STORE | STOREDIST ) @z ]",
    ),
    (
        1,
        "GEORADIUS_RO @z @g @g @n ft [ WITHCOORD ] [ WITHDIST ] [ COUNT @c ]",
    ),
    (1, "GEORADIUSBYMEMBER_RO @z @m @n m [ WITHHASH ] [ ASC ]"),
    // Streams.
    (
        4,
        "XADD @x [ NOMKSTREAM ] [ ( MAXLEN @i | MAXLEN = @i | MINID @I ) ] @I { @f @v }",
    ),
    (
        2,
        "XADD @x ( MAXLEN | MINID ) ~ @i [ LIMIT @c ] ( @I | 7-* | 9-* ) { @f @v }",
    ),
    (2, "XLEN @x"),
    (2, "XRANGE @x ( - | @I ) ( + | @I ) [ COUNT @c ]"),
    (2, "XREVRANGE @x ( + | @I ) ( - | @I ) [ COUNT @c ]"),
    (1, "XDEL @x { @I }"),
    (1, "XTRIM @x ( MAXLEN @i | MINID @I )"),
    (1, "XTRIM @x ( MAXLEN | MINID ) ( ~ | = ) @i [ LIMIT @c ]"),
    (1, "XREAD [ COUNT @c ] STREAMS @x ( @I | $ | + )"),
    (
        1,
        "XREAD [ COUNT @c ] STREAMS @x @x ( @I | $ | + ) ( @I | $ | + )",
    ),
    // What a client says that a group has read is believed here only as far as it can be true: see `docs/differences.md`.
    (
        2,
        "XGROUP CREATE @x g ( $ | 0 | @I ) [ MKSTREAM ] [ ENTRIESREAD ( -1 | 0 ) ]",
    ),
    (
        1,
        "XGROUP SETID @x g ( $ | 0 | @I ) [ ENTRIESREAD ( -1 | 0 ) ]",
    ),
    (1, "XGROUP ( CREATECONSUMER | DELCONSUMER ) @x g @m"),
    (1, "XGROUP DESTROY @x g"),
    (
        4,
        "XREADGROUP GROUP g ( a | b ) [ COUNT @c ] [ NOACK ] STREAMS @x ( > | @I )",
    ),
    (
        1,
        "XREADGROUP GROUP g ( a | b ) [ COUNT @c ] [ NOACK ] STREAMS @x @x ( > | @I ) ( > | @I )",
    ),
    (1, "XACK @x g { @I }"),
    (1, "XPENDING @x g"),
    (
        1,
        "XPENDING @x g [ IDLE 0 ] ( - | @I ) ( + | @I ) @c [ ( a | b | @m ) ]",
    ),
    (
        2,
        "XCLAIM @x g ( a | b ) 0 { @I } [ RETRYCOUNT @i ] [ FORCE ] [ JUSTID ] [ LASTID @I ]",
    ),
    (2, "XAUTOCLAIM @x g ( a | b ) 0 @I [ COUNT @c ] [ JUSTID ]"),
    (
        1,
        "XCLAIM @x g ( a | b ) ( 0 | 100000000 ) { @I } ( IDLE @i | TIME 1000 ) [ RETRYCOUNT @i ] [ FORCE ] [ JUSTID ]",
    ),
    (1, "XINFO ( STREAM | GROUPS ) @x"),
    (1, "XINFO STREAM @x FULL [ COUNT @c ]"),
    (1, "XINFO CONSUMERS @x g"),
    (1, "XSETID @x @I [ ENTRIESADDED @i ] [ MAXDELETEDID @I ]"),
    // Keys.
    (3, "DEL { @k }"),
    (1, "UNLINK { @k }"),
    (2, "EXISTS { @k }"),
    (1, "TOUCH { @k }"),
    (3, "TYPE @k"),
    (1, "KEYS @p"),
    (1, "RANDOMKEY"),
    (2, "RENAME @k @k"),
    (2, "RENAMENX @k @k"),
    (3, "COPY @k @k [ DB ( 0 | 1 | 99 | @n ) ] [ REPLACE ]"),
    (1, "MOVE @k ( 0 | 1 | 2 | @n )"),
    (1, "DBSIZE"),
    (2, "EXPIRE @k @u [ ( NX | XX | GT | LT ) ]"),
    (2, "PEXPIRE @k @w [ ( NX | XX | GT | LT ) ]"),
    (2, "EXPIREAT @k @U [ ( NX | XX | GT | LT ) ]"),
    (2, "PEXPIREAT @k @W [ ( NX | XX | GT | LT ) ]"),
    (2, "TTL @k"),
    (2, "PTTL @k"),
    (2, "EXPIRETIME @k"),
    (2, "PEXPIRETIME @k"),
    (2, "PERSIST @k"),
    (
        1,
        "SCAN 0 [ MATCH @p ] COUNT 100000 [ TYPE ( string | list | hash | set | zset | nope ) ]",
    ),
    (3, "OBJECT ENCODING @k"),
    (1, "OBJECT FREQ @k"),
    (1, "OBJECT NOPE @k"),
    (2, "DUMP @s"),
    (1, "RESTORE @k @w @v [ REPLACE ] [ ABSTTL ]"),
    // Of a key that is not there: the reference changes the encoding of a sorted set that it sorts, leaves open which of
    // two equal elements comes first, and takes good numbers for bad ones after it has met one out of range. What SORT makes
    // of elements is compared in `tests/unit/sort.tcl`.
    (
        1,
        "SORT none [ BY ( nosort | w* ) ] [ LIMIT @i @i ] [ GET @p ] [ DESC ] [ ALPHA ] [ STORE @e ]",
    ),
    (1, "SORT_RO none [ LIMIT @i @i ] [ DESC ] [ ALPHA ]"),
    (1, "SWAPDB ( 0 | 1 ) ( 1 | 2 | 99 | @n )"),
    (2, "SELECT ( 0 | 0 | 0 | 1 | 2 | 16 | @n )"),
    // Connections and transactions.
    (4, "MULTI"),
    (5, "EXEC"),
    (1, "DISCARD"),
    (1, "WATCH { @k }"),
    (1, "UNWATCH"),
    (1, "PING [ @v ]"),
    (1, "ECHO @v"),
    (1, "PUBLISH @k @v"),
    (1, "CLIENT GETNAME"),
    (1, "CLIENT SETNAME ( @f | @v )"),
    (
        1,
        "COMMAND GETKEYS ( SET | MGET | ZUNION | LMPOP | GET | NOPE ) { @k }",
    ),
    (1, "CONFIG GET ( maxmemory | hz | *-listpack-* | nope )"),
    (1, "PUBSUB ( CHANNELS | NUMPAT | NUMSUB @k )"),
    (1, "FLUSHDB [ ( SYNC | ASYNC ) ]"),
    (1, "NOPE { @v }"),
];

/// Numbers at which arithmetic goes wrong.
static EDGES: &[&str] = &[
    "2147483647",
    "2147483648",
    "2147483646",
    "-2147483648",
    "-2147483649",
    "-2147483647",
    "4294967295",
    "4294967296",
    "4294967294",
    "9223372036854775807",
    "9223372036854775808",
    "9223372036854775806",
    "-9223372036854775808",
    "-9223372036854775809",
    "-9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551614",
    "-0",
    "nan",
    "inf",
    "-inf",
    "+inf",
    "1e400",
    "-1e400",
    "",
    " ",
    " 1",
    "1 ",
    "+1",
    "01",
    "1.0",
    "0x10",
    "1234567890123456789012345678901234567890",
    "0",
    "-1",
];

/// Makes requests from templates.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    /// Source of choices.
    pub(crate) rng: &'a mut StdRng,
}

impl Writer<'_> {
    /// A request of the kind `template`; now and then spoilt on purpose.
    pub(crate) fn request(&mut self, template: &str) -> Words {
        let tokens: Vec<&str> = template.split_whitespace().collect();
        let mut words = Vec::new();
        let end = self.sequence(&tokens, 0, true, &mut words);
        assert_eq!(end, tokens.len(), "brackets do not match: {template}");
        if self.rng.random_ratio(1, 16) && may_be_spoilt(&words) {
            self.spoil(&mut words);
        }
        if self.rng.random_ratio(1, 8) {
            words[0].make_ascii_lowercase();
        }
        tame(&mut words);
        words
    }

    /// Emits tokens from `at` to the end or to the closing bracket, whose place it returns.
    fn sequence(&mut self, tokens: &[&str], mut at: usize, emit: bool, out: &mut Words) -> usize {
        while at < tokens.len() {
            match tokens[at] {
                "]" | "}" | ")" | "|" => return at,
                "[" => {
                    let wanted = emit && self.rng.random();
                    at = self.sequence(tokens, at + 1, wanted, out);
                }
                "{" => {
                    let times = self.rng.random_range(1..=4);
                    let start = at + 1;
                    for _ in 0..times {
                        at = self.sequence(tokens, start, emit, out);
                    }
                }
                "(" => at = self.choice(tokens, at + 1, emit, out),
                token if emit => {
                    let word = self.word(token);
                    out.push(word);
                }
                _ => {}
            }
            at += 1;
        }
        at
    }

    fn choice(&mut self, tokens: &[&str], start: usize, emit: bool, out: &mut Words) -> usize {
        let mut parts = vec![start];
        let mut end = start;
        loop {
            end = self.sequence(tokens, end, false, out);
            if tokens[end] != "|" {
                break;
            }
            end += 1;
            parts.push(end);
        }
        if emit {
            let part = *parts.choose(self.rng).expect("there is one");
            self.sequence(tokens, part, true, out);
        }
        end
    }

    fn word(&mut self, token: &str) -> Vec<u8> {
        let Some(kind) = token.strip_prefix('@') else {
            return token.as_bytes().to_vec();
        };
        let text = match kind {
            "s" | "l" | "h" | "e" | "z" | "x" => self.key(kind),
            "y" => format!("y{}", self.rng.random_range(0..3)),
            "k" => self.any_key(),
            "s*" => format!("{}*", self.key("s")),
            "v" | "m" | "f" => return self.value(),
            "n" => self.number(),
            "c" => self.one_of(&["0", "1", "2", "3", "5", "17", "100", "-1", "-3"], 12),
            "i" => self.one_of(&["0", "1", "2", "-1", "-2", "-3", "5", "100", "-100"], 12),
            // No negative factor, and no zero with a sign: the reference keeps the sign in some encodings.
            "G" => self.one_of(&["1", "2", "1.5", "0.1", "1e3", "inf"], 20),
            "d" => self.one_of(
                &[
                    "0",
                    "1",
                    "2",
                    "-1",
                    "1.5",
                    "3.1",
                    "-0.25",
                    "1e3",
                    "1e21",
                    "0.1",
                    "1e-7",
                    "inf",
                    "-inf",
                    "123456789012",
                    "5e-324",
                    "1.7976931348623157e308",
                    "3.0000000000000004",
                ],
                12,
            ),
            "u" => self.relative(1),
            "w" => self.relative(1000),
            "U" => self.absolute(1),
            "W" => self.absolute(1000),
            "p" => self.one_of(
                &[
                    "*", "?1", "[a-s]*", "*1*", "\\*", "[^l]?", "w*", "", "h*->f1",
                ],
                40,
            ),
            "b" => self.one_of(
                &[
                    "-inf", "+inf", "0", "(0", "1", "(1", "2", "(1.5", "-1", "(-inf", "x", "(",
                    "nan",
                ],
                40,
            ),
            "B" => self.one_of(
                &["-", "+", "[a", "(a", "[b", "(m", "[1", "[", "(", "a", ""],
                40,
            ),
            "t" => self.one_of(
                &[
                    "u8", "i8", "u1", "i5", "u63", "i64", "u64", "i65", "u0", "x8", "i",
                ],
                40,
            ),
            "g" => self.one_of(
                &[
                    "0",
                    "13.361389",
                    "38.115556",
                    "-122.4",
                    "179.9",
                    "85",
                    "86",
                    "-180",
                    "nan",
                ],
                40,
            ),
            // No `*`: two servers do not tell the same time.
            "I" => self.one_of(
                &[
                    "3-*",
                    "0-1",
                    "1-1",
                    "1-2",
                    "2-0",
                    "5-5",
                    "5",
                    "7-*",
                    "0-0",
                    "-",
                    "+",
                    "9-9-9",
                    "18446744073709551615-18446744073709551615",
                ],
                40,
            ),
            other => unreachable!("no such token: @{other}"),
        };
        text.into_bytes()
    }

    /// A key of a kind, most of the time.
    fn key(&mut self, kind: &str) -> String {
        if self.rng.random_ratio(1, 12) {
            return self.any_key();
        }
        format!("{kind}{}", self.rng.random_range(0..3))
    }

    fn any_key(&mut self) -> String {
        let kind = self.one_of(&["s", "l", "h", "e", "z", "x", "k", "w"], u32::MAX);
        format!("{kind}{}", self.rng.random_range(0..3))
    }

    /// One of `usual`, or once in `rarity` an edge number.
    fn one_of(&mut self, usual: &[&str], rarity: u32) -> String {
        if rarity < u32::MAX && self.rng.random_ratio(1, rarity) {
            return self.edge();
        }
        (*usual.choose(self.rng).expect("there is one")).to_owned()
    }

    fn edge(&mut self) -> String {
        (*EDGES.choose(self.rng).expect("there is one")).to_owned()
    }

    fn number(&mut self) -> String {
        match self.rng.random_range(0..4) {
            0 => self.edge(),
            1 => (self.rng.random::<i64>() >> self.rng.random_range(0..63)).to_string(),
            _ => self.rng.random_range(-10..30).to_string(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..12) {
            0 => self.number().into_bytes(),
            1 => vec![b'x'; self.rng.random_range(20..90)],
            2 => (0..self.rng.random_range(0..6))
                .map(|_| self.rng.random())
                .collect(),
            3 => self.rng.random_range(0..5000).to_string().into_bytes(),
            _ => {
                let word = [
                    "a", "b", "c", "m1", "m2", "m3", "f1", "f2", "1", "2", "3", "10",
                ];
                word.choose(self.rng)
                    .expect("there is one")
                    .as_bytes()
                    .to_vec()
            }
        }
    }

    /// Drawn from a wide range, so that two of them never differ by the time that has passed between them.
    fn relative(&mut self, unit: i64) -> String {
        if self.rng.random_ratio(1, 6) {
            return self.edge();
        }
        (self.rng.random_range(10_000..10_000_000) * unit).to_string()
    }

    fn absolute(&mut self, unit: i64) -> String {
        if self.rng.random_ratio(1, 6) {
            return self.one_of(&["1", "1000", "-5"], 2);
        }
        (self.rng.random_range(4_000_000_000..4_000_000_100i64) * unit).to_string()
    }

    fn spoil(&mut self, words: &mut Words) {
        let at = self.rng.random_range(1..=words.len());
        match self.rng.random_range(0..5) {
            0 if words.len() > 1 => {
                words.pop();
            }
            1 => {
                let value = self.value();
                words.insert(at, value);
            }
            2 if at < words.len() => words[at] = self.edge().into_bytes(),
            3 if at < words.len() => words[at] = self.any_key().into_bytes(),
            _ if at < words.len() => {
                let copy = words[at].clone();
                words.insert(at, copy);
            }
            _ => {}
        }
    }
}

/// Spoilt, these would wait for ever, or answer what is nobody's business.
fn may_be_spoilt(words: &Words) -> bool {
    !words[0].starts_with(b"B")
        && !words.iter().any(|word| matches!(&word[..], [b'y', _]))
        && words[0] != b"XREAD"
        && words[0] != b"CLIENT"
        && words[0] != b"CONFIG"
        // Numbers of keys with blanks or letters around them count for the reference.
        && words[0] != b"COMMAND"
}

/// Takes out what would need gigabytes on both sides, and what the reference is known to do wrong.
fn tame(words: &mut Words) {
    let name = words[0].to_ascii_uppercase();
    let random = name.ends_with(b"RANDMEMBER") || name == b"HRANDFIELD";
    let bits = name == b"SETBIT" || name.starts_with(b"BITFIELD");
    // Spoilt, it may have got another key.
    if matches!(&name[..], b"SORT" | b"SORT_RO") && words.len() > 1 {
        words[1] = b"none".to_vec();
    }
    // The reference looks at names up to a NUL only.
    if name == b"CLIENT" && words.iter().any(|word| word.contains(&0)) {
        *words = vec![b"PING".to_vec()];
    }
    // What a cursor stands for is each side's own business, except for the beginning.
    let cursor = if name == b"SCAN" { 1 } else { 2 };
    if name.ends_with(b"SCAN")
        && let Some(cursor) = words.get_mut(cursor)
        && std::str::from_utf8(cursor).is_ok_and(|text| text.parse::<u64>().is_ok())
    {
        *cursor = b"0".to_vec();
    }
    // A score of -0 is 0 here, whatever the encoding; see `docs/differences.md`. So is a score times 0.
    let has_scores = name.starts_with(b"Z") || name.starts_with(b"BZ");
    for word in words.iter_mut().skip(2).filter(|_| has_scores) {
        let zero = std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .is_some_and(|score| score == 0.0 && score.is_sign_negative());
        if zero {
            *word = b"0".to_vec();
        }
    }
    if let Some(weights) = words
        .iter()
        .position(|word| word.eq_ignore_ascii_case(b"weights"))
    {
        for factor in words[weights + 1..].iter_mut() {
            let turns = std::str::from_utf8(factor)
                .ok()
                .and_then(|text| text.parse::<f64>().ok())
                .is_some_and(|factor| factor <= 0.0);
            if turns {
                *factor = b"2".to_vec();
            }
        }
    }
    for word in words.iter_mut().skip(2) {
        let number = std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let huge = match number {
            // The reference takes these for places in the list: it cuts them to fewer bits.
            Some(number) if name == b"LSET" || name == b"LINDEX" => {
                i32::try_from(number).map_or(true, |number| number == i32::MIN)
            }
            // As a number of keys these end it.
            Some(number) if name == b"COMMAND" => number > 1 << 30,
            // It cannot reserve so much.
            Some(number) if name == b"XAUTOCLAIM" => number > 1 << 30,
            Some(number) if random => number < -1000,
            Some(number) if bits => (100_000..1 << 32).contains(&number),
            Some(number) if name == b"SETRANGE" => (100_000..1 << 29).contains(&number),
            _ => false,
        };
        if huge {
            *word = b"7".to_vec();
        }
    }
    // The reference counts negative offsets from the other end, but only in large sorted sets.
    let limit = words
        .iter()
        .position(|word| word.eq_ignore_ascii_case(b"limit"));
    if name.starts_with(b"Z")
        && let Some(offset) = limit.and_then(|limit| words.get_mut(limit + 1))
        && offset.starts_with(b"-")
    {
        *offset = b"1".to_vec();
    }
}
