//! Constants of the format: versions, opcodes, value types, length tags.

/// The version that we write, and the highest of a DUMP payload that we read.
pub const RDB_VERSION: u16 = 11;

/// The highest version of a file that we read: that of Redis 7.4 and 8.
pub const RDB_VERSION_READ_MAX: u16 = 12;

/// The version of the files of Valkey 9, which have a signature of their own: the only one under it that we read.
pub const RDB_VERSION_VALKEY: u16 = 80;

/// The highest number of a value type in files up to [`RDB_VERSION`].
pub(crate) const TYPE_MAX: u8 = ValueType::StreamListpacks3 as u8;

/// The first version that ends with a checksum.
pub(crate) const VERSION_WITH_CHECKSUM: u32 = 5;

pub(crate) const MAGIC: &[u8; 5] = b"REDIS";
pub(crate) const MAGIC_VALKEY: &[u8; 6] = b"VALKEY";

/// Set in the numbers of the types that only files of [`RDB_VERSION_VALKEY`] have: there 22 is another type than in the others.
pub(crate) const OF_VALKEY: u8 = 0x80;

/// Name of the auxiliary field that carries a slot's size: `slot,keys,keys with expiry`.
pub(crate) const SLOT_INFO_AUX: &[u8] = b"slot-info";

/// Opcodes: the bytes that can stand where a value type does.
pub(crate) mod opcode {
    pub(crate) const SLOT_INFO: u8 = 0xF4;
    pub(crate) const FUNCTION2: u8 = 0xF5;
    pub(crate) const FUNCTION_PRE_GA: u8 = 0xF6;
    pub(crate) const MODULE_AUX: u8 = 0xF7;
    pub(crate) const IDLE: u8 = 0xF8;
    pub(crate) const FREQ: u8 = 0xF9;
    pub(crate) const AUX: u8 = 0xFA;
    pub(crate) const RESIZE_DB: u8 = 0xFB;
    pub(crate) const EXPIRE_MS: u8 = 0xFC;
    pub(crate) const EXPIRE_S: u8 = 0xFD;
    pub(crate) const SELECT_DB: u8 = 0xFE;
    pub(crate) const EOF: u8 = 0xFF;
}

/// What follows inside module data.
pub(crate) mod module_opcode {
    pub(crate) const EOF: u64 = 0;
    pub(crate) const SINT: u64 = 1;
    pub(crate) const UINT: u64 = 2;
    pub(crate) const FLOAT: u64 = 3;
    pub(crate) const DOUBLE: u64 = 4;
    pub(crate) const STRING: u64 = 5;
}

/// First bytes of a length. The two top bits choose the form:
///
/// ```text
/// 00xxxxxx                    6 bits
/// 01xxxxxx xxxxxxxx           14 bits, big endian
/// 10000000 + 4 bytes          32 bits, big endian
/// 10000001 + 8 bytes          64 bits, big endian
/// 110000tt                    not a length: a string in special form t
/// ```
pub(crate) mod length {
    pub(crate) const BITS_6_MAX: u64 = 0x3F;
    pub(crate) const BITS_14_MAX: u64 = 0x3FFF;
    pub(crate) const TAG_14: u8 = 0x40;
    pub(crate) const TAG_32: u8 = 0x80;
    pub(crate) const TAG_64: u8 = 0x81;
    pub(crate) const INT8: u8 = 0xC0;
    pub(crate) const INT16: u8 = 0xC1;
    pub(crate) const INT32: u8 = 0xC2;
    pub(crate) const LZF: u8 = 0xC3;
}

/// First byte of a text double (`ValueType::ZSet`): a length, or one of these.
pub(crate) mod text_double {
    pub(crate) const NAN: u8 = 253;
    pub(crate) const POSITIVE_INFINITY: u8 = 254;
    pub(crate) const NEGATIVE_INFINITY: u8 = 255;
}

