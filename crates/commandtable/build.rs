//! Turns `data/commands.json` into the statics of the command table.
//!
//! The output is plain data, quick to compile: one array per container, one of top-level commands,
//! the index of ids, and the slots of a perfect hash over the names.

use std::fmt::Write as _;
use std::{env, fs, path::PathBuf};

use serde_json::{Map, Value};

#[path = "src/fold.rs"]
mod fold;

use fold::Folded;

const DATA: &str = "data/commands.json";

/// Slots of the name table, a power of two: large enough that a collision-free pair of factors
/// turns up within a few thousand tries, small enough to stay in the cache.
const SLOT_BITS: u32 = 12;

/// Marks a free slot. Top-level commands must be fewer.
const FREE: u8 = u8::MAX;

/// How many pairs of factors to try; about one in a thousand will do.
const TRIES_MAX: u32 = 10_000_000;

fn main() {
    println!("cargo::rerun-if-changed={DATA}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/fold.rs");
    let text = fs::read_to_string(DATA).expect("the command data is part of the crate");
    let data: Value = serde_json::from_str(&text).expect("the command data is JSON");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out_dir.join("commands.rs"), generate(&data)).expect("OUT_DIR can be written");
}

fn generate(data: &Value) -> String {
    let mut commands: Vec<(&str, &Value)> =
        object(data).iter().map(|(n, c)| (n.as_str(), c)).collect();
    commands.sort_unstable_by_key(|(name, _)| *name);

    let mut containers = String::new();
    let mut top = String::new();
    let mut by_id = String::new();
    let mut next_id = commands.len();
    for (id, (name, command)) in commands.iter().enumerate() {
        let mut subs: Vec<(&str, &Value)> = match command.get("subcommands") {
            Some(subs) => object(subs).iter().map(|(n, c)| (n.as_str(), c)).collect(),
            None => Vec::new(),
        };
        subs.sort_unstable_by_key(|(name, _)| *name);
        let mut subcommands = "&[]".to_string();
        if !subs.is_empty() {
            let array = format!("IN_{}", name.to_uppercase().replace('-', "_"));
            put(
                &mut containers,
                format_args!("static {array}: [CommandInfo; {}] = [\n", subs.len()),
            );
            for (index, (sub, fields)) in subs.iter().enumerate() {
                let full_name = format!("{name}|{sub}");
                containers.push_str(&meta(next_id, sub, &full_name, fields, "&[]"));
                put(&mut by_id, format_args!("&{array}[{index}], "));
                next_id += 1;
            }
            containers.push_str("];\n");
            subcommands = format!("&{array}");
        }
        top.push_str(&meta(id, name, name, command, &subcommands));
    }
    let tops: String = (0..commands.len())
        .map(|index| format!("&TOP[{index}], "))
        .collect();
    let names: Vec<&str> = commands.iter().map(|(name, _)| *name).collect();
    let (factors, slots) = perfect_hash(&names);
    format!(
        "{containers}\
         static TOP: [CommandInfo; {count}] = [\n{top}];\n\
         static BY_ID: [&CommandInfo; {next_id}] = [{tops}{by_id}];\n\
         const SLOT_BITS: u32 = {SLOT_BITS};\n\
         const SLOT_FACTORS: [u64; 2] = [{:#x}, {:#x}];\n\
         static SLOTS: [u8; {}] = {slots:?};\n",
        factors[0],
        factors[1],
        slots.len(),
        count = commands.len(),
    )
}

/// Factors that send every name to a slot of its own, and the index of the name in each slot.
fn perfect_hash(names: &[&str]) -> ([u64; 2], Vec<u8>) {
    assert!(
        names.len() < usize::from(FREE),
        "more commands than a slot can tell apart"
    );
    let folded: Vec<Folded> = names
        .iter()
        .map(|name| Folded::new(name.as_bytes()))
        .collect();
    let mut seed = 0;
    for _ in 0..TRIES_MAX {
        let factors = [split_mix(&mut seed), split_mix(&mut seed)];
        let mut slots = vec![FREE; 1 << SLOT_BITS];
        let free = folded.iter().zip(0u8..).all(|(name, index)| {
            let slot = &mut slots[name.slot(factors, SLOT_BITS)];
            std::mem::replace(slot, index) == FREE
        });
        if free {
            return (factors, slots);
        }
    }
    panic!("no perfect hash found: raise SLOT_BITS");
}

/// The SplitMix64 sequence: the same factors in every build.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn meta(id: usize, name: &str, full_name: &str, fields: &Value, subcommands: &str) -> String {
    let keys = fields
        .get("keys")
        .map_or(vec![0; 3], |keys| array(keys).iter().map(int).collect());
    let key_specs = list(fields, "key_specs", key_spec);
    let key_grammar = match fields.get("key_grammar").map(string) {
        None => "None",
        Some("set") => "Some(KeyGrammar::Set)",
        Some("bitfield") => "Some(KeyGrammar::Bitfield)",
        Some("sort") => "Some(KeyGrammar::Sort)",
        Some("migrate") => "Some(KeyGrammar::Migrate)",
        Some("xreadgroup") => "Some(KeyGrammar::XReadGroup)",
        Some("georadius") => "Some(KeyGrammar::GeoRadius)",
        Some(other) => panic!("unknown key grammar {other}"),
    };
    format!(
        "CommandInfo {{ id: {id}, name: {name:?}, full_name: {full_name:?}, folded: Folded::new({name:?}.as_bytes()), \
         arity: {}, flags: {}, acl: {}, first_key: {}, last_key: {}, step: {}, key_specs: {key_specs}, \
         key_grammar: {key_grammar}, subcommands: {subcommands}, docs: &{} }},\n",
        int(fields.get("own_arity").unwrap_or(&fields["arity"])),
        bits(fields.get("flags"), "Flags"),
        bits(fields.get("acl"), "AclCategories"),
        keys[0],
        keys[1],
        keys[2],
        docs(fields),
    )
}

