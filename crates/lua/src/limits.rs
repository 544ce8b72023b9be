//! Every bound of the interpreter, with its unit and its reason.
//!
//! Where Lua 5.1 has a limit, the number is its own, so that programs fail at the same place with the same text.

/// Bytes that the objects of one state may take, unless its options say otherwise.
pub const MEMORY_BYTES_DEFAULT: usize = 64 << 20;

/// Strings up to this many bytes are interned: equal ones are the same object.
pub(crate) const SHORT_STRING_BYTES_MAX: usize = 40;

/// Nested blocks, expressions and functions of a source ("chunk has too many syntax levels").
pub(crate) const SYNTAX_LEVELS_MAX: u32 = 200;

/// Local variables of one function.
pub(crate) const LOCALS_MAX: usize = 200;

/// Variables that one function takes from those around it.
pub(crate) const UPVALUES_MAX: usize = 60;

/// Registers of one function; an instruction names them with one byte.
pub(crate) const REGISTERS_MAX: usize = 250;

/// Constants of one function.
pub(crate) const CONSTANTS_MAX: usize = 1 << 18;

/// Slots that stand above every frame, so that any register of a frame can be named without a check of its own.
pub(crate) const WINDOW: usize = 256;

/// Frames of one coroutine ("stack overflow").
pub(crate) const FRAMES_MAX: usize = 16_384;

/// Further frames for a handler that looks at an overflow.
pub(crate) const FRAMES_SPARE: usize = 1_000;

/// Calls that cross from Lua into the library and back, one inside the other ("C stack overflow").
pub(crate) const NATIVE_LEVELS_MAX: u32 = 200;

/// Further such levels for handlers of errors; past them an error in a handler is final.
pub(crate) const NATIVE_LEVELS_SPARE: u32 = 22;

/// Values that one native function may push: `unpack`, `string.byte` ("too many results to unpack").
pub(crate) const NATIVE_VALUES_MAX: usize = 8_000;

/// Steps along `__index`, `__newindex` from table to table ("loop in gettable").
pub(crate) const INDEX_CHAIN_MAX: u32 = 100;

/// Captures of one pattern.
pub(crate) const CAPTURES_MAX: usize = 32;

/// Places to which a match may go back ("pattern too complex").
pub(crate) const MATCH_CHOICES_MAX: usize = 200_000;

/// Bytes of a chunk's name in an error text.
pub(crate) const CHUNK_NAME_BYTES_MAX: usize = 80;

/// Work that a native function does at once, in units of the budget; what is longer goes on in slices.
pub(crate) const SLICE: i64 = 2_000;

/// Bytes that are copied for one unit of the budget.
pub(crate) const BYTES_PER_UNIT: usize = 32;