/// Container byte of a list node (`ValueType::ListQuicklist2`).
pub(crate) mod list_node {
    pub(crate) const PLAIN: u64 = 1;
    pub(crate) const PACKED: u64 = 2;
}

macro_rules! value_types {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// The type byte in front of a key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ValueType {
            $($(#[$doc])* $variant = $number,)*
        }

        impl ValueType {
            /// Every type, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The type with this number; `None` for numbers that are no type.
            #[must_use]
            pub fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// A name for log lines.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

impl ValueType {
    /// Whether it is one of the forms of a stream.
    #[must_use]
    pub fn is_stream(self) -> bool {
        matches!(
            self,
            Self::StreamListpacks | Self::StreamListpacks2 | Self::StreamListpacks3
        )
    }

    /// Whether it is a hash whose fields may expire.
    #[must_use]
    pub fn has_field_expiry(self) -> bool {
        matches!(
            self,
            Self::HashMetadata | Self::HashListpackEx | Self::HashVolatile
        )
    }

    /// Its number in the files that have it.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8 & !OF_VALKEY
    }
}

value_types! {
    /// A string.
    String = 0, "string";
    /// Count, then elements as strings.
    List = 1, "list";
    /// Count, then members as strings.
    Set = 2, "set";
    /// Count, then pairs of member and text double.
    ZSet = 3, "zset";
    /// Count, then pairs of field and value.
    Hash = 4, "hash";
    /// Count, then pairs of member and binary double.
    ZSet2 = 5, "zset2";
    /// Module value of Redis 4 release candidates; cannot be parsed without its module.
    ModulePreGa = 6, "module-pre-ga";
    /// Module value.
    Module = 7, "module";
    /// Blob: zipmap of fields and values (Redis up to 2.4).
    HashZipmap = 9, "hash-zipmap";
    /// Blob: ziplist of elements.
    ListZiplist = 10, "list-ziplist";
    /// Blob: intset.
    SetIntset = 11, "set-intset";
    /// Blob: ziplist of members and scores.
    ZSetZiplist = 12, "zset-ziplist";
    /// Blob: ziplist of fields and values.
    HashZiplist = 13, "hash-ziplist";
    /// Count, then nodes, each a ziplist blob.
    ListQuicklist = 14, "list-quicklist";
    /// Stream of Redis 5.
    StreamListpacks = 15, "stream";
    /// Blob: listpack of fields and values.
    HashListpack = 16, "hash-listpack";
    /// Blob: listpack of members and scores.
    ZSetListpack = 17, "zset-listpack";
    /// Count, then nodes, each a container byte and a blob.
    ListQuicklist2 = 18, "list-quicklist-2";
    /// Stream of Redis 7.0.
    StreamListpacks2 = 19, "stream-2";
    /// Blob: listpack of members.
    SetListpack = 20, "set-listpack";
    /// Stream of Redis 7.2 and Valkey.
    StreamListpacks3 = 21, "stream-3";
    /// Hash of a pre-release of Redis 7.4; cannot be parsed.
    HashMetadataPreGa = 22, "hash-metadata-pre-ga";
    /// Packed hash of a pre-release of Redis 7.4; cannot be parsed.
    HashListpackExPreGa = 23, "hash-listpack-ex-pre-ga";
    /// Hash of Redis 7.4 whose fields may expire: see `expiring`.
    HashMetadata = 24, "hash-metadata";
    /// Blob of Redis 7.4: listpack of fields, values and when they expire.
    HashListpackEx = 25, "hash-listpack-ex";
    /// Hash of Valkey 9 whose fields may expire: see `expiring`. (22 in its files.)
    HashVolatile = 0x96, "hash-volatile";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_byte_names_its_type_and_back() {
        for &type_ in ValueType::ALL {
            assert_eq!(ValueType::from_byte(type_ as u8), Some(type_));
        }
        assert_eq!(ValueType::from_byte(8), None);
        assert_eq!(ValueType::from_byte(26), None);
    }
}