fn docs(fields: &Value) -> String {
    format!(
        "Docs {{ summary: {}, own: {}, arity: {}, since: {}, group: {}, complexity: {}, tips: {}, history: {}, flags: {}, \
         deprecated_since: {}, replaced_by: {}, args: {} }}",
        quoted(&fields["summary"]),
        fields.get("own").is_some(),
        int(&fields["arity"]),
        quoted(&fields["since"]),
        quoted(&fields["group"]),
        fields
            .get("complexity")
            .map_or_else(|| "\"\"".to_string(), quoted),
        list(fields, "tips", quoted),
        list(fields, "history", |entry| format!(
            "({}, {})",
            quoted(&entry[0]),
            quoted(&entry[1])
        )),
        bits(fields.get("doc_flags"), "DocFlags"),
        optional(fields, "deprecated_since"),
        optional(fields, "replaced_by"),
        list(fields, "args", arg),
    )
}

fn arg(fields: &Value) -> String {
    let kind = match string(&fields["type"]) {
        "string" => "String",
        "integer" => "Integer",
        "double" => "Double",
        "key" => "Key",
        "pattern" => "Pattern",
        "unix-time" => "UnixTime",
        "pure-token" => "PureToken",
        "oneof" => "OneOf",
        "block" => "Block",
        other => panic!("unknown kind of argument {other}"),
    };
    let display_text = match (kind, fields.get("display_text")) {
        (_, Some(text)) => format!("Some({})", quoted(text)),
        ("OneOf" | "Block", None) => "None".to_string(),
        (_, None) => format!("Some({})", quoted(&fields["name"])),
    };
    let key_spec_index = fields
        .get("key_spec_index")
        .map_or("None".to_string(), |index| format!("Some({})", int(index)));
    format!(
        "Arg {{ name: {}, kind: ArgKind::{kind}, display_text: {display_text}, \
         key_spec_index: {key_spec_index}, token: {}, since: {}, deprecated_since: {}, flags: {}, args: {} }}",
        quoted(&fields["name"]),
        optional(fields, "token"),
        optional(fields, "since"),
        optional(fields, "deprecated_since"),
        bits(fields.get("flags"), "ArgFlags"),
        list(fields, "args", arg),
    )
}

fn key_spec(fields: &Value) -> String {
    let begin = match fields.get("begin").map(only_field) {
        None => "Unknown".to_string(),
        Some(("index", index)) => format!("Index({})", int(index)),
        Some(("keyword", search)) => format!(
            "Keyword {{ word: {}, start_from: {} }}",
            quoted(&search[0]),
            int(&search[1])
        ),
        Some((other, _)) => panic!("unknown begin of a key spec {other}"),
    };
    let find = match fields.get("find").map(only_field) {
        None => "Unknown".to_string(),
        Some(("range", range)) => format!(
            "Range {{ last_key: {}, step: {}, limit: {} }}",
            int(&range[0]),
            int(&range[1]),
            int(&range[2])
        ),
        Some(("keynum", keynum)) => format!(
            "KeyNum {{ keynum_index: {}, first_key: {}, step: {} }}",
            int(&keynum[0]),
            int(&keynum[1]),
            int(&keynum[2])
        ),
        Some((other, _)) => panic!("unknown search of a key spec {other}"),
    };
    format!(
        "KeySpec {{ flags: {}, begin: BeginSearch::{begin}, find: FindKeys::{find}, notes: {} }}",
        bits(fields.get("flags"), "KeyFlags"),
        optional(fields, "notes"),
    )
}

/// The union of named bits; a name that the set lacks does not compile.
fn bits(names: Option<&Value>, set: &str) -> String {
    let mut union = format!("{set}::NONE");
    for name in names.map_or(&[][..], array) {
        put(
            &mut union,
            format_args!(".and({set}::{})", string(name).to_uppercase()),
        );
    }
    union
}

fn list(fields: &Value, key: &str, each: impl FnMut(&Value) -> String) -> String {
    let items: Vec<String> = fields
        .get(key)
        .map_or(&[][..], array)
        .iter()
        .map(each)
        .collect();
    format!("&[{}]", items.join(", "))
}

fn optional(fields: &Value, key: &str) -> String {
    fields
        .get(key)
        .map_or("None".to_string(), |text| format!("Some({})", quoted(text)))
}

fn quoted(value: &Value) -> String {
    format!("{:?}", string(value))
}

fn put(out: &mut String, piece: std::fmt::Arguments<'_>) {
    out.write_fmt(piece).expect("writing to a string succeeds");
}

fn only_field(value: &Value) -> (&str, &Value) {
    let (key, value) = object(value)
        .iter()
        .next()
        .expect("an object with one field");
    (key, value)
}

fn object(value: &Value) -> &Map<String, Value> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {value}"))
}

fn array(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("not an array: {value}"))
}

fn string(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a string: {value}"))
}

fn int(value: &Value) -> i64 {
    value
        .as_i64()
        .unwrap_or_else(|| panic!("not a whole number: {value}"))
}
